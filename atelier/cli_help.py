"""Text of --help: an overview, or one mode (--mode=NAME), or one config (--config=PATH)."""

import ast
import collections
import inspect
import pathlib
import re
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

from atelier import applications, checkout, cli_flags
from atelier.cli_arguments import value_of
from atelier.cli_built_in import BUILT_IN
from atelier.errors import UserError
from atelier.paths import user_path
from atelier.run.config_comments import field_comments, imported_files
from atelier.user_files import source

if TYPE_CHECKING:
    from atelier.applications import Application

WIDTH = 100
MAX_NAME = 60  # a longer name has a line of its own
TITLES = {'gans': 'GANs'}
PLACEHOLDERS = """\
CONFIG  a file of the list below or of your own; CONFIG:DATA for other data,
        CONFIG:DATA,debug to see it run in seconds. --config=CONFIG --help shows its fields.
RUN     a folder, runs/CONFIG-DATA by default. It keeps the config: later commands need only RUN.
MODE    one of the modes below, or a FILE.py of your own. --mode=MODE --help shows its options."""
VALUES = """\
VALUES of an axis: 0.5,1,2 or 0:8 (0 to 7); log:1e-4:1e-2 and uniform:0.5:4 are ranges, from which
--sweep_random=N draws settings. Shards go to Slurm with --launcher=submitit."""


def text(argv: list[str]) -> str:
    """Returns the help text that this command line requests.

    Raises:
      UserError: no such mode or config.
    """
    mode, config = value_of('mode', argv), value_of('config', argv)
    name = pathlib.Path(argv[0]).name
    command = f'python {name}' if name.endswith('.py') else name
    if mode:
        return _of_mode(command, mode)
    return _of_config(command, config) if config else _of_all(command)


def _of_all(command: str) -> str:
    mode_lines = {mode: _first_line(_file_of(mode)) for mode in applications.names()}
    application_usage = '--mode=MODE --workdir=RUN [--OPTION=VALUE ...]'
    usages = [*(mode.usage for mode in BUILT_IN.values()), application_usage]
    lines = [
        *(f'{command} {usage}' for usage in usages),
        '',
        *PLACEHOLDERS.split('\n'),
        '',
        'Modes',
    ]
    lines += _table({**{name: mode.summary for name, mode in BUILT_IN.items()}, **mode_lines})
    for family, paths in _by_family(checkout.configs()).items():
        lines += ['', TITLES.get(family, family.replace('_', ' ').capitalize())]
        lines += _table({path: _first_line(checkout.ROOT / path) for path in paths})
    return '\n'.join([*lines, '', 'Common flags', *_flag_lines(BUILT_IN['train'].shared_flags)])


def _by_family(paths: list[str]) -> dict[str, list[str]]:
    """Groups configs by the folder of models that they use: {folder: paths}."""
    families: dict[str, list[str]] = {}
    for path in paths:
        families.setdefault(_family(checkout.ROOT / path), []).append(path)
    return dict(sorted(families.items()))


