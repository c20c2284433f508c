"""Lower bounds on the time of a training step: its matrix products, and copying its State."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

ARRAYS = 4  # per parameter: itself, two moments and its average
STEP_TRAFFIC = 9 / 8  # relative to `copying`: a step also reads the gradient, so 9 arrays, not 8


class Product(NamedTuple):
    """[m, k] by [k, n]: a layer on one batch; a convolution multiplies its windows by the kernel.

    inputs: whether to compute the gradient with respect to the input; not for the first layer.
    weights: whether to compute that of the weights; not for a player that is not updated.
    """

    m: int
    k: int
    n: int
    inputs: bool = True
    weights: bool = True


def flop(layers: Sequence[Product]) -> int:
    """Returns the FLOP of a step's products: forward, and for the requested gradients."""
    return sum(2 * each.m * each.k * each.n * (1 + each.inputs + each.weights) for each in layers)


def products(layers: Sequence[Product], steps: int) -> Callable[[], None]:
    """Returns a function that only computes the products of `steps` steps, gradients included."""
    keys = jax.random.split(jax.random.PRNGKey(0), len(layers))
    pairs = list(zip(keys, layers, strict=True))
    inputs = [jax.random.normal(key, (layer.m, layer.k)) for key, layer in pairs]
    weights = [jax.random.normal(key, (layer.k, layer.n)) for key, layer in pairs]

    @jax.jit
    def multiply(weights):
        def step(weights, _):
            return [_after(*layer) for layer in zip(layers, inputs, weights, strict=True)], None

        return jax.lax.scan(step, weights, length=steps)[0]

    return lambda: jax.block_until_ready(multiply(weights))


def _after(layer: Product, x: jax.Array, w: jax.Array) -> jax.Array:
    """Returns w plus a tiny part of the last product, so that XLA removes no product."""
    y = x @ w
    z = y @ w.T if layer.inputs else x
    last = z.T @ y if layer.weights else z if layer.inputs else y
    return w + 1e-30 * jax.lax.optimization_barrier(last)[0, 0]


def copied_bytes(num_parameters: int) -> int:
    """Returns the bytes that `copying` reads and writes per step."""
    return 2 * ARRAYS * 4 * num_parameters


def copying(num_parameters: int, steps: int) -> Callable[[], None]:
    """Returns a function that copies 4 float32 arrays, `steps` times (see `STEP_TRAFFIC`)."""
    arrays = [jnp.full(num_parameters, float(i)) for i in range(ARRAYS)]

    @jax.jit
    def copy(arrays):
        step = lambda arrays, _: ([x * 0.999 for x in arrays], None)
        return jax.lax.scan(step, arrays, length=steps)[0]

    return lambda: jax.block_until_ready(copy(arrays))
