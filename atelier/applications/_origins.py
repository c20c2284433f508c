"""Which command made a picture of a run: read from the name of its file."""

import ast
import re
from collections.abc import Collection
from typing import NamedTuple

from atelier.applications._loading import FOLDER, load, names, options

CHECKSUM = re.compile('[0-9a-f]{8}')  # stands for a value that no file name can hold


class Origin(NamedTuple):
    """What made a file.

    description: the first line of the mode's docstring.
    flags: --mode and its options; empty if a value in the name is only a checksum.
    """

    description: str
    flags: list[str]


def origin_of(folder: str, stem: str, fields: Collection[str] = ()) -> Origin | None:
    """Returns the mode that made a file of a run, or None if its name is not that of a mode.

    Args:
      folder: of the run, in which the file lies: samples or applications.
      stem: the name of the file, without its ending, such as embed-num_neighbours-3.
      fields: names of the config's fields, which a name may hold without their groups.
    """
    whole = f'sample-{stem}' if folder == 'samples' else stem
    mode, _, rest = whole.partition('-')
    if mode not in names() or (folder == 'samples' and not stem.startswith('seed-')):
        return None
    known = {name: name for name in options(load(mode))}
    for field in fields:
        if field.startswith('eval.'):
            name = field.removeprefix('eval.').removeprefix('sampler.')
            known.setdefault(name, f'config.{field}')
    flags = _flags(f'-{rest}' if rest else '', known)
    return Origin(_description(mode), [] if flags is None else [f'--mode={mode}', *flags])


def _flags(rest: str, known: dict[str, str]) -> list[str] | None:
    """Returns the flags in -NAME-VALUE-NAME-VALUE, or None if they cannot be restored."""
    if not rest:
        return []
    pattern = '|'.join(sorted(map(re.escape, known), key=len, reverse=True))
    before, *parts = re.split(f'-({pattern})-', rest)
    values = parts[1::2]
    if before or any(not value or CHECKSUM.fullmatch(value) for value in values):
        return None
    return [f'--{known[name]}={value}' for name, value in zip(parts[::2], values, strict=True)]


def _description(mode: str) -> str:
    docstring = ast.get_docstring(ast.parse((FOLDER / f'{mode}.py').read_text())) or mode
    return docstring.partition('\n')[0]
