"""The vector-quantised autoencoder (van den Oord et al. 2017) with a moving-average codebook.

The encoder outputs a map of vectors. Each vector is replaced by the nearest vector of a codebook,
and the decoder reads only the replacements. There is no prior over codes here, so the family has
neither samples nor a likelihood. A model of the codes of a run (`config.data.name=codes`) is one.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from atelier.core import game
from atelier.core.abilities import Codes, Tokens, reconstruct_by_codes
from atelier.core.code_likelihood import CodeLikelihood
from atelier.core.family import Family, present
from atelier.core.randomness import Rng
from atelier.core.types import Batch, Weights
from atelier.data.dataset import Spec
from atelier.errors import UserError, at_least, check_sizes
from losses import quantization
from models.autoencoders import codebook as codebooks
from models.autoencoders.codebook import Codebook
from models.shared.observations import Observation, level_log_probs
from models.shared.reconstruction_inpainting import by_reconstruction

COLLAPSED = 0.1  # warns if batches use less than this fraction of the codebook
Events = Float[Array, 'batch *event']
Maps = Float[Array, 'batch *positions dim']


class VQVAENetworks(NamedTuple):
    """The components of a VQ-VAE.

    encoder: [batch, *event] -> [batch, *map_shape], a vector at each position.
    decoder: [batch, *map_shape] -> [batch, *event, observation.size].
    observation: p(x | map); without `sample`, an error in its place.
    map_shape: [*positions, dim].
    num_codes: size of the codebook, K in the paper.
    spec: spec of the data; the encoder takes x normalized with it.
    """

    encoder: nn.Module
    decoder: nn.Module
    observation: Observation
    map_shape: tuple[int, ...]
    num_codes: int
    spec: Spec


class VQVAEOutputs(NamedTuple):
    """Results of a forward pass through encoder, codebook and decoder."""

    encoded: Maps  # encoder output, before quantisation
    codes: Int[Array, 'batch *positions']  # index of the nearest code at each position
    parameters: Float[Array, 'batch *parameters']  # parameters of p(x | the codes' vectors)


def encode(nets: VQVAENetworks, params, x: Events) -> Maps:
    """The encoder's vectors, before quantisation."""
    return nets.encoder.apply({'params': params['model']['encoder']}, nets.spec.normalize(x))


def decode(nets: VQVAENetworks, params, vectors: Maps):
    """The parameters of p(x | vectors), [batch, *event, observation.size]."""
    return nets.decoder.apply({'params': params['model']['decoder']}, vectors)


def codebook_of(extra) -> Codebook:
    """The codebook, which the State keeps as the dict `extra['model']['codebook']`."""
    return Codebook(**extra['model']['codebook'])


def forward(nets: VQVAENetworks, params, codebook: Codebook, x: Events) -> VQVAEOutputs:
    """Section 3.2: a pass whose gradient at the decoder's input goes unchanged to the encoder."""
    encoded = encode(nets, params, x)
    codes = codebooks.nearest(jax.lax.stop_gradient(encoded), codebook.embedding)
    decoder_input = quantization.straight_through(encoded, codebook.embedding[codes])
    return VQVAEOutputs(encoded, codes, decode(nets, params, decoder_input))


def terms_of(
    nets: VQVAENetworks, codebook: Codebook, outputs: VQVAEOutputs, x: Events
) -> dict[str, Float[Array, 'batch']]:
    """Terms of each example: -log p(x | codes), the cost of its codes, and the quantisation error.

    `code_nats` is -log p(codes) under a prior with independent positions, whose code frequencies
    are the running counts of training. The exponential of its mean over a split and over positions
    is the perplexity of the prior on that split. It is at least the perplexity of the split's own
    code frequencies. `code_nats` + `reconstruction_nats` is an upper bound on -log p(x) of a model
    with that prior. `quantization_error`, the commitment term of the loss, is the squared distance
    of the encoder's vectors from their codes, averaged over positions.
    """
    nats = -codebooks.log_shares(codebook)[outputs.codes]
    return {
        'reconstruction_nats': -nets.observation.log_prob(x, outputs.parameters),
        'code_nats': jnp.sum(nats, axis=tuple(range(1, nats.ndim))),
        'quantization_error': quantization.commitment(
            outputs.encoded, codebook.embedding[outputs.codes]
        ),
    }


def update_codebook(
    nets: VQVAENetworks, codebook: Codebook, outputs: VQVAEOutputs, rng: Rng, hypers
) -> tuple[dict, dict[str, Float[Array, '']]]:
    """Returns `extra['model']` after a step, and the perplexity of the batch's codes."""
    after = codebooks.updated(
        codebook,
        outputs.encoded,
        outputs.codes,
        rng,
        hypers['codebook_decay'],
        hypers['restart_below'],
    )
    counts = codebooks.count(outputs.codes, nets.num_codes, rng.gather)
    usage = {'perplexity': quantization.perplexity(counts[None])[0]}
    return {'codebook': after._asdict()}, usage


def initialize(nets: VQVAENetworks, key, batch: Batch) -> Weights:
    """Initializes encoder, decoder and, in `extra`, the codebook from the encoded batch."""
    key_of, x = lambda index: jax.random.fold_in(key, index), batch['x']
    z = jnp.zeros((1, *nets.map_shape))
    params = {
        'encoder': nets.encoder.init(key_of(0), x[:1])['params'],
        'decoder': nets.decoder.init(key_of(1), z)['params'],
    }
    vectors = encode(nets, {'model': params}, x)
    codebook = codebooks.from_vectors(key_of(2), vectors, nets.num_codes)
    return Weights({'model': params}, {'model': {'codebook': codebook._asdict()}})


