"""The page of several runs side by side: the table of `--mode=compare`, curves, samples."""

import pathlib
from collections.abc import Mapping, Sequence

from atelier import leftovers
from atelier.errors import UserError, writing
from atelier.evaluation import compare
from atelier.evaluation.curves import without_common
from atelier.evaluation.pages.curve_sections import charts_of_runs, curve_section
from atelier.evaluation.pages.known import Known, known
from atelier.evaluation.pages.overview import progress, training
from atelier.evaluation.pages.picture_section import newest_of_each
from atelier.evaluation.samples.side_by_side import save_samples
from atelier.log import counted
from atelier.report.page import page
from atelier.report.page.html import Html, element, folded, joined, note, table, text_of
from atelier.report.page.page import Limits, Page, Section
from atelier.report.page.pictures import Pictures
from atelier.run.run_folder import PAGE

MAX_RUNS = 24
MAX_OPEN = 15  # settings that are shown at once; a longer table is folded


def write_page_of_runs(folders: Sequence[str], target: pathlib.Path) -> tuple[pathlib.Path, int]:
    """Writes the page of several runs into the folder `target`; returns its path and its bytes.

    Raises:
      UserError: there are fewer than two runs or too many, one is listed twice or is not a run, a
        file of it is damaged, or the page cannot be written.
    """
    compare.check_several(folders, 'report')
    if len(folders) > MAX_RUNS:
        raise UserError(
            f'--runs names {counted(len(folders), "run")}: a page has at most {MAX_RUNS}'
        )
    columns = [compare.column_of(folder) for folder in folders]
    names = without_common(column.name for column in columns)
    runs = {name: known(folder) for name, folder in zip(names, folders, strict=True)}
    with writing(target):
        target.mkdir(parents=True, exist_ok=True)
    leftovers.remove_files(target)
    path, drawn = target / PAGE, save_samples(compare.samples_of(columns), target)
    of_limits = lambda limits, pictures: _page(columns, runs, drawn, limits, pictures)
    return path, page.write(path, of_limits)


def _page(
    columns: list[compare.Column],
    runs: Mapping[str, Known],
    drawn: Sequence[pathlib.Path],
    limits: Limits,
    pictures: Pictures,
) -> Page:
    logs = {name: run.log for name, run in runs.items()}
    more = sum(log.num_curves - len(log.curves) for log in logs.values())
    curves, charts = curve_section(charts_of_runs(logs, limits.lines), limits, more)
    sections = [
        _overview(runs),
        _results(columns, [*runs], limits),
        *curves,
        *newest_of_each(runs, pictures, drawn),
        _provenance(runs, limits),
    ]
    title = counted(len(runs), 'run')
    return Page(f'{title}: {", ".join(runs)}', _lead(runs), sections, charts)


def _lead(runs: Mapping[str, Known]) -> str:
    return ' '.join(dict.fromkeys(run.file.headline or run.file.file for run in runs.values()))


def _overview(runs: Mapping[str, Known]) -> Section:
    parts = []
    for name, run in runs.items():
        parts += [
            element('h3', text_of(name, 100)),
            note((run.file.headline or run.file.file).rstrip('.'), '; ', progress(run)),
            training(run),
        ]
    return Section('overview', 'Runs', joined(parts))


def _results(columns: list[compare.Column], names: list[str], limits: Limits) -> Section:
    warnings = [element('p', text, class_='warning') for text in compare.incomparable(columns)]
    without = [name for name, column in zip(names, columns, strict=True) if not column.evaluation]
    missing = note('Without an evaluation: ', ', '.join(without)) if without else None
    differences = compare.config_differences(columns)
    parts: list[Html | None] = [
        note('Means on the test split; ± is the standard error over its examples.'),
        *warnings,
        missing,
        table(
            ['', *names],
            map(_with_sign, compare.metric_rows(columns)),
            limits.rows,
            'metric',
            class_='values',
        ),
        _settings(differences, names, limits),
    ]
    return Section('results', 'Results', joined(parts))


def _settings(rows: list[list[str]], names: list[str], limits: Limits) -> Html:
    if not rows:
        return note('The settings are the same.')
    shown = table(['field', *names], rows, limits.rows, 'setting')
    title = f'{counted(len(rows), "setting")} that differ' + ('s' if len(rows) == 1 else '')
    if len(rows) > MAX_OPEN:
        return folded(title, shown)
    return joined([element('h3', title), shown])


def _with_sign(row: list[str]) -> list[str]:
    first, *cells = row
    name = element('span', first, class_='inset') if first.startswith(' ') else first
    return [name, *(cell.replace('+-', '±') for cell in cells)]


def _provenance(runs: Mapping[str, Known], limits: Limits) -> Section:
    rows = {
        'folder': lambda run: run.name,
        'commit, training': lambda run: run.record['git'],
        'devices, training': lambda run: run.record['devices'],
        'hardware, evaluation': lambda run: run.evaluation.get('hardware'),
        'products, evaluation': lambda run: run.evaluation.get('precision'),
        'jax, evaluation': lambda run: (run.evaluation.get('versions') or {}).get('jax'),
        'data, test split': lambda run: (run.record['data'] or {}).get('test'),
        'data': lambda run: run.data.get('description'),
        'seed': lambda run: run.config.get('seed'),
        'run': lambda run: run.record['id'],
    }
    cells = [[name, *(_cell(read(run)) for run in runs.values())] for name, read in rows.items()]
    body = table(['', *runs], cells, limits.rows, class_='provenance')
    return Section('provenance', 'Data, environment and provenance', body)


def _cell(value: object) -> str:
    return '-' if value is None or value == '' else str(value)
