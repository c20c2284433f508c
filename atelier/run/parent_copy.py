"""The copy of a parent in the folder of a run of codes: made once, and compared at each use.

    CHILD/parent/config.json      as in the folder of the parent
    CHILD/parent/data.json        likewise
    CHILD/parent/checkpoints/20   the checkpoint whose weights made the codes

The copy is itself the folder of a run. The config.json of the child records its digest, so that a
parent that was changed, replaced or removed is noticed.
"""

import hashlib
import os
import pathlib
import re
import shutil
from collections.abc import Iterator
from typing import Any

from atelier import files, leftovers
from atelier.errors import UserError, reading, shortened, writing
from atelier.log import log
from atelier.memory import total_bytes
from atelier.run import data_table
from atelier.run.experiment import Run
from atelier.run.stored_values import MAX_INTEGER, damaged

FOLDER = 'parent'  # in the folder of a run of codes
RECORDS = ('config.json', data_table.NAME)
FIELDS = ('digest', 'step')


def recorded(run: Run) -> dict[str, Any] | None:
    """Returns the field `parent` of config.json."""
    return run.parent and {'digest': run.parent.digest, 'step': run.parent.step}


def read(path: pathlib.Path, stored: Any) -> dict[str, Any] | None:
    """Returns the field `parent` of the file `path`, which may be untrusted.

    Raises:
      UserError: it holds something else than the program writes.
    """
    if stored is None:
        return None
    is_whole = isinstance(stored, dict) and {*stored} == {*FIELDS}
    if not is_whole or not (_is_digest(stored['digest']) and _is_step(stored['step'])):
        raise damaged(path, f'parent is {shortened(stored)}')
    return stored


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch('[0-9a-f]{64}', value, re.ASCII) is not None


def _is_step(value: Any) -> bool:
    return type(value) is int and 0 <= value < MAX_INTEGER


def check(folder: pathlib.Path, record: dict[str, Any] | None) -> dict[str, Any]:
    """Checks that the copy in the folder of a run of codes is the one that config.json records.

    Args:
      folder: of the run.
      record: as `read` returns it.

    Returns:
      The record.

    Raises:
      UserError: there is no copy, it has been changed, or there is more in it.
    """
    copy = folder / FOLDER
    if record is None:
        raise UserError(f'{folder / "config.json"} is damaged: parent is missing')
    if not (copy / 'config.json').is_file():
        raise UserError(
            f'{copy} is missing: {folder} models the codes of that run and is of no use without it'
        )
    if digest_of(copy) != record['digest'] or not _has_only(copy, record['step']):
        raise UserError(
            f'{copy} is not the run whose codes {folder} models: it was changed after it was copied'
        )
    foreign = _foreign(copy)
    if foreign:
        raise UserError(f'{copy / foreign[0]} is not of the copy of a parent: move it away')
    return record


def _has_only(copy: pathlib.Path, step: int) -> bool:
    """Whether a copy has the checkpoint of this step alone, and no folder without files."""
    below = copy / files.CHECKPOINTS
    with reading(below):
        is_alone = [path.name for path in below.iterdir()] == [str(step)]
        return is_alone and all(folders or names for _, folders, names in os.walk(below))


def digest_of(folder: pathlib.Path, step: int | None = None) -> str:
    """Returns the SHA-256 of the records and the checkpoints of the run in `folder`, as hex digits.

    `step` is that of the only checkpoint that counts; None: all count.

    Raises:
      UserError: a file cannot be read, or the files have more bytes than the machine has memory.
    """
    whole, names = hashlib.sha256(), _names(folder, step)
    _check_size(folder, names)
    for name in names:
        path = folder / name
        with reading(path), files.open_regular(path) as file:
            content = hashlib.file_digest(file, 'sha256').digest()
        whole.update(f'{len(name)} {name}'.encode() + content)
    return whole.hexdigest()


def _check_size(folder: pathlib.Path, names: list[str]) -> None:
    """Refuses files that no memory holds.

    A file with holes takes little of a disk, and hours to read.

    Raises:
      UserError: names the folder and the bytes.
    """
    with reading(folder):
        size = sum((folder / name).stat().st_size for name in names)
    if size > total_bytes():
        raise UserError(f'{folder} has {size:,} bytes, more than this machine has memory')


def _names(folder: pathlib.Path, step: int | None) -> list[str]:
    """Returns the relative paths of the files of a copy, sorted."""
    below = folder / files.CHECKPOINTS / ('' if step is None else str(step))
    found = [name for name in RECORDS if (folder / name).is_file()]
    return sorted([*found, *(path.relative_to(folder).as_posix() for path in _files(below))])


def _files(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    for parent, _, names in os.walk(folder):
        yield from (pathlib.Path(parent, name) for name in names)


def write(run: Run, has_begun: bool) -> None:
    """Copies the parent into the folder of a run of codes, unless its copy is there.

    A run that has not begun to train may have the copy of another parent, or none.

    Raises:
      UserError: the parent was changed while its codes were read, the copy of a run that has begun
        is another one, something else is in its place, or the folder cannot be written.
    """
    copy = run.folder / FOLDER
    with writing(copy):
        leftovers.remove_folders(run.folder, leftovers.PREFIX)
        if has_begun:
            if run.parent is not None:
                check(run.folder, recorded(run))
            return
        if copy.exists():
            _check_is_copy(copy)
            if run.parent is not None and digest_of(copy) == run.parent.digest:
                return
            shutil.rmtree(copy)
        if run.parent is not None:
            _copy(run, copy)


def _check_is_copy(folder: pathlib.Path) -> None:
    """Refuses what is not a copy, because a copy is removed: a run of this name would be lost."""
    if not folder.is_dir() or _foreign(folder):
        raise UserError(f'{folder} is not the copy of a parent: move it away')


def _foreign(folder: pathlib.Path) -> list[str]:
    """Returns the names in a folder that no copy has, sorted."""
    with reading(folder):
        return sorted({path.name for path in folder.iterdir()} - {*RECORDS, files.CHECKPOINTS})


def _copy(run: Run, copy: pathlib.Path) -> None:
    source, step = run.parent.run.folder, run.parent.step
    with leftovers.new_folder(run.folder, leftovers.PREFIX) as temporary:
        whole = temporary / FOLDER  # with the permissions of any other folder
        for name in _names(source, step):
            (whole / name).parent.mkdir(parents=True, exist_ok=True)
            _copy_file(source / name, whole / name)
        if digest_of(whole) != run.parent.digest:
            raise UserError(
                f'{source} was changed while its codes were read: start the same command again'
            )
        os.replace(whole, copy)
    log.info('%s is copied to %s: the codes and the samples need no other files', source, copy)


def _copy_file(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copies a file durably: a power failure leaves it whole, or the folder without its name."""
    with reading(source), files.open_regular(source) as file, files.whole(target) as copied:
        shutil.copyfileobj(file, copied, files.BLOCK)
