"""Files and pictures of samples: classes, means of x given z, single pictures."""

import csv

import jax
import numpy as np
import pytest
from PIL import Image
from support import assembled, replaced, with_abilities

from atelier.applications import _sample_pictures, perform, sample
from atelier.core.abilities import Codes, Sample
from atelier.core.randomness import Stream, key_for
from atelier.data.conditions.condition import KEY
from atelier.data.conditions.words import of_captions
from atelier.evaluation.samples.sampling import labels_like, sampler, split_examples
from atelier.report import image_grids
from atelier.report.views.image_view import IMAGES
from atelier.run import restore


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Returns a conditional GAN whose samples are filled with their label."""

    def paint(weights, rng, condition):
        label = (condition or {'label': jax.numpy.full(len(rng.keys), 5)})['label']
        return jax.numpy.ones((len(label), 8, 8, 1)) * label[:, None, None, None]

    untrained = assembled(tmp_path, 'cgan')
    monkeypatch.setattr(
        restore,
        'load',
        lambda run: restore.TrainedRun(run, restore.initial_state(run), 'untrained'),
    )
    return untrained._replace(family=replaced(untrained.family, Sample(paint, True)))


@pytest.mark.parametrize(
    ('labels', 'expected'),
    [
        pytest.param('7', [7, 7, 7, 7, 7], marks=pytest.mark.slow),
        ('0,3', [0, 3, 0, 3, 0]),
        ('all', [0, 1, 2, 3, 4]),
        pytest.param('', [5] * 5, marks=pytest.mark.slow),
    ],
)
def test_samples_cycle_through_the_labels(run, labels, expected):
    x = sample.apply(run, num_samples=5, labels=labels)
    assert x[:, 0, 0, 0].tolist() == expected
    (path,) = (run.folder / 'samples').glob('*.npz')
    with np.load(path) as file:
        np.testing.assert_array_equal(file['x'], x)
        assert ('label' in file) == bool(labels)
        if labels:
            assert file['label'].tolist() == expected


@pytest.mark.slow
@pytest.mark.usefixtures('scattered_weights')
def test_random_classes_are_written_too(tmp_path):
    """They are the classes of the samples, whatever the size of a batch."""
    run = assembled(tmp_path, 'naive_bayes', eval__batch_size=4)
    x = sample.apply(run, num_samples=11)
    with np.load(tmp_path / 'samples' / 'seed-0.npz') as file:
        label = file['label']
    assert label.dtype == np.int32 and len({*label.tolist()}) > 2
    key = key_for(jax.random.PRNGKey(0), Stream.SAMPLE)
    draw = sampler(run, jax.devices()[:1])
    np.testing.assert_array_equal(draw(restore.load(run).state, key, 11, label), x)


@pytest.mark.usefixtures('scattered_weights')
def test_naive_bayes_shows_one_mean_a_class(tmp_path, monkeypatch, caplog):
    """All samples of a class have the same; draws differ."""
    shown = []
    ranked = lambda x, names, *rest: (shown.append((x, names)), np.zeros((9, 9, 1), np.uint8))[1]
    monkeypatch.setattr(_sample_pictures, 'IMAGES', IMAGES._replace(ranked=ranked))
    run = assembled(tmp_path, 'naive_bayes')
    with caplog.at_level('INFO', logger='atelier'):
        sample.apply(run, num_samples=25, labels='all')
    ((x, names),) = shown
    assert names == [f'class {i}' for i in range(10)]
    with np.load(tmp_path / 'samples' / 'seed-0-labels-all.npz') as file:
        np.testing.assert_array_equal(file['mean'], np.resize(x, file['mean'].shape))
    assert 'x itself: --draws' in caplog.text
    sample.apply(run, num_samples=25, labels='all', draws=True)
    assert len(shown) == 1


def test_means_that_differ_within_a_class_are_all_shown():
    x = np.resize(np.arange(3.0), (9, 2, 2))
    assert not _sample_pictures.depend_on_class(x, 2)
    x = np.repeat([[[0.0]], [[1.0]]], 3, 0)[[0, 3, 1, 4, 2, 5]]
    assert _sample_pictures.depend_on_class(x, 2)
    assert not _sample_pictures.depend_on_class(x[:2], 2)  # one of each is a usual grid


def test_each_class_has_a_named_column_of_the_image(run, monkeypatch):
    drawn, blank = [], np.zeros((1, 1, 1), np.uint8)
    monkeypatch.setattr(
        image_grids, 'labelled', lambda *arguments: drawn.append(arguments) or blank
    )
    sample.apply(run, num_samples=6, labels='0,8,9')
    ((image, _, _, names),) = drawn
    assert names == ['0', '8', '9']
    assert image.shape == (19, 28, 1)  # three columns of 8 pixels and four borders
    assert image[2, 2] == 0
    assert image[2, 11] == image[11, 11] == 128


@pytest.fixture
def posterior(tmp_path, untrained):
    """Returns a run whose samples are the first numbers of their condition."""
    run = assembled(tmp_path, 'posterior', 'gaussian_linear,debug')
    draw = lambda weights, rng, condition: condition[KEY][:, :3]
    return with_abilities(run, Sample(draw, reads_condition=True))


def test_each_condition_has_a_file_of_its_own(posterior, caplog):
    """Also if only a sign differs; the log tells conditions from their columns."""
    names = posterior.data.spec.condition.names
    rest = ',0' * (len(names) - 2)
    with caplog.at_level('INFO', logger='atelier'):
        for first in ('1,2', '1,-2'):
            x = sample.apply(posterior, num_samples=2, condition=first + rest)
            with np.load(posterior.folder / f'samples/seed-0-condition-{first}{rest}.npz') as file:
                np.testing.assert_array_equal(file['x'], x)
                assert file['condition'].shape == (2, len(names))
    assert f'conditions: {names[0]} 1, {names[1]} -2' in caplog.text


def test_conditions_without_a_sample_are_counted(posterior, tmp_path, caplog):
    names = posterior.data.spec.condition.names
    path = tmp_path / 'wanted.csv'
    rows = [[i] * len(names) for i in range(3)]
    path.write_text('\n'.join(','.join(map(str, row)) for row in (names, *rows)))
    with caplog.at_level('INFO', logger='atelier'):
        sample.apply(posterior, num_samples=3, condition=str(path))
        assert '--num_samples' not in caplog.text
        x = sample.apply(posterior, num_samples=2, condition=str(path))
    assert x[:, 0].tolist() == [0, 1]
    assert '3 conditions for 2 samples: one of each needs --num_samples=3' in caplog.text
    assert f'{names[-1]} 0; {names[0]} 1, ' in caplog.text


def test_random_conditions_are_written_too(posterior):
    """They are those of the samples; the picture is that of samples without a request."""
    rows = np.arange(24, dtype=np.float32).reshape(6, 4)
    conditions = lambda weights, rng: jax.numpy.asarray(rows)[rng.rows % 6]
    draw = lambda weights, rng, given: (given or {KEY: conditions(weights, rng)})[KEY][:, :3]
    ability = Sample(draw, reads_condition=True, conditions=conditions)
    x = sample.apply(with_abilities(posterior, ability), num_samples=9)
    with np.load(posterior.folder / 'samples' / 'seed-0.npz') as file:
        np.testing.assert_array_equal(file['condition'], rows[np.arange(9) % 6])
        np.testing.assert_array_equal(file['condition'][:, :3], x)
        assert {*file} == {'x', 'condition'}


def test_captions_are_written_as_texts(vae, untrained, tmp_path):
    words = of_captions(['a red circle', 'blue'])
    rows = jax.numpy.asarray([words.parsed('red'), words.parsed('a blue')])
    draw = lambda weights, rng, given: jax.numpy.zeros((len(rng.keys), 8, 8, 1))
    conditions = lambda weights, rng: rows[rng.rows % 2]
    run = with_abilities(vae, Sample(draw, reads_condition=True, conditions=conditions))
    data = vae.data._replace(spec=vae.data.spec._replace(condition=words))
    run = run._replace(folder=tmp_path, data=data)
    sample.apply(run, num_samples=3)
    sample.apply(run, num_samples=3, prompt='a red circle')
    for name, captions in {
        '': ['red', 'a blue', 'red'],
        '-prompt-a_red_circle': 3 * ['a red circle'],
    }.items():
        with np.load(tmp_path / 'samples' / f'seed-0{name}.npz') as file:
            assert file['caption'].tolist() == captions and len(file['condition']) == 3


def test_labels_of_a_model_given_conditions_name_the_option(posterior, complaint):
    line = complaint(sample.apply, posterior, labels='0')
    assert f'is conditional on {", ".join(posterior.data.spec.condition.names)}' in line
    assert line.endswith('and not on classes: give --condition to --mode=sample')


@pytest.mark.parametrize('labels', ['10', 'x', '1,', '-1', 'ALL'])
def test_bad_labels_are_refused(run, complaint, labels):
    assert 'there is no class' in complaint(sample.apply, run, labels=labels)


def test_a_class_left_out_of_training_is_refused(run, complaint):
    data = run.data._replace(spec=run.data.spec._replace(left_out=(9,)))
    without = run._replace(data=data)
    assert 'training never saw the class 9' in complaint(sample.apply, without, labels='8,9')
    x = sample.apply(without, num_samples=10, labels='all')
    assert x[:, 0, 0, 0].tolist() == [*range(9), 0]
    assert set(labels_like(without, 'test', 1000)) == set(range(9))
    images = split_examples(
        without, restore.initial_state(without), jax.devices()[:1], 'test', 1000
    )
    assert len(images) == np.sum(run.data.splits['test']['label'] != 9)


def with_names(run, *names):
    return run._replace(data=run.data._replace(spec=run.data.spec._replace(class_names=names)))


@pytest.mark.slow
def test_classes_may_be_named(run, complaint):
    """Names that hold a formula or a path harm neither the figure nor the file name."""
    named = with_names(run, 'cat', 'dog', '$\\frac$', '_a/../b', *'efghij')
    x = sample.apply(named, num_samples=4, labels='dog,_a/../b')
    assert x[:, 0, 0, 0].tolist() == [1, 3, 1, 3]
    assert sample.apply(named, num_samples=1, labels='2')[0, 0, 0, 0] == 2
    assert len([*(run.folder / 'samples').glob('*.png')]) == 2
    assert "did you mean 'dog'" in complaint(sample.apply, named, labels='dgo')


def test_all_classes_of_data_without_labels_are_refused(tmp_path, complaint):
    run = assembled(tmp_path, 'vae', 'moons,debug')
    assert 'is not class-conditional' in complaint(sample.apply, run, labels='all')


def test_labels_need_a_class_conditional_family(tmp_path, complaint, monkeypatch):
    run = assembled(tmp_path, 'gan')
    monkeypatch.setattr(
        restore,
        'load',
        lambda run: restore.TrainedRun(run, restore.initial_state(run), 'untrained'),
    )
    assert 'is not class-conditional' in complaint(sample.apply, run, labels='3')


@pytest.mark.parametrize('has_prior', [True, False])
def test_an_autoencoder_decodes_codes(vae, untrained, tmp_path, caplog, has_prior):
    """Codes come from the prior, or from a Gaussian fitted to training codes."""
    codes = Codes(
        encode=lambda weights, batch, rng: batch['x'].reshape(-1, 64)[:, 10:12] + 100,
        decode=lambda weights, codes: codes[:, :1, None, None].repeat(8, 1).repeat(8, 2),
    )
    if has_prior:
        codes = codes._replace(prior=lambda weights, rng: rng.rows[:, None] * jax.numpy.ones(2))
    run = with_abilities(vae, codes)._replace(folder=tmp_path)
    with caplog.at_level('INFO', logger='atelier'):
        few, many = (sample.apply(run, num_samples=n, seed=3) for n in (4, 40))
    np.testing.assert_array_equal(few, many[:4])
    assert (tmp_path / 'samples' / 'seed-3.png').exists()
    if has_prior:
        assert many[:, 0, 0, 0].tolist() == list(range(40))
        assert 'decoded from codes of the prior' in caplog.text
    else:
        pixel = vae.data.splits['train']['x'].reshape(-1, 64)[:, 10]
        z_score = (many[:, 0, 0, 0].mean() - 100 - pixel.mean()) / (pixel.std() / np.sqrt(40))
        assert abs(z_score) < 5
        assert 'codes of a Gaussian fitted to 1,000 training codes' in caplog.text


def test_a_family_without_sample_and_decode_is_refused(vae, complaint):
    run = with_abilities(vae, Codes(encode=lambda weights, batch, rng: batch['x']))
    assert 'has no sampler or decoder' in complaint(perform, sample.APPLICATION, run)


def grid(x, run):
    return image_grids.enlarged(image_grids.grid(x, run.data.spec))[..., 0]


def with_noise(vae, folder):
    """A run whose sample i is 7 + i % 2 in every pixel, and whose mean given z is i % 5."""
    full = lambda values: jax.numpy.ones((len(values), 8, 8, 1)) * values[:, None, None, None]
    ability = Sample(
        lambda weights, rng, condition: full(7 + rng.rows % 2),
        mean=lambda weights, rng, condition: full(rng.rows % 5),
    )
    return with_abilities(vae, ability)._replace(folder=folder)


def test_pictures_show_means_and_arrays_are_draws(vae, untrained, tmp_path, caplog):
    run = with_noise(vae, tmp_path)
    with caplog.at_level('INFO', logger='atelier'):
        x = sample.apply(run, num_samples=9)
    assert x[:, 0, 0, 0].tolist() == [7, 8, 7, 8, 7, 8, 7, 8, 7]
    means = np.arange(9)[:, None, None, None] % 5 * np.ones((9, 8, 8, 1))
    with np.load(tmp_path / 'samples' / 'seed-0.npz') as file:
        np.testing.assert_array_equal(file['x'], x)
        np.testing.assert_array_equal(file['mean'], means)
    picture = np.asarray(Image.open(tmp_path / 'samples' / 'seed-0.png'))
    np.testing.assert_array_equal(picture, grid(means, run))
    assert 'figure (the mean of x given z of each sample; x itself: --draws)' in caplog.text


def test_draws_are_shown_on_request(vae, untrained, tmp_path):
    run = with_noise(vae, tmp_path)
    x = sample.apply(run, num_samples=9, draws=True)
    (path,) = (tmp_path / 'samples').glob('*.png')
    assert path.name == 'seed-0-draws-True.png'
    np.testing.assert_array_equal(np.asarray(Image.open(path)), grid(x, run))
    with np.load(path.with_suffix('.npz')) as file:
        assert set(file) == {'x'}


def test_each_sample_is_a_picture_of_its_own(vae, untrained, tmp_path):
    """Names sort; the pictures are those of the grid, and an earlier command leaves none."""
    run = with_noise(vae, tmp_path)
    sample.apply(run, num_samples=12, format='png')
    folder = tmp_path / 'samples' / 'seed-0'
    (folder / 'notes.txt').write_text('mine')
    sample.apply(run, num_samples=3, format='png')
    names = ['000000.png', '000001.png', '000002.png', 'notes.txt']
    assert sorted(path.name for path in folder.iterdir()) == names
    for i, name in enumerate(names[:3]):
        picture = np.asarray(Image.open(folder / name))
        assert picture.shape == (8, 8)
        assert (picture == round(255 * i / 16)).all()
    assert (tmp_path / 'samples' / 'seed-0.png').exists()


def test_classes_of_single_pictures_are_in_a_table(run):
    named = with_names(run, 'cat', 'dog', *'cdefghij')
    sample.apply(named, num_samples=3, labels='dog,cat', format='png')
    (path,) = (run.folder / 'samples').glob('*/labels.csv')
    rows = [*csv.DictReader(path.open())]
    assert [row['file'] for row in rows] == ['000000.png', '000001.png', '000002.png']
    assert [row['label_name'] for row in rows] == ['dog', 'cat', 'dog']


def test_only_so_many_single_pictures_are_written(vae, untrained, tmp_path, monkeypatch, caplog):
    """It is said. Real-valued images are scaled by all samples, however few are written at once."""
    monkeypatch.setattr(_sample_pictures, 'MAX_SINGLE', 5)
    monkeypatch.setattr(_sample_pictures, 'AT_ONCE', 2)
    run = with_noise(vae, tmp_path)
    spec = run.data.spec._replace(levels=None)
    run = run._replace(data=run.data._replace(spec=spec))
    with caplog.at_level('INFO', logger='atelier'):
        sample.apply(run, num_samples=9, format='png')
    folder = tmp_path / 'samples' / 'seed-0'
    values = [np.asarray(Image.open(path)).max() for path in sorted(folder.iterdir())]
    assert values == [0, 64, 128, 191, 255]
    assert '5 pictures of 9 samples: ' in caplog.text


@pytest.mark.parametrize(
    ('name', 'argument', 'value', 'message'),
    [
        ('ppca', 'moons,debug', 'png', 'the data are not images'),
        ('vae', 'digits,debug', 'PNG', '--format=PNG: choose one of grid, png'),
    ],
)
def test_single_pictures_that_cannot_be_are_refused(
    tmp_path, untrained, complaint, name, argument, value, message
):
    run = assembled(tmp_path, name, argument)
    assert message in complaint(sample.apply, run, format=value)
