"""Checks of config.json and sweep.json before their values are used: the files may be untrusted.

`files.read_json` limits the size and the depth. `check_record` checks the fields of a record,
`check_kinds` compares config values with the types of the config's own fields. Nothing is
converted: `false` is not accepted for 0, nor `"3"` for 3.
"""

import os
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

from atelier import files
from atelier.checkout import MAX_ARGUMENT
from atelier.errors import UserError, reading, shortened

MAX_TEXT = 4096  # characters of a text: the length of the longest path on Linux
MAX_LENGTH = 100_000  # of a list
MAX_INTEGER = 2**63 - 1
GROUPS = ('data', 'model', 'hypers', 'train', 'eval')
NEEDED = (('data', 'name'), ('train', 'steps'), ('train', 'batch_size'))
NoneType = type(None)
FIELDS = {  # of config.json and sweep.json
    'id': (str, NoneType),
    'path': (str,),
    'argument': (str, NoneType),
    'source': (str,),
    'git': (str,),
    'init_from': (str, NoneType),
    'devices': (int, NoneType),
    'data_name': (str, NoneType),
    'num_random': (int,),
}
DESCRIPTIONS = {
    bool: 'true or false',
    int: 'a whole number below 2**63',
    float: 'a finite number',
    str: f'a text of at most {MAX_TEXT:,} characters, without zero bytes',
}


def read(path: pathlib.Path) -> dict[str, Any]:
    """Returns the object in config.json or sweep.json, as `files.read_json` does.

    Raises:
      UserError: the file cannot be read, is larger or deeper, holds something else, or was changed.
    """
    try:
        with reading(path):
            return files.read_json(path)
    except ValueError as error:
        raise damaged(path, str(error)) from error


def check_record(path: pathlib.Path, record: dict[str, Any], names: tuple[str, ...]) -> None:
    """Checks the fields `names` of a record, and that its `values` have the groups of a config.

    Raises:
      UserError: a field is missing or has another type; names the field and `path`.
    """
    for name in names:
        if name not in record:
            raise damaged(path, f'{name} is missing')
        if name in FIELDS:
            value = record[name]
            of_type = type(value) in FIELDS[name]  # not isinstance: a bool is an int
            if not of_type or (name != 'source' and not _is_scalar(value)):
                raise damaged(path, f'{name} is {shortened(value)}')
    if len(record.get('argument') or '') > MAX_ARGUMENT:
        raise damaged(path, f'argument is {shortened(record["argument"])}')
    values = record['values']
    if not isinstance(values, dict):
        raise damaged(path, f'values is {shortened(values)}')
    for group in GROUPS:
        if not isinstance(values.get(group), dict):
            raise damaged(path, f'config.{group} is {shortened(values.get(group))}')
    for group, name in NEEDED:
        if name not in values[group]:
            raise damaged(path, f'config.{group}.{name} is missing')
    if not _is_kind(values.get('seed'), 0):
        raise damaged(path, f'config.seed is {shortened(values.get("seed"))}')
    _check_group(path, '', values)


def _check_group(path: pathlib.Path, prefix: str, group: dict[str, Any]) -> None:
    """Checks that names can be joined by dots, and that values are scalars or lists of them."""
    for name, value in group.items():
        if not name.isprintable() or '.' in name or not 0 < len(name) <= 100:
            raise damaged(path, f'config.{prefix} has a field named {shortened(name)}')
        if isinstance(value, dict):
            _check_group(path, f'{prefix}{name}.', value)
        elif not _is_leaf(value):
            raise damaged(path, f'config.{prefix}{name} is {shortened(value)}')


def check_kinds(path: pathlib.Path, stored: Mapping[str, Any], like: Mapping[str, Any]) -> None:
    """Checks that the config values stored in the file `path` have the types of `like`.

    Raises:
      UserError: a value has another type; the message is that of `wrong_kind`.
    """
    wrong = wrong_kind(stored, like)
    if wrong:
        raise damaged(path, wrong)


def wrong_kind(values: Mapping[str, Any], like: Mapping[str, Any], prefix: str = '') -> str:
    """Describes the first config value whose type differs from that of the same field of `like`.

    Float fields accept integers. Fields that only one of the two has are skipped: the config may
    have lost or gained them since.

    Args:
      values: nested; lists may stand for tuples, as in JSON.
      like: values of the right types, nested likewise.
      prefix: stands before the name of the field in the returned text.

    Returns:
      The name of the field, its value and the right type, or '' if all are right.
    """
    for name, value in values.items():
        if name not in like:
            continue
        field, model = f'config.{prefix}{name}', like[name]
        if isinstance(model, Mapping):
            if not isinstance(value, Mapping):
                return f'{field} is {shortened(value)}, not a group of fields'
            wrong = wrong_kind(value, model, f'{prefix}{name}.')
            if wrong:
                return wrong
        elif isinstance(value, Mapping) or not _is_kind(value, model):
            return f'{field} is {shortened(value)}, not {_described(model)}'
    return ''


def _described(model: Any) -> str:
    if isinstance(model, list | tuple):
        return f'a list in which each is {_described(model[0])}' if model else 'a list'
    known = (text for kind, text in DESCRIPTIONS.items() if isinstance(model, kind))
    return next(known, 'a plain value')


def needed(model: Any) -> str:
    """Describes the values that may be typed for a config field whose value is `model`."""
    if not isinstance(model, list | tuple):
        return _described(model)
    if not model:
        return 'values with commas between them'
    kinds = {int: 'whole numbers', float: 'numbers', str: 'texts'}
    kind = next((text for kind, text in kinds.items() if type(model[0]) is kind), 'values')
    return f'{kind} with commas between them, such as {",".join(map(str, model))}'


def _is_kind(value: Any, model: Any) -> bool:
    """Whether a value from JSON may replace `model`, the value of a config field."""
    if isinstance(model, list | tuple):
        if not isinstance(value, list | tuple) or len(value) > MAX_LENGTH:
            return False
        if not model:
            return all(_is_leaf(part) and not isinstance(part, bool) for part in value)
        return all(any(_is_kind(part, each) for each in model) for part in value)
    if model is None:
        return _is_leaf(value)
    if isinstance(model, float):
        return type(value) in (int, float) and _is_scalar(value)
    return type(value) is type(model) and _is_scalar(value)


def _is_leaf(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) <= MAX_LENGTH and all(_is_leaf(part) for part in value)
    return not isinstance(value, dict) and _is_scalar(value)


def _is_scalar(value: Any) -> bool:
    """Whether a single value is one that the program can hold: no 10**400, no lone surrogate."""
    if isinstance(value, str):
        return len(value) <= MAX_TEXT and '\0' not in value and _is_encodable(value)
    if isinstance(value, int):
        return -MAX_INTEGER <= value <= MAX_INTEGER
    return not isinstance(value, float) or abs(value) <= sys.float_info.max  # false for NaN


def _is_encodable(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def damaged(path: pathlib.Path, problem: str) -> UserError:
    """Returns the error for a file that holds what the program has not written."""
    return UserError(f'{path} is damaged: {problem}')
