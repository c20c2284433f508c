"""Spec: what a model has to know about its data."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from atelier.data.conditions.condition import Condition
from atelier.errors import short_repr
from atelier.log import escaped


class Spec(NamedTuple):
    """What a model has to know about its data.

    `levels`: x takes the discrete values 0, 1, ..., levels - 1; None: any real number.
    `num_classes`: labels are 0, ..., num_classes - 1; None: there are no labels.
    `dequantized_levels`: x is one of this many levels plus noise in [0, 1); None: it is not.
    `mean` and `std`: of real-valued training data: per column if events have one axis (a table),
      otherwise over all their values.
    `left_out`: classes that have no training example.
    `symbols`: for text, the symbol of each level; the first is the end of texts that end (`items`).
    `class_names`: the name of each class, untrusted; (): the classes are called by their numbers.
    `column_names`: names along the last axis of x, untrusted: of the columns of a table or the
      channels of a signal; (): they are called by their numbers.
    `draw_as`: what pictures take x for, see `atelier.data.kinds`; 'auto': what its shape says.
    `chiral`: whether a mirrored picture may be no picture of these data, as of letters and digits;
      true if it is not known.
    `background`: the level, from 0 to 1 and by channel, that at least half of the border pixels of
      training pictures have; None: there is none, or x are no pictures with levels.
    `condition`: what examples are conditional on besides a class: numbers, several labels or words
      (`atelier.data.conditions`); None: nothing.
    """

    event_shape: tuple[int, ...]
    levels: int | None
    num_classes: int | None
    dequantized_levels: int | None = None
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0
    left_out: tuple[int, ...] = ()
    symbols: str | None = None
    class_names: tuple[str, ...] = ()
    column_names: tuple[str, ...] = ()
    draw_as: str = 'auto'
    chiral: bool = True
    background: tuple[float, ...] | None = None
    condition: Condition | None = None

    __repr__ = short_repr  # for notebooks

    @property
    def known_classes(self) -> tuple[int, ...]:
        """The classes that occur in training; none if the data have no labels."""
        return tuple(n for n in range(self.num_classes or 0) if n not in self.left_out)

    def class_name(self, label: int) -> str:
        """The name of a class as it is printed, escaped; its number if classes have no names."""
        named = 0 <= label < len(self.class_names)
        return escaped(self.class_names[label]) if named else str(label)

    def column_name(self, index: int, noun: str = 'column') -> str:
        """The name of a column (or of another `noun`), escaped, or 'column 0' if it has none."""
        named = index < len(self.column_names)
        return escaped(self.column_names[index]) if named else f'{noun} {index}'

    @property
    def format(self) -> str:
        """The fields as text, except names and what is known from the training data."""
        fields = self._replace(mean=0.0, std=1.0)._asdict()  # moments follow from 'train'
        lacking = ('left_out', 'class_names', 'column_names', 'draw_as', 'chiral', 'background')
        for name in (*lacking, 'condition'):
            del fields[name]  # older fingerprints lack them
        symbols = fields.pop('symbols')
        if symbols is not None:
            fields['symbols'] = ascii(symbols)
        return ', '.join(f'{name} {value}' for name, value in fields.items())

    @property
    def num_dims(self) -> int:
        """Number of values in one event: the D of bits per dimension."""
        return int(np.prod(self.event_shape))

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        """(height, width, channels) if events have rows and columns, else None."""
        return (*self.event_shape, 1)[:3] if len(self.event_shape) in (2, 3) else None

    def bits_per_dim(self, nats: Array | np.ndarray) -> Array | np.ndarray:
        """Converts nats per event to bits per dimension."""
        return nats / (self.num_dims * math.log(2))

    @property
    def has_bits_per_dim(self) -> bool:
        """Whether x has levels, or is dequantized, so that its NLL bounds that of the levels."""
        return self.levels is not None or self.dequantized_levels is not None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The smallest and the largest value that x can take, if they are known."""
        if self.levels is not None:
            return 0.0, self.levels - 1.0
        if self.dequantized_levels is not None:
            return 0.0, float(self.dequantized_levels)
        return None

    def normalize(self, x: Array | np.ndarray) -> Array:
        """Scales x to [0, 1], or to mean 0 and standard deviation 1, as networks see it."""
        shift, scale = self.affine(x.shape)
        return (x - shift) / scale

    def denormalize(self, x: Array | np.ndarray) -> Array:
        """The inverse of `normalize`."""
        shift, scale = self.affine(x.shape)
        return shift + scale * x

    def affine(self, shape: tuple[int, ...]) -> tuple[Array, Array]:
        """Returns the shift and scale of `denormalize`, broadcast to x of this shape."""
        if self.interval is None:
            shift, scale = self.mean, self.std
        else:
            shift, scale = self.interval[0], self.interval[1] - self.interval[0]
        broadcast = lambda value: jnp.broadcast_to(jnp.asarray(value, jnp.float32), shape)
        return broadcast(shift), broadcast(scale)
