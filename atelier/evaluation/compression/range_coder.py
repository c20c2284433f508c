"""Range coding with an autoregressive model: examples to 32-bit words and back, at -log2 p(x) bits.

Encoder and decoder visit values in the same order: the i-th value of all examples of a batch, then
value i + 1. One compiled step returns log probabilities; integer frequencies made from them code
the value. Only the encoder knows the values beforehand. If the model is conditional on a label, the
label is coded before the values, with equal probabilities of the classes that exist for the model.
This holds for a model that has p(label) too: its labels then cost as much as those of other models,
whichever examples are coded.

Items, which end (`atelier.data.items`), are coded up to their ends. A value that is certain, such
as a forced end, is not coded at all. So an item has no length in the file but its end.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int
from tqdm import tqdm

from atelier.core import game
from atelier.core.abilities import Conditionals
from atelier.core.family import is_class_conditional
from atelier.data.items import END_TOKEN, are_items
from atelier.evaluation.compression.integer_frequencies import LogProbs
from atelier.evaluation.compression.word_stream import Decoder, Encoder, Words
from atelier.evaluation.examples.known_classes import classes_of
from atelier.run.experiment import Run
from atelier.run.over_examples import PATIENCE

MAX_LEVELS = 2**16
Transfer = Callable[[LogProbs, np.ndarray], np.ndarray]  # (log p of levels, values) -> values
Labels = Int[np.ndarray, 'n'] | None


class CompiledConditionals(NamedTuple):
    """A model of one value after another, compiled, with its weights on one device.

    begin: (labels [batch]) -> memory; only a model of p(x | label) reads the labels.
    step: (memory, i, previous) -> (memory, log p [batch, levels] of the i-th value).
    order: index in the flat x of the i-th value.
    are_items: whether x are items, which end.
    """

    begin: Callable
    step: Callable
    order: Int[np.ndarray, 'dims']
    are_items: bool = False


class Bitstream(NamedTuple):
    """Examples coded as one stream of words, and the cost of each value in bits.

    words: 32-bit words of all examples, at least one bit each (`padding`). They form one stream, so
      the cost of ending a stream arises only once.
    bits: cost of each value of x, from its frequency.
    label_bits: cost of each example's label; 0 without labels.
    code_bits: cost of each example's latent code, without bits that come back; None for models
      without a code.
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
      ValueError: a label is of no class that exists for the model, probabilities are not finite, or
        x is none of the items that the model allows.
    """
    encoder, model = Encoder(are_items(run.data.spec)), compiled_conditionals(run, state)
    classes = np.asarray(classes_of(run), np.int64)
    bits, label_bits = encode(model, encoder, x, labels, classes, batch_size)
    return Bitstream(encoder.words(len(x)), bits, label_bits)


def encode(
    model: CompiledConditionals,
    encoder: Encoder,
    x: Int[np.ndarray, 'n dims'],
    labels: Labels,
    classes: Int[np.ndarray, 'classes'],
    batch_size: int,
) -> tuple[Float[np.ndarray, 'n dims'], float]:
    """Encodes the labels, if there are any, and the levels x of n flattened examples.

    They are the first that the encoder gets.

    Returns:
      The cost of each value, and of the label of an example, in bits.

    Raises:
      ValueError: as `encoded`.
    """
    index = None if labels is None else index_in(classes, labels)
    coded = walk(model, encoder.transfer, x.copy(), index, classes, batch_size)
    bits, label_bits = np.zeros(x.shape), 0.0
    for (rows, dim), cost in zip(coded, encoder.costs, strict=True):
        if dim is None:
            label_bits = float(cost[0])
        else:
            bits[rows, dim] = cost
    return bits, label_bits


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
    decoder, model = Decoder(words, n, are_items(run.data.spec)), compiled_conditionals(run, state)
    x, labels = decode(model, decoder, run, (n, run.data.spec.num_dims), batch_size, classes)
    decoder.check_end()
    return x, labels


def decode(
    model: CompiledConditionals,
    decoder: Decoder,
    run: Run,
    shape: tuple[int, int],
    batch_size: int,
    classes: Sequence[int] | None,
) -> tuple[Int[np.ndarray, 'n dims'], Labels]:
    """Returns (x of this shape, labels): the inverse of `encode`, with the classes of `decoded`.

    Raises:
      ValueError: as `decoded`.
    """
    x = np.zeros(shape, np.int64)
    classes = np.asarray(classes_of(run) if classes is None else classes, np.int64)
    index = np.zeros(len(x), np.int64) if is_labelled(run) else None
    walk(model, decoder.transfer, x, index, classes, batch_size)
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
    spec = run.data.spec
    model = compiled(run.family.ability(Conditionals), run, state, spec.event_shape)
    return model._replace(are_items=are_items(spec))


def compiled(
    conditionals: Conditionals, run: Run, state: game.State, event_shape: tuple[int, ...]
) -> CompiledConditionals:
    """Compiles conditionals of values in this shape, given the label if the run's family is."""
    device, reads_label = jax.devices()[0], is_class_conditional(run.family)
    weights = jax.device_put(jax.device_get(state.averaged_weights), device)
    begin, step = jax.jit(conditionals.begin), jax.jit(conditionals.step, donate_argnums=1)

    def memory_of(labels):
        x = np.zeros((len(labels), *event_shape), np.float32)
        return begin(weights, {'x': x, 'label': labels} if reads_label else {'x': x})

    return CompiledConditionals(
        begin=memory_of,
        step=lambda *arguments: step(weights, *arguments),
        order=np.asarray(conditionals.order(weights)),
    )


def walk(
    model: CompiledConditionals,
    transfer: Transfer,
    x: np.ndarray,
    index: Labels,
    classes: Int[np.ndarray, 'classes'],
    batch_size: int,
) -> list[tuple[slice, int | None]]:
    """Passes each value of x [n, dims], and each label, through `transfer` and stores the result.

    `index` [n] is each label's position among the classes. Where all items of a batch have ended,
    what is left of its x is padding, and is not passed.

    Returns what was coded, in order: pairs (rows, dimension of x), or (rows, None) for labels.
    """
    coded = []
    starts = range(0, len(x), batch_size)
    with tqdm(total=len(starts) * x.shape[1], unit='value', leave=False, delay=PATIENCE) as bar:
        for start in starts:
            rows = slice(start, min(start + batch_size, len(x)))
            count = rows.stop - start
            # always a whole batch: another shape is another program, whose floats may differ
            labels = np.zeros(batch_size, np.int32)
            if index is not None:
                if len(classes) > 1:  # a single class costs nothing, and coders refuse it
                    uniform = np.zeros((count, len(classes)))
                    index[rows] = transfer(uniform, index[rows])
                    coded.append((rows, None))
                labels[:count] = classes[index[rows]]
            memory, previous = model.begin(labels), np.zeros(batch_size, np.float32)
            for i, dim in enumerate(model.order.tolist()):
                if i and model.are_items and (previous[:count] == END_TOKEN).all():
                    bar.update(x.shape[1] - i)
                    break  # only padding follows
                memory, log_probs = model.step(memory, np.int32(i), previous)
                x[rows, dim] = transfer(np.asarray(log_probs)[:count], x[rows, dim])
                # a new array, because the device may still read the old one
                previous = np.zeros(batch_size, np.float32)
                previous[:count] = x[rows, dim]
                coded.append((rows, dim))
                bar.update()
    return coded
