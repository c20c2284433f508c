"""Your own arrays from an `.npz`: images, signals, tables; events of any shape.

    np.savez('mine.npz', x=x, label=label)
    python main.py --config=configs/vae.py:arrays --config.data.path=mine.npz

| key | value |
|---|---|
| `x` | [n, *event]; validation and test examples are taken from it, by their content |
| `x_train`, `x_valid`, `x_test` | instead of `x`: your own splits; the last two are optional |
| `label`, `label_train`, ... | optional: integers 0, 1, ... [n], for every split or for none |
| `levels` | optional: integers take the values 0, ..., levels - 1 |
| `class_names` | optional: the name of each class, an array of texts |
| `condition`, `condition_train`, ... | optional: what x is conditional on, [n, k]: numbers or, as \
integers, k labels |
| `condition_names` | optional: the names of its columns, an array of texts |
| `caption`, `caption_train`, ... | optional: a text for each example, instead of `condition` |
| `column_names` | optional: names along the last axis of x (columns of a table, channels) |

Images are [n, height, width] or [n, height, width, channels]. [n, c, h, w] is refused as channels
first if c is 1 to 4, h is larger than c, and w is more than 4; with a last axis of at most 4, such
as [n, 3, 4, 4], that axis holds the channels. `config.data.channels='last'` refuses nothing.

Integers are discrete levels. The number of levels is `levels` if given, else 2 if all integers are
0 or 1, else 256 for uint8, else the largest + 1. Floats are always real values; the
table of the data says so if all are whole numbers. Networks see them
standardized (zero mean, unit standard deviation): per column in a table [n, columns], otherwise
over all values.

`config.data.draw_as` says what pictures take x for (`atelier.data.kinds`).
"""

import pathlib
from collections.abc import Mapping

import numpy as np

from atelier.core.float32 import check_precision
from atelier.data.classes import declared_classes
from atelier.data.condition_arrays import NAMES, declared_condition, kinds_of, of_arrays
from atelier.data.condition_splits import CAPTION
from atelier.data.conditions.condition import KEY
from atelier.data.dataset import Dataset, Spec
from atelier.data.kinds import with_kind
from atelier.data.large_arrays import as_type, pieces
from atelier.data.moments import moments
from atelier.data.npz_files import open_npz
from atelier.data.origins import named, numbered
from atelier.data.splits import SPLITS, arranged
from atelier.errors import UserError, choose
from atelier.names import fault_of_names, stored_names, texts_in
from atelier.paths import user_path

CHANNELS = ('auto', 'last')
MAX_CHANNELS = 4  # of a picture: grey or colour, with or without transparency
WHOLE_FLOATS = (
    'x holds whole numbers as floats: they are real values here, whose density has no limit; save '
    'x as integers if they are levels'
)
SMALL = 1e-30  # float32 holds a standard deviation this small, and its inverse


