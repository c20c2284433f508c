"""Classes of a data set: their names and order, and those that training has.

`config.data.classes` decides which classes a model knows:

'trained': those with a training example. Classes of a folder are in natural order (2 before 10).
'declared': all up to the largest label, or all that a data set declares, except those of
`config.data.without_classes`; folders are in alphabetical order, and classes have no names. Runs
that began before there was a choice have this rule and keep it.
"""

import itertools
import pathlib
import re
from collections.abc import Iterable, Sequence

import numpy as np

from atelier.data.spec import Spec
from atelier.errors import UserError, about, did_you_mean, shortened
from atelier.log import counted, listed
from atelier.names import fault_of_names, stored_names, texts_in

RULES = ('trained', 'declared')
MAX_SHOWN = 20
MAX_UNUSED = 100  # most classes without examples, or the number with examples if larger


def natural(name: str) -> tuple:
    """Returns a key that sorts names with numbers in them by the numbers: 'a2' before 'a10'."""
    parts = re.split(r'([0-9]{1,300})', name)  # int() refuses thousands of digits
    texts = [part.casefold() for part in parts[::2]]
    numbers = [int(part) for part in parts[1::2]]
    return (*itertools.chain(*itertools.zip_longest(texts, numbers, fillvalue=-1)), name)


def with_names(spec: Spec, names: Sequence[str]) -> Spec:
    """Returns a Spec whose classes have these names, unless they are the numbers of the classes."""
    is_named = len(names) == spec.num_classes and [*names] != [*map(str, range(len(names)))]
    return spec._replace(class_names=stored_names(names) if is_named else ())


def without_training_examples(label: np.ndarray, num_classes: int) -> tuple[int, ...]:
    """Returns the classes that have no example in the labels [n] of the training split."""
    counts = np.bincount(np.asarray(label), minlength=num_classes)
    return tuple(np.flatnonzero(counts == 0).tolist())


def predicted_classes(spec: Spec, rule: str) -> tuple[int, ...]:
    """Returns the classes that a classifier tells apart: with 'declared', also those left out."""
    return spec.known_classes if rule == 'trained' else tuple(range(spec.num_classes or 0))


def described(spec: Spec, classes: Iterable[int] | None = None) -> str:
    """Returns the names of classes (by default those of training), the first ones and a count."""
    classes = spec.known_classes if classes is None else classes
    return listed([spec.class_name(each) for each in classes], MAX_SHOWN)


def index_of(spec: Spec, text: str) -> int:
    """Returns the class that `text` names: by its name or, unless a name is a number, its number.

    Raises:
      UserError: there is no such class; lists those of the training data.
    """
    text = text.strip()
    if text in spec.class_names:
        return spec.class_names.index(text)
    has_numbers = any(name.isdecimal() for name in spec.class_names)
    is_number = text.isdecimal() and len(text) < 10
    if is_number and not has_numbers and int(text) < (spec.num_classes or 0):
        return int(text)
    hint = did_you_mean(text, spec.class_names)
    raise UserError(f'there is no class {shortened(text)}{hint}: choose of {described(spec)}')


def option_of(spec: Spec, name: str, value: int | str) -> int:
    """Returns the class that the option `name` names; a number below 0 is returned as it is.

    Raises:
      UserError: there is no class of this name. Numbers that are too large are not refused here.
    """
    text = str(value).strip()
    is_number = re.fullmatch(r'[+-]?[0-9]{1,9}', text) is not None
    has_numbers = any(each.isdecimal() for each in spec.class_names)
    if text not in spec.class_names and is_number and (int(text) < 0 or not has_numbers):
        return int(text)
    with about(f'--{name}={value}'):
        return index_of(spec, text)


def indices_of(spec: Spec, names: Sequence) -> tuple:
    """Returns `config.data.without_classes` as numbers of classes.

    A text may hold several names, with commas between them, as a flag gives them.

    Raises:
      UserError: a name is that of no class.
    """
    if spec.num_classes is None:
        return tuple(names)  # refused later, because there are no labels
    with about(f'config.data.without_classes={",".join(map(str, names))}'):
        is_list = lambda each: isinstance(each, str) and each not in spec.class_names
        parts = [part for each in names for part in (each.split(',') if is_list(each) else [each])]
        is_name = lambda each: isinstance(each, str) or str(each) in spec.class_names
        return tuple(index_of(spec, str(each)) if is_name(each) else each for each in parts)


def declared_classes(
    labels: Sequence[np.ndarray], names: np.ndarray | None, path: pathlib.Path
) -> tuple[int | None, tuple[str, ...]]:
    """Returns the number of classes and their names, if any, of arrays read from `path`.

    Args:
      labels: of each split [n]; empty: the data have none.
      names: `class_names` of the file, [classes] texts; None: classes have no names.
      path: of the file, for messages.

    Raises:
      UserError: most classes have no example, because a label is a large index, or a special value
        such as 255 for "no class"; or `names` are not distinct names of the classes.
    """
    if names is None:
        return (_num_used(labels, path) if labels else None), ()
    given = texts_in(names)
    if not labels or not given:
        raise UserError(
            f'class_names of {path}: expected an array of distinct texts, a name of each label, '
            f'and labels; got {names.dtype} {names.shape}{"" if labels else " and no labels"}'
        )
    fault = fault_of_names(given)
    if fault:
        raise UserError(f'class_names of {path}: {fault}: give distinct texts, one for each label')
    largest = int(max(label.max() for label in labels))
    if largest >= len(given):
        raise UserError(
            f'class_names of {path} has {counted(len(given), "name")}, but labels go up to '
            f'{largest}: name every class'
        )
    return len(given), stored_names(given)


def _num_used(labels: Sequence[np.ndarray], path: pathlib.Path) -> int:
    """Returns the largest label + 1, which sets the size of parts of a model."""
    used = np.unique(np.concatenate(labels)).tolist()
    largest, allowed = used[-1], len(used) + max(MAX_UNUSED, len(used))
    if largest < allowed:
        return largest + 1
    free, advice = max([-1, *used[:-1]]) + 1, f'number the classes 0 to {len(used) - 1}'
    if free < allowed:  # the largest label alone is too large
        kept_out = f'--config.data.without_classes={free} keeps it out of training'
        advice = f'remove these examples, or number their class {free} ({kept_out})'
    raise UserError(
        f'label of {path}: there would be {largest + 1:,} classes, because of the label {largest}, '
        f'but examples of only {len(used)}: {advice}'
    )
