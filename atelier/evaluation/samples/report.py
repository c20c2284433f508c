"""Metrics of samples on the terminal, beside their values for real data."""

import math
from typing import Any

from atelier.errors import shortened_text
from atelier.log import counted, log
from atelier.report.metrics_log import plus_minus

NOT_MEASURED = 'not measured'  # key of the reason why a value was not, and what is shown for it
# by key of a value: what it is of; the last one is only in evaluations of a run of codes
COLUMNS = {'samples': 'samples', 'floor': 'real data', 'one_gaussian': 'one Gaussian'}
FAR_ABOVE = 3.0  # memorisation rate, in units of that of real data and in standard errors above it


def show_samples(samples: dict[str, Any]) -> None:
    """Logs the metrics that `sample_quality` returns; nothing if they are empty."""
    if not samples:
        return
    log.info('%s', heading_of(samples))
    for name, (text, floor, *others) in texts_of(samples['values']).items():
        value = samples['values'][name]
        if NOT_MEASURED in value:
            continue
        notes = [f'one Gaussian: {each}' for each in others if each != '-']
        if 'num_taught' in value:
            notes.append(f'({counted(value["num_taught"], "sample")})')
        log.info('  %-30s %10s  %s', name, text, '  '.join([f'real: {floor}', *notes]))
    for reason in reasons_of(samples['values']):
        log.info('  %s', reason)


def heading_of(samples: dict[str, Any]) -> str:
    """Says how many samples were compared, and how."""
    number = samples.get('num_samples')
    compared = counted(number, 'sample') if isinstance(number, int) else 'samples'
    heading = f'{compared}, compared with as many real examples'
    if features := samples.get('features'):
        heading += f', in features of {features}'
    if compared_by := samples.get('compared_by'):
        heading += f'; items compared by {shortened_text(str(compared_by))}'
    if judge := samples.get('validity'):
        heading += f'; valid by {shortened_text(str(judge))}'
    return heading


def reasons_of(values: dict[str, dict]) -> list[str]:
    """Returns a line for each value that was not measured: its name and why."""
    return [
        f'{name}: {NOT_MEASURED}: {shortened_text(str(value[NOT_MEASURED]), 300)}'
        for name, value in values.items()
        if NOT_MEASURED in value
    ]


def columns_of(values: dict[str, dict]) -> tuple[str, ...]:
    """Returns the keys of `COLUMNS` that values of samples have: always the first two."""
    has_third = any('one_gaussian' in value for value in values.values())
    return tuple(COLUMNS)[: 2 + has_third]


def texts_of(values: dict[str, dict]) -> dict[str, tuple[str, ...]]:
    """Returns the columns of each value of samples as texts, with their standard errors."""
    texts, columns = {}, columns_of(values)
    for name, value in values.items():
        errors = values.get(f'{name}_standard_error', {})
        if NOT_MEASURED in value:
            texts[name] = (NOT_MEASURED,) * len(columns)
        elif not name.endswith('_standard_error'):
            texts[name] = tuple(
                plus_minus(value.get(column), errors.get(column)) for column in columns
            )
    return texts


def memorisation_warning(samples: dict[str, Any]) -> str | None:
    """Returns a sentence if samples repeat training examples, or if that cannot be told.

    They do if their memorisation rate is `FAR_ABOVE` that of real data, and not only by chance.
    """
    rates = samples.get('values', {}).get('memorisation_rate')
    if rates is None:
        return None
    if rates['samples'] is None or rates['floor'] is None:
        return (
            'whether samples copy training examples cannot be told: too many examples of the data '
            'are equal'
        )
    rate, floor = rates['samples'], max(rates['floor'], 0.01)  # 0.01 by the rate's definition
    error = math.sqrt(max(rate * (1 - rate), floor * (1 - floor)) / samples['num_samples'])
    if rate < FAR_ABOVE * floor or rate < floor + FAR_ABOVE * error:
        return None
    return (
        f'{100 * rate:.1f} % of the samples are nearer to a training example than 99 % of held-out '
        f'examples are; of real examples, {100 * rates["floor"]:.1f} % are: the model copies '
        'training examples'
    )
