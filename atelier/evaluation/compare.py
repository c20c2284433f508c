"""`--mode=compare`: compares runs in a table, and draws their validation metrics and samples."""

import pathlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from atelier import leftovers
from atelier.errors import UserError, shortened_text, writing
from atelier.evaluation import evaluation_file
from atelier.evaluation.curves import Curves, plot_curves, read_curves, without_common
from atelier.evaluation.evaluate import summary
from atelier.evaluation.latents.report import headlines
from atelier.evaluation.per_example.values_file import read_values
from atelier.evaluation.samples.report import NOT_MEASURED, texts_of
from atelier.evaluation.samples.side_by_side import Runs, save_samples
from atelier.log import counted, log
from atelier.paths import user_path
from atelier.report.metrics_log import aligned, plus_minus
from atelier.run import config_values, run_folder

MAX_ROWS = 100  # of metrics, of sample metrics and of config fields in the table


class Column(NamedTuple):
    """One run's column of the table, and its curves."""

    name: str
    folder: pathlib.Path
    record: dict[str, Any]  # content of config.json
    config: dict[str, Any]  # keys are dotted names
    evaluation: dict[str, Any]  # content of evaluation.json; empty if there is no such file
    curves: Curves
    examples: dict[str, np.ndarray]  # per-example test values, by metric


def compare(folders: Sequence[str], target: pathlib.Path) -> dict[str, dict[str, float | None]]:
    """Logs a table of the runs; draws their validation curves and samples in the folder `target`.

    Values come from each run's evaluation.json. For runs evaluated on the same test examples, a row
    below each metric gives the mean per-example difference from the first run and its standard
    error. Such paired differences can distinguish models whose means alone cannot be distinguished.

    Returns:
      {metric: {run: mean on its test split, or None}}.

    Raises:
      UserError: there are fewer than two runs, a folder is not a run, or a run is listed twice.
    """
    check_several(folders, 'compare')
    columns = [column_of(folder) for folder in folders]
    names = _names(columns, lambda evaluation: evaluation)
    table = [['', *(column.name for column in columns)]]
    table += [*metric_rows(columns), *config_differences(columns)]
    for line in aligned([[shortened_text(cell) for cell in row] for row in table]):
        log.info('%s', line)
    for warning in incomparable(columns):
        log.warning('%s', warning)
    leftovers.remove_files(target)
    if any(column.curves.names for column in columns):
        with writing(target):
            target.mkdir(parents=True, exist_ok=True)
        path = target / 'compare.png'
        plot_curves({column.name: column.curves for column in columns}, path)
        log.info('figure: %s', path)
    save_samples(samples_of(columns), target)
    return {name: {column.name: _mean(column, name) for column in columns} for name in names}


def samples_of(columns: list[Column]) -> Runs:
    """Returns where the samples of the runs lie, by the names of the runs in figures."""
    names = without_common(column.name for column in columns)
    return {
        name: (column.folder, column.record) for name, column in zip(names, columns, strict=True)
    }


def check_several(folders: Sequence[str], mode: str) -> None:
    """Checks the runs of --runs.

    Raises:
      UserError: there are fewer than two, or one is listed twice.
    """
    if len(folders) < 2:
        raise UserError(f'--mode={mode} needs --runs=RUN,RUN,... with at least two runs')
    if len({user_path(folder).resolve() for folder in folders}) < len(folders):
        raise UserError(f'--runs={",".join(folders)}: a run is listed twice')


def metric_rows(columns: list[Column]) -> list[list[str]]:
    """Returns the rows of the table that are about an evaluation: name, and a cell for each run."""
    rows = []
    for name in _first(_names(columns, lambda evaluation: evaluation), 'metric'):
        rows += [[name, *(_cell(column, name) for column in columns)]]
        rows += _paired_differences(columns, name)
    rows += [
        [f'samples: {name}', *(_sample_cell(column, name) for column in columns)]
        for name in _first(_sample_names(columns), 'metric')
    ]
    rows += _latent_rows(columns)
    rows += [['weights', *(column.evaluation.get('weights', '-') for column in columns)]]
    augmented = [column.evaluation.get('augmentation') or '-' for column in columns]
    return [*rows, *([['trained with augmentation', *augmented]] if {*augmented} != {'-'} else [])]


