"""Range coding with an autoregressive model: examples to 32-bit words and back, at -log2 p(x) bits.

Encoder and decoder visit values in the same order: the i-th value of all examples of a batch, then
value i + 1. One compiled step returns log probabilities; integer frequencies made from them code
the value. Only the encoder knows the values beforehand. If the model is conditional on a label, the
label is coded before the values, with equal probabilities of the classes that exist for the model.
This holds for a model that has p(label) too: its labels then cost as much as those of other models,
whichever examples are coded.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import constriction
import jax
import numpy as np
from jaxtyping import Float, Int, UInt32
from tqdm import tqdm

from atelier.core import game
from atelier.core.abilities import Conditionals
from atelier.core.family import is_class_conditional
from atelier.evaluation.compression import integer_frequencies
from atelier.evaluation.compression.integer_frequencies import Frequencies
from atelier.evaluation.compression.padding import WORD_BITS, num_words, padded, without_padding
from atelier.evaluation.examples.known_classes import classes_of
from atelier.evaluation.per_example.over_examples import PATIENCE
from atelier.run.experiment import Run

MAX_LEVELS = 2**16
MAX_LEFT = 64  # bits of the decoder's range: no stream costs more bits than it has, and these

Words = UInt32[np.ndarray, '_']
Transfer = Callable[[Frequencies, np.ndarray], np.ndarray]  # (frequencies, values) -> values
Labels = Int[np.ndarray, 'n'] | None


class CompiledConditionals(NamedTuple):
    """A family's compiled conditionals, with its weights on one device."""

    begin: Callable  # (given) -> memory
    step: Callable  # (memory, i, previous) -> (memory, log p [batch, levels])
    order: Int[np.ndarray, 'dims']


class Bitstream(NamedTuple):
    """Examples coded as one stream of words, and the cost of each value in bits.

    words: 32-bit words of all examples, at least one bit each (`padding`). They form one stream, so
      the cost of ending a stream arises only once.
    bits: cost of each value of x, from its frequency.
    label_bits: cost of each example's label; 0 without labels.
    code_bits: net cost of each example's latent code; None for models without one.
    """

    words: Words
    bits: Float[np.ndarray, 'n dims']
    label_bits: float
    code_bits: Float[np.ndarray, 'n'] | None = None


def is_labelled(run: Run) -> bool:
    """Whether the label is coded with x, because the model is p(x | label).

    With a single class there is nothing to code.
    """
    return is_class_conditional(run.family) and run.data.spec.num_classes > 1


def encoded(
    run: Run, state: game.State, x: Int[np.ndarray, 'n dims'], labels: Labels, batch_size: int
) -> Bitstream:
    """Encodes the levels x of n flattened examples, and their labels if the model `is_labelled`.

    Raises:
      ValueError: a label is of no class that exists for the model, or probabilities are not finite.
    """
    encoder, costs = constriction.stream.queue.RangeEncoder(), []

    def write(table, values):
        encoder.encode(values.astype(np.int32), *integer_frequencies.as_model(table))
        costs.append(integer_frequencies.bits(table, values))
        return values

    classes = np.asarray(classes_of(run), np.int64)
    index = None if labels is None else index_in(classes, labels)
    model = compiled_conditionals(run, state)
    coded = _walk(run, model, write, x.copy(), index, classes, batch_size)
    bits, label_bits = np.zeros(x.shape), 0.0
    for (rows, dim), cost in zip(coded, costs, strict=True):
        if dim is None:
            label_bits = float(cost[0])
        else:
            bits[rows, dim] = cost
    words = encoder.get_compressed()
    return Bitstream(padded(words, num_words(len(x)) - len(words)), bits, label_bits)


