"""The page of a sweep: its settings and members in tables, its figure, and curves of members."""

import csv
import io
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from atelier import files
from atelier.errors import UserError
from atelier.evaluation.pages.about_sections import (
    config_section,
    data_section,
    provenance_section,
)
from atelier.evaluation.pages.curve_sections import charts_of_runs, curve_section
from atelier.evaluation.pages.known import Known, command_line, known
from atelier.evaluation.pages.overview import cards
from atelier.evaluation.pages.picture_section import newest_of_each
from atelier.log import counted
from atelier.paths import user_path
from atelier.report.metrics_log import plus_minus
from atelier.report.page import page
from atelier.report.page.html import command, element, facts, folded, joined, note, table
from atelier.report.page.page import Limits, Page, Section
from atelier.report.page.pictures import Pictures
from atelier.run.config_facts import ConfigFacts, config_facts, config_flags
from atelier.run.config_values import flatten
from atelier.run.run_folder import PAGE
from atelier.sweep import folder as sweep_folder
from atelier.sweep.axes import MAX_SETTINGS
from atelier.sweep.table import Metric, Row, by_setting, metric_of, table_of

MAX_COLUMNS = 1_000
MAX_MEMBERS = 24  # whose curves and pictures are shown


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


def write_page_of_sweep(name: str) -> tuple[pathlib.Path, int]:
    """Writes the page of a sweep into its folder; returns its path and its bytes.

    Raises:
      UserError: the folder is not a sweep, a file of it is damaged, or the page cannot be written.
    """
    folder = user_path(name)
    record = sweep_folder.load(folder)
    results = read_results(folder, record)
    members = _members(folder, results)
    facts_of = config_facts(record, folder)
    compose = lambda limits, pictures: _page(
        name.rstrip('/'), folder, record, facts_of, results, members, limits, pictures
    )
    path = folder / PAGE
    return path, page.write(path, compose)


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
    metric = metric_of(ConfigDict(record['values']['train']), rows, fields)
    if metric is None:
        return Results(rows, fields, None, [])
    summaries = by_setting(rows, fields, metric)
    results = Results(rows, fields, metric, summaries)
    order = {_setting(each, results): i for i, each in enumerate(summaries)}
    return results._replace(rows=sorted(rows, key=lambda row: order[_setting(row, results)]))


def _parsed(path: pathlib.Path, raw: bytes, fields: Sequence[str]) -> list[Row]:
    try:
        if len(raw) > files.MAX_BYTES:
            raise ValueError(f'it is larger than {files.MAX_BYTES:,} bytes')
        reader = csv.DictReader(io.StringIO(raw.decode()), strict=True)
        names = reader.fieldnames or []
        missing = {'member', 'status', 'step', *fields} - {*names}
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
    texts = {'member', 'status', 'step', *fields}
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


def _page(
    name: str,
    folder: pathlib.Path,
    record: Mapping[str, Any],
    facts_of: ConfigFacts,
    results: Results,
    members: Mapping[str, Known],
    limits: Limits,
    pictures: Pictures,
) -> Page:
    curves, charts = _curves(results, members, limits)
    first = next(iter(members.values()), None)
    config = flatten(record['values'])
    of_first = [provenance_section(first, limits)] if first else []
    sections = [
        _overview(name, record, facts_of, config, results),
        _results(folder, results, limits, pictures),
        *curves,
        *newest_of_each(_one_of_each_setting(results, members), pictures),
        *(data_section(first.data, limits) if first else []),
        config_section(config, facts_of, limits),
        *(each._replace(body=joined([_of_first(first), each.body])) for each in of_first),
    ]
    lead = facts_of.headline or f'A sweep of {facts_of.file}'
    return Page(folder.resolve().name, lead, sections, charts)


def _of_first(member: Known):
    return note(f'Of the member {member.folder.name}; the others differ in their settings.')


