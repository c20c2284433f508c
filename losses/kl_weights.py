"""KL weighting in a loss: linear warmup, and free nats."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def warmup(step, num_steps) -> Float[Array, '...']:
    """The weight min(1, (step + 1) / num_steps), or 1 from the first step if num_steps is 0.

    KL annealing: Bowman et al. (2016), section 3.1, and Sonderby et al. (2016). Either argument may
    be a traced scalar.

    Example:
        >>> print(warmup(jnp.asarray([0, 1, 99]), num_steps=4))
        [0.25 0.5  1.  ]
    """
    step = jnp.asarray(step, jnp.float32)
    steps = jnp.maximum(jnp.asarray(num_steps, jnp.float32), 1.0)
    return jnp.minimum((step + 1.0) / steps, 1.0)


def free_nats(
    kl_nats: Float[Array, 'batch groups'], free: float | Float[Array, '']
) -> Float[Array, 'groups']:
    """max(free, batch mean of the KL) for each group of latents: the KL term of the loss.

    Kingma et al. (2016), appendix C.8: below `free` nats a group's cost is constant, so no gradient
    pulls it to the prior. The mean is over the whole batch, so if the batch is divided among
    devices, gather `kl_nats` first.

    Raises:
        ValueError: kl_nats does not have two axes, or free is not a scalar.

    Example:
        >>> kl_nats = jnp.asarray([[0.0, 3.0], [1.0, 5.0]])  # the means are 0.5 and 4
        >>> print(free_nats(kl_nats, free=1.0))
        [1. 4.]
    """
    if kl_nats.ndim != 2 or jnp.ndim(free) != 0:
        raise ValueError(
            f'kl_nats has shape {kl_nats.shape} and free {jnp.shape(free)}, '
            'but they have to be (batch, groups) and ().'
        )
    return jnp.maximum(jnp.mean(kl_nats, axis=0), free)
