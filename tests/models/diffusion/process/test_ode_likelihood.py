"""The ODE's log density: closed forms, order of convergence in the steps, and random probes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.diffusion.process import schedules
from models.diffusion.process.ode_likelihood import ode_log_prob

MEANS, WEIGHTS, STD = (
    np.array([[-1.0, 0.5], [1.0, 0.0], [0.0, -1.5]]),
    np.array([0.5, 0.3, 0.2]),
    0.3,
)

SCHEDULES = {  # noisier at the end: the usual ones keep a hundredth of the data's mean
    'linear': schedules.linear(beta_max=40.0),
    'straight': schedules.straight()._replace(last=1.0 - 1e-4),
    'exploding': schedules.exploding(sigma_max=5000.0),
}


@pytest.fixture(autouse=True, scope='module')
def float64():
    with jax.enable_x64(True):
        yield


def of_mixture(schedule, means, weights):
    """(E[x | x_t], log p_t) for a mixture of Gaussians with standard deviation STD."""

    def exponents(x_t, t):
        alpha, sigma = (
            jnp.asarray(f(t))[..., None, None] for f in (schedule.alpha, schedule.sigma)
        )
        variance = (alpha * STD) ** 2 + sigma**2
        difference = x_t[:, None] - alpha * means
        normal = -0.5 * jnp.sum(difference**2 / variance + jnp.log(2 * jnp.pi * variance), -1)
        return jnp.log(weights) + normal, means + alpha * STD**2 / variance * difference

    def denoiser(x_t, t):
        logits, each = exponents(x_t, t)
        return jnp.sum(jax.nn.softmax(logits)[..., None] * each, 1)

    return denoiser, lambda x_t, t: jax.nn.logsumexp(exponents(x_t, t)[0], -1)


@functools.cache
def log_densities(name, count, steps, probes):
    """(estimated, exact) log densities of points drawn from a mixture of `count` Gaussians."""
    schedule = SCHEDULES[name]
    means, weights = MEANS[:count], WEIGHTS[:count] / WEIGHTS[:count].sum()
    denoiser, log_density = of_mixture(schedule, means, weights)
    random = np.random.default_rng(0)
    x = means[random.choice(count, 40, p=weights)] + STD * random.normal(size=(40, 2))
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.PRNGKey(0), jnp.arange(40))
    run = jax.jit(lambda x, keys: ode_log_prob(denoiser, x, schedule, keys, steps, probes))
    t = jnp.full(40, schedule.first)
    return np.asarray(run(x, keys)), np.asarray(log_density(x, t))


@pytest.mark.parametrize(
    'name', ['linear', 'exploding', pytest.param('straight', marks=pytest.mark.slow)]
)
@pytest.mark.parametrize('count', [pytest.param(1, marks=pytest.mark.slow), 3])
def test_the_estimate_is_the_closed_form(name, count):
    estimated, exact = log_densities(name, count, 800, 0)  # the error is below half the tolerance
    np.testing.assert_allclose(estimated, exact, atol=1e-3)


SHIPPED = {
    'linear': schedules.linear(),
    'cosine': schedules.cosine(),
    'log_linear': schedules.log_linear(),
    'straight': schedules.straight(),
    'exploding': schedules.exploding(),
    'discrete': schedules.discrete(),
    'discrete_cosine': schedules.discrete_cosine(),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', [n if n == 'cosine' else pytest.param(n, marks=pytest.mark.slow) for n in SHIPPED]
)
def test_the_estimate_is_the_density_of_the_transformed_prior(name):
    """For a Gaussian the ODE's map is affine; x does not quite end in the prior N(0, size^2)."""
    schedule, mean, std = SHIPPED[name], 1.5, 0.5
    times = jnp.asarray([schedule.first, schedule.last])
    alphas, sigmas = schedule.alpha(times), schedule.sigma(times)
    deviations = jnp.sqrt((alphas * std) ** 2 + sigmas**2)

    def denoiser(x_t, t):
        alpha, sigma = (f(jnp.asarray(t))[..., None] for f in (schedule.alpha, schedule.sigma))
        return mean + alpha * std**2 / ((alpha * std) ** 2 + sigma**2) * (x_t - alpha * mean)

    x = jnp.linspace(0.0, 3.0, 13)[:, None]
    end = alphas[1] * mean + deviations[1] / deviations[0] * (x - alphas[0] * mean)
    scale = schedule.last_std(x.dtype)
    prior = -0.5 * (end / scale) ** 2 - jnp.log(scale * jnp.sqrt(2 * jnp.pi))
    exact = prior[:, 0] + jnp.log(deviations[1] / deviations[0])
    keys = jnp.zeros((13, 2), jnp.uint32)
    estimated = jax.jit(lambda x: ode_log_prob(denoiser, x, schedule, keys, 800, 0))(x)
    np.testing.assert_allclose(estimated, exact, atol=1e-3)


@pytest.mark.slow
def test_the_error_falls_with_the_square_of_the_steps():
    exact = log_densities('linear', 3, 1600, 0)[0]
    errors = [np.abs(log_densities('linear', 3, n, 0)[0] - exact).mean() for n in (50, 100, 200)]
    np.testing.assert_allclose(np.log2(errors[:-1] / np.array(errors[1:])), 2, atol=0.35)


@pytest.mark.slow
def test_probes_are_right_on_average():
    exact = log_densities('linear', 3, 50, 0)[0]
    for probes in (1, 64):
        estimated = log_densities('linear', 3, 50, probes)[0]
        error = estimated - exact
        assert np.abs(error.mean()) < 4 * error.std() / 40**0.5 + 1e-6
    one, many = ((log_densities('linear', 3, 50, n)[0] - exact).std() for n in (1, 64))
    assert many < 0.3 * one
