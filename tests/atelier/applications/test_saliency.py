"""Gradients and class activation maps, computed by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, with_abilities

from atelier.applications import _saliency_figure, perform, saliency
from atelier.core.abilities import Classify, FeatureMaps
from atelier.core.randomness import rng_for
from atelier.data.spec import Spec
from atelier.run import restore

pytestmark = pytest.mark.usefixtures('untrained')


@pytest.fixture(scope='module')
def classifier(tmp_path_factory):
    return assembled(tmp_path_factory.mktemp('classifier'), 'classifier')


WEIGHTS = np.random.RandomState(0).normal(size=(64, 10)).astype(np.float32)
WEIGHTS -= WEIGHTS.mean(0)  # otherwise all images get the same predicted class


def affine(weights, batch, rng):
    return batch['x'].reshape(-1, 64) @ WEIGHTS + 1.0


def test_the_gradient_of_an_affine_classifier_is_its_weights(classifier):
    run = with_abilities(classifier, Classify(affine))
    arrays = saliency.apply(run, index=5, num_images=3, label=4)
    expected = np.broadcast_to(WEIGHTS[:, 4].reshape(8, 8, 1), (3, 8, 8, 1))
    np.testing.assert_allclose(arrays['gradient'], expected, rtol=1e-6)
    np.testing.assert_array_equal(arrays['index'], [5, 6, 7])
    np.testing.assert_array_equal(arrays['x'], run.data.splits['test']['x'][5:8])
    np.testing.assert_array_equal(arrays['label'], run.data.splits['test']['label'][5:8])
    assert 'activation' not in arrays
    stored = np.load(run.folder / 'applications' / 'saliency-5-label-4.npz')
    np.testing.assert_array_equal(stored['gradient'], arrays['gradient'])
    assert (run.folder / 'applications' / 'saliency-5-label-4.png').stat().st_size > 1000


def test_the_predicted_class_is_explained_by_default(classifier):
    arrays = saliency.apply(with_abilities(classifier, Classify(affine)), num_images=6)
    np.testing.assert_array_equal(arrays['shown'], arrays['logits'].argmax(1))
    assert len(set(arrays['shown'])) > 1
    expected = WEIGHTS[:, arrays['shown']].T.reshape(6, 8, 8, 1)
    np.testing.assert_allclose(arrays['gradient'], expected, rtol=1e-6)


def test_channels_are_reduced_by_their_maximum():
    slope = np.zeros((1, 2, 2, 3))
    slope[0, 0, 1] = [1, -5, 2]
    np.testing.assert_array_equal(saliency.strongest(slope), [[[0, 5], [0, 0]]])
    np.testing.assert_array_equal(saliency.strongest(slope[..., 1]), [[[0, 5], [0, 0]]])


def test_each_map_feeds_one_class(classifier):
    """For logits w_k sum_ij A_ij^k of feature maps A, the activation of class k is relu(w_k A^k).

    A map with a negative weight gives 0, and the maps of other classes have no effect.
    """
    weights = jnp.array([2.0, -3.0, 0.5])
    logits = lambda maps: weights * maps.sum((1, 2))
    maps = jax.random.uniform(jax.random.PRNGKey(0), (4, 3, 5, 3))
    label = jnp.array([0, 1, 2, 0])
    activation = saliency.class_activation(logits, maps, label)
    expected = [
        2 * maps[0, ..., 0],
        0 * maps[1, ..., 1],
        0.5 * maps[2, ..., 2],
        2 * maps[3, ..., 0],
    ]
    np.testing.assert_allclose(activation, expected, rtol=1e-6)


def test_a_map_that_the_logit_ignores_has_no_effect():
    maps = jax.random.uniform(jax.random.PRNGKey(0), (2, 3, 3, 2))
    logits = lambda maps: jnp.stack([maps[..., 0].sum((1, 2)), jnp.zeros(2)], 1)
    changed = maps.at[..., 1].set(100.0)
    label = jnp.array([0, 1])
    first, second = (saliency.class_activation(logits, m, label) for m in (maps, changed))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first[0], maps[0, ..., 0], rtol=1e-6)
    np.testing.assert_array_equal(first[1], 0)


def test_weights_are_means_over_space():
    """If a logit depends on one position, the weight is its slope over the position count."""
    maps = jax.random.uniform(jax.random.PRNGKey(0), (1, 2, 4, 1))
    logits = lambda maps: maps[:, 1, 2]
    activation = saliency.class_activation(logits, maps, jnp.array([0]))
    np.testing.assert_allclose(activation, maps[..., 0] / 8, rtol=1e-6)


def looking(pooled):
    """A classifier of five maps [4, 4], three from pixels; its logits weight their means."""

    def maps(weights, batch, rng):
        x = batch['x'].reshape(-1, 4, 2, 4, 2).max((2, 4)) / 16
        return jnp.stack([x, 1 - x, x**2, 0 * x, 0 * x], -1)

    def logits(weights, maps):
        return maps.mean((1, 2)) @ pooled

    return Classify(lambda *arguments: logits(None, maps(*arguments)), FeatureMaps(maps, logits))


POOLED = np.random.RandomState(1).normal(size=(5, 10)).astype(np.float32) * 4


@pytest.mark.slow
def test_the_five_most_probable_classes_have_maps(classifier):
    """In the order of their probability; each map is Grad-CAM of its class."""
    run = with_abilities(classifier, looking(jnp.asarray(POOLED)))
    arrays = saliency.apply(run, num_images=3, label=2)
    order = np.argsort(-arrays['logits'], 1)[:, :5]
    np.testing.assert_array_equal(arrays['top'], order)
    probability = jax.nn.softmax(arrays['logits'])
    expected = np.take_along_axis(np.asarray(probability), order, 1)
    np.testing.assert_allclose(arrays['top_probability'], expected, rtol=1e-5)
    x = run.data.splits['test']['x'][:3].reshape(3, 4, 2, 4, 2).max((2, 4)) / 16
    parts = np.stack([x, 1 - x, x**2], -1)
    activation = lambda classes: np.maximum(
        np.einsum('nijk,kn->nij', parts, POOLED[:3][:, classes]) / 16, 0
    )
    for rank in range(5):
        expected = activation(order[:, rank])
        np.testing.assert_allclose(arrays['top_activation'][:, rank], expected, atol=1e-5)
    np.testing.assert_allclose(arrays['activation'], activation(np.full(3, 2)), atol=1e-5)


def test_maps_have_names_and_probabilities(classifier):
    """A figure shares one scale in a row, and shows the chosen class before the others."""
    names = tuple(f'{i} kind with a long name' for i in range(10))
    run = with_abilities(classifier, looking(jnp.asarray(POOLED)))
    run = run._replace(data=run.data._replace(spec=run.data.spec._replace(class_names=names)))
    arrays = saliency.apply(run, num_images=2, label='4 kind with a long name')
    maps, captions = saliency._maps(arrays, run.data.spec, is_chosen=True)
    assert maps.shape == (2, 6, 8, 8)
    np.testing.assert_allclose(maps.max((1, 2, 3)), 1)
    assert captions[0][0].startswith('chosen\n4 kin...')
    percent = saliency.percent(float(arrays['top_probability'][0, 0]))
    assert captions[0][1] == f'{arrays["top"][0, 0]} kin... name\n{percent}'
    alone, _ = saliency._maps(arrays, run.data.spec, is_chosen=False)
    assert alone.shape == (2, 5, 8, 8)


@pytest.mark.slow
def test_only_classes_of_training_have_maps(classifier):
    run = with_abilities(classifier, Classify(affine))
    spec = run.data.spec._replace(left_out=(0, 1, 2, 3, 4, 5, 6))
    arrays = saliency.apply(run._replace(data=run.data._replace(spec=spec)), num_images=2)
    assert arrays['top'].shape == arrays['top_probability'].shape == (2, 3)


@pytest.mark.parametrize(
    ('probability', 'text'), [(1.0, '100.0 %'), (0.0126, '1.3 %'), (2e-6, '< 0.1 %')]
)
def test_probabilities_are_percents(probability, text):
    assert saliency.percent(probability) == text


def test_signals_have_maps_along_one_axis():
    maps = jax.random.uniform(jax.random.PRNGKey(0), (2, 6, 3))
    logits = lambda maps: maps.sum(1)
    activation = saliency.class_activation(logits, maps, jnp.array([1, 2]))
    np.testing.assert_allclose(activation, [maps[0, :, 1], maps[1, :, 2]], rtol=1e-6)


@pytest.mark.slow
def test_a_convolutional_network(classifier):
    """The gradient equals finite differences; the activation equals that from the two halves."""
    arrays = saliency.apply(classifier, num_images=3)
    state, family = restore.initial_state(classifier), classifier.family
    n = jnp.arange(3)
    rng, weights = rng_for(state.key, n, 3), state.averaged_weights
    logit = lambda x: family.ability(Classify).logits(weights, {'x': jnp.asarray(x)}, rng)[
        n, arrays['shown']
    ]
    slope, step = arrays['gradient'], 1e-2
    size = np.sqrt(np.sum(slope**2, (1, 2, 3), keepdims=True))
    move = step * slope / size
    change = (logit(arrays['x'] + move) - logit(arrays['x'] - move)) / (2 * step)
    np.testing.assert_allclose(change, size.reshape(-1), rtol=0.02)
    maps = family.ability(Classify).feature_maps.maps(weights, {'x': jnp.asarray(arrays['x'])}, rng)
    halves = lambda maps: family.ability(Classify).feature_maps.logits(weights, maps)
    expected = saliency.class_activation(halves, maps, jnp.asarray(arrays['shown']))
    np.testing.assert_allclose(arrays['activation'], expected, rtol=1e-4, atol=1e-6)
    assert arrays['activation'].shape == (3, 4, 4)


def test_without_convolutions_only_the_gradient_is_written(tmp_path, caplog):
    run = assembled(tmp_path, 'classifier', model__channels=())
    with caplog.at_level('INFO', logger='atelier'):
        arrays = saliency.apply(run, num_images=1)
    assert 'no class activation' in caplog.text
    assert 'activation' not in arrays
    assert np.any(arrays['gradient'] != 0)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(label=10), '--label=10: there is no such class, choose 0 to 9'),
        (dict(index=447), 'there is no --index=447'),
        (dict(index=-1), '--index=-1'),
        (dict(num_images=0), '--num_images=0'),
    ],
)
def test_bad_options_raise_one_line(classifier, complaint, options, message):
    assert message in complaint(saliency.apply, classifier, **options)


def test_a_missing_ability_is_named(tmp_path, complaint):
    line = complaint(perform, saliency.APPLICATION, assembled(tmp_path, 'vae'))
    assert 'has no class probabilities; modes' in line


def of_kind(classifier, shape, **fields):
    """The run with real-valued events of this shape, and an affine classifier of them."""
    random = np.random.default_rng(0)
    x = random.normal(size=(20, *shape)).astype(np.float32)
    weights = random.normal(size=(x[0].size, 3)).astype(np.float32)
    split = {'x': x, 'label': np.arange(20) % 3}
    spec = Spec(shape, None, 3, class_names=('one', 'two', 'three'), **fields)
    affine = lambda _, batch, rng: batch['x'].reshape(-1, x[0].size) @ weights
    run = with_abilities(classifier, Classify(affine), splits=dict.fromkeys(SPLITS, split))
    return run._replace(data=run.data._replace(spec=spec)), weights


SPLITS = ('train', 'valid', 'test')


@pytest.mark.slow
@pytest.mark.parametrize(
    'shape',
    [(2,), (5,), (40, 2)]
    + [pytest.param(each, marks=pytest.mark.slow) for each in ((1,), (30,), (40, 1))],
)
def test_data_that_are_not_images_have_a_figure(classifier, shape):
    run, weights = of_kind(classifier, shape)
    arrays = saliency.apply(run, num_images=3, label='two')
    np.testing.assert_allclose(arrays['gradient'].reshape(3, -1), np.tile(weights[:, 1], (3, 1)))
    assert (run.folder / 'applications' / 'saliency-0-label-1.png').stat().st_size > 3000


def test_bars_are_gradients_per_standard_deviation(classifier, monkeypatch):
    """The largest columns are shown, in their order, by name and with their values."""
    std = (1.0, 10.0, 0.1, 2.0)
    names = ('age', 'height', 'weight', 'dose')
    run, weights = of_kind(classifier, (4,), std=std, mean=(0.0,) * 4, column_names=names)
    monkeypatch.setattr(_saliency_figure, 'MAX_COLUMNS', 2)
    drawn = []
    monkeypatch.setattr(
        _saliency_figure.figures, 'pixels', lambda figure: (drawn.append(figure), WHITE)[1]
    )
    arrays = saliency.apply(run, num_images=1, label=0)
    (axis,) = drawn[0].axes
    scaled = weights[:, 0] * np.array(std)
    expected = np.sort(np.argsort(-np.abs(scaled))[:2])
    np.testing.assert_allclose([bar.get_width() for bar in axis.patches], scaled[expected])
    texts = [label.get_text() for label in axis.get_yticklabels()]
    assert texts == [f'{names[i]} = {arrays["x"][0, i]:.3g}' for i in expected]
    assert axis.get_title().replace('\n', ' ').startswith('test 0, one: logit of one, ')


WHITE = np.full((4, 4, 3), 255, np.uint8)