def _overview(name, record, facts_of: ConfigFacts, config, results: Results) -> Section:
    flags = config_flags(config, facts_of)
    more = [f'--sweep={axis}' for axis in record['axes']]
    more += [f'--sweep_random={record["num_random"]}'] if record['num_random'] else []
    more += [f'--init_from={record["init_from"]}'] if record['init_from'] else []
    typed = command_line('--mode=sweep', *flags, *more, f'--workdir={name}')
    rows = [
        ('config', element('code', facts_of.file)),
        ('axes', joined(_separated(record['axes']))),
        ('members', _counts(results.rows) or 'none has finished'),
        ('command', command(typed)),
    ]
    return Section('overview', 'Overview', joined([cards(_numbers(results)), facts(rows)]))


def _separated(axes: Sequence[str]) -> list:
    codes = [element('code', axis) for axis in axes]
    return [part for code in codes for part in (', ', code)][1:]


def _counts(rows: Sequence[Row]) -> str:
    statuses = [row['status'] for row in rows]
    kinds = [kind for kind in ('finished', 'unfinished', 'failed') if kind in statuses]
    return ', '.join(f'{statuses.count(kind):,} {kind}' for kind in kinds)


def _numbers(results: Results) -> list[tuple[str, str]]:
    numbers = [(f'{len(results.rows):,}', 'members'), (f'{len(results.summaries):,}', 'settings')]
    if not results.summaries or results.summaries[0]['mean'] is None:
        return numbers
    best = results.summaries[0]
    setting = ', '.join(f'{f} = {best[f]}' for f in results.fields if f != 'seed')
    value = plus_minus(best['mean'], best['std']).replace('+-', '±')
    label = f'best {results.metric.name}, validation' + (f', at {setting}' if setting else '')
    return [(value, label), *numbers]


def _results(folder: pathlib.Path, results: Results, limits: Limits, pictures: Pictures) -> Section:
    if not results.rows:
        text = f'There is no sweep.csv: --mode=sweep --workdir={folder} writes it.'
        return Section('results', 'Results', note(text))
    names = dict.fromkeys(name for row in results.rows for name in row)
    cells = [[_cell(row.get(name)) for name in names] for row in results.rows]
    figure = folder / 'sweep.png'
    parts = [
        *_of_settings(results, limits),
        pictures.figure(figure, 'sweep', 'sweep.png') if figure.is_file() else None,
        folded('All members', table([*names], cells, limits.rows, 'member')),
    ]
    return Section('results', 'Results', joined(parts))


def _of_settings(results: Results, limits: Limits) -> list:
    if results.metric is None:
        return [note('Nothing was validated.')]
    header, *rows = table_of(results.summaries, results.fields, results.metric)
    rows = [[cell.replace('+-', '±') for cell in row] for row in rows]
    about = 'Means over the finished seeds of each setting, best first; ± is the standard deviation'
    about += ' over the seeds. A member counts with its best validation, or else its last.'
    return [note(about), table(header, rows, limits.rows, 'setting')]


def _cell(value: Any) -> str:
    return plus_minus(value) if isinstance(value, float) else '-' if value is None else str(value)


def _setting(row: Row, results: Results) -> tuple:
    return tuple(row[field] for field in results.fields if field != 'seed')


def _one_of_each_setting(results: Results, members: Mapping[str, Known]) -> dict[str, Known]:
    """Returns the first member of each setting, best setting first; all without sweep.csv."""
    firsts = {}
    for row in results.rows:
        if row['member'] in members:
            firsts.setdefault(_setting(row, results), row['member'])
    return {name: members[name] for name in firsts.values()} or dict(members)


def _curves(results: Results, members: Mapping[str, Known], limits: Limits):
    logs = {name: member.log for name, member in members.items()}
    more = sum(log.num_curves - len(log.curves) for log in logs.values())
    left_out = len({row['member'] for row in results.rows} - {*members})
    text = f'Members of the best settings; {counted(left_out, "more member")} left out.'
    remarks = [note(text)] if left_out else []
    settings = {row['member']: _setting(row, results) for row in results.rows}
    places = {setting: i for i, setting in enumerate(dict.fromkeys(settings.values()))}
    colours = {name: places[settings[name]] for name in members if name in settings}
    charts = charts_of_runs(logs, limits.lines, colours if {*colours} == {*members} else None)
    return curve_section(charts, limits, more, remarks)
