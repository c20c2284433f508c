"""Autoencoders: plain, denoising (Vincent et al. 2008) and contractive (Rifai et al. 2011).

Encoder and decoder work on normalized x. If the data have a known interval, the decoder outputs
logits and the reconstruction is their sigmoid; otherwise it outputs the reconstruction itself.
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from atelier.core import game
from atelier.core.abilities import Codes, reconstruct_by_codes
from atelier.core.family import Family
from atelier.core.randomness import fold_in
from atelier.core.types import Weights
from atelier.data.dataset import Spec
from atelier.errors import UserError, at_least, choose
from losses import contraction, reconstruction
from models.shared.reconstruction_inpainting import by_reconstruction

LOSSES = ('squared_error', 'cross_entropy')
EXACT_UP_TO = 64  # code dimensions up to which 'auto' computes the exact Jacobian


class AutoencoderParts(NamedTuple):
    """The components of an autoencoder.

    net: `encode` [batch, *event] -> [batch, latent] and `decode` [batch, latent] -> [batch, *event]
      of normalized x.
    spec: spec of the data.
    loss: one of LOSSES; cross_entropy needs `spec.interval`.
    corrupt: one of the functions in `atelier.data.corruption`, or None.
    strength: corruption strength in `metrics`. The strength in training is the hyper `corruption`.
    penalty: (encoder, x, keys) -> [batch], or None; from `contraction_penalties`.
    map_shape: of codes that are flat feature maps; () if they are none.
    """

    net: nn.Module
    spec: Spec
    loss: str
    corrupt: Callable | None = None
    strength: float = 0.0
    penalty: Callable | None = None
    map_shape: tuple[int, ...] = ()


def encode(
    parts: AutoencoderParts, params, x: Float[Array, 'batch *event']
) -> Float[Array, 'batch latent']:
    """Codes of normalized x."""
    return parts.net.apply({'params': params['model']}, x, method='encode')


def decode(parts: AutoencoderParts, params, codes: Float[Array, 'batch latent']):
    """The decoder's output for codes: logits, or normalized x."""
    return parts.net.apply({'params': params['model']}, codes, method='decode')


def mean(
    parts: AutoencoderParts, output: Float[Array, 'batch *event']
) -> Float[Array, 'batch *event']:
    """Converts the output of `decode` to normalized x."""
    return output if parts.spec.interval is None else jax.nn.sigmoid(output)


def errors(parts: AutoencoderParts, params, x, network_input) -> dict[str, Float[Array, 'batch']]:
    """Reconstruction errors against normalized x if the encoder gets `network_input`.

    `squared_error` is 1/2 ||x - mean||^2, whatever the loss.
    """
    output = decode(parts, params, encode(parts, params, network_input))
    terms = {'squared_error': reconstruction.half_squared_error(x, mean(parts, output))}
    if parts.loss == 'cross_entropy':
        terms['cross_entropy'] = reconstruction.cross_entropy(x, output)
    return terms


def denoising_errors(
    parts: AutoencoderParts, params, x, keys, strength
) -> dict[str, Float[Array, 'batch']]:
    """`errors` with a corrupted input and the clean x as the target."""
    corrupt = lambda x, key: parts.corrupt(x, key, strength, 0.0, 1.0)
    corrupted = jax.vmap(corrupt)(x, fold_in(keys, 0))
    terms = errors(parts, params, x, corrupted)
    return {f'denoising_{name}': values for name, values in terms.items()}


def contraction_of(parts: AutoencoderParts, params, x, keys) -> Float[Array, 'batch']:
    """||dh/dx||_F^2 of the encoder at normalized x, or its estimate."""
    return parts.penalty(lambda x: encode(parts, params, x), x, fold_in(keys, 1))


def exact(encoder: Callable, x, keys) -> Float[Array, 'batch']:
    """The exact penalty, which needs no random draws."""
    del keys
    return contraction.jacobian_squared_norm(encoder, x)


def estimate_with_probes(num_probes: int) -> Callable:
    """Returns the penalty estimated with `num_probes` Rademacher probes per example."""

    def estimate(encoder, x, keys: UInt32[Array, 'batch 2']):
        shape = num_probes, *_shape_of_code(encoder, x)
        signs = jax.vmap(lambda key: jax.random.rademacher(key, shape, jnp.float32), out_axes=1)
        return contraction.jacobian_squared_norm_estimate(encoder, x, signs(keys))

    return estimate


def contraction_penalties(num_probes: int) -> dict[str, Callable | None]:
    """Returns {name: penalty}; 'auto' is exact for codes of up to EXACT_UP_TO dimensions."""
    at_least(1, 'model.contraction_probes', num_probes)
    estimate = estimate_with_probes(num_probes)

    def auto(encoder, x, keys):
        (latent,) = _shape_of_code(encoder, x)
        return (exact if latent <= EXACT_UP_TO else estimate)(encoder, x, keys)

    return {'none': None, 'auto': auto, 'exact': exact, 'probes': estimate}


def _shape_of_code(encoder: Callable, x) -> tuple[int, ...]:
    return jax.eval_shape(encoder, x).shape[1:]


def check(parts: AutoencoderParts) -> None:
    """Rejects an unknown loss, and cross-entropy for data without an interval.

    Raises:
      UserError: a setting is invalid; the message names its config field.
    """
    choose('model.loss', parts.loss, dict.fromkeys(LOSSES))
    if parts.spec.interval is None and parts.loss == 'cross_entropy':
        raise UserError(
            "config.model.loss='cross_entropy' needs data in a known interval, but these data are "
            'real-valued: give --config.model.loss=squared_error'
        )


def autoencoder(parts: AutoencoderParts) -> Family:
    """The autoencoder as a game of one player, `model`.

    hypers: `corruption`, the strength of corruption in training; `contraction`, the weight of the
    penalty. There is no prior over codes.
    """
    check(parts)
    spec = parts.spec

    def loss(weights, batch, rng, step, hypers):
        del step
        x = spec.normalize(batch['x'])
        if parts.corrupt is None:
            terms, name = errors(parts, weights.params, x, x), parts.loss
        else:
            terms = denoising_errors(parts, weights.params, x, rng.keys, hypers['corruption'])
            name = f'denoising_{parts.loss}'
        total = terms[name]
        if parts.penalty is not None:
            terms['contraction'] = contraction_of(parts, weights.params, x, rng.keys)
            total += hypers['contraction'] * terms['contraction']
        return {'model': jnp.mean(total)}, (weights.extra, terms)

    def init(key, batch):
        params = parts.net.init(key, spec.normalize(batch['x'][:1]))['params']
        return Weights({'model': params}, {'model': {}})

    def metrics(weights, batch, rng):
        x = spec.normalize(batch['x'])
        terms = errors(parts, weights.params, x, x)
        if parts.corrupt is not None:
            terms |= denoising_errors(parts, weights.params, x, rng.keys, parts.strength)
        if parts.penalty is not None:
            terms['contraction'] = contraction_of(parts, weights.params, x, rng.keys)
        return terms

    def codes_of(weights, batch, rng):
        return encode(parts, weights.params, spec.normalize(batch['x']))

    def x_of(weights, codes):
        return spec.denormalize(mean(parts, decode(parts, weights.params, codes)))

    return Family(
        init=init,
        turns=(game.Turn(('model',), loss),),
        metrics=metrics,
        abilities=(
            Codes(codes_of, x_of, map_shape=parts.map_shape),
            reconstruct_by_codes(codes_of, x_of),
            by_reconstruction(spec, codes_of, x_of),
        ),
    )
