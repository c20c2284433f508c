"""The axes of a sweep: parses `--sweep=FIELD=VALUES`, and combines axes into settings.

--sweep=hypers.beta=0.5,1,2,4           these values
--sweep=seed=0:8                        0 to 7
--sweep=model.hidden_sizes=(64,),(256,256)
--sweep=hypers.learning_rate=log:1e-4:1e-2     log-uniform draws, as many as --sweep_random
--sweep=hypers.beta=uniform:0.5:4              uniform draws, as many as --sweep_random
"""

import ast
import itertools
import math
import os
import re
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from atelier.errors import UserError, closest_field, shortened, shortened_text, suggestion
from atelier.run.config_values import is_path
from atelier.run.config_values import with_absolute_paths as absolute_paths

MAX_SETTINGS = 10_000  # each is a run of its own
DIGITS = 4  # significant digits of a drawn number
RANGES = ('log', 'uniform')
Setting = dict[str, Any]  # a value for each swept field


class Range(NamedTuple):
    """A range to draw from: uniform or, with `is_log`, log-uniform."""

    low: float
    high: float
    is_log: bool
    is_whole: bool


class Axis(NamedTuple):
    """A config field, by dotted name, and its values."""

    field: str
    values: tuple | Range


def parse(text: str, values: dict[str, Any]) -> Axis:
    """Parses FIELD=VALUES. New values have the type of the field's value in `values`.

    `values` holds the config's values by dotted name.

    Raises:
      UserError: there is no such field, or a value is invalid.
    """
    field, equals, rest = text.partition('=')
    if not equals or not rest:
        raise _invalid(text, 'write FIELD=VALUES, as in hypers.beta=0.5,1,2 or seed=0:8')
    if field not in values:
        hint = suggestion(closest_field(field, values))
        raise _invalid(text, f'no field {shortened(field)}{hint}')
    like = values[field]
    kind, _, ends = rest.partition(':')
    if kind in RANGES:
        return Axis(field, _range(text, kind, ends, like))
    if isinstance(like, int) and not isinstance(like, bool) and ':' in rest:
        return Axis(field, _integers(text, rest))
    parsed = tuple(_value(text, item, like) for item in _split_at_commas(rest))
    duplicates = [value for i, value in enumerate(parsed) if value in parsed[:i]]
    if duplicates:
        raise _invalid(text, f'{shortened(duplicates[0])} appears twice')
    return Axis(field, parsed)


def with_absolute_paths(text: str, values: dict[str, Any]) -> str:
    """Returns FIELD=VALUES with absolute paths, if the field holds paths; `values` as in `parse`.

    Raises:
      UserError: a value is invalid, or a comma or a bracket in a path would divide it.
    """
    field, _, rest = text.partition('=')
    like = values.get(field)
    if not rest or not is_path(field) or not isinstance(like, str | list | tuple):
        return text
    given = [_value(text, item, like) for item in _split_at_commas(rest)]
    absolute = absolute_paths({field: given})[field]
    items = [value if isinstance(value, str) else repr(value) for value in absolute]
    if _split_at_commas(','.join(items)) != items:
        raise _invalid(
            text,
            'commas and brackets divide values, but an absolute path here has some '
            f'({shortened_text(items[0])}): rename its folder, or give a link to it without them',
        )
    return f'{field}={",".join(items)}'


def settings(axes: Sequence[Axis], num_random: int, seed: int) -> list[Setting]:
    """Returns each combination of the axes' values once. A draw is one value from each range.

    There are `num_random` joint draws. Draw k of a field depends on (seed, field, k) alone.

    Raises:
      UserError: a field is on two axes; ranges without `num_random`, or the reverse; or there are
        more than `MAX_SETTINGS` combinations.
    """
    fields = [axis.field for axis in axes]
    duplicates = [field for i, field in enumerate(fields) if field in fields[:i]]
    if duplicates:
        raise UserError(f'--sweep: {duplicates[0]} is on two axes')
    ranges = [axis for axis in axes if isinstance(axis.values, Range)]
    lists = [axis for axis in axes if not isinstance(axis.values, Range)]
    if num_random < 0:
        raise UserError(f'--sweep_random={num_random}: give the number of draws from the ranges')
    if ranges and not num_random:
        raise UserError(
            f'--sweep={_range_text(ranges[0])} is a range: add --sweep_random=N, the number of '
            'draws'
        )
    if num_random and not ranges:
        raise UserError(
            f'--sweep_random={num_random}: no axis is a range to draw from: give one, such as '
            '--sweep=hypers.learning_rate=log:1e-4:1e-2'
        )
    _check_count('--sweep', max(num_random, 1) * math.prod(len(axis.values) for axis in lists))
    columns = {axis.field: _draws(axis.field, axis.values, num_random, seed) for axis in ranges}
    drawn = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    combined = itertools.product(*(axis.values for axis in lists))
    pairs = itertools.product(drawn or [{}], combined)
    names = [axis.field for axis in lists]
    combinations = [{**draw, **dict(zip(names, chosen, strict=True))} for draw, chosen in pairs]
    ordered = [tuple((field, setting[field]) for field in fields) for setting in combinations]
    return [dict(setting) for setting in dict.fromkeys(ordered)]  # draws of integers may repeat


