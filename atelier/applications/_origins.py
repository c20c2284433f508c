"""Which command made a picture of a run: read from the name of its file."""

import ast
import re
from collections.abc import Collection
from typing import NamedTuple

from atelier.applications._loading import FOLDER, load, names, options

CHECKSUM = re.compile('[0-9a-f]{8}')  # stands for a value that no file name can hold
CLASSES = re.compile(r'\d+(-\d+)+')  # of --labels: a file name has hyphens for its commas
INSIDE = re.compile('(?<=.)-')  # a value with a hyphen inside may be several parts of a name
# modes whose file names begin with the value of an option, and that option
FIRST = {'animate': 'of', 'anomaly': 'score', 'denoise': 'noise', 'inpaint': 'mask'}
FIGURE = re.compile('-(maps|most)$')  # further figures of anomaly


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
    rest = FIGURE.sub('', rest) if mode == 'anomaly' else rest
    if mode not in names() or (folder == 'samples' and not stem.startswith('seed-')):
        return None
    known = {name: name for name in options(load(mode))}
    for field in fields:
        if field.startswith('eval.'):
            name = field.removeprefix('eval.').removeprefix('sampler.')
            known.setdefault(name, f'config.{field}')
    flags = _flags(f'-{rest}' if rest else '', known, FIRST.get(mode))
    return Origin(_description(mode), [] if flags is None else [f'--mode={mode}', *flags])


def _flags(rest: str, known: dict[str, str], first: str | None = None) -> list[str] | None:
    """Returns the flags in -NAME-VALUE-NAME-VALUE, or None if they cannot be restored.

    The value of the option `first`, if there is one, stands in front without its name.
    """
    if not rest:
        return []
    pattern = '|'.join(sorted(map(re.escape, known), key=len, reverse=True))
    before, *parts = re.split(f'-({pattern})-', rest)
    pairs = [*zip(parts[::2], parts[1::2], strict=True)]
    if before:
        if first is None:
            return None
        pairs.insert(0, (first, before.removeprefix('-')))
    values = [
        value.replace('-', ',') if name == 'labels' and CLASSES.fullmatch(value) else value
        for name, value in pairs
    ]
    if any(not value or CHECKSUM.fullmatch(value) or INSIDE.search(value) for value in values):
        return None
    return [f'--{known[name]}={value}' for (name, _), value in zip(pairs, values, strict=True)]


def _description(mode: str) -> str:
    docstring = ast.get_docstring(ast.parse((FOLDER / f'{mode}.py').read_text())) or mode
    return docstring.partition('\n')[0]