def column_of(folder: str) -> Column:
    """Reads the folder of a run.

    Raises:
      UserError: it is not a run, or a file of it is damaged.
    """
    path = user_path(folder)
    record = run_folder.load(path)
    evaluation = evaluation_file.read_evaluation(path / evaluation_file.NAME, record['id'])
    if not evaluation:
        log.warning('%s has no evaluation: --mode=evaluate --workdir=%s makes one', folder, folder)
    means = {name: value.get('mean') for name, value in evaluation.get('values', {}).items()}
    begins = {name: record[name] for name in ('init_from', 'refit')}
    config = {**config_values.flatten(record['values']), **begins}
    values = read_values(path, means, evaluation.get('values_checksum'))
    name = folder.rstrip('/')
    return Column(name, path, record, config, evaluation, read_curves(path), values)


def _samples(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Returns the part of an evaluation that is about samples; empty if it has none."""
    return evaluation.get('samples') or {}


def _names(columns: list[Column], part: Callable) -> dict[str, None]:
    return dict.fromkeys(n for column in columns for n in part(column.evaluation).get('values', {}))


def _sample_names(columns: list[Column]) -> list[str]:
    """Returns the metrics of samples; a standard error is shown in the cell of its metric."""
    return [name for name in _names(columns, _samples) if not name.endswith('_standard_error')]


def _first(names: Iterable[str], noun: str) -> list[str]:
    """Returns the first `MAX_ROWS` names; logs how many others are left out."""
    names = list(names)
    if len(names) > MAX_ROWS:
        log.warning('table: %s left out', counted(len(names) - MAX_ROWS, f'more {noun}'))
    return names[:MAX_ROWS]


def _latent_rows(columns: list[Column]) -> list[list[str]]:
    """Returns a row for each latent-space metric that any run has."""
    headline_values = [headlines(column.evaluation.get('latents') or {}) for column in columns]
    names = dict.fromkeys(name for values in headline_values for name in values)
    return [
        [f'latents: {name}', *(plus_minus(values.get(name)) for values in headline_values)]
        for name in names
    ]


def _sample_cell(column: Column, name: str) -> str:
    texts = texts_of(_samples(column.evaluation).get('values', {}))
    value, floor, *_ = texts.get(name, ('-', '-'))
    return value if value in ('-', NOT_MEASURED) else f'{value} (real {floor})'


def _mean(column: Column, name: str) -> float | None:
    return column.evaluation.get('values', {}).get(name, {}).get('mean')


def _cell(column: Column, name: str) -> str:
    value = column.evaluation.get('values', {}).get(name, {})
    return plus_minus(value.get('mean'), value.get('standard_error'))


def _paired_differences(columns: list[Column], name: str) -> list[list[str]]:
    """Returns a row of mean differences from the first run. There is no row if no other run was
    evaluated on the same examples.
    """
    first = columns[0]

    def cell(column: Column) -> str:
        values, baseline = column.examples.get(name), first.examples.get(name)
        if values is None or baseline is None or len(values) != len(baseline):
            return '-'
        if _data_identity(column.evaluation) != _data_identity(first.evaluation):
            return '-'
        difference = summary(values - baseline)
        return plus_minus(difference['mean'], difference['standard_error'], '+')

    cells = [cell(column) for column in columns[1:]]
    return [['  minus that of the first', '', *cells]] if {*cells} != {'-'} else []


def config_differences(columns: list[Column]) -> list[list[str]]:
    """Returns a row for each config field that differs between runs."""
    fields = sorted({name for column in columns for name in column.config})
    rows = {name: [str(column.config.get(name, '-')) for column in columns] for name in fields}
    different = [name for name, values in rows.items() if len(set(values)) > 1]
    return [[name, *rows[name]] for name in _first(different, 'setting')]


def incomparable(columns: list[Column]) -> Iterator[str]:
    """Yields why values are not comparable: because the data or the kinds of values differ."""
    evaluated = [column.evaluation for column in columns if column.evaluation]
    compared = [samples for samples in map(_samples, evaluated) if samples]
    for description, values in (
        ('features of samples', {str(samples.get('features')) for samples in compared}),
        ('numbers of samples', {str(samples.get('num_samples')) for samples in compared}),
        ('data', {_data_identity(e) for e in evaluated}),
        ('kinds of log_prob', {_log_prob_kind(e) for e in evaluated}),
    ):
        if len(values) > 1:
            listed = '; '.join(map(shortened_text, sorted(values)))
            yield f'not comparable: the {description} differ ({listed})'


def _data_identity(evaluation: dict[str, Any]) -> str:
    """Returns the fingerprint of the evaluated data or, if it was not stored, their description."""
    data = evaluation.get('data', {})
    return str(data.get('examined', data.get('description')))


def _log_prob_kind(evaluation: dict[str, Any]) -> str:
    """Returns the description of the likelihood; earlier versions wrote '1 probes' in it."""
    return re.sub(r'\b1 (time|step|probe|character)s\b', r'1 \1', str(evaluation.get('log_prob')))
