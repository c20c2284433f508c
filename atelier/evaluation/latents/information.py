"""Information in the posteriors of a latent-variable model: KL, active units, mutual information.

Arrays are [n, latent]: the means and log variances of diagonal Gaussians q(z | x), one per example,
under the prior N(0, I). All in numpy and float64; all information in nats.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

BLOCK = 2**22  # densities computed at once; affects memory only
ACTIVE_VARIANCE = 0.01  # threshold of Burda et al. (2015); the prior's variance is 1
Codes = Float[np.ndarray, 'n latent']


class Information(NamedTuple):
    """Decomposition of the posteriors' mean KL to the prior.

    The KL is the sum of the first two fields.

    mutual_information: I(x; z), with x uniform over these n examples.
    marginal_kl: KL(q(z) || p(z)) of the aggregate posterior.
    standard_error: of mutual_information, from the noise of z and the choice of examples.
    marginal_standard_error: of marginal_kl, from the same two sources.
    limit: log n, the upper bound of mutual_information.
    """

    mutual_information: float
    marginal_kl: float
    standard_error: float
    marginal_standard_error: float
    limit: float


def kl_per_dimension(mean: Codes, log_var: Codes) -> Float[np.ndarray, 'latent']:
    """Returns the mean of KL(q(z_j | x) || N(0, 1)) over x, nats; its sum is the KL of the ELBO."""
    return np.mean(_kl(np.asarray(mean, np.float64), np.asarray(log_var, np.float64)), axis=0)


def _kl(mean: Codes, log_var: Codes) -> Codes:
    """Returns KL(q(z_j | x_i) || N(0, 1)) in nats, in the precision of its arguments."""
    return 0.5 * (np.expm1(log_var) - log_var + mean**2)


def active_units(mean: Codes) -> Bool[np.ndarray, 'latent']:
    """Marks dimensions whose posterior mean varies over examples by more than `ACTIVE_VARIANCE`.

    Burda et al. (2015), section 5.2.
    """
    return np.var(np.asarray(mean, np.float64), axis=0) > ACTIVE_VARIANCE


def information(mean: Codes, log_var: Codes, noise: Codes) -> Information:
    """Returns the two parts of the mean KL: Hoffman and Johnson (2016), equation 7.

        mean_i KL(q(z | x_i) || p(z)) = I(x; z) + KL(q(z) || p(z)),  q(z) = mean_j q(z | x_j)

    I is estimated by mean_i [log q(z_i | x_i) - log q(z_i)] with one z_i = mean_i + std_i * noise_i
    per example. The second part, the marginal KL, is the exact KL minus this estimate, so it may be
    slightly negative. If x is uniform over these n examples, the estimate is unbiased. Neither the
    estimate nor the true value exceeds log n. For the population that x was drawn from, the
    estimate of I is too low on average: it is a lower bound (Poole et al. 2019, section 2.3). It is
    uninformative near log n. The marginal KL is too high by the same amount.

    Args:
      mean: posterior means.
      log_var: posterior log variances.
      noise: standard normal noise.
    """
    mean, log_var = np.asarray(mean, np.float64), np.asarray(log_var, np.float64)
    z = mean + np.exp(0.5 * log_var) * noise
    n = len(z)
    log_ratios = _log_posterior(z, mean, log_var) - _log_aggregate_posterior(z, mean, log_var)
    # each log ratio is at most log n, except for rounding
    log_ratios = np.minimum(log_ratios, math.log(n))
    mutual_information = float(np.mean(log_ratios))
    kl = np.sum(_kl(mean, log_var), axis=1)
    standard_error = lambda values: (
        float(np.std(values, ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    )
    marginal_kl = float(np.mean(kl)) - mutual_information
    return Information(
        mutual_information,
        marginal_kl,
        standard_error(log_ratios),
        standard_error(kl - log_ratios),
        math.log(n),
    )


def _log_posterior(z: Codes, mean: Codes, log_var: Codes) -> Float[np.ndarray, 'n']:
    """Returns log q(z_i | x_i), without the constant of the Gaussian."""
    return -0.5 * np.sum((z - mean) ** 2 * np.exp(-log_var) + log_var, axis=1)


def _log_aggregate_posterior(z: Codes, mean: Codes, log_var: Codes) -> Float[np.ndarray, 'n']:
    """Returns log q(z_i), without the constant of the Gaussian.

    Matrix products cover all pairs (z_i, x_j).
    """
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
