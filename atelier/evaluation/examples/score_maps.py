"""Anomaly scores by pixel: the terms of a score whose sum over the dimensions of x is the score."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from atelier.core.abilities import BitsBack, Conditionals, PerExample, Reconstruct
from atelier.core.family import codes_of
from atelier.core.randomness import Stream, key_for
from atelier.core.types import Batch, Weights
from atelier.data.dataset import Dataset
from atelier.evaluation.examples.anomaly_score import classes_of, log_class_weights
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples
from atelier.run.restore import TrainedRun


class Terms(NamedTuple):
    """What a map shows.

    of: (weights, batch, rng) -> [local, dims], a term for each value of the flat x.
    unit: of the terms, such as 'nats'.
    description: of their sum.
    """

    of: PerExample
    unit: str
    description: str


class ScoreMaps(NamedTuple):
    """Scores by pixel.

    x: [n, *event], as the model gets it.
    terms: [n, *event].
    unit: of the terms, such as 'nats'.
    description: of the sum of an example's terms.
    """

    x: np.ndarray
    terms: np.ndarray
    unit: str
    description: str


def score_maps(
    trained: TrainedRun, data: Dataset, score: str, index: Int[np.ndarray, 'n']
) -> ScoreMaps | None:
    """Returns the terms of the scores of test examples of `data`; None if a score has none.

    The nll of a model of one value after another (`Conditionals`) is the sum of its terms, for a
    class-conditional model too. For a VAE whose p(x | z) has independent values, the terms are
    those of -log p(x | z), with z the mean of q(z | x), because the KL has no pixels. For any other
    model, and for the score 'reconstruction', they are those of the reconstruction error. The last
    two are of the class with the smallest sum, if the model is class-conditional.

    Args:
      trained: its family has the score.
      data: its test split has the examples, as for `anomaly_score.scorer`.
      score: 'nll' or 'reconstruction'.
      index: of the examples in the test split.
    """
    run = trained.run
    terms = _terms(run, score)
    if terms is None:
        return None
    f = lambda weights, batch, rng: (batch['x'], terms.of(weights, {'x': batch['x']}, rng))
    apply = over_examples(f, data, run.config.eval.batch_size, trained.devices)
    x = data.splits['test']['x']
    key = key_for(trained.state.key, Stream.EVALUATE)
    x, values = apply(trained.state, key, {'x': x}, len(x), index)
    values = np.asarray(values, np.float64).reshape(x.shape)
    return ScoreMaps(x, values, terms.unit, terms.description)


def _terms(run: Run, score: str) -> Terms | None:
    family, classes = run.family, classes_of(run)
    best = 'of the best class, ' if classes else ''
    if score == 'nll' and (ability := family.ability(Conditionals)) is not None:
        return Terms(_of_conditionals(run, ability, classes), 'nats', '-log p(x)')
    if score == 'nll' and family.ability(BitsBack) is not None:
        of = _of_best_class(_of_decoder(run), classes)
        return Terms(of, 'nats', f'-log p(x | z), {best}z the mean of q(z | x)')
    if family.ability(Reconstruct) is None:
        return None
    of = _of_best_class(_of_reconstruction(run), classes)
    return Terms(of, '1/2 squared error', f'reconstruction error, {best}x normalized')


def _of_conditionals(run: Run, conditionals: Conditionals, classes: list[int]) -> PerExample:
    """Returns -log p(x_i | x before i), where p(x) is the mean over the classes, if there are any.

    With classes, the terms are differences of -log sum_y w_y p(x_1, ..., x_i | y), with the weights
    of the score.
    """

    def terms(weights, batch, rng):
        del rng
        order = conditionals.order(weights)
        values = batch['x'].reshape(len(batch['x']), -1)[:, order]

        def of_class(batch):
            return _log_probs_in_order(conditionals, weights, batch, values)

        if classes:
            of_index = lambda each: of_class(_with_class(batch, each))
            logs = jnp.cumsum(jax.lax.map(of_index, jnp.asarray(classes, jnp.int32)), 2)
            logs = jax.nn.logsumexp(logs + log_class_weights(run, weights)[:, None, None], 0)
            logs = jnp.diff(logs, axis=1, prepend=0.0)
            logs = jnp.where(jnp.isnan(logs), -jnp.inf, logs)  # after p = 0
        else:
            logs = of_class(batch)
        return jnp.zeros_like(logs).at[:, order].set(-logs)

    return terms


def _log_probs_in_order(
    conditionals: Conditionals, weights: Weights, batch: Batch, values: Float[Array, 'local dims']
) -> Float[Array, 'local dims']:
    """Returns log p of each value given those before it; values are in the model's order."""

    def step(carry, inputs):
        memory, previous = carry
        i, value = inputs
        memory, logs = conditionals.step(weights, memory, i, previous)
        chosen = jnp.take_along_axis(logs, value.astype(jnp.int32)[:, None], 1)[:, 0]
        return (memory, value), chosen

    start = conditionals.begin(weights, batch), jnp.zeros_like(values[:, 0])
    _, logs = jax.lax.scan(step, start, (jnp.arange(values.shape[1]), values.T))
    return logs.T


def _of_decoder(run: Run) -> PerExample:
    """Returns -log p(x_i | z) of levels, with z the mean of q(z | x)."""
    posterior = codes_of(run.family).posterior
    bits_back = run.family.ability(BitsBack)

    def terms(weights, batch, rng):
        mean, _ = posterior(weights, batch, rng)
        logs = bits_back.level_log_probs(weights, mean, batch)
        levels = batch['x'].reshape(*logs.shape[:2], 1).astype(jnp.int32)
        return -jnp.take_along_axis(logs, levels, 2)[..., 0]

    return terms


def _of_reconstruction(run: Run) -> PerExample:
    """Returns 1/2 (x_i - reconstruction_i)^2 on the normalized scale."""
    spec = run.data.spec

    def terms(weights, batch, rng):
        reconstruction = run.family.ability(Reconstruct).mean(weights, batch, rng)
        difference = spec.normalize(batch['x']) - spec.normalize(reconstruction)
        return 0.5 * jnp.square(difference).reshape(len(difference), -1)

    return terms


def _of_best_class(terms: PerExample, classes: list[int]) -> PerExample:
    """Returns the terms of the class with the smallest sum, if there are classes."""
    if not classes:
        return terms

    def of_best(weights, batch, rng):
        of_index = lambda each: terms(weights, _with_class(batch, each), rng)
        every = jax.lax.map(of_index, jnp.asarray(classes, jnp.int32))
        best = jnp.argmin(jnp.sum(every, 2), 0)
        return every[best, jnp.arange(len(best))]

    return of_best


def _with_class(batch: Batch, label: Int[Array, '']) -> Batch:
    return {**batch, 'label': jnp.full(len(batch['x']), label, jnp.int32)}
