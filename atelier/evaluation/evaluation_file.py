"""`evaluation.json`: reading the stored evaluation of a run, which may be untrusted.

It is that of the run's own settings. An evaluation with others is a file whose name carries them.
"""

import pathlib
from typing import Any

from atelier import files
from atelier.data.augmentation_settings import SeenAugmented, described
from atelier.errors import UserError, shortened, shortened_text
from atelier.evaluation.latents.report import MAIN_VALUES, SINGLE_VALUES
from atelier.evaluation.samples.report import COLUMNS
from atelier.log import counted, log
from atelier.report.metrics_log import MAX_NAME, is_number
from atelier.run.experiment import Run
from atelier.run.result_names import settings_suffix

NAME = 'evaluation.json'


def path_of(run: Run) -> pathlib.Path:
    """Returns the path of an evaluation with the settings of `run.config.eval`."""
    return run.folder / f'evaluation{settings_suffix(run)}.json'


def read_evaluation(path: pathlib.Path, run_id: str | None = None) -> dict[str, Any]:
    """Returns the evaluation in the file `path`; empty if it is unreadable or not JSON.

    `run_id` is the id of the run. None: the run of an earlier version has no id, and that of the
    evaluation is not compared; nor is an evaluation refused that has none.

    Raises:
      UserError: the file was changed after it was written, a value has the wrong type, the name of
        a metric is too long, or the evaluation belongs to another run.
    """
    try:
        evaluation = files.read_json(path)
        wrong = _wrong_field(evaluation)
        if wrong:
            field = shortened_text(wrong)
            raise UserError(f'{path} is damaged: {field} has a value of another type')
        long_name = _too_long_name(evaluation)
        if long_name:
            raise UserError(
                f'{path} is damaged: the name of the metric {shortened(long_name)} has '
                f'{counted(len(long_name), "character")}, at most {MAX_NAME} are allowed'
            )
        if run_id and evaluation.get('run') not in (None, run_id):
            other = shortened(evaluation['run'])
            raise UserError(f'{path} belongs to another run, of id {other}')
        return evaluation
    except (OSError, ValueError):
        return {}
    except UserError as error:
        raise UserError(
            f'{error}; --mode=evaluate --workdir={path.parent} writes it again'
        ) from error


def previous_evaluation(path: pathlib.Path, run_id: str | None = None) -> dict[str, Any]:
    """Returns the stored evaluation; empty if it must be repeated: if it is unreadable,
    damaged or that of another run.
    """
    try:
        return read_evaluation(path, run_id)
    except UserError as error:
        log.warning('%s', error)
        return {}


def augmentation_record(run: Run) -> dict[str, str]:
    """Returns the field of an evaluation that says how training examples were augmented, if so, or
    what a player saw of them.

    Of augmented examples, the likelihood is that of a model of these, for examples as they are.
    """
    augmented = run.family.ability(SeenAugmented)
    of_examples = described(run.config.data.get('augment'), run.data.spec)
    text = '; '.join(filter(None, [of_examples, augmented and augmented.description]))
    return {'augmentation': text} if text else {}


def augmentation_text(evaluation: dict[str, Any]) -> str:
    """Returns 'trained with augmentation: ...', or '' if the run was trained without."""
    text = evaluation.get('augmentation')
    return f'trained with augmentation: {shortened_text(text)}' if text else ''


def _wrong_field(evaluation: dict[str, Any]) -> str:
    """Returns the first field whose value has the wrong type, or ''."""
    if not isinstance(evaluation.get('weights', ''), str):
        return 'weights'
    for name in ('run', 'augmentation'):
        if not isinstance(evaluation.get(name), str | None):
            return name
    for group in ('values', 'samples', 'latents', 'data'):
        if not isinstance(evaluation.get(group, {}), dict | None):
            return group
    values, samples = evaluation.get('values') or {}, evaluation.get('samples') or {}
    latents = evaluation.get('latents') or {}
    single = {name: latents[name] for name in SINGLE_VALUES if name in latents}
    parts = {name: latents[name] for name in MAIN_VALUES if name in latents}
    return (
        _wrong_part('values', values, 'mean', 'standard_error')
        or _wrong_part('samples.values', samples.get('values', {}), *COLUMNS)
        or next((f'latents.{name}' for name in single if not is_number(single[name])), '')
        or next((_wrong_part('latents', {n: parts[n]}, MAIN_VALUES[n]) for n in parts), '')
    )


def _too_long_name(evaluation: dict[str, Any]) -> str:
    """Returns the first name of a metric that is too long to be shown, or ''."""
    samples = evaluation.get('samples') or {}
    names = (*(evaluation.get('values') or {}), *samples.get('values', {}))
    return next((name for name in names if len(name) > MAX_NAME), '')


def _wrong_part(group: str, parts: Any, *names: str) -> str:
    """Returns the name of the first of `parts` that is not a dict or has a value of `names` that is
    neither a number nor None; '' if there is none.
    """
    if not isinstance(parts, dict):
        return group
    for part, numbers in parts.items():
        if not isinstance(numbers, dict) or not all(is_number(numbers.get(n)) for n in names):
            return f'{group}.{part}'
    return ''
