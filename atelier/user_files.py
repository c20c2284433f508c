"""Python files that a user names, configs and applications: each is run once in a process."""

import contextlib
import functools
import importlib.util
import pathlib
import sys
import types
import zlib
from collections.abc import Iterator

from atelier.errors import UserError

_folders: set[pathlib.Path] = set()  # whose modules have been imported by their bare names


def load(file: pathlib.Path) -> types.ModuleType:
    """The module in a file, which may import its neighbours, as a script may.

    Raises:
      UserError: it is no Python file, or a neighbour has the name of another file's neighbour.
    """
    file = file.resolve()
    return _loaded(file, file.stat().st_mtime_ns)


@functools.cache
def _loaded(file: pathlib.Path, changed_ns: int) -> types.ModuleType:
    """One module for each state of a file, so that its classes are the same for all who use it."""
    del changed_ns
    name = f'_{file.stem}_{zlib.crc32(str(file).encode()):08x}'  # two files may have one stem
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None:
        raise UserError(f'{file} is no Python file')
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look for their module there
    try:
        with beside(file):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextlib.contextmanager
def beside(file: pathlib.Path) -> Iterator[None]:
    """For this moment the neighbours of a file can be imported, after all other modules.

    Raises:
      UserError: a neighbour has the name of another file's neighbour, which Python would take.
    """
    folder = file.resolve().parent
    _refuse_namesakes(folder)
    _folders.add(folder)
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _refuse_namesakes(folder: pathlib.Path) -> None:
    for file in folder.glob('*.py'):
        origin = getattr(sys.modules.get(file.stem), '__file__', None)
        other = origin and pathlib.Path(origin).resolve()
        if other and other.parent in _folders and other != file.resolve():
            raise UserError(
                f'{file} has the name of {other}, which this process has imported: rename one, or '
                'use another process'
            )
