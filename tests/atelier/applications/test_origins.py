"""The command that made a picture, from the name of its file."""

import pytest

from atelier.applications import _ends, origin_of
from atelier.run.result_names import suffix

FIELDS = ('eval.weights', 'eval.sampler.temperature', 'hypers.beta')


@pytest.mark.parametrize(
    ('folder', 'stem', 'flags'),
    [
        ('applications', 'latent_map', []),
        ('applications', 'reconstruct-seed-0', ['--seed=0']),
        ('applications', 'embed-num_neighbours-3', ['--num_neighbours=3']),
        ('applications', 'embed-weights-last', ['--config.eval.weights=last']),
        (
            'applications',
            'interpolate-seed--1-temperature-0.5',
            ['--seed=-1', '--config.eval.sampler.temperature=0.5'],
        ),
        ('samples', 'seed-0-weights-last', ['--seed=0', '--config.eval.weights=last']),
        ('samples', 'seed-0-labels-0-1-2', ['--seed=0', '--labels=0,1,2']),
        ('applications', 'animate-training', ['--of=training']),
        ('applications', 'animate-walk-seed-0', ['--of=walk', '--seed=0']),
        ('applications', 'anomaly-nll', ['--score=nll']),
        ('applications', 'anomaly-nll-maps', ['--score=nll']),
        (
            'applications',
            'denoise-gaussian-seed-0-levels-0.5',
            ['--noise=gaussian', '--seed=0', '--levels=0.5'],
        ),
        ('applications', 'inpaint-left-seed-0', ['--mask=left', '--seed=0']),
        (
            'applications',
            'inpaint-random-0.3-seed-0-num_examples-0',
            ['--mask=random', '--share=0.3', '--seed=0', '--num_examples=0'],
        ),
        ('applications', 'saliency-0', ['--index=0']),
        ('applications', 'saliency-12-label-3', ['--index=12', '--label=3']),
        (
            'applications',
            'concept-label-3-to-8-of-5-seed-2-low--2.0',
            ['--source=3', '--target=8', '--label=5', '--seed=2', '--low=-2.0'],
        ),
        (
            'applications',
            'concept-thickness-thin-to-thick-num_steps-3',
            ['--attribute=thickness', '--num_steps=3'],
        ),
    ],
)
def test_the_options_in_a_name_are_flags_again(folder, stem, flags):
    origin = origin_of(folder, stem, FIELDS)
    mode = 'sample' if folder == 'samples' else stem.partition('-')[0]
    assert origin.flags == [f'--mode={mode}', *flags]
    assert origin.description.endswith('.')


def test_a_value_that_is_only_a_checksum_gives_no_flags():
    stem = 'text' + suffix(seed=0, prompt='Once upon a time, there was')
    origin = origin_of('applications', stem)
    assert origin.flags == [] and 'text' in origin.description.lower()


@pytest.mark.parametrize(
    'stem',
    [
        'concept-label-3-to-8-mnist',  # examples of another data set
        'concept-thickness-thin-to-thick-of-3-mnist',
        'inpaint-random-seed-0',  # of which share
        'inpaint-random-0.123457-seed-0',  # a share that may have been rounded
        'inpaint-file-stripes-mask-0123abcd-seed-0',
        'saliency-0-valid',
        'anomaly-nll-mnist',  # outliers of another data set
        'sample-seed-0-labels-T-shirt',
    ],
)
def test_an_ambiguous_name_gives_no_flags(stem):
    assert origin_of('applications', stem).flags == []


@pytest.mark.parametrize(
    ('folder', 'stem'),
    [
        ('applications', 'nobody-seed-0'),
        ('applications', '../../evil'),
        ('applications', '_common'),
        ('samples', 'samples-0000100'),
        ('samples', 'nearest-training'),
    ],
)
def test_other_files_have_no_command(folder, stem):
    assert origin_of(folder, stem) is None


def test_a_name_that_no_mode_writes_gives_no_flags():
    assert origin_of('applications', 'embed-<script>').flags == []
    assert origin_of('applications', 'embed-num_neighbours').flags == []


@pytest.mark.parametrize('attribute', [*_ends.ATTRIBUTES])
@pytest.mark.parametrize('label', [-1, 4])
def test_the_names_that_concept_gives_are_commands_again(attribute, label):
    ends = _ends.Ends(attribute, 3, 8)
    flags = origin_of('applications', _ends.file_name(ends, label, 7)).flags
    ends_of = {'--source=3', '--target=8'} if attribute == 'label' else {f'--attribute={attribute}'}
    wanted = {'--mode=concept', '--seed=7', *ends_of} | ({'--label=4'} if label >= 0 else set())
    assert {*flags} == wanted and len(flags) == len(wanted)
