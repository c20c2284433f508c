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


class Posterior(NamedTuple):
    """q(z | x) = N(mean, exp(log_var)), in nats' natural variables."""

    mean: Float[Array, 'batch latent']
    log_var: Float[Array, 'batch latent']


def reparameterize(posterior: Posterior, keys: UInt32[Array, 'batch 2']):
    """z = mean + exp(log_var / 2) * noise (section 2.4), the noise of each row from its own key."""
    noise = jax.vmap(lambda key: jax.random.normal(key, posterior.mean.shape[1:]))(keys)
    return posterior.mean + jnp.exp(0.5 * posterior.log_var) * noise


def vae(
    encoder: nn.Module,
    decoder: nn.Module,
    observation: Observation,
    spec: Spec,
    latent_dim: int,
    num_importance_samples: int,
    importance_chunk: int,
) -> game.Family:
    """A game of one player.

    Args:
      encoder: [batch, *event] -> [batch, 2 * latent_dim], mean and log variance side by side.
      decoder: [batch, latent_dim] -> [batch, *event, observation.size].
      observation: p(x | z).
      spec: of the data; x reaches the encoder scaled to [0, 1] where its range is known.
      latent_dim: dimensions of z.
      num_importance_samples: k of the estimate of log p(x), Burda et al. 2015, equation 8.
      importance_chunk: how many of them are decoded at once; memory only, not the result's law.
    """
    scale = 1.0 if spec.levels is None else 1.0 / (spec.levels - 1)

    def posterior(params, x) -> Posterior:
        output = encoder.apply({'params': params['model']['encoder']}, x * scale)
        return Posterior(*jnp.split(output, 2, axis=-1))

    def likelihood_parameters(params, z):
        return decoder.apply({'params': params['model']['decoder']}, z)

    def terms(params, x, keys):
        """log p(x | z) at one posterior sample, and the analytic KL; both [batch], nats."""
        q = posterior(params, x)
        z = reparameterize(q, keys)
        log_likelihood = observation.log_prob(x, likelihood_parameters(params, z))
        return log_likelihood, elbo.kl_standard_normal(q.mean, q.log_var)

    def init(key, batch):
        x = batch['x'][:1]
        encoder_key, decoder_key = jax.random.fold_in(key, 0), jax.random.fold_in(key, 1)
        z = jnp.zeros((1, latent_dim))
        params = {
            'encoder': encoder.init(encoder_key, x)['params'],
            'decoder': decoder.init(decoder_key, z)['params'],
        }
        return {'model': params}, {'model': {}}

    def loss(params, extra, batch, draw, step, hypers):
        del step
        log_likelihood, kl = terms(params, batch['x'], draw.keys)
        bound = elbo.elbo(log_likelihood, kl, hypers['beta'])
        return {'model': -jnp.mean(bound)}, (extra, _report(log_likelihood, kl))

    def metrics(params, extra, batch, draw):
        del extra
        return _report(*terms(params, batch['x'], draw.keys))

    def sample(params, extra, draw, condition):
        del extra, condition
        z = _normal(draw.keys, 0, (latent_dim,))
        pixel_keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(draw.keys, 1)
        return observation.sample(pixel_keys, likelihood_parameters(params, z))

    def encode(params, extra, batch, draw):
        del extra, draw
        return posterior(params, batch['x']).mean

    def decode(params, extra, codes):
        del extra
        return observation.mean(likelihood_parameters(params, codes))

    def reconstruct(params, extra, batch, draw):
        return decode(params, extra, encode(params, extra, batch, draw))

    def log_weights(params, x, q, keys):
        """log p(x, z) - log q(z | x) at one sample a row: [batch], nats."""
        z = reparameterize(q, keys)
        log_likelihood = observation.log_prob(x, likelihood_parameters(params, z))
        prior = elbo.diagonal_gaussian_log_prob(z, jnp.zeros_like(z), jnp.zeros_like(z))
        return log_likelihood + prior - elbo.diagonal_gaussian_log_prob(z, q.mean, q.log_var)

    def log_prob(params, extra, batch, draw):
        del extra
        x = batch['x']
        q = posterior(params, x)

        def weights(number):
            keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(draw.keys, number)
            return log_weights(params, x, q, keys)

        numbers = jnp.arange(num_importance_samples)
        chunk = min(importance_chunk, num_importance_samples)
        return elbo.importance_weighted_bound(jax.lax.map(weights, numbers, batch_size=chunk))

    return game.Family(
        init=init,
        turns=(game.Turn(('model',), loss),),
        metrics=metrics,
        sample=sample,
        encode=encode,
        decode=decode,
        reconstruct=reconstruct,
        log_prob=game.LogProb(log_prob, 'estimate', num_importance_samples),
    )


def _normal(keys, part: int, shape) -> Float[Array, 'batch *shape']:
    return jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, part), shape))(keys)


def _report(log_likelihood, kl) -> dict[str, Float[Array, 'batch']]:
    """Per example, in nats; the ELBO proper, whatever beta the loss uses."""
    return {
        'elbo_nats': log_likelihood - kl,
        'reconstruction_nats': -log_likelihood,
        'kl_nats': kl,
    }
