"""losses/elbo.py against closed forms, quadrature, enumeration and SciPy."""

import decimal
import functools
import itertools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from losses import elbo

pytestmark = pytest.mark.usefixtures('strict_promotion')

checked = settings(max_examples=25, deadline=None, derandomize=True, database=None)

kl_standard_normal = jax.jit(elbo.kl_standard_normal)
kl_diagonal_gaussians = jax.jit(elbo.kl_diagonal_gaussians)
gaussian = jax.jit(elbo.diagonal_gaussian_log_prob)
bernoulli = jax.jit(elbo.bernoulli_log_prob)
categorical = jax.jit(elbo.categorical_log_prob)
binomial = jax.jit(elbo.binomial_log_prob, static_argnames='num_trials')
logistic_mixture = jax.jit(elbo.discretized_logistic_mixture_log_prob, static_argnames='levels')
importance_weighted_bound = jax.jit(elbo.importance_weighted_bound)


def in_float64(test):
    @functools.wraps(test)
    def wrapped(*args, **kwargs):
        with jax.enable_x64(True):
            return test(*args, **kwargs)

    return wrapped


def arrays(*values):
    return [jnp.asarray(value, jnp.result_type(float)) for value in values]


def rows_of(parameter, count):
    """Repeats the parameters for each of `count` examples."""
    return jnp.broadcast_to(parameter, (count, *parameter.shape))


