"""Your own arrays from an `.npz`: images, signals, tables; events of any shape.

    np.savez('mine.npz', x=x, label=label)
    python main.py --config=configs/vae.py:arrays --config.data.path=mine.npz

| key | value |
|---|---|
| `x` | [n, *event]; validation and test examples are taken from it, by their content |
| `x_train`, `x_valid`, `x_test` | instead of `x`: your own splits; the last two are optional |
| `label`, `label_train`, ... | optional: integers 0, 1, ... [n], for every split or for none |
| `levels` | optional: integers take the values 0, ..., levels - 1 |

Integers are discrete levels. The number of levels is `levels` if given, else 2 if all integers are
0 or 1, else 256 for uint8, else the largest + 1. Floats are always real values. Networks see them
standardized (zero mean, unit standard deviation): per column in a table [n, columns], otherwise
over all values.
"""

import contextlib
import lzma
import math
import os
import pathlib
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping

import numpy as np

from atelier.data.dataset import Dataset, Spec
from atelier.data.moments import moments
from atelier.data.splits import SPLITS, arranged
from atelier.errors import UserError, reading
from atelier.paths import user_path

ENCRYPTED = 1  # bit of the flags of a zip member
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
MAX_UNUSED = 100  # most classes without examples, or the number with examples if larger
SMALL = 1e-30  # float32 holds a standard deviation this small, and its inverse
UNREADABLE = (
    ValueError,
    EOFError,
    MemoryError,  # a header that declares an impossible size
    NotImplementedError,  # an unsupported compression
    tokenize.TokenError,
    SyntaxError,  # a header that is no Python literal
    RecursionError,  # a header that is nested too deeply
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)


def load(path: str = '', split_by: str = 'order', held_out_share: float = 0.1) -> Dataset:
    """Reads the file at `path` (see the module docstring for its format).

    Args:
      path: an .npz.
      split_by: 'content': missing splits are made by the digests of x, and the examples are sorted
        by them. 'order': the examples are in the fixed random order, and no split is made.
      held_out_share: of the examples, in each split that is made by content.

    Raises:
      UserError: the file is missing, or its arrays are not valid data.
    """
    if not path:
        raise UserError('arrays: set config.data.path to an .npz with an array x [n, *event]')
    file = user_path(path)
    with open_npz(file) as arrays:
        _refuse_unknown(arrays, file)
        splits = {split: _split(arrays, split, file) for split in SPLITS if _has(arrays, split)}
        declared_levels = arrays.get('levels')
    _check_same_format(splits, file)
    parts = [part['x'] for part in splits.values()]
    levels = _levels(parts, declared_levels, file)
    for part in splits.values():
        part['x'] = part['x'].astype(_dtype_for(levels))
    splits, split_rule = arranged(splits, split_by == 'content', held_out_share)
    labels = [part['label'] for part in splits.values() if 'label' in part]
    spec = Spec(
        event_shape=parts[0].shape[1:],
        levels=levels,
        num_classes=_num_classes(labels, file) if labels else None,
    )
    kind = 'real values' if levels is None else f'{levels} levels'
    shape = 'x'.join(map(str, spec.event_shape)) or 'single'
    description = f'{file.name}, {shape} with {kind}'
    return Dataset('arrays', spec, splits, description, split_rule=split_rule)


@contextlib.contextmanager
def open_npz(path: pathlib.Path) -> Iterator[Mapping[str, np.ndarray]]:
    """Opens an .npz, never a pickle, and reads each array when it is accessed.

    Raises:
      UserError: the file is missing or damaged, or an array holds objects.
    """
    with reading(path):
        if not path.is_file():
            raise UserError(f'config.data.path: there is no file {path}')
        if not zipfile.is_zipfile(path):
            with path.open('rb') as file:
                is_array = file.read(6) == b'\x93NUMPY'
            kind = 'one array: save it with numpy.savez(path, x=x)' if is_array else 'not an .npz'
            raise UserError(f'{path} is {kind}')
    try:
        with reading(path):
            check_members(path)
        with reading(path), np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except UNREADABLE as error:
        if 'allow_pickle' in str(error):
            reason = 'it holds Python objects, which could run code: save plain numbers'
        else:
            reason = ' '.join(str(error).split()) or type(error).__name__
        raise UserError(f'cannot read {path}: {reason}') from error


