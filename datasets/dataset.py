"""The one form of data: arrays in host memory, a description, and what happens at each showing."""

import importlib
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, UInt32

from datasets import preprocess
from errors import UserError, choose

SOURCES = {'digits': 'datasets.digits'}  # loaded on demand: a source's imports may be heavy
PLACEMENTS = {'device': 'the whole training split lies on every device'}


class Spec(NamedTuple):
    """What a model has to know of its data.

    `levels`: x takes the values 0, 1, ..., levels - 1; None: any real number.
    `num_classes`: labels are 0, ..., num_classes - 1; None: there are none.
    """

    event_shape: tuple[int, ...]
    levels: int | None
    num_classes: int | None

    @property
    def num_dims(self) -> int:
        """Numbers in one event: the D of bits per dimension."""
        return int(np.prod(self.event_shape))


class Dataset(NamedTuple):
    """Splits 'train', 'valid', 'test' of arrays 'x' [n, *event] and, where known, 'label' [n].

    The arrays are as stored (uint8 where that is enough). `preprocess` makes the batch that models
    see, on the device, from one key per example: {'x': float32, 'label': int32}.
    `description` says in words what the numbers in `x` are.
    """

    name: str
    spec: Spec
    splits: dict[str, dict[str, np.ndarray]]
    preprocess: Callable[[dict[str, Array], UInt32[Array, 'local 2']], dict[str, Array]]
    description: str

    def size(self, split: str) -> int:
        """The number of examples of a split."""
        return len(self.splits[split]['x'])


def load(config) -> Dataset:
    """The data set that `config.data` names, binarised if it says so.

    Raises:
      UserError: unknown name, placement or binarisation, or the source's own complaint.
    """
    choose('data.placement', config.data.placement, PLACEMENTS)
    module = importlib.import_module(choose('data.name', config.data.name, SOURCES))
    return binarized(module.load(config.data.data_dir), config.data.binarize)


def binarized(source: Dataset, how: str) -> Dataset:
    """`source` with grey levels turned into {0, 1} as `how` says; 'none' leaves it as it is.

    Raises:
      UserError: unknown `how`, or real-valued data.
    """
    rule = choose('data.binarize', how, preprocess.BINARIZATIONS)
    if rule is None:
        return source
    if source.spec.levels is None:
        raise UserError(f'config.data.binarize={how!r}: {source.name} is real-valued')
    top = source.spec.levels - 1

    def apply(raw, keys):
        batch = source.preprocess(raw, keys)
        return {**batch, 'x': jax.vmap(rule, in_axes=(0, 0, None))(batch['x'], keys, top)}

    return source._replace(
        spec=source.spec._replace(levels=2),
        preprocess=apply,
        description=f'{source.description}, binarised: {how}',
    )
