"""The distribution of training times."""

import jax
import jax.numpy as jnp
import numpy as np

from models.diffusion.process import schedules, time_sampling


def test_log_normal_times():
    schedule = schedules.exploding()
    u = (jnp.arange(20_000) + 0.5) / 20_000
    logs = -schedule.half_log_snr(time_sampling.log_normal(-1.2, 1.2)(schedule, u))
    np.testing.assert_allclose([logs.mean(), logs.std()], [-1.2, 1.2], atol=0.01)


def test_discrete_times_are_all_steps_and_no_others():
    schedule = schedules.discrete(10)
    u = jnp.asarray([0.0, 0.05, 0.15, 0.95, 1.0])  # 1.0 arises by rounding
    np.testing.assert_allclose(time_sampling.on_steps(schedule, u), [0.1, 0.1, 0.2, 1.0, 1.0])


def test_strata_have_one_time_each():
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.PRNGKey(0), jnp.arange(5))
    times = jnp.stack([time_sampling.stratified(keys, index, 4) for index in range(4)])
    np.testing.assert_array_equal(jnp.floor(times * 4), np.arange(4)[:, None] * np.ones((1, 5)))
    assert len(np.unique(times)) == 20
