"""Anomaly scores under a trained model: negative log-likelihood or reconstruction error."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from atelier.core import game
from atelier.core.abilities import LabelPrior, LogProb, PerExample, Reconstruct
from atelier.core.family import is_class_conditional
from atelier.core.randomness import Stream, key_for
from atelier.core.types import Weights
from atelier.data.dataset import Dataset
from atelier.data.items import are_items
from atelier.errors import UserError, check_option
from atelier.log import counted
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples

SCORES = ('nll', 'reconstruction')


def chosen_score(run: Run, name: str) -> str:
    """Returns 'nll' or 'reconstruction'; for 'auto', the first of them that the family supports.

    Raises:
      UserError: `name` is not a score, or the family lacks the ability that the score needs.
    """
    has = {'nll': run.family.ability(LogProb) is not None, 'reconstruction': has_error(run)}
    supported = [score for score in SCORES if has[score]]
    if name == 'auto' and supported:
        return supported[0]
    check_option('score', name, ('auto', *SCORES))
    if name not in supported:
        missing = 'reconstruction' if name == 'reconstruction' else 'likelihood'
        if name == 'reconstruction' and run.family.ability(Reconstruct) is not None:
            missing = 'reconstruction error, as symbols have no distances'
        advice = f': choose --score={supported[0]}' if supported else ''
        raise UserError(f'--score={name}: the model of {run.folder} has no {missing}{advice}')
    return name


def has_error(run: Run) -> bool:
    """Whether the family has a reconstruction error: that of symbols would mean nothing."""
    return run.family.ability(Reconstruct) is not None and run.data.spec.symbols is None


def description_of(run: Run, name: str, is_given: bool = False) -> str:
    """Returns a description of the score; for nll, with the unit and `LogProb.description`.

    Args:
      run: its family has the score.
      name: 'nll' or 'reconstruction'.
      is_given: whether the reconstruction is that of the example's own class.
    """
    if name == 'reconstruction':
        which = ', given the label' if is_given else ', of the best class'
        description = 'reconstruction error 1/2 |x - x^|^2, x normalized'
        return description + (which if classes_of(run) else '')
    kind = run.family.ability(LogProb).description.replace('lower bound', 'upper bound of it')
    class_note = f', likelihood averaged over {weighting_of(run)}' if classes_of(run) else ''
    is_window = run.data.spec.symbols is not None and not are_items(run.data.spec)
    text_note = ', of all characters of a window' if is_window else ''
    return f'negative log-likelihood in nats ({kind}{class_note}{text_note})'


def weighting_of(run: Run) -> str:
    """Returns what the likelihood of an example without a label is averaged over."""
    has_prior = run.family.ability(LabelPrior) is not None
    return 'its own p(label)' if has_prior else counted(len(classes_of(run)), 'class')


def classes_of(run: Run) -> list[int]:
    """Returns the training classes of a class-conditional family; empty for any other."""
    if not is_class_conditional(run.family):
        return []
    return list(run.data.spec.known_classes)


def log_class_weights(run: Run, weights: Weights) -> Float[Array, 'classes']:
    """Returns the logarithms, in nats, of the weights of `classes_of` in the mean likelihood."""
    classes, prior = classes_of(run), run.family.ability(LabelPrior)
    index = jnp.asarray(classes, jnp.int32)
    log_prior = jnp.zeros(len(classes)) if prior is None else prior.log_probs(weights)[index]
    return jax.nn.log_softmax(log_prior)


def scorer(run: Run, data: Dataset, name: str, devices: Sequence[jax.Device]) -> Callable:
    """Returns score(state, x) -> [n], float64, for stored examples x [n, *event] of `data`.

    The score depends on x alone; labels of `data` are ignored. A class-conditional family is
    evaluated for each of its training classes in turn: nll is -log mean_y p(x | y), or
    -log sum_y p(y) p(x | y) if the model has p(y), and the reconstruction error is the smallest
    over classes. Random draws are the same as in an
    evaluation, so for other families nll on the test split equals that of --mode=evaluate. Text is
    an exception: its windows overlap, and here each window counts all of its characters.
    """
    score = {'nll': _nll, 'reconstruction': reconstruction_error}[name](run)
    classes = classes_of(run)

    def unconditional(weights, batch, rng):
        return score(weights, {'x': batch['x']}, rng)

    def over_classes(weights, batch, rng):
        def for_class(index):
            label = jnp.full(len(batch['x']), index, jnp.int32)
            return score(weights, {'x': batch['x'], 'label': label}, rng)

        scores = jax.lax.map(for_class, jnp.asarray(classes, jnp.int32))
        if name == 'reconstruction':
            return jnp.min(scores, 0)
        return -jax.nn.logsumexp(log_class_weights(run, weights)[:, None] - scores, axis=0)

    f = over_classes if classes else unconditional
    apply = over_examples(f, data, run.config.eval.batch_size, devices)

    def scores_of(state: game.State, x: np.ndarray) -> Float[np.ndarray, 'n']:
        key = key_for(state.key, Stream.EVALUATE)
        return np.asarray(apply(state, key, {'x': x}, len(x)), np.float64)

    return scores_of


def _nll(run: Run) -> PerExample:
    return lambda *arguments: -run.family.ability(LogProb).nats(*arguments)


def reconstruction_error(run: Run) -> PerExample:
    """Returns 1/2 |x - reconstruction|^2 on the normalized scale."""
    spec = run.data.spec

    def error(weights, batch, rng) -> Float[Array, 'local']:
        reconstruction = run.family.ability(Reconstruct).mean(weights, batch, rng)
        difference = spec.normalize(batch['x']) - spec.normalize(reconstruction)
        return 0.5 * jnp.sum(jnp.square(difference).reshape(len(difference), -1), axis=1)

    return error
