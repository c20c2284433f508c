"""Which command made a picture of a run: read from the name of its file."""

import ast
import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from atelier.applications._loading import FOLDER, load, names, options

CHECKSUM = re.compile('[0-9a-f]{8}')  # stands for a value that no file name can hold
CLASSES = re.compile(r'\d+(-\d+)+')  # of --labels: a file name has hyphens for its commas
INSIDE = re.compile('(?<=.)-')  # a value with a hyphen inside may be several parts of a name
LABEL = r'(?:-of-(?P<label>\d+))?'  # the class of the images of concept
# what file names of some modes begin with: the values of options, without the names of these
FIRST = {
    'animate': ['-(?P<of>[^-]+)'],
    'anomaly': ['-(?P<score>[^-]+)'],
    'concept': [
        rf'-label-(?P<source>\d+)-to-(?P<target>\d+){LABEL}',
        rf'-(?P<attribute>[a-z]+)-(?P<source>\d+)-to-(?P<target>\d+){LABEL}',
        rf'-(?P<attribute>word)-(?P<source>[a-z]+)-to-(?P<target>[a-z]+){LABEL}',
        rf'-(?P<attribute>[a-z]+)-[a-z]+-to-[a-z]+{LABEL}',
    ],
    'denoise': ['-(?P<noise>[^-]+)'],
    # a longer share may have been rounded
    'inpaint': [r'-(?P<mask>random)-(?P<share>0\.\d{1,5})', '-(?P<mask>(?!random)[^-]+)'],
    'saliency': [r'-(?P<index>\d+)'],
}
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
    flags = _flags(f'-{rest}' if rest else '', known, FIRST.get(mode, []))
    return Origin(_description(mode), [] if flags is None else [f'--mode={mode}', *flags])


def _flags(rest: str, known: dict[str, str], first: Sequence[str] = ()) -> list[str] | None:
    """Returns the flags in -NAME-VALUE-NAME-VALUE, or None if they cannot be restored.

    Values without names, which a pattern of `first` has, stand in front.
    """
    pairs, rest = _without_names(rest, first)
    pattern = '|'.join(sorted(map(re.escape, known), key=len, reverse=True))
    before, *parts = re.split(f'-({pattern})-', rest)
    if before:
        return None
    pairs += zip(parts[::2], parts[1::2], strict=True)
    values = [
        value.replace('-', ',') if name == 'labels' and CLASSES.fullmatch(value) else value
        for name, value in pairs
    ]
    if any(not value or CHECKSUM.fullmatch(value) or INSIDE.search(value) for value in values):
        return None
    return [f'--{known[name]}={value}' for (name, _), value in zip(pairs, values, strict=True)]


def _without_names(rest: str, first: Sequence[str]) -> tuple[list[tuple[str, str]], str]:
    """Returns (option, value) of the values in front, and what follows them."""
    for pattern in first:
        found = re.match(f'{pattern}(?=-|$)', rest)
        if found:
            values = found.groupdict().items()
            return [(name, value) for name, value in values if value], rest[found.end() :]
    return [], rest


def _description(mode: str) -> str:
    docstring = ast.get_docstring(ast.parse((FOLDER / f'{mode}.py').read_text())) or mode
    return docstring.partition('\n')[0]
