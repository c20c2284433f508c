"""Whether pictures show what their captions ask for, read from the pixels alone.

| fact | right if |
|---|---|
| `number` | there are as many objects as the caption names |
| `colour` | the colours of the caption are there, each on an object of its own |
| `shape` | its shapes are, likewise |
| `colour_and_shape` | each pair of a colour and a shape is there, on an object of its own |
| `size`, `place` | the named sizes, or the named place, are those of the objects that fit best |
| `relation` | both pairs are there, in the relation of the caption |
| `everything` | all of these are right |

Two objects with exchanged colours are right in `colour` and in `shape`, but not in
`colour_and_shape`. An object that the caption does not name is wrong in `number` and `everything`
only.
"""

import itertools
from collections.abc import Iterable

import numpy as np
from jaxtyping import Real

from atelier.data.captioned.captions import Request, parse
from atelier.data.captioned.reading import read
from atelier.data.captioned.scenes import HELD_OUT, Object, Scene, relation_of
from atelier.data.conditions.agreement import Agreement

FACTS = (
    *('number', 'colour', 'shape', 'colour_and_shape', 'size', 'place', 'relation'),
    'everything',
)
GROUPS = {  # by the number of objects, and whether one of them is of a pair that is held out
    (1, False): 'one object, seen pair',
    (1, True): 'one object, unseen pair',
    (2, False): 'two objects, seen pairs',
    (2, True): 'two objects, an unseen pair',
}
Facts = dict[str, bool | None]
Chosen = tuple[Object | None, ...]  # the object that stands for each one of a request, if any


def agreement(x: Real[np.ndarray, 'n 16 16 3'], captions: Iterable[str]) -> Agreement:
    """Returns which facts of the captions are true of their pictures.

    A text that is no caption of these data asks for nothing and is in no group.

    Args:
      x: levels from 0 to 255, also real ones.
      captions: of the pictures.
    """
    requests = [parse(caption) for caption in captions]
    facts = [
        {} if request is None else facts_of(request, scene)
        for request, scene in zip(requests, read(x), strict=True)
    ]
    value = lambda each, name: np.nan if each.get(name) is None else float(each[name])
    kinds = [None if request is None else _kind(request) for request in requests]
    return Agreement(
        {name: np.array([value(each, name) for each in facts], np.float32) for name in FACTS},
        {name: np.array([each == kind for each in kinds], bool) for kind, name in GROUPS.items()},
    )


def facts_of(request: Request, scene: Scene) -> Facts:
    """Returns which facts of a request are true of what was read; None: it is not asked for."""
    count = len(request.objects)
    padded = (*scene, *[None] * (count - len(scene)))
    choices = [_comparisons(request, each) for each in itertools.permutations(padded, count)]
    best = max(choices, key=lambda right: (sum(right['pair']), sum(map(sum, right.values()))))
    is_somewhere = lambda field: any(all(right[field]) for right in choices)
    is_best = lambda field: all(best[field]) if best[field] else None
    facts = {
        'number': len(scene) == count,
        'colour': is_somewhere('colour'),
        'shape': is_somewhere('shape'),
        'colour_and_shape': is_best('pair'),
        **{name: is_best(name) for name in ('size', 'place', 'relation')},
    }
    return {**facts, 'everything': all(each is not False for each in facts.values())}


def _comparisons(request: Request, chosen: Chosen) -> dict[str, list[bool]]:
    """Returns what is right if `chosen` stand for the objects of a request, in their order.

    Returns:
      By field, a bool for each object of which the field is asked; 'relation' has one or none.
    """
    right = {}
    for field in ('colour', 'shape', 'pair', 'size', 'place'):
        pairs = zip(request.objects, chosen, strict=True)
        requested = [(getattr(each, field), found) for each, found in pairs]
        right[field] = [
            found is not None and value == getattr(found, field)
            for value, found in requested
            if value is not None
        ]
    right['relation'] = []
    if request.relation is not None:
        right['relation'] = [all(right['pair']) and relation_of(*chosen) == request.relation]
    return right


def _kind(request: Request) -> tuple[int, bool]:
    return len(request.objects), any(each.pair in HELD_OUT for each in request.objects)
