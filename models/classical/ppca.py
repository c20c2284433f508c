"""Probabilistic PCA in closed form: Tipping and Bishop (1999).

    z ~ N(0, I),  x = W z + mean + noise,  noise ~ N(0, noise_variance I)

This is a linear VAE at its optimum, with a known posterior. The likelihood, the codes, and draws of
the hidden part of an example given the rest are exact.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.core.abilities import Codes, Inpaint, LogProb, Sample, reconstruct_by_codes
from atelier.core.code_likelihood import CodeLikelihood
from atelier.core.family import Family
from atelier.core.randomness import Rng, fold_in, standard_normal
from atelier.core.types import Batch
from atelier.data.dataset import Spec
from atelier.data.image_sizes import image_advice
from atelier.errors import UserError, above_zero, check_sizes
from models.classical.components import TINY
from models.classical.estimator import Estimator, Statistics, fit_turn, initial_weights
from models.classical.gaussian_components import LOG_2_PI, NO_PRIOR, full_gaussian
from models.classical.mixture import log_volume, scaled, unscaled

LATENT_DRAW, NOISE_DRAW = 0, 1
# whose covariance a CPU core decomposes in about two minutes; the time grows with the cube
MAX_DIMS = 4096
GAUSSIAN = full_gaussian(NO_PRIOR)  # for moments and inpainting
Rows = Float[Array, 'batch dims']


class PPCAParts(NamedTuple):
    """The parts of probabilistic PCA.

    latent_dim: dimensions of z, fewer than x has.
    spec: spec of the data, which are real-valued.
    variance_floor: lower bound of the noise variance, for normalized x.
    forgetting: as in `models.classical.estimator.fit_turn`.
    """

    latent_dim: int
    spec: Spec
    variance_floor: float
    forgetting: float


def check(parts: PPCAParts) -> None:
    """Refuses an invalid model.

    Raises:
      UserError: a setting is invalid, or x has too many dimensions; the message names the field.
    """
    check_sizes(parts, 'latent_dim')
    above_zero('model.variance_floor', parts.variance_floor)
    dims = parts.spec.num_dims
    if dims > MAX_DIMS:
        raise UserError(
            f'config.data: {dims} dimensions are more than {MAX_DIMS}, the limit for PPCA, whose '
            'covariance is decomposed in a time that grows with their cube'
            f'{image_advice(parts.spec, dims**2, MAX_DIMS**2)}'
        )
    if parts.latent_dim >= dims:
        raise UserError(
            f'config.model.latent_dim={parts.latent_dim}: give fewer than the '
            f'{dims} dimensions of an example'
        )


def ppca(parts: PPCAParts) -> Family:
    """Returns the family of one player, `model`, fitted in one step to the whole training split.

    params: 'mean' [dims], 'noise_variance' and 'loadings' [dims, latent]. The columns W_j of the
    loadings are orthogonal, so that the posterior has independent dimensions.
    """
    check(parts)
    estimator, spec = estimator_of(parts), parts.spec

    def init(key, batch):
        del key
        return initial_weights(estimator, moments(scaled(spec, batch['x'])))

    def nats(weights, batch, rng):
        del rng
        return log_prob(weights.params['model'], scaled(spec, batch['x'])) - log_volume(spec)

    def infer(weights, batch, rng):
        del rng
        return posterior(weights.params['model'], scaled(spec, batch['x']))

    def decode(weights, codes):
        params = weights.params['model']
        return unscaled(spec, codes @ params['loadings'].T + params['mean'])

    def prior(weights, rng):
        keys = fold_in(rng.keys, LATENT_DRAW)
        return standard_normal(keys, parts.latent_dim)

    def draw_given_codes(weights, codes, keys):
        mean, noise = scaled(spec, decode(weights, codes)), standard_normal(keys, spec.num_dims)
        return unscaled(spec, mean + jnp.sqrt(weights.params['model']['noise_variance']) * noise)

    def nats_given_codes(weights, codes, batch):
        variance = weights.params['model']['noise_variance']
        noise = scaled(spec, batch['x']) - scaled(spec, decode(weights, codes))
        terms = jnp.square(noise) / variance + jnp.log(variance) + LOG_2_PI
        return -0.5 * jnp.sum(terms, axis=-1) - log_volume(spec)

    def sample(weights, rng, condition):
        del condition
        return draw_given_codes(weights, prior(weights, rng), fold_in(rng.keys, NOISE_DRAW))

    def sample_mean(weights, rng, condition):
        del condition
        return decode(weights, prior(weights, rng))

    def encode(weights, batch, rng):
        return infer(weights, batch, rng)[0]

    def inpaint(weights, batch, rng):
        return inpainted(spec, weights.params['model'], batch, rng)

    return Family(
        init=init,
        turns=(fit_turn(estimator, parts.forgetting),),
        metrics=lambda *arguments: {'log_prob_nats': nats(*arguments)},
        abilities=(
            Sample(sample, mean=sample_mean),
            Codes(encode, decode, prior, posterior=infer, dims=(parts.latent_dim,)),
            CodeLikelihood(nats_given_codes, draw_given_codes),
            reconstruct_by_codes(encode, decode),
            Inpaint(inpaint),
            LogProb(nats, 'exact'),
        ),
    )


def estimator_of(parts: PPCAParts) -> Estimator:
    """Returns the estimator, which applies equations 7 and 8 of the paper to the moments of x."""

    def statistics(weights, batch):
        x = scaled(parts.spec, batch['x'])
        nats = log_volume(parts.spec) - log_prob(weights.params['model'], x)
        return moments(x), nats

    def maximize(stats):
        covariance = stats['scatter'][0] / jnp.maximum(stats['count'][0], TINY)
        variances, axes = jnp.linalg.eigh(covariance)  # the smallest first
        kept = variances.shape[0] - parts.latent_dim
        noise = jnp.maximum(jnp.mean(variances[:kept]), parts.variance_floor)
        scales = jnp.sqrt(jnp.maximum(variances[kept:][::-1] - noise, 0.0))
        loadings = axes[:, kept:][:, ::-1] * scales
        return {'mean': stats['mean'][0], 'noise_variance': noise, 'loadings': loadings}, {}

    return Estimator(statistics, GAUSSIAN.pooled, maximize)


def moments(x: Rows) -> Statistics:
    """Returns the moments of x as those of a single Gaussian."""
    return GAUSSIAN.statistics(x, jnp.ones((len(x), 1), x.dtype))


def along_axes(params, x: Rows) -> tuple[Rows, Float[Array, 'batch latent'], Array]:
    """Returns x - mean, its products with W_j, and ||W_j||^2 + noise_variance [latent]."""
    centered, loadings = x - params['mean'], params['loadings']
    return centered, centered @ loadings, jnp.square(loadings).sum(0) + params['noise_variance']


def log_prob(params, x: Rows) -> Float[Array, 'batch']:
    """Returns log N(x; mean, W W^T + noise_variance I), nats, without a matrix of dims x dims."""
    centered, products, variances = along_axes(params, x)
    noise, dims = params['noise_variance'], x.shape[1]
    distance = (
        jnp.square(centered).sum(-1) - jnp.sum(jnp.square(products) / variances, -1)
    ) / noise
    log_det = jnp.log(variances).sum() + (dims - len(variances)) * jnp.log(noise)
    return -0.5 * (distance + log_det + dims * LOG_2_PI)


def posterior(params, x: Rows) -> tuple[Float[Array, 'batch latent'], Float[Array, 'batch latent']]:
    """Returns mean and log variance of p(z | x), section 3.2 of the paper with orthogonal W_j."""
    _, products, variances = along_axes(params, x)
    mean = products / variances
    return mean, jnp.broadcast_to(jnp.log(params['noise_variance'] / variances), mean.shape)


def inpainted(spec: Spec, params, batch: Batch, rng: Rng):
    """Returns x with the hidden part drawn from the Gaussian p(hidden | known)."""
    known = batch['known'].astype(bool)
    x = scaled(spec, jnp.where(known, batch['x'], spec.denormalize(jnp.zeros_like(batch['x']))))
    noise = params['noise_variance'] * jnp.eye(x.shape[1])
    whole = params['loadings'] @ params['loadings'].T + noise
    gaussian = {'mean': params['mean'][None], 'covariance': whole[None]}
    component = jnp.zeros(len(x), jnp.int32)
    keys = fold_in(rng.keys, NOISE_DRAW)
    filled = GAUSSIAN.fill(keys, gaussian, component, x, known.reshape(len(x), -1))
    return jnp.where(known, batch['x'], unscaled(spec, filled))
