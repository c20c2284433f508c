"""What a picture of coloured shapes can hold: objects, their places and their relations."""

import itertools
from typing import NamedTuple

SIDE = 16  # pixels of a picture along each axis
COLOURS = {  # corners of the cube of RGB, on black
    'red': (255, 0, 0),
    'green': (0, 255, 0),
    'blue': (0, 0, 255),
    'yellow': (255, 255, 0),
    'magenta': (255, 0, 255),
    'cyan': (0, 255, 255),
}
SHAPES = ('circle', 'square', 'triangle', 'cross')
SIZES = {'small': 5, 'large': 7}  # pixels along each axis
LOW, HIGH = 5.5, 10.5  # centres below LOW are at the left or the top; from HIGH on, at the others
PLACES = {  # by column and row, from 0 (left, top) to 2
    (0, 0): 'at the top left',
    (1, 0): 'at the top',
    (2, 0): 'at the top right',
    (0, 1): 'at the left',
    (1, 1): 'in the middle',
    (2, 1): 'at the right',
    (0, 2): 'at the bottom left',
    (1, 2): 'at the bottom',
    (2, 2): 'at the bottom right',
}
RELATIONS = {  # by axis and sign of (centre of the second object - centre of the first)
    (0, 1): 'left of',
    (0, -1): 'right of',
    (1, 1): 'above',
    (1, -1): 'below',
}
PAIRS = tuple(itertools.product(COLOURS, SHAPES))
HELD_OUT = (  # in no picture and no caption of training and validation
    ('red', 'triangle'),
    ('green', 'cross'),
    ('blue', 'circle'),
    ('yellow', 'square'),
    ('cyan', 'triangle'),
)
SEEN = tuple(pair for pair in PAIRS if pair not in HELD_OUT)


class Object(NamedTuple):
    """An object of a picture.

    colour, shape, size: names; None: what was read from a picture is none of them.
    left, top: column and row of the first pixel of its square.
    """

    colour: str | None
    shape: str | None
    size: str | None
    left: int
    top: int

    @property
    def pair(self) -> tuple[str | None, str | None]:
        """The colour and the shape."""
        return self.colour, self.shape

    @property
    def centre(self) -> tuple[float, float]:
        """Column and row of the centre, in pixels from the edges."""
        half = SIZES[self.size] / 2
        return self.left + half, self.top + half

    @property
    def place(self) -> str | None:
        """The name of the part of the picture that has the centre; None without a size."""
        if self.size is None:
            return None
        column, row = ((c >= LOW) + (c >= HIGH) for c in self.centre)
        return PLACES[column, row]


Scene = tuple[Object, ...]


def relation_of(first: Object, second: Object) -> str:
    """Returns where the first object is, seen from the second.

    The axis is the one along which their centres are farther apart, and the horizontal one at a
    tie.
    """
    across, down = (b - a for a, b in zip(first.centre, second.centre, strict=True))
    axis = int(abs(down) > abs(across))
    return RELATIONS[axis, 1 if (across, down)[axis] > 0 else -1]
