"""CIFAR-10 in its binary version: the archive as published, or its extracted files.

A record is a label of one byte and 3x32x32 pixels, and a file has 10,000 records. The archive is
read as a stream: no member is written to disk, and links in it are not followed. The Python version
of CIFAR-10 holds pickles, which could run code, and is refused.
"""

import pathlib
import tarfile

import numpy as np
from jaxtyping import UInt8

from atelier.data.original.bounded import (
    Bounded,
    Stream,
    check_size,
    naming_damage,
    read_array,
    unpacked,
)
from atelier.data.original.known import Known
from atelier.data.original.pictures import Pictures, checked
from atelier.errors import UserError

ARCHIVES = ('cifar-10-binary.tar.gz', 'cifar-10-binary.tar')
EXTRACTED = 'cifar-10-batches-bin'  # the folder in the archive
TRAIN = tuple(f'data_batch_{i}.bin' for i in range(1, 6))
TEST = 'test_batch.bin'
PICKLES = ('cifar-10-python.tar.gz', 'cifar-10-batches-py', 'data_batch_1', 'batches.meta')
RECORD = 1 + 3 * 32 * 32  # bytes
MAX_UNPACKED = 1 << 28  # bytes of the archive; the true one has 184,390,000


def find(folder: pathlib.Path, known: Known) -> tuple[pathlib.Path, ...]:
    """Returns the archive, or the six files of records, or () if the folder has neither.

    Raises:
      UserError: some files are missing, or the folder has only the Python version.
    """
    for name in ARCHIVES:
        if (folder / name).exists():
            return (folder / name,)
    for base in (folder, folder / EXTRACTED):
        files = [base / name for name in (*TRAIN, TEST)]
        missing = [file.name for file in files if not file.exists()]
        if not missing:
            return tuple(files)
        if len(missing) < len(files):
            raise UserError(f'{base} lacks {", ".join(missing)}: fetch {known.files[0]} again')
    for name in PICKLES:
        if (folder / name).exists():
            refuse_pickles(folder / name, known)
    return ()


def refuse_pickles(path: pathlib.Path, known: Known) -> None:
    """Refuses the Python version of the set.

    Raises:
      UserError: says which version to fetch.
    """
    raise UserError(
        f'{path} is the Python version of CIFAR-10, which holds pickles, and these could run code: '
        f'fetch the binary version, {known.files[0]}, from {known.address}'
    )


def read(files: tuple[pathlib.Path, ...], known: Known) -> dict[str, Pictures]:
    """Returns the splits of the files that `find` returned.

    Raises:
      UserError: one is damaged, or is not of this set.
    """
    records = _of_archive(files[0]) if len(files) == 1 else {f.name: _of_file(f) for f in files}
    parts = {'train': np.concatenate([records[name] for name in TRAIN]), 'test': records[TEST]}
    return {
        split: checked(
            known,
            split,
            part[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1),
            part[:, 0],
            files[0] if len(files) == 1 else files[0].parent,
        )
        for split, part in parts.items()
    }


def _of_file(path: pathlib.Path) -> UInt8[np.ndarray, 'n record']:
    with unpacked(path) as (stream, size):
        check_size(path, size, MAX_UNPACKED)
        return _records(stream, size, path)


def _records(stream: Stream, size: int, path: pathlib.Path) -> UInt8[np.ndarray, 'n record']:
    if not size or size % RECORD:
        raise UserError(
            f'{path} is not of CIFAR-10: its {size:,} bytes are not records of {RECORD:,}'
        )
    return read_array(stream, size, path).reshape(-1, RECORD)


def _of_archive(path: pathlib.Path) -> dict[str, UInt8[np.ndarray, 'n record']]:
    """Returns the records of each file in the archive."""
    records = {}
    with unpacked(path) as (stream, _), naming_damage(path):
        bounded = Bounded(stream, MAX_UNPACKED, path)
        with tarfile.open(fileobj=bounded, mode='r|', bufsize=1 << 16) as archive:
            for member in archive:
                name = pathlib.PurePosixPath(member.name).name
                if name not in (*TRAIN, TEST) or not member.isreg() or member.sparse is not None:
                    continue
                inside = path / name
                if name in records:
                    raise UserError(f'{path} has two files {name}: fetch it again')
                check_size(inside, member.size, MAX_UNPACKED)
                records[name] = _records(archive.extractfile(member), member.size, inside)
        while bounded.read(1 << 16):  # at the end of a gzip file its checksum is compared
            pass
    missing = [name for name in (*TRAIN, TEST) if name not in records]
    if missing:
        raise UserError(f'{path} lacks {", ".join(missing)}: fetch it again')
    return records
