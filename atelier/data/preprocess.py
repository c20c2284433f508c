"""What happens to the stored numbers before a model sees them: binarisation, dequantisation.

Training draws afresh at each showing, on the device, from one key an example.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

EVALUATION_DRAW = 20090512  # seed of the draw that all evaluations share
CHUNK = 1000  # examples; memory only


def as_float(raw: dict[str, Array], keys: UInt32[Array, 'batch 2']) -> dict[str, Array]:
    """Stored numbers as they are: x in float32, what is known of it (labels, factors) in int32."""
    del keys
    dtype = lambda name: jnp.float32 if name == 'x' else jnp.int32
    return {name: value.astype(dtype(name)) for name, value in raw.items()}


def then(preprocess: Callable, rule: Callable) -> Callable:
    """`preprocess`, and then x of each example through `rule(x, key)`."""

    def apply(raw, keys):
        batch = preprocess(raw, keys)
        return {**batch, 'x': jax.vmap(rule)(batch['x'], keys)}

    return apply


def threshold(x: Float[Array, '*event'], key, top: int) -> Float[Array, '*event']:
    """1 where x lies above half of its range 0..top."""
    del key
    return (x > top / 2).astype(x.dtype)


def stochastic(x: Float[Array, '*event'], key, top: int) -> Float[Array, '*event']:
    """Each pixel is 1 with probability x / top: another picture at every showing."""
    return jax.random.bernoulli(key, x / top).astype(x.dtype)


def uniform(x: Float[Array, '*event'], key) -> Float[Array, '*event']:
    """x + u, u uniform on [0, 1): the density of the result bounds the probability of x.

    log P(x) >= E_u log p(x + u) (Theis et al. 2016, section 3.1), in the units of x.
    """
    own = jax.random.fold_in(key, 1)  # a binarisation before it has drawn from the key itself
    noisy = x + jax.random.uniform(own, x.shape)
    return jnp.minimum(noisy, jnp.nextafter(x + 1, x))  # 255 + u may round to 256


def fixed_draw(x: np.ndarray, top: int) -> np.ndarray:
    """One stochastic binarisation of [n, *event], as 0 and `top` in the type of x, for good.

    `stochastic` leaves such numbers as they are, whatever the key. Example i has the same draw
    however many follow it. numpy promises RandomState's stream for all its versions.
    """
    generator, drawn = np.random.RandomState(EVALUATION_DRAW), np.empty_like(x)
    for start in range(0, len(x), CHUNK):
        part = x[start : start + CHUNK]
        drawn[start : start + CHUNK] = top * (generator.random_sample(part.shape) * top < part)
    return drawn


BINARIZATIONS = {'none': None, 'threshold': threshold, 'stochastic': stochastic}
DEQUANTIZATIONS = {'none': None, 'uniform': uniform}
