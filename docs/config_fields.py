"""Generates the page of all config fields.

    python -m docs.config_fields

writes docs/configs.md: the fields that all configs share, and the fields that each config adds or
sets to another value. The descriptions are the comments beside the fields in the configs.
"""

import pathlib

from atelier import checkout
from atelier.run import config_values
from atelier.run.config_comments import field_comments

PAGE = checkout.ROOT / 'docs' / 'configs.md'
OF_ITEMS = 'configs/char_lm.py:lines'
COMMON = pathlib.Path('configs', 'shared', 'common.py')
INTRODUCTION = """\
# Config fields

A config has six parts: `seed`, `data`, `model`, `hypers`, `train` and `eval`. Every field can be
set on the command line, such as `--config.train.steps=2000`. `hypers` are traced: changing one
recompiles nothing.

This page is made from the configs by `python -m docs.config_fields`. It shows the values of each
config without an argument, such as `--config=configs/vae.py`. Another data set may change them:
`--config=configs/vae.py:mnist --help` shows the values for MNIST.
"""
ITEMS = """\
## Items

Configs of language models have these fields, too, for texts that end: `:lines`, `:molecules` and
`:tunes`, of which only `:lines` reads columns and a separator.
"""


def page() -> str:
    """Returns the page's Markdown."""
    common = config_values.flatten(checkout.common_config().to_dict())
    parts = [INTRODUCTION, '## Fields of all configs\n', _table(common, checkout.ROOT / COMMON)]
    of_items = checkout.config_file(OF_ITEMS)
    values = config_values.flatten(of_items.config().to_dict())
    windows = config_values.flatten(checkout.config_file(of_items.path).config().to_dict())
    added = {name: value for name, value in values.items() if name not in windows}
    parts += [f'\n{ITEMS}', _table(added, of_items.file)]
    for path in checkout.configs():
        config_file = checkout.config_file(path)
        values = config_values.flatten(config_file.config().to_dict())
        own = {name: v for name, v in values.items() if name not in common or common[name] != v}
        absent = [f'`{name}`' for name in common if name not in values]
        parts += [f'\n## {config_file.file.stem}\n', _table(own, config_file.file)]
        parts += [f'\nIt has no {", ".join(absent)}.\n'] if absent else []
    return '\n'.join(parts)


def _table(values: dict, file: pathlib.Path) -> str:
    """Formats a row per field: name, value, description."""
    comments = field_comments(file)
    without = [name for name in values if name not in comments]
    if without:
        raise SystemExit(f'{file}: write a comment beside {", ".join(without)}')
    rows = [
        f'| `{name}` | `{_formatted(value)}` | {_cell(comments[name])} |'
        for name, value in values.items()
    ]
    return '\n'.join(['| field | value | description |', '|---|---|---|', *rows])


def _formatted(value) -> str:
    """Formats a value; empty text as two quotes."""
    return str(value) if value != '' else "''"


def _cell(text: str) -> str:
    """Escapes Markdown's marks: `a | b` would end a cell, and `*` would begin an emphasis."""
    return text.replace('|', r'\|').replace('*', r'\*')


if __name__ == '__main__':
    PAGE.write_text(page() + '\n')