def normal_nodes(mean, log_var, nodes=80):
    """Points and weights of Gauss-Hermite quadrature under a one-dimensional Gaussian."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return mean + np.exp(0.5 * log_var) * points, weights / weights.sum()


# Divergences

MEANS = st.floats(-5, 5, width=32)
LOG_VARS = st.floats(-8, 4, width=32)


@in_float64
@pytest.mark.parametrize('mean_q, log_var_q', [(0.0, 0.0), (1.5, -1.0), (-3.0, 1.0), (0.2, -9.0)])
@pytest.mark.parametrize('mean_p, log_var_p', [(0.0, 0.0), (0.5, 1.0), (-1.0, -2.0)])
def test_kl_equals_quadrature(mean_q, log_var_q, mean_p, log_var_p):
    points, weights = normal_nodes(mean_q, log_var_q)
    log_q = scipy.stats.norm.logpdf(points, mean_q, np.exp(log_var_q / 2))
    log_p = scipy.stats.norm.logpdf(points, mean_p, np.exp(log_var_p / 2))
    expected = np.sum(weights * (log_q - log_p))
    q, p = arrays([[mean_q]], [[log_var_q]]), arrays([[mean_p]], [[log_var_p]])
    np.testing.assert_allclose(kl_diagonal_gaussians(*q, *p)[0], expected, rtol=1e-9, atol=1e-9)
    if (mean_p, log_var_p) == (0.0, 0.0):
        np.testing.assert_allclose(kl_standard_normal(*q)[0], expected, rtol=1e-9, atol=1e-9)


def test_kl_equals_monte_carlo():
    """In three dimensions, within five standard errors of 100,000 samples (about 0.03 nats)."""
    rng = np.random.default_rng(0)
    mean_q, log_var_q, mean_p, log_var_p = rng.normal(size=(4, 3))
    z = mean_q + np.exp(0.5 * log_var_q) * rng.normal(size=(100_000, 3))
    log_q = scipy.stats.norm.logpdf(z, mean_q, np.exp(log_var_q / 2)).sum(axis=1)
    for mean, log_var in [(mean_p, log_var_p), (np.zeros(3), np.zeros(3))]:
        log_ratio = log_q - scipy.stats.norm.logpdf(z, mean, np.exp(log_var / 2)).sum(axis=1)
        error = log_ratio.std() / np.sqrt(len(z))
        actual = kl_diagonal_gaussians(*arrays([mean_q], [log_var_q], [mean], [log_var]))
        assert abs(actual[0] - log_ratio.mean()) < 5 * error < 0.1
    # The loop ends with the standard normal.
    standard = kl_standard_normal(*arrays([mean_q], [log_var_q]))
    assert abs(standard[0] - log_ratio.mean()) < 5 * error


@checked
@given(st.lists(st.tuples(MEANS, LOG_VARS, MEANS, LOG_VARS), min_size=3, max_size=3))
def test_kl_is_not_negative_and_zero_for_equals(parameters):
    mean_q, log_var_q, mean_p, log_var_p = arrays(*np.moveaxis([parameters], -1, 0))
    divergence = kl_diagonal_gaussians(mean_q, log_var_q, mean_p, log_var_p)[0]
    to_standard = kl_standard_normal(mean_q, log_var_q)[0]
    # The means alone give a lower bound: unequal variances only add to the divergence.
    distance = jnp.square(mean_q - mean_p) * jnp.exp(-log_var_p)
    assert divergence >= 0.5 * jnp.sum(distance) * (1 - 1e-5) - 1e-6
    assert to_standard >= 0.5 * jnp.sum(jnp.square(mean_q)) * (1 - 1e-5) - 1e-6
    np.testing.assert_allclose(kl_diagonal_gaussians(mean_q, log_var_q, mean_q, log_var_q), [0])


@checked
@given(st.lists(st.tuples(MEANS, LOG_VARS), min_size=3, max_size=3))
def test_kl_to_standard_normal_is_a_special_case(parameters):
    mean, log_var = arrays(*np.moveaxis([parameters], -1, 0))
    zeros = jnp.zeros_like(mean)
    general = kl_diagonal_gaussians(mean, log_var, zeros, zeros)
    np.testing.assert_allclose(kl_standard_normal(mean, log_var), general, rtol=1e-6, atol=1e-7)


def test_kl_keeps_its_digits_near_zero():
    """1/2 (exp(v) - 1 - v) is v^2/4 for small v; exp(v) - 1 in float32 would give noise here."""
    log_var = jnp.full((1, 1), 0.01)
    expected = 0.5 * (np.expm1(0.01) - 0.01)
    np.testing.assert_allclose(kl_standard_normal(0 * log_var, log_var), [expected], rtol=1e-4)


# Observation models


@in_float64
@checked
@given(st.floats(-5, 5), st.one_of(st.sampled_from([-60.0, 60.0]), st.floats(-20, 20)))
def test_gaussian_integrates_to_one(shift, log_var):
    """Trapezoid rule over 12 standard deviations on both sides of the mean."""
    deviations = np.linspace(-12, 12, 401)
    scale = np.exp(0.5 * log_var)
    x, mean = arrays(deviations[:, None] * scale + shift * scale, [shift * scale])
    log_density = gaussian(x, rows_of(mean, 401), jnp.full((401, 1), log_var))
    np.testing.assert_allclose(np.trapezoid(np.exp(log_density), x[:, 0]), 1, rtol=1e-8)


def test_gaussian_equals_scipy():
    x, mean, log_var = arrays(*np.random.default_rng(0).normal(size=(3, 4, 2, 3)))
    expected = scipy.stats.norm.logpdf(x, mean, np.exp(log_var / 2)).sum(axis=(1, 2))
    np.testing.assert_allclose(gaussian(x, mean, log_var), expected, rtol=1e-5)


def all_events(levels, size):
    """Every event of `size` elements with `levels` discrete values, one per row."""
    return jnp.asarray(list(itertools.product(range(levels), repeat=size)), jnp.float32)


def assert_sums_to_one(log_probs, rtol=1e-4):
    np.testing.assert_allclose(np.sum(np.exp(np.float64(log_probs))), 1, rtol=rtol)


LOGITS = st.one_of(st.sampled_from([-1e4, -100.0, 100.0, 1e4]), st.floats(-20, 20, width=32))
PAIR = st.tuples(LOGITS, LOGITS)


@checked
@given(PAIR)
def test_bernoulli_sums_to_one(logits):
    events = all_events(2, 2)
    assert_sums_to_one(bernoulli(events, rows_of(jnp.asarray(logits, jnp.float32), len(events))))


@checked
@given(st.lists(st.tuples(LOGITS, LOGITS, LOGITS), min_size=2, max_size=2))
def test_categorical_sums_to_one(logits):
    events = all_events(3, 2)
    assert_sums_to_one(categorical(events, rows_of(jnp.asarray(logits, jnp.float32), len(events))))


@checked
@given(PAIR)
def test_binomial_sums_to_one(logits):
    events = all_events(17, 2)
    logits = rows_of(jnp.asarray(logits, jnp.float32), len(events))
    assert_sums_to_one(binomial(events, logits, num_trials=16))


def test_bernoulli_equals_scipy():
    rng = np.random.default_rng(0)
    x, logits = arrays(rng.integers(2, size=(4, 2, 3)), rng.normal(size=(4, 2, 3)) * 3)
    expected = scipy.stats.bernoulli.logpmf(x, scipy.special.expit(np.float64(logits)))
    np.testing.assert_allclose(bernoulli(x, logits), expected.sum(axis=(1, 2)), rtol=1e-5)


def test_bernoulli_keeps_its_digits_when_sure():
    """log(1 - e^-20) is -2e-9, which x * logits - softplus(logits) would round to 0."""
    actual = bernoulli(jnp.ones((1, 1)), jnp.full((1, 1), 20.0))
    np.testing.assert_allclose(actual, [-np.log1p(np.exp(-20.0))], rtol=1e-5)


@pytest.mark.parametrize('logit', [-3.0, 0.0, 1e-20, 2.0])
def test_slopes_are_those_of_the_logarithm_also_at_zero(logit):
    """The gradient x - n sigmoid(l) also at l = 0, where zero-initialized output layers start."""
    x, logits = jnp.asarray([[0.0], [1.0]]), jnp.full((2, 1), logit)
    expected = np.asarray([[0.0], [1.0]]) - scipy.special.expit(logit)
    slope = jax.grad(lambda logits: bernoulli(x, logits).sum())(logits)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)
    slope = jax.grad(lambda logits: binomial(4 * x, logits, num_trials=4).sum())(logits)
    np.testing.assert_allclose(slope, 4 * expected, rtol=1e-6)


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.int32, jnp.uint8])
def test_categorical_equals_numpy(dtype):
    rng = np.random.default_rng(0)
    x, logits = rng.integers(5, size=(4, 2, 3)), rng.normal(size=(4, 2, 3, 5))
    log_probs = np.log(np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True))
    expected = np.take_along_axis(log_probs, x[..., None], axis=-1).sum(axis=(1, 2, 3))
    actual = categorical(jnp.asarray(x, dtype), *arrays(logits))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.int32, jnp.uint8])
@pytest.mark.parametrize('num_trials', [1, 16, 300])
def test_binomial_equals_scipy(num_trials, dtype):
    """Summed over the 100 pixels of an image."""
    rng = np.random.default_rng(0)
    x = rng.integers(min(num_trials, 255) + 1, size=(2, 10, 10))  # within uint8
    logits = rng.normal(size=(2, 10, 10))
    expected = scipy.stats.binom.logpmf(x, num_trials, scipy.special.expit(logits))
    actual = binomial(jnp.asarray(x, dtype), *arrays(logits), num_trials=num_trials)
    np.testing.assert_allclose(actual, expected.sum(axis=(1, 2)), rtol=2e-6)


def test_binomial_coefficient_is_exact_to_float32():
    """At 255 trials, where a difference of float32 lgamma is off by 1e-4 nats in every pixel."""
    x = jnp.arange(256.0)[:, None]
    coefficients = binomial(x, jnp.zeros((256, 1)), num_trials=255) + 255 * np.log(2)
    expected = scipy.stats.binom.logpmf(np.arange(256), 255, 0.5) + 255 * np.log(2)
    np.testing.assert_allclose(coefficients, expected, atol=4e-5)


@pytest.mark.parametrize(
    'levels',
    [
        129,
        pytest.param(130, marks=pytest.mark.slow),
        pytest.param(256, marks=pytest.mark.slow),
        pytest.param(4096, marks=pytest.mark.slow),
        65536,
    ],
)
@pytest.mark.parametrize('logit', [-12.0, -3.0, 0.0, 1e-3, 0.7, 8.0])
def test_a_binomial_of_many_levels_is_right_in_float32(levels, logit):
    x, trials = jnp.arange(levels), levels - 1
    actual = binomial(x[:, None], jnp.full((levels, 1), logit), num_trials=trials)
    share = scipy.special.expit(np.float64(np.float32(logit)))
    expected = scipy.stats.binom.logpmf(np.arange(levels), trials, share)
    assert scipy.special.logsumexp(np.float64(actual)) == pytest.approx(0, abs=5e-6)
    np.testing.assert_allclose(actual, expected, rtol=3e-6, atol=5e-6)


@pytest.mark.parametrize('shift', [0.0, 1e-3, -0.4999, 0.5, -3.0, 49.0, -51.0, 1e4, -1e4])
@pytest.mark.parametrize('x', [0, 1, 500, 999, 1000])
def test_slopes_of_a_binomial_of_many_trials(x, shift):
    """The gradient x - n sigmoid(l), also where the formula changes."""
    logit = np.float32(np.log((x + 0.1) / (1000.1 - x)) + shift)
    args = jnp.asarray([[x]]), jnp.asarray([[logit]])
    slope = jax.grad(lambda logits: binomial(args[0], logits, num_trials=1000).sum())(args[1])
    expected = x - 1000 * scipy.special.expit(np.float64(logit))
    np.testing.assert_allclose(slope, [[expected]], rtol=1e-5, atol=2e-4)


@pytest.mark.parametrize('log_scale', [-9.0, -6.0, -2.0, 1.0])
def test_a_logistic_mixture_of_many_levels_sums_to_one(log_scale):
    x = jnp.arange(2.0**16)[:, None]
    parameters = [
        rows_of(jnp.asarray(values, jnp.float32)[None], len(x))
        for values in ([0.3, -0.2], [-0.999, 0.8], [log_scale, log_scale + 0.5])
    ]
    actual = np.float64(logistic_mixture(x, *parameters, levels=2**16))
    assert scipy.special.logsumexp(actual) == pytest.approx(0, abs=5e-6)


def test_arrays_without_a_batch_axis_are_refused():
    with pytest.raises((ValueError, jaxtyping.TypeCheckError)):
        elbo.bernoulli_log_prob(jnp.ones(()), jnp.ones(()))


def test_levels_that_do_not_exist_give_nan():
    assert np.isnan(categorical(jnp.full((1, 1), 3.0), jnp.zeros((1, 1, 3))))
    assert np.isnan(binomial(jnp.full((1, 1), 17.0), jnp.zeros((1, 1)), num_trials=16))


def test_counts_that_make_no_sense_are_refused():
    one, components = jnp.zeros((1, 1)), jnp.zeros((1, 1, 2))
    with pytest.raises(ValueError, match='num_trials is 0'):
        elbo.binomial_log_prob(one, one, 0)
    with pytest.raises(ValueError, match='levels is 1'):
        elbo.discretized_logistic_mixture_log_prob(one, components, components, components, 1)
    with pytest.raises(ValueError, match=r'log_weights has shape \(0, 1\)'):
        elbo.importance_weighted_bound(jnp.zeros((0, 1)))


# Mixture of discretised logistics

COMPONENT = st.tuples(
    LOGITS,
    st.one_of(st.sampled_from([-1e4, -1.0, 1.0, 1e4]), st.floats(-2, 2, width=32)),
    st.one_of(st.sampled_from([-1e4, -60.0, 60.0, 1e4]), st.floats(-12, 8, width=32)),
)


@checked
@given(st.lists(st.tuples(COMPONENT, COMPONENT), min_size=2, max_size=2), st.sampled_from([2, 16]))
def test_logistic_mixture_sums_to_one(components, levels):
    events = all_events(levels, 2)
    parameters = np.moveaxis(np.asarray(components, np.float32), -1, 0)
    parameters = [rows_of(jnp.asarray(parameter), len(events)) for parameter in parameters]
    assert_sums_to_one(logistic_mixture(events, *parameters, levels=levels))


@in_float64
@checked
@given(st.tuples(COMPONENT, COMPONENT))
def test_logistic_mixture_sums_to_one_in_float64(components):
    levels = jnp.arange(256.0)[:, None]
    parameters = [rows_of(jnp.asarray(p), 256) for p in np.moveaxis([components], -1, 0)]
    assert_sums_to_one(logistic_mixture(levels, *parameters, levels=256), rtol=1e-9)


def exact_log_mass(level, mean, log_scale, levels):
    """log(CDF(level + 1/2) - CDF(level - 1/2)), computed directly with 600 digits."""
    with decimal.localcontext(prec=600):
        inverse_scale = (-decimal.Decimal(float(log_scale))).exp()

        def cdf(bin_edge):
            if bin_edge < 0 or bin_edge > levels - 1:
                return decimal.Decimal(int(bin_edge > 0))
            position = decimal.Decimal(2 * bin_edge) / (levels - 1) - 1
            return 1 / (1 + (-(position - decimal.Decimal(float(mean))) * inverse_scale).exp())

        return float((cdf(level + 0.5) - cdf(level - 0.5)).ln())


def exact_log_prob(level, mixture_logits, means, log_scales, levels):
    components = zip(means, log_scales, strict=True)
    masses = [exact_log_mass(level, mean, log_scale, levels) for mean, log_scale in components]
    logits = np.float64(mixture_logits)
    return np.logaddexp.reduce(logits + masses) - np.logaddexp.reduce(logits)


# PixelCNN++ clips log_scale at -7, a scale of a quarter of half a bin of 256 levels.
SCALES = {'ordinary': (-2.0, -3.0), 'narrow': (-5.0, -6.0), 'wide': (8.0, 3.0), 'floor': (-7, -6.5)}


@pytest.mark.parametrize('levels', [2, pytest.param(16, marks=pytest.mark.slow), 256])
@pytest.mark.parametrize('log_scales', SCALES.values(), ids=SCALES)
def test_logistic_mixture_equals_exact_arithmetic(levels, log_scales):
    """Holds far from the means too, where masses below e^-700 make CDF differences 0."""
    x = np.unique(np.linspace(0, levels - 1, 6).round())
    logits, means = np.array([0.5, -1.0]), np.array([0.25, -0.75])
    expected = [exact_log_prob(level, logits, means, log_scales, levels) for level in x]
    parameters = [rows_of(p[None], len(x)) for p in arrays(logits, means, log_scales)]
    actual = logistic_mixture(*arrays(x[:, None]), *parameters, levels=levels)
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=1e-5)
    if levels == 256 and log_scales == SCALES['floor']:
        assert min(expected) < -200


def test_logistic_mixture_sums_over_elements_and_takes_integers():
    rng = np.random.default_rng(0)
    x = rng.integers(16, size=(2, 3))
    parameters = rng.normal(size=(3, 2, 3, 2)).astype(np.float32)
    expected = [
        sum(exact_log_prob(x[i, j], *parameters[:, i, j], 16) for j in range(3)) for i in range(2)
    ]
    for dtype in (jnp.float32, jnp.int32, jnp.uint8):
        actual = logistic_mixture(jnp.asarray(x, dtype), *arrays(*parameters), levels=16)
        np.testing.assert_allclose(actual, expected, rtol=1e-5)


@jax.jit
def total_log_prob(parameters, x):
    return jnp.sum(logistic_mixture(x, *parameters, levels=256))


def numerical_gradient(function, argument, step=1e-6):
    """Central differences with respect to each element of an array."""
    slopes = np.zeros(argument.shape)
    for index in np.ndindex(argument.shape):
        shift = np.zeros(argument.shape)
        shift[index] = step
        slopes[index] = (function(argument + shift) - function(argument - shift)) / (2 * step)
    return slopes


@in_float64
@pytest.mark.parametrize('log_scales', SCALES.values(), ids=SCALES)
def test_logistic_mixture_gradient_equals_finite_differences(log_scales):
    x = jnp.array([[0.0], [15.0], [3.0], [200.0], [254.0], [255.0]])
    one_row = np.array([[0.5, -1.0], [0.25, -0.75], log_scales])
    parameters = np.tile(one_row[:, None, None], (1, len(x), 1, 1))
    expected = numerical_gradient(lambda argument: total_log_prob(argument, x), parameters)
    slopes = jax.jit(jax.grad(total_log_prob))(jnp.asarray(parameters), x)
    np.testing.assert_allclose(slopes, expected, rtol=1e-5, atol=1e-5)


# Bounds


@pytest.mark.parametrize('beta, expected', [(0.0, [-3.0, -5.0]), (1.0, [-5, -4]), (4.0, [-11, -1])])
def test_beta_weights_the_divergence(beta, expected):
    log_likelihood, divergence = jnp.array([-3.0, -5.0]), jnp.array([2.0, -1.0])
    for weight in (beta, jnp.float32(beta)):
        np.testing.assert_allclose(elbo.elbo(log_likelihood, divergence, weight), expected)


def test_importance_weighted_bound_of_one_sample_is_its_weight():
    log_weights = jnp.array([[-3.0, 0.0, 1e4]])
    np.testing.assert_array_equal(importance_weighted_bound(log_weights), log_weights[0])


@pytest.mark.parametrize('offset', [0.0, -1e4, 1e4])
def test_importance_weighted_bound_equals_numpy(offset):
    log_weights = np.random.default_rng(0).normal(size=(7, 5)) * 10 + offset
    expected = np.logaddexp.reduce(log_weights, axis=0) - np.log(7)
    actual = importance_weighted_bound(*arrays(log_weights))
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-5)


# Probabilistic PCA with orthogonal columns (Tipping & Bishop, 1999): its posterior is a diagonal
# Gaussian, so the whole chain of functions can be held against the known log p(x).

WEIGHTS = np.array([[1.0, 0.5], [-0.5, 1.0], [0.8, -0.4], [0.4, 0.8]])
OFFSET = np.array([0.3, -1.0, 0.5, 2.0])
NOISE = 0.4
X = np.array([1.0, 0.2, -0.7, 1.1])


def evidence():
    covariance = WEIGHTS @ WEIGHTS.T + NOISE * np.eye(4)
    return scipy.stats.multivariate_normal.logpdf(X, OFFSET, covariance)


def posterior():
    """Mean and log variance of p(z | x)."""
    precision = 1 + np.sum(WEIGHTS**2, axis=0) / NOISE
    return arrays(WEIGHTS.T @ (X - OFFSET) / NOISE / precision, -np.log(precision))


def wrong_posterior():
    mean, log_var = posterior()
    return mean + jnp.array([0.3, -0.2]), log_var + jnp.array([0.8, 0.3])


def log_likelihood(z):
    """log p(x | z) of the single x for each row of z."""
    mean = z @ jnp.asarray(WEIGHTS.T) + rows_of(jnp.asarray(OFFSET), len(z))
    x, log_var = rows_of(jnp.asarray(X), len(z)), jnp.full(mean.shape, np.log(NOISE))
    return gaussian(x, mean, log_var)


@jax.jit
def log_weights(z, mean, log_var):
    """log p(x, z) - log q(z) for each row of z."""
    zeros = jnp.zeros_like(z)
    log_joint = log_likelihood(z) + gaussian(z, zeros, zeros)
    return log_joint - gaussian(z, rows_of(mean, len(z)), rows_of(log_var, len(z)))


def sample(mean, log_var, *shape):
    noise = np.random.default_rng(0).normal(size=(*shape, 2))
    return jnp.asarray(np.asarray(mean) + np.exp(0.5 * np.asarray(log_var)) * noise)


def exact_elbo(mean, log_var):
    """The ELBO, with the expectation by quadrature, which is exact for this quadratic."""
    (first, first_weights), (second, second_weights) = (
        normal_nodes(mean[j], log_var[j], nodes=4) for j in range(2)
    )
    z = jnp.asarray(list(itertools.product(first, second)))
    weights = jnp.outer(first_weights, second_weights).reshape(-1)
    expectation = jnp.sum(weights * log_likelihood(z), keepdims=True)
    return elbo.elbo(expectation, kl_standard_normal(mean[None], log_var[None]), 1.0)[0]


@in_float64
def test_with_the_exact_posterior_every_weight_is_the_evidence():
    mean, log_var = posterior()
    weights = log_weights(sample(mean, log_var, 100), mean, log_var)
    np.testing.assert_allclose(weights, np.full(100, evidence()), rtol=1e-10)
    np.testing.assert_allclose(exact_elbo(mean, log_var), evidence(), rtol=1e-10)


@in_float64
def test_the_gap_of_the_elbo_is_the_divergence_from_the_posterior():
    q, p = wrong_posterior(), posterior()
    gap = evidence() - exact_elbo(*q)
    assert gap > 0.1
    divergence = kl_diagonal_gaussians(*(parameter[None] for parameter in (*q, *p)))[0]
    np.testing.assert_allclose(gap, divergence, rtol=1e-9)


@in_float64
def test_importance_weighted_bound_rises_to_the_evidence():
    """Averages over the repetitions that 20,000 weights allow, within five standard errors.

    The gap at k samples is about var(weight) / 2k, here below 1 / k nats.
    """
    q = wrong_posterior()
    weights = log_weights(sample(*q, 20_000), *q)
    bounds = {k: importance_weighted_bound(weights.reshape(k, -1)) for k in (1, 10, 1000)}
    mean = {k: np.mean(bound) for k, bound in bounds.items()}
    error = {k: np.std(bound) / np.sqrt(bound.size) for k, bound in bounds.items()}
    assert abs(mean[1] - exact_elbo(*q)) < 5 * error[1]
    assert mean[1] + 0.1 < mean[10] < mean[1000]
    for k in (10, 1000):
        assert -1 / k < mean[k] - evidence() + 5 * error[k] and mean[k] < evidence() + 5 * error[k]
    assert abs(mean[1000] - evidence()) < 0.03
