"""Total correlation of codes: the dependence between their dimensions."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def total_correlation(
    z: Float[Array, 'batch latent'],
    means: Float[Array, 'examples latent'],
    log_vars: Float[Array, 'examples latent'],
) -> Float[Array, 'batch']:
    """log q(z) - sum_j log q(z_j) in nats, q the uniform mixture of N(means_i, exp(log_vars_i)).

        log mean_i prod_j q(z_j | x_i) - sum_j log mean_i q(z_j | x_i)

    If row i of z is drawn from q(z | x_i), the mean over the batch estimates KL(q(z) || prod_j
    q(z_j)): Chen et al. (2018), Isolating Sources of Disentanglement in VAEs, equations 2 and S3.
    Their minibatch-weighted estimate also subtracts log N from each logarithm, where N is the size
    of the training split. In total this adds the constant (latent - 1) log N. On a minibatch both
    estimates are biased.

    Raises:
        ValueError: if means and log_vars differ in shape, or z has another number of latents.

    Example:
        >>> means = jnp.asarray([[-9.0, -9.0], [9.0, 9.0]])  # each latent identifies the example
        >>> round(total_correlation(means[:1], means, jnp.zeros((2, 2))).item(), 3)  # log 2
        0.693
    """
    shapes = tuple(map(jnp.shape, (z, means, log_vars)))
    if len(shapes[0]) != 2 or shapes[1] != shapes[2] or shapes[0][1:] != shapes[1][1:]:
        raise ValueError(
            'z, means and log_vars need shapes (batch, latent), (examples, latent) and (examples, '
            f'latent), but have {shapes}.'
        )
    z, means, log_vars = z[:, None], means[None], log_vars[None]
    standardized = (z - means) * jnp.exp(-0.5 * log_vars)
    log_densities = -0.5 * (math.log(2 * math.pi) + log_vars + jnp.square(standardized))
    log_mean = lambda values: jax.nn.logsumexp(values, 1) - math.log(means.shape[1])
    return log_mean(jnp.sum(log_densities, -1)) - jnp.sum(log_mean(log_densities), -1)
