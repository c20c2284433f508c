"""Noise schedules in single precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.diffusion.process import schedules

SCHEDULES = {
    name: getattr(schedules, name)
    for name in ('linear', 'cosine', 'log_linear', 'straight', 'exploding')
} | {'noisier': lambda: schedules.with_more_noise(schedules.cosine(), 4.0)}


@pytest.mark.parametrize('name', SCHEDULES)
def test_single_precision_is_enough(name):
    """`time` inverts the half log-SNR in float32, also at very low noise."""
    schedule = SCHEDULES[name]()
    t = jnp.linspace(schedule.first, min(schedule.last, 0.99), 300, dtype=jnp.float32)
    level = schedule.half_log_snr(t)
    np.testing.assert_allclose(schedule.half_log_snr(schedule.time(level)), level, atol=2e-3)
    with jax.enable_x64(True):
        exact = schedule.half_log_snr(jnp.asarray(np.float64(t)))
    np.testing.assert_allclose(level, exact, atol=1e-3)


@pytest.mark.parametrize('name', ['linear', 'cosine', 'log_linear'])
def test_more_noise_multiplies_sigma_over_alpha(name):
    before, after = SCHEDULES[name](), schedules.with_more_noise(SCHEDULES[name](), 3.0)
    t = jnp.linspace(before.first, min(before.last, 0.99), 50)
    ratio = (after.sigma(t) / after.alpha(t)) / (before.sigma(t) / before.alpha(t))
    np.testing.assert_allclose(ratio, 3.0, rtol=1e-3)
    np.testing.assert_allclose(after.alpha(t) ** 2 + after.sigma(t) ** 2, 1.0, rtol=1e-5)
    assert (after.first, after.last) == (before.first, before.last)
