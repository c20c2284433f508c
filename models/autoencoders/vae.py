"""The variational autoencoder (Kingma and Welling 2014) with a diagonal Gaussian posterior.

The training loss is an `Objective` (`models.autoencoders.vae_objectives`); everything else is the
same for all objectives. In a conditional VAE (Sohn et al. 2015), the encoder and the decoder also
take the class or another condition: a code is z followed by the one-hot class, or by the features
of the condition.
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from atelier.core import game
from atelier.core.abilities import (
    BitsBack,
    BoundTerms,
    Codes,
    PerExample,
    reconstruct_by_codes,
)
from atelier.core.code_likelihood import CodeLikelihood
from atelier.core.family import Family, present
from atelier.core.randomness import fold_in, standard_normal
from atelier.core.types import Batch, Weights
from atelier.data.dataset import Spec
from atelier.errors import check_sizes
from losses import elbo
from models.autoencoders.collapse_advice import adviser
from models.autoencoders.importance import bound_of_samples, check_estimate, importance_estimate
from models.nets.conditioning import (
    conditional_sample,
    features_in,
    given_in,
    is_on_class,
    with_requested,
)
from models.shared.bayes_classifier import classifier_by_bayes_rule
from models.shared.observations import Observation, level_log_probs
from models.shared.reconstruction_inpainting import by_reconstruction

LABEL_DRAW = 2  # index folded into each row's key


class VAENetworks(NamedTuple):
    """The components of a VAE.

    encoder: [batch, *event] -> [batch, 2 * latent_dim], concatenated mean and log variance; if
      conditional, it also takes the label [batch], or features [batch, features].
    decoder: [batch, latent_dim] -> [batch, *event, observation.size]; if conditional, its input is
      z followed by the one-hot class or the features.
    observation: p(x | z).
    latent_dim: dimensions of z.
    spec: spec of the data; the encoder takes x normalized with it.
    is_conditional: whether encoder and decoder take the label, or the condition of the data.
    map_shape: shape of z as a map, as in `Codes`; () if it is flat.
    """

    encoder: nn.Module
    decoder: nn.Module
    observation: Observation
    latent_dim: int
    spec: Spec
    is_conditional: bool = False
    map_shape: tuple[int, ...] = ()


class Posterior(NamedTuple):
    """q(z | x) = N(mean, exp(log_var))."""

    mean: Float[Array, 'batch latent']
    log_var: Float[Array, 'batch latent']


class Objective(NamedTuple):
    """A training loss, the metrics that evaluation reports, and advice against posterior collapse.

    loss: (nets, params, batch, rng, step, hypers) -> (scalar, metrics).
    metrics: (nets, params, batch, rng) -> {name: [batch]}.
    advice: config changes against posterior collapse, worded to follow 'in a new --workdir,'.
    """

    loss: Callable
    metrics: Callable
    advice: str


def reparameterize(posterior: Posterior, keys: UInt32[Array, 'batch 2']):
    """z = mean + exp(log_var / 2) * noise (section 2.4), with a separate key for each row."""
    noise = standard_normal(keys, *posterior.mean.shape[1:])
    return posterior.mean + jnp.exp(0.5 * posterior.log_var) * noise


def posterior(nets: VAENetworks, params, batch: Batch) -> Posterior:
    """q(z | x) of each row, or q(z | x, label) if conditional."""
    inputs = encoder_inputs(nets, {**batch, 'x': nets.spec.normalize(batch['x'])})
    output = nets.encoder.apply({'params': params['model']['encoder']}, *inputs)
    return Posterior(*jnp.split(output, 2, axis=-1))


def encoder_inputs(nets: VAENetworks, batch: Batch) -> tuple[Array, ...]:
    """The encoder's arguments: x and, if conditional, the label or features."""
    return (batch['x'], given_in(batch, nets.spec)) if nets.is_conditional else (batch['x'],)


def decoder_input(nets: VAENetworks, z: Float[Array, 'batch latent'], batch: Batch):
    """The decoder's input: z, followed by each row's one-hot class or features if conditional."""
    if not nets.is_conditional:
        return z
    return jnp.concatenate([z, features_in(batch, nets.spec)], -1)


def decode(nets: VAENetworks, params, codes: Float[Array, 'batch codes']):
    """The parameters of p(x | z), [batch, *event, observation.size]."""
    return nets.decoder.apply({'params': params['model']['decoder']}, codes)


def log_likelihood(nets: VAENetworks, params, z, batch: Batch) -> Float[Array, 'batch']:
    """log p(x | z) of each row in nats."""
    return nets.observation.log_prob(
        batch['x'], decode(nets, params, decoder_input(nets, z, batch))
    )


def elbo_terms(q: Posterior, log_likelihood_nats: Float[Array, 'batch']) -> dict[str, Array]:
    """Returns the terms of the bound in nats (Kingma and Welling 2014, equation 10).

    They are -log p(x | z), the analytic KL, and the evidence lower bound. The bound `elbo_nats` is
    unweighted, whatever the objective.
    """
    kl = elbo.kl_standard_normal(q.mean, q.log_var)
    return {
        'elbo_nats': elbo.elbo(log_likelihood_nats, kl, 1.0),
        'reconstruction_nats': -log_likelihood_nats,
        'kl_nats': kl,
    }


def log_weight_and_likelihood(
    nets: VAENetworks, params, z, batch: Batch, q: Posterior
) -> tuple[Float[Array, 'batch'], Float[Array, 'batch']]:
    """Returns (log p(x, z) - log q(z | x), log p(x | z)) of each row in nats."""
    log_px_given_z = log_likelihood(nets, params, z, batch)
    return log_weight(log_px_given_z, z, q), log_px_given_z


