"""Noise schedules in single precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.diffusion.process import schedules


@pytest.mark.parametrize('name', ['linear', 'cosine', 'log_linear', 'straight', 'exploding'])
def test_single_precision_is_enough(name):
    """`time` inverts the half log-SNR in float32, also at very low noise."""
    schedule = getattr(schedules, name)()
    t = jnp.linspace(schedule.first, min(schedule.last, 0.99), 300, dtype=jnp.float32)
    level = schedule.half_log_snr(t)
    np.testing.assert_allclose(schedule.half_log_snr(schedule.time(level)), level, atol=2e-3)
    with jax.enable_x64(True):
        exact = schedule.half_log_snr(jnp.asarray(np.float64(t)))
    np.testing.assert_allclose(level, exact, atol=1e-3)
