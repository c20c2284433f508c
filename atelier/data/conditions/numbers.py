"""A condition of real numbers, such as an age or the parameters of a simulator."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from atelier.core.float32 import check_precision, is_scale
from atelier.data.conditions.request import check_varies, number_of, stripped
from atelier.errors import UserError, short_repr
from atelier.log import escaped


class Numbers(NamedTuple):
    """Numbers [columns] that an example is conditional on, in the units of the data.

    names: of the columns, untrusted.
    mean, std: of the training split, by column; networks see standardized numbers.
    examples: some conditions of training. A sample without a requested condition has one of them.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    examples: tuple[tuple[float, ...], ...] = ()

    __repr__ = short_repr

    @property
    def num_columns(self) -> int:
        """Number of stored values of an example."""
        return len(self.names)

    @property
    def num_features(self) -> int:
        """Number of inputs of a network."""
        return len(self.names)

    def features(
        self, values: Float[Array | np.ndarray, 'n columns']
    ) -> Float[Array, 'n features']:
        """Returns the standardized numbers."""
        return (values - jnp.asarray(self.mean)) / jnp.asarray(self.std)

    def fitted(self, values: Float[np.ndarray, 'n columns']) -> 'Numbers':
        """Returns the condition with the moments of the training split.

        Args:
          values: of the training split, as exact as the data have them.

        Raises:
          UserError: a column is constant, so that nothing can be learned from it, or float32, in
            which networks read it, does not tell its values apart.
        """
        check_varies(values, self.names)
        exact = values.astype(np.float64)
        rows = zip(self.names, exact.mean(0), exact.std(0), np.abs(exact).max(0), strict=True)
        for name, mean, std, largest in rows:
            if not is_scale(std):
                raise UserError(
                    f'condition {escaped(name)} varies by {std:.3g}, out of the range of float32: '
                    'scale it'
                )
            check_precision(f'condition {escaped(name)}', mean, std, largest)
        values = values.astype(np.float32)
        mean, std = values.mean(0, np.float64), values.std(0, dtype=np.float64)
        return self._replace(mean=tuple(mean.tolist()), std=tuple(std.tolist()))

    def parsed(self, text: str) -> list[float]:
        """Returns the condition that a text such as '0.3,1.2' requests.

        Raises:
          UserError: it has another number of values, or one is no finite number.
        """
        return self.row(text.split(','))

    def row(self, parts: Sequence[str]) -> list[float]:
        """Returns the condition that texts of its values request; errors as `parsed`."""
        parts = stripped(parts, self.names)
        return [
            number_of(part, escaped(name)) for part, name in zip(parts, self.names, strict=True)
        ]

    def described(self, values: Sequence[float | int]) -> str:
        """Returns the condition as a line of text."""
        pairs = zip(self.names, values, strict=True)
        return ', '.join(f'{escaped(name)} {value:.4g}' for name, value in pairs)
