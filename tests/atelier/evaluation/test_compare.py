"""Comparison of runs: the table equals the runs' own files; warns if runs are not comparable."""

import json

import numpy as np
import pytest
from PIL import Image
from support import error_line

from atelier.errors import UserError
from atelier.evaluation import curves
from atelier.evaluation.compare import compare
from atelier.evaluation.per_example.values_file import write_values
from atelier.run import run_folder


@pytest.fixture
def make(tiny_run, tmp_path):
    """make('a', nll=88.0, ...) writes a run folder with an evaluation and metrics, untrained."""

    def one(
        name,
        nll=None,
        description='digits',
        log_prob='estimate, k = 10',
        samples=None,
        latents=None,
        **changes,
    ):
        folder = tmp_path / name
        run = tiny_run(folder, **changes)
        folder.mkdir()
        run_folder.write_config(run, 1)
        if nll is not None:
            values = {'nll_nats': {'mean': nll, 'standard_error': 0.25}}
            data = {'description': description, 'examples': 447}
            rest = {'weights': 'best', 'log_prob': log_prob, 'data': data, 'samples': samples or {}}
            rest['latents'] = latents or {}
            (folder / 'evaluation.json').write_text(json.dumps({'values': values, **rest}))
        lines = [{'step': s, 'valid/elbo_nats': -100.0 + s, 'train/loss': 3.0} for s in (10, 20)]
        (folder / 'metrics.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
        return str(folder)

    return one


def test_the_table_has_metrics_and_settings_that_differ(make, tmp_path, caplog):
    folders = [make('a', 88.0, seed=3), make('b', 91.5, hypers__beta=4.0)]
    with caplog.at_level('INFO', logger='atelier'):
        table = compare(folders, tmp_path / 'out')
    assert table == {'nll_nats': dict(zip(folders, (88.0, 91.5), strict=True))}
    lines = {message.split()[0]: message.split()[1:] for message in caplog.messages if message}
    assert lines['nll_nats'] == ['88.00', '+-', '0.25', '91.50', '+-', '0.25']
    assert lines['seed'] == ['3', '0']
    assert lines['hypers.beta'] == ['1.0', '4.0']
    assert 'hypers.learning_rate' not in lines  # equal in both runs
    assert 'not comparable' not in caplog.text
    image = np.asarray(Image.open(tmp_path / 'out' / 'compare.png').convert('RGB'))
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 2  # axes, and one line per run


def quality(distance, features='cls, 1234', num_samples=223):
    values = {'frechet_distance': {'samples': distance, 'floor': 7.0}}
    return {'features': features, 'num_samples': num_samples, 'values': values}


def test_the_table_shows_sample_quality_beside_that_of_real_data(make, tmp_path, caplog):
    with caplog.at_level('INFO', logger='atelier'):
        compare([make('a', 88.0, samples=quality(12.5)), make('b', 91.5)], tmp_path)
    (line,) = [message for message in caplog.messages if 'frechet' in message]
    assert line.split() == ['samples:', 'frechet_distance', '12.50', '(real', '7.000)', '-']
    assert 'not comparable' not in caplog.text


@pytest.mark.parametrize(
    ('other', 'reason'),
    [
        (dict(features='cls, 9999'), 'the features of samples differ'),
        (dict(num_samples=5000), 'the numbers of samples differ'),
    ],
)
def test_distances_in_different_features_are_not_comparable(make, tmp_path, caplog, other, reason):
    folders = [make('a', 88.0, samples=quality(1.0)), make('b', 9.0, samples=quality(2.0, **other))]
    compare(folders, tmp_path)
    assert f'not comparable: {reason}' in caplog.text


@pytest.mark.parametrize(
    ('other', 'reason'),
    [
        (dict(description='mnist'), 'the data differ'),
        (dict(log_prob='estimate, k = 5000'), 'the kinds of log_prob differ'),
    ],
)
def test_metrics_that_are_not_comparable_are_reported(make, tmp_path, caplog, other, reason):
    compare([make('a', 88.0), make('b', 91.5, **other)], tmp_path)
    assert f'not comparable: {reason}' in caplog.text


def test_a_kind_of_log_prob_that_is_only_written_otherwise(make, tmp_path, caplog):
    """Earlier versions wrote '1 probes'."""
    before, now = 'estimate, 50 steps, 1 probes', 'estimate, 50 steps, 1 probe'
    compare([make('a', 88.0, log_prob=before), make('b', 91.5, log_prob=now)], tmp_path)
    assert 'not comparable' not in caplog.text


def test_a_run_without_an_evaluation(make, tmp_path, caplog):
    folders = [make('a', 88.0), make('b')]
    assert compare(folders, tmp_path)['nll_nats'] == {folders[0]: 88.0, folders[1]: None}
    assert f'{folders[1]} has no evaluation: --mode=evaluate' in caplog.text


def test_runs_that_cannot_be_compared_are_refused(make, tmp_path):
    a = make('a', 88.0)
    for folders, message in (
        ([], 'needs --runs=RUN,RUN'),
        ([a], 'at least two'),
        ([a, f'{a}/'], 'a run is listed twice'),
        ([a, str(tmp_path / 'b')], 'b does not exist'),
    ):
        with pytest.raises(UserError, match=message):
            compare(folders, tmp_path)


@pytest.mark.slow
def test_of_many_metrics_the_first_are_shown_and_plotted(make, tmp_path, caplog):
    """The others are counted, and long texts are shortened."""
    folders = [make('a', 88.0), make('b', 91.5)]
    values = {f'm{i}': {'mean': 1.0} for i in range(5000)}
    text = 'x' * 10**6
    evaluation = {'values': values, 'weights': text, 'log_prob': text, 'data': {'examined': text}}
    (tmp_path / 'b' / 'evaluation.json').write_text(json.dumps(evaluation))
    row = {'step': 1, **{f'valid/m{i}': 1.0 for i in range(3000)}}
    (tmp_path / 'b' / 'metrics.jsonl').write_text(json.dumps(row) + '\n')
    with caplog.at_level('INFO', logger='atelier'):
        table = compare(folders, tmp_path / 'out')
    assert len(table) == 5001
    assert len(caplog.text) < 10**5
    assert 'table: 4,901 more metrics left out' in caplog.messages
    assert f'figure: {3001 - curves.MAX_PANELS:,} more metrics left out' in caplog.messages
    assert (tmp_path / 'out' / 'compare.png').is_file()


@pytest.mark.slow
def test_names_and_values_that_matplotlib_does_not_take_are_plotted(make, tmp_path):
    folders = [make('a$', 88.0), make('b', 91.5)]
    rows = [
        {'step': 1, 'valid/$x_{$': 1e308, 'valid/\n': -1.0},
        {'step': 2**63 - 1, 'valid/$x_{$': -1e308, 'valid/\n': None},
    ]
    (tmp_path / 'b' / 'metrics.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
    compare(folders, tmp_path / 'out')
    assert (tmp_path / 'out' / 'compare.png').is_file()


@pytest.mark.slow
def test_a_long_curve_keeps_its_course_and_its_end():
    curve = curves.Curve()
    for step in range(100_001):
        curve.add(step, 2.0 * step)
    points = curve.points()
    assert curves.MAX_POINTS <= len(points) <= 2 * curves.MAX_POINTS
    assert points[0].tolist() == [0, 0] and points[-1].tolist() == [100_000, 200_000]
    assert (points[:, 1] == 2 * points[:, 0]).all() and np.diff(points[:-1, 0]).std() == 0


@pytest.mark.slow
def test_on_the_command_line(main, make, tmp_path):
    folders = [make('a', 88.0), make('b', 91.5)]
    result = main('--mode=compare', f'--runs={",".join(folders)}', cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, '')
    assert '88.00 +- 0.25' in result.stdout
    assert (tmp_path / 'runs' / 'compare' / 'compare.png').is_file()
    assert 'at least two runs' in error_line(main('--mode=compare', cwd=tmp_path))


def test_the_same_examples_are_paired(make, tmp_path, caplog):
    """Detects differences of one nat, though each run's own mean has an error of one nat."""
    random = np.random.RandomState(0)
    first, gaps = 90 + 30 * random.normal(size=1000), 1 + 0.1 * random.normal(size=1000)
    folders = []
    for name, values in (('a', first), ('b', first - gaps), ('c', first)):
        folders.append(make(name, float(values.mean())))
        write_values(tmp_path / name / 'evaluation.npz', {'nll_nats': values})
    with caplog.at_level('INFO', logger='atelier'):
        compare(folders, tmp_path / 'out')
    (line,) = [message for message in caplog.messages if 'minus that of the first' in message]
    b, sign, error, *of_c = line.removeprefix('  minus that of the first').split()
    assert (sign, of_c) == ('+-', ['+0.000', '+-', '0'])
    assert float(b) == pytest.approx(-gaps.mean(), abs=5e-5)
    assert float(error) == pytest.approx(gaps.std(ddof=1) / np.sqrt(1000), abs=5e-5)


def test_a_run_without_a_metric_leaves_the_difference_of_the_others(make, tmp_path, caplog):
    folders = [make('a', 5.0), make('b', 6.5), make('c')]
    for name, mean in (('a', 5.0), ('b', 6.5)):
        write_values(tmp_path / name / 'evaluation.npz', {'nll_nats': np.full(4, mean)})
    with caplog.at_level('INFO', logger='atelier'):
        compare(folders, tmp_path / 'out')
    (line,) = [message for message in caplog.messages if 'minus that of the first' in message]
    assert line.split()[-4:] == ['+1.500', '+-', '0', '-']


@pytest.mark.parametrize('why', ['absent', 'other data', 'other evaluation', 'broken'])
def test_values_of_different_examples_are_not_paired(make, tmp_path, caplog, why):
    description = 'shapes' if why == 'other data' else 'digits'
    folders = [make('a', 5.0), make('b', 6.0, description=description)]
    write_values(tmp_path / 'a' / 'evaluation.npz', {'nll_nats': np.full(10, 5.0)})
    if why != 'absent':
        write_values(
            tmp_path / 'b' / 'evaluation.npz',
            {'nll_nats': np.full(10, 6.5 if 'eval' in why else 6.0)},
        )
    if why == 'broken':
        path = tmp_path / 'b' / 'evaluation.npz'
        path.write_bytes(path.read_bytes()[:100])
    with caplog.at_level('INFO', logger='atelier'):
        compare(folders, tmp_path / 'out')
    assert 'minus that of the first' not in caplog.text


def test_the_table_compares_latent_spaces(make, tmp_path, caplog):
    vae = {'active_units': 7, 'latent_dim': 16, 'continuity': {'mean': 0.04, 'step': 0.05}}
    vq = {'perplexity': 31.5, 'codes_used': 60, 'codebook_size': 64}
    folders = [make('a', 5.0, latents=vae), make('b', 6.0, latents=vq), make('c', 6.0)]
    with caplog.at_level('INFO', logger='atelier'):
        compare(folders, tmp_path / 'out')
    rows = [message.split()[1:] for message in caplog.messages if message.startswith('latents: ')]
    assert rows == [
        ['active_units', '7', '-', '-'],
        ['continuity', '0.04000', '-', '-'],
        ['perplexity', '-', '31.50', '-'],
    ]


def test_the_table_says_how_training_was_augmented(make, tmp_path, caplog):
    folders = [make('a', 88.0, data__augment__shift=0.1), make('b', 91.5)]
    path = tmp_path / 'a' / 'evaluation.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'augmentation': 'shift 0.1'}))
    with caplog.at_level('INFO', logger='atelier'):
        compare(folders, tmp_path / 'out')
    lines = [line.split('  ') for line in caplog.messages if line.startswith('trained with')]
    (cells,) = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert cells == ['trained with augmentation', 'shift 0.1', '-']
    assert any(line.startswith('data.augment.shift') for line in caplog.messages)
