"""Preprocessing of stored values before a model sees them: binarisation, dequantisation.

Training draws random values anew for every minibatch, on the device, from one key per example.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

EVALUATION_DRAW = 20090512  # seed of the draw that all evaluations share
CHUNK = 1000  # examples; affects only memory use
DEVIATION = 'posterior_std'  # array of a split: the standard deviation of the noise of each x


def as_float(raw: dict[str, Array], keys: UInt32[Array, 'batch 2']) -> dict[str, Array]:
    """Casts stored values: x and other real values to float32, labels and factors to int32."""
    del keys
    is_real = lambda name, value: name == 'x' or jnp.issubdtype(value.dtype, jnp.floating)
    dtype = lambda name, value: jnp.float32 if is_real(name, value) else jnp.int32
    return {name: value.astype(dtype(name, value)) for name, value in raw.items()}


def then(preprocess: Callable, rule: Callable) -> Callable:
    """Returns `preprocess` followed by `rule(x, key)` on the x of each example."""

    def apply(raw, keys):
        batch = preprocess(raw, keys)
        return {**batch, 'x': jax.vmap(rule)(batch['x'], keys)}

    return apply


def drawn(raw: dict[str, Array], keys: UInt32[Array, 'batch 2']) -> dict[str, Array]:
    """Casts stored values as `as_float`, and draws x ~ N(x, DEVIATION^2), anew for every minibatch.

    Without the array DEVIATION, x stays what it is.
    """
    raw = dict(raw)
    deviation = raw.pop(DEVIATION, None)
    batch = as_float(raw, keys)
    if deviation is None:
        return batch
    one = lambda key, x: jax.random.normal(jax.random.fold_in(key, 2), x.shape)  # 1: `uniform`
    return {**batch, 'x': batch['x'] + deviation * jax.vmap(one)(keys, batch['x'])}


def threshold(x: Float[Array, '*event'], key, top: int) -> Float[Array, '*event']:
    """Returns 1 where x is above half of its range 0..top, else 0."""
    del key
    return (x > top / 2).astype(x.dtype)


def stochastic(x: Float[Array, '*event'], key, top: int) -> Float[Array, '*event']:
    """Draws each pixel as 1 with probability x / top, anew for every minibatch."""
    return jax.random.bernoulli(key, x / top).astype(x.dtype)


def uniform(x: Float[Array, '*event'], key) -> Float[Array, '*event']:
    """Returns x + u with u uniform on [0, 1). The density of x + u bounds the probability of x:

    log P(x) >= E_u log p(x + u) (Theis et al. 2016, section 3.1), where p is a density per unit of
    x.
    """
    noise_key = jax.random.fold_in(key, 1)  # a binarisation may have used the key itself
    noisy = x + jax.random.uniform(noise_key, x.shape)
    return jnp.minimum(noisy, jnp.nextafter(x + 1, x))  # 255 + u may round to 256


def fixed_draw(x: np.ndarray, top: int) -> np.ndarray:
    """Returns one fixed stochastic binarisation of [n, *event], as 0 and `top` in the type of x.

    `stochastic` maps these values to 0 and 1, whatever the key. The draw of example i does not
    depend on how many examples follow. NumPy guarantees RandomState's stream across versions.
    """
    generator, drawn = np.random.RandomState(EVALUATION_DRAW), np.empty_like(x)
    for start in range(0, len(x), CHUNK):
        part = x[start : start + CHUNK]
        drawn[start : start + CHUNK] = top * (generator.random_sample(part.shape) * top < part)
    return drawn


BINARIZATIONS = {'none': None, 'threshold': threshold, 'stochastic': stochastic}
DEQUANTIZATIONS = {'none': None, 'uniform': uniform}
