"""Latent-space metrics of an evaluation: terminal output, and headline values."""

from collections.abc import Iterator
from typing import Any

from atelier.log import counted, log
from atelier.report.metrics_log import plus_minus

MAX_LISTED = 8  # dimensions listed with their KL
SINGLE_VALUES = (  # metrics that are a single value
    'active_units',
    'mutual_information_nats',
    'marginal_kl_nats',
    'perplexity',
)
MAIN_VALUES = {  # metrics with several values, and the name of the main value
    'continuity': 'mean',
    'completeness': 'accepted',
    'mutual_information_gap': 'mean',
}


def headlines(metrics: dict[str, Any]) -> dict[str, int | float | None]:
    """Returns the main value of each metric, for comparing runs."""
    single = {name: metrics[name] for name in SINGLE_VALUES if name in metrics}
    return single | {
        name: metrics[name][part] for name, part in MAIN_VALUES.items() if name in metrics
    }


def show_latents(metrics: dict[str, Any]) -> None:
    """Logs the latent-space metrics."""
    if not metrics:
        return
    log.info('latent space of %s', counted(metrics['num_examples'], 'example'))
    for name, value, note in lines_of(metrics):
        log.info('  %-24s %10s  %s', name, value, note)


def lines_of(metrics: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yields (name, value, note) of each metric, as texts."""
    formatted = lambda value, digits: '-' if value is None else f'{value:.{digits}f}'
    if 'active_units' in metrics:
        yield (
            'active_units',
            f'{metrics["active_units"]} of {metrics["latent_dim"]}',
            _by_layer(metrics),
        )
    if 'perplexity' in metrics:
        note = f'of {metrics["codebook_size"]} codes, {metrics["codes_used"]} of them used'
        yield 'perplexity', formatted(metrics['perplexity'], 1), note
    if 'kl_nats_by_dimension' in metrics:
        values = sorted((v or 0.0 for v in metrics['kl_nats_by_dimension']), reverse=True)
        ellipsis = ' ...' if len(values) > MAX_LISTED else ''
        listed = ' '.join(formatted(value, 2) for value in values[:MAX_LISTED]) + ellipsis
        yield 'kl_nats', plus_minus(metrics['kl_nats']), f'by dimension: {listed}'
        limit = metrics['mutual_information_limit_nats']
        for name, note in (
            ('mutual_information', f'at most log {metrics["num_paired"]} = {limit:.2f}'),
            ('marginal_kl', 'the rest of the KL'),
        ):
            error = metrics[f'{name}_standard_error']
            value, _, spread = plus_minus(metrics[f'{name}_nats'], error).partition(' ')
            yield f'{name}_nats', value, ', '.join(filter(None, (spread, note)))
    if 'continuity' in metrics:
        values = metrics['continuity']
        note = (
            f'mean relative change of the output for a code step of {100 * values["step"]:.0f} %; '
            f'95 % of the changes are below {plus_minus(values["percentile_95"])}'
        )
        yield 'continuity', plus_minus(values['mean']), note
    if 'completeness' in metrics:
        values = metrics['completeness']
        note = f'real: {plus_minus(values["real"])}; codes drawn from {values["codes"]}'
        yield 'completeness', plus_minus(values['accepted']), note
    if 'mutual_information_gap' in metrics:
        values = metrics['mutual_information_gap']
        note = ', '.join(f'{name} {formatted(v, 2)}' for name, v in values['by_factor'].items())
        yield 'mutual_information_gap', plus_minus(values['mean']), note


def _by_layer(metrics: dict[str, Any]) -> str:
    """Formats the active units of each stochastic layer; empty if there is only one layer."""
    pairs = zip(
        metrics.get('active_units_by_layer', ()), metrics.get('latent_dims', ()), strict=True
    )
    return ', '.join(f'z_{i}: {active} of {dims}' for i, (active, dims) in enumerate(pairs, 1))
