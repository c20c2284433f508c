"""What the config file of a run or a sweep says: the defaults, comments, and flags to type."""

import ast
import pathlib
from typing import Any, NamedTuple

from atelier.checkout import ConfigFile, recorded
from atelier.errors import UserError
from atelier.run import config_values
from atelier.run.config_comments import field_comments
from atelier.user_files import source

FROM_PYTHON = 'the run was trained from Python'
# stands before why, below a command that may lack flags
UNKNOWN_FLAGS = 'and the fields that differ from the defaults, which are not known: '


class ConfigFacts(NamedTuple):
    """What the config file says of a config, if the file may be read.

    file: the file and its argument, as --config takes them.
    headline: the first line of its docstring.
    defaults: its values by dotted name; None if the file cannot be loaded.
    comments: what it says of its fields, by dotted name.
    problem: why it cannot be loaded; '' if it can.
    """

    file: str
    headline: str = ''
    defaults: dict[str, Any] | None = None
    comments: dict[str, str] = {}
    problem: str = ''


def config_facts(record: dict[str, Any], folder: pathlib.Path) -> ConfigFacts:
    """Returns what the config file of a run or a sweep says. A file that the user has not named,
    and that is not in `configs/` of the checkout, is not read.
    """
    name = str(ConfigFile(record['path'], record['argument']))
    try:
        file = recorded(record, folder)
        if not file.path:
            return ConfigFacts(name, problem=FROM_PYTHON)
        values = config_values.with_absolute_paths(file.config().to_dict())
    except UserError as error:
        return ConfigFacts(name, problem=str(error))
    docstring = ast.get_docstring(ast.parse(source(file.file))) or ''
    headline = docstring.partition('\n')[0]
    defaults = config_values.flatten(values)
    return ConfigFacts(str(file), headline, defaults, field_comments(file.file))


def changed_fields(config: dict[str, Any], facts: ConfigFacts) -> list[str]:
    """Returns the fields whose values differ from the defaults of the config file."""
    if facts.defaults is None:
        return []
    missing = object()
    return [name for name, value in config.items() if facts.defaults.get(name, missing) != value]


def config_flags(config: dict[str, Any], facts: ConfigFacts) -> list[str]:
    """Returns --config and the flags of the fields that differ from their defaults, if these are
    known; nothing for a run that was trained from Python.
    """
    if facts.problem == FROM_PYTHON:
        return []
    changed = [
        f'--config.{name}={_typed(config[name])}'
        for name in changed_fields(config, facts)
        if name in (facts.defaults or {})
    ]
    return [f'--config={facts.file}', *changed]


def _typed(value: Any) -> str:
    """Returns a value of a config as a flag takes it."""
    if not isinstance(value, list):
        return str(value)
    parts = [repr(part) if isinstance(part, str) else str(part) for part in value]
    return ','.join(parts) + (',' if len(parts) == 1 else '') if parts else '()'
