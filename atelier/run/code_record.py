"""Checksums of the code that a run uses: its packages, and the modules beside a user's own config.

A checksum does not depend on Git, so a work tree with changes that are not committed hides nothing.
Of `models`, `losses` and `configs`, the files count that the config imports, directly or through
others; of `atelier`, all. Imports are found in the source of files that the user trusts, which is
parsed and not run. An import by a string (`importlib`) is not found.
"""

import ast
import collections
import functools
import hashlib
import pathlib
from collections.abc import Iterator
from typing import Any

from atelier.checkout import NAMES, ROOT, ConfigFile
from atelier.errors import UserError, shortened
from atelier.run.stored_values import damaged
from atelier.user_files import source

FIELDS = ('code', 'neighbours')  # of config.json
MAX_NAMES = 1000  # of packages, or of files
MAX_RECORDED_NAME = 200  # characters of a name or a checksum
ENGINE = 'atelier'


def recorded_fields(config_file: ConfigFile) -> dict[str, dict[str, str]]:
    """Returns the fields of config.json for the code that a run of this config file uses now.

    `code` has a checksum for each package, such as `models/gans`. `neighbours` has one for each
    file that a config of the user's own imports from its folder, such as `helper.py`.
    """
    packages, neighbours = collections.defaultdict(dict), {}
    for file in {*_engine_files(), *_imported(config_file)}:
        if _is_of_root(file):
            relative = file.relative_to(ROOT)
            package = str(relative) if relative.parent == pathlib.Path() else str(relative.parent)
            packages[package][file.name] = _checksum(file)
        else:
            relative = file.relative_to(config_file.file.resolve().parent)
            neighbours[str(relative)] = _checksum(file)
    together = {package: _of_names(files) for package, files in sorted(packages.items())}
    return {'code': together, 'neighbours': dict(sorted(neighbours.items()))}


def checksum(config_file: ConfigFile) -> str:
    """Returns one checksum of all code that a run of this config file uses now."""
    fields = recorded_fields(config_file)
    return _of_names({**fields['neighbours'], **fields['code'], '': config_file.source()})


def check(path: pathlib.Path, record: dict[str, Any]) -> None:
    """Checks these fields of the record in the file `path`; those of earlier versions are None.

    Raises:
      UserError: a field has another type than the program writes.
    """
    for field in FIELDS:
        value = record[field]
        if value is not None and not _are_checksums(value):
            raise damaged(path, f'{field} is {shortened(value)}')


def differences(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """Returns the names whose checksums differ, or that only one of the two has."""
    return sorted(name for name in {*then, *now} if then.get(name) != now.get(name))


def _are_checksums(value: Any) -> bool:
    if not isinstance(value, dict) or len(value) > MAX_NAMES:
        return False
    texts = [*value, *value.values()]
    return all(isinstance(text, str) and len(text) <= MAX_RECORDED_NAME for text in texts)


def _is_of_root(file: pathlib.Path) -> bool:
    is_inside = file.is_relative_to(ROOT)
    return is_inside and file.relative_to(ROOT).parts[0].removesuffix('.py') in (*NAMES, ENGINE)


def _engine_files() -> list[pathlib.Path]:
    return [*(ROOT / ENGINE).rglob('*.py'), ROOT / 'train_lib.py']


def _imported(config_file: ConfigFile) -> set[pathlib.Path]:
    """Returns the files of the root and of the config's folder that a config imports, recursively.

    Without the config itself, whose source config.json holds.
    """
    if not config_file.path or not config_file.file.is_file():
        return set()
    own = config_file.file.resolve()
    visited, waiting = {own}, [own]
    while waiting:
        file = waiting.pop()
        for name, level in _imports(file, *_version(file)):
            found = {*_files_of(name, level, file, own.parent)} - visited
            visited |= found
            waiting += found
    return visited - {own}


def _version(file: pathlib.Path) -> tuple[int, int]:
    """Returns what changes when a file is written again."""
    status = file.stat()
    return status.st_mtime_ns, status.st_size


@functools.cache
def _imports(file: pathlib.Path, *version: int) -> tuple[tuple[str, int], ...]:
    """Returns the (dotted name, level) of each import in a file; for `from a import b`, also a.b.

    A file that is not Python has none: loading it says so.
    """
    del version
    try:
        tree = ast.parse(source(file))
    except (UserError, SyntaxError, ValueError, RecursionError):
        return ()
    return tuple(dict.fromkeys(_names_in(tree)))


def _names_in(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or '', node.level
            for alias in node.names:
                yield f'{node.module}.{alias.name}' if node.module else alias.name, node.level


def _files_of(
    name: str, level: int, importer: pathlib.Path, folder: pathlib.Path
) -> Iterator[pathlib.Path]:
    """Yields the files of a module and of the packages around it, if it is one of those that count.

    Args:
      name: dotted.
      level: number of dots before the name.
      importer: the file with the import.
      folder: of the config; modules there count by their bare names.
    """
    parts = [part for part in name.split('.') if part]
    if level:
        base = importer.parents[level - 1]
    elif parts and parts[0] in NAMES:
        base = ROOT
    else:
        base = folder
    if base == ROOT / 'configs' and not level:
        return  # configs of the checkout import each other as configs.NAME
    for count in range(1, len(parts) + 1):
        path = base.joinpath(*parts[:count])
        for file in (path.with_name(f'{path.name}.py'), path / '__init__.py'):
            if file.is_file() and (file.is_relative_to(folder) or _is_of_root(file)):
                yield file


def _checksum(file: pathlib.Path) -> str:
    return _checksum_of_version(file, *_version(file))


@functools.cache
def _checksum_of_version(file: pathlib.Path, *version: int) -> str:
    del version
    return hashlib.blake2b(file.read_bytes(), digest_size=8).hexdigest()


def _of_names(files: dict[str, str]) -> str:
    """Returns a checksum of the names and the checksums of files."""
    lines = ''.join(f'{name} {checksum}\n' for name, checksum in sorted(files.items()))
    return hashlib.blake2b(lines.encode(), digest_size=8).hexdigest()
