"""A condition of several labels, such as the attributes of a face."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from atelier.data.conditions.request import check_varies, stripped
from atelier.errors import UserError, did_you_mean, short_repr, shortened
from atelier.log import escaped, listed

MAX_SHOWN = 20


class Labels(NamedTuple):
    """Several labels [columns], each of a few values.

    names: of the labels, untrusted.
    values: of each label, the names of its values, untrusted; label i of an example is an index
      into `values[i]`.
    examples: some conditions of training. A sample without a requested condition has one of them.
    untrained: of each label, the values that no example of training has, so that nothing is learned
      of them; () if there are none, or if a run of an earlier version did not record them.
    """

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    examples: tuple[tuple[int, ...], ...] = ()
    untrained: tuple[tuple[str, ...], ...] = ()

    __repr__ = short_repr

    @property
    def num_columns(self) -> int:
        """Number of stored values of an example."""
        return len(self.names)

    @property
    def num_features(self) -> int:
        """Number of inputs of a network."""
        return sum(self.sizes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of each label."""
        return tuple(map(len, self.values))

    def features(self, values: Int[Array | np.ndarray, 'n columns']) -> Float[Array, 'n features']:
        """Returns the labels, each one-hot, one after the other."""
        each = [jax.nn.one_hot(values[:, i], size) for i, size in enumerate(self.sizes)]
        return jnp.concatenate(each, -1)

    def fitted(self, values: Int[np.ndarray, 'n columns']) -> 'Labels':
        """Returns the condition with the values that the training split lacks.

        Raises:
          UserError: a label is constant, so that nothing can be learned from it.
        """
        check_varies(values, self.names)
        seen = [{*np.unique(column).tolist()} for column in values.T]
        lacking = tuple(
            tuple(text for i, text in enumerate(known) if i not in each)
            for known, each in zip(self.values, seen, strict=True)
        )
        return self._replace(untrained=lacking if any(lacking) else ())

    def is_trained(self, values: Int[np.ndarray, 'n columns']) -> Bool[np.ndarray, 'n columns']:
        """Whether an example of training has the value of each label, as far as is recorded."""
        each = [
            ~np.isin(values[:, i], [known.index(text) for text in lacking])
            for i, (known, lacking) in enumerate(zip(self.values, self.untrained, strict=False))
        ]
        return np.stack(each, 1) if each else np.ones(values.shape, bool)

    def parsed(self, text: str) -> list[int]:
        """Returns the condition that a text such as 'brown,short' requests.

        Raises:
          UserError: it has another number of labels, or there is no such value.
        """
        return self.row(text.split(','))

    def row(self, parts: Sequence[str]) -> list[int]:
        """Returns the condition that texts of its values request; errors as `parsed`."""
        return [self._index(i, part) for i, part in enumerate(stripped(parts, self.names))]

    def _index(self, column: int, text: str) -> int:
        known = self.values[column]
        lacking = self.untrained[column] if self.untrained else ()
        if text in known and text not in lacking:
            return known.index(text)
        name, trained = escaped(self.names[column]), [each for each in known if each not in lacking]
        fault = f'no such value{did_you_mean(text, trained)}'
        if text in lacking:
            fault = 'no example of training has this value'
        choices = listed([escaped(each) for each in trained], MAX_SHOWN)
        raise UserError(f'condition {name}={shortened(text)}: {fault}: give {choices}')

    def described(self, values: Sequence[int]) -> str:
        """Returns the condition as a line of text."""
        rows = zip(self.names, self.values, values, strict=True)
        return ', '.join(f'{escaped(name)} {escaped(known[i])}' for name, known, i in rows)