def load(
    path: str = '',
    split_by: str = 'order',
    held_out_share: float = 0.1,
    channels: str = 'auto',
    draw_as: str = 'auto',
) -> Dataset:
    """Reads the file at `path` (see the module docstring for its format).

    Args:
      path: an .npz.
      split_by: 'content': missing splits are made by the digests of x, and the examples are sorted
        by them. 'order': the examples are in the fixed random order, and no split is made.
      held_out_share: of the examples, in each split that is made by content.
      channels: 'auto': x that looks like [n, channels, height, width] is refused. 'last':
        it is not.
      draw_as: what pictures take x for; 'auto': what its shape says.

    Raises:
      UserError: the file is missing, or its arrays are not valid data.
    """
    if not path:
        raise UserError('arrays: set config.data.path to an .npz with an array x [n, *event]')
    file = user_path(path)
    with open_npz(file) as arrays:
        _refuse_unknown(arrays, file)
        splits = {split: _split(arrays, split, file) for split in SPLITS if _has(arrays, split)}
        declared_levels, classes = arrays.get('levels'), arrays.get('class_names')
        condition_names = arrays.get(NAMES)
        columns = arrays.get('column_names')
        names = [f'{file.name}:x_{split}' if 'x' not in arrays else file.name for split in splits]
    _check_same_format(splits, file)
    choose('data.channels', channels, dict.fromkeys(CHANNELS))
    if channels == 'auto':
        _refuse_channels_first(splits['train']['x'].shape, file)
    parts = [part['x'] for part in splits.values()]
    levels = _levels(parts, declared_levels, file)
    for part in splits.values():
        part['x'] = as_type(part['x'], _dtype_for(levels))
    origins = named(names, [len(x) for x in parts])
    splits, split_rule = arranged(numbered(splits), split_by == 'content', held_out_share)
    labels = [part['label'] for part in splits.values() if 'label' in part]
    num_classes, class_names = declared_classes(labels, classes, file)
    spec = Spec(parts[0].shape[1:], levels, num_classes, class_names=class_names)
    spec = with_kind(spec._replace(column_names=_column_names(columns, spec, file)), draw_as)
    spec = spec._replace(condition=declared_condition(splits, condition_names, file))
    kind = 'real values' if levels is None else f'{levels} levels'
    shape = 'x'.join(map(str, spec.event_shape)) or 'single'
    description = f'{file.name}, {shape} with {kind}'
    notes = (WHOLE_FLOATS,) if levels is None and _are_whole(parts) else ()
    return Dataset(
        'arrays', spec, splits, description, split_rule=split_rule, notes=notes, origins=origins
    )


def _has(arrays: Mapping, split: str) -> bool:
    return f'x_{split}' in arrays or (split == 'train' and 'x' in arrays)


def _refuse_unknown(arrays: Mapping, path: pathlib.Path) -> None:
    """Refuses unknown keys: a misspelt one would be ignored silently."""
    if not _has(arrays, 'train'):
        raise UserError(f'{path} has no x and no x_train: it has {", ".join(arrays) or "nothing"}')
    if 'x' in arrays and any(f'x_{split}' in arrays for split in SPLITS):
        raise UserError(f'{path} has both x and x_train, x_valid or x_test: keep one of them')
    suffixes = (
        [''] if 'x' in arrays else [f'_{split}' for split in SPLITS if f'x_{split}' in arrays]
    )
    known = {f'{kind}{suffix}' for kind in ('x', 'label', KEY, CAPTION) for suffix in suffixes}
    unknown = sorted(set(arrays) - known - {'levels', 'class_names', 'column_names', NAMES})
    if unknown:
        raise UserError(
            f'{path}: unknown keys {", ".join(unknown)}; known are x or x_train, x_valid, x_test, '
            f'label, condition and caption likewise, levels, class_names, column_names and {NAMES}'
        )


