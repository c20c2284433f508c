"""RePaint on a correlated Gaussian, against the exact evolution of mean and covariance."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from models.diffusion.process import schedules, time_grids
from models.diffusion.process.repaint import repaint

MEAN = np.array([0.5, -0.3, 0.2])
COVARIANCE = 0.5 * np.array([[1.0, 0.8, 0.3], [0.8, 1.0, 0.6], [0.3, 0.6, 1.0]])
KNOWN, VALUE = np.array([True, False, False]), 1.5
ROWS = 1500
COSINE = schedules.cosine()


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def conditional():
    """Exact mean and covariance of the hidden dimensions if the first one is VALUE."""
    gain = COVARIANCE[1:, 0] / COVARIANCE[0, 0]
    mean = MEAN[1:] + gain * (VALUE - MEAN[0])
    return mean, COVARIANCE[1:, 1:] - np.outer(gain, COVARIANCE[0, 1:])


def gain_at(alpha, sigma):
    """The gain in E[x | x_t] = MEAN + gain (x_t - alpha MEAN)."""
    return alpha * COVARIANCE @ np.linalg.inv(alpha**2 * COVARIANCE + sigma**2 * np.eye(3))


def denoiser_of(schedule):
    variances, axes = np.linalg.eigh(COVARIANCE)

    def denoiser(x_t, t):
        alpha, sigma = schedule.alpha(t[0]), schedule.sigma(t[0])
        gains = alpha * variances / (alpha**2 * variances + sigma**2)
        return MEAN + ((x_t - alpha * MEAN) @ axes * gains) @ axes.T

    return denoiser


@functools.cache
def compiled(schedule, resamples):
    return jax.jit(
        functools.partial(repaint, denoiser_of(schedule), schedule=schedule, resamples=resamples)
    )


def filled_in(schedule, steps, resamples, rows=ROWS, hidden=0.0, seed=1):
    """x [rows, 3] inpainted by `repaint`."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.PRNGKey(seed), jnp.arange(rows))
    start = jax.vmap(lambda key: jax.random.normal(key, (3,), jnp.float64))(keys)
    start = schedule.last_std(start.dtype) * start
    x = jnp.where(KNOWN, VALUE, jnp.full((rows, 3), hidden))
    times = time_grids.uniform_half_log_snr(schedule, steps)
    known = jnp.broadcast_to(KNOWN, x.shape)
    return np.asarray(compiled(schedule, resamples)(start, x, known, times, keys=keys))


def expected_moments(schedule, steps, resamples):
    """Mean and covariance of the inpainted dimensions, by Algorithm 1 applied to moments."""
    times = time_grids.uniform_half_log_snr(schedule, steps)
    alphas, sigmas = np.asarray(schedule.alpha(times)), np.asarray(schedule.sigma(times))
    mean, covariance = np.zeros(3), (alphas[0] ** 2 + sigmas[0] ** 2) * np.eye(3)
    for alpha, sigma, alpha_s, sigma_s in zip(alphas, sigmas, alphas[1:], sigmas[1:], strict=False):
        gain, ratio = gain_at(alpha, sigma), alpha / alpha_s
        added = sigma**2 - (ratio * sigma_s) ** 2
        to_x, to_x_t = alpha_s * added / sigma**2, ratio * sigma_s**2 / sigma**2
        matrix = to_x * gain + to_x_t * np.eye(3)
        for pass_index in range(resamples):
            mean = matrix @ mean + to_x * (MEAN - alpha * gain @ MEAN)
            covariance = matrix @ covariance @ matrix.T + added * sigma_s**2 / sigma**2 * np.eye(3)
            mean[0], covariance[0], covariance[:, 0] = alpha_s * VALUE, 0, 0
            covariance[0, 0] = sigma_s**2
            if pass_index < resamples - 1:
                mean, covariance = ratio * mean, ratio**2 * covariance + added * np.eye(3)
    gain = gain_at(alphas[-1], sigmas[-1])
    mean = MEAN + gain @ (mean - alphas[-1] * MEAN)
    return mean[1:], (gain @ covariance @ gain.T)[1:, 1:]


def check_moments(x, mean, covariance):
    """Checks sample mean and covariance within four standard errors."""
    hidden, n = x[:, 1:], len(x)
    assert np.all(np.abs(hidden.mean(0) - mean) < 4 * np.sqrt(np.diag(covariance) / n))
    variances = np.diag(covariance)
    error = np.sqrt((np.outer(variances, variances) + covariance**2) / n)
    assert np.all(np.abs(np.cov(hidden.T) - covariance) < 4 * error)


@pytest.mark.parametrize(
    ('schedule', 'resamples'),
    [
        (COSINE, 1),
        (COSINE, 4),
        pytest.param(schedules.exploding(), 4, marks=pytest.mark.slow),
        pytest.param(schedules.straight(), 4, marks=pytest.mark.slow),
    ],
)
def test_every_pass_has_its_moments(schedule, resamples):
    x = filled_in(schedule, 6, resamples)
    check_moments(x, *expected_moments(schedule, 6, resamples))
    np.testing.assert_array_equal(x[:, 0], VALUE)


def distance(mean, covariance):
    """[largest error of the mean, of the covariance] against the exact conditional."""
    return [
        np.abs(estimate - exact).max()
        for estimate, exact in zip((mean, covariance), conditional(), strict=True)
    ]


@pytest.mark.slow
def test_resampling_leads_to_the_conditional():
    """One pass misses the mean by half a standard deviation; with U passes errors fall as 1 / U."""
    x = {u: filled_in(COSINE, 30, u)[:, 1:] for u in (1, 10)}
    far, near = (distance(x[u].mean(0), np.cov(x[u].T)) for u in (1, 10))
    assert far[0] > 0.25 and near[0] < 0.15 and near[1] < 0.15
    errors = [distance(*expected_moments(COSINE, 100, u)) for u in (1, 10, 100)]
    assert errors[1][0] < errors[0][0] / 5 and errors[2][0] < errors[1][0] / 5
    assert errors[2][0] < 0.01 and errors[2][1] < 0.05


def test_hidden_values_are_never_read():
    """Even NaN in hidden dimensions has no effect."""
    filled = [filled_in(COSINE, 6, 4, rows=5, hidden=value) for value in (0.0, 9.0, np.nan)]
    np.testing.assert_array_equal(filled[1], filled[0])
    np.testing.assert_array_equal(filled[2], filled[0])


@pytest.mark.slow
def test_a_row_depends_on_its_key_alone():
    many, few = (filled_in(COSINE, 6, 4, rows=rows) for rows in (9, 4))
    np.testing.assert_allclose(many[:4], few, rtol=1e-12)
    assert len(np.unique(many[:, 1])) == 9
    assert not np.allclose(filled_in(COSINE, 6, 4, rows=4, seed=2)[:, 1], few[:, 1])
