"""Mode coverage of samples from a density with known modes."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from atelier.data.toy import Modes
from atelier.errors import UserError


class ModeCounts(NamedTuple):
    """Metrics of Srivastava et al. (2017) and Lin et al. (2018), and a stricter count of modes."""

    modes: int  # number of modes with at least one accepted sample
    modes_with_ten: int  # number of modes with at least ten accepted samples
    high_quality: float  # fraction of samples that are accepted
    reverse_kl_nats: float  # KL(accepted samples over modes || uniform)


def count_modes(x: Float[np.ndarray, 'n dims'], modes: Modes) -> ModeCounts:
    """Assigns each sample to the nearest mode and accepts it within the mode's radius.

    This follows Lin et al. (2018), PacGAN, section 4.1, who use 2,500 samples. If no sample is
    accepted, the divergence is infinite.

    Raises:
      UserError: there are no samples.
    """
    if not len(x):
        raise UserError('no samples: their modes cannot be counted')
    distance = np.linalg.norm(x[:, None] - modes.centres[None], ord=modes.order, axis=-1)
    accepted = distance.min(1) < modes.radius
    counts = np.bincount(distance.argmin(1)[accepted], minlength=len(modes.centres))
    if counts.sum():
        shares = counts[counts > 0] / counts.sum()
        kl = float(np.sum(shares * np.log(shares * len(modes.centres))))
    else:
        kl = np.inf
    return ModeCounts(int(np.sum(counts > 0)), int(np.sum(counts >= 10)), accepted.mean(), kl)
