"""The first section of a run's page: its main numbers, what it is and its command."""

from collections.abc import Iterable
from typing import Any

from atelier.evaluation.pages.known import Known, command_line
from atelier.evaluation.pages.results import KIND_OF, plus_minus_text
from atelier.report.metrics_log import plus_minus
from atelier.report.page.html import Html, command, element, facts, joined, note, text_of
from atelier.report.page.page import Section
from atelier.run.config_facts import UNKNOWN_FLAGS, config_flags

MAX_CARDS = 6


def overview(known: Known) -> Section:
    """Returns the section."""
    rows = [
        ('config', element('code', text_of(known.file.file, 200))),
        ('data', _data_line(known.data)),
        ('training', progress(known)),
        ('weights evaluated', known.evaluation.get('weights') or None),
        ('command', training(known)),
        ('refit', known.record['refit'] and str(known.record['refit'])),
        ('begins with', known.record['init_from'] and f'weights of {known.record["init_from"]}'),
    ]
    shown = [(name, value) for name, value in rows if value]
    return Section('overview', 'Overview', joined([cards(_numbers(known)), facts(shown)]))


def cards(numbers: Iterable[tuple[Any, Any]]) -> Html | None:
    """Returns values in large letters, each above what it is; None if there are none."""
    parts = [
        element('li', element('b', *_with_small_error(value)), element('span', text_of(name, 120)))
        for value, name in numbers
    ]
    return element('ul', *parts[:MAX_CARDS], class_='cards') if parts else None


def _with_small_error(value: str) -> list[Html]:
    mean, sign, error = text_of(value, 40).partition(' ± ')
    return [Html(mean), element('small', Html(f'{sign}{error}'))] if sign else [Html(mean)]


def training(known: Known) -> Html:
    """Returns the command that trains the run, with the fields that differ from the file's."""
    if known.record['refit'] is not None:
        return command(command_line(f'--workdir={known.record["refit"].run}', '--refit'))
    flags = config_flags(known.config, known.file)
    if not flags:
        return note(known.file.problem)
    init_from = known.record['init_from']
    more = [f'--init_from={init_from}'] if init_from else []
    typed = command(command_line(*flags, *more, f'--workdir={known.name}'))
    problem = note(UNKNOWN_FLAGS, known.file.problem) if known.file.problem else None
    return joined([typed, problem])


def progress(known: Known) -> str:
    """Returns how far a run was trained: '1,500 of 1,500 steps, 144,000 examples, 17 seconds'."""
    if not known.log.step:
        return 'the log has no steps'  # the folder may have lost it
    log, steps = known.log, known.config.get('train.steps')
    total = f' of {steps:,}' if isinstance(steps, int) else ''
    parts = [f'{log.step:,}{total} steps']
    if log.examples is not None:
        parts.append(f'{log.examples:,.0f} examples')
    if log.seconds is not None:
        parts.append(duration(log.seconds))
    return ', '.join(parts)


def duration(seconds: float) -> str:
    """Returns a time as text, such as '17 s', '3 min 20 s' or '5 h 12 min'."""
    whole = round(seconds)
    if whole < 60:
        return f'{seconds:.3g} s'
    if whole < 3600:
        return f'{whole // 60} min {whole % 60} s'
    return f'{whole // 3600:,} h {whole % 3600 // 60} min'


def _numbers(known: Known) -> list[tuple[str, str]]:
    """Returns the main numbers: the likelihood, else other means, then the best validation."""
    numbers = []
    values = known.evaluation.get('values') or {}
    first = [name for name in values if KIND_OF.match(name)] or [*values][:2]
    for name in first[:3]:
        kind = known.evaluation.get('log_prob') if KIND_OF.match(name) else None
        label = f'{name}, test split' + (f' ({kind})' if kind else '')
        numbers.append((plus_minus_text(values[name]), label))
    samples = (known.evaluation.get('samples') or {}).get('values') or {}
    for name in [*samples][:1]:
        floor = plus_minus(samples[name].get('floor'))
        numbers.append((plus_minus(samples[name].get('samples')), f'{name} (real data: {floor})'))
    if known.log.best is not None:
        step, value = known.log.best
        label = f'best {known.log.best_metric}, validation at step {step:,}'
        numbers.append((plus_minus(value), label))
    if known.log.step:
        numbers.append((f'{known.log.step:,}', 'steps trained'))
    if known.log.seconds is not None:
        numbers.append((duration(known.log.seconds), 'training time'))
    return numbers


def _data_line(data: dict[str, Any]) -> str | None:
    description, splits = data.get('description'), data.get('splits')
    if not isinstance(splits, dict):
        return description if isinstance(description, str) else None
    sizes = ', '.join(f'{name} {n:,}' for name, n in splits.items() if isinstance(n, int))
    return f'{description} ({sizes} examples)' if sizes else str(description)
