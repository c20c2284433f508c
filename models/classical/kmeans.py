"""Initial clusters of a mixture: k-means++ seeding, then Lloyd iterations."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

Rows = Float[Array, 'n dims']


def distances(x: Rows, centres: Float[Array, 'k dims']) -> Float[Array, 'n k']:
    """Returns squared distances of every example from every centre."""
    squares = jnp.square(x).sum(-1)[:, None] + jnp.square(centres).sum(-1)
    return jnp.maximum(squares - 2 * x @ centres.T, 0.0)


def k_means_plus_plus(key: UInt32[Array, '2'], x: Rows, count: int) -> Float[Array, 'count dims']:
    """Draws `count` examples one by one, preferably far from the ones drawn before.

    The probability of an example is proportional to its squared distance from the nearest example
    drawn before: Arthur and Vassilvitskii (2007), k-means++: The Advantages of Careful Seeding,
    section 2.2. If there are fewer distinct examples than centres, some are drawn twice.
    """

    def add(nearest, key):
        some_left = jnp.any(nearest > 0)
        weight = jnp.where(some_left, jnp.log(nearest), 0.0)
        chosen = x[jax.random.categorical(key, weight)]
        return jnp.minimum(nearest, jnp.square(x - chosen).sum(-1)), chosen

    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, jnp.arange(count))
    anywhere = jnp.full(len(x), jnp.finfo(x.dtype).max)  # the first draw is uniform
    return jax.lax.scan(add, anywhere, keys)[1]


def nearest_of(
    key: UInt32[Array, '2'], x: Rows, count: int, iterations: int
) -> Float[Array, 'n count']:
    """Returns each example's one-hot cluster after `iterations` of Lloyd's algorithm (1982)."""
    centres = k_means_plus_plus(key, x, count)

    def cluster(centres):
        return jax.nn.one_hot(jnp.argmin(distances(x, centres), -1), count)

    def improve(centres, _):
        members = cluster(centres)
        sizes = members.sum(0)[:, None]
        return jnp.where(sizes > 0, members.T @ x / jnp.maximum(sizes, 1.0), centres), None

    centres, _ = jax.lax.scan(improve, centres, None, iterations)
    return cluster(centres)