def _family(file: pathlib.Path, visited: frozenset = frozenset()) -> str:
    """Returns the folder of `models` from which a config imports most. If it imports from none,
    returns the folder of a config that it imports.
    """
    tree = ast.parse(source(file))
    imports = [node.module or '' for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    own = [module.split('.')[1] for module in imports if module.startswith('models.')]
    own = [folder for folder in own if folder not in ('nets', 'shared')]
    if own:
        return collections.Counter(own).most_common(1)[0][0]
    visited |= {file}
    parents = (parent for parent in imported_files(tree) if parent not in visited)
    families = (_family(parent, visited) for parent in parents)
    return next((family for family in families if family != 'others'), 'others')


def _of_mode(command: str, mode: str) -> str:
    """Describes a mode and lists its options."""
    application = cli_flags.application_of(mode)
    if application is None:
        own = BUILT_IN[mode]
        lines = [own.summary, '', f'{command} {own.usage}']
        lines += ['', *VALUES.split('\n')] if mode == 'sweep' else []
        return '\n'.join([*lines, '', *_flag_lines((*own.own_flags, *own.shared_flags))])
    cli_flags.define_options(cli_flags.define(), mode, application)  # refuses invalid options
    lines = _paragraphs(_docstring(_file_of(mode)), application.apply.__doc__)
    lines += ['', f'{command} --mode={mode} --workdir=RUN [--OPTION=VALUE ...]', '']
    return '\n'.join([*lines, *_option_lines(application)])


def _of_config(command: str, flag: str) -> str:
    """Describes a config and lists its fields with their defaults."""
    from atelier.run import config_values

    config_file = checkout.config_file(flag)
    cli_flags.announce_config_elsewhere(config_file, flag)
    values = config_values.flatten(config_file.config().to_dict())
    lines = _paragraphs(_docstring(config_file.file))
    lines += ['', f'{command} --config={config_file} [--config.FIELD=VALUE ...]', '']
    comments = field_comments(config_file.file)
    fields = {
        f'--config.{name}={_formatted(v)}': comments.get(name, '') for name, v in values.items()
    }
    return '\n'.join([*lines, *_wrapped_table(fields)])


def _paragraphs(*docstrings: str | None) -> list[str]:
    """Joins docstrings, each cut before its Args, Returns or Raises: those serve Python callers."""
    parts = [inspect.cleandoc(docstring) for docstring in filter(None, docstrings)]
    kept = [re.split(r'\n\n(?:Args|Raises|Returns):\n', part)[0] for part in parts]
    return '\n\n'.join(kept).split('\n')


def _option_lines(application: 'Application') -> list[str]:
    options = applications.options(application)
    if not options:
        return ['It has no options of its own.']
    described = {
        **applications.shared_descriptions(application),
        **_arguments(inspect.getdoc(application.apply) or ''),
    }
    rows = {
        f'--{name}={_formatted(_typed(option.default))}': described.get(name, '')
        for name, option in options.items()
    }
    return list(_wrapped_table(rows))


def _arguments(docstring: str) -> dict[str, str]:
    """Returns the descriptions in the Args section of a docstring, by argument."""
    section = re.search(r'^Args:\n((?: .*\n?|\n)*)', docstring, re.MULTILINE)
    entries = re.findall(r'^  (\w+): (.*(?:\n    .*)*)', section.group(1) if section else '', re.M)
    return {name: ' '.join(text.split()) for name, text in entries}


def _flag_lines(names: tuple[str, ...]) -> list[str]:
    values = cli_flags.define()
    described = {f'--{name}': values[name].help.split(';\n')[0] for name in names}
    # absl puts the choices before the text, which names them itself
    return _table({flag: re.sub(r'^<.*?>: ', '', text) for flag, text in described.items()})


def _table(rows: dict[str, str]) -> list[str]:
    """Formats one line per name and description, cut to fit."""
    width = max(map(len, rows))
    max_width = WIDTH - width - 4
    return [
        f'  {name:{width}}  {textwrap.shorten(description, max_width, placeholder=" ...")}'
        for name, description in rows.items()
    ]


def _wrapped_table(rows: dict[str, str]) -> Iterator[str]:
    """Formats a name and a description per row; a long description continues on the next line."""
    width = max((len(name) for name in rows if len(name) <= MAX_NAME), default=0)
    for name, description in rows.items():
        first, *others = textwrap.wrap(description, max(WIDTH - width - 4, 40)) or ['']
        if len(name) > MAX_NAME:
            yield from textwrap.wrap(name, WIDTH, initial_indent='  ', subsequent_indent='    ')
            name = ''
        yield f'  {name:{width}}  {first}'.rstrip()
        yield from (' ' * (width + 4) + line for line in others)


def _typed(default):
    """Returns the default of an option, or '' in place of None, which is not typed."""
    return '' if default is None else default


def _formatted(value) -> str:
    """Formats a default as typed on a command line."""
    return str(value).replace(' ', '') if isinstance(value, list) else str(value)


def _file_of(mode: str) -> pathlib.Path:
    return user_path(mode) if applications.is_file(mode) else applications.FOLDER / f'{mode}.py'


def _first_line(file: pathlib.Path) -> str:
    return _docstring(file).split('\n')[0]


def _docstring(file: pathlib.Path) -> str:
    """Reads a file's docstring without running it; the file's stem if it has none.

    Raises:
      UserError: there is no such file.
    """
    if not file.is_file():
        raise UserError(f'there is no file {file}')
    return ast.get_docstring(ast.parse(source(file))) or file.stem
