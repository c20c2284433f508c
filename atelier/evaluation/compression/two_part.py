"""Coding in two parts: the tokens of each example, and then its values given the tokens.

A run of codes models the tokens that its parent, such as a VQ-VAE, makes of x. The tokens cost
-log p(tokens) by the child, and x then costs -log p(x | tokens) by the parent. The sum is the bound
on -log p(x) that the run reports: van den Oord et al. (2017), Neural Discrete Representation
Learning, section 3.2. The range coder codes the tokens, and their labels if the child is p(tokens |
label). Then the values of x are coded, which are independent given the tokens. Both parts are one
stream of words.

The decoder reads the tokens from the file and never computes them. Both sides compute the
probabilities with the same compiled functions: those of tokens for a batch, and those of the values
of x, which need more memory, for one example at a time. The encoder computes tokens in batches.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Int
from tqdm import tqdm

from atelier.core import game
from atelier.core.code_likelihood import TwoPartCode
from atelier.core.randomness import rng_for
from atelier.evaluation.compression.range_coder import (
    Bitstream,
    CompiledConditionals,
    Labels,
    Transfer,
    compiled,
    decode,
    encode,
)
from atelier.evaluation.compression.word_stream import Decoder, Encoder, Words
from atelier.evaluation.examples.known_classes import classes_of
from atelier.run.experiment import Run
from atelier.run.over_examples import MAX_VALUES, PATIENCE


class Model(NamedTuple):
    """A family with `TwoPartCode`, compiled, with its weights on one device.

    tokens: (x [batch, dims]) -> its tokens [batch, positions].
    conditionals: of the tokens of a batch.
    levels: (tokens [positions]) -> log p [dims, levels] of every level of each value of x.
    """

    tokens: Callable
    conditionals: CompiledConditionals
    levels: Callable


def encoded(
    run: Run, state: game.State, x: Int[np.ndarray, 'n dims'], labels: Labels, batch_size: int
) -> Bitstream:
    """Encodes the levels x of n flattened examples, and their labels if the model `is_labelled`.

    Raises:
      ValueError: probabilities are not finite, or a label is of no class that exists for the model.
    """
    encoder, model = Encoder(), model_of(run, state)
    classes = np.asarray(classes_of(run), np.int64)
    tokens = _tokens_of(model, x, batch_size)
    code_bits, label_bits = encode(model.conditionals, encoder, tokens, labels, classes, batch_size)
    first = len(encoder.costs)
    _walk_values(model, encoder.transfer, x.copy(), tokens)
    bits = np.stack(encoder.costs[first:])
    return Bitstream(encoder.words(len(x)), bits, label_bits, code_bits.sum(1))


def decoded(
    run: Run,
    state: game.State,
    words: Words,
    n: int,
    batch_size: int,
    classes: Sequence[int] | None = None,
) -> tuple[Int[np.ndarray, 'n dims'], Labels]:
    """Returns (x, labels): the inverse of `encoded`.

    `classes` are those that labels were coded over; None: those that exist for the model.

    Raises:
      ValueError: no encoder wrote these words.
    """
    decoder, model = Decoder(words, n), model_of(run, state)
    shape = n, len(model.conditionals.order)
    tokens, labels = decode(model.conditionals, decoder, run, shape, batch_size, classes)
    x = np.zeros((n, run.data.spec.num_dims), np.int64)
    _walk_values(model, decoder.transfer, x, tokens)
    decoder.check_end()
    return x, labels


def model_of(run: Run, state: game.State) -> Model:
    """Compiles the run's family, which must have `TwoPartCode`, with the averaged weights."""
    code, shape = run.family.ability(TwoPartCode), run.data.spec.event_shape
    weights = jax.device_put(jax.device_get(state.averaged_weights), jax.devices()[0])
    tokens_of, log_probs_of = jax.jit(code.tokens), jax.jit(code.level_log_probs)

    def tokens(x: Int[np.ndarray, 'batch dims']) -> Int[np.ndarray, 'batch positions']:
        batch = {'x': x.astype(np.float32).reshape(-1, *shape)}
        # not read: tokens are a function of x
        rng = rng_for(jax.random.PRNGKey(0), np.arange(len(x)), len(x))
        return np.asarray(tokens_of(weights, batch, rng), np.int64)

    def levels(tokens: Int[np.ndarray, 'positions']):
        return np.asarray(log_probs_of(weights, tokens.astype(np.int32)[None], {})[0])

    return Model(tokens, compiled(code.conditionals, run, state, code.map_shape), levels)


def _tokens_of(
    model: Model, x: Int[np.ndarray, 'n dims'], batch_size: int
) -> Int[np.ndarray, 'n positions']:
    """Returns the tokens of all examples; the last batch repeats the last one."""
    size = max(1, min(batch_size, len(x), MAX_VALUES // x.shape[1]))
    starts = tqdm(range(0, len(x), size), unit='batch', leave=False, delay=PATIENCE)
    rows = (np.minimum(start + np.arange(size), len(x) - 1) for start in starts)
    return np.concatenate([model.tokens(x[each]) for each in rows])[: len(x)]


def _walk_values(
    model: Model,
    transfer: Transfer,
    x: Int[np.ndarray, 'n dims'],
    tokens: Int[np.ndarray, 'n positions'],
) -> None:
    """Passes the values of each example through `transfer` and stores the result in x."""
    for i in tqdm(range(len(x)), unit='example', leave=False, delay=PATIENCE):
        x[i] = transfer(model.levels(tokens[i]), x[i])
