"""A variational autoencoder of items, texts that end: Bowman et al. (2016), Generating Sentences
from a Continuous Space.

    z ~ N(0, I),  p(x | z) = prod_i p(x_i | z, tokens before i),  q(z | x) = N(mean, exp(log_var))

p(x | z) can model x without z, so that the posterior collapses to the prior. Against that help a
weight of the KL that grows from 0 (section 3.1), word dropout (section 3.1: tokens that the decoder
does not read in training), and free nats (Kingma et al. 2016).
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt32

from atelier.core import game
from atelier.core.abilities import (
    BoundTerms,
    Codes,
    PerExample,
    Sample,
    reconstruct_by_codes,
)
from atelier.core.family import Family
from atelier.core.randomness import Rng, fold_in, rng_for, standard_normal
from atelier.core.types import Batch, Weights
from atelier.data.items import END_TOKEN
from atelier.errors import check_sizes
from models.autoencoders.collapse_advice import KL_ADVICE, adviser
from models.autoencoders.importance import bound_of_samples, check_estimate, importance_estimate
from models.autoencoders.vae import (
    Posterior,
    elbo_terms,
    log_weight,
    reparameterize,
)
from models.autoencoders.vae_objectives import weighted_kl
from models.autoregressive import items
from models.autoregressive.autoregressive import AutoregressiveParts
from models.autoregressive.language_model import ONLY_ORDER, log_softmax_at
from models.autoregressive.token_sampling import SamplingOptions, with_sampling

WORD_DROPOUT, DECODER_DRAW = 1, 2  # indices folded into each row's key
GREEDY = SamplingOptions(temperature=0.0)
ADVICE = (
    f'{KL_ADVICE.format("dimension")}, or hide more tokens from the decoder in training: '
    'raise --config.hypers.word_dropout'
)


class SequenceNetworks(NamedTuple):
    """The components of a sequence VAE.

    encoder: tokens [batch, length] -> [batch, 2 * latent_dim], mean and log variance of q(z | x).
    decoder: p(x | z) of whole items, as `sequence_networks.decoder_parts` returns it.
    latent_dim: dimensions of z.
    """

    encoder: nn.Module
    decoder: AutoregressiveParts
    latent_dim: int


def posterior(nets: SequenceNetworks, weights: Weights, batch: Batch) -> Posterior:
    """q(z | x) of each row; what follows the end of an item has no effect on it."""
    params = {'params': weights.params['model']['encoder']}
    output = nets.encoder.apply(params, batch['x'].astype(jnp.int32))
    return Posterior(*jnp.split(output, 2, axis=-1))


def decoder_weights(weights: Weights) -> Weights:
    """The weights of p(x | z), as its parts read them."""
    return Weights({'model': weights.params['model']['decoder']}, {'model': {}})


def log_likelihood(
    nets: SequenceNetworks, weights: Weights, z: Float[Array, 'batch latent'], batch: Batch
) -> Float[Array, 'batch']:
    """log p(x | z) of each row in nats; padding is certain and adds 0."""
    x = batch['x']
    logits = nets.decoder.parameters(decoder_weights(weights), {**batch, 'z': z}, ONLY_ORDER)
    return jnp.sum(items.without_padding(log_softmax_at(logits, x), x), 1)


def dropped_tokens(
    x: Float[Array, 'batch length'], keys: UInt32[Array, 'batch 2'], rate: Float[Array, ''] | float
) -> Bool[Array, 'batch length']:
    """Chooses each token of an item with probability `rate`, but never an end.

    The start, which the decoder reads before the first token, is no token of x and stays, too.
    """
    draw = lambda key: jax.random.bernoulli(key, rate, x.shape[1:])
    return jax.vmap(draw)(fold_in(keys, WORD_DROPOUT)) & (x != END_TOKEN)


def bound_terms(
    nets: SequenceNetworks, weights: Weights, batch: Batch, rng: Rng
) -> tuple[Posterior, dict[str, Array]]:
    """Returns q(z | x) and the terms of the evidence lower bound of each row, one sample of z."""
    q = posterior(nets, weights, batch)
    likelihood = log_likelihood(nets, weights, reparameterize(q, fold_in(rng.keys, 0)), batch)
    return q, elbo_terms(q, likelihood)


def importance_weighted_log_prob(
    nets: SequenceNetworks, weights: Weights, batch: Batch, keys, num_samples: int, chunk: int
) -> Float[Array, 'batch']:
    """Estimates log p(x) in nats with k = num_samples: Burda et al. (2015), equation 8."""
    q = posterior(nets, weights, batch)

    def log_weights(index):
        z = reparameterize(q, fold_in(keys, index))
        return log_weight(log_likelihood(nets, weights, z, batch), z, q)

    return bound_of_samples(log_weights, num_samples, chunk)


def items_given(
    nets: SequenceNetworks,
    weights: Weights,
    z: Float[Array, 'batch latent'],
    rng: Rng,
    draws: SamplingOptions,
) -> Float[Array, 'batch length']:
    """Draws an item given each code, token by token, in the data's units."""
    parts = nets.decoder
    parts = parts._replace(observation=with_sampling(parts.observation, draws))
    x = jnp.zeros((len(z), *parts.spec.event_shape))
    batch = {'x': x, 'num_known': jnp.zeros(len(z), jnp.int32), 'z': z}
    return items.completed_items(parts, decoder_weights(weights), batch, rng)


