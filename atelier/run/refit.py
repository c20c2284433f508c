"""A refit: a run on train + validation, for the number of steps that another run chose.

The other run, the *choosing run*, was validated and kept its best checkpoint. The refit repeats it
with its config, its seed and its schedules, on train + validation (`config.data.train_on_valid`),
and ends at the step of that checkpoint (Goodfellow, Bengio and Courville 2016, section 7.8,
algorithm 7.2). It has no validation of its own.
"""

import math
import pathlib
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from atelier.data.train_and_valid import has_valid
from atelier.errors import UserError, shortened
from atelier.log import counted, log
from atelier.run.stored_values import MAX_TEXT, damaged


class Choice(NamedTuple):
    """What a refit takes from its choosing run, and what it says of it.

    run: absolute path of the folder of the choosing run.
    id: of the choosing run; None if an earlier version trained it.
    steps: of the best validation, which are those of the refit.
    metric: `train.best_metric`, without 'valid/'.
    value: of that metric, at the best validation.
    """

    run: str
    id: str | None
    steps: int
    metric: str
    value: float

    def __str__(self) -> str:
        """One line for logs, tables and pages."""
        return (
            f'refit on train + validation, for the {_steps(self)} that {self.run} chose '
            f'(best valid/{self.metric} {self.value:.6g})'
        )


def _steps(choice: Choice) -> str:
    return counted(choice.steps, 'step')


def recorded(choice: Choice | None) -> dict[str, Any] | None:
    """Returns the field `refit` of config.json and evaluation.json."""
    return None if choice is None else choice._asdict()


def read(path: pathlib.Path, stored: Any) -> Choice | None:
    """Returns the Choice that a file holds, which may be untrusted; None if the run is no refit.

    Raises:
      UserError: it has other fields or types than the program writes.
    """
    if stored is None:
        return None
    is_whole = isinstance(stored, dict) and {*stored} == {*Choice._fields}
    if not is_whole or not all(_CHECKS[name](value) for name, value in stored.items()):
        raise damaged(path, f'refit is {shortened(stored)}')
    return Choice(**stored)


def _is_text(value: Any) -> bool:
    is_short = isinstance(value, str) and len(value) <= MAX_TEXT
    return is_short and value.isprintable()


_CHECKS = {
    'run': _is_text,
    'id': lambda value: value is None or _is_text(value),
    'steps': lambda value: type(value) is int and 0 < value < 2**31,
    'metric': _is_text,
    'value': lambda value: type(value) in (int, float) and math.isfinite(value),
}


def warn_if_trained(config: ConfigDict, folder: pathlib.Path, split: str) -> None:
    """Logs a warning if the examples of this split are validation examples that training had."""
    if split == 'valid' and has_valid(config.data):
        log.warning(
            '%s was trained on its validation examples: what is measured on them is no estimate '
            'for new ones',
            folder,
        )


def check_same_choice(folder: pathlib.Path, then: Choice | None, now: Choice | None) -> None:
    """Refuses to continue the run in `folder`, begun with the choice `then`, with another one.

    The choice stays the same if the folders were moved: the id of the choosing run is as before.

    Raises:
      UserError: the choices differ.
    """
    if then == now or (then and now and then.id and then._replace(run=now.run) == now):
        return
    if then is None:
        raise UserError(f'{folder} is the folder of a run that is no refit: move it away')
    if now is None:
        raise UserError(
            f'{folder} is a refit of {then.run}: continue it with --workdir={folder}, or choose '
            'another --workdir'
        )
    raise UserError(
        f'{folder} is a refit for the {_steps(then)} that {then.run} had chosen, and '
        f'{now.run} chooses {now.steps:,} now: move that folder away'
    )
