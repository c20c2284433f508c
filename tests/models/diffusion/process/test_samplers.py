"""Samplers against closed-form ODE maps, their theoretical orders, and exact moments."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from atelier.data import toy
from atelier.evaluation.samples import modes
from models.diffusion.process import samplers, schedules, time_grids

MEAN, STD, ROWS = 1.5, 0.5, 2000


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def of_gaussian(schedule, mean=MEAN, std=STD):
    """E[x | x_t] for x ~ N(mean, std^2)."""

    def denoiser(x_t, t):
        alpha, sigma = (f(t)[:, None] for f in (schedule.alpha, schedule.sigma))
        gain = alpha * std**2 / (alpha**2 * std**2 + sigma**2)
        return mean + gain * (x_t - alpha * mean)

    return denoiser


def exact_map(schedule, x, t, s):
    """The probability-flow ODE on Gaussian data maps x_t to the same quantile of x_s."""
    deviation = lambda t: jnp.sqrt((schedule.alpha(t) * STD) ** 2 + schedule.sigma(t) ** 2)
    centre = lambda t: schedule.alpha(t) * MEAN
    return centre(s) + deviation(s) / deviation(t) * (x - centre(t))


def keys(n=ROWS, seed=1):
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.PRNGKey(seed), jnp.arange(n))


def noise(n=ROWS, dims=1):
    return jax.random.normal(jax.random.PRNGKey(0), (n, dims), jnp.float64)


@pytest.mark.parametrize(
    ('name', 'order', 'error'),
    [
        pytest.param('ddim', 1, 7.71e-3, marks=pytest.mark.slow),
        ('euler', 1, 2.65e-3),
        pytest.param('dpm_solver_2', 2, 1.17e-4, marks=pytest.mark.slow),
        ('dpm_solver_pp_2m', 2, 1.17e-4),
        ('heun', 2, 1.44e-4),
    ],
)
def test_the_error_falls_with_the_samplers_order(name, order, error):
    """Errors against the closed form; at 160 steps they match an independent computation."""
    schedule, sampler = schedules.linear(), getattr(samplers, name)
    first, last = jnp.asarray(schedule.first), jnp.asarray(schedule.last)
    x, errors = noise(), []
    for steps in (40, 80, 160):
        times = time_grids.uniform_half_log_snr(schedule, steps)
        run = jax.jit(functools.partial(sampler, of_gaussian(schedule), schedule=schedule))
        solution, path = run(x, times, keys=keys())
        assert path.x_t.shape == path.mean.shape == (steps, *x.shape)
        errors.append(jnp.sqrt(jnp.mean((solution - exact_map(schedule, x, last, first)) ** 2)))
    np.testing.assert_allclose(np.log2(errors[1] / errors[2]), order, atol=0.1)
    assert error / 1.5 < errors[2] < 1.5 * error


@pytest.mark.parametrize(
    'name',
    [
        pytest.param('ancestral', marks=pytest.mark.slow),
        pytest.param('ddim', marks=pytest.mark.slow),
        pytest.param('dpm_solver_2', marks=pytest.mark.slow),
        'dpm_solver_pp_2m',
        'heun',
    ],
)
def test_equal_times_leave_x_unchanged(name):
    """If the last time equals the first, all times of the grid coincide and x stays."""
    schedule = schedules.linear()
    schedule = schedule._replace(last=schedule.first)
    times = time_grids.uniform_half_log_snr(schedule, 4)
    x, _ = getattr(samplers, name)(of_gaussian(schedule), noise(5), times, schedule, keys(5))
    np.testing.assert_allclose(x, noise(5), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize('name', [pytest.param('ancestral', marks=pytest.mark.slow), 'churned'])
def test_stochastic_samplers_end_in_the_data(name):
    """Mean and standard deviation within four standard errors plus discretization error."""
    schedule = schedules.linear()
    times = time_grids.uniform_half_log_snr(schedule, 200)
    churned = functools.partial(samplers.heun, churn=40.0)
    sampler = {'ancestral': samplers.ancestral, 'churned': churned}[name]
    run = jax.jit(functools.partial(sampler, of_gaussian(schedule), schedule=schedule))
    samples, _ = run(noise(20_000), times, keys=keys(20_000))
    assert abs(samples.mean() - MEAN) < 4 * STD / 20_000**0.5 + 0.005
    assert abs(samples.std() - STD) < 4 * STD / 40_000**0.5 + 0.005


SCHEDULES = {
    'linear': schedules.linear(),
    'log_linear': schedules.log_linear(),
    'cosine': schedules.cosine(),
    'straight': schedules.straight(),
    'exploding': schedules.exploding(),
    'discrete': schedules.discrete(),
    'discrete_cosine': schedules.discrete_cosine(),
}


@pytest.mark.parametrize(
    'name',
    [
        name if name == 'log_linear' else pytest.param(name, marks=pytest.mark.slow)
        for name in SCHEDULES
    ],
)
def test_the_forward_process_has_its_moments(name):
    """alpha, sigma and their rates are consistent, and `time` inverts the half log-SNR."""
    schedule = SCHEDULES[name]
    t = jnp.linspace(schedule.first, schedule.last, 101)
    alpha, sigma = schedule.alpha(t), schedule.sigma(t)
    invariant = {
        'linear': lambda: alpha**2 + sigma**2,
        'cosine': lambda: alpha**2 + sigma**2,
        'log_linear': lambda: alpha**2 + sigma**2,
        'discrete': lambda: alpha**2 + sigma**2,
        'discrete_cosine': lambda: alpha**2 + sigma**2,
        'straight': lambda: alpha + sigma,
        'exploding': lambda: alpha,
    }[name]()
    np.testing.assert_allclose(invariant, 1.0, rtol=1e-10)
    assert np.all(np.diff(schedule.half_log_snr(t)) < 0)
    np.testing.assert_allclose(schedule.time(schedule.half_log_snr(t)), t, rtol=1e-7, atol=1e-9)
    inside = (jnp.floor(1000 * t[5:-5]) + 0.5) / 1000  # between the table's knots
    rates, step = schedule.rates(inside), 1e-6
    for rate, f in zip(rates, (schedule.alpha, schedule.sigma), strict=True):
        measured = (f(inside + step) - f(inside - step)) / (2 * step)
        np.testing.assert_allclose(rate, measured, rtol=1e-4)


def test_the_discrete_process_is_that_of_ddpm():
    """alpha^2 at the 1,000 steps is the product of 1 - beta of Ho et al."""
    schedule = schedules.discrete()
    products = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    np.testing.assert_allclose(schedule.alpha(jnp.arange(1, 1001) / 1000) ** 2, products, rtol=1e-9)


def test_the_discrete_cosine_keeps_some_signal_at_its_last_step():
    """alpha^2 is the cosine schedule's at all steps but the last, whose beta is 0.999."""
    steps, schedule = jnp.arange(1, 1001) / 1000, schedules.discrete_cosine()
    expected = (
        jnp.cos(0.5 * jnp.pi * (steps + 0.008) / 1.008) ** 2
        / jnp.cos(0.5 * jnp.pi * 0.008 / 1.008) ** 2
    )
    squared_alpha = schedule.alpha(steps) ** 2
    np.testing.assert_allclose(squared_alpha[:-1], expected[:-1], rtol=1e-9)
    assert squared_alpha[-1] == pytest.approx(0.001 * squared_alpha[-2])


