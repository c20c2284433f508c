"""Where samplers stop and where training looks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.diffusion.process import schedules, time_grids, time_sampling

pytestmark = pytest.mark.usefixtures('quick_compilation')


def test_karras_steps():
    """Karras et al. (2022), equation 5, in sigma / alpha."""
    schedule = schedules.exploding(0.002, 80.0)
    found = np.exp(-schedule.half_log_snr(time_grids.karras(schedule, 17)))
    i = np.arange(18) / 17
    expected = (80 ** (1 / 7) + i * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize('name', time_grids.GRIDS)
@pytest.mark.parametrize('steps', [1, 2, 9])
def test_grids_fall_from_end_to_end(name, steps):
    for schedule in (schedules.cosine(), schedules.straight(), schedules.discrete()):
        found = time_grids.GRIDS[name](schedule, steps)
        assert found.shape == (steps + 1,) and np.all(np.diff(found) < 0)
        np.testing.assert_allclose(found[jnp.array([0, -1])], [schedule.last, schedule.first])


@pytest.mark.parametrize('name', time_grids.GRIDS)
def test_without_a_step_there_is_the_last_time(name):
    np.testing.assert_allclose(
        time_grids.GRIDS[name](schedules.cosine(), 0), [schedules.cosine().last]
    )


def test_log_normal_times():
    schedule = schedules.exploding()
    u = (jnp.arange(20_000) + 0.5) / 20_000
    logs = -schedule.half_log_snr(time_sampling.log_normal(-1.2, 1.2)(schedule, u))
    np.testing.assert_allclose([logs.mean(), logs.std()], [-1.2, 1.2], atol=0.01)


def test_every_step_is_looked_at_and_no_other():
    schedule = schedules.discrete(10)
    u = jnp.asarray([0.0, 0.05, 0.15, 0.95, 1.0])  # 1: rounded up
    np.testing.assert_allclose(time_sampling.on_steps(schedule, u), [0.1, 0.1, 0.2, 1.0, 1.0])


def test_strata_have_one_time_each():
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.PRNGKey(0), jnp.arange(5))
    found = jnp.stack([time_sampling.stratified(keys, number, 4) for number in range(4)])
    np.testing.assert_array_equal(jnp.floor(found * 4), np.arange(4)[:, None] * np.ones((1, 5)))
    assert len(np.unique(found)) == 20


@pytest.mark.parametrize('name', ['linear', 'cosine', 'log_linear', 'straight', 'exploding'])
def test_single_precision_is_enough(name):
    """Times come back from their half log-SNR, also where there is hardly any noise."""
    schedule = getattr(schedules, name)()
    t = jnp.linspace(schedule.first, min(schedule.last, 0.99), 300, dtype=jnp.float32)
    level = schedule.half_log_snr(t)
    np.testing.assert_allclose(schedule.half_log_snr(schedule.time(level)), level, atol=2e-3)
    with jax.enable_x64(True):
        exact = schedule.half_log_snr(jnp.asarray(np.float64(t)))
    np.testing.assert_allclose(level, exact, atol=1e-3)
