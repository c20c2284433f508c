"""Importance-weighted estimates of log p(x) (Burda et al. 2015), of any model with latents."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.core.abilities import LogProb, PerExample
from atelier.errors import at_least
from losses import elbo

PICTURE_SHARE = 10  # importance samples of an evaluation for each one of a picture of p(x)


def bound_of_samples(log_weights: Callable, num_samples: int, chunk: int) -> Float[Array, 'batch']:
    """Returns the importance-weighted bound from `num_samples` samples.

    `log_weights(index)` returns the log weights [batch] of sample number `index` of each row.
    `chunk` samples are computed at once, which affects only memory.
    """
    stacked_log_weights = jax.lax.map(
        log_weights, jnp.arange(num_samples), batch_size=min(chunk, num_samples)
    )
    return elbo.importance_weighted_bound(stacked_log_weights)


def importance_estimate(nats_of: Callable[[int], PerExample], num_samples: int) -> LogProb:
    """Returns the estimate of log p(x) from `num_samples` importance samples.

    `nats_of(k)` returns its `nats` with k samples. Pictures of p(x) may take a tenth of them.
    """
    with_samples = lambda k: LogProb(nats_of(k), 'estimate', f'k = {k}')
    few = num_samples // PICTURE_SHARE
    return with_samples(num_samples)._replace(quicker=with_samples(few) if few else None)


def check_estimate(num_importance_samples: int, importance_chunk: int) -> None:
    """Requires at least one importance sample, and chunks of at least one.

    Raises:
      UserError: a setting is invalid; the message names its config field.
    """
    at_least(1, 'eval.num_importance_samples', num_importance_samples)
    at_least(1, 'eval.importance_chunk', importance_chunk)
