"""Rate of matrix products in float32 and bfloat16, the upper limit of a training step's rate.

python -m benchmarks.matrix_rate
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from benchmarks import outcome
from benchmarks.timing import alternate, spread

flags.DEFINE_multi_string('shape', ['96,256,256', '128,784,400', '1024,1024,1024'], 'M,K,N')
flags.DEFINE_integer('matrix_repeats', 9, 'repeats of each arm')


def flop(shape: tuple[int, int, int], products: int) -> int:
    """Returns the FLOP of `arm`: 2 M K N there and 2 M K N back, `products` times."""
    return 4 * math.prod(shape) * products


def arm(shape: tuple[int, int, int], dtype, products: int):
    """Returns a function that multiplies [M, K] by [K, N] and back, `products` times in a scan."""
    m, k, n = shape
    keys = jax.random.split(jax.random.PRNGKey(0), 3)
    sizes = ((m, k), (k, n), (n, k))
    x, there, back = (
        jax.random.normal(key, size).astype(dtype) for key, size in zip(keys, sizes, strict=True)
    )

    @jax.jit
    def multiply(x):
        step = lambda x, _: (((x @ there) * (1 / k)) @ back * (1 / n), None)
        return jax.lax.scan(step, x, length=products)[0]

    return lambda: multiply(x).block_until_ready()


def main(_):
    """Prints a table."""
    result = outcome.Outcome.of_flags('matrix_rate')
    result.print_heading()
    for index, text in enumerate(flags.FLAGS.shape):
        shape = tuple(map(int, text.split(',')))
        products = max(1, int(2e9 / flop(shape, 1)))
        arms = {d: arm(shape, getattr(jnp, d), products) for d in ('float32', 'bfloat16')}
        limit = result.left(1 / (len(flags.FLAGS.shape) - index))
        seconds = alternate(arms, flags.FLAGS.matrix_repeats, limit)
        if len(seconds) < len(arms):
            print(f'{text}: time was up')
            continue
        rates = {name: flop(shape, products) / times / 1e9 for name, times in seconds.items()}
        ratios = rates['bfloat16'] / rates['float32']
        for name, times in seconds.items():
            result.add_arm(f'{text}, {name}', 1e3 * times / products)
        result.add_ratio(f'{text}: bfloat16 / float32', ratios)
        summary = ', '.join(f'{name} {spread(rate, 0)}' for name, rate in rates.items())
        print(f'{text}: GFLOP/s {summary}; bfloat16 is {np.median(ratios):.2f} times as fast')
        result.write()
    result.write()  # also if the time was up before the first


if __name__ == '__main__':
    outcome.run(main)
