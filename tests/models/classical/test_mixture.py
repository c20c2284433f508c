"""Mixtures and naive Bayes against enumeration, closed forms, scipy and scikit-learn."""

import itertools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.mixture
import sklearn.naive_bayes
from support import assembled, steps_on

from atelier.core import optimizers, train_step
from atelier.core.abilities import Classify, Inpaint, LogProb, Sample
from atelier.core.randomness import identity, rng_for
from atelier.data.dataset import Spec
from configs import naive_bayes
from models.classical import components
from models.classical.components import categorical
from models.classical.gaussian_components import Prior, diagonal_gaussian, full_gaussian
from models.classical.kmeans import distances, k_means_plus_plus, nearest_of
from models.classical.mixture import MixtureParts, mixture

BITS = Spec((3, 3), 2, None)
PLANE = Spec((2,), None, None)
LOOSE = Prior(0.0, 1.0, 1e-6)
GAUSSIANS = {
    'full': full_gaussian(LOOSE),
    'tied': full_gaussian(LOOSE, is_tied=True),
    'diag': diagonal_gaussian(LOOSE),
}


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def rng_of(n, seed=0):
    return rng_for(jax.random.PRNGKey(seed), jnp.arange(n), n)


def parts_of(components, spec, count=3, **more):
    return MixtureParts(components, count, spec, is_labelled=False, **more)


def steps_of(family, batch, count):
    """The initial State and the States after each of `count` steps on the same minibatch."""
    n = len(batch['x'])
    hypers = {'ema_half_life': jnp.zeros(())}
    state = train_step.init_state(family, optimizers.adam, jax.random.PRNGKey(3), batch, hypers)
    step = jax.jit(train_step.make_step(family.turns, optimizers.adam, n, identity, identity))
    states = [state]
    for _ in range(count):
        states.append(step(states[-1], [batch], jnp.arange(n))[0])
    return states


def nats_of(family, state, x):
    """log p(x) of each x [n, *event]."""
    x = jnp.asarray(x)
    return jax.jit(family.ability(LogProb).nats)(state.weights, {'x': x}, rng_of(len(x)))


def points(n=400, seed=0):
    rng = np.random.default_rng(seed)
    means = np.array([[0.0, 0.0], [3.0, 1.0], [-2.0, 4.0]])
    shape = np.array([[1.0, 0.6], [0.0, 0.5]])
    return means[rng.integers(0, 3, n)] + rng.normal(size=(n, 2)) @ shape


def images(n=200, seed=0):
    rng = np.random.default_rng(seed)
    probabilities = np.where(rng.integers(0, 2, n)[:, None], 0.8, 0.3)
    return (rng.random((n, 9)) < probabilities).reshape(n, 3, 3).astype(np.float64)


def all_images():
    return np.array([*itertools.product((0.0, 1.0), repeat=9)]).reshape(-1, 3, 3)


@pytest.mark.parametrize('levels', [2, pytest.param(3, marks=pytest.mark.slow)])
def test_probabilities_sum_to_one(levels):
    spec = Spec((2, 2), levels, None)
    batch = {'x': jnp.asarray(np.random.default_rng(0).integers(0, levels, (50, 2, 2)), float)}
    family = mixture(parts_of(categorical(levels, 0.1), spec))
    states = steps_of(family, batch, 3)
    all_events = np.array([*itertools.product(range(levels), repeat=4)], float).reshape(-1, 2, 2)
    nats = nats_of(family, states[-1], all_events)
    np.testing.assert_allclose(np.exp(nats).sum(), 1.0, rtol=1e-12)


