"""Loads a user's Python files (configs and applications) and the modules beside them.

A file imports its neighbours by their bare names, as a script does. Neighbours belong to their
folder: two folders may each have a `helper.py`. They are importable while a file of their folder is
loaded or called, and under `kept_open` until a command ends.

All are loaded from source. Compiled code in a `__pycache__` of the folder is not used, because it
could differ from the source that the user has read.
"""

import collections
import contextlib
import functools
import importlib.machinery
import importlib.util
import pathlib
import sys
import tokenize
import types
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from atelier.errors import UserError, shortened
from atelier.paths import user_path

_neighbours: dict[pathlib.Path, dict[str, types.ModuleType]] = collections.defaultdict(dict)
_mtimes_ns: dict[pathlib.Path, int] = {}  # modification time of each imported file, in ns
_open_folders: list[pathlib.Path] = []
_are_kept_open = False
REFUSED = object()  # answer of a function that cannot read an example


def load(file: pathlib.Path) -> types.ModuleType:
    """Returns the file's module, shared by all who load or import it; reloads a changed file.

    Raises:
      UserError: it is not a Python file.
    """
    file = file.resolve()
    return _loaded(file, file.stat().st_mtime_ns)


class _FromSource(importlib.machinery.SourceFileLoader):
    """Loads a module from its source, whatever compiled code there is."""

    def get_code(self, fullname: str) -> types.CodeType:
        """Returns the compiled source."""
        return self.source_to_code(self.get_data(self.path), self.path)


def _finder(path: str) -> importlib.machinery.FileFinder:
    """Finds modules in folders opened by `_enter`, and in their packages; for `sys.path_hooks`.

    Raises:
      ImportError: the path is not in an open folder. If several entries of `sys.path` contain the
        path, the innermost one counts.
    """
    folder = pathlib.Path(path).resolve()
    entries = {pathlib.Path(entry).resolve() for entry in sys.path}
    owner = next((parent for parent in (folder, *folder.parents) if parent in entries), None)
    if owner not in _open_folders:
        raise ImportError(f'{path} is not of a user')
    machinery = importlib.machinery
    return machinery.FileFinder(
        path,
        (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES),
        (_FromSource, machinery.SOURCE_SUFFIXES),
    )


@functools.cache
def _loaded(file: pathlib.Path, changed_ns: int) -> types.ModuleType:
    name = _name_of(file)
    if name in sys.modules and _mtimes_ns.setdefault(file, changed_ns) == changed_ns:
        return sys.modules[name]  # already imported by a neighbour
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None:
        raise UserError(f'{file} is not a Python file')
    if isinstance(spec.loader, importlib.machinery.SourceFileLoader):
        spec.loader = _FromSource(name, str(file))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look up their module there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    _mtimes_ns[file] = changed_ns
    return module


def file_and_name(value: str, field: str) -> tuple[pathlib.Path, str]:
    """Returns the absolute path and the name in FILE:FUNCTION, the value of a config's `field`.

    Raises:
      UserError: it has another form.
    """
    path, colon, name = value.rpartition(':')
    if not colon or not path or not name.isidentifier():
        raise UserError(f'{field}={shortened(value)}: give FILE:FUNCTION')
    return user_path(path).resolve(), name


def function_path(value: str, field: str) -> pathlib.Path:
    """Returns FILE:FUNCTION with an absolute path of the file, as it is trusted.

    Raises:
      UserError: it has another form.
    """
    return pathlib.Path('{}:{}'.format(*file_and_name(value, field)))


def source(file: pathlib.Path) -> str:
    """Returns the text of a Python file, in the encoding that it declares.

    Raises:
      UserError: it is not a Python file.
    """
    try:
        with tokenize.open(file) as opened:
            return opened.read()
    except (SyntaxError, UnicodeDecodeError) as error:
        raise UserError(f'{file} is not a Python file: {error}') from error


