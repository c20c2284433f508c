"""The precision of matrix products that an arm runs in, the same on both sides of a comparison.

float32: full precision, on every processor. tf32: float32 numbers of which a GPU's products read
10 bits of the mantissa; only there. bfloat16: `train.precision=bfloat16` beside PyTorch's autocast;
what stays float32 in them has full precision.
"""

import jax

from configs.shared import common

NAMES = ('float32', 'tf32', 'bfloat16')
PRODUCTS = {'float32': 'float32', 'tf32': 'tensorfloat32', 'bfloat16': 'float32'}


def chosen(names: list[str]) -> list[str]:
    """Returns the names that this machine has: tf32 only on a GPU."""
    return [name for name in names if name != 'tf32' or jax.default_backend() == 'gpu']


def set_products(name: str) -> str:
    """Sets the precision of JAX's products in this process; returns the `train.precision` for it.

    Without this setting, the products of float32 numbers on a GPU are tf32.
    """
    jax.config.update('jax_default_matmul_precision', PRODUCTS[name])
    return name if name in common.PRECISIONS else 'float32'


def named(arm: str, precision: str) -> str:
    """Returns the name of an arm in this precision; float32 is not named."""
    return arm if precision == 'float32' else f'{arm}, {precision}'
