"""Temporary files and folders, and their removal after a process was killed.

The process that writes a temporary file or folder holds its lock, and the operating system releases
the lock however the process ends. A temporary file or folder whose lock is free is thus a leftover,
however young it is.
"""

import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator

PREFIX = '.writing-'  # of temporary files
# names and folders of the JSON files for which earlier versions wrote temporary ones
EARLIER_FILES = ('config', 'sweep', 'evaluation', 'failed')
EARLIER_FOLDERS = ('applications', 'programs')
METRICS_BEGIN = b'{"step":'  # of metrics.jsonl
LOCK = '.in-use'  # a file in each temporary folder; the process that uses it holds its lock
FOLDER_PREFIX = 'atelier-'  # prefix of temporary folders in the system's temporary folder


def is_temporary_file(path: pathlib.Path) -> bool:
    """Whether a file is temporary, by its name; or of an earlier version, also by its place."""
    return path.name.startswith(PREFIX) or _is_of_earlier_version(path)


def _is_of_earlier_version(path: pathlib.Path) -> bool:
    """Whether an earlier version wrote this temporary file: a user's own may have a similar name.

    They wrote .NAME.json.PID in these places, and metrics.tmp as a copy of the metrics beside it.
    """
    if path.name == 'metrics.tmp':
        return (path.parent / 'metrics.jsonl').is_file() and _begins_as_metrics(path)
    match = re.fullmatch(r'\.(.+)\.json\.[0-9]+', path.name)
    return match is not None and (match[1] in EARLIER_FILES or path.parent.name in EARLIER_FOLDERS)


def _begins_as_metrics(path: pathlib.Path) -> bool:
    try:
        if not path.is_file():  # opening a pipe would wait
            return False
        with path.open('rb') as file:
            return file.read(len(METRICS_BEGIN)) in (METRICS_BEGIN, b'')
    except OSError:
        return False


def new_file(folder: pathlib.Path) -> tuple[int, pathlib.Path]:
    """Creates a temporary file and locks it; returns its descriptor and its path."""
    while True:
        path = folder / f'{PREFIX}{os.urandom(6).hex()}'
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if _lock_unless_removed(descriptor):
            return descriptor, path
        os.close(descriptor)


@contextlib.contextmanager
def new_folder(
    parent: pathlib.Path | None = None, prefix: str = FOLDER_PREFIX
) -> Iterator[pathlib.Path]:
    """Yields a new temporary folder, and removes it at the end.

    `parent` is by default the system's folder for temporary files.
    """
    descriptor, path = _locked_folder(parent or pathlib.Path(tempfile.gettempdir()), prefix)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def keep(folder: pathlib.Path) -> None:
    """Removes the lock file of a temporary folder, which is then complete and ready to be moved."""
    (folder / LOCK).unlink()


def remove_files(folder: pathlib.Path) -> None:
    """Removes leftover files in `folder` and in its subfolders, but follows no symbolic link."""
    for parent in [folder, *_subfolders(folder)]:
        for path in _entries(parent):
            if is_temporary_file(path) and not path.is_symlink():
                with _try_lock(path) as is_free:
                    if is_free:
                        path.unlink(missing_ok=True)


def remove_folders(parent: pathlib.Path | None = None, prefix: str = FOLDER_PREFIX) -> None:
    """Removes this user's leftover folders in `parent` (default: system's temporary folder)."""
    for path in _entries(parent or pathlib.Path(tempfile.gettempdir())):
        if path.name.startswith(prefix) and _is_own(path):
            with _try_lock(path / LOCK) as is_free:
                if is_free:
                    shutil.rmtree(path, ignore_errors=True)


def _locked_folder(parent: pathlib.Path, prefix: str) -> tuple[int, pathlib.Path]:
    while True:
        path = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        if _lock_unless_removed(descriptor):
            return descriptor, path
        os.close(descriptor)


def _lock_unless_removed(descriptor: int) -> bool:
    """Locks a new file; returns False if a process has already removed it as a leftover."""
    with contextlib.suppress(OSError):  # a file system without locks: leftovers stay there
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return os.fstat(descriptor).st_nlink > 0


@contextlib.contextmanager
def _try_lock(path: pathlib.Path) -> Iterator[bool]:
    """Holds the lock of a file; yields False if another process holds it or it cannot be locked."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        yield False
        return
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(OSError):  # failing to remove a leftover is no error
                yield True
            return
        yield False
    finally:
        os.close(descriptor)


def _subfolders(folder: pathlib.Path) -> list[pathlib.Path]:
    return [path for path in _entries(folder) if path.is_dir() and not path.is_symlink()]


def _entries(folder: pathlib.Path) -> list[pathlib.Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:  # missing, or not readable: nothing can be removed from it
        return []


def _is_own(path: pathlib.Path) -> bool:
    with contextlib.suppress(OSError):
        about = path.lstat()
        return about.st_uid == os.getuid() and path.is_dir() and not path.is_symlink()
    return False