def _split(arrays: Mapping, split: str, path: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns the split's x (floats as float32), and its label and condition, if any."""
    suffix = '' if 'x' in arrays else f'_{split}'
    x = _valid_values(arrays[f'x{suffix}'], f'x{suffix} of {path}')
    given = of_arrays(arrays, suffix, len(x), path)
    if f'label{suffix}' not in arrays:
        return {'x': x, **given}
    label = arrays[f'label{suffix}']
    got = f'{getattr(label, "dtype", "no array")} {np.shape(label)}'
    fits = np.shape(label) == (len(x),) and label.dtype.kind in 'iu'
    if fits and not 0 <= label.min() <= label.max() < 2**31:
        fits, got = False, f'{label.min()} to {label.max()}'
    if not fits:
        raise UserError(
            f'label{suffix} of {path}: expected integers from 0 on of shape ({len(x)},), got {got}'
        )
    return {'x': x, 'label': label.astype(np.int32), **given}


def _valid_values(x: object, name: str) -> np.ndarray:
    if not isinstance(x, np.ndarray):
        raise UserError(f'{name} is not an array')
    if x.ndim == 0 or x.size == 0:
        raise UserError(f'{name} is empty: its shape is {x.shape}')
    if x.dtype.kind == 'f':
        return _as_float32(x, name)
    if x.dtype.kind not in 'biu':
        raise UserError(f'{name} has type {x.dtype}: expected integers or floats')
    if x.min() < 0 or x.max() >= 2**24:
        raise UserError(
            f'{name}: levels are integers from 0 to 2**24 - 1, these go from {x.min()} to {x.max()}'
        )
    return x


def check_float32(x: np.ndarray, name: str) -> None:
    """Checks that float32 holds each value of x.

    Raises:
      UserError: a value is not finite, or too large.
    """
    count = sum(int(np.sum(~np.isfinite(piece))) for piece in pieces(x))
    if count:
        raise UserError(f'{name} has values that are not finite: {count:,} of {x.size:,}')
    largest = max(x.max(), -x.min())
    if largest > np.finfo(np.float32).max:
        raise UserError(f'{name} goes up to {largest:.3g}, more than float32 holds: scale it')


def _as_float32(x: np.ndarray, name: str) -> np.ndarray:
    check_float32(x, name)
    for mean, std in zip(*moments(x), strict=True):
        if std and not SMALL < std < 1 / SMALL:
            raise UserError(f'{name} varies by {std:.3g}, out of the range of float32: scale it')
        check_precision(name, mean, std, largest=abs(mean))
    return as_type(x, np.float32)


def _column_names(names: np.ndarray | None, spec: Spec, path: pathlib.Path) -> tuple[str, ...]:
    """Returns the names along the last axis of x; () if the file has none."""
    if names is None:
        return ()
    given = texts_in(names)
    if not spec.event_shape or not given or len(given) != spec.event_shape[-1]:
        shape = ['n', *spec.event_shape]
        raise UserError(
            f'column_names of {path}: expected an array of distinct texts, one for each entry of '
            f'the last axis of x [{", ".join(map(str, shape))}], got {names.dtype} {names.shape}'
        )
    fault = fault_of_names(given)
    if fault:
        raise UserError(f'column_names of {path}: {fault}: give distinct texts, one a column')
    return stored_names(given)


def _check_same_format(splits: dict, path: pathlib.Path) -> None:
    kinds = {
        (part['x'].shape[1:], part['x'].dtype.kind == 'f', *kinds_of(part))
        for part in splits.values()
    }
    if len(kinds) > 1:
        description = '; '.join(
            f'{name}: x {part["x"].dtype} {part["x"].shape}' + ''.join(kinds_of(part))
            for name, part in splits.items()
        )
        raise UserError(f'the splits of {path} are not alike: {description}')


def _refuse_channels_first(shape: tuple[int, ...], path: pathlib.Path) -> None:
    """Refuses images [n, channels, height, width], which would be few rows of many channels."""
    is_image = len(shape) == 4 and shape[3] > MAX_CHANNELS
    if is_image and shape[1] <= MAX_CHANNELS and shape[2] > shape[1]:
        raise UserError(
            f'x of {path} has shape {list(shape)}, which looks like channels first: save '
            f"numpy.moveaxis(x, 1, -1), or set config.data.channels='last' if images are of height "
            f'{shape[1]}, width {shape[2]} and {shape[3]} channels'
        )


def _levels(parts: list[np.ndarray], declared: np.ndarray | None, path: pathlib.Path) -> int | None:
    """Returns the number of levels (see the module docstring), or None for real values."""
    if parts[0].dtype.kind == 'f':
        if declared is not None:
            raise UserError(f'{path} has levels, but x holds real values: save x as integers')
        return None
    largest = max(int(x.max()) for x in parts)
    if declared is not None:
        if (
            np.shape(declared) != ()
            or declared.dtype.kind not in 'iu'
            or not largest < declared <= 2**24
            or declared < 2
        ):
            raise UserError(
                f'levels of {path} has to be a whole number above {max(largest, 1)} (and at most '
                f'2**24), as x goes up to {largest}'
            )
        return int(declared)
    if largest < 2:
        return 2
    return 256 if all(x.dtype == np.uint8 for x in parts) else largest + 1


def _are_whole(parts: list[np.ndarray]) -> bool:
    """Whether all values are whole numbers."""
    return all(bool((piece == np.floor(piece)).all()) for x in parts for piece in pieces(x))


def _dtype_for(levels: int | None) -> type:
    return np.float32 if levels is None else np.uint8 if levels <= 256 else np.int32
