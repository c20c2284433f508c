"""Observation models: samples match probabilities, means are right, unfit data are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from atelier.data.dataset import Spec
from atelier.errors import UserError
from models.shared import observations

pytestmark = pytest.mark.usefixtures('strict_promotion')

LEVELS = 6
DISCRETE = {
    'bernoulli': (2, observations.bernoulli),
    'binomial': (LEVELS, observations.binomial),
    'categorical': (LEVELS, observations.categorical),
    'discretized_logistic_mixture': (
        LEVELS,
        lambda spec: observations.discretized_logistic_mixture(spec, components=2),
    ),
}


def keys(n):
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.PRNGKey(0), jnp.arange(n))


@pytest.mark.parametrize(
    'name',
    [
        name
        if name in ('bernoulli', 'binomial', 'categorical')
        else pytest.param(name, marks=pytest.mark.slow)
        for name in DISCRETE
    ],
)
def test_sample_frequencies_match_log_prob(name):
    """Level frequencies match within five standard errors; probabilities sum to one."""
    levels, make = DISCRETE[name]
    model = make(Spec((1,), levels, None))
    parameters = 0.8 * jax.random.normal(jax.random.PRNGKey(3), (1, 1, model.size))
    values = jnp.arange(levels, dtype=jnp.float32)[:, None]
    probabilities = np.exp(model.log_prob(values, jnp.repeat(parameters, levels, axis=0)))
    np.testing.assert_allclose(probabilities.sum(), 1.0, rtol=1e-5)
    n = 20_000
    x = np.asarray(model.sample(keys(n), jnp.repeat(parameters, n, axis=0))).astype(int).ravel()
    counts = np.bincount(x, minlength=levels)
    error = np.sqrt(n * probabilities * (1 - probabilities))
    assert np.all(np.abs(counts - n * probabilities) < 5 * error + 1)


@pytest.mark.parametrize(
    'logit',
    [
        -9.0,
        pytest.param(-1.3, marks=pytest.mark.slow),
        pytest.param(0.0, marks=pytest.mark.slow),
        4.0,
    ],
)
def test_samples_of_many_trials_have_their_moments(logit):
    """Drawn one by one, 65,535 trials of many pixels would fill the memory."""
    model, n = observations.binomial(Spec((1,), 2**16, None)), 2000
    x = np.asarray(model.sample(keys(n), jnp.full((n, 1, 1), logit)), np.float64)
    share = 1 / (1 + np.exp(-logit))
    mean, deviation = 65535 * share, np.sqrt(65535 * share * (1 - share))
    assert x.mean() == pytest.approx(mean, abs=4 * deviation / np.sqrt(n))
    assert x.std() == pytest.approx(deviation, rel=0.1)
    assert (x == x.round()).all()


def test_too_many_levels_for_a_binomial_are_refused(complaint):
    line = complaint(lambda: observations.binomial(Spec((1,), 2**16 + 1, None)))
    assert 'at most 65,536 levels, but the data have 65,537' in line


@pytest.mark.parametrize(
    'name',
    [
        name
        if name in ('bernoulli', 'binomial', 'categorical')
        else pytest.param(name, marks=pytest.mark.slow)
        for name in DISCRETE
    ],
)
def test_level_log_probs_sum_to_log_prob(name):
    """Each dimension's levels sum to one; an example's own levels multiply to its probability."""
    levels, make = DISCRETE[name]
    model = make(Spec((2, 3), levels, None))
    parameters = jax.random.normal(jax.random.PRNGKey(0), (4, 2, 3, model.size))
    each = observations.level_log_probs(model, parameters, levels)
    assert each.shape == (4, 2, 3, levels)
    np.testing.assert_allclose(np.exp(each).sum(-1), 1.0, rtol=1e-5)
    x = np.random.RandomState(1).randint(0, levels, (4, 2, 3))
    chosen = np.take_along_axis(np.asarray(each), x[..., None], -1)
    np.testing.assert_allclose(
        chosen.sum((1, 2, 3)), model.log_prob(jnp.float32(x), parameters), rtol=1e-5
    )


@pytest.mark.parametrize('name', ['bernoulli', 'binomial', 'categorical'])
def test_the_mean_is_the_expectation(name):
    levels, make = DISCRETE[name]
    model = make(Spec((3,), levels, None))
    parameters = jax.random.normal(jax.random.PRNGKey(1), (1, 3, model.size))
    expectation = 0.0
    for level in range(levels):  # one dimension at a time; the rest is summed out
        x = jnp.full((3, 1), float(level))
        parameters_by_dim = jnp.swapaxes(parameters, 0, 1)
        expectation = expectation + level * np.exp(model.log_prob(x, parameters_by_dim))
    np.testing.assert_allclose(model.mean(parameters)[0], expectation, rtol=1e-5)


def test_the_mixtures_mean_lies_near_its_samples_mean():
    """Rounding and clipping shift the mean by less than a third of a level."""
    model = observations.discretized_logistic_mixture(Spec((1,), 17, None), components=2)
    parameters = jnp.array([[[0.3, -0.5, -0.4, 0.5, -3.0, -2.5]]])
    x = model.sample(keys(20_000), jnp.repeat(parameters, 20_000, axis=0))
    assert abs(float(x.mean()) - float(model.mean(parameters)[0, 0])) < 0.33


def test_gaussian_samples_have_its_moments():
    model = observations.gaussian(Spec((1,), None, None))
    parameters = jnp.array([[[1.5, -1.0]]])
    x = np.asarray(model.sample(keys(20_000), jnp.repeat(parameters, 20_000, axis=0)))
    np.testing.assert_allclose(x.mean(), 1.5, atol=0.03)
    np.testing.assert_allclose(x.var(), np.exp(-1.0), rtol=0.05)
    assert model.mean(parameters) == 1.5


def test_the_gaussian_of_a_table_is_that_of_its_columns():
    mean, std, x = (1.0, -50.0), (0.1, 30.0), jnp.array([[1.05, -20.0]])
    parameters = jnp.array([[[0.3, 0.4], [-0.2, 0.1]]])
    table = observations.gaussian(Spec((2,), None, None, mean=mean, std=std))
    columns = [
        observations.gaussian(Spec((1,), None, None, mean=mean[i], std=std[i])) for i in range(2)
    ]
    one = lambda f: [f(columns[i], x[:, i : i + 1], parameters[:, i : i + 1]) for i in range(2)]
    np.testing.assert_allclose(
        table.log_prob(x, parameters), sum(one(lambda c, x, p: c.log_prob(x, p))), rtol=1e-5
    )
    np.testing.assert_allclose(
        table.mean(parameters), np.hstack(one(lambda c, x, p: c.mean(p))), rtol=1e-6
    )


def test_a_column_sampled_alone_is_that_of_the_table():
    spec = Spec((2,), None, None, mean=(3.0, -700.0), std=(0.5, 100.0))
    model, n = observations.gaussian(spec), 20_000
    parameters = jnp.asarray([[0.4, -1.0], [-0.2, 0.5]])  # (mean, raw log variance) of each
    mean = model.mean(parameters)
    for column in range(2):
        x = jax.jit(model.sample)(keys(n), jnp.repeat(parameters[column][None], n, 0), column)
        std = spec.std[column] * np.exp(0.5 * parameters[column, 1])
        np.testing.assert_allclose(np.mean(x), mean[column], atol=4 * std / np.sqrt(n))
        np.testing.assert_allclose(np.std(x), std, rtol=0.03)


def test_the_gaussians_density_is_bounded():
    model = observations.gaussian(Spec((1,), None, None), min_log_var=-4.0)
    density = model.log_prob(jnp.zeros((1, 1)), jnp.array([[[0.0, -1e4]]]))
    np.testing.assert_allclose(density, 2.0 - 0.5 * np.log(2 * np.pi), rtol=1e-4)


@pytest.mark.parametrize('name', DISCRETE)
def test_real_values_are_refused_by_models_of_levels(name):
    with pytest.raises(UserError, match='real values'):
        DISCRETE[name][1](Spec((1,), None, None))


def test_a_bernoulli_of_grey_levels_is_refused():
    """On grey levels a Bernoulli loss is no likelihood."""
    with pytest.raises(UserError, match='2 levels'):
        observations.bernoulli(Spec((1,), 17, None))


def test_a_density_of_levels_is_refused():
    with pytest.raises(UserError, match='real-valued'):
        observations.gaussian(Spec((1,), 17, None))
