"""Rows: what is measured, how, and beside which published value. They are read from TOML files."""

import hashlib
import json
import math
import pathlib
import re
import tomllib
import typing
from collections.abc import Mapping
from typing import Any, NamedTuple

from atelier.errors import UserError, did_you_mean, reading, shortened
from benchmarks.reference import value_paths

FOLDER = pathlib.Path(__file__).parent / 'rows'
KINDS = ('cpu', 'gpu', 'tpu')  # of machines, as JAX names them
DIRECTIONS = ('lower', 'higher', 'equal')  # which measured values are as good as the target
NAME = re.compile(r'[a-z0-9][a-z0-9-]{0,60}')
# fields that change what is measured; a result with other values of them is stale
MEASURED = ('config', 'overrides', 'modes', 'benchmark', 'flags', 'needs', 'values')


class Published(NamedTuple):
    """A value that others report, with all that is needed to judge a comparison."""

    value: float
    source: str  # paper or repository, with the table or file
    setting: str = ''  # model, data and estimator of the publication
    budget: str = ''  # its training budget


class Target(NamedTuple):
    """The value that a measurement is compared with.

    `lower`: at most value + tolerance. `higher`: at least value - tolerance. `equal`: both.
    """

    value: float
    tolerance: float
    direction: str
    kinds: tuple[str, ...] = KINDS  # of machines that it is asked of

    def holds(self, measured: float) -> bool:
        """Whether a measured value is inside the tolerance."""
        above, below = measured - self.value, self.value - measured
        wrong = dict(lower=above, higher=below, equal=abs(above))[self.direction]
        return math.isfinite(measured) and wrong <= self.tolerance


class Row(NamedTuple):
    """One row: a run of a config and modes after it, or a benchmark.

    In overrides, modes and flags, DATA stands for the data folder, RUN for the row's own run, OUT
    for the benchmark's JSON file, and RUN(NAME) for the run of row NAME with its first seed.
    """

    name: str
    title: str
    section: str  # the table that the row belongs to
    unit: str
    values: dict[str, str]  # {name: [FILE:]path}; the first one is compared with `target`
    target: Target
    minutes: dict[str, float]  # of one seed, by kind of machine; another kind: not meant for it
    priority: int  # rows of a higher priority are measured first
    config: str = ''  # PATH[:ARGUMENT]
    overrides: Mapping[str, Any] = {}  # {field of the config: value}
    modes: tuple[tuple[str, ...], ...] = ()  # the flags of each command after the training
    refit: bool = False  # whether it measures the refit of its run: RUN chooses the steps
    benchmark: str = ''  # instead of a config: a module of benchmarks/ that has --json
    flags: tuple[str, ...] = ()  # of the benchmark
    needs: tuple[str, ...] = ()  # rows whose runs are used
    parent: str = ''  # row whose run of the same seed has the codes that are this row's data
    needed: Mapping[str, str] = {}  # definitions of the rows that it uses, which `load` adds
    data: tuple[str, ...] = ()  # what must lie in the data folder
    targets: Mapping[str, Target] = {}  # of other values, by name
    published: Published | None = None
    seeds: tuple[int, ...] = (0,)
    budget: str = ''  # of our runs
    earlier: Mapping[str, str] = {}  # {name: value} that was measured before rows existed
    note: str = ''  # shown below the table
    alone: bool = False  # whether nothing else may run meanwhile, because time is measured
    continues: bool = True  # whether it goes on where it was stopped

    @property
    def headline(self) -> str:
        """The name of the value that is compared with the target."""
        return next(iter(self.values))

    @property
    def uses(self) -> tuple[str, ...]:
        """The names of all rows whose runs it uses."""
        return (*filter(None, [self.parent]), *self.needs)

    @property
    def all_targets(self) -> dict[str, Target]:
        """The targets by the names of their values, that of the first value first."""
        return {self.headline: self.target, **self.targets}

    @property
    def definition(self) -> str:
        """A hash of everything that changes what is measured."""
        parts = {name: getattr(self, name) for name in MEASURED}
        if self.refit:
            parts['refit'] = True
        if self.needed:  # another parent has other codes
            parts['needed'] = dict(self.needed)
        text = json.dumps(parts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]


TYPES = typing.get_type_hints(Row)


def load(folder: pathlib.Path = FOLDER) -> dict[str, Row]:
    """Returns all rows by name, in the order of the files.

    Raises:
      UserError: a file is no TOML, or a row is not valid. The message names the file and the row.
    """
    rows: dict[str, Row] = {}
    for path in sorted(folder.glob('*.toml')):
        for table in _tables(path):
            row = _row(table, path)
            if row.name in rows:
                raise UserError(f'{path}: there are two rows {row.name}')
            rows[row.name] = row
    return {name: _with_needed(row, rows) for name, row in rows.items()}


