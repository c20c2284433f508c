"""VAE-GAN (Larsen et al. 2016): a VAE with its reconstruction error in discriminator features.

A game of three players, who all move in one turn. `decoder` is both the VAE's decoder and the GAN's
generator. `encoder` learns only from the KL and the reconstruction. `discriminator` learns to
distinguish real examples from reconstructions and from samples.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.core import game
from atelier.core.abilities import Codes, Sample, reconstruct_by_codes
from atelier.core.family import Family
from atelier.core.randomness import fold_in, identity
from atelier.core.types import Batch, Weights
from atelier.errors import check_sizes
from losses import adversarial, elbo
from models.autoencoders.vae import Posterior, reparameterize
from models.gans.collapse_advice import Advice, adviser
from models.gans.players import (
    GANNetworks,
    MakeNetwork,
    discriminate,
    discriminator_metrics,
    discriminator_params,
    generate,
    init_discriminator,
    init_generator,
    noise,
)
from models.shared.reconstruction_inpainting import by_reconstruction

LOSSES = {  # losses of the decoder: that of Algorithm 1, and one whose gradient does not vanish
    'minimax': adversarial.minimax_generator,
    'non_saturating': adversarial.non_saturating_generator,
}


ADVICE = Advice(
    'lower --config.hypers.learning_rate_discriminator or give '
    '--config.model.discriminator_norm=spectral',
    'raise --config.hypers.gamma or lower --config.hypers.learning_rate_discriminator',
)


class Players(NamedTuple):
    """The components of a VAE-GAN.

    encoder: (train, gather) -> a network, which maps [batch, *event] to [batch, 2 * latent_dim],
      the concatenated mean and log variance.
    nets: the decoder, as the generator of a GAN, and the discriminator.
    decoder_loss: one of the functions in LOSSES.
    """

    encoder: MakeNetwork
    nets: GANNetworks
    decoder_loss: Callable


def posterior(players: Players, params, collections, x, train: bool, gather):
    """Returns (q(z | x) of each row, the encoder's updated collections); x is in data units."""
    variables, normalized = {'params': params, **collections}, players.nets.spec.normalize(x)
    output, after = players.encoder(train, gather).apply(
        variables, normalized, mutable=list(collections)
    )
    return Posterior(*jnp.split(output, 2, axis=-1)), after


class VAEGANOutputs(NamedTuple):
    """Results of one forward pass of all three players."""

    kl_nats: Float[Array, 'batch']
    feature_nats: Float[Array, 'batch']  # -log N(features of x | features of its reconstruction, I)
    real: Float[Array, 'batch']  # logits, like `reconstructed` and `sampled`
    reconstructed: Float[Array, 'batch']
    sampled: Float[Array, 'batch']
    squared_error: Float[Array, 'batch']  # of the reconstruction, on the normalized scale


def forward(players: Players, weights, batch, rng, train: bool) -> tuple[VAEGANOutputs, dict]:
    """Encodes x, decodes its code and a prior code, and discriminates all three.

    This is the first half of Algorithm 1. Returns its results and the updated collections.
    """
    nets = players.nets
    params, extra, gather = weights.params, weights.extra, rng.gather
    make = lambda collections, z: generate(
        nets, params['decoder'], collections, z, None, train, gather
    )
    judge_params, discriminator_vars = discriminator_params(
        nets, params['discriminator'], extra['discriminator']
    )
    judge = lambda collections, x: discriminate(
        nets, judge_params, collections, x, None, train, gather
    )

    x = nets.spec.normalize(batch['x'])
    q, encoder_vars = posterior(
        players, params['encoder'], extra['encoder'], batch['x'], train, gather
    )
    z = reparameterize(q, fold_in(rng.keys, 0))
    reconstruction, decoder_vars = make(extra['decoder'], z)
    sample, decoder_vars = make(decoder_vars, noise(nets, fold_in(rng.keys, 1)))
    (real, features), discriminator_vars = judge(discriminator_vars, x)
    (reconstructed, recon_features), discriminator_vars = judge(discriminator_vars, reconstruction)
    (sampled, _), discriminator_vars = judge(discriminator_vars, sample)
    after = {
        'encoder': encoder_vars,
        'decoder': decoder_vars,
        'discriminator': discriminator_vars,
    }
    likelihood = elbo.diagonal_gaussian_log_prob(
        features, recon_features, jnp.zeros_like(recon_features)
    )
    axes = tuple(range(1, x.ndim))
    return VAEGANOutputs(
        kl_nats=elbo.kl_standard_normal(q.mean, q.log_var),
        feature_nats=-likelihood,
        real=real,
        reconstructed=reconstructed,
        sampled=sampled,
        squared_error=jnp.sum(jnp.square(x - reconstruction), axes),
    ), after


def losses_of(players: Players, outputs: VAEGANOutputs, hypers) -> dict[str, Float[Array, '']]:
    """Returns the loss of each player: the second half of Algorithm 1."""
    prior = hypers['beta'] * outputs.kl_nats
    gan_loss = players.decoder_loss(outputs.reconstructed) + players.decoder_loss(outputs.sampled)
    discriminator_loss = adversarial.minimax_discriminator(outputs.real, outputs.reconstructed)
    discriminator_loss -= adversarial.minimax_generator(outputs.sampled)
    return {
        'encoder': jnp.mean(prior + outputs.feature_nats),
        'decoder': jnp.mean(hypers['gamma'] * outputs.feature_nats + gan_loss),
        'discriminator': jnp.mean(discriminator_loss),
    }


def terms_of(outputs: VAEGANOutputs) -> dict[str, Float[Array, 'batch']]:
    """Metrics of each example: the terms in nats, and the squared error of its reconstruction."""
    names = ('kl_nats', 'feature_nats', 'squared_error')
    return {name: getattr(outputs, name) for name in names}


def initialize(players: Players, key, batch: Batch) -> Weights:
    """Initializes the parameters and collections of all three players."""
    nets = players.nets
    decoder, decoder_vars = init_generator(nets, key)
    discriminator, discriminator_vars = init_discriminator(nets, key, batch['x'])
    network, x = players.encoder(True, identity), nets.spec.normalize(batch['x'][:1])
    encoder_vars = network.init(jax.random.fold_in(key, 3), x)
    encoder = encoder_vars.pop('params')
    params = {'encoder': encoder, 'decoder': decoder, 'discriminator': discriminator}
    extra = {
        'encoder': encoder_vars,
        'decoder': decoder_vars,
        'discriminator': discriminator_vars,
    }
    return Weights(params, extra)


def vae_gan(players: Players) -> Family:
    """The VAE-GAN as a game of `encoder`, `decoder` and `discriminator` in one turn.

    hypers: `gamma`, the weight of the reconstruction in the decoder's loss; `beta`, the weight of
    the KL in the encoder's loss, 1 in the paper.
    """
    nets = players.nets
    check_sizes(nets, 'latent_dim')

    def loss(weights, batch, rng, step, hypers):
        del step
        outputs, after = forward(players, weights, batch, rng, train=True)
        report = {**terms_of(outputs), **accuracies(outputs)}
        return losses_of(players, outputs, hypers), (after, report)

    def accuracies(outputs):
        """The discriminator's accuracy on examples and samples."""
        return discriminator_metrics('minimax', outputs.real, outputs.sampled)

    def metrics(weights, batch, rng):
        outputs, _ = forward(players, weights, batch, rng, train=False)
        return {**terms_of(outputs), **(accuracies(outputs) if nets.judges_alone else {})}

    def infer(weights, batch, rng):
        """q(z | x) of each row."""
        params, collections = weights.params['encoder'], weights.extra['encoder']
        return posterior(players, params, collections, batch['x'], False, rng.gather)[0]

    def encode(weights, batch, rng):
        return infer(weights, batch, rng).mean

    def draw_codes(weights, batch, rng):
        return reparameterize(infer(weights, batch, rng), rng.keys)

    def decode(weights, codes):
        x, _ = generate(
            nets, weights.params['decoder'], weights.extra['decoder'], codes, None, False, identity
        )
        return nets.spec.denormalize(x)

    def prior(weights, rng):
        return noise(nets, rng.keys)

    def sample(weights, rng, condition):
        del condition
        return decode(weights, prior(weights, rng))

    return Family(
        init=lambda key, batch: initialize(players, key, batch),
        turns=(game.Turn(('encoder', 'decoder', 'discriminator'), loss, advise=adviser(ADVICE)),),
        metrics=metrics,
        abilities=(
            Sample(sample),
            Codes(encode, decode, prior, infer),
            reconstruct_by_codes(encode, decode),
            by_reconstruction(nets.spec, draw_codes, decode),
        ),
    )
