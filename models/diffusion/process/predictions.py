"""Prediction targets of the network for x_t = alpha x + sigma eps, and how x follows from each.

x is an affine function of the output, so one kind of prediction can be converted to another
exactly. alpha and sigma broadcast against x.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp


class Prediction(NamedTuple):
    """A parameterization of x given x_t.

    target: (x, eps, alpha, sigma) -> the regression target of the network's output.
    to_x: (x_t, output, alpha, sigma) -> x.
    scale: (alpha, sigma) -> |dx / d output|.
    """

    target: Callable
    to_x: Callable
    scale: Callable


def _size(alpha, sigma):
    return jnp.sqrt(alpha**2 + sigma**2)


EPS = Prediction(  # Ho et al. (2020), equation 12
    target=lambda x, eps, alpha, sigma: eps,
    to_x=lambda x_t, output, alpha, sigma: (x_t - sigma * output) / alpha,
    scale=lambda alpha, sigma: sigma / alpha,
)
X = Prediction(
    target=lambda x, eps, alpha, sigma: x,
    to_x=lambda x_t, output, alpha, sigma: output,
    scale=lambda alpha, sigma: jnp.ones_like(alpha),
)
V = Prediction(  # Salimans and Ho (2022), appendix D; of unit size for any alpha^2 + sigma^2
    target=lambda x, eps, alpha, sigma: (alpha * eps - sigma * x) / _size(alpha, sigma),
    to_x=lambda x_t, output, alpha, sigma: (
        (alpha * x_t / _size(alpha, sigma) - sigma * output) / _size(alpha, sigma)
    ),
    scale=lambda alpha, sigma: sigma / _size(alpha, sigma),
)
VELOCITY = Prediction(  # of the straight line from x to eps: Liu et al. (2023), equation 1
    target=lambda x, eps, alpha, sigma: eps - x,
    to_x=lambda x_t, output, alpha, sigma: (x_t - sigma * output) / (alpha + sigma),
    scale=lambda alpha, sigma: sigma / (alpha + sigma),
)


def preconditioned(data_std: float) -> Prediction:
    """Returns the prediction of x from x_t and an output whose target has unit variance.

    Karras et al. (2022), table 1, with sigma / alpha for their sigma, and x_t / alpha for their x.
    """

    def skip_and_out(alpha, sigma):
        noise = sigma / alpha
        total = noise**2 + data_std**2
        return data_std**2 / total, noise * data_std / jnp.sqrt(total)

    def target(x, eps, alpha, sigma):
        skip, out = skip_and_out(alpha, sigma)
        return (x - skip * (x + sigma / alpha * eps)) / out

    def to_x(x_t, output, alpha, sigma):
        skip, out = skip_and_out(alpha, sigma)
        return skip * x_t / alpha + out * output

    return Prediction(target, to_x, lambda alpha, sigma: skip_and_out(alpha, sigma)[1])


PREDICTIONS = {'eps': EPS, 'x': X, 'v': V, 'velocity': VELOCITY}
