"""Bits-back coding with a latent-variable model: examples to 32-bit words and back, at -ELBO bits.

To code x with p(x | z), z must be coded too, and many values of z would do. The encoder therefore
draws z from q(z | x), and takes the random bits for this draw from the stack of bits coded so far.
Once the decoder knows x, and therefore q, it recovers these bits. An example thus costs
-log p(x | z) - log p(z) + log q(z | x): Frey and Hinton (1997), Efficient stochastic source coding
and an application to a Bayesian network source model. The stack is the ANS coder of `constriction`,
which chains examples without overhead: Townsend, Bird and Barber (2019), Practical lossless
compression with latent variables using bits back coding, Table 1. The stack starts empty, so the
first latent codes find no bits to take. The stream is longer by the number of these missing bits.

Encoder and decoder call the same compiled functions, one example at a time.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import constriction
import jax
import numpy as np
from jaxtyping import Float, Int
from tqdm import tqdm

from atelier.core import game
from atelier.core.abilities import BitsBack
from atelier.core.family import codes_of, is_class_conditional
from atelier.core.randomness import rng_for
from atelier.evaluation.compression import integer_frequencies, latent_bins
from atelier.evaluation.compression.integer_frequencies import Frequencies
from atelier.evaluation.compression.padding import WORD_BITS, num_words, padded, without_padding
from atelier.evaluation.compression.range_coder import Bitstream, Labels, index_in, is_labelled
from atelier.evaluation.compression.word_stream import Words
from atelier.evaluation.examples.known_classes import classes_of
from atelier.run.experiment import Run
from atelier.run.over_examples import PATIENCE


class Model(NamedTuple):
    """A latent-variable family, compiled for one example, with its weights on one device.

    posterior: (x [dims], label) -> mean and log variance of q(z | x).
    levels: (bins of z, label) -> frequencies [dims, levels] of every level of each value of x.
    latent_dim: dimension of z.
    """

    posterior: Callable
    levels: Callable
    latent_dim: int


def encoded(run: Run, state: game.State, x: Int[np.ndarray, 'n dims'], labels: Labels) -> Bitstream:
    """Encodes the levels x of n flattened examples, and their labels if the model `is_labelled`.

    Raises:
      ValueError: the model's outputs are not finite, or a label is of no class that exists for the
        model.
    """
    stack, model = constriction.stream.stack.AnsCoder(), model_of(run, state)
    classes = np.asarray(classes_of(run), np.int64)
    index = None if labels is None else index_in(classes, labels)
    bits, code_bits = np.zeros(x.shape), np.zeros(len(x))
    lacking = 0  # bits, for one per example at every time
    # from the last example to the first, because the decoder pops the top of the stack first
    for i in tqdm(range(len(x))[::-1], unit='example', leave=False, delay=PATIENCE):
        label = 0 if labels is None else int(labels[i])
        bins, bits_taken = latent_bins.draw(stack, *model.posterior(x[i], label))
        table = model.levels(bins, label)
        stack.encode_reverse(x[i].astype(np.int32), *integer_frequencies.as_model(table))
        stack.encode_reverse(bins, latent_bins.PRIOR)
        if index is not None and len(classes) > 1:
            stack.encode_reverse(int(index[i]), _uniform(classes))
        bits[i] = integer_frequencies.bits(table, x[i])
        code_bits[i] = latent_bins.BITS * len(bins) - bits_taken
        lacking = max(lacking, len(x) - i - stack.num_bits())
    label_bits = 0.0 if labels is None else float(np.log2(len(classes)))
    words = padded(stack.get_compressed(), num_words(lacking))
    return Bitstream(words, bits, label_bits, code_bits)


def decoded(
    run: Run, state: game.State, words: Words, n: int, classes: Sequence[int] | None = None
) -> tuple[Int[np.ndarray, 'n dims'], Labels]:
    """Returns (x, labels): the inverse of `encoded`.

    `classes` are those that labels were coded over; None: those that exist for the model. Decoding
    stops where the stack has fewer bits than examples are left: from an empty stack,
    `constriction` would go on without end.

    Raises:
      ValueError: no encoder wrote these words.
    """
    num_zeros = len(words) - len(without_padding(words))
    stack = constriction.stream.stack.AnsCoder(without_padding(words))
    classes = np.asarray(classes_of(run) if classes is None else classes, np.int64)
    model, lacking = model_of(run, state), 0
    x = np.zeros((n, run.data.spec.num_dims), np.int64)
    labels = np.zeros(n, np.int64) if is_labelled(run) else None
    for i in tqdm(range(n), unit='example', leave=False, delay=PATIENCE):
        lacking = max(lacking, n - i - stack.num_bits())
        if lacking > WORD_BITS * num_zeros:
            raise ValueError('the words end before the last example')
        label = 0
        if labels is not None:
            index = stack.decode(_uniform(classes)) if len(classes) > 1 else 0
            label = labels[i] = int(classes[index])
        bins = stack.decode(latent_bins.PRIOR, model.latent_dim)
        x[i] = stack.decode(*integer_frequencies.as_model(model.levels(bins, label)))
        latent_bins.put_back(stack, bins, *model.posterior(x[i], label))
    if not stack.is_empty() or num_words(lacking) != num_zeros:
        raise ValueError('words are left over after the last example')
    return x, labels


def model_of(run: Run, state: game.State) -> Model:
    """Compiles the run's family, which must have `BitsBack`, with the averaged weights."""
    family, spec, device = run.family, run.data.spec, jax.devices()[0]
    weights = jax.device_put(jax.device_get(state.averaged_weights), device)
    rng = rng_for(jax.random.PRNGKey(0), np.arange(1), 1)  # the posterior does not use it
    codes, bits_back = codes_of(family), family.ability(BitsBack)
    posterior_of = jax.jit(lambda weights, batch: codes.posterior(weights, batch, rng))
    log_probs_of = jax.jit(bits_back.level_log_probs)

    def label_input(label: int) -> dict[str, np.ndarray]:
        return {'label': np.full(1, label, np.int32)} if is_class_conditional(family) else {}

    def posterior(x: np.ndarray, label: int) -> list[Float[np.ndarray, 'latent']]:
        batch = {'x': x.astype(np.float32).reshape(1, *spec.event_shape), **label_input(label)}
        return [np.asarray(part[0], np.float64) for part in posterior_of(weights, batch)]

    def levels(bins: latent_bins.Bins, label: int) -> Frequencies:
        z = latent_bins.values(bins)[None]
        return integer_frequencies.frequencies(
            np.asarray(log_probs_of(weights, z, label_input(label)))[0]
        )

    mean, _ = posterior(np.zeros(spec.num_dims), 0)
    return Model(posterior, levels, len(mean))


def _uniform(classes: Int[np.ndarray, 'classes']):
    return constriction.stream.model.Uniform(len(classes))
