"""Advice against failures of a GAN, from the history of training and validation metrics."""

from typing import NamedTuple

from atelier.core.game import Advise

WON = 0.98  # the discriminator has won if both its training accuracies are at least this
COLLAPSED = 0.5  # the generator has collapsed below this fraction of its best coverage so far
UNCOVERED, PATIENCE = 0.05, 3  # or with coverage below UNCOVERED in PATIENCE validations in a row


class Advice(NamedTuple):
    """The config changes to recommend, worded to follow 'in a new --workdir, '."""

    discriminator_won: str
    generator_collapsed: str


def adviser(advice: Advice) -> Advise:
    """Returns a game's `Turn.advise`, whose warnings recommend these config changes.

    `Turn.advise` reads 'train/accuracy_real' and 'train/accuracy_fake', which not every game
    reports, and 'coverage', the fraction of validation examples covered by samples.
    """

    def advise(history: list[dict[str, float]]) -> dict[str, str]:
        warnings, latest = {}, history[-1]
        accuracies = [latest.get(f'train/accuracy_{kind}', 0.0) for kind in ('real', 'fake')]
        if min(accuracies) >= WON:
            warnings['discriminator has won'] = (
                f'the discriminator has won: it recognizes {accuracies[0]:.0%} of real and '
                f'{accuracies[1]:.0%} of generated examples, so the generator learns '
                f'little; in a new --workdir, {advice.discriminator_won}'
            )
        coverages = [metrics['coverage'] for metrics in history if 'coverage' in metrics]
        if coverages and _has_collapsed(coverages):
            warnings['generator has collapsed'] = (
                f'the generator has collapsed: its samples cover {coverages[-1]:.0%} of the '
                f'validation examples, {max(coverages):.0%} at best; in a new --workdir, '
                f'{advice.generator_collapsed}'
            )
        return warnings

    return advise


def _has_collapsed(coverages: list[float]) -> bool:
    """Whether coverage is far below its best, or low `PATIENCE` times in a row."""
    stays_low = len(coverages) >= PATIENCE and max(coverages[-PATIENCE:]) < UNCOVERED
    return stays_low or coverages[-1] < COLLAPSED * max(coverages)
