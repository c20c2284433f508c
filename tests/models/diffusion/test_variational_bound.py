"""The bound on discrete levels with known distribution, and the log of a change of units.

test_diffusion.py tests the bound on Gaussian data and the density by the ODE.
"""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from atelier.core.randomness import rng_for
from atelier.data.dataset import Spec
from models.diffusion import variational_bound
from models.diffusion.denoiser import DenoiserNetworks, data_std, to_process
from models.diffusion.process import predictions, schedules

LEVELS = Spec((1,), 3, None)
N = 1000  # draws for each level


class MeanOfLevels(nn.Module):
    """E[x | x_t] of one dimension with equally likely levels; 0 if not `is_exact`."""

    is_exact: bool

    def __call__(self, x, half_log_snr, label=None):
        values = to_process(LEVELS, jnp.arange(3.0))
        alpha, sigma = (jnp.sqrt(jax.nn.sigmoid(s * 2 * half_log_snr))[:, None] for s in (1, -1))
        x_t = x * jnp.sqrt((alpha * data_std(LEVELS)) ** 2 + sigma**2)
        share = jax.nn.softmax(-0.5 * ((x_t - alpha * values) / sigma) ** 2, -1)
        return share @ values[:, None] if self.is_exact else 0 * x


def bounds(is_exact, schedule):
    """The mean bound of each level, in nats."""
    nets = DenoiserNetworks(MeanOfLevels(is_exact), predictions.X, LEVELS)
    batch = {'x': jnp.repeat(jnp.arange(3.0), N)[:, None]}
    keys = rng_for(jax.random.PRNGKey(0), jnp.arange(3 * N), 3 * N).keys
    bound_terms = lambda keys: variational_bound.bound_terms(
        nets, schedule, {}, batch, keys, None, 32
    )
    return np.asarray(jax.jit(bound_terms)(keys)['elbo_nats']).reshape(3, N).mean(1)


@pytest.mark.parametrize('name', ['log_linear', pytest.param('discrete', marks=pytest.mark.slow)])
def test_the_bound_of_the_best_denoiser_is_nearly_log_p(name):
    schedule = getattr(schedules, name)()
    best, worse = bounds(True, schedule), bounds(False, schedule)
    np.testing.assert_allclose(best.mean(), -np.log(3), atol=0.05)
    assert np.exp(best).sum() < 1.05  # a lower bound on the sum of all probabilities
    assert worse.mean() < best.mean() - 0.5


class MeanOfNormal(nn.Module):
    """E[x | x_t] of x ~ N(0, 1), for a process that preserves the variance."""

    def __call__(self, x_t, half_log_snr, label=None):
        return jnp.sqrt(jax.nn.sigmoid(2 * half_log_snr))[:, None] * x_t


@pytest.mark.parametrize('name', [pytest.param('cosine', marks=pytest.mark.slow), 'log_linear'])
def test_the_diffusion_term_by_time_is_that_of_a_gaussian(name):
    """Between two times it is half the change of log(1 + SNR), because x ~ N(0, 1) has the error
    1 / (1 + SNR); its mean over all times is the term of the bound.
    """
    schedule, n = getattr(schedules, name)(), 4000
    nets = DenoiserNetworks(MeanOfNormal(), predictions.X, Spec((1,), None, None))
    keys = rng_for(jax.random.PRNGKey(0), jnp.arange(n), n).keys
    batch = {'x': jax.random.normal(jax.random.PRNGKey(1), (n, 1))}
    arguments = nets, schedule, {}, batch, keys, None, 32
    terms = variational_bound.bound_terms(*arguments)
    t, nats = map(np.asarray, variational_bound.diffusion_by_time(*arguments))
    np.testing.assert_allclose(nats.mean(0), terms['diffusion_nats'], rtol=1e-5)
    edges = jnp.clip(jnp.array([0, 0.1, 0.3, 0.6, 1]), schedule.first, schedule.last)
    half_log_ratio = 0.5 * jnp.log1p(jnp.exp(2 * schedule.half_log_snr(edges)))
    part = lambda low, high: nats[(t > low) & (t <= high)].sum() / t.size
    parts = [part(*ends) for ends in itertools.pairwise(np.asarray(edges))]
    np.testing.assert_allclose(parts, -np.diff(half_log_ratio), rtol=0.04, atol=1e-3)


@pytest.mark.parametrize(
    'spec',
    [
        Spec((2, 3), None, None, mean=1.0, std=3.0),
        Spec((3,), None, None, mean=(0.0, 1.0, 2.0), std=(1.0, 2.0, 4.0)),
        Spec((2, 2), None, None, 16),
    ],
)
def test_log_stretching_is_the_log_jacobian_of_to_process(spec):
    x = jnp.full((1, *spec.event_shape), 0.5)
    flat = lambda v: to_process(spec, v.reshape(x.shape)).ravel()
    expected = jnp.linalg.slogdet(jax.jacfwd(flat)(x.ravel()))[1]
    np.testing.assert_allclose(variational_bound.log_det_to_process(spec, x), [expected], rtol=1e-5)
