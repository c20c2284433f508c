"""Pictures of coloured shapes with captions, for models from text to image.

    config.data.name = 'captioned_shapes'

One or two objects lie on 16x16 black pixels. A caption is true of its picture, and what it asks for
can be read back from a sample (`atelier.data.captioned.agreement`): no other network judges.

| fact | values | in a caption |
|---|---|---|
| objects | one, or two with at least 2 black pixels between them | always |
| colour | red, green, blue, yellow, magenta, cyan | always |
| shape | circle, square, triangle, cross | always |
| size | small (5 pixels), large (7 pixels) | of every second object |
| place | top, middle or bottom and left, middle or right | of every second single object |
| relation | left of, right of, above, below | of two objects |

What a caption leaves out may be anything. Two objects differ in colour, in shape or in both. Their
relation is along the axis that separates them; along the other one their centres are at most 3
pixels apart.

Five of the 24 pairs of a colour and a shape are in no picture and in no caption of training and
validation: red triangle, green cross, blue circle, yellow square, cyan triangle. Each colour and
each shape is there in other pairs. In half of the test pictures there are only pairs of training
('seen'); in the other half one of the objects, or the only one, is of a pair that is held out, and
the other one is of any ('unseen').

Splits: 20,000 train, 1,000 validate, 2,000 test. There are only 3,116 pictures with one object of a
pair that is seen, so 96 % of those in test are in training too; of those with two objects, 1 % are.
There are no labels and no factors, because the number of objects varies.
"""

import numpy as np

from atelier.data.captioned.agreement import agreement
from atelier.data.captioned.captions import caption_of
from atelier.data.captioned.drawing import draw
from atelier.data.captioned.random_scenes import Example, random_examples
from atelier.data.captioned.scenes import SIDE
from atelier.data.condition_splits import CAPTION
from atelier.data.dataset import Dataset, Spec
from atelier.errors import choose

NAME = 'captioned_shapes'
LEVELS = 256
SIZES = {'train': 20_000, 'valid': 1000, 'test': 2000}
OBJECTS = {'both': (1, 2), 'one': (1,), 'two': (2,)}  # numbers of objects, equally often


def load(objects: str = 'both') -> Dataset:
    """Returns the pictures with their captions.

    Args:
      objects: `config.data.objects`: 'both' (a half has one object, a half has two), 'one' or
        'two'.

    Raises:
      UserError: `objects` is none of these.
    """
    numbers = choose('data.objects', objects, OBJECTS)
    splits = {}
    for seed, (name, size) in enumerate(SIZES.items()):
        examples = _examples(seed, size, numbers, (False, True) if name == 'test' else (False,))
        captions = np.array([caption_of(each.request) for each in examples])
        splits[name] = {'x': draw([each.scene for each in examples]), CAPTION: captions}
    counted = 'one or two' if objects == 'both' else objects
    description = f'{SIDE}x{SIDE} pictures of {counted} coloured shapes, with captions'
    spec = Spec((SIDE, SIDE, 3), LEVELS, None)
    return Dataset(NAME, spec, splits, description, agreement=agreement)


def _examples(
    seed: int, size: int, numbers: tuple[int, ...], are_unseen: tuple[bool, ...]
) -> list[Example]:
    """Returns the examples of a split, in a random order: equally many of each kind."""
    generator = np.random.RandomState(seed)
    kinds = [(number, is_unseen) for number in numbers for is_unseen in are_unseen]
    each = [random_examples(generator, size // len(kinds), *kind) for kind in kinds]
    examples = sum(each, [])
    return [examples[i] for i in generator.permutation(len(examples))]