def check_members(path: pathlib.Path) -> None:
    """Checks the sizes that the members of an .npz declare, before memory is allocated for them.

    Raises:
      UserError: the file is encrypted, larger than memory when it is unpacked, or a member declares
        more bytes than it has.
      Exception: one of `UNREADABLE`.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(member.flag_bits & ENCRYPTED for member in members):
            raise UserError(f'{path} is encrypted: save it without a password')
        total = sum(member.file_size for member in members)
        memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
        if total > memory:
            raise UserError(
                f'{path} is {total / 1e9:,.1f} GB when unpacked, and there are {memory / 1e9:,.1f} '
                'GB of memory'
            )
        for member in members:
            if member.filename.endswith('.npy'):
                with archive.open(member) as file:
                    _check_header(file, member, path)


def _check_header(file: zipfile.ZipExtFile, member: zipfile.ZipInfo, path: pathlib.Path) -> None:
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:  # numpy writes version 3 only for structured types
        raise UserError(
            f'cannot read {path}: {member.filename} is in version {version[0]} of the .npy format, '
            'which arrays of numbers do not need'
        )
    shape, _, dtype = HEADERS[version](file)
    declared = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and declared > member.file_size:
        raise UserError(
            f'cannot read {path}: {member.filename} declares {declared:,} bytes and has '
            f'{member.file_size:,}'
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
    known = {f'{kind}{suffix}' for kind in ('x', 'label') for suffix in suffixes}
    unknown = sorted(set(arrays) - known - {'levels'})
    if unknown:
        raise UserError(
            f'{path}: unknown keys {", ".join(unknown)}; known are x or x_train, x_valid, x_test, '
            'label likewise, and levels'
        )


def _split(arrays: Mapping, split: str, path: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns the split's x (floats as float32) and its label, if any."""
    suffix = '' if 'x' in arrays else f'_{split}'
    x = _valid_values(arrays[f'x{suffix}'], f'x{suffix} of {path}')
    if f'label{suffix}' not in arrays:
        return {'x': x}
    label = arrays[f'label{suffix}']
    got = f'{getattr(label, "dtype", "no array")} {np.shape(label)}'
    fits = np.shape(label) == (len(x),) and label.dtype.kind in 'iu'
    if fits and not 0 <= label.min() <= label.max() < 2**31:
        fits, got = False, f'{label.min()} to {label.max()}'
    if not fits:
        raise UserError(
            f'label{suffix} of {path}: expected integers from 0 on of shape ({len(x)},), got {got}'
        )
    return {'x': x, 'label': label.astype(np.int32)}


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


def _as_float32(x: np.ndarray, name: str) -> np.ndarray:
    if not np.isfinite(x).all():
        count = np.sum(~np.isfinite(x))
        raise UserError(f'{name} has values that are not finite: {count:,} of {x.size:,}')
    largest = np.abs(x).max()
    if largest > np.finfo(np.float32).max:
        raise UserError(f'{name} goes up to {largest:.3g}, more than float32 holds: scale it')
    for mean, std in zip(*moments(x), strict=True):
        if std and not SMALL < std < 1 / SMALL:
            raise UserError(f'{name} varies by {std:.3g}, out of the range of float32: scale it')
        if abs(mean) * 2.0**-24 > 1e-2 * std > 0:
            raise UserError(
                f'{name} varies by {std:.3g} around {mean:.3g}, too little for float32: subtract '
                'an offset'
            )
    return x.astype(np.float32)


def _check_same_format(splits: dict, path: pathlib.Path) -> None:
    kinds = {
        (part['x'].shape[1:], part['x'].dtype.kind == 'f', 'label' in part)
        for part in splits.values()
    }
    if len(kinds) > 1:
        description = '; '.join(
            f'{name}: x {part["x"].dtype} {part["x"].shape}'
            + (', labelled' if 'label' in part else '')
            for name, part in splits.items()
        )
        raise UserError(f'the splits of {path} are not alike: {description}')


def _num_classes(labels: list[np.ndarray], path: pathlib.Path) -> int:
    """Returns the largest label + 1, which sets the size of parts of a model.

    Raises:
      UserError: most classes have no example, because labels are large indices, or one is a special
        value such as 255 for "no class".
    """
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


def _dtype_for(levels: int | None) -> type:
    if levels is None:
        return np.float32
    return np.uint8 if levels <= 256 else np.int32
