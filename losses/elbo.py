"""Likelihoods, KL divergences and the bounds built from them, in nats per example.

Every function keeps all constants and the axis `batch`, so the caller takes the batch mean. All but
`kl_standard_normal_by_dim` sum over the axes of an event. Nothing is broadcast: mismatched shapes
raise ValueError. Arguments must be float32 or wider, so a network that computes in bfloat16 has to
cast its outputs.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from losses import _stable_logs


def kl_standard_normal(
    mean: Float[Array, 'batch latent'], log_var: Float[Array, 'batch latent']
) -> Float[Array, 'batch']:
    """KL(N(mean, exp(log_var)) || N(0, I)) in nats.

        1/2 sum_j [exp(log_var_j) + mean_j^2 - 1 - log_var_j]

    Kingma & Welling (2014), Auto-Encoding Variational Bayes, appendix B. The formula there is that
    of -KL, because the bound contains -KL.

    Raises:
        ValueError: if the shapes differ or are not (batch, latent).

    Example:
        >>> print(kl_standard_normal(jnp.asarray([[0.0, 2.0]]), jnp.zeros((1, 2))))
        [2.]
    """
    return jnp.sum(kl_standard_normal_by_dim(mean, log_var), -1)


def kl_standard_normal_by_dim(
    mean: Float[Array, 'batch latent'], log_var: Float[Array, 'batch latent']
) -> Float[Array, 'batch latent']:
    """The per-dimension terms of `kl_standard_normal` in nats; raises the same errors.

    Example:
        >>> print(kl_standard_normal_by_dim(jnp.asarray([[0.0, 2.0]]), jnp.zeros((1, 2))))
        [[0. 2.]]
    """
    _require_same_shape(rank=2, mean=mean, log_var=log_var)
    return 0.5 * (jnp.expm1(log_var) - log_var + jnp.square(mean))


def kl_diagonal_gaussians(
    mean_q: Float[Array, 'batch latent'],
    log_var_q: Float[Array, 'batch latent'],
    mean_p: Float[Array, 'batch latent'],
    log_var_p: Float[Array, 'batch latent'],
) -> Float[Array, 'batch']:
    """KL(N(mean_q, exp(log_var_q)) || N(mean_p, exp(log_var_p))) in nats.

        1/2 sum_j [exp(d_j) - 1 - d_j + (mean_q_j - mean_p_j)^2 / exp(log_var_p_j)],
        d = log_var_q - log_var_p

    Kullback (1959), Information Theory and Statistics, chapter 9, for diagonal covariances. In
    float32 the result overflows to infinity above about d_j = 88, where the true value is about
    e^88 / 2.

    Raises:
        ValueError: if the shapes differ or are not (batch, latent).

    Example:
        >>> mean, zeros = jnp.asarray([[0.0, 3.0]]), jnp.zeros((1, 2))
        >>> print(kl_diagonal_gaussians(mean, zeros, zeros, zeros))  # 3^2 / 2
        [4.5]
    """
    _require_same_shape(
        rank=2, mean_q=mean_q, log_var_q=log_var_q, mean_p=mean_p, log_var_p=log_var_p
    )
    log_ratio = log_var_q - log_var_p
    shift = (mean_q - mean_p) * jnp.exp(-0.5 * log_var_p)
    return 0.5 * _sum_event(jnp.expm1(log_ratio) - log_ratio + jnp.square(shift))


def diagonal_gaussian_log_prob(
    x: Float[Array, 'batch *event'],
    mean: Float[Array, 'batch *event'],
    log_var: Float[Array, 'batch *event'],
) -> Float[Array, 'batch']:
    """log N(x; mean, exp(log_var)) in nats, for an event of any shape.

        -1/2 sum_j [log(2 pi) + log_var_j + (x_j - mean_j)^2 / exp(log_var_j)]

    Use it for latents, and for continuous data as an observation model with learned variance.
    As the log of a density, it depends on the units of x, and for quantised x it is unbounded
    above. Kingma & Welling (2014), appendix C.2.

    Raises:
        ValueError: if the shapes differ or there is no batch axis.

    Example:
        >>> x = jnp.zeros((1, 2))
        >>> round(diagonal_gaussian_log_prob(x, x, x).item(), 3)  # -log(2 pi)
        -1.838
    """
    _require_same_shape(x=x, mean=mean, log_var=log_var)
    standardized = (x - mean) * jnp.exp(-0.5 * log_var)
    return -0.5 * _sum_event(math.log(2 * math.pi) + log_var + jnp.square(standardized))


def bernoulli_log_prob(
    x: Float[Array, 'batch *event'], logits: Float[Array, 'batch *event']
) -> Float[Array, 'batch']:
    """Log probability in nats of x in {0, 1} under independent Bernoulli(sigmoid(logits)).

        sum_j [x_j log sigmoid(logits_j) + (1 - x_j) log sigmoid(-logits_j)]

    For grey targets, 0 < x < 1, this is a cross-entropy. That is a loss, but not a likelihood of x,
    because it does not sum to one over grey values. Kingma & Welling (2014), appendix C.1.

    Raises:
        ValueError: if the shapes differ or there is no batch axis.

    Example:
        >>> round(bernoulli_log_prob(jnp.ones((1, 2)), jnp.zeros((1, 2))).item(), 3)  # -log 4
        -1.386
    """
    _require_same_shape(x=x, logits=logits)
    return _sum_event(_stable_logs.log_binomial_powers(x, logits, 1))


def categorical_log_prob(
    x: Real[Array, 'batch *event'], logits: Float[Array, 'batch *event levels']
) -> Float[Array, 'batch']:
    """Log probability in nats of the levels x under independent softmax(logits).

        sum_j [logits_{j, x_j} - logsumexp_l logits_{j, l}]

    x holds whole numbers 0 .. levels-1 as integers or floats; larger values give NaN. This is the
    softmax over pixel values of van den Oord et al. (2016), Pixel Recurrent Neural Networks,
    section 3.

    Raises:
        ValueError: if logits does not have the shape of x plus one axis, or there is no batch axis.

    Example:
        >>> round(categorical_log_prob(jnp.ones((1, 2)), jnp.zeros((1, 2, 4))).item(), 3)  # -log 16
        -2.773
    """
    _require_same_shape(trailing=logits.shape[-1:], x=x, logits=logits)
    index = x.astype(jnp.int32)[..., None]
    log_probs = jnp.take_along_axis(jax.nn.log_softmax(logits), index, axis=-1, mode='fill')
    return _sum_event(log_probs[..., 0])


def binomial_log_prob(
    x: Real[Array, 'batch *event'], logits: Float[Array, 'batch *event'], num_trials: int
) -> Float[Array, 'batch']:
    """Log probability in nats of x under independent Binomial(num_trials, sigmoid(logits)).

        sum_j [log C(n, x_j) + x_j log sigmoid(logits_j) + (n - x_j) log sigmoid(-logits_j)]

    x holds whole numbers 0 .. n = num_trials as integers or floats; values above n give NaN. This
    is the standard probability mass function: Johnson, Kemp & Kotz (2005), Univariate Discrete
    Distributions, equation 3.2. In float32 the probabilities of up to 2^16 levels sum to one within
    1e-5.

    Raises:
        ValueError: if the shapes differ or there is no batch axis, or if num_trials < 1.

    Example:
        >>> log_prob = binomial_log_prob(jnp.ones((1, 2)), jnp.zeros((1, 2)), num_trials=2)
        >>> round(log_prob.item(), 3)  # 2 log(1/2)
        -1.386
    """
    _require_same_shape(x=x, logits=logits)
    if num_trials < 1:
        raise ValueError(f'num_trials is {num_trials}, but a binomial needs at least one trial.')
    return _sum_event(_stable_logs.log_binomial(x, logits, num_trials))


def discretized_logistic_mixture_log_prob(
    x: Real[Array, 'batch *event'],
    mixture_logits: Float[Array, 'batch *event components'],
    means: Float[Array, 'batch *event components'],
    log_scales: Float[Array, 'batch *event components'],
    levels: int,
) -> Float[Array, 'batch']:
    """Log probability in nats of the levels x under a mixture of discretised logistics.

        sum_j log sum_k softmax(mixture_logits_j)_k [F_jk(x_j + 1/2) - F_jk(x_j - 1/2)]
        F_jk(v) = sigmoid((2 v / (levels - 1) - 1 - means_jk) / exp(log_scales_jk)),
        F_jk(-1/2) = 0,  F_jk(levels - 1/2) = 1

    x holds whole numbers 0 .. levels-1 as integers or floats; means and scales are in the units of
    x rescaled to [-1, 1]. The first and last bins include the tails, so the levels' probabilities
    sum to one. This is Salimans et al. (2017), PixelCNN++, section 2.1, equation 2, without their
    approximation for narrow bins. Elements of an event are independent given the arguments, whereas
    in their section 2.2 the three colours of a pixel share the component.

    log_scales below -60 are clipped to -60 and get no gradient. The result is finite in float32 for
    |means| < 1e10.

    Raises:
        ValueError: if mixture_logits, means and log_scales do not all have the shape of x plus the
            same last axis, there is no batch axis, or levels < 2.

    Example:
        >>> zeros = jnp.zeros((1, 2, 4))  # the means are midway between the two levels
        >>> x, arguments = jnp.ones((1, 2)), (zeros, zeros, zeros)
        >>> log_prob = discretized_logistic_mixture_log_prob(x, *arguments, levels=2)
        >>> round(log_prob.item(), 3)  # 2 log(1/2)
        -1.386
    """
    _require_same_shape(
        trailing=mixture_logits.shape[-1:],
        x=x,
        mixture_logits=mixture_logits,
        means=means,
        log_scales=log_scales,
    )
    if levels < 2:
        raise ValueError(f'levels is {levels}, but a discretised logistic needs at least two.')
    level = x.astype(means.dtype)[..., None]
    log_masses = _stable_logs.log_logistic_bin_mass(level, means, log_scales, levels)
    return _sum_event(jax.nn.logsumexp(jax.nn.log_softmax(mixture_logits) + log_masses, axis=-1))


def elbo(
    log_likelihood_nats: Float[Array, 'batch'],
    kl_nats: Float[Array, 'batch'],
    beta: float | Float[Array, ''],
) -> Float[Array, 'batch']:
    """log_likelihood_nats - beta * kl_nats: the evidence lower bound in nats, to be maximised.

    A lower bound on log p(x) for beta >= 1, tightest at beta = 1. For beta < 1 it is an objective,
    but not a bound. Kingma & Welling (2014), equation 3; beta from Higgins et al. (2017), beta-VAE,
    equation 4.

    Raises:
        ValueError: if the shapes differ or are not (batch,), or if beta is not a scalar.

    Example:
        >>> print(elbo(jnp.asarray([-3.0]), jnp.asarray([1.0]), beta=2.0))
        [-5.]
    """
    _require_same_shape(rank=1, log_likelihood_nats=log_likelihood_nats, kl_nats=kl_nats)
    _require_same_shape(rank=0, beta=beta)
    return log_likelihood_nats - beta * kl_nats


def importance_weighted_bound(log_weights: Float[Array, 'samples batch']) -> Float[Array, 'batch']:
    """The k-sample bound on log p(x) in nats, where k is the length of the axis `samples`.

        logsumexp_i log_weights_i - log k,  log_weights_i = log p(x, z_i) - log q(z_i | x)

    Its expectation rises with k, from the ELBO at k = 1 to log p(x). Burda et al. (2015),
    Importance Weighted Autoencoders, equation 8.

    Raises:
        ValueError: if the shape is not (samples, batch), or if there are no samples.

    Example:
        >>> log_weights = jnp.log(jnp.asarray([[1.0], [3.0]]))
        >>> round(importance_weighted_bound(log_weights).item(), 3)  # log of the mean weight, 2
        0.693
    """
    _require_same_shape(rank=2, log_weights=log_weights)
    num_samples = log_weights.shape[0]
    if num_samples < 1:
        raise ValueError(f'log_weights has shape {log_weights.shape}, but needs a sample or more.')
    return jax.nn.logsumexp(log_weights, axis=0) - math.log(num_samples)


def _require_same_shape(rank=None, trailing=(), **arrays):
    """Checks that the first array has `rank` axes, and the others its shape plus `trailing`."""
    (first, reference), *others = ((name, jnp.shape(array)) for name, array in arrays.items())
    if rank is None and not reference:
        raise ValueError(f'{first} has shape (), but needs a batch axis.')
    if rank is not None and len(reference) != rank:
        raise ValueError(f'{first} has shape {reference}, but needs {rank} axes.')
    for name, shape in others:
        if shape != reference + trailing:
            raise ValueError(
                f'{name} has shape {shape}, but {first} has shape {reference}, '
                f'so {name} needs shape {reference + trailing}: nothing is broadcast.'
            )


def _sum_event(values):
    """Sums over all axes except the batch."""
    return jnp.sum(values, axis=tuple(range(1, values.ndim)))
