"""VQGAN (Esser et al. 2021): a VQ-VAE with a patch discriminator on its reconstructions.

A game of two players, who move in one turn. `model` is the encoder and the decoder of a VQ-VAE,
whose codebook is in its `extra`. `discriminator` learns to distinguish patches of examples from
patches of reconstructions. The family has the abilities of the VQ-VAE but p(x given codes): codes,
and no samples until there is a prior over them. It has no likelihood, and a prior gives it none.

The paper measures reconstructions by the absolute error and LPIPS, a distance in features of a
network trained on ImageNet (Zhang et al. 2018). Its weights are not part of this project. In their
place is a distance in features of the discriminator, as in the VAE-GAN (Larsen et al. 2016).
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.core import game
from atelier.core.family import Family
from atelier.core.types import Batch, Weights
from atelier.data.dataset import Spec
from losses import adversarial, quantization
from models.autoencoders import vq_vae as vq
from models.autoencoders.vq_vae import VQVAENetworks, VQVAEOutputs, codebook_of
from models.gans.collapse_advice import Advice, adviser
from models.gans.players import (
    GANNetworks,
    discriminate,
    discriminator_metrics,
    discriminator_params,
    init_discriminator,
)
from models.shared.observations import Observation

TINY = 1e-6  # delta of equation 7
DISCRIMINATOR_KEY = 3  # folded into the key of the initial weights; the VQ-VAE has 0 to 2
STABILIZE = (
    'lower --config.hypers.learning_rate_discriminator or give '
    '--config.model.discriminator_norm=spectral'
)
ADVICE = Advice(STABILIZE, STABILIZE)


class VQGANNetworks(NamedTuple):
    """The components of a VQGAN.

    autoencoder: those of the VQ-VAE, with `absolute_error` as its observation.
    adversary: the discriminator, a network (x, None) -> (logits [batch, *positions], features);
      there is no generator.
    last_layer: name of the last layer in the decoder's parameters.
    """

    autoencoder: VQVAENetworks
    adversary: GANNetworks
    last_layer: str


def absolute_error(spec: Spec) -> Observation:
    """The decoder's output is x itself, on the normalized scale, in [0, 1] if x is bounded.

    `log_prob` is minus the absolute error |x - x^| on this scale, summed over an event. Up to a
    constant it is the log density of a Laplace distribution of scale 1, and no likelihood of
    discrete data. There is no `sample`, so that nothing takes it for one.
    """

    def mean(parameters):
        x = parameters[..., 0]
        return spec.denormalize(x if spec.interval is None else jax.nn.sigmoid(x))

    def log_prob(x, parameters):
        error = jnp.abs(spec.normalize(x) - spec.normalize(mean(parameters)))
        return -jnp.sum(error, tuple(range(1, x.ndim)))

    return Observation(size=1, log_prob=log_prob, mean=mean, sample=None)


class Judged(NamedTuple):
    """The discriminator's outputs for x and its reconstruction."""

    real: Float[Array, 'batch *positions']  # logits, like `fake`
    fake: Float[Array, 'batch *positions']
    feature_error: Float[Array, 'batch']  # mean |f(x) - f(x^)| over features f


def judge(
    nets: VQGANNetworks, weights: Weights, x: Array, parameters: Array, train: bool, gather
) -> tuple[Judged, dict]:
    """Judges x and the reconstruction that the decoder's output `parameters` describes.

    Returns the results and the discriminator's updated collections.
    """
    auto, adversary = nets.autoencoder, nets.adversary
    params, collections = discriminator_params(
        adversary, weights.params['discriminator'], weights.extra['discriminator']
    )
    apply = lambda x, collections: discriminate(
        adversary, params, collections, auto.spec.normalize(x), None, train, gather
    )
    (real, features), collections = apply(x, collections)
    (fake, fake_features), collections = apply(auto.observation.mean(parameters), collections)
    distance = jnp.abs(features - fake_features)
    feature_error = jnp.mean(distance, tuple(range(1, distance.ndim)))
    return Judged(real, fake, feature_error), collections


def model_losses(
    nets: VQGANNetworks, judged: Judged, x: Array, parameters: Array, feature_weight
) -> tuple[Float[Array, ''], Float[Array, '']]:
    """L_rec and L_GAN of equation 7, means over this device's examples.

    L_rec is the absolute error and the weighted distance of features. L_GAN is the decoder's part
    of the hinge game, averaged over patches.
    """
    errors = -nets.autoencoder.observation.log_prob(x, parameters)
    reconstruction = jnp.mean(errors + feature_weight * judged.feature_error)
    return reconstruction, jnp.mean(adversarial.wasserstein_generator(judged.fake.reshape(-1)))


def gradient_ratio(reconstruction: Array, gan: Array, most) -> Float[Array, '']:
    """The weight of L_GAN, equation 7, from the gradients of L_rec and L_GAN; at most `most`.

        |gradient of L_rec| / (|gradient of L_GAN| + delta),  delta = 1e-6

    The limit is not in the paper; it is 1e4 in the authors' code.
    """
    norm = lambda gradient: jnp.sqrt(jnp.sum(jnp.square(gradient)))
    return jnp.minimum(norm(reconstruction) / (norm(gan) + TINY), most)


