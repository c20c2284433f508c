"""Scenes and captions at random, the same on every machine."""

import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float

from atelier.data.captioned.captions import Request, RequestedObject
from atelier.data.captioned.scenes import (
    HELD_OUT,
    HIGH,
    LOW,
    PAIRS,
    RELATIONS,
    SEEN,
    SIDE,
    SIZES,
    Object,
    Scene,
)

GAP = 2  # black pixels between two objects, at least
MAX_SHIFT = 3  # pixels between two centres along the axis that does not separate them, at most
MARGIN = 1  # pixels between a single object's centre and the border of its place, at least
NUM_DRAWS = 8  # for an example
T = TypeVar('T')


class Example(NamedTuple):
    """A scene, and what its caption asks."""

    scene: Scene
    request: Request


def random_examples(
    generator: np.random.RandomState, count: int, num_objects: int, is_unseen: bool
) -> list[Example]:
    """Returns `count` examples.

    Args:
      generator: of random numbers; NumPy guarantees its stream across versions.
      count: of examples.
      num_objects: of each picture, 1 or 2.
      is_unseen: whether each picture has a pair of colour and shape that is held out; else none
        has one.
    """
    with_objects = _with_one_object if num_objects == 1 else _with_two_objects
    return with_objects(generator.random_sample((NUM_DRAWS, count)), is_unseen)


def _with_one_object(u: Float[np.ndarray, 'draws n'], is_unseen: bool) -> list[Example]:
    pairs = _pick(itertools.repeat(HELD_OUT if is_unseen else SEEN), u[0])
    sizes = _pick(itertools.repeat([*SIZES]), u[1])
    lefts, tops = (_pick(map(_first_pixels, sizes), each) for each in u[2:4])
    has_size, has_place = (u[4:6] < 0.5).tolist()
    examples = []
    for i, pair in enumerate(pairs):
        each = Object(*pair, sizes[i], lefts[i], tops[i])
        size, place = each.size if has_size[i] else None, each.place if has_place[i] else None
        examples.append(Example((each,), Request((RequestedObject(*pair, size, place),))))
    return examples


def _with_two_objects(u: Float[np.ndarray, 'draws n'], is_unseen: bool) -> list[Example]:
    """Returns examples with two different pairs, of which the other one is any, if one is unseen.

    The object of a pair that has to be held out is the first or the second one, equally often.
    """
    pairs = _pick(itertools.repeat(HELD_OUT if is_unseen else SEEN), u[0])
    pool = PAIRS if is_unseen else SEEN
    others = _pick([[each for each in pool if each != pair] for pair in pairs], u[1])
    arrangements = _pick(itertools.repeat(_arrangements()), u[3])
    positions = _pick([_positions(*each) for each in arrangements], u[4])
    is_first, *has_size = (u[[2, 5, 6]] < 0.5).tolist()
    examples = []
    for i, (*sizes, relation) in enumerate(arrangements):
        both = [pairs[i], others[i]] if is_first[i] else [others[i], pairs[i]]
        each = [*zip(both, sizes, positions[i], has_size, strict=True)]
        scene = tuple(Object(*pair, size, *start) for pair, size, start, _ in each)
        requested = (
            RequestedObject(*pair, size if has[i] else None) for pair, size, _, has in each
        )
        examples.append(Example(scene, Request(tuple(requested), relation)))
    return examples


def _pick(options: Iterable[Sequence[T]], u: Float[np.ndarray, 'n']) -> list[T]:
    """Returns one of the options of each example, by its u in [0, 1)."""
    return [each[int(v * len(each))] for each, v in zip(options, u.tolist(), strict=False)]


@functools.cache
def _first_pixels(size: str) -> list[int]:
    """Returns the columns at which an object can begin, with its centre clearly in one place."""
    side = SIZES[size]
    away = lambda start: min(abs(start + side / 2 - border) for border in (LOW, HIGH))
    return [start for start in range(SIDE - side + 1) if away(start) >= MARGIN]


@functools.cache
def _arrangements() -> list[tuple[str, str, str]]:
    """Returns each (size of the first object, size of the second one, relation)."""
    return [(a, b, relation) for a in SIZES for b in SIZES for relation in RELATIONS.values()]


@functools.cache
def _positions(first: str, second: str, relation: str) -> list[list[list[int]]]:
    """Returns each [[left, top], [left, top]] of two objects that are in the relation.

    Args:
      first: size of the first object.
      second: size of the second one.
      relation: of the first one to the second one.
    """
    axis, sign = next(key for key, name in RELATIONS.items() if name == relation)
    sides = np.array([SIZES[first], SIZES[second]])
    counts = np.repeat(SIDE + 1 - sides, 2)
    starts = np.stack(np.unravel_index(np.arange(np.prod(counts)), counts), 1).reshape(-1, 2, 2)
    apart = np.diff(starts + sides[:, None] / 2, axis=1)[:, 0]  # [n, axis], between the centres
    gap = sign * apart[:, axis] - sides.mean()
    return starts[(gap >= GAP) & (np.abs(apart[:, 1 - axis]) <= MAX_SHIFT)].tolist()
