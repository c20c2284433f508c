"""Whether two arms train the same: only then is there a ratio of their times."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

STANDARD_ERRORS = 4.0  # two means of independent minibatches differ by more once in 15,000 times


def disagreement(
    losses: Sequence[np.ndarray], others: Sequence[np.ndarray], tolerance: float
) -> str:
    """Returns why the losses of two arms disagree; '' if they agree.

    Every loss of both is finite, and the means over the last half of the steps that both made
    differ by at most

        tolerance * (absolute mean) + 4 * (standard error of the difference).

    The first term allows for other initial weights, noise and order of the examples: `tolerance`
    is measured between seeds. The second allows for the minibatches. Their standard deviation
    includes the descent of the loss, so the standard error is rather too large.

    Args:
      losses: of one arm, an array for each call, the first call first.
      others: those of the other arm.
      tolerance: relative.
    """
    if reason := _unusable(losses) or _unusable(others):
        return reason
    count = min(len(losses), len(others))
    first, second = (
        np.concatenate([np.ravel(loss) for loss in each[:count]]) for each in (losses, others)
    )
    first, second = (each[len(each) // 2 :] for each in (first, second))
    means = np.mean(first), np.mean(second)
    error = np.sqrt(np.var(first) / len(first) + np.var(second) / len(second))
    allowed = tolerance * np.mean(np.abs(means)) + STANDARD_ERRORS * error
    if abs(means[0] - means[1]) <= allowed:
        return ''
    return f'mean losses {means[0]:.4g} and {means[1]:.4g} differ by more than {allowed:.2g}'


def inequality(losses: Sequence[np.ndarray], others: Sequence[np.ndarray], tolerance: float) -> str:
    """Returns why two arms that train the same members differ; '' if they do not.

    Args:
      losses: of one arm, [members, steps] for each call.
      others: those of the other arm, of the same members.
      tolerance: of the mean over the steps of a call, relative, for each member.
    """
    if reason := _unusable(losses) or _unusable(others):
        return reason
    for call, apart in enumerate(differences(losses, others)):
        if apart.max() > tolerance:
            return f'member {apart.argmax()} differs by {apart.max():.1e} in call {call}'
    return ''


def differences(
    losses: Sequence[np.ndarray], others: Sequence[np.ndarray]
) -> list[Float[np.ndarray, 'members']]:
    """Returns the relative differences of the members' means, for each call that both made."""
    means = [(a.mean(1), b.mean(1)) for a, b in zip(losses, others, strict=False)]
    return [np.abs(mine - other) / np.abs(other) for mine, other in means]


def _unusable(losses: Sequence[np.ndarray]) -> str:
    if not len(losses):
        return 'no losses'
    flat = np.concatenate([np.ravel(loss) for loss in losses])
    num_bad = np.sum(~np.isfinite(flat))
    return f'{num_bad} of {len(flat)} losses are not finite' if num_bad else ''
