"""What a model consists of: trees, components and codebooks against known ones."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from figure_checks import check_texts
from sklearn.metrics import mutual_info_score
from support import assembled, with_abilities

from atelier.applications import _means_figure, _tree_figure, perform, structure
from atelier.core.abilities import Codes, Components, DependenceTree, Tokens
from atelier.data.spec import Spec

pytestmark = pytest.mark.usefixtures('untrained')
PATHS = ('applications/structure.npz', 'applications/structure.png')


def of_spec(run, spec, *abilities, splits=None, folder=None):
    """A run of data of this Spec whose family has only these abilities."""
    plain = with_abilities(run._replace(folder=folder), *abilities, splits=splits)
    return plain._replace(data=plain.data._replace(spec=spec))


@pytest.fixture
def coded(vae, tmp_path):
    """Test images with one value each, 0 to 3; its codes are that value, at both positions."""
    value = np.array([0, 0, 1, 0, 3, 0, 1, 3], np.float32)
    x = np.broadcast_to(value[:, None, None], (8, 2, 4)).copy()
    vectors = lambda weights, batch, rng: 10 * batch['x'][:, 0, :2]
    codes = Codes(
        encode=vectors,
        decode=lambda weights, z: jnp.repeat(z[:, None, :] / 10, 2, 1).repeat(2, 2),
        tokens=Tokens(lambda weights, batch, rng: batch['x'][:, 0, :2].astype(int), 5, (1, 2)),
    )
    splits = {name: {'x': x} for name in ('train', 'valid', 'test')}
    return of_spec(vae, Spec((2, 4), 4, None), codes, splits=splits, folder=tmp_path)


@pytest.mark.slow
def test_the_use_of_a_codebook_is_counted(coded, tmp_path):
    """Shares of 1/2, 1/4 and 1/4 have a perplexity of 2^1.5."""
    arrays = perform(structure.APPLICATION, coded, num_images=4, num_codes=9)
    np.testing.assert_array_equal(arrays['count'], [8, 4, 0, 4, 0])
    results = json.loads(next((tmp_path / 'applications').glob('*.json')).read_text())
    np.testing.assert_allclose(results['perplexity'], 2**1.5)
    assert (results['codes_used'], results['codebook_size'], results['num_positions']) == (3, 5, 2)
    np.testing.assert_array_equal(arrays['code'], [0, 1, 3])
    for code, decoded in zip(arrays['code'], arrays['decoded'], strict=True):
        np.testing.assert_array_equal(decoded, np.full((2, 4), code))
    shown = coded.data.splits['test']['x'][arrays['index']]
    np.testing.assert_array_equal(arrays['reconstruction'], shown)
    assert {path.suffix for path in (tmp_path / 'applications').iterdir()} == {
        *('.json', '.npz', '.png')
    }


@pytest.mark.parametrize(('count', 'expected'), [([3, 3, 3, 0], 3.0), ([0, 7], 1.0)])
def test_perplexity_of_an_even_use_is_the_number_of_codes(count, expected):
    np.testing.assert_allclose(structure.perplexity(np.array(count)), expected)


def test_codes_of_points_have_a_histogram(coded, tmp_path):
    run = coded._replace(data=coded.data._replace(spec=Spec((2, 4, 1, 1), 4, None)))
    structure.apply(run)
    assert (tmp_path / PATHS[1]).exists()


def test_the_tree_of_data_has_their_mutual_information(tmp_path):
    """Without pseudo-examples, edges have the mutual information of the training split."""
    run = assembled(tmp_path, 'chow_liu', model__pseudo_count=0.0)
    x = run.data.splits['train']['x'][:300]
    state_x = {'x': jnp.asarray(x, jnp.float32)}
    weights = jax.jit(run.family.init)(jax.random.PRNGKey(0), state_x)
    weights = jax.jit(lambda w: _fitted(run, w, state_x))(weights)
    parent, nats = run.family.ability(DependenceTree).edges(weights)
    flat = x.reshape(len(x), -1)
    expected = [mutual_info_score(flat[:, i], flat[:, p]) for i, p in enumerate(parent)]
    expected[0] = 0.0  # the root
    np.testing.assert_allclose(nats, expected, atol=1e-4)


def _fitted(run, weights, batch):
    from atelier.core.randomness import rng_for

    n = len(batch['x'])
    rng = rng_for(jax.random.PRNGKey(0), jnp.arange(n), n)
    (turn,) = run.family.turns
    params, extra, _ = turn.fit(weights, batch, rng, jnp.zeros((), int), {})[1]
    return weights._replace(params=params, extra=extra)


def tree_ability(parent, nats):
    return DependenceTree(lambda weights: (jnp.asarray(parent), jnp.asarray(nats)))


@pytest.mark.parametrize('shape', [(2, 3), (2, 1, 3), (6,)])
def test_a_tree_is_drawn_and_said(vae, tmp_path, caplog, shape):
    """Pixels, pixels of colour and columns of a table."""
    caplog.set_level('INFO')
    ability = tree_ability([0, 0, 1, 1, 1, 4], [0, 0.5, 0.25, 0.75, 0.1, 0.2])
    run = of_spec(vae, Spec(shape, 2, None), ability, folder=tmp_path)
    arrays = perform(structure.APPLICATION, run)
    np.testing.assert_array_equal(arrays['parent'], [0, 0, 1, 1, 1, 4])
    assert all((tmp_path / path).exists() for path in PATHS)
    strongest = {(2, 3): '(0, 1) - (1, 0) 0.75', (6,): 'x[1] - x[3] 0.75'}
    assert 'tree of 5 edges' in caplog.text and '1.80 nats' in caplog.text
    assert strongest.get(shape, '0.75') in caplog.text


def test_nodes_of_a_table_have_the_names_of_its_columns():
    """Long names are shortened, and none is read as a formula."""
    names = ('$a$', 'b' * 500, 'c', 'd')
    spec = Spec((4,), 2, None, column_names=names)
    figure = _tree_figure.figure(np.array([0, 0, 1, 2]), np.array([0, 0.3, 0.2, 0.1]), spec)
    check_texts(figure)
    shown = [text.get_text() for text in figure.axes[0].texts]
    assert shown[0] == r'\$a\$' and shown[2:] == ['c', 'd']
    assert shown[1].startswith('bbb') and len(shown[1]) < 60


def test_a_large_tree_is_drawn_in_part():
    """The drawn dimensions are connected, and begin with the strongest edge."""
    parent = np.maximum(np.arange(100) - 1, 0)  # a chain
    nats = np.where(np.arange(100) == 50, 1.0, 0.1 + np.arange(100) / 1000)
    shown = _tree_figure.strongest_subtree(parent, nats, 5)
    assert shown == [49, 50, 51, 52, 53]
    figure = _tree_figure.figure(parent, nats, Spec((100,), 2, None))
    assert '40 of 100 dimensions' in figure.axes[0].get_title()


def test_layers_start_in_the_middle():
    """A star with one long arm: the middle of its longest path is on that arm."""
    neighbours = {0: [1, 2, 3], 1: [0], 2: [0], 3: [0, 4], 4: [3, 5], 5: [4]}
    root = _tree_figure.middle(neighbours)
    assert root == 3
    above, depth, height = _tree_figure.layers(neighbours, root)
    assert above == {0: 3, 4: 3, 1: 0, 2: 0, 5: 4}
    assert depth == {3: 0, 0: 1, 4: 1, 1: 2, 2: 2, 5: 2}
    assert height == {1: 0, 2: 1, 0: 0.5, 5: 2, 4: 2, 3: 1.25}


def test_short_edges_are_straight():
    start, end = np.zeros((2, 2)), np.array([[1.0, 0.0], [4.0, 0.0]])
    near, far = _tree_figure.curves(start, end, 0.1)
    np.testing.assert_allclose(near[:, 1], 0, atol=1e-12)
    np.testing.assert_allclose(abs(far[:, 1]).max(), 0.4, rtol=0.01)
    np.testing.assert_allclose([far[0], far[-1]], [start[1], end[1]])


def test_naive_bayes_has_the_means_of_the_classes(tmp_path):
    """Without pseudo-examples the weights and the means are those of the training split."""
    run = assembled(tmp_path, 'naive_bayes', model__pseudo_count=0.0)
    train = run.data.splits['train']
    batch = {name: jnp.asarray(array) for name, array in train.items()}
    batch['x'] = batch['x'].astype(jnp.float32)
    weights = jax.jit(run.family.init)(jax.random.PRNGKey(0), batch)
    ability = run.family.ability(Components)
    assert ability.are_classes
    weight, mean = ability.weights_and_means(weights)
    is_class = [train['label'] == k for k in range(10)]
    np.testing.assert_allclose(weight, [each.mean() for each in is_class], rtol=1e-4)
    expected = [train['x'][each].mean(0, np.float64) for each in is_class]
    np.testing.assert_allclose(mean, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('covariance', ['full', 'diagonal', 'tied'])
def test_means_of_gaussians_are_in_the_units_of_the_data(tmp_path, covariance):
    """The weighted mean of the components is the mean of the data, as after any M-step."""
    run = assembled(tmp_path, 'mixture', 'grid,debug', model__covariance=covariance)
    batch = {'x': jnp.asarray(run.data.splits['train']['x'][:500])}
    weights = jax.jit(run.family.init)(jax.random.PRNGKey(0), batch)
    weight, mean = run.family.ability(Components).weights_and_means(weights)
    np.testing.assert_allclose(weight.sum(), 1, rtol=1e-5)
    np.testing.assert_allclose(weight @ mean, batch['x'].mean(0), atol=2e-2)


@pytest.mark.parametrize('is_labelled', [False, True])
def test_components_are_drawn_by_weight(vae, tmp_path, is_labelled, monkeypatch):
    """Of a class without examples there is no mean to draw."""
    weight = jnp.array([0.2, 0.0, 0.5, 0.1, 0.125, 0.075])
    mean = jnp.arange(6.0)[:, None, None] * jnp.ones((6, 2, 2))
    ability = Components(None, is_labelled, lambda weights: (weight, mean))
    spec = Spec((2, 2), 6, 6 if is_labelled else None, class_names=('cat', 'dog', '$x$', *'abc'))
    captions = []
    view = structure.view_of(spec)
    ranked = lambda x, names, *rest: (captions.extend(names), view.ranked(x, names, *rest))[1]
    monkeypatch.setattr(structure, 'view_of', lambda spec: view._replace(ranked=ranked))
    arrays = perform(structure.APPLICATION, of_spec(vae, spec, ability, folder=tmp_path))
    np.testing.assert_array_equal(arrays['mean'], mean)
    by_class = ['cat: 0.200', '$x$: 0.500', 'a: 0.100', 'b: 0.125', 'c: 0.075']
    by_weight = ['0.500', '0.200', '0.125', '0.100', '0.075']
    assert captions == (by_class if is_labelled else by_weight)
    assert all((tmp_path / path).exists() for path in PATHS)


@pytest.mark.parametrize('shape', [(), (1,), (2,)])
@pytest.mark.parametrize('are_classes', [False, True])
def test_means_of_values_and_points_have_their_weights(shape, are_classes):
    """Heights of lines and areas of discs are proportional to the weights."""
    mean, weight = np.arange(3.0 * np.prod(shape)).reshape(3, *shape), np.array([0.5, 0.3, 0.2])
    names = ['$a$', 'b', 'c'] if are_classes else [''] * 3
    figure = _means_figure.figure(mean, weight, names, Spec(shape, None, None), 'title')
    check_texts(figure)
    drawn = figure.axes[0].collections[0]
    if shape == (2,):
        np.testing.assert_allclose(drawn.get_sizes() / drawn.get_sizes()[0], weight / 0.5)
    else:
        heights = [segment[1, 1] for segment in drawn.get_segments()]
        np.testing.assert_allclose(heights, weight)


def test_means_of_a_table_have_no_figure(vae, tmp_path, caplog):
    caplog.set_level('INFO')
    ability = Components(None, False, lambda weights: (jnp.ones(1), jnp.zeros((1, 7))))
    structure.apply(of_spec(vae, Spec((7,), None, None), ability, folder=tmp_path))
    assert 'no figure' in caplog.text and not (tmp_path / PATHS[1]).exists()


def test_models_without_a_structure_are_refused(vae, complaint):
    line = complaint(perform, structure.APPLICATION, vae)
    assert 'has no dependence tree or mixture components or codebook' in line


def test_bad_options_raise_one_line(coded, complaint):
    assert '--num_images=0' in complaint(structure.apply, coded, num_images=0)
    assert '--num_codes=0' in complaint(structure.apply, coded, num_codes=0)
