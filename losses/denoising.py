"""The loss of a denoiser, and the terms of a diffusion model's bound on log p(x).

Each function returns a value per example, summed over the axes of an event; the caller takes the
batch mean. Nothing is broadcast: mismatched shapes raise ValueError.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from losses.elbo import categorical_log_prob, diagonal_gaussian_log_prob, kl_standard_normal
from losses.reconstruction import half_squared_error

Events = Float[Array, 'batch *event']
PerExample = Float[Array, 'batch']


def denoising_error(target: Events, output: Events, weight: PerExample) -> PerExample:
    """weight ||target - output||^2, in the squared units of the target.

    Ho et al. (2020), Denoising Diffusion Probabilistic Models, equation 14, where the target is
    eps, the output predicts it and the weight is 1. If the target is x and the weight is
    `models.diffusion.process.weightings.bound`, it is the diffusion term of the bound in nats:
    Kingma et al. (2021), Variational Diffusion Models, equation 13.

    Raises:
        ValueError: if the shapes differ or there is no batch axis.

    Example:
        >>> eps, output = jnp.asarray([[1.0, 2.0]]), jnp.zeros((1, 2))
        >>> print(denoising_error(eps, output, weight=jnp.asarray([1.0])))
        [5.]
    """
    if weight.shape != target.shape[:1]:
        raise ValueError(f'weight has shape {weight.shape} and target {target.shape}.')
    return 2.0 * weight * half_squared_error(target, output)


def prior_kl(x: Events, alpha: Float[Array, ''], sigma: Float[Array, '']) -> PerExample:
    """KL(N(alpha x, sigma^2 I) || N(0, (alpha^2 + sigma^2) I)) in nats.

    It measures how much information about x is left in the noisiest x_t. This is the prior loss of
    Kingma et al. (2021), equation 11, for processes of any variance.

    Raises:
        ValueError: if there is no batch axis.

    Example:
        >>> x = jnp.asarray([[0.0, 3.0]])
        >>> prior_kl(x, alpha=jnp.asarray(0.0), sigma=jnp.asarray(1.0)).item()  # x is lost
        0.0
        >>> kl_nats = prior_kl(x, alpha=jnp.asarray(0.6), sigma=jnp.asarray(0.8))
        >>> round(kl_nats.item(), 3)  # 1.8^2 / 2 + 0.64 - 1 - log 0.64
        1.706
    """
    if x.ndim == 0:
        raise ValueError('x has no batch axis.')
    std = jnp.sqrt(alpha**2 + sigma**2)
    mean = (alpha / std * x).reshape(len(x), -1)
    return kl_standard_normal(mean, jnp.full_like(mean, 2.0) * jnp.log(sigma / std))


def density_nats(
    x: Events, x_t: Events, alpha: Float[Array, ''], sigma: Float[Array, '']
) -> PerExample:
    """-log N(x; x_t / alpha, (sigma / alpha)^2 I), nats, for real-valued x and its least noisy x_t.

    Raises:
        ValueError: if the shapes differ or there is no batch axis.

    Example:
        >>> x, one = jnp.zeros((1, 2)), jnp.asarray(1.0)
        >>> round(density_nats(x, x, alpha=one, sigma=one).item(), 3)  # log(2 pi)
        1.838
    """
    log_var = jnp.full_like(x, 2.0) * jnp.log(sigma / alpha)
    return -diagonal_gaussian_log_prob(x, x_t / alpha, log_var)


def levels_nats(
    level: Events,
    x_t: Events,
    values: Float[Array, 'levels'],
    alpha: Float[Array, ''],
    sigma: Float[Array, ''],
) -> PerExample:
    """-log p(level | x_t) in nats, p(v | x_t) proportional to N(x_t; alpha values[v], sigma^2).

    Kingma et al. (2021), section 3.3. The dimensions of x are independent given x_t.

    Raises:
        ValueError: if the shapes differ or there is no batch axis.

    Example:
        >>> values, one = jnp.asarray([-1.0, 1.0]), jnp.asarray(1.0)
        >>> level, x_t = jnp.zeros((1, 1)), jnp.zeros((1, 1))  # midway between the two
        >>> round(levels_nats(level, x_t, values, alpha=one, sigma=one).item(), 3)  # log 2
        0.693
    """
    standardized = jnp.subtract.outer(x_t, alpha * values) / sigma
    return -categorical_log_prob(level, -0.5 * jnp.square(standardized))
