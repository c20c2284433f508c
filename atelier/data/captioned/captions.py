"""Captions of scenes: what they ask, as text and back.

| request | caption |
|---|---|
| one object | a red circle |
| with its size, its place or both | a small red circle at the top left |
| two objects and their relation | a red circle above a green square |
| with the size of one or both | a large green square left of a small blue circle |

What a caption does not name may be anything.
"""

import functools
import re
from typing import NamedTuple

from atelier.data.captioned.scenes import COLOURS, PLACES, RELATIONS, SHAPES, SIZES
from atelier.data.conditions.words import words_of


class RequestedObject(NamedTuple):
    """An object that a caption asks for; None: any size, or any place."""

    colour: str
    shape: str
    size: str | None = None
    place: str | None = None

    @property
    def pair(self) -> tuple[str, str]:
        """The colour and the shape."""
        return self.colour, self.shape


class Request(NamedTuple):
    """What a caption asks for: one object, or two and where the first is, seen from the second."""

    objects: tuple[RequestedObject, ...]
    relation: str | None = None


def caption_of(request: Request) -> str:
    """Returns the request as text."""
    first, *others = [_noun(each) for each in request.objects]
    return ' '.join(filter(None, (first, request.objects[0].place, request.relation, *others)))


def parse(caption: str) -> Request | None:
    """Returns the request of which this is the caption; None if it is of none."""
    match = CAPTION.fullmatch(' '.join(words_of(caption)))
    if match is None:
        return None
    size, colour, shape, place, relation, *second = match.groups()
    first = RequestedObject(colour, shape, size, place)
    if relation is None:
        return Request((first,))
    size, colour, shape = second
    return Request((first, RequestedObject(colour, shape, size)), relation)


@functools.cache
def _noun(each: RequestedObject) -> str:
    return ' '.join(filter(None, ('a', each.size, each.colour, each.shape)))


_any = '|'.join
NOUN = f'a (?:({_any(SIZES)}) )?({_any(COLOURS)}) ({_any(SHAPES)})'
CAPTION = re.compile(f'{NOUN}(?: ({_any(PLACES.values())})| ({_any(RELATIONS.values())}) {NOUN})?')
