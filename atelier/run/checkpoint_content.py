"""What a checkpoint must contain: names, shapes, types and a checksum of the arrays."""

import contextlib
import math
import pathlib
import zlib
from typing import Any, NamedTuple

import jax
import numpy as np

from atelier import files
from atelier.core.game import State
from atelier.errors import UserError, first_line

MIB = 2**20
# files of a checkpoint that are read whole, and the most bytes that each may have
_TEXTS = {
    '_CHECKPOINT_METADATA': MIB,
    'host/metadata': MIB,
    'state/_METADATA': 64 * MIB,
    'state/_sharding': 64 * MIB,
    'state/array_metadatas/*': 64 * MIB,
}
# those that Orbax reads whole when it opens a folder of checkpoints, whichever is then restored
_OPENED = ('*/_CHECKPOINT_METADATA', '_ROOT_METADATA', 'metadata/*')
# limit on the size of an unknown model's arrays: _RATIO times the size of their compressed files,
# or _ALWAYS_ALLOWED bytes if that is more
_RATIO, _ALWAYS_ALLOWED = 64, 1024 * MIB
_SMALL_FILES = 64 * MIB  # more than the descriptions and the index of all arrays


class Memory(NamedTuple):
    """What the host keeps from one validation to the next."""

    best_value: float | None = None  # of the validation metric that chooses the best checkpoint
    best_step: int | None = None
    evaluations_since_best: int = 0


class Unfit(Exception):
    """The arrays of a checkpoint are not those of the model."""


def memory_of(record: Any) -> Memory:
    """Returns the Memory from a parsed JSON object.

    Raises:
      TypeError: a field is unknown or has another type.
    """
    memory = Memory(**record)
    kinds = ((float, int, type(None)), (int, type(None)), (int,))
    for name, value, types in zip(Memory._fields, memory, kinds, strict=True):
        if not isinstance(value, types) or isinstance(value, bool):
            raise TypeError(f'{name} is {str(value)[:50]!r}')
    return memory


def as_dict(state: State) -> dict:
    """Returns the trees of a State by name, the form in which it is saved."""
    return {name: getattr(state, name) for name in state.__dataclass_fields__}


def host_copy(state: State) -> dict:
    """Copies a State to host arrays; views would share buffers donated to the next dispatch."""
    return jax.tree.map(lambda x: np.array(x, copy=True), as_dict(state))


def leaf_name(path) -> str:
    """Returns a name like params/model/encoder/...: the same for dicts, tuples and named fields."""
    return jax.tree_util.keystr(path, simple=True, separator='/')


def digest(tree: dict, memory: Memory, run_id: str | None) -> int:
    """Returns a checksum of the Memory, the run's id and all leaves (names, dtypes, shapes, bits).

    It is needed because tensorstore does not notice a changed bit. The step is one of the leaves.
    Without an id, it equals the checksum of earlier versions, which saved none.
    """
    total = zlib.crc32(repr(memory).encode())
    if run_id is not None:
        total = zlib.crc32(run_id.encode(), total)
    for name, leaf in sorted(leaves_by_name(tree).items()):
        leaf = np.asarray(leaf)
        label = f'{name} {leaf.dtype} {leaf.shape}'
        total = zlib.crc32(np.ascontiguousarray(leaf).tobytes(), zlib.crc32(label.encode(), total))
    return total


def check_not_empty(tree: dict) -> None:
    """Refuses arrays without elements, which Orbax cannot save.

    Raises:
      UserError: names the array.
    """
    for name, leaf in leaves_by_name(tree).items():
        if leaf.size == 0:
            raise UserError(
                f'{name} of the model has the shape {leaf.shape}: a checkpoint cannot hold an '
                'array without elements'
            )