def decoded(
    run: Run,
    state: game.State,
    words: Words,
    n: int,
    batch_size: int,
    classes: Sequence[int] | None = None,
) -> tuple[Int[np.ndarray, 'n dims'], Labels]:
    """Returns (x, labels): the inverse of `encoded`.

    `classes` are those that labels were coded over; None: those that exist for the model. Decoding
    stops where the words have run out: `constriction` would go on, as if zeros followed.

    Raises:
      ValueError: no encoder wrote these words.
    """
    if len(words) < num_words(n):
        raise ValueError('fewer bits than examples')
    if len(words) == num_words(n):
        words = without_padding(words)
    decoder = constriction.stream.queue.RangeDecoder(words)
    bits_left = WORD_BITS * len(words) + MAX_LEFT

    def read(table, values):
        nonlocal bits_left
        del values
        try:
            values = decoder.decode(*integer_frequencies.as_model(table))
        except AssertionError as error:  # how constriction reports invalid data
            raise ValueError('no encoder wrote these words') from error
        bits_left -= integer_frequencies.bits(table, values).sum()
        if bits_left < 0:
            raise ValueError('the words end before the last example')
        return values

    x = np.zeros((n, run.data.spec.num_dims), np.int64)
    classes = np.asarray(classes_of(run) if classes is None else classes, np.int64)
    index = np.zeros(n, np.int64) if is_labelled(run) else None
    _walk(run, compiled_conditionals(run, state), read, x, index, classes, batch_size)
    if not decoder.maybe_exhausted():
        raise ValueError('words are left over after the last example')
    return x, None if index is None else classes[index]


def index_in(
    classes: Int[np.ndarray, 'classes'], labels: Int[np.ndarray, 'n']
) -> Int[np.ndarray, 'n']:
    """Returns the position of each label among the classes, which are sorted.

    Raises:
      ValueError: a label is none of the classes.
    """
    if not np.isin(labels, classes).all():
        raise ValueError('a label is of no class that the labels are coded over')
    return np.searchsorted(classes, labels)


def compiled_conditionals(run: Run, state: game.State) -> CompiledConditionals:
    """Compiles the conditionals of the run's family, with the averaged weights."""
    conditionals, device = run.family.ability(Conditionals), jax.devices()[0]
    weights = jax.device_put(jax.device_get(state.averaged_weights), device)
    begin, step = jax.jit(conditionals.begin), jax.jit(conditionals.step, donate_argnums=1)
    return CompiledConditionals(
        begin=lambda given: begin(weights, given),
        step=lambda *arguments: step(weights, *arguments),
        order=np.asarray(conditionals.order(weights)),
    )


def _walk(
    run: Run,
    conditionals: CompiledConditionals,
    transfer: Transfer,
    x: np.ndarray,
    index: Labels,
    classes: Int[np.ndarray, 'classes'],
    batch_size: int,
) -> list[tuple[slice, int | None]]:
    """Passes each value of x [n, dims], and each label, through `transfer` and stores the result.

    `index` [n] is each label's position among the classes.

    Returns what was coded, in order: pairs (rows, dimension of x), or (rows, None) for labels.
    """
    spec, coded = run.data.spec, []
    starts = range(0, len(x), batch_size)
    with tqdm(total=len(starts) * x.shape[1], unit='value', leave=False, delay=PATIENCE) as bar:
        for start in starts:
            rows = slice(start, min(start + batch_size, len(x)))
            count = rows.stop - start
            # always a whole batch: another shape is another program, whose floats may differ
            given = {'x': np.zeros((batch_size, *spec.event_shape), np.float32)}
            if is_class_conditional(run.family):
                given['label'] = np.zeros(batch_size, np.int32)
            if index is not None:
                if len(classes) > 1:  # a single class costs nothing, and coders refuse it
                    uniform = integer_frequencies.frequencies(np.zeros((count, len(classes))))
                    index[rows] = transfer(uniform, index[rows])
                    coded.append((rows, None))
                given['label'][:count] = classes[index[rows]]
            memory, previous = conditionals.begin(given), np.zeros(batch_size, np.float32)
            for i, dim in enumerate(conditionals.order.tolist()):
                memory, log_probs = conditionals.step(memory, np.int32(i), previous)
                table = integer_frequencies.frequencies(np.asarray(log_probs)[:count])
                x[rows, dim] = transfer(table, x[rows, dim])
                # a new array, because the device may still read the old one
                previous = np.zeros(batch_size, np.float32)
                previous[:count] = x[rows, dim]
                coded.append((rows, dim))
                bar.update()
    return coded
