"""Precision of matrix products and convolutions: what `config.train.precision` means where.

On a GPU, JAX lets the tensor cores round the factors of a float32 product to TF32 (a mantissa of 10
bits instead of 23; sums are float32), and on a TPU to bfloat16, unless a precision is requested. A
CPU always computes full float32 products. There 'full_float32', 'tf32' and 'float32' are the same
program.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.core.types import Optimizer
from atelier.errors import choose


class Precision(NamedTuple):
    """How products are computed.

    dtype: data type of the factors.
    requested: the name of the precision in JAX, or None for what JAX does on this backend unless
      it is configured otherwise.
    """

    dtype: DTypeLike
    requested: str | None = None


PRECISIONS = {
    'float32': Precision(jnp.float32),
    'full_float32': Precision(jnp.float32, 'float32'),
    'tf32': Precision(jnp.float32, 'tensorfloat32'),
    'bfloat16': Precision(jnp.bfloat16),
}
# float32 products of each backend, by the precision that is requested
PRODUCTS = {
    'gpu': {None: 'TF32 where the card has it', 'tensorfloat32': 'TF32 where the card has it'},
    'tpu': {None: 'bfloat16', 'tensorfloat32': 'three bfloat16 products'},
}


def of_config(train: ConfigDict | Mapping[str, Any]) -> Precision:
    """Returns the precision that `config.train` names; float32 if it has no such field.

    Raises:
      UserError: there is no precision of this name.
    """
    return choose('train.precision', train.get('precision', 'float32'), PRECISIONS)


def described(precision: Precision) -> str:
    """Returns what products are computed in on the default backend, such as 'full float32'."""
    if precision.dtype == jnp.bfloat16:
        return 'bfloat16'
    requested = precision.requested or jax.config.jax_default_matmul_precision
    return PRODUCTS.get(jax.default_backend(), {}).get(requested, 'full float32')


def with_precision(family: Family, precision: Precision) -> Family:
    """Returns the family with all its functions traced under the requested precision.

    Derivatives have the precision of the function that they are derivatives of.
    """
    if precision.requested is None:
        return family
    fields = {
        field.name: _within(getattr(family, field.name), precision.requested)
        for field in dataclasses.fields(family)
    }
    return dataclasses.replace(family, **fields)


def optimizer_with_precision(optimizer: Optimizer, precision: Precision) -> Optimizer:
    """Returns the optimizer with the products of its update rules in the requested precision."""
    if precision.requested is None:
        return optimizer
    return lambda player, hypers, step: _within(
        optimizer(player, hypers, step), precision.requested
    )


def _within(value: Any, requested: str) -> Any:
    """Returns a function, or a tuple of functions and other values, under the precision."""
    if isinstance(value, tuple):
        parts = [_within(part, requested) for part in value]
        return type(value)(*parts) if hasattr(value, '_fields') else tuple(parts)
    if not callable(value) or isinstance(value, type):
        return value

    @functools.wraps(value)
    def within(*args, **kwargs):
        is_cpu = jax.default_backend() == 'cpu'
        with contextlib.nullcontext() if is_cpu else jax.default_matmul_precision(requested):
            return value(*args, **kwargs)

    return within
