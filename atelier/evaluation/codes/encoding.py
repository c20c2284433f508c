"""Latent codes of a trained family: encoding examples, drawing from the prior, decoding."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import Float, Int

from atelier.core import game
from atelier.core.family import Family, codes_of
from atelier.core.randomness import Stream, key_for
from atelier.data import preprocess
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples

Codes = Float[np.ndarray, '*n _']  # of any latent dimension


def encoded(
    run: Run, state: game.State, inputs: dict[str, np.ndarray], devices: Sequence[jax.Device]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns (codes [n, latent], x [n, *event] as the model sees it) for stored examples.

    The family must have `encode`. Random draws are the same as in an evaluation.
    """

    def encode(weights, batch, rng):
        return codes_of(run.family).encode(weights, batch, rng), batch['x']

    apply = over_examples(encode, run.data, run.config.eval.batch_size, devices)
    key = key_for(state.key, Stream.EVALUATE)
    return apply(state, key, inputs, len(inputs['x']))


def split_codes(family: Family, codes: Codes) -> tuple[Codes, Codes]:
    """Splits codes along the last axis into z_1 and the rest (other layers, or a class).

    In most families z_1 is the whole code. Functions that change codes change only z_1 and append
    the rest as it is.
    """
    dims = codes_of(family).dims
    first = dims[0] if dims else codes.shape[-1]
    return codes[..., :first], codes[..., first:]


def latents(family: Family, codes: Codes) -> Codes:
    """Returns the codes of all stochastic layers, without the class that may follow them."""
    dims = codes_of(family).dims
    return codes[..., : sum(dims)] if dims else codes


def tokens(
    run: Run, state: game.State, inputs: dict[str, np.ndarray], devices: Sequence[jax.Device]
) -> Int[np.ndarray, 'n positions']:
    """Returns the codebook indices of stored examples; the family must have `tokens`."""
    apply = over_examples(
        codes_of(run.family).tokens.indices, run.data, run.config.eval.batch_size, devices
    )
    key = key_for(state.key, Stream.EVALUATE)
    return apply(state, key, inputs, len(inputs['x']))


def codes_from_prior(
    run: Run, state: game.State, key, n: int, devices: Sequence[jax.Device]
) -> np.ndarray:
    """Draws the codes [n, latent] that sampling with this key decodes; the family must have
    `prior`.
    """

    def prior(weights, batch, rng):
        del batch
        return codes_of(run.family).prior(weights, rng)

    apply = over_examples(prior, run.data, run.config.eval.batch_size, devices)
    return apply(state, key, {}, n)


def decoder(run: Run, state: game.State, devices: Sequence[jax.Device]) -> Callable:
    """Returns decode(codes [*n, latent]) -> mean of x [*n, *event], compiled once.

    The family must have `decode`.
    """

    def decode(weights, batch, rng):
        del rng
        return codes_of(run.family).decode(weights, batch['x'])

    data = run.data._replace(preprocess=preprocess.as_float)
    apply = over_examples(decode, data, run.config.eval.batch_size, devices)

    def of_codes(codes: np.ndarray) -> np.ndarray:
        rows = codes.reshape(-1, codes.shape[-1])
        x = apply(state, state.key, {'x': rows.astype(np.float32)}, len(rows))
        return x.reshape(*codes.shape[:-1], *x.shape[1:])

    return of_codes


def decoded(
    run: Run, state: game.State, codes: np.ndarray, devices: Sequence[jax.Device]
) -> np.ndarray:
    """Returns the mean of x [*n, *event] for codes [*n, latent]; the family must have `decode`."""
    return decoder(run, state, devices)(codes)