def check_averages(codebook_decay: float, ema_half_life: float) -> None:
    """Rejects an invalid decay of the codebook, and moving averages of the networks' parameters.

    Raises:
      UserError: a setting is invalid; the message names its config field.
    """
    if not 0 <= codebook_decay < 1:
        raise UserError(
            f'config.hypers.codebook_decay={codebook_decay}: give the fraction that a step keeps, '
            'at least 0 and below 1'
        )
    if ema_half_life:
        raise UserError(
            f'config.hypers.ema_half_life={ema_half_life:g}: averaged networks do not fit the '
            'codebook, which has an average of its own; leave it at 0'
        )


def vq_vae(nets: VQVAENetworks) -> Family:
    """The VQ-VAE as a game of one player, `model`; the codebook is in its `extra`.

    hypers: `beta`, the weight of the commitment; `codebook_decay`, the fraction of the moving
    averages kept at each step; `restart_below`, the fraction of even use below which a code
    restarts (0 for never). `encode` returns the code vectors, flattened; `decode` first maps each
    vector to the nearest code.
    """
    check_sizes(nets, 'num_codes')
    at_least(1, 'model.num_positions', *nets.map_shape[:-1])
    at_least(1, 'model.codebook_dim', nets.map_shape[-1])

    def loss(weights, batch, rng, step, hypers):
        del step
        codebook = codebook_of(weights.extra)
        outputs = forward(nets, weights.params, codebook, batch['x'])
        terms = terms_of(nets, codebook, outputs, batch['x'])
        extra, usage = update_codebook(nets, codebook, outputs, rng, hypers)
        objective = terms['reconstruction_nats'] + hypers['beta'] * terms['quantization_error']
        return {'model': jnp.mean(objective)}, ({'model': extra}, {**terms, **usage})

    def metrics(weights, batch, rng):
        codebook = codebook_of(weights.extra)
        return terms_of(
            nets, codebook, forward(nets, weights.params, codebook, batch['x']), batch['x']
        )

    def quantized(extra, vectors: Maps) -> Maps:
        embedding = codebook_of(extra).embedding
        return embedding[codebooks.nearest(vectors, embedding)]

    def indices(weights, batch, rng):
        vectors = encode(nets, weights.params, batch['x'])
        codes = codebooks.nearest(vectors, codebook_of(weights.extra).embedding)
        return codes.reshape(len(codes), math.prod(nets.map_shape[:-1]))

    def encode_row(weights, batch, rng):
        vectors = quantized(weights.extra, encode(nets, weights.params, batch['x']))
        return vectors.reshape(len(vectors), math.prod(nets.map_shape))

    def vectors_of(weights, indices):
        vectors = codebook_of(weights.extra).embedding[indices]
        return vectors.reshape(len(vectors), math.prod(nets.map_shape))

    def parameters_of(weights, codes):
        vectors = quantized(weights.extra, codes.reshape(len(codes), *nets.map_shape))
        return decode(nets, weights.params, vectors)

    def decode_row(weights, codes):
        return nets.observation.mean(parameters_of(weights, codes))

    def nats_given_codes(weights, codes, batch):
        return nets.observation.log_prob(batch['x'], parameters_of(weights, codes))

    def draw_given_codes(weights, codes, keys):
        return nets.observation.sample(keys, parameters_of(weights, codes))

    def code_likelihood() -> CodeLikelihood | None:
        if nets.observation.sample is None:  # an error, which bounds nothing
            return None
        level_nats = None if nets.spec.levels is None else log_probs_of_levels
        return CodeLikelihood(nats_given_codes, draw_given_codes, level_nats)

    def log_probs_of_levels(weights, codes, given):
        del given
        parameters = parameters_of(weights, codes)
        flat = parameters.reshape(len(codes), -1, parameters.shape[-1])
        return level_log_probs(nets.observation, flat, nets.spec.levels)

    return Family(
        init=lambda key, batch: initialize(nets, key, batch),
        turns=(game.Turn(('model',), loss, advise=adviser(nets.num_codes)),),
        metrics=metrics,
        abilities=present(
            Codes(
                encode_row,
                decode_row,
                tokens=Tokens(indices, nets.num_codes, nets.map_shape[:-1], vectors_of),
                map_shape=nets.map_shape,
            ),
            code_likelihood(),
            reconstruct_by_codes(encode_row, decode_row),
            by_reconstruction(nets.spec, encode_row, decode_row),
        ),
    )


def adviser(num_codes: int) -> game.Advise:
    """Returns `Turn.advise`, which warns if training batches use few of the codes.

    It warns after two such validations in a row, because at first the encoder changes faster than
    the codes.
    """

    def advise(history: list[dict[str, float]]) -> dict[str, str]:
        perplexities = [
            means['train/perplexity'] for means in history if 'train/perplexity' in means
        ][-2:]
        if len(perplexities) < 2 or max(perplexities) >= COLLAPSED * num_codes:
            return {}
        return {
            'codebook has collapsed': (
                'the codebook has collapsed: in a training batch, the perplexity of the '
                f'{num_codes} codes is {perplexities[-1]:.1f}; in a new --workdir, raise '
                '--config.hypers.restart_below, or lower --config.model.num_codes'
            )
        }

    return advise
