"""ODE codes of Gaussian data are its quantiles; both directions have the solver's order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.diffusion.process import schedules
from models.diffusion.process.ode_codes import ode_decode, ode_encode

MEAN, STD = 1.5, 0.5


@pytest.mark.slow
def test_codes_are_quantiles_and_decode_to_x():
    with jax.enable_x64(True):
        schedule = schedules.linear()

        def denoiser(x_t, t):
            alpha, sigma = (f(t)[:, None] for f in (schedule.alpha, schedule.sigma))
            gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
            return MEAN + gain * (x_t - alpha * MEAN)

        first, last = jnp.asarray(schedule.first), jnp.asarray(schedule.last)
        deviation = lambda t: jnp.sqrt((schedule.alpha(t) * STD) ** 2 + schedule.sigma(t) ** 2)
        x = MEAN + STD * jax.random.normal(jax.random.PRNGKey(0), (50, 1), jnp.float64)
        quantile = (x - schedule.alpha(first) * MEAN) / deviation(first)
        exact = schedule.alpha(last) * MEAN + deviation(last) * quantile
        errors = []
        for steps in (40, 80):
            codes = jax.jit(lambda x, n=steps: ode_encode(denoiser, x, schedule, n))(x)
            decoded = jax.jit(lambda z, n=steps: ode_decode(denoiser, z, schedule, n))(codes)
            errors.append([jnp.abs(codes - exact).max(), jnp.abs(decoded - x).max()])
        assert max(errors[-1]) < 1e-2
        assert np.all(np.log2(np.asarray(errors[0]) / np.asarray(errors[1])) > 1.8)
