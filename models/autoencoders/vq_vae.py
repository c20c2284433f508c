"""The vector-quantised autoencoder (van den Oord et al. 2017), its codebook by moving averages.

An encoder makes a map of vectors, each gives way to the nearest of a codebook, and the decoder sees
those alone. There is no prior over codes here, so that nothing is sampled and no likelihood is
given: an autoregressive model of the codes is one.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from atelier.core import game
from atelier.core.abilities import Codes, Tokens, reconstruct_by_codes
from atelier.core.family import Family
from atelier.core.types import Batch, Weights
from atelier.data.dataset import Spec
from atelier.errors import UserError, at_least, check_sizes
from losses import quantization
from models.autoencoders import codebook as codebooks
from models.autoencoders.codebook import Codebook
from models.shared.observations import Observation
from models.shared.reconstruction_inpainting import by_reconstruction

COLLAPSED = 0.1  # share of the codebook that a batch uses, from which on downwards it is said
Events = Float[Array, 'batch *event']
Maps = Float[Array, 'batch *positions dim']


class VQVAENetworks(NamedTuple):
    """What a VQ-VAE is made of.

    encoder: [batch, *event] -> [batch, *map_shape], a vector at each position.
    decoder: [batch, *map_shape] -> [batch, *event, observation.size].
    observation: p(x | the map).
    map_shape: [*positions, dim].
    num_codes: in the codebook, K in the paper.
    spec: of the data; the encoder sees x normalized as it says.
    """

    encoder: nn.Module
    decoder: nn.Module
    observation: Observation
    map_shape: tuple[int, ...]
    num_codes: int
    spec: Spec


class Pass(NamedTuple):
    """What the way of x through encoder, codebook and decoder gives."""

    encoded: Maps  # as the encoder makes them
    codes: Int[Array, 'batch *positions']  # the number of the nearest code of each
    parameters: Float[Array, 'batch *parameters']  # of p(x | the codes' vectors)


def encode(nets: VQVAENetworks, params, x: Events) -> Maps:
    """The vectors before they are quantised."""
    return nets.encoder.apply({'params': params['model']['encoder']}, nets.spec.normalize(x))


def decode(nets: VQVAENetworks, params, vectors: Maps):
    """The parameters of p(x | vectors), [batch, *event, observation.size]."""
    return nets.decoder.apply({'params': params['model']['decoder']}, vectors)


def codebook_of(extra) -> Codebook:
    """As the State keeps it: `extra['model']['codebook']`, a dict."""
    return Codebook(**extra['model']['codebook'])


def forward(nets: VQVAENetworks, params, codebook: Codebook, x: Events) -> Pass:
    """Section 3.2: what the decoder says in its input goes to the encoder as it is."""
    encoded = encode(nets, params, x)
    codes = codebooks.nearest(jax.lax.stop_gradient(encoded), codebook.embedding)
    seen = quantization.straight_through(encoded, codebook.embedding[codes])
    return Pass(encoded, codes, decode(nets, params, seen))


def terms_of(
    nets: VQVAENetworks, codebook: Codebook, seen: Pass, x: Events
) -> dict[str, Float[Array, 'batch']]:
    """Of each example: -log p(x | codes), what its codes cost, and what they lose of its vectors.

    `code_nats` is -log of the codes' probability, were positions independent and each code as
    frequent as its running count: the nats in which training's code would write them. exp of its
    mean over a split and positions is the perplexity of the codebook there, and at least that of
    the split's own frequencies. With `reconstruction_nats` it bounds -log p(x) of a model with that
    prior from above. `quantization_error` is the squared distance of the encoder's vectors from
    their codes, in the mean over positions: what the loss calls commitment.
    """
    nats = -codebooks.log_shares(codebook)[seen.codes]
    return {
        'reconstruction_nats': -nets.observation.log_prob(x, seen.parameters),
        'code_nats': jnp.sum(nats, axis=tuple(range(1, nats.ndim))),
        'quantization_error': quantization.commitment(seen.encoded, codebook.embedding[seen.codes]),
    }


def initialize(nets: VQVAENetworks, key, batch: Batch) -> Weights:
    """Parameters of encoder and decoder; the codebook, of codes from the batch, in `extra`."""
    part, x = lambda number: jax.random.fold_in(key, number), batch['x']
    z = jnp.zeros((1, *nets.map_shape))
    params = {
        'encoder': nets.encoder.init(part(0), x[:1])['params'],
        'decoder': nets.decoder.init(part(1), z)['params'],
    }
    vectors = encode(nets, {'model': params}, x)
    codebook = codebooks.from_vectors(part(2), vectors, nets.num_codes)
    return Weights({'model': params}, {'model': {'codebook': codebook._asdict()}})


def check_averages(codebook_decay: float, ema_half_life: float) -> None:
    """Refuses averages of the codebook that cannot be, and others beside them.

    Raises:
      UserError: names the config field.
    """
    if not 0 <= codebook_decay < 1:
        raise UserError(
            f'config.hypers.codebook_decay={codebook_decay}: it is the share that a step keeps, '
            'from 0 to below 1'
        )
    if ema_half_life:
        raise UserError(
            f'config.hypers.ema_half_life={ema_half_life:g}: averaged networks do not fit the '
            'codebook, which has an average of its own; leave it at 0'
        )


def vq_vae(nets: VQVAENetworks) -> Family:
    """A game of one player, `model`; the codebook is in its `extra`.

    hypers: `beta`, the weight of the commitment; `codebook_decay`, what the moving averages keep at
    a step; `restart_below`, the share of even use below which a code begins anew, 0 for never.
    `encode` gives the codes' vectors in one row; `decode` takes any row to the nearest codes first.
    """
    check_sizes(nets, 'num_codes')
    at_least(1, 'model.num_positions', *nets.map_shape[:-1])
    at_least(1, 'model.codebook_dim', nets.map_shape[-1])

    def loss(weights, batch, rng, step, hypers):
        del step
        codebook = codebook_of(weights.extra)
        seen = forward(nets, weights.params, codebook, batch['x'])
        terms = terms_of(nets, codebook, seen, batch['x'])
        after = codebooks.updated(
            codebook,
            seen.encoded,
            seen.codes,
            rng,
            hypers['codebook_decay'],
            hypers['restart_below'],
        )
        counts = codebooks.count(seen.codes, nets.num_codes, rng.gather)
        report = {**terms, 'perplexity': quantization.perplexity(counts[None])[0]}
        objective = terms['reconstruction_nats'] + hypers['beta'] * terms['quantization_error']
        return {'model': jnp.mean(objective)}, ({'model': {'codebook': after._asdict()}}, report)

    def metrics(weights, batch, rng):
        codebook = codebook_of(weights.extra)
        return terms_of(
            nets, codebook, forward(nets, weights.params, codebook, batch['x']), batch['x']
        )

    def snapped(extra, vectors: Maps) -> Maps:
        embedding = codebook_of(extra).embedding
        return embedding[codebooks.nearest(vectors, embedding)]

    def indices(weights, batch, rng):
        vectors = encode(nets, weights.params, batch['x'])
        codes = codebooks.nearest(vectors, codebook_of(weights.extra).embedding)
        return codes.reshape(len(codes), math.prod(nets.map_shape[:-1]))

    def encode_row(weights, batch, rng):
        vectors = snapped(weights.extra, encode(nets, weights.params, batch['x']))
        return vectors.reshape(len(vectors), math.prod(nets.map_shape))

    def decode_row(weights, codes):
        vectors = snapped(weights.extra, codes.reshape(len(codes), *nets.map_shape))
        return nets.observation.mean(decode(nets, weights.params, vectors))

    return Family(
        init=lambda key, batch: initialize(nets, key, batch),
        turns=(game.Turn(('model',), loss, advise=adviser(nets.num_codes)),),
        metrics=metrics,
        abilities=(
            Codes(encode_row, decode_row, tokens=Tokens(indices, nets.num_codes)),
            reconstruct_by_codes(encode_row, decode_row),
            by_reconstruction(nets.spec, encode_row, decode_row),
        ),
    )


def adviser(num_codes: int) -> game.Advise:
    """Returns `Turn.advise`: whether training's batches use few of the codes.

    They have to at two validations, for at first the encoder runs ahead of its codes.
    """

    def advise(history: list[dict[str, float]]) -> dict[str, str]:
        seen = [means['train/perplexity'] for means in history if 'train/perplexity' in means][-2:]
        if len(seen) < 2 or max(seen) >= COLLAPSED * num_codes:
            return {}
        return {
            'codebook has collapsed': (
                f'the codebook has collapsed: a training batch uses its {num_codes} codes as '
                f'if there were {seen[-1]:.1f} (perplexity); in a new --workdir, raise '
                '--config.hypers.restart_below, or lower --config.model.num_codes'
            )
        }

    return advise
