"""The variational autoencoder (Kingma and Welling 2014) with a diagonal Gaussian posterior."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

import game
from datasets.dataset import Spec
from losses import elbo
from models.observations import Observation


class Networks(NamedTuple):
    """What a VAE is made of.

    encoder: [batch, *event] -> [batch, 2 * latent_dim], mean and log variance side by side.
    decoder: [batch, latent_dim] -> [batch, *event, observation.size].
    observation: p(x | z).
    latent_dim: dimensions of z.
    spec: of the data; the encoder sees x normalized as it says.
    """

    encoder: nn.Module
    decoder: nn.Module
    observation: Observation
    latent_dim: int
    spec: Spec


class Posterior(NamedTuple):
    """q(z | x) = N(mean, exp(log_var))."""

    mean: Float[Array, 'batch latent']
    log_var: Float[Array, 'batch latent']


def reparameterize(posterior: Posterior, keys: UInt32[Array, 'batch 2']):
    """z = mean + exp(log_var / 2) * noise (section 2.4), the noise of each row from its own key."""
    noise = game.standard_normal(keys, *posterior.mean.shape[1:])
    return posterior.mean + jnp.exp(0.5 * posterior.log_var) * noise


def posterior(nets: Networks, params, x: Float[Array, 'batch *event']) -> Posterior:
    """q(z | x) of each row."""
    output = nets.encoder.apply({'params': params['model']['encoder']}, nets.spec.normalize(x))
    return Posterior(*jnp.split(output, 2, axis=-1))


def decode(nets: Networks, params, z: Float[Array, 'batch latent']):
    """The parameters of p(x | z), [batch, *event, observation.size]."""
    return nets.decoder.apply({'params': params['model']['decoder']}, z)


def elbo_terms(nets: Networks, params, x, keys) -> dict[str, Float[Array, 'batch']]:
    """One posterior sample's terms of the bound (equation 10), the KL analytic; in nats.

    `elbo_nats` is the evidence lower bound proper, whatever beta the loss uses.
    """
    q = posterior(nets, params, x)
    z = reparameterize(q, keys)
    log_likelihood = nets.observation.log_prob(x, decode(nets, params, z))
    kl = elbo.kl_standard_normal(q.mean, q.log_var)
    return {
        'elbo_nats': log_likelihood - kl,
        'reconstruction_nats': -log_likelihood,
        'kl_nats': kl,
    }


def importance_weighted_log_prob(
    nets: Networks, params, x, keys, num_samples: int, chunk: int
) -> Float[Array, 'batch']:
    """Estimate of log p(x) in nats with k = num_samples: Burda et al. 2015, equation 8.

    `chunk` samples are decoded at once: memory only. Sample s of a row has a key of its own.
    """
    q = posterior(nets, params, x)

    def log_weights(number):
        """log p(x, z) - log q(z | x)."""
        z = reparameterize(q, game.part_of(keys, number))
        log_likelihood = nets.observation.log_prob(x, decode(nets, params, z))
        prior = elbo.diagonal_gaussian_log_prob(z, jnp.zeros_like(z), jnp.zeros_like(z))
        return log_likelihood + prior - elbo.diagonal_gaussian_log_prob(z, q.mean, q.log_var)

    numbers = jnp.arange(num_samples)
    weights = jax.lax.map(log_weights, numbers, batch_size=min(chunk, num_samples))
    return elbo.importance_weighted_bound(weights)


def initialize(nets: Networks, key, batch: game.Batch):
    """({'model': {'encoder', 'decoder'}}, no other collections)."""
    z = jnp.zeros((1, nets.latent_dim))
    params = {
        'encoder': nets.encoder.init(jax.random.fold_in(key, 0), batch['x'][:1])['params'],
        'decoder': nets.decoder.init(jax.random.fold_in(key, 1), z)['params'],
    }
    return {'model': params}, {'model': {}}


def prior(nets: Networks, keys: UInt32[Array, 'batch 2']) -> Float[Array, 'batch latent']:
    """The z ~ p(z) = N(0, I) that `sample` decodes."""
    return game.standard_normal(game.part_of(keys, 0), nets.latent_dim)


def sample(nets: Networks, params, keys) -> Float[Array, 'batch *event']:
    """x ~ p(x | z), z ~ p(z), from one key a row."""
    return nets.observation.sample(game.part_of(keys, 1), decode(nets, params, prior(nets, keys)))


def vae(nets: Networks, num_importance_samples: int, importance_chunk: int) -> game.Family:
    """A game of one player, `model`; its hypers: beta, the weight of the KL."""

    def loss(params, extra, batch, draw, step, hypers):
        del step
        terms = elbo_terms(nets, params, batch['x'], draw.keys)
        bound = elbo.elbo(-terms['reconstruction_nats'], terms['kl_nats'], hypers['beta'])
        return {'model': -jnp.mean(bound)}, (extra, terms)

    def mean_of(params, extra, codes):
        return nets.observation.mean(decode(nets, params, codes))

    def encode(params, extra, batch, draw):
        return posterior(nets, params, batch['x']).mean

    def log_prob(params, extra, batch, draw):
        return importance_weighted_log_prob(
            nets, params, batch['x'], draw.keys, num_importance_samples, importance_chunk
        )

    return game.Family(
        init=lambda key, batch: initialize(nets, key, batch),
        turns=(game.Turn(('model',), loss),),
        metrics=lambda params, extra, batch, draw: elbo_terms(nets, params, batch['x'], draw.keys),
        sample=lambda params, extra, draw, condition: sample(nets, params, draw.keys),
        prior=lambda params, extra, draw: prior(nets, draw.keys),
        encode=encode,
        posterior=lambda params, extra, batch, draw: posterior(nets, params, batch['x']),
        decode=mean_of,
        reconstruct=lambda params, extra, batch, draw: mean_of(
            params, extra, encode(params, extra, batch, draw)
        ),
        log_prob=game.LogProb(log_prob, 'estimate', num_importance_samples),
    )
