"""Latent-space metrics of an evaluation: terminal output, and headline values."""

from collections.abc import Iterator
from typing import Any

from atelier.log import log

SHOWN = 8  # dimensions listed with their KL
SINGLE = (  # metrics that are a single value
    'active_units',
    'mutual_information_nats',
    'marginal_kl_nats',
    'perplexity',
)
MAIN = {  # metrics with several values: the main one
    'continuity': 'mean',
    'completeness': 'accepted',
    'mutual_information_gap': 'mean',
}


def headlines(found: dict[str, Any]) -> dict[str, int | float | None]:
    """Returns one value per metric, by which runs are compared."""
    single = {name: found[name] for name in SINGLE if name in found}
    return single | {name: found[name][part] for name, part in MAIN.items() if name in found}


def show_latents(found: dict[str, Any]) -> None:
    """Logs the latent-space metrics."""
    if not found:
        return
    log.info('the latent space, by %d examples', found['num_examples'])
    for name, value, note in _lines(found):
        log.info('  %-24s %10s  %s', name, value, note)


def _lines(found: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yields (name, value, note) of each line."""
    plain = lambda value, digits=4: '-' if value is None else f'{value:.{digits}f}'
    if 'active_units' in found:
        yield 'active_units', f'{found["active_units"]} of {found["latent_dim"]}', _by_layer(found)
    if 'perplexity' in found:
        words = f'of {found["codebook_size"]} codes, {found["codes_used"]} of them used'
        yield 'perplexity', plain(found['perplexity'], 1), words
    if 'kl_nats_by_dimension' in found:
        values = sorted((v or 0.0 for v in found['kl_nats_by_dimension']), reverse=True)
        more = ' ...' if len(values) > SHOWN else ''
        words = ' '.join(plain(value, 2) for value in values[:SHOWN]) + more
        yield 'kl_nats', plain(found['kl_nats']), f'by dimension: {words}'
        told, limit = found['mutual_information_nats'], found['mutual_information_limit_nats']
        error = plain(found['mutual_information_standard_error'])
        note = f'+- {error}, at most log {found["num_paired"]} = {limit:.2f}'
        yield 'mutual_information_nats', plain(told), note
        error = plain(found['marginal_kl_standard_error'])
        yield (
            'marginal_kl_nats',
            plain(found['marginal_kl_nats']),
            f'+- {error}, the rest',
        )
    if 'continuity' in found:
        values = found['continuity']
        note = f'of a {values["step"]:.0%} step; 95 % below {plain(values["percentile_95"])}'
        yield 'continuity', plain(values['mean']), note
    if 'completeness' in found:
        values = found['completeness']
        note = f'real: {plain(values["real"])}; draws of {values["codes"]}'
        yield 'completeness', plain(values['accepted']), note
    if 'mutual_information_gap' in found:
        values = found['mutual_information_gap']
        words = ', '.join(f'{name} {plain(v, 2)}' for name, v in values['by_factor'].items())
        yield 'mutual_information_gap', plain(values['mean']), words


def _by_layer(found: dict[str, Any]) -> str:
    """Describes the active units of each of several stochastic layers; empty for a single one."""
    pairs = zip(found.get('active_units_by_layer', ()), found.get('latent_dims', ()), strict=True)
    return ', '.join(f'z_{i}: {part} of {all_}' for i, (part, all_) in enumerate(pairs, 1))
