"""The time grids of samplers."""

import jax.numpy as jnp
import numpy as np
import pytest

from models.diffusion.process import schedules, time_grids


def test_karras_steps():
    """Karras et al. (2022), equation 5, in sigma / alpha."""
    schedule = schedules.exploding(0.002, 80.0)
    noise_levels = np.exp(-schedule.half_log_snr(time_grids.karras(schedule, 17)))
    i = np.arange(18) / 17
    expected = (80 ** (1 / 7) + i * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    np.testing.assert_allclose(noise_levels, expected, rtol=1e-3)


@pytest.mark.parametrize('name', time_grids.GRIDS)
@pytest.mark.parametrize('steps', [1, 2, 9])
def test_grids_fall_from_end_to_end(name, steps):
    for schedule in (schedules.cosine(), schedules.straight(), schedules.discrete()):
        times = time_grids.GRIDS[name](schedule, steps)
        assert times.shape == (steps + 1,) and np.all(np.diff(times) < 0)
        np.testing.assert_allclose(times[jnp.array([0, -1])], [schedule.last, schedule.first])


@pytest.mark.parametrize('name', time_grids.GRIDS)
def test_grids_of_no_steps_are_the_last_time(name):
    np.testing.assert_allclose(
        time_grids.GRIDS[name](schedules.cosine(), 0), [schedules.cosine().last]
    )
