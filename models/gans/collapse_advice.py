"""What to change where a game goes wrong, told by how training and validation went so far."""

from typing import NamedTuple

from atelier.core.game import Advise

KNOWS = 0.98  # accuracy on both kinds, in training, from which a discriminator has won
FALL = 0.5  # share of the best coverage so far below which a generator has collapsed
NOTHING, PATIENCE = 0.05, 3  # coverage in so many validations in a row that is none at all


class Cures(NamedTuple):
    """The lines of the config to change, as the end of 'in a new --workdir, ...'."""

    of_a_win: str
    of_a_collapse: str


def adviser(cures: Cures) -> Advise:
    """Returns `Turn.advise` of a game that these lines treat.

    It reads 'train/accuracy_real' and 'train/accuracy_fake', which not every game has, and
    'coverage' of the validation examples by samples.
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
    """Fallen from its best, or never risen."""
    never = len(covered) >= PATIENCE and max(covered[-PATIENCE:]) < NOTHING
    return never or covered[-1] < FALL * max(covered)