def test_noise_is_that_of_the_papers_differential_equations():
    """The linear schedule follows dx = -beta x / 2 dt + sqrt(beta) dw."""
    schedule, t = schedules.linear(), jnp.linspace(0.01, 1.0, 50)
    beta = 0.1 + 19.9 * t
    alpha_rate, sigma_rate = schedule.rates(t)
    np.testing.assert_allclose(alpha_rate, -0.5 * beta * schedule.alpha(t), rtol=1e-9)
    variance_rate = 2 * schedule.sigma(t) * sigma_rate
    np.testing.assert_allclose(variance_rate, beta * schedule.alpha(t) ** 2, rtol=1e-9)


@pytest.mark.parametrize(
    'name',
    [
        name if name == 'log_linear' else pytest.param(name, marks=pytest.mark.slow)
        for name in SCHEDULES
    ],
)
def test_noise_added_in_two_steps_is_that_added_in_one(name):
    """Drawing x_s, then x_t given x_s, gives the moments of x_t given x."""
    schedule, n = SCHEDULES[name], 100_000
    s, t = schedule.first + jnp.asarray([0.2, 0.6]) * (schedule.last - schedule.first)
    x_s = schedule.alpha(s) * MEAN + schedule.sigma(s) * noise(n)[:, 0]
    added_noise = jnp.sqrt(schedule.added_variance(t, s)) * jax.random.normal(
        jax.random.PRNGKey(9), (n,)
    )
    x_t = schedule.alpha(t) / schedule.alpha(s) * x_s + added_noise
    deviation = float(schedule.sigma(t))
    assert abs(x_t.mean() - schedule.alpha(t) * MEAN) < 4.5 * deviation / n**0.5
    assert x_t.std() == pytest.approx(deviation, rel=4.5 / (2 * n) ** 0.5)


TO_THE_MODES = [
    *(
        (sampler, name)
        for sampler in ('ddim', 'ancestral', 'dpm_solver_pp_2m', 'heun', 'euler', 'dpm_solver_2')
        for name in ('linear', 'straight', 'exploding')
    ),
    *(('dpm_solver_pp_2m', name) for name in ('cosine', 'log_linear', 'discrete')),
]


@pytest.mark.slow
@pytest.mark.parametrize(('sampler', 'name'), TO_THE_MODES)
def test_the_exact_score_of_the_grid_drives_every_sampler_to_its_modes(sampler, name):
    mixture, schedule = toy.MIXTURES['grid'], SCHEDULES[name]

    def denoiser(x_t, t):
        alpha, sigma = (f(t)[:, None, None] for f in (schedule.alpha, schedule.sigma))
        variance = (alpha * mixture.std) ** 2 + sigma**2
        difference = x_t[:, None] - alpha * mixture.means
        weights = jax.nn.softmax(jnp.sum(-0.5 * difference**2 / variance, -1), 1)
        means = mixture.means + alpha * mixture.std**2 / variance * difference
        return jnp.sum(weights[..., None] * means, 1)

    times = time_grids.uniform_half_log_snr(schedule, 300)
    start = schedule.sigma(times[0]) * noise(2500, 2)
    run = jax.jit(functools.partial(getattr(samplers, sampler), denoiser, schedule=schedule))
    samples, _ = run(start, times, keys=keys(2500))
    mode_counts = modes.count_modes(np.asarray(samples), mixture.modes)
    assert mode_counts.modes == 25
    assert 0.98 < mode_counts.high_quality < 0.997
