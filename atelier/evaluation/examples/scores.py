"""Scores of each example: whatever a family has of log p(x), reconstruction error and class."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from atelier.core.abilities import Classify, LogProb, Reconstruct
from atelier.core.family import Family, is_class_conditional, reads_condition
from atelier.core.randomness import Stream, key_for
from atelier.data import items
from atelier.data.conditions.condition import KEY
from atelier.data.dataset import Dataset
from atelier.errors import UserError
from atelier.evaluation.examples.anomaly_score import has_error, reconstruction_error, scorer
from atelier.evaluation.per_example.per_dimension import per_dimension
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples
from atelier.run.restore import TrainedRun


def can_score(family: Family) -> bool:
    """Whether the family has any of the scores."""
    return any(family.ability(ability) for ability in (LogProb, Reconstruct, Classify))


def scores(trained: TrainedRun) -> dict[str, np.ndarray]:
    """Returns the scores [n] of the test split, by name, as --mode=score describes them."""
    if has_inputs(trained.run):
        values = over_test(trained, _scores_of(trained.run))
    else:
        values = _without_labels(trained)
    if 'log_prob_nats' in values:
        nll = -np.asarray(values['log_prob_nats'], np.float64)
        values |= _per_symbol(trained.run.data, nll)
    return {name: np.asarray(value) for name, value in values.items()}


def _per_symbol(data: Dataset, nll: np.ndarray) -> dict[str, np.ndarray]:
    """Returns `per_dimension` of each example; that of an item divides by its own length."""
    if not items.are_items(data.spec):
        return per_dimension(data, 'test', nll)
    nats = nll / items.lengths(data.splits['test']['x'])
    return {'nats_per_character': nats, 'bits_per_character': nats / math.log(2)}


def has_inputs(run: Run) -> bool:
    """Whether every example has what the family reads: a label or condition, if conditional.

    Raises:
      UserError: the family is conditional on more than a class, and examples have no condition.
    """
    if reads_condition(run.family) and KEY not in run.data.splits['test']:
        raise UserError(
            f'the model of {run.folder} is conditional, and the examples have no condition: give '
            'it with them (docs/conditions.md)'
        )
    return not is_class_conditional(run.family) or 'label' in run.data.splits['test']


def _without_labels(trained: TrainedRun) -> dict[str, np.ndarray]:
    """Returns the scores of a class-conditional family over all of its classes."""
    run, values = trained.run, {}
    x = run.data.splits['test']['x']
    if run.family.ability(LogProb) is not None:
        values['log_prob_nats'] = -scorer(run, run.data, 'nll', trained.devices)(trained.state, x)
    if has_error(run):
        error = scorer(run, run.data, 'reconstruction', trained.devices)
        values['half_squared_error'] = error(trained.state, x)
    if run.family.ability(Classify) is not None:
        values |= over_test(trained, _predicted(run))
    return values


def over_test(trained: TrainedRun, function: Callable) -> Any:
    """Returns function(weights, batch, rng) of all test examples, on the devices of the run."""
    run, key = trained.run, key_for(trained.state.key, Stream.EVALUATE)
    apply = over_examples(function, run.data, run.config.eval.batch_size, trained.devices)
    return apply(trained.state, key, run.data.splits['test'], run.data.size('test'))


def _scores_of(run: Run) -> Callable:
    """Returns f(weights, batch, rng) -> the scores [local] of a batch, by name."""
    family = run.family

    def scores_of(weights, batch, rng):
        values, log_prob = {}, family.ability(LogProb)
        if log_prob is not None:
            values['log_prob_nats'] = log_prob.nats(weights, batch, rng)
            if log_prob.coarser is not None:
                coarser = log_prob.coarser(weights, batch, rng)
                values['log_prob_error_nats'] = abs(values['log_prob_nats'] - coarser)
        if has_error(run):
            values['half_squared_error'] = reconstruction_error(run)(weights, batch, rng)
        if family.ability(Classify) is not None:
            values |= _predicted(run)(weights, batch, rng)
        return values

    return scores_of


def _predicted(run: Run) -> Callable:
    """Returns f(weights, batch, rng) -> {'predicted' [local], 'confidence' [local]}."""

    def predicted(weights, batch, rng):
        probs = jax.nn.softmax(run.family.ability(Classify).logits(weights, batch, rng))
        return {'predicted': probs.argmax(-1), 'confidence': probs.max(-1)}

    return predicted
