"""A data set that is read when an example is first needed; its Spec and shapes are known before."""

import functools
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from atelier.data import preprocess
from atelier.data.dataset import Dataset, Spec


class ArrayShape(NamedTuple):
    """The shape and the type of an array of the training split, without its values.

    shape: with the number of examples first.
    dtype: name of the type, such as 'uint8'.
    """

    shape: tuple[int, ...]
    dtype: str

    @property
    def values_per_example(self) -> int:
        """Number of values of one example."""
        return math.prod(self.shape[1:])


Shapes = Mapping[str, ArrayShape]


class _Unread:
    """The examples behind a stand-in: reads them at most once."""

    def __init__(self, read: Callable[[], Dataset], shapes: Shapes):
        self.read = functools.cache(read)  # an error is not kept: the next call tries again
        self.shapes = dict(shapes)


class StandIn(Dataset):
    """Stands in for data whose Spec is known; whatever else they have is read when it is needed.

    Reading fails with a `UserError` if the data are gone.
    """

    __slots__ = ()

    @property
    def _unread(self) -> _Unread:
        return self[Dataset._fields.index('splits')]

    @property
    def splits(self) -> dict:
        """The splits of the data, which are read."""
        return self.read().splits

    @property
    def description(self) -> str:
        """The description of the data, which are read."""
        return self.read().description

    @property
    def factor_names(self) -> tuple[str, ...]:
        """The names of the factors of the data, which are read."""
        return self.read().factor_names

    @property
    def modes(self):
        """The modes of the data, which are read."""
        return self.read().modes

    @property
    def agreement(self):
        """The agreement of the data with their conditions; the data are read."""
        return self.read().agreement

    @property
    def shapes(self) -> dict[str, ArrayShape]:
        """Shapes and types of the arrays of the training split."""
        return self._unread.shapes

    def size(self, split: str) -> int:
        """Returns the number of examples of a split; that of 'train' is known without reading."""
        return self.shapes['x'].shape[0] if split == 'train' else super().size(split)

    def origin_of(self, split: str, index=None) -> dict:
        """Returns the files and the rows of the examples of a split, which are read."""
        return self.read().origin_of(split, index)

    def _replace(self, **fields) -> Dataset:
        """Returns the stand-in with other fields; with other splits, it stands in for no data."""
        return self.read()._replace(**fields) if 'splits' in fields else super()._replace(**fields)

    def read(self) -> Dataset:
        """Returns the data, with the Spec of the stand-in.

        Raises:
          UserError: they cannot be read.
        """
        return self._unread.read()._replace(spec=self.spec)

    def zero_batch(self, size: int) -> dict[str, Array]:
        """Returns a preprocessed batch of zeros, of `size` examples of the training split."""
        raw = {
            name: jnp.zeros((size, *array.shape[1:]), jax.dtypes.canonicalize_dtype(array.dtype))
            for name, array in self.shapes.items()
        }
        return preprocess.as_float(raw, jnp.zeros((size, 2), jnp.uint32))

    def __repr__(self) -> str:
        """Short, for notebooks; reads nothing."""
        if self._unread.read.cache_info().currsize:
            return repr(self.read())
        return f'Dataset({self.name!r}, not read yet)'


def stand_in(name: str, spec: Spec, shapes: Shapes, read: Callable[[], Dataset]) -> StandIn:
    """Returns a stand-in for the data that `read` returns.

    Args:
      name: of the data set.
      spec: of the data.
      shapes: of the arrays of the training split.
      read: reads the data, at most once.
    """
    unread = _Unread(read, shapes)
    preprocessed = lambda inputs, keys: unread.read().preprocess(inputs, keys)
    return StandIn(name, spec, unread, '', preprocessed)


def shapes_of(data: Dataset) -> dict[str, ArrayShape]:
    """Returns shapes and types of the arrays of the training split."""
    if isinstance(data, StandIn):
        return data.shapes
    return {
        name: ArrayShape(tuple(array.shape), str(array.dtype))
        for name, array in data.splits['train'].items()
    }