def check_texts(folder: pathlib.Path) -> None:
    """Refuses a checkpoint whose descriptions are too large or too deep, before Orbax reads them.

    Raises:
      ValueError: names the file.
    """
    for pattern, limit in _TEXTS.items():
        for path in folder.glob(pattern):
            name = path.relative_to(folder)
            _check_length(name, path, limit)
            try:
                files.read_object(path, limit)
            except (OSError, ValueError) as error:
                raise ValueError(f'{name}: {first_line(error)}') from error


def check_opening(folder: pathlib.Path) -> None:
    """Refuses a folder of checkpoints if opening it would read a description that is too large.

    Raises:
      ValueError: names the file.
    """
    for pattern in _OPENED:
        for path in folder.glob(pattern):
            with contextlib.suppress(FileNotFoundError):  # training has deleted it meanwhile
                _check_length(path.relative_to(folder), path, MIB)


def _check_length(name: pathlib.Path, path: pathlib.Path, limit: int) -> None:
    if (size := path.stat().st_size) > limit:
        raise ValueError(f'{name} has {size:,} bytes')


def check_files(folder: pathlib.Path, like: dict) -> None:
    """Refuses files that are far larger than the arrays `like`: their parts are read whole.

    A file with holes takes little of a disk, but all of its length in memory.

    Raises:
      ValueError: names both sizes.
    """
    arrays = sum(map(_num_bytes, jax.tree.leaves(like)))
    on_disk = _size_of_files(folder)
    if on_disk > 2 * arrays + _SMALL_FILES:
        raise ValueError(f'its files have {on_disk:,} bytes, the arrays of the model {arrays:,}')


def _num_bytes(leaf: Any) -> int:
    # `int`, because integers of NumPy overflow
    return math.prod(map(int, leaf.shape)) * np.dtype(leaf.dtype).itemsize


def _size_of_files(folder: pathlib.Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob('*') if path.is_file())


def check_fits(metadata: Any, like: dict) -> None:
    """Compares what a checkpoint says of its arrays with the expected arrays; reads no array.

    Args:
      metadata: a tree of Orbax's descriptions of arrays.
      like: a tree of arrays, or of their shapes and dtypes.

    Raises:
      Unfit: names the first array that is missing, unknown, or of another shape or dtype.
    """
    saved, expected = leaves_by_name(metadata), leaves_by_name(like)
    for name in sorted({*saved, *expected}):
        there, here = _kind(saved.get(name)), _kind(expected.get(name))
        if there != here:
            raise Unfit(f'{name} is {there} there and {here} here')
        _check_chunks(name, saved[name])


def check_size(metadata: Any, folder: pathlib.Path) -> None:
    """Refuses arrays of an unknown model that are far larger than their files.

    Raises:
      ValueError: reading them would take much more memory than the files explain.
    """
    saved = leaves_by_name(metadata)
    for name, leaf in saved.items():
        _check_chunks(name, leaf)
    total = sum(map(_num_bytes, saved.values()))
    on_disk = _size_of_files(folder)
    if total > max(_ALWAYS_ALLOWED, _RATIO * on_disk):
        raise ValueError(f'its arrays have {total:,} bytes, its files {on_disk:,}')


def _check_chunks(name: str, leaf: Any) -> None:
    """Refuses chunks larger than their array: tensorstore holds whole chunks in memory."""
    chunk = leaf.storage.chunk_shape if leaf.storage else None
    if chunk and any(c > max(n, 1) for c, n in zip(chunk, leaf.shape, strict=True)):
        raise ValueError(f'{name} has chunks of {tuple(chunk)} for an array of {leaf.shape}')


def _kind(leaf: Any) -> str:
    """Returns a leaf's dtype and shape, such as float32(64, 16)."""
    return 'missing' if leaf is None else f'{np.dtype(leaf.dtype)}{tuple(leaf.shape)}'


def leaves_by_name(tree: Any) -> dict[str, Any]:
    """Returns {name: leaf} of a tree; the names are those of `leaf_name`."""
    return {leaf_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
