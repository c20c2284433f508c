"""The page of a sweep: its settings and members in tables, its figure, and curves of members."""

import pathlib
from collections.abc import Sequence
from typing import Any

from atelier.evaluation.pages.about_sections import (
    config_section,
    data_section,
    provenance_section,
)
from atelier.evaluation.pages.curve_sections import charts_of_runs, curve_section
from atelier.evaluation.pages.known import Known, command_line
from atelier.evaluation.pages.overview import cards
from atelier.evaluation.pages.picture_section import newest_of_each
from atelier.log import counted
from atelier.report.metrics_log import plus_minus
from atelier.report.page import page
from atelier.report.page.charts import Chart
from atelier.report.page.html import Html, command, element, facts, folded, joined, note, table
from atelier.report.page.page import Limits, Page, Section
from atelier.report.page.pictures import Pictures
from atelier.run.config_facts import UNKNOWN_FLAGS, config_flags
from atelier.run.run_folder import PAGE
from atelier.sweep.known import KnownSweep, Results, known_sweep, setting_of
from atelier.sweep.table import Row, table_of

MAX_COLUMNS = 40  # of the table of members


def write_page_of_sweep(name: str) -> tuple[pathlib.Path, int]:
    """Writes the page of a sweep into its folder; returns its path and its bytes.

    Raises:
      UserError: the folder is not a sweep, a file of it is damaged, or the page cannot be written.
    """
    sweep = known_sweep(name)
    path = sweep.folder / PAGE
    return path, page.write(path, lambda limits, pictures: _page(sweep, limits, pictures))


def _page(sweep: KnownSweep, limits: Limits, pictures: Pictures) -> Page:
    curves, charts = _curves(sweep, limits)
    first = next(iter(sweep.members.values()), None)
    sections = [
        _overview(sweep),
        _results(sweep, limits, pictures),
        *curves,
        *newest_of_each(_one_of_each_setting(sweep), pictures),
        *(data_section(first.data, limits) if first else []),
        config_section(sweep.config, sweep.file, limits),
        *([_provenance(first, limits)] if first else []),
    ]
    lead = sweep.file.headline or f'A sweep of {sweep.file.file}'
    return Page(sweep.folder.resolve().name, lead, sections, charts)


def _provenance(member: Known, limits: Limits) -> Section:
    text = f'Of the member {member.folder.name}; the others differ in their settings.'
    section = provenance_section(member, limits)
    return section._replace(body=joined([note(text), section.body]))


def _overview(sweep: KnownSweep) -> Section:
    record, flags = sweep.record, config_flags(sweep.config, sweep.file)
    more = [f'--sweep={axis}' for axis in record['axes']]
    more += [f'--sweep_random={record["num_random"]}'] if record['num_random'] else []
    more += [f'--init_from={record["init_from"]}'] if record['init_from'] else []
    typed = command_line('--mode=sweep', *flags, *more, f'--workdir={sweep.name}')
    problem = note(UNKNOWN_FLAGS, sweep.file.problem) if sweep.file.problem else None
    rows = [
        ('config', element('code', sweep.file.file)),
        ('axes', joined(_separated(record['axes']))),
        ('members', _counts(sweep.results.rows) or 'none has finished'),
        ('command', joined([command(typed), problem])),
    ]
    return Section('overview', 'Overview', joined([cards(_numbers(sweep.results)), facts(rows)]))


def _separated(axes: Sequence[str]) -> list[str]:
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


def _results(sweep: KnownSweep, limits: Limits, pictures: Pictures) -> Section:
    results = sweep.results
    if not results.rows:
        text = f'There is no sweep.csv: --mode=sweep --workdir={sweep.name} writes it.'
        return Section('results', 'Results', note(text))
    parts = [
        *_of_settings(results, limits),
        *_figures(sweep.folder, pictures),
        folded('All members', _of_members(results.rows, limits)),
    ]
    return Section('results', 'Results', joined(parts))


def _figures(folder: pathlib.Path, pictures: Pictures) -> list[Html | None]:
    """Returns the figures in the sweep's own folder, that of its axes first; links are not read."""
    paths = [path for path in folder.glob('*.png') if path.is_file() and not path.is_symlink()]
    ordered = sorted(paths, key=lambda path: (path.name != 'sweep.png', path.name))
    return [pictures.figure(path, path.stem[:100], path.name) for path in ordered]


def _of_members(rows: Sequence[Row], limits: Limits) -> Html:
    names = [*dict.fromkeys(name for row in rows for name in row)]
    shown, more = names[:MAX_COLUMNS], len(names) - MAX_COLUMNS
    cells = [[_cell(row.get(name)) for name in shown] for row in rows]
    made = table(shown, cells, limits.rows, 'member')
    return joined([made, note(f'{more:,} more columns in sweep.csv')]) if more > 0 else made


def _of_settings(results: Results, limits: Limits) -> list[Html]:
    if results.metric is None:
        return [note('Nothing was validated.')]
    header, *rows = table_of(results.summaries, results.fields, results.metric)
    rows = [[cell.replace('+-', '±') for cell in row] for row in rows]
    about = 'Means over the finished seeds of each setting, best first; ± is the standard deviation'
    about += ' over the seeds. A member counts with its best validation, or else its last.'
    return [note(about), table(header, rows, limits.rows, 'setting')]


def _cell(value: Any) -> str:
    return plus_minus(value) if isinstance(value, float) else '-' if value is None else str(value)


def _one_of_each_setting(sweep: KnownSweep) -> dict[str, Known]:
    """Returns the first member of each setting, best setting first; all without sweep.csv."""
    firsts: dict[tuple, str] = {}
    for row in sweep.results.rows:
        if row['member'] in sweep.members:
            firsts.setdefault(setting_of(row, sweep.results), row['member'])
    return {name: sweep.members[name] for name in firsts.values()} or sweep.members


def _curves(sweep: KnownSweep, limits: Limits) -> tuple[list[Section], list[Chart]]:
    """Returns the section of curves, in which members of one setting have one colour."""
    rows, members = sweep.results.rows, sweep.members
    logs = {name: member.log for name, member in members.items()}
    more = sum(log.num_curves - len(log.curves) for log in logs.values())
    left_out = len({row['member'] for row in rows} - {*members})
    text = f'Members of the best settings; {counted(left_out, "more member")} left out.'
    settings = {row['member']: setting_of(row, sweep.results) for row in rows}
    places = {setting: i for i, setting in enumerate(dict.fromkeys(settings.values()))}
    colours = {name: places[settings[name]] for name in members if name in settings}
    charts = charts_of_runs(logs, limits.lines, colours if {*colours} == {*members} else None)
    return curve_section(charts, limits, more, [note(text)] if left_out else [])
