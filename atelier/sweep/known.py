"""What is known of a sweep: reads its folder, which may be a stranger's."""

import csv
import io
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from atelier import files
from atelier.errors import UserError, shortened
from atelier.evaluation.pages.known import Known, known
from atelier.paths import user_path
from atelier.run.config_facts import ConfigFacts, config_facts
from atelier.run.config_values import flatten
from atelier.sweep import folder as sweep_folder
from atelier.sweep.axes import MAX_SETTINGS
from atelier.sweep.table import Metric, Row, by_setting, metric_of
from atelier.training.validation import BEST_MODES

MAX_COLUMNS = 1_000
MAX_MEMBERS = 24  # whose curves and pictures are shown
OF_MEMBERS = ('member', 'status', 'step')  # columns that are no metrics


class Results(NamedTuple):
    """What sweep.csv says.

    rows: of all members, best setting first.
    fields: that the axes set.
    metric: by which settings are sorted, if something was validated.
    summaries: of the settings, best first.
    """

    rows: list[Row]
    fields: list[str]
    metric: Metric | None
    summaries: list[Row]


class KnownSweep(NamedTuple):
    """What is known of a sweep.

    name: the folder as it was typed.
    record: the content of sweep.json.
    config: the values that its members share, by dotted name.
    file: what its config file says.
    results: what sweep.csv says.
    members: what is known of the first members, by name; those of the best settings first.
    """

    name: str
    folder: pathlib.Path
    record: dict[str, Any]
    config: dict[str, Any]
    file: ConfigFacts
    results: Results
    members: dict[str, Known]


def known_sweep(name: str) -> KnownSweep:
    """Reads the folder of a sweep.

    Raises:
      UserError: it is not a sweep, or a file of it is damaged.
    """
    folder = user_path(name)
    record = sweep_folder.load(folder)
    results = read_results(folder, record)
    return KnownSweep(
        name.rstrip('/'),
        folder,
        record,
        flatten(record['values']),
        config_facts(record, folder),
        results,
        _members(folder, results),
    )


def read_results(folder: pathlib.Path, record: Mapping[str, Any]) -> Results:
    """Reads sweep.csv, which an unfinished sweep lacks.

    Raises:
      UserError: the file is damaged.
    """
    path = folder / 'sweep.csv'
    fields = [axis.partition('=')[0] for axis in record['axes']]
    try:
        with files.open_regular(path) as file:
            raw = file.read(files.MAX_BYTES + 1)
    except OSError:
        return Results([], fields, None, [])
    rows = _parsed(path, raw, fields)
    metric = _metric(path, record['values']['train'], rows, fields)
    if metric is None:
        return Results(rows, fields, None, [])
    summaries = by_setting(rows, fields, metric)
    results = Results(rows, fields, metric, summaries)
    order = {setting_of(each, results): i for i, each in enumerate(summaries)}
    return results._replace(rows=sorted(rows, key=lambda row: order[setting_of(row, results)]))


def _metric(
    path: pathlib.Path, train: Mapping[str, Any], rows: Sequence[Row], fields: Sequence[str]
) -> Metric | None:
    """Returns the metric by which settings are sorted.

    Raises:
      UserError: the sweep's config names one that there cannot be.
    """
    whole = {'best_metric': '', 'best_mode': 'max', **train}
    if whole['best_mode'] not in BEST_MODES or whole['best_metric'] in (*OF_MEMBERS, *fields):
        named = {name: whole[name] for name in ('best_metric', 'best_mode')}
        raise UserError(f'{path.with_name(sweep_folder.NAME)} is damaged: {shortened(named)}')
    return metric_of(ConfigDict(whole), rows, fields)


def _parsed(path: pathlib.Path, raw: bytes, fields: Sequence[str]) -> list[Row]:
    try:
        if len(raw) > files.MAX_BYTES:
            raise ValueError(f'it is larger than {files.MAX_BYTES:,} bytes')
        reader = csv.DictReader(io.StringIO(raw.decode()), strict=True)
        names = reader.fieldnames or []
        missing = {*OF_MEMBERS, *fields} - {*names}
        if missing or len(names) > MAX_COLUMNS:
            raise ValueError(f'it has no column {min(missing)}' if missing else 'many columns')
        rows = [_row(row, fields) for row in reader]
        if len(rows) > MAX_SETTINGS:
            raise ValueError(f'it has more than {MAX_SETTINGS:,} rows')
    except (ValueError, csv.Error) as error:
        raise UserError(
            f'{path} is damaged ({error}): --mode=sweep --workdir={path.parent} writes it again'
        ) from error
    return rows


def _row(row: Mapping[str | None, Any], fields: Sequence[str]) -> Row:
    """Returns a row whose metrics are numbers, or None where there is none."""
    if None in row or None in row.values():
        raise ValueError('its rows have different lengths')
    texts = {*OF_MEMBERS, *fields}
    return {name: text if name in texts else _number(text) for name, text in row.items()}


def _number(text: str) -> float | None:
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else None


def _members(folder: pathlib.Path, results: Results) -> dict[str, Known]:
    """Returns what is known of the first members, those of the best settings first."""
    names = [row['member'] for row in results.rows]
    found = sorted(path.parent.name for path in folder.glob('*/config.json'))
    ordered = [name for name in names if name in {*found}] or found
    return {name: known(folder / name) for name in dict.fromkeys(ordered[:MAX_MEMBERS])}


def setting_of(row: Row, results: Results) -> tuple:
    """Returns the values that the axes give a row, without its seed."""
    return tuple(row[field] for field in results.fields if field != 'seed')
