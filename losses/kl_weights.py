"""How much a KL weighs in a loss: it comes in slowly, and some nats of it are free."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def warmup(step, num_steps) -> Float[Array, '...']:
    """min(1, (step + 1) / num_steps), and 1 from the first step if that is 0.

    Bowman et al. (2016), section 3.1, and Sonderby et al. (2016) let the weight of the KL rise so.
    Either argument may be a traced scalar.
    """
    step = jnp.asarray(step, jnp.float32)
    steps = jnp.maximum(jnp.asarray(num_steps, jnp.float32), 1.0)
    return jnp.minimum((step + 1.0) / steps, 1.0)


def free_nats(
    kl_nats: Float[Array, 'batch groups'], free: float | Float[Array, '']
) -> Float[Array, 'groups']:
    """max(free, the mean KL over the batch) of each group of latents: what it is charged for.

    Kingma et al. (2016), appendix C.8: below `free` nats a group costs the same whatever it says,
    so that nothing pulls it to the prior. It is the mean over the whole batch that is compared, not
    an example's: where devices share the batch, gather it first.

    Raises:
        ValueError: kl_nats has not two axes, or free is not a number.
    """
    if kl_nats.ndim != 2 or jnp.ndim(free) != 0:
        raise ValueError(
            f'kl_nats has shape {kl_nats.shape} and free {jnp.shape(free)}, '
            'but they have to be (batch, groups) and ().'
        )
    return jnp.maximum(jnp.mean(kl_nats, axis=0), free)