def last_gradients(
    nets: VQGANNetworks, weights: Weights, outputs: VQVAEOutputs, x: Array, feature_weight, rng
) -> tuple[Float[Array, '*kernel'], Float[Array, '*kernel']]:
    """Returns the gradients of L_rec and L_GAN in the decoder's last kernel, as constants.

    They are those of the means over the whole batch, so that their ratio does not depend on the
    number of devices.
    """
    weights, outputs = jax.lax.stop_gradient((weights, outputs))
    decoder = weights.params['model']['decoder']
    layer = decoder[nets.last_layer]
    # as in `vq.forward`, so that XLA computes the layers below once
    quantized = codebook_of(weights.extra).embedding[outputs.codes]
    vectors = quantization.straight_through(outputs.encoded, quantized)

    def output(kernel):
        moved = {**decoder, nets.last_layer: {**layer, 'kernel': kernel}}
        return vq.decode(nets.autoencoder, {'model': {'decoder': moved}}, vectors)

    def losses(parameters):
        judged, _ = judge(nets, weights, x, parameters, True, rng.gather)
        return model_losses(nets, judged, x, parameters, feature_weight)

    parameters, to_kernel = jax.vjp(output, layer['kernel'])
    _, to_parameters = jax.vjp(losses, parameters)
    gradients = (
        to_kernel(*to_parameters(chosen))[0]
        for chosen in ((jnp.ones(()), jnp.zeros(())), (jnp.zeros(()), jnp.ones(())))
    )
    return tuple(jnp.mean(rng.gather(gradient[None]), 0) for gradient in gradients)


def terms_of(
    nets: VQGANNetworks, outputs: VQVAEOutputs, judged: Judged, codebook, x: Array
) -> dict[str, Float[Array, 'batch']]:
    """Metrics of each example; errors are on the normalized scale and summed over an event.

    `feature_error` is the mean distance of a feature. `code_nats` and `quantization_error` are
    those of the VQ-VAE.
    """
    auto = nets.autoencoder
    terms = vq.terms_of(auto, codebook, outputs, x)
    difference = auto.spec.normalize(x) - auto.spec.normalize(
        auto.observation.mean(outputs.parameters)
    )
    return {
        'absolute_error': terms.pop('reconstruction_nats'),
        'squared_error': jnp.sum(jnp.square(difference), tuple(range(1, x.ndim))),
        'feature_error': judged.feature_error,
        **terms,
    }


def accuracies(judged: Judged) -> dict[str, Float[Array, 'batch']]:
    """The fractions of an example's patches that the discriminator recognises."""
    by_patch = discriminator_metrics('hinge', judged.real.reshape(-1), judged.fake.reshape(-1))
    patches = len(judged.real), math.prod(judged.real.shape[1:])
    return {name: jnp.mean(values.reshape(patches), 1) for name, values in by_patch.items()}


def initialize(nets: VQGANNetworks, key, batch: Batch) -> Weights:
    """Initializes the VQ-VAE and the discriminator."""
    model = vq.initialize(nets.autoencoder, key, batch)
    discriminator, collections = init_discriminator(
        nets.adversary, jax.random.fold_in(key, DISCRIMINATOR_KEY), batch['x']
    )
    return Weights(
        {**model.params, 'discriminator': discriminator},
        {**model.extra, 'discriminator': collections},
    )


def vqgan(nets: VQGANNetworks) -> Family:
    """The VQGAN as a game of `model` and `discriminator` in one turn.

    hypers: those of the VQ-VAE (`models.autoencoders.vq_vae`); `adversarial`, which multiplies the
    adaptive weight, and `adaptive_weight_max`, its limit; `feature_matching`, the weight of the
    distance of features; `adversarial_start`, the step before which only absolute error and
    commitment count, and the discriminator does not learn.
    """
    auto = nets.autoencoder
    base = vq.vq_vae(auto)

    def loss(weights, batch, rng, step, hypers):
        x, codebook = batch['x'], codebook_of(weights.extra)
        started = jnp.asarray(step >= hypers['adversarial_start'], jnp.float32)
        feature_weight = started * hypers['feature_matching']
        outputs = vq.forward(auto, weights.params, codebook, x)
        judged, collections = judge(nets, weights, x, outputs.parameters, True, rng.gather)
        weight = gradient_ratio(
            *last_gradients(nets, weights, outputs, x, feature_weight, rng),
            hypers['adaptive_weight_max'],
        )
        l_rec, l_gan = model_losses(nets, judged, x, outputs.parameters, feature_weight)
        terms = terms_of(nets, outputs, judged, codebook, x)
        commitment = hypers['beta'] * jnp.mean(terms['quantization_error'])
        hinge = adversarial.hinge_discriminator(judged.real.reshape(-1), judged.fake.reshape(-1))
        extra, usage = vq.update_codebook(auto, codebook, outputs, rng, hypers)
        return {
            'model': l_rec + commitment + started * hypers['adversarial'] * weight * l_gan,
            'discriminator': started * jnp.mean(hinge),
        }, (
            {'model': extra, 'discriminator': collections},
            {**terms, **accuracies(judged), **usage, 'adaptive_weight': weight},
        )

    def metrics(weights, batch, rng):
        x, codebook = batch['x'], codebook_of(weights.extra)
        outputs = vq.forward(auto, weights.params, codebook, x)
        judged, _ = judge(nets, weights, x, outputs.parameters, False, rng.gather)
        alone = accuracies(judged) if nets.adversary.judges_alone else {}
        return {**terms_of(nets, outputs, judged, codebook, x), **alone}

    return Family(
        init=lambda key, batch: initialize(nets, key, batch),
        turns=(game.Turn(('model', 'discriminator'), loss, advise=advise_of(auto.num_codes)),),
        metrics=metrics,
        abilities=base.abilities,
    )


def advise_of(num_codes: int) -> game.Advise:
    """Returns `Turn.advise`: the advice of a VQ-VAE and that of a GAN."""
    of_codebook, of_game = vq.adviser(num_codes), adviser(ADVICE)
    return lambda history: {**of_codebook(history), **of_game(history)}
