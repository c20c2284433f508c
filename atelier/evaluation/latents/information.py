"""What the posteriors of a latent-variable model say: how much of the code is used, and for what.

Arrays are [n, latent]: the means and log variances of diagonal Gaussians q(z | x), one an example,
under the prior N(0, I). All in numpy and float64; all information in nats.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

BLOCK = 2**22  # densities at once; memory only
ACTIVE_VARIANCE = 0.01  # as Burda et al. (2015) choose; over at most 1, that of the prior
Codes = Float[np.ndarray, 'n latent']


class Information(NamedTuple):
    """Where the mean KL of the posteriors to the prior goes: it is the sum of the first two.

    mutual_information: I(x; z), x one of these n examples.
    marginal_kl: KL(q(z) || p(z)) of the aggregate posterior.
    standard_error: of mutual_information, from the noise of z and from the choice of examples.
    marginal_standard_error: of marginal_kl, likewise.
    limit: log n, above which the first cannot be.
    """

    mutual_information: float
    marginal_kl: float
    standard_error: float
    marginal_standard_error: float
    limit: float


def kl_per_dimension(mean: Codes, log_var: Codes) -> Float[np.ndarray, 'latent']:
    """Mean over examples of KL(q(z_j | x) || N(0, 1)) in nats; its sum is the KL of the bound."""
    return np.mean(_kl(np.asarray(mean, np.float64), np.asarray(log_var, np.float64)), axis=0)


def _kl(mean: Codes, log_var: Codes) -> Codes:
    """KL(q(z_j | x_i) || N(0, 1)) in nats, in the precision that is given."""
    return 0.5 * (np.expm1(log_var) - log_var + mean**2)


def active_units(mean: Codes) -> Bool[np.ndarray, 'latent']:
    """Dimensions whose posterior mean varies over examples: variance above `ACTIVE_VARIANCE`.

    Burda et al. (2015), section 5.2.
    """
    return np.var(np.asarray(mean, np.float64), axis=0) > ACTIVE_VARIANCE


def information(mean: Codes, log_var: Codes, noise: Codes) -> Information:
    """The two parts of the mean KL: Hoffman and Johnson (2016), equation 7.

        mean_i KL(q(z | x_i) || p(z)) = I(x; z) + KL(q(z) || p(z)),  q(z) = mean_j q(z | x_j)

    I is estimated by mean_i [log q(z_i | x_i) - log q(z_i)] with one z_i = mean_i + deviation_i *
    noise_i an example, and the other part is what is left of the exact KL, so that it may come out
    a little below 0. Of a choice among these n examples the estimate is unbiased, and neither it
    nor the truth exceeds log n. Of the population that they stand for it is too low on average
    (a lower bound: Poole et al. 2019, section 2.3), and tells nothing once it is near log n;
    the marginal KL is too high by as much.

    Args:
      mean: of each posterior.
      log_var: of each.
      noise: standard normal.
    """
    mean, log_var = np.asarray(mean, np.float64), np.asarray(log_var, np.float64)
    z = mean + np.exp(0.5 * log_var) * noise
    n, ratios = len(z), _log_own(z, mean, log_var) - _log_aggregate(z, mean, log_var)
    ratios = np.minimum(ratios, math.log(n))  # as it is, but for rounding
    found = float(np.mean(ratios))
    kl = np.sum(_kl(mean, log_var), axis=1)
    error = lambda values: float(np.std(values, ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    rest = float(np.mean(kl)) - found
    return Information(found, rest, error(ratios), error(kl - ratios), math.log(n))


def _log_own(z: Codes, mean: Codes, log_var: Codes) -> Float[np.ndarray, 'n']:
    """log q(z_i | x_i), without the constant of the Gaussian."""
    return -0.5 * np.sum((z - mean) ** 2 * np.exp(-log_var) + log_var, axis=1)


def _log_aggregate(z: Codes, mean: Codes, log_var: Codes) -> Float[np.ndarray, 'n']:
    """log q(z_i), without the same constant: all pairs, as products of matrices."""
    precision = np.exp(-log_var)
    factors = np.concatenate([-0.5 * precision, mean * precision], axis=1).T
    offsets = -0.5 * np.sum(mean**2 * precision + log_var, axis=1)
    rows, parts = max(1, BLOCK // len(mean)), []
    for first in range(0, len(z), rows):
        part = z[first : first + rows]
        logs = np.concatenate([part**2, part], axis=1) @ factors
        logs += offsets
        highest = logs.max(axis=1, keepdims=True)
        logs -= highest
        total = np.exp(logs, out=logs).sum(axis=1)
        parts.append(highest[:, 0] + np.log(total))
    return np.concatenate(parts) - math.log(len(mean))
