"""Advice against failures of a GAN, from the history of training and validation metrics."""

from typing import NamedTuple

from atelier.core.game import Advise

KNOWS = 0.98  # the discriminator has won if both its training accuracies are at least this
FALL = 0.5  # the generator has collapsed below this share of its best coverage so far
NOTHING, PATIENCE = 0.05, 3  # also if coverage is below NOTHING in PATIENCE validations in a row


class Cures(NamedTuple):
    """The config changes to recommend, worded to follow 'in a new --workdir, '."""

    of_a_win: str
    of_a_collapse: str


def adviser(cures: Cures) -> Advise:
    """Returns a game's `Turn.advise`, whose warnings recommend these config changes.

    It reads 'train/accuracy_real' and 'train/accuracy_fake', which not every game reports, and
    'coverage', the share of validation examples covered by samples.
    """

    def advise(history: list[dict[str, float]]) -> dict[str, str]:
        warnings, newest = {}, history[-1]
        pair = [newest.get(f'train/accuracy_{kind}', 0.0) for kind in ('real', 'fake')]
        if min(pair) >= KNOWS:
            warnings['discriminator has won'] = (
                f'the discriminator has won: it knows {pair[0]:.0%} of real and {pair[1]:.0%} of '
                'generated examples, and teaches the generator little; in a new --workdir, '
                f'{cures.of_a_win}'
            )
        covered = [metrics['coverage'] for metrics in history if 'coverage' in metrics]
        if covered and _has_collapsed(covered):
            warnings['generator has collapsed'] = (
                f'the generator has collapsed: its samples cover {covered[-1]:.0%} of the '
                f'validation examples, {max(covered):.0%} at best; in a new --workdir, '
                f'{cures.of_a_collapse}'
            )
        return warnings

    return advise


def _has_collapsed(covered: list[float]) -> bool:
    """Whether coverage has fallen from its best, or never risen."""
    never = len(covered) >= PATIENCE and max(covered[-PATIENCE:]) < NOTHING
    return never or covered[-1] < FALL * max(covered)