def log_weight(
    log_px_given_z: Float[Array, 'batch'], z: Float[Array, 'batch latent'], q: Posterior
) -> Float[Array, 'batch']:
    """Returns log p(x, z) - log q(z | x) of each row in nats, for the prior N(0, I)."""
    log_prior = elbo.diagonal_gaussian_log_prob(z, jnp.zeros_like(z), jnp.zeros_like(z))
    return log_px_given_z + log_prior - elbo.diagonal_gaussian_log_prob(z, *q)


def importance_weighted_log_prob(
    nets: VAENetworks, params, batch: Batch, keys, num_samples: int, chunk: int
) -> Float[Array, 'batch']:
    """Estimates log p(x) in nats with k = num_samples: Burda et al. (2015), equation 8.

    Every sample of every row has its own key.
    """
    q = posterior(nets, params, batch)

    def log_weights(index):
        z = reparameterize(q, fold_in(keys, index))
        return log_weight_and_likelihood(nets, params, z, batch, q)[0]

    return bound_of_samples(log_weights, num_samples, chunk)


def initialize(nets: VAENetworks, key, batch: Batch) -> Weights:
    """Initializes encoder and decoder; there are no other collections."""
    first = {name: array[:1] for name, array in batch.items()}
    inputs = encoder_inputs(nets, first)
    codes = decoder_input(nets, jnp.zeros((1, nets.latent_dim)), first)
    params = {
        'encoder': nets.encoder.init(jax.random.fold_in(key, 0), *inputs)['params'],
        'decoder': nets.decoder.init(jax.random.fold_in(key, 1), codes)['params'],
    }
    return Weights({'model': params}, {'model': {}})


def prior(nets: VAENetworks, keys, condition: Batch | None = None):
    """Draws codes: z ~ N(0, I) and, if conditional, the requested or a random condition."""
    z, label_keys = standard_normal(fold_in(keys, 0), nets.latent_dim), fold_in(keys, LABEL_DRAW)
    return with_requested(z, label_keys, condition, nets.spec, nets.is_conditional)


def vae(
    nets: VAENetworks, objective: Objective, num_importance_samples: int, importance_chunk: int
) -> Family:
    """The VAE as a game of one player, `model`; its hypers are those of the objective.

    log_prob estimates log p(x), or log p(x | label) if conditional.
    """
    check_sizes(nets, 'latent_dim')
    check_estimate(num_importance_samples, importance_chunk)
    levels = nets.spec.levels

    def loss(weights, batch, rng, step, hypers):
        value, terms = objective.loss(nets, weights.params, batch, rng, step, hypers)
        return {'model': value}, (weights.extra, terms)

    def mean_of(weights, codes):
        return nets.observation.mean(decode(nets, weights.params, codes))

    def sample(weights, rng, condition):
        """Draws z ~ p(z), then x ~ p(x | z)."""
        return draw_given_codes(weights, prior(nets, rng.keys, condition), fold_in(rng.keys, 1))

    def sample_mean(weights, rng, condition):
        return mean_of(weights, prior(nets, rng.keys, condition))

    def infer(weights, batch, rng):
        return posterior(nets, weights.params, batch)

    def encode(weights, batch, rng):
        return decoder_input(nets, posterior(nets, weights.params, batch).mean, batch)

    def draw_codes(weights, batch, rng):
        z = reparameterize(posterior(nets, weights.params, batch), rng.keys)
        return decoder_input(nets, z, batch)

    def nats_of(k: int) -> PerExample:
        return lambda weights, batch, rng: importance_weighted_log_prob(
            nets, weights.params, batch, rng.keys, k, importance_chunk
        )

    log_prob = importance_estimate(nats_of, num_importance_samples)

    def bound_nats(weights, batch, rng):
        terms = objective.metrics(nets, weights.params, batch, rng)
        return {name: terms[name] for name in ('reconstruction_nats', 'kl_nats')}

    def log_probs_of_levels(weights, z, given):
        parameters = decode(nets, weights.params, decoder_input(nets, z, given))
        flat = parameters.reshape(len(z), -1, parameters.shape[-1])
        return level_log_probs(nets.observation, flat, levels)

    def nats_given_codes(weights, codes, batch):
        return nets.observation.log_prob(batch['x'], decode(nets, weights.params, codes))

    def draw_given_codes(weights, codes, keys):
        return nets.observation.sample(keys, decode(nets, weights.params, codes))

    level_nats = levels and log_probs_of_levels
    return Family(
        init=lambda key, batch: initialize(nets, key, batch),
        turns=(game.Turn(('model',), loss, advise=adviser(objective.advice)),),
        metrics=lambda weights, batch, rng: objective.metrics(nets, weights.params, batch, rng),
        abilities=present(
            conditional_sample(sample, LABEL_DRAW, nets.spec, nets.is_conditional, sample_mean),
            Codes(
                encode,
                decode=mean_of,
                prior=lambda weights, rng: prior(nets, rng.keys),
                posterior=infer,
                dims=(nets.latent_dim,) if nets.is_conditional else (),
                has_class=is_on_class(nets.spec, nets.is_conditional),
                map_shape=nets.map_shape,
            ),
            reconstruct_by_codes(encode, mean_of),
            by_reconstruction(nets.spec, draw_codes, mean_of),
            log_prob,
            BoundTerms(bound_nats),
            CodeLikelihood(nats_given_codes, draw_given_codes, level_nats),
            level_nats and BitsBack(level_nats),
            classifier_by_bayes_rule(log_prob.nats, nets.spec, nets.is_conditional),
        ),
    )
