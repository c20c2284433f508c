"""Orders of convergence of diffusion samplers on a Gaussian, whose denoiser and ODE are exact.

    python -m benchmarks.solver_orders

The data are N(1.5, 0.5^2) in one dimension, and the process has the linear schedule. The
probability-flow ODE maps every x_t to the same quantile of x_s, which the samplers approximate with
steps of equal half log-SNR, in float64. The order is log2 of the ratio of errors (root mean square
over 2,000 starts) with half as many and with all steps.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from benchmarks import outcome
from models.diffusion.process import samplers, schedules, time_grids
from models.diffusion.process.schedules import Schedule

MEAN, STD, STARTS = 1.5, 0.5, 2000
SAMPLERS = ('ddim', 'euler', 'dpm_solver_2', 'dpm_solver_pp_2m', 'heun')
STEPS = (40, 80, 160)


def denoiser(schedule: Schedule, x_t: Float[Array, 'n 1'], t: Float[Array, 'n']):
    """Returns E[x | x_t], [n, 1]."""
    alpha, sigma = (f(t)[:, None] for f in (schedule.alpha, schedule.sigma))
    gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
    return MEAN + gain * (x_t - alpha * MEAN)


def exact(schedule: Schedule, x: Float[Array, 'n 1']) -> Float[Array, 'n 1']:
    """Returns where the ODE leads x from the last time to the first."""
    deviation = lambda t: jnp.sqrt((schedule.alpha(t) * STD) ** 2 + schedule.sigma(t) ** 2)
    first, last = jnp.asarray(schedule.first), jnp.asarray(schedule.last)
    scale = deviation(first) / deviation(last)
    return schedule.alpha(first) * MEAN + scale * (x - schedule.alpha(last) * MEAN)


def error(name: str, steps: int) -> float:
    """Returns the root mean square error of a sampler."""
    schedule = schedules.linear()
    x = jax.random.normal(jax.random.PRNGKey(0), (STARTS, 1), jnp.float64)
    keys = jax.random.split(jax.random.PRNGKey(1), STARTS)
    sampler = functools.partial(getattr(samplers, name), schedule=schedule, keys=keys)
    run = jax.jit(functools.partial(sampler, functools.partial(denoiser, schedule)))
    solution, _ = run(x, times=time_grids.uniform_half_log_snr(schedule, steps))
    return float(jnp.sqrt(jnp.mean((solution - exact(schedule, x)) ** 2)))


def main(_):
    """Prints a line for each sampler."""
    result = outcome.Outcome.of_flags('solver_orders')
    with jax.enable_x64(True):
        for name in SAMPLERS:
            if not result.left():
                print('  time was up')
                break
            errors = [error(name, steps) for steps in STEPS]
            order = float(jnp.log2(errors[-2] / errors[-1]))
            texts = ', '.join(f'{e:.3g} ({n})' for n, e in zip(STEPS, errors, strict=True))
            print(f'  {name:18} order {order:.3f}; error (steps): {texts}')
            result.add_arm(name, [order], 'order')
            result.add_arm(name, errors[-1:], 'error')
    result.write()


if __name__ == '__main__':
    outcome.run(main)
