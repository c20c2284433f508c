"""The curves of a run, of training and of validation, read with bounded memory."""

import math
import pathlib
from typing import NamedTuple

from atelier.evaluation.curves import Curve
from atelier.report.metrics_log import iterate_metrics

MAX_CURVES = 80  # of a run
GROUPS = ('valid/', 'train/')
PROGRESS = ('examples', 'time/seconds')  # in each line


class Best(NamedTuple):
    """The best validation so far."""

    step: int
    value: float


class RunLog(NamedTuple):
    """What metrics.jsonl says.

    curves: by metric, such as valid/loss or train/loss; of the first `MAX_CURVES`.
    num_curves: of all.
    step: of the last line; 0 without lines.
    examples: that training has read, if it is known.
    seconds: of training, if they are known.
    best: the best validation, if the config names its metric.
    best_metric: that metric, or ''.
    """

    curves: dict[str, Curve]
    num_curves: int
    step: int
    examples: int | float | None
    seconds: int | float | None
    best: Best | None
    best_metric: str


def read_log(folder: pathlib.Path, best_metric: str = '', is_less_better: bool = False) -> RunLog:
    """Reads `metrics.jsonl`, whatever its size; of a large one, not every line of training.

    Args:
      folder: of the run.
      best_metric: the metric of the best validation, without valid/; '' if there is none.
      is_less_better: whether the least value of it is the best.

    Raises:
      UserError: the file cannot be read.
    """
    curves: dict[str, Curve] = {}
    names, step, progress, best = set(), 0, {}, None
    wanted, sign = f'valid/{best_metric}', -1.0 if is_less_better else 1.0
    for row in iterate_metrics(folder, is_thinned=True):
        step = row['step']
        progress |= {k: row[k] for k in PROGRESS if math.isfinite(_number(row.get(k)))}
        for name, value in row.items():
            if not name.startswith(GROUPS):
                continue
            if name not in names:
                names.add(name)
                if len(curves) < MAX_CURVES:
                    curves[name] = Curve()
            if name in curves:
                curves[name].add(row['step'], _number(value))
        value = _number(row.get(wanted))
        if math.isfinite(value) and (best is None or sign * value > sign * best.value):
            best = Best(row['step'], value)
    examples, seconds = map(progress.get, PROGRESS)
    return RunLog(curves, len(names), step, examples, seconds, best, best_metric)


def _number(value: int | float | None) -> float:
    return math.nan if value is None else float(value)