@pytest.mark.parametrize(
    'kind',
    [kind if kind == 'full' else pytest.param(kind, marks=pytest.mark.slow) for kind in GAUSSIANS],
)
def test_em_is_that_of_scikit_learn(kind):
    """Equal likelihood from the same start after the same number of iterations."""
    x, iterations = points(), 7
    family = mixture(parts_of(GAUSSIANS[kind], PLANE))
    states = steps_of(family, {'x': jnp.asarray(x)}, iterations)
    params = jax.tree.map(np.asarray, states[0].params['model'])
    own = params['components']
    covariance = own.get('covariance')
    precisions = {
        'full': lambda: np.linalg.inv(covariance),
        'tied': lambda: np.linalg.inv(covariance[0]),
        'diag': lambda: 1 / own['variance'],
    }[kind]()
    reference = sklearn.mixture.GaussianMixture(
        3, covariance_type=kind, tol=0.0, reg_covar=0.0, max_iter=iterations,
        weights_init=np.exp(params['log_weights']), means_init=own['mean'],
        precisions_init=precisions,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # EM has not converged
        reference.fit(x)
    mean_log_prob_before = nats_of(family, states[-2], x).mean()
    np.testing.assert_allclose(mean_log_prob_before, reference.lower_bound_, rtol=1e-9)
    log_probs = nats_of(family, states[-1], x)
    np.testing.assert_allclose(log_probs, reference.score_samples(x), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    ('components', 'spec', 'data'),
    [
        (categorical(2, 0.0), BITS, images),
        pytest.param(
            full_gaussian(Prior(0.0, 1.0, 0.3)), PLANE, points, marks=pytest.mark.slow
        ),  # the variance floor is active
        pytest.param(diagonal_gaussian(LOOSE), PLANE, points, marks=pytest.mark.slow),
        pytest.param(full_gaussian(LOOSE, is_tied=True), PLANE, points, marks=pytest.mark.slow),
    ],
)
def test_em_never_decreases_the_likelihood(components, spec, data):
    family = mixture(parts_of(components, spec, count=5))
    x = jnp.asarray(data())
    states = steps_of(family, {'x': x}, 30)
    stacked_states = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    nats = np.asarray(jax.vmap(lambda state: nats_of(family, state, x).mean())(stacked_states))
    assert np.diff(nats).min() > -1e-12
    assert nats[-1] - nats[0] > 1e-3


@pytest.mark.slow
def test_a_component_on_one_point_keeps_its_variance():
    """Without a floor the likelihood of a mixture of Gaussians has no maximum."""
    x = np.concatenate([points(30), np.full((5, 2), 9.0)])
    family = mixture(parts_of(GAUSSIANS['full'], PLANE, count=4))
    states = steps_of(family, {'x': jnp.asarray(x)}, 20)
    covariance = states[-1].params['model']['components']['covariance']
    assert np.linalg.eigvalsh(covariance).min() >= 1e-6 * (1 - 1e-9)
    assert int(states[-1].step) == 20  # all were finite


@pytest.mark.parametrize(
    'kind',
    [
        'full',
        pytest.param('tied', marks=pytest.mark.slow),
        pytest.param('diag', marks=pytest.mark.slow),
    ],
)
def test_unknown_dimensions_are_marginalized(kind):
    """p(known) equals scipy's marginals, and is 1 if nothing is known."""
    x = np.random.default_rng(1).normal(size=(6, 4))
    data = np.random.default_rng(2).normal(size=(30, 4))
    components = GAUSSIANS[kind]
    weights = np.random.default_rng(3).dirichlet(np.ones(2), 30)
    params = components.maximize(components.statistics(jnp.asarray(data), jnp.asarray(weights)))
    known = np.random.default_rng(4).random((6, 4)) < 0.5
    known[0], known[1] = False, True
    log_probs = jax.jit(components.log_prob)(params, jnp.asarray(x), jnp.asarray(known))
    full_log_probs = jax.jit(components.log_prob)(params, jnp.asarray(x))
    mean = np.asarray(params['mean'])
    covariances = params['variance'] if kind == 'diag' else params['covariance']
    matrices = (
        [np.diag(v) for v in covariances]
        if kind == 'diag'
        else np.broadcast_to(covariances, (2, 4, 4))
    )
    for i, (row, mask) in enumerate(zip(x, known, strict=True)):
        for k in range(2):
            if not mask.any():
                assert log_probs[i, k] == pytest.approx(0.0, abs=1e-12)
                continue
            part = matrices[k][np.ix_(mask, mask)]
            expected = scipy.stats.multivariate_normal(mean[k][mask], part).logpdf(row[mask])
            np.testing.assert_allclose(log_probs[i, k], expected, rtol=1e-9)
    np.testing.assert_allclose(log_probs[1], full_log_probs[1], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize('kind', GAUSSIANS)
def test_hidden_values_are_drawn_from_their_conditional(kind):
    """Against the moments of a mixture's p(x_2 | x_1), by quadrature."""
    family = mixture(parts_of(GAUSSIANS[kind], PLANE))
    states = steps_of(family, {'x': jnp.asarray(points())}, 10)
    n, known_value = 40_000, 1.0
    batch = {
        'x': jnp.broadcast_to(jnp.asarray([known_value, np.nan]), (n, 2)),
        'known': jnp.broadcast_to(jnp.asarray([True, False]), (n, 2)),
    }
    weights = states[-1].weights
    samples = np.asarray(jax.jit(family.ability(Inpaint).fill)(weights, batch, rng_of(n)))
    assert (samples[:, 0] == known_value).all()
    grid = np.linspace(-10, 12, 4001)
    line = np.stack([np.full(len(grid), known_value), grid], -1)
    density = np.exp(nats_of(family, states[-1], line))
    density /= density.sum()
    mean = density @ grid
    deviation = np.sqrt(density @ (grid - mean) ** 2)
    assert abs(samples[:, 1].mean() - mean) < 4 * deviation / np.sqrt(n)
    assert samples[:, 1].std() == pytest.approx(deviation, rel=0.02)


def test_hidden_levels_are_drawn_from_their_conditional():
    family = mixture(parts_of(categorical(2, 0.5), BITS))
    states = steps_of(family, {'x': jnp.asarray(images())}, 10)
    weights, n = states[-1].weights, 20_000
    known = np.zeros((3, 3), bool)
    known[:2] = True
    known_image = images(1, seed=5)[0]
    batch = {
        'x': jnp.broadcast_to(jnp.where(known, known_image, 0.5), (n, 3, 3)),
        'known': jnp.broadcast_to(jnp.asarray(known), (n, 3, 3)),
    }
    samples = np.asarray(jax.jit(family.ability(Inpaint).fill)(weights, batch, rng_of(n)))
    assert (samples[:, :2] == known_image[:2]).all()
    completions = all_images()
    completions = completions[(completions[:, :2] == known_image[:2]).all((1, 2))]
    probabilities = np.exp(nats_of(family, states[-1], completions))
    probabilities /= probabilities.sum()
    shares = [(samples == completion).all((1, 2)).mean() for completion in completions]
    np.testing.assert_allclose(shares, probabilities, atol=4 * np.sqrt(0.25 / n))


def samples_of(family, state, n, condition=None):
    draw = jax.jit(lambda weights: family.ability(Sample).draw(weights, rng_of(n), condition))
    return np.asarray(draw(state.weights))


@pytest.mark.parametrize(
    'kind',
    [pytest.param(k, marks=[] if k == 'tied' else pytest.mark.slow) for k in GAUSSIANS],
)
def test_samples_of_gaussians_are_of_the_mixture(kind):
    """Projected onto several directions, samples match the CDF of the density."""
    family, n = mixture(parts_of(GAUSSIANS[kind], PLANE)), 20_000
    state = steps_of(family, {'x': jnp.asarray(points())}, 10)[-1]
    samples = samples_of(family, state, n)
    axis = np.linspace(-9, 13, 300)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    density = np.exp(nats_of(family, state, grid))
    for direction in ((1, 0), (0, 1), (1, 1), (1, -1)):
        along = grid @ direction
        order = along.argsort()
        cdf = np.cumsum(density[order]) / density.sum()
        edges = np.interp(np.linspace(0.02, 0.98, 25), cdf, along[order])
        shares = (samples @ direction <= edges[:, None]).mean(1)
        expected = np.interp(edges, along[order], cdf)
        np.testing.assert_allclose(shares, expected, atol=4 * np.sqrt(0.25 / n) + 0.005)


@pytest.mark.parametrize('is_labelled', [False, True])
def test_samples_of_levels_are_of_the_mixture(is_labelled):
    """Frequencies of all 512 images; for naive Bayes, given a label."""
    n, events = 40_000, all_images()
    batch = {'x': jnp.asarray(images()), 'label': jnp.arange(len(images())) % 3}
    label = jnp.full(n, 2) if is_labelled else None
    parts = MixtureParts(categorical(2, 0.5), 3, BITS._replace(num_classes=3), is_labelled)
    family = mixture(parts)
    state = steps_of(family, batch, 10)[-1]
    labelled_events = {'x': jnp.asarray(events), 'label': jnp.full(len(events), 2)}
    probabilities = np.exp(
        jax.jit(family.ability(LogProb).nats)(state.weights, labelled_events, rng_of(len(events)))
    )
    samples = samples_of(family, state, n, label if label is None else {'label': label})
    sample_indices = samples.reshape(n, 9).astype(int) @ (1 << np.arange(9))
    shares = np.bincount(sample_indices, minlength=512) / n
    event_indices = events.reshape(-1, 9).astype(int) @ (1 << np.arange(9))
    np.testing.assert_allclose(shares[event_indices], probabilities, atol=1e-3, rtol=0.2)


def test_naive_bayes_is_that_of_scikit_learn(tmp_path):
    """One step on all digits: class log probabilities and log p(x | label)."""
    run = assembled(tmp_path, 'naive_bayes', 'digits')
    x = np.asarray(run.data.splits['train']['x'], np.float64)
    label = np.asarray(run.data.splits['train']['label'], np.int32)
    batch = {'x': jnp.asarray(x), 'label': jnp.asarray(label)}
    states = steps_of(run.family, batch, 1)
    weights = states[-1].weights
    reference = sklearn.naive_bayes.CategoricalNB(alpha=1.0, min_categories=17).fit(
        x.reshape(len(x), -1), label
    )
    test_x = np.asarray(run.data.splits['test']['x'], np.float64)
    logits = np.asarray(
        jax.jit(run.family.ability(Classify).logits)(
            weights, {'x': jnp.asarray(test_x)}, rng_of(447)
        )
    )
    expected = reference.predict_joint_log_proba(test_x.reshape(447, -1))
    # scikit-learn does not smooth class frequencies
    log_prior_difference = (
        np.log((np.bincount(label) + 1.0) / (len(label) + 10.0)) - reference.class_log_prior_
    )
    np.testing.assert_allclose(logits, expected + log_prior_difference, rtol=1e-9)


@pytest.mark.slow
def test_cross_entropy_is_over_classes_with_training_examples():
    """Class 0 has none; far from the data its component would otherwise be the most probable."""
    spec, rng = Spec((64,), 2, 3, left_out=(0,)), np.random.default_rng(0)
    label = np.arange(1000) % 2 + 1
    x = (rng.random((1000, 64)) < np.where(label == 1, 0.01, 0.02)[:, None]).astype(float)
    parts = MixtureParts(categorical(2, 1.0), 3, spec, is_labelled=True, pseudo_count=1.0)
    family = mixture(parts)
    state = steps_of(family, {'x': jnp.asarray(x), 'label': jnp.asarray(label)}, 1)[-1]
    p = np.stack([(x[label == k].sum(0) + 1) / (np.sum(label == k) + 2) for k in (1, 2)])
    far, truth = np.concatenate([np.ones((4, 64)), x[:4]]), np.array([1, 2] * 4)
    joint = far @ np.log(p).T + (1 - far) @ np.log(1 - p).T + np.log(0.5)
    expected = scipy.special.logsumexp(joint, 1) - joint[np.arange(8), truth - 1]
    metrics = family.metrics(
        state.weights, {'x': jnp.asarray(far), 'label': jnp.asarray(truth)}, rng_of(8)
    )
    np.testing.assert_allclose(metrics['cross_entropy_nats'], expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize('levels', [2, pytest.param(4, marks=pytest.mark.slow)])
def test_gradients_in_levels_are_differences_of_neighbours(levels):
    components = categorical(levels, 0.5)
    x = jnp.asarray(np.random.default_rng(0).integers(0, levels, (60, 3)), float)
    weights = jnp.asarray(np.random.default_rng(1).dirichlet(np.ones(2), 60))
    params = components.maximize(components.statistics(x, weights))
    gradients = jax.vmap(jax.grad(lambda row: components.log_prob(params, row[None])[0, 1]))(x)
    for row, slopes in zip(np.asarray(x, int)[:10], gradients[:10], strict=True):
        for dim, level in enumerate(row):
            low, high = max(level - 1, 0), min(level + 1, levels - 1)
            log_probs = np.asarray(params['log_probs'])[1, dim]
            expected = (log_probs[high] - log_probs[low]) / (high - low)
            assert slopes[dim] == pytest.approx(expected, rel=1e-9)


def test_gaussian_naive_bayes_is_that_of_scikit_learn():
    x, label = points(), np.random.default_rng(0).integers(0, 3, 400).astype(np.int32)
    x[label == 1] += 2.0
    spec = PLANE._replace(num_classes=3)
    family = mixture(MixtureParts(GAUSSIANS['diag'], 3, spec, is_labelled=True, forgetting=1.0))
    batch = {'x': jnp.asarray(x), 'label': jnp.asarray(label)}
    states = steps_of(family, batch, 2)
    reference = sklearn.naive_bayes.GaussianNB(var_smoothing=0.0).fit(x, label)
    weights = states[-1].weights
    logits = jax.jit(family.ability(Classify).logits)(weights, batch, rng_of(400))
    np.testing.assert_allclose(logits, reference.predict_joint_log_proba(x), rtol=1e-9)
    log_probs = jax.jit(family.ability(LogProb).nats)(weights, batch, rng_of(400))
    expected = reference.predict_joint_log_proba(x) - np.log(reference.class_prior_)
    np.testing.assert_allclose(log_probs, expected[np.arange(400), label], rtol=1e-9)


@pytest.mark.parametrize(
    'kind',
    [
        pytest.param('full', marks=pytest.mark.slow),
        'diag',
        pytest.param('tied', marks=pytest.mark.slow),
    ],
)
def test_minibatches_of_an_epoch_are_the_whole(kind):
    """With forgetting 1, pooled moments of the parts equal the moments of the whole."""
    components, x = GAUSSIANS[kind], jnp.asarray(points())
    weights = jnp.asarray(np.random.default_rng(0).dirichlet(np.ones(3), len(x)))
    whole = components.statistics(x, weights)
    parts = [components.statistics(x[i::4], weights[i::4]) for i in range(4)]
    together = components.pooled(jax.tree.map(lambda *p: jnp.stack(p), *parts), jnp.ones(4))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), together, whole)


def test_k_means_plus_plus_prefers_far_points():
    """Second centres have probability proportional to the squared distance from the first."""
    x = jnp.asarray([[0.0], [1.0], [2.0]])
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(
        jax.random.PRNGKey(0), jnp.arange(30_000)
    )
    chosen = np.asarray(jax.jit(jax.vmap(lambda key: k_means_plus_plus(key, x, 2)))(keys))[..., 0]
    np.testing.assert_allclose([(chosen[:, 0] == i).mean() for i in range(3)], 1 / 3, atol=0.015)
    second_centres = chosen[chosen[:, 0] == 0, 1]
    assert not (second_centres == 0).any()
    assert (second_centres == 2).mean() == pytest.approx(0.8, abs=0.02)


def test_clusters_are_the_nearest():
    x = jnp.asarray(points())
    members = np.asarray(nearest_of(jax.random.PRNGKey(0), x, 3, 20))
    assert (members.sum(1) == 1).all()
    centres = (members.T @ x) / members.sum(0)[:, None]
    assert (np.argmin(distances(x, centres), -1) == members.argmax(-1)).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'change'),
    [
        pytest.param('mixture', {}, marks=pytest.mark.slow),
        pytest.param(
            'mixture',
            dict(data__dequantize='uniform', model__forgetting=0.6),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            'mixture',
            dict(data__dequantize='uniform', model__covariance='tied'),
            marks=pytest.mark.slow,
        ),
        ('naive_bayes', {}),
    ],
)
def test_the_device_count_makes_no_difference(tmp_path, name, change):
    with jax.enable_x64(False):
        run = assembled(tmp_path, name, **change)
        one, many = (steps_on(run, n, 4) for n in (1, 8))
    for (state, report), (other_state, other_report) in zip(one, many, strict=True):
        jax.tree.map(
            lambda *leaves: np.testing.assert_allclose(*leaves, rtol=2e-3, atol=2e-3),
            state.params,
            other_state.params,
        )
        np.testing.assert_allclose(report['loss'], other_report['loss'], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ('name', 'change', 'message'),
    [
        ('mixture', dict(model__num_components=0), 'config.model.num_components=0'),
        ('mixture', dict(model__components='gaussian'), 'is a density of real values'),
        ('mixture', dict(model__components='poisson'), 'config.model.components'),
        ('mixture', dict(model__forgetting=2.0), 'from 0 to 1'),
        ('mixture', dict(model__pseudo_count=-1.0), 'config.model.pseudo_count=-1.0'),
        ('mixture', dict(data__dequantize='uniform', model__covariance='round'), 'covariance'),
        ('mixture', dict(data__dequantize='uniform', model__variance_floor=0.0), 'above 0'),
        ('mixture', dict(data__dequantize='uniform', model__components='categorical'), 'levels'),
    ],
)
def test_bad_settings_end_in_one_line(tmp_path, complaint, name, change, message):
    assert message in complaint(assembled, tmp_path, name, **change)


def test_naive_bayes_needs_labels(complaint):
    assert 'configs/mixture.py' in complaint(naive_bayes.build, naive_bayes.get_config(), BITS)


@pytest.mark.parametrize('size', [1, 4, 5])
def test_blocks_of_dimensions_change_nothing(size, monkeypatch):
    """Statistics, likelihoods and their slopes, with blocks that do and do not divide 9 dims."""
    kind, rng = categorical(5, 0.5), np.random.default_rng(0)
    x = jnp.asarray(rng.integers(0, 5, (7, 9)), jnp.float64)
    known = jnp.asarray(rng.random((7, 9)) < 0.6)
    weights = jnp.asarray(rng.random((7, 3)))

    def results():
        stats = kind.statistics(x, weights)
        params = kind.maximize(stats)
        total = lambda x: kind.log_prob(params, x).sum()
        whole, part = kind.log_prob(params, x), kind.log_prob(params, x, known)
        return stats, whole, part, jax.grad(total)(x)

    expected = results()
    monkeypatch.setattr(components, 'MAX_ONE_HOT', size * 7 * 4)
    assert components.block_size(x, 5) == size
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), results(), expected)
