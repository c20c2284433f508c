"""The section of curves: charts of a run or of several, and a table of their ends."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from atelier.evaluation.pages.run_log import RunLog
from atelier.log import counted
from atelier.report.metrics_log import plus_minus
from atelier.report.page.charts import Chart, Line, places
from atelier.report.page.html import Html, element, folded, joined, note, table
from atelier.report.page.page import Limits, Section

LAST = 'gradient_norm'  # these charts stand last: they say how training went, not how well
HOW_TO = 'Drag over a chart to enlarge a part of it; a double click shows all of it again.'


def base_of(name: str) -> str:
    """Returns the name of a metric without its group: loss for valid/loss."""
    return re.sub('^(valid|train)/', '', name)


def charts_of_run(log: RunLog) -> list[Chart]:
    """Returns a chart for each metric, with its curve in training and that in validation."""
    charts = []
    for name in _ordered(log.curves, log.best_metric):
        lines = []
        if f'train/{name}' in log.curves:
            points = log.curves[f'train/{name}'].points()
            is_pale = f'valid/{name}' in log.curves
            lines.append(Line('training', points, is_pale, colour=1 if is_pale else 0))
        if f'valid/{name}' in log.curves:
            lines.append(Line('validation', log.curves[f'valid/{name}'].points()))
        charts.append(Chart(name, tuple(lines)))
    return charts


def charts_of_runs(
    logs: Mapping[str, RunLog], most_lines: int, colours: Mapping[str, int] | None = None
) -> list[Chart]:
    """Returns a chart for each metric, with a curve of each run: its validation if it has one.

    Args:
      logs: by the name of the run.
      most_lines: runs that a chart shows.
      colours: index of the colour of each run; None: another one for each.
    """
    names = dict.fromkeys(name for log in logs.values() for name in log.curves)
    best = next((log.best_metric for log in logs.values() if log.best_metric), '')
    charts = []
    for name in _ordered(names, best):
        group = 'valid' if f'valid/{name}' in names else 'train'
        lines = [
            Line(run, log.curves[f'{group}/{name}'].points(), colour=colours[run] if colours else i)
            for i, (run, log) in enumerate(logs.items())
            if f'{group}/{name}' in log.curves
        ]
        title = f'{name}, {"validation" if group == "valid" else "training"}'
        if len(lines) > most_lines:
            title += f' (the first {most_lines} of {len(lines)} runs)'
        charts.append(Chart(title, tuple(lines[:most_lines])))
    return charts


def _ordered(names: Mapping | Sequence[str], best: str) -> list[str]:
    """Returns metrics without their groups: the one that chooses weights first, validated ones
    before others, and those that tell how training went last.
    """
    validated = {base_of(name) for name in names if name.startswith('valid/')}
    bases = dict.fromkeys(map(base_of, names))
    order = lambda n: (n != best, n.startswith(LAST), n not in validated, not n.startswith('loss'))
    return sorted(bases, key=order)


def curve_section(
    charts: Sequence[Chart], limits: Limits, more: int = 0, remarks: Sequence[Html] = ()
) -> tuple[list[Section], list[Chart]]:
    """Returns the section, if there is a curve, and the charts in it.

    Args:
      charts: all charts.
      limits: of the page.
      more: curves that were not read.
      remarks: that stand above the charts.
    """
    shown = [*charts[: limits.charts]]
    if not shown:
        return [], []
    left_out = len(charts) - len(shown)
    choice = element(
        'label',
        element('input', type='checkbox', id='logarithmic'),
        'logarithmic values, where all are positive',
        class_='choices',
    )
    body = joined(
        [
            *remarks,
            choice,
            element('noscript', note('The curves are drawn by a script, which is turned off.')),
            places(shown),
            note(
                HOW_TO,
                ' Of a long curve, a point is the mean of neighbouring ones.',
                is_of_screen=True,
            ),
            note(counted(left_out, 'more chart'), ' left out') if left_out else None,
            note(counted(more, 'more curve'), ' of the log left out') if more else None,
            folded('First and last values', _ends(shown, limits)),
        ]
    )
    return [Section('curves', 'Curves', body)], shown


def _ends(charts: Sequence[Chart], limits: Limits) -> Html:
    """Returns a table of the first, least, greatest and last value of each curve."""
    rows = []
    for chart in charts:
        for line in chart.lines:
            finite = line.points[np.isfinite(line.points[:, 1])]
            if not len(finite):
                rows.append([f'{chart.title}, {line.name}', '-', '-', '-', '-'])
                continue
            values = finite[:, 1]
            numbers = (values[0], values.min(), values.max(), values[-1])
            rows.append([f'{chart.title}, {line.name}', *map(plus_minus, map(float, numbers))])
    return table(['', 'first', 'least', 'greatest', 'last'], rows, limits.rows, 'curve')