def _with_needed(row: Row, rows: Mapping[str, Row]) -> Row:
    """Returns a row with the definitions of what it needs.

    Raises:
      UserError: it needs what is no row, or not meant for the same machines, or needs a row itself.
    """
    for name in row.uses:
        if name not in rows:
            raise UserError(f'row {row.name} needs {name}, which is no row')
        if rows[name].uses:  # also a row that needs itself
            raise UserError(f'row {row.name} needs {name}, which needs a row itself')
        if kinds := {*row.minutes} - {*rows[name].minutes}:
            raise UserError(f'row {row.name} needs {name}, without minutes of a {min(kinds)}')
    return row._replace(needed={name: rows[name].definition for name in row.uses})


def _tables(path: pathlib.Path) -> list[dict[str, Any]]:
    with reading(path):
        text = path.read_text()
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f'{path} is not TOML: {error}') from error
    tables = content.get('row')
    if not isinstance(tables, list) or set(content) != {'row'}:
        raise UserError(f'{path}: it has to consist of tables [[row]]')
    return tables


def _row(table: dict[str, Any], path: pathlib.Path) -> Row:
    name = table.get('name', '')
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UserError(f'{path}: the row name {shortened(name)} is not of [a-z0-9-]')
    where = f'{path}, row {name}'
    fields = set(Row._fields) - {'needed'}
    for field in set(table) - fields:
        raise UserError(f'{where}: there is no field {field}{did_you_mean(field, fields)}')
    missing = set(Row._fields) - set(Row._field_defaults) - set(table)
    if missing:
        raise UserError(f'{where}: it has no {", ".join(sorted(missing))}')
    row = Row(**{name: _typed(name, table[name], where) for name in table})
    _check(row, where)
    return row


def _typed(name: str, content: Any, where: str) -> Any:
    """Returns a field, its lists as tuples; raises UserError if it has another type."""
    hint = TYPES[name]
    if name == 'targets' and isinstance(content, dict):
        return {
            key: _part(Target, each, f'{where}: target of {key}') for key, each in content.items()
        }
    for kind in (Target, Published):
        if kind in (hint, *typing.get_args(hint)):
            return _part(kind, content, f'{where}: {name}')
    if not _fits(content, hint):
        raise UserError(f'{where}: {name} = {shortened(content)} is of another type')
    if name == 'modes':
        return tuple(map(tuple, content))
    return _frozen(content)


def _frozen(content: Any) -> Any:
    return tuple(content) if isinstance(content, list) else content


def _part(kind: type, content: Any, where: str) -> Any:
    hints = typing.get_type_hints(kind)
    if isinstance(content, dict):
        for name in {*content} & {*hints}:
            if not _fits(content[name], hints[name]):
                raise UserError(f'{where}.{name} = {shortened(content[name])} is of another type')
        content = {name: _frozen(part) for name, part in content.items()}
    try:
        return kind(**content)
    except TypeError as error:
        raise UserError(f'{where}: {error}') from error


def _fits(content: Any, hint: Any) -> bool:
    """Whether the content of a TOML file has a type of a field; lists stand for tuples."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return isinstance(content, list) and all(_fits(part, parts[0]) for part in content)
    if origin in (dict, Mapping):
        return isinstance(content, dict) and all(_fits(part, parts[1]) for part in content.values())
    if hint is float:
        return type(content) in (int, float) and math.isfinite(content)
    return type(content) in ((str, int, float, bool) if hint is Any else (hint,))


def _check(row: Row, where: str) -> None:
    targets = [row.target, *row.targets.values()]
    wrong = [
        (not row.values, 'it measures nothing'),
        (bool(row.config) == bool(row.benchmark), 'it has either a config or a benchmark'),
        (bool(row.benchmark) and len(row.seeds) > 1, 'a benchmark has no seeds'),
        (row.refit and not row.config, 'a refit has a config'),
        (row.parent and not row.config, 'a run of codes has a config'),
        (not set(row.targets) <= set([*row.values][1:]), 'targets has names of no further values'),
        (
            any(target.direction not in DIRECTIONS for target in targets),
            f'direction is one of {", ".join(DIRECTIONS)}',
        ),
        (any(target.tolerance < 0 for target in targets), 'the tolerance is below 0'),
        (
            not {*row.minutes}.union(*(target.kinds for target in targets)) <= {*KINDS},
            f'kinds of machines are {", ".join(KINDS)}',
        ),
        (row.target.kinds != KINDS, 'only targets of further values have kinds'),
        (not all(target.kinds for target in targets), 'a target has at least one kind'),
        (row.alone and row.continues, 'what is timed alone cannot be continued'),
        (len({*row.seeds}) != len(row.seeds) or not row.seeds, 'its seeds are not distinct'),
        (row.published is not None and not row.published.source, 'published has no source'),
        (not set(row.earlier) <= set(row.values), 'earlier has other values than the row'),
    ]
    for is_wrong, message in wrong:
        if is_wrong:
            raise UserError(f'{where}: {message}')
    for path in row.values.values():
        value_paths.parsed(path)
