"""What a training step cannot be faster than: its matrix products, and the copying of its State."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

ARRAYS = 4  # of each parameter: itself, two moments and its average
NUMBERS = 9 / 8  # a step reads parameters, two moments, their average and a gradient; writes four


class Product(NamedTuple):
    """[m, k] by [k, n]: a layer for one batch, a convolution as the product of its windows.

    inputs: whether the gradient of its input is wanted: not of the first layer's.
    weights: whether that of its weights is: not of a player's who stands still.
    """

    m: int
    k: int
    n: int
    inputs: bool = True
    weights: bool = True


def flop(layers: Sequence[Product]) -> int:
    """Operations of a step's products: forward, and for the gradients that are wanted."""
    return sum(2 * each.m * each.k * each.n * (1 + each.inputs + each.weights) for each in layers)


def products(layers: Sequence[Product], steps: int) -> Callable[[], None]:
    """Multiplies alone: each layer forward, and for the gradients that are wanted."""
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
    """w and next to nothing of what the last product made, so that none is left out of the loop."""
    y = x @ w
    z = y @ w.T if layer.inputs else x
    last = z.T @ y if layer.weights else z if layer.inputs else y
    return w + 1e-30 * jax.lax.optimization_barrier(last)[0, 0]


def copied_bytes(num_parameters: int) -> int:
    """That `copying` reads and writes in a step."""
    return 2 * ARRAYS * 4 * num_parameters


def copying(num_parameters: int, steps: int) -> Callable[[], None]:
    """Reads and writes four arrays of so many float32 numbers; `NUMBERS` times is a step's."""
    arrays = [jnp.full(num_parameters, float(i)) for i in range(ARRAYS)]

    @jax.jit
    def copy(arrays):
        step = lambda arrays, _: ([x * 0.999 for x in arrays], None)
        return jax.lax.scan(step, arrays, length=steps)[0]

    return lambda: jax.block_until_ready(copy(arrays))