def _name_of(file: pathlib.Path) -> str:
    """Returns the file's stem if importing that name finds this file, otherwise a unique name."""
    if file.stem.isidentifier() and file.stem != '__main__':
        spec = importlib.util.find_spec(file.stem)
        if spec is not None and pathlib.Path(spec.origin or '').resolve() == file:
            return file.stem
    return f'_{file.stem}_{zlib.crc32(str(file).encode()):08x}'


@contextlib.contextmanager
def beside(file: pathlib.Path) -> Iterator[None]:
    """Makes the neighbours of a file importable in this context; Python searches them last.

    No change if they already are.

    Raises:
      UserError: a neighbour has the name of a module of another open folder.
    """
    folder = file.resolve().parent
    if any(pathlib.Path(entry).resolve() == folder for entry in sys.path):
        yield
        return
    _enter(folder)
    try:
        yield
    finally:
        if not _are_kept_open:
            _leave(folder)


@contextlib.contextmanager
def kept_open() -> Iterator[None]:
    """Keeps the neighbours of every file used in this context importable until it ends.

    A function that imports modules then also works when JAX traces it later.
    """
    global _are_kept_open
    before, _are_kept_open = _are_kept_open, True
    try:
        yield
    finally:
        _are_kept_open = before
        while _open_folders and not before:
            _leave(_open_folders[-1])


def _enter(folder: pathlib.Path) -> None:
    _refuse_namesakes(folder)
    sys.modules.update(_neighbours[folder])
    sys.path.append(str(folder))
    _open_folders.append(folder)
    if _finder not in sys.path_hooks:
        sys.path_hooks.insert(0, _finder)
    _forget_finders(folder)


def _leave(folder: pathlib.Path) -> None:
    if folder in _open_folders:
        _open_folders.remove(folder)
        sys.path.remove(str(folder))
        _forget_finders(folder)
        for name, file in _files_of_modules():
            if file.is_relative_to(folder) and _is_bare(name, file, folder):
                _neighbours[folder][name] = sys.modules.pop(name)
                if file.is_file():
                    _mtimes_ns.setdefault(file, file.stat().st_mtime_ns)


def _forget_finders(folder: pathlib.Path) -> None:
    """Makes Python choose the finders of modules below the folder anew."""
    for path in list(sys.path_importer_cache):
        if pathlib.Path(path).is_relative_to(folder):
            del sys.path_importer_cache[path]


def _is_bare(name: str, file: pathlib.Path, folder: pathlib.Path) -> bool:
    """Whether a module was imported from the folder itself, not from an enclosing package."""
    first = file.relative_to(folder).parts[0].removesuffix('.py')
    return first == name.partition('.')[0]


def _files_of_modules() -> list[tuple[str, pathlib.Path]]:
    files = [(name, getattr(module, '__file__', None)) for name, module in sys.modules.items()]
    return [(name, pathlib.Path(file)) for name, file in files if file]


def _refuse_namesakes(folder: pathlib.Path) -> None:
    """Refuses namesakes: Python would import the module of the folder opened first."""
    for name, file in _files_of_modules():
        own = folder / f'{name}.py'
        if file.parent in _open_folders and own.is_file() and own != file:
            raise UserError(
                f'{own} has the name of {file}, which this command has imported: rename one'
            )


def answer(function: Callable[[Any], Any], example: Any, described: str, noun: str = '') -> Any:
    """Returns what a user's function returns for an example; `REFUSED` if it cannot read it.

    Python's parsers raise a ValueError or a SyntaxError for what they cannot read. Any other error
    is a mistake in the function: it is raised, with a note that names the function and the example.

    Args:
      function: of one example.
      example: what it gets.
      described: name of the function in the note.
      noun: what stands before the example in the note.
    """
    try:
        return function(example)
    except (ValueError, SyntaxError):
        return REFUSED
    except Exception as error:
        error.add_note(f'{described} raised this for {noun}{shortened(example)}')
        raise
