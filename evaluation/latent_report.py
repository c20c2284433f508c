"""What an evaluation says of a latent space, in a few lines on the terminal."""

from collections.abc import Iterator
from typing import Any

from reporting import log

COLLAPSED_NATS = 0.1  # of KL in all, below which the code says next to nothing
SHOWN = 8  # dimensions


def show_latents(found: dict[str, Any]) -> None:
    """A few lines on the terminal, and a warning where the code is not used."""
    if not found:
        return
    log.info('the latent space, by %d examples', found['num_examples'])
    for name, value, note in _lines(found):
        log.info('  %-24s %10s  %s', name, value, note)
    units, nats = found.get('active_units'), found.get('kl_nats')
    if units == 0 or (nats is not None and nats < COLLAPSED_NATS):
        told = '' if nats is None else f', and {nats:.3f} nats of KL in all'
        log.warning(
            'the code is hardly used, the posterior has collapsed: %s of %s units are active%s. A '
            'smaller weight of the KL, one that rises slowly from 0, or free bits in training '
            'treat it',
            units,
            found['latent_dim'],
            told,
        )


def _lines(found: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(name, number, note) of each line."""
    plain = lambda value, digits=4: '-' if value is None else f'{value:.{digits}f}'
    if 'active_units' in found:
        yield 'active_units', f'{found["active_units"]} of {found["latent_dim"]}', ''
    if 'kl_nats_by_dimension' in found:
        values = sorted((v or 0.0 for v in found['kl_nats_by_dimension']), reverse=True)
        more = ' ...' if len(values) > SHOWN else ''
        words = ' '.join(plain(value, 2) for value in values[:SHOWN]) + more
        yield 'kl_nats', plain(found['kl_nats']), f'by dimension: {words}'
        told, limit = found['mutual_information_nats'], found['mutual_information_limit_nats']
        error = plain(found['mutual_information_standard_error'])
        note = f'+- {error}, at most log {found["num_paired"]} = {limit:.2f}'
        yield 'mutual_information_nats', plain(told), note
        yield 'marginal_kl_nats', plain(found['marginal_kl_nats']), 'what is left of the KL'
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
