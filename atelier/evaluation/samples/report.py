"""Metrics of samples on the terminal, beside their values for real data."""

import math
from typing import Any

from atelier.log import counted, log
from atelier.report.metrics_log import plus_minus

FAR_ABOVE = 3.0  # memorisation rate, in units of that of real data and in standard errors above it


def show_samples(samples: dict[str, Any]) -> None:
    """Logs the metrics that `sample_quality` returns; nothing if they are empty."""
    if not samples:
        return
    suffix = f' in features of {samples["features"]}' if samples['features'] else ''
    compared = counted(samples['num_samples'], 'sample')
    log.info('%s, compared with as many real examples%s', compared, suffix)
    for name, columns in texts_of(samples['values']).items():
        value = samples['values'][name]
        note = f'  ({counted(value["num_taught"], "sample")})' if 'num_taught' in value else ''
        log.info('  %-30s %10s  real: %s%s', name, *columns, note)


def texts_of(values: dict[str, dict]) -> dict[str, tuple[str, str]]:
    """Returns each value of samples and its floor as texts, with the standard errors of both."""
    texts = {}
    for name, value in values.items():
        errors = values.get(f'{name}_standard_error', {})
        if not name.endswith('_standard_error'):
            texts[name] = tuple(
                plus_minus(value.get(kind), errors.get(kind)) for kind in ('samples', 'floor')
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
