"""Results of a sweep: sweep.csv, a table on the terminal, and a figure of the axes."""

import csv
import io
import math
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from atelier import files
from atelier.log import log
from atelier.report.metrics_log import aligned, iterate_validations, plus_minus
from atelier.run.checkpoint import Memory
from atelier.run.experiment import Run
from atelier.run.run_path import check_entries
from atelier.sweep.axes import Setting
from atelier.sweep.figure import save_figure
from atelier.sweep.folder import failure_of
from atelier.training.session import finished
from atelier.training.validation import BEST_MODES, remember

MAX_ROWS = 20  # settings on the terminal; the file has all
Row = dict[str, Any]


class Metric(NamedTuple):
    """The metric by which settings are sorted."""

    name: str
    sign: float  # 1: more is better

    def better(self, value: float | None) -> float:
        """Returns a sort key: best first, missing or non-finite values last."""
        return math.inf if value is None or not math.isfinite(value) else -self.sign * value


def rows_of(runs: dict[str, Run], settings: dict[str, Setting]) -> list[Row]:
    """Returns a row per member: setting, status, validation metrics of its best or last step."""
    return [_row(name, run, settings[name]) for name, run in runs.items()]


def _row(name: str, run: Run, setting: Setting) -> Row:
    check_entries(run.folder)
    memory, last, best = Memory(), (0, {}), None
    for last in iterate_validations(run.folder):
        memory = _remembered(memory, last, run.config.train)
        best = last if memory.best_step == last[0] else best
    status = 'finished' if finished(run.config, last[0], memory) else 'unfinished'
    if failure_of(run.folder):
        status = 'failed'
    step, metrics = best or last
    return {'member': name, **setting, 'status': status, 'step': step, **metrics}


def _remembered(
    memory: Memory, validation: tuple[int, dict[str, float]], train: ConfigDict
) -> Memory:
    """Returns the Memory after a validation in the log, which may lack the metric."""
    if not train.best_metric:
        return memory
    step, metrics = validation
    value = metrics.get(train.best_metric, math.nan)
    return remember(memory, step, value, BEST_MODES[train.best_mode])


def metric_of(train: ConfigDict, rows: Sequence[Row], fields: Sequence[str]) -> Metric | None:
    """Returns the metric by which settings are sorted: `best_metric` of `config.train`.

    If it is unset: 'coverage' if there is one, else the first metric. `best_mode` gives the
    direction; for 'coverage' with `best_metric` unset, more is better.
    """
    sign = BEST_MODES[train.best_mode]
    if train.best_metric:
        return Metric(train.best_metric, sign)
    known = {'member', 'status', 'step', *fields}
    names = [name for row in rows for name in row if name not in known]
    if 'coverage' in names:  # with two players, the losses measure the quality of neither
        return Metric('coverage', 1.0)
    return Metric(names[0], sign) if names else None


def by_setting(rows: Sequence[Row], fields: Sequence[str], metric: Metric) -> list[Row]:
    """Returns mean and standard deviation over the finished seeds of each setting, best first.

    `members` counts the runs in the mean; `failed` and `unfinished` count the others.
    """
    setting_fields = [field for field in fields if field != 'seed']
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[field] for field in setting_fields), []).append(row)
    summaries = []
    for setting, members in groups.items():
        done = [member for member in members if member['status'] == 'finished']
        values = [m[metric.name] for m in done if m.get(metric.name) is not None]
        summaries.append(
            {
                **dict(zip(setting_fields, setting, strict=True)),
                'mean': float(np.mean(values)) if values else None,
                'std': float(np.std(values, ddof=1)) if len(values) > 1 else None,
                'members': len(values),
                'failed': sum(member['status'] == 'failed' for member in members),
                'unfinished': sum(member['status'] == 'unfinished' for member in members),
            }
        )
    return sorted(summaries, key=lambda summary: metric.better(summary['mean']))


def show(
    folder: pathlib.Path, rows: Sequence[Row], fields: Sequence[str], metric: Metric | None
) -> None:
    """Writes sweep.csv and sweep.png, and prints the settings, best first.

    Raises:
      UserError: a file cannot be written.
    """
    path = folder / 'sweep.csv'
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    files.write_text(path, text.getvalue())
    if metric is None:
        log.warning('%s: nothing was validated', folder)
        return
    for line in _lines(by_setting(rows, fields, metric), fields, metric):
        log.info('%s', line)
    save_figure(folder / 'sweep.png', rows, fields, metric.name)
    log.info('numbers: %s', path)
    log.info('figure: %s', folder / 'sweep.png')


def _lines(summaries: list[Row], fields: Sequence[str], metric: Metric) -> list[str]:
    table, more = table_of(summaries[:MAX_ROWS], fields, metric), len(summaries) - MAX_ROWS
    return aligned(table) + ([f'and {more} more'] if more > 0 else [])


def table_of(summaries: list[Row], fields: Sequence[str], metric: Metric) -> list[list[str]]:
    """Returns a header, and a row for each of the settings that `by_setting` returns."""
    setting_fields = [field for field in fields if field != 'seed']
    table = [[*setting_fields, f'{metric.name}, validation', 'members', '']]
    for summary in summaries:
        value = plus_minus(summary['mean'], summary['std'])
        counts = [f'{summary[name]} {name}' for name in ('failed', 'unfinished') if summary[name]]
        settings = [str(summary[field]) for field in setting_fields]
        table.append([*settings, value, str(summary['members']), ', '.join(counts)])
    return table
