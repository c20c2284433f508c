"""Coding of an endless text in streams: its symbols to 32-bit words and back, near -log2 p.

The text is cut into streams, neighbouring parts of nearly equal length, which are coded side by
side: one call of the compiled step gives the probabilities of the next symbol of every stream. A
model reads windows of a length `context`, as in evaluation: a window begins half a context after
the one before it, so that each of its symbols is coded given at least half a context. It begins
with the half context of its stream that is coded already (`begin`), which is read on the device in
one call. So a symbol takes two steps of the model, one of them without the host.

Only the first half context of each stream is coded given fewer symbols: to the coder, every stream
begins a text. This costs a few bits a symbol there, so streams are at least `LEAST_LENGTH` symbols
long. The last window of a stream is not moved back to end with it, as that of a split is in
evaluation. All else costs what evaluation reports.

Encoder and decoder call the same compiled functions with arrays of the same shapes.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from tqdm import tqdm

from atelier.core import game
from atelier.core.abilities import Conditionals
from atelier.evaluation.compression.range_coder import Bitstream, Transfer
from atelier.evaluation.compression.word_stream import Decoder, Encoder, Words
from atelier.run.experiment import Run
from atelier.run.over_examples import PATIENCE

LEAST_LENGTH = 2048  # symbols of a stream, if there are several
MAX_STREAMS = 1024
Text = Int[np.ndarray, 'length']


class Windows(NamedTuple):
    """A family's conditionals, compiled for windows of a text, with its weights on one device.

    begin: (known [streams, k]) -> the memory of windows whose first k symbols are known.
    step: (memory, i, previous [streams]) -> (memory, log p [streams, levels] of the i-th symbol).
    """

    begin: Callable
    step: Callable


def num_streams(length: int, most: int) -> int:
    """Returns the number of streams of a text of this length, at most `most`."""
    return max(1, min(length // LEAST_LENGTH, most, MAX_STREAMS))


def least_bits(length: int, streams: int, context: int) -> int:
    """Returns the bits of the shortest file: one for each window, as for other examples.

    So decoding takes a time in proportion to the length of the file (`padding`).
    """
    longest = -(-length // streams)
    return streams * len(_window_starts(longest, context))


def encoded(run: Run, state: game.State, text: Text, streams: int) -> Bitstream:
    """Encodes the symbols of a text, at least one for each stream.

    Raises:
      ValueError: probabilities are not finite.
    """
    encoder, context = Encoder(), run.data.spec.num_dims
    is_symbol = _rows(len(text), streams)
    rows, bits = np.zeros(is_symbol.shape, np.int64), np.zeros(is_symbol.shape)
    rows[is_symbol] = text
    positions = _walk(run, state, encoder.transfer, rows, is_symbol)
    for position, cost in zip(positions, encoder.costs, strict=True):
        bits[: len(cost), position] = cost
    words = encoder.words(least_bits(len(text), streams, context))
    return Bitstream(words, bits[is_symbol], label_bits=0.0)


def decoded(run: Run, state: game.State, words: Words, length: int, streams: int) -> Text:
    """Returns the text of so many symbols: the inverse of `encoded`.

    Raises:
      ValueError: no encoder wrote these words, or there are too many streams.
    """
    if streams > MAX_STREAMS:
        raise ValueError('more streams than an encoder writes')
    decoder = Decoder(words, least_bits(length, streams, run.data.spec.num_dims))
    is_symbol = _rows(length, streams)
    rows = np.zeros(is_symbol.shape, np.int64)
    _walk(run, state, decoder.transfer, rows, is_symbol)
    decoder.check_end()
    return rows[is_symbol]


def compiled_windows(run: Run, state: game.State) -> Windows:
    """Compiles the conditionals of the run's family, with the averaged weights."""
    conditionals, device = run.family.ability(Conditionals), jax.devices()[0]
    weights = jax.device_put(jax.device_get(state.averaged_weights), device)
    context = run.data.spec.num_dims

    def begin(weights, known: Float[Array, 'streams known']):
        memory = conditionals.begin(weights, {'x': jnp.zeros((len(known), context))})
        before = jnp.pad(known[:, :-1], ((0, 0), (1, 0))).T if known.shape[1] else known.T
        read = lambda memory, at: (conditionals.step(weights, memory, *at)[0], None)
        return jax.lax.scan(read, memory, (jnp.arange(len(before)), before))[0]

    begin, step = jax.jit(begin), jax.jit(conditionals.step, donate_argnums=1)
    return Windows(
        begin=lambda known: begin(weights, known),
        step=lambda *arguments: step(weights, *arguments),
    )


def _rows(length: int, streams: int) -> Bool[np.ndarray, 'streams longest']:
    """Returns where the symbols of each stream are; the first streams may be longer by one.

    Row by row, these places hold the text.
    """
    lengths = length // streams + (np.arange(streams) < length % streams)
    return np.arange(lengths[0]) < lengths[:, None]


def _window_starts(longest: int, context: int) -> range:
    """Returns the positions in a stream at which windows begin."""
    return range(0, max(longest - context // 2, 1), context // 2)


def _walk(
    run: Run,
    state: game.State,
    transfer: Transfer,
    rows: Int[np.ndarray, 'streams longest'],
    is_symbol: Bool[np.ndarray, 'streams longest'],
) -> list[int]:
    """Passes each symbol of the streams through `transfer` and stores the result in `rows`.

    Returns the positions in the streams, in the order of the calls of `transfer`.
    """
    (streams, longest), context = rows.shape, run.data.spec.num_dims
    windows, counts, positions = compiled_windows(run, state), is_symbol.sum(0), []
    with tqdm(total=longest, unit='step', leave=False, delay=PATIENCE) as bar:
        for start in _window_starts(longest, context):
            first = start + context // 2 if start else 0  # of the symbols that are coded
            memory = windows.begin(rows[:, start:first].astype(np.float32))
            for position in range(first, min(start + context, longest)):
                previous = np.zeros(streams, np.float32)  # the device may still read the old one
                if position:
                    previous[:] = rows[:, position - 1]
                memory, log_probs = windows.step(memory, np.int32(position - start), previous)
                here = slice(counts[position]), position
                rows[here] = transfer(np.asarray(log_probs)[here[0]], rows[here])
                positions.append(position)
                bar.update()
    return positions