def _range_text(axis: Axis) -> str:
    """Returns the FIELD=VALUES of an axis that is a range."""
    kind = 'log' if axis.values.is_log else 'uniform'
    return f'{axis.field}={kind}:{axis.values.low:g}:{axis.values.high:g}'


def folder_names(settings: Sequence[Setting], short_paths: bool = True) -> list[str]:
    """Returns a unique folder name for each setting, such as beta-0.5_seed-3.

    Without `short_paths`, they contain whole absolute paths, as in earlier versions.
    """
    fields = list(settings[0])
    settings = _with_short_paths(settings) if short_paths else settings
    last = [field.rpartition('.')[2] for field in fields]
    short = {f: name if last.count(name) == 1 else f for f, name in zip(fields, last, strict=True)}
    names = ['_'.join(f'{short[f]}-{_slug(v)}' for f, v in setting.items()) for setting in settings]
    if len({*names}) < len(names) or max(map(len, names)) > 120:
        names = [f'{i:0{len(str(len(names)))}d}_{name[:100]}' for i, name in enumerate(names)]
    return names


def _with_short_paths(settings: Sequence[Setting]) -> list[Setting]:
    """Returns settings in which absolute paths begin below the folder that they have in common."""
    short = [dict(setting) for setting in settings]
    for field in settings[0]:
        paths = [setting[field] for setting in settings]
        if is_path(field) and all(isinstance(path, str) and os.path.isabs(path) for path in paths):
            common = os.path.commonpath(map(os.path.dirname, paths))
            for setting in short:
                setting[field] = os.path.relpath(setting[field], common)
    return short


def _flag(text: str) -> str:
    return f'--sweep={shortened_text(text)}'


def _invalid(text: str, why: str) -> UserError:
    return UserError(f'{_flag(text)}: {why}')


def _split_at_commas(text: str) -> list[str]:
    """Splits at commas outside brackets."""
    items, depth = [''], 0
    for letter in text:
        depth += (letter in '([') - (letter in ')]')
        if letter == ',' and depth == 0:
            items.append('')
        else:
            items[-1] += letter
    return items


def _value(text: str, item: str, like: Any) -> Any:
    """Parses `item` as the type of `like`, the field's current value."""
    try:
        if isinstance(like, bool):
            return {'true': True, 'false': False}[item.lower()]
        if isinstance(like, str):
            return item
        if isinstance(like, int):
            return int(item)
        if isinstance(like, float):
            value = float(item)
            if not math.isfinite(value):
                raise ValueError(item)
            return value
        values = tuple(ast.literal_eval(item))
        if like and not all(isinstance(each, type(like[0])) for each in values):
            raise TypeError(item)
        return values
    except (KeyError, TypeError, ValueError, SyntaxError, MemoryError, RecursionError) as error:
        kinds = {bool: 'true or false', int: 'a whole number', float: 'a number'}
        kind = kinds.get(type(like), 'a tuple, as in (64,)')
        raise _invalid(text, f'{shortened(item)} is not {kind}') from error


def _integers(text: str, rest: str) -> tuple[int, ...]:
    ends = [_value(text, item, 0) for item in rest.split(':')]
    integers = range(*ends) if len(ends) in (2, 3) and 0 not in ends[2:] else ()
    if not integers:
        raise _invalid(text, f'no whole numbers in {shortened_text(rest)}; 0:8 is 0 to 7')
    first, stop, step = integers.start, integers.stop, integers.step
    _check_count(_flag(text), -(-(stop - first) // step))  # len() overflows
    return tuple(integers)


def _check_count(setting: str, count: int) -> None:
    """Refuses more settings than a sweep can have, before a list of them is made.

    Raises:
      UserError: names the command-line flag and the limit.
    """
    if count > MAX_SETTINGS:
        raise UserError(f'{setting}: {count:,} runs, and a sweep has at most {MAX_SETTINGS:,}')


def _range(text: str, kind: str, ends: str, like: Any) -> Range:
    if not isinstance(like, int | float) or isinstance(like, bool):
        raise _invalid(text, 'only a numeric field can have a range')
    bounds = ends.split(':')
    if len(bounds) != 2:
        raise _invalid(text, f'write a range as {kind}:LOW:HIGH')
    low, high = (_value(text, item, 0.0) for item in bounds)
    if not low < high or (kind == 'log' and low <= 0):
        raise _invalid(text, 'LOW must be below HIGH, and above 0 for log')
    return Range(low, high, kind == 'log', isinstance(like, int))


def _draws(field: str, interval: Range, count: int, seed: int) -> list[int | float]:
    random = np.random.Generator(np.random.Philox(key=[seed, zlib.crc32(field.encode())]))
    low, high = interval.low, interval.high + interval.is_whole  # k gets the interval [k, k + 1)
    if interval.is_log:
        low, high = math.log(low), math.log(high)
    drawn = low + (high - low) * random.random(count)
    drawn = np.exp(drawn) if interval.is_log else drawn
    if interval.is_whole:
        return [min(math.floor(value), math.floor(interval.high)) for value in drawn]
    return [float(f'{value:.{DIGITS}g}') for value in drawn]


def _slug(value: Any) -> str:
    """Formats a value as part of a folder name."""
    if isinstance(value, tuple):
        return 'x'.join(map(_slug, value)) or 'none'
    return re.sub(r'[^A-Za-z0-9.+-]+', '-', str(value)) or 'none'
