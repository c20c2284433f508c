"""What to change where a game goes wrong, told by the validation metrics so far."""

from collections.abc import Callable
from typing import NamedTuple

KNOWS = 0.98  # accuracy on both kinds from which a discriminator has won
FALL = 0.5  # share of the best coverage so far below which a generator has collapsed


class Cures(NamedTuple):
    """The lines of the config to change, as the end of 'in a new --workdir, ...'."""

    of_a_win: str
    of_a_collapse: str


def adviser(cures: Cures) -> Callable[[list[dict[str, float]]], dict[str, str]]:
    """Returns `Family.advise` of a game that these lines treat.

    Of the means of each validation it reads 'accuracy_real' and 'accuracy_fake', and 'coverage' of
    the validation examples by samples.
    """

    def advise(history: list[dict[str, float]]) -> dict[str, str]:
        warnings, newest = {}, history[-1]
        pair = [newest.get(name, 0.0) for name in ('accuracy_real', 'accuracy_fake')]
        if min(pair) >= KNOWS:
            warnings['discriminator has won'] = (
                f'the discriminator has won: it knows {pair[0]:.0%} of real and {pair[1]:.0%} of '
                'generated examples, and teaches the generator little; in a new --workdir, '
                f'{cures.of_a_win}'
            )
        best = max((metrics.get('coverage', 0.0) for metrics in history[:-1]), default=0.0)
        coverage = newest.get('coverage', best)
        if coverage < FALL * best:
            warnings['generator has collapsed'] = (
                f'the generator has collapsed: its samples cover {coverage:.0%} of the validation '
                f'examples, {best:.0%} at best; in a new --workdir, {cures.of_a_collapse}'
            )
        return warnings

    return advise