def sequence_vae(
    nets: SequenceNetworks,
    draws: SamplingOptions,
    num_importance_samples: int,
    importance_chunk: int,
) -> Family:
    """The sequence VAE as a game of one player, `model`.

    hypers: `beta`, `kl_warmup_steps` and `free_nats` as in `vae_objectives.evidence_bound`, and
    `word_dropout`, the probability with which the decoder does not read a token in training.

    A code decodes to the item of the likeliest next tokens (greedy), `sample` draws by `draws`.
    """
    check_sizes(nets, 'latent_dim')
    check_estimate(num_importance_samples, importance_chunk)

    def init(key, batch: Batch):
        x = batch['x'][:1].astype(jnp.int32)
        encoder = nets.encoder.init(jax.random.fold_in(key, 0), x)['params']
        decoder = nets.decoder.init(jax.random.fold_in(key, 1), batch).params['model']
        return Weights({'model': {'encoder': encoder, 'decoder': decoder}}, {'model': {}})

    def loss(weights, batch, rng, step, hypers):
        is_dropped = dropped_tokens(batch['x'], rng.keys, hypers['word_dropout'])
        q, terms = bound_terms(nets, weights, {**batch, 'is_dropped': is_dropped}, rng)
        value = jnp.mean(terms['reconstruction_nats']) + weighted_kl(q, rng, step, hypers)
        return {'model': value}, (weights.extra, terms)

    def metrics(weights, batch, rng):
        return bound_terms(nets, weights, batch, rng)[1]

    def prior(weights, rng):
        del weights
        return standard_normal(fold_in(rng.keys, 0), nets.latent_dim)

    def sample(weights, rng, condition):
        del condition
        drawing = rng.replace(keys=fold_in(rng.keys, DECODER_DRAW))
        return items_given(nets, weights, prior(weights, rng), drawing, draws)

    def encode(weights, batch, rng):
        del rng
        return posterior(nets, weights, batch).mean

    def decode(weights, codes):
        unused = rng_for(jax.random.PRNGKey(0), jnp.arange(len(codes)), len(codes))
        return items_given(nets, weights, codes, unused, GREEDY)

    def nats_of(k: int) -> PerExample:
        return lambda weights, batch, rng: importance_weighted_log_prob(
            nets, weights, batch, rng.keys, k, importance_chunk
        )

    def bound_nats(weights, batch, rng):
        terms = metrics(weights, batch, rng)
        return {name: terms[name] for name in ('reconstruction_nats', 'kl_nats')}

    return Family(
        init=init,
        turns=(game.Turn(('model',), loss, advise=adviser(ADVICE)),),
        metrics=metrics,
        abilities=(
            Sample(sample),
            Codes(
                encode,
                decode=decode,
                prior=prior,
                posterior=lambda weights, batch, rng: posterior(nets, weights, batch),
            ),
            reconstruct_by_codes(encode, decode),
            importance_estimate(nats_of, num_importance_samples),
            BoundTerms(bound_nats),
        ),
    )
