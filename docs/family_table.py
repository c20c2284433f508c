"""Generates the table of the applications that each config's model supports.

    python -m docs.family_table

writes the table between the two marks of docs/using_a_run.md. A model supports an application if
its family has the abilities that the application needs; an application may still refuse some
families.
"""

import re

from atelier import applications, checkout
from atelier.core.abilities import LogProb
from atelier.core.family import Family, is_class_conditional
from atelier.data import dataset
from atelier.evaluation.evaluate import condition_suffix

PAGE = checkout.ROOT / 'docs' / 'using_a_run.md'
MARKS = '<!-- family table -->', '<!-- end of family table -->'
BETWEEN_MARKS = re.compile(f'{re.escape(MARKS[0])}\n(.*?)\n{re.escape(MARKS[1])}', re.DOTALL)
YES = '✓'


def table() -> str:
    """Returns Markdown: a row per config, a column per application, and the kind of log p(x)."""
    modes = applications.names()
    rows = [
        ['', *(f'`{mode}`' for mode in modes), 'log p(x)'],
        ['---', *[':-:'] * len(modes), '---'],
    ]
    for path in checkout.configs():
        family, spec = _family(path)
        fitting = applications.fitting(family, spec)
        can = [YES if mode in fitting else '' for mode in modes]
        rows.append([f'`{path}`', *map(_marker(family), modes, can), _likelihood(family)])
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def _family(path: str) -> tuple[Family, dataset.Spec]:
    """Returns the family of a config's debug variant, and the Spec of its data."""
    config_file = checkout.config_file(f'{checkout.ROOT / path}:debug')
    config = config_file.config()
    spec = dataset.load(config).spec
    return config_file.build(config, spec), spec


def _marker(family: Family):
    """Returns (mode, cell) -> cell, which marks class-conditional sampling."""
    suffix = ' class-conditional' if is_class_conditional(family) else ''
    return lambda mode, cell: f'{cell}{suffix}' if mode == 'sample' else cell


def _likelihood(family: Family) -> str:
    if family.ability(LogProb) is None:
        return ''
    return family.ability(LogProb).kind + condition_suffix(family)


def insert(text: str) -> str:
    """Returns the text of the page with the table between its marks."""
    return BETWEEN_MARKS.sub(lambda _: f'{MARKS[0]}\n{table()}\n{MARKS[1]}', text)


def written_table(text: str) -> str:
    """Returns the table that stands between the marks in the text of the page."""
    return BETWEEN_MARKS.search(text).group(1)


if __name__ == '__main__':
    PAGE.write_text(insert(PAGE.read_text()))
