"""Latent directions: recovers known ones and refuses bad options."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, with_abilities

from atelier.applications import _ends, concept, perform
from atelier.core.abilities import Classify, Codes
from atelier.core.randomness import Stream, key_for, rng_for
from atelier.evaluation.examples import strokes
from atelier.report.views.image_view import IMAGES
from atelier.run import run_folder

pytestmark = pytest.mark.usefixtures('untrained')

flat = lambda x: x.reshape(len(x), -1)
encode = lambda weights, batch, rng: flat(batch['x'])
decode = lambda weights, codes: codes.reshape(-1, 8, 8, 1)
normal = lambda weights, rng: jax.vmap(lambda k: jax.random.normal(k, (64,)))(rng.keys)


def images_of(label, noise=3, seed=0):
    """Returns images with a stroke as strong as their label; ten images share each background."""
    random = np.random.RandomState(seed)
    stroke = np.zeros((8, 8, 1), np.uint8)
    stroke[2:5, 3] = 1
    background = random.randint(0, noise, (len(label) // 10, 8, 8, 1), np.uint8).repeat(10, 0)
    return {'x': background + label[:, None, None, None] * stroke, 'label': label}, flat(
        stroke[None]
    )


def test_a_known_direction_is_recovered_and_added(vae):
    """Each background has one image per class, so class means differ only by the stroke."""
    label = np.tile(np.arange(10), 30).astype(np.uint8)
    split, stroke = images_of(label)
    test, _ = images_of(label[:100], seed=1)
    splits = {**vae.data.splits, 'train': split, 'test': test}
    run = with_abilities(vae, Codes(encode=encode, decode=decode), splits=splits)
    arrays = concept.apply(run, source=2, target=7, num_steps=3, num_images=4, low=0.0, high=2.0)
    np.testing.assert_allclose(arrays['direction'], 5 * stroke[0], atol=1e-5)
    np.testing.assert_array_equal(arrays['steps'], [0, 1, 2])
    moved = flat(arrays['image'])[:, None] + np.array([0, 5, 10])[:, None] * stroke
    np.testing.assert_allclose(arrays['x'], moved.reshape(4, 3, 8, 8, 1), atol=1e-4)
    rows = flat(test['x']).astype(int)
    assert all(any(np.array_equal(row, image) for row in rows) for image in flat(arrays['image']))
    folder = run.folder / 'applications'
    name = 'concept-label-2-to-7-low-0.0-high-2.0-num_steps-3'
    stored = np.load(folder / f'{name}.npz')
    np.testing.assert_array_equal(stored['x'], arrays['x'])
    assert (folder / f'{name}.png').stat().st_size > 1000


def test_label_selects_images_of_one_class(vae):
    label = np.tile(np.arange(10), 10).astype(np.uint8)
    split, _ = images_of(label, noise=1)
    splits = {**vae.data.splits, 'train': split, 'test': split}
    run = with_abilities(vae, Codes(encode=encode, decode=decode), splits=splits)
    arrays = concept.apply(run, label=9, num_images=3, num_steps=1)
    assert np.all(arrays['image'].max((1, 2, 3)) == 9)


def test_intensity_points_from_the_darkest_quarter_to_the_brightest(vae):
    """Constant images of 0 ... 15: the outer quarters average 1.5 and 13.5; no labels needed."""
    x = np.random.RandomState(0).permutation(16).astype(np.uint8)[:, None, None, None]
    split = {'x': np.broadcast_to(x, (16, 8, 8, 1))}
    splits = {**vae.data.splits, 'train': split, 'test': split}
    run = with_abilities(vae, Codes(encode=encode, decode=decode), splits=splits)
    arrays = concept.apply(run, attribute='intensity', num_images=2)
    np.testing.assert_allclose(arrays['direction'], 12)


@pytest.mark.parametrize(
    ('attribute', 'measure', 'name'),
    [
        ('thickness', strokes.thickness, 'thin-to-thick'),
        ('slant', strokes.slant, 'left-to-right'),
    ],
)
def test_stroke_directions_point_from_small_values_to_large_ones(vae, attribute, measure, name):
    """The direction joins the means of the outer quarters; `value` is measured in x."""
    x = vae.data.splits['train']['x']
    run = with_abilities(vae, Codes(encode=encode, decode=decode))
    arrays = concept.apply(run, attribute=attribute, num_images=3, num_steps=2, low=-1.0, high=1.0)
    values = measure(x[..., 0] / 16)
    low, high = np.quantile(values, [0.25, 0.75])
    expected = flat(x[values >= high]).mean(0) - flat(x[values <= low]).mean(0)
    np.testing.assert_allclose(arrays['direction'], expected, atol=0.1)  # up to ties at the edges
    shades = np.clip(arrays['x'].reshape(6, 8, 8) / 16, 0, 1)
    np.testing.assert_allclose(arrays['value'], measure(shades).reshape(3, 2), rtol=1e-5)
    assert np.all(arrays['value'][:, 1] > arrays['value'][:, 0])
    file = f'concept-{attribute}-{name}-low--1.0-high-1.0-num_steps-2'
    for ending in ('npz', 'png'):
        path = vae.folder / 'applications' / f'{file}.{ending}'
        assert path.stat().st_size > 1000


@pytest.mark.parametrize('attribute', ['thickness', 'slant'])
def test_a_table_has_no_strokes(tmp_path, complaint, attribute):
    np.savez(tmp_path / 'table.npz', x=np.random.RandomState(0).normal(size=(60, 3)))
    run = assembled(tmp_path, 'vae', 'arrays,debug', data__path=str(tmp_path / 'table.npz'))
    line = complaint(concept.apply, run, attribute=attribute)
    assert line == f'--attribute={attribute} needs images: these data are not images'


@pytest.fixture
def classifier(monkeypatch, gan):
    """A classifier with two classes: whether the first pixel is positive."""
    logits = lambda weights, batch, rng: jnp.stack(
        [-flat(batch['x'])[:, 0], flat(batch['x'])[:, 0]], 1
    )
    run = with_abilities(gan, Codes(encode=encode), Classify(logits))
    monkeypatch.setattr(run_folder, 'reopen', lambda folder, reads: run)


def generator(gan, folder='somewhere'):
    with gan.config.unlocked():
        gan.config.eval.classifier = folder
    return with_abilities(gan, Codes(decode=decode, prior=normal))


def test_without_an_encoder_a_classifier_labels_the_sets(gan, classifier):
    """The means of the two halves of a standard normal variable differ by 2 sqrt(2 / pi)."""
    arrays = concept.apply(generator(gan), num_codes=4000, num_images=2, label=1)
    expected = np.zeros(64)
    expected[0] = 2 * np.sqrt(2 / np.pi)
    np.testing.assert_allclose(arrays['direction'], expected, atol=5 * 2 / np.sqrt(4000))
    assert np.all(flat(arrays['image'])[:, 0] > 0)


def test_images_without_an_encoder_are_samples_of_the_seed(gan, classifier):
    arrays = concept.apply(generator(gan), num_codes=50, num_images=3, num_steps=1, seed=4)
    key = key_for(jax.random.PRNGKey(4), Stream.SAMPLE)
    codes = normal(None, rng_for(key, jnp.arange(3), 3))
    np.testing.assert_allclose(flat(arrays['image']), codes, rtol=1e-5)


@pytest.mark.slow
def test_a_trained_family_of_either_kind_has_directions(vae, gan):
    for run, images in ((vae, vae.data.splits['test']['x']), (gan, None)):
        arrays = concept.apply(run, attribute='intensity', num_codes=40, num_steps=3, num_images=2)
        assert arrays['x'].shape == (2, 3, 8, 8, 1)
        if images is not None:
            assert any(np.array_equal(arrays['image'][0], image) for image in images)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(target=10), 'there is no class 10: choose 0 to 9'),
        (dict(source=-1), 'there is no class -1'),
        (dict(source=3, target=3), 'the classes have to differ'),
        (dict(label=11), 'there is no class 11'),
        (
            dict(attribute='smile'),
            '--attribute=smile: choose one of label, intensity, thickness, slant',
        ),
        (dict(low=1.0, high=1.0), '--low=1 --high=1'),
        (dict(num_steps=0), '--num_steps=0'),
        (dict(num_images=0), '--num_images=0'),
        (dict(num_codes=0), '--num_codes=0'),
        (dict(num_codes=1), 'no example of class'),
        (dict(seed=2**32), '--seed='),
    ],
)
def test_bad_options_raise_one_line(vae, complaint, options, message):
    assert message in complaint(concept.apply, vae, **options)


@pytest.mark.slow
def test_messages_call_classes_by_their_names(vae, complaint, caplog):
    spec = vae.data.spec._replace(class_names=('cat', 'dog', *'cdefghij'))
    run = vae._replace(data=vae.data._replace(spec=spec))
    assert '--source=dog --target=dog: ' in complaint(concept.apply, run, source=1, target='dog')
    line = complaint(concept.apply, run, source='c', target='d', num_codes=1)
    assert 'no example of class c among' in line or 'no example of class d among' in line
    with caplog.at_level('INFO', logger='atelier'):
        concept.apply(run, source='cat', target='dog', num_codes=60, num_steps=2, num_images=1)
    assert 'cat to dog: ' in caplog.text


def test_missing_classifiers_and_labels_are_refused(vae, gan, classifier, complaint, tmp_path):
    without = generator(gan, folder='')
    assert 'give --config.eval.classifier=RUN' in complaint(concept.apply, without)
    line = complaint(concept.apply, generator(gan), target=2, num_codes=20)
    assert 'there is no class 2: choose 0 to 1' in line
    x = {name: {'x': split['x']} for name, split in vae.data.splits.items()}
    unlabelled = with_abilities(vae, Codes(encode=encode, decode=decode), splits=x)
    assert 'have no labels: give --config.eval.classifier=RUN' in complaint(
        concept.apply, unlabelled
    )
    line = complaint(perform, concept.APPLICATION, assembled(tmp_path, 'classifier'))
    assert 'has no decoder' in line


def test_a_title_says_what_is_done_to_the_codes(vae, monkeypatch):
    """A class without a name is called one, and the axis of steps has its name."""
    drawn = []

    def rows(*parts):
        drawn.append(parts)
        return np.zeros((2, 2, 3), np.uint8)

    monkeypatch.setattr(concept, 'view_of', lambda spec: IMAGES._replace(rows=rows))
    run = with_abilities(vae, Codes(encode=encode, decode=decode))
    concept.apply(run, source=3, target=8, num_images=2, num_steps=3)
    concept.apply(run, attribute='thickness', num_images=2, num_steps=3)
    (_, _, title, _, columns, _, across), (_, _, of_attribute, *_) = drawn
    assert 'from class 3 towards class 8' in title and 'difference of their mean codes' in title
    minus = '\N{MINUS SIGN}'
    assert columns == ['image', f'{minus}1.5', '0', '+1.5']
    assert across.startswith('s (') and 'of the train split' in across
    assert 'from thin to thick' in of_attribute and 'largest thickness' in of_attribute
    named = vae.data.spec._replace(class_names=tuple('abcdefghij'))
    assert 'from d towards i' in _ends.figure_title(named, _ends.Ends('label', 3, 8))
