"""p(x) of a model on a grid, for data of one or two values per event."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from atelier.core.abilities import Components, LogProb
from atelier.core.family import reads_condition
from atelier.core.randomness import Stream, key_for
from atelier.data import preprocess
from atelier.data.dataset import Dataset
from atelier.data.spec import Spec
from atelier.evaluation.examples.anomaly_score import scorer
from atelier.log import log
from atelier.report.views import drawing
from atelier.report.views.view import Density, Sets
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples
from atelier.run.restore import TrainedRun

MAX_LEVELS = 256  # of a value whose every level has its probability drawn
NUM_VALUES = 400  # of a grid over one value
# points along each side of a grid over two values, if p(x) has a closed form and if it takes
# importance samples, integration steps or the like
NUM_EXACT, NUM_SAMPLED = 240, 50
# points at which the random error of log p(x) is measured, and draws for each
NUM_TESTED, NUM_REPEATS = 16, 16
MAX_ERROR = 0.1  # of the mean of the draws, in nats: p(x) is right to 10 %
MAX_DRAWS = 16
QUICK_ERROR = 0.03  # of a quicker estimate that is drawn instead, whose bias is then far smaller


def density_of(trained: TrainedRun, sets: Sets) -> Density | None:
    """Returns p(x) on a grid over the frame in which these sets are drawn.

    A class-conditional model has the mean of p(x | class) over its classes, or over its own
    p(class). Where log p(x) is a bound or an estimate, so is p(x).

    Returns None if the model has no likelihood, or only that given more than a class, if events
    have more than two values, or two discrete ones, or if log p(x) has too large a random error,
    which the log says.
    """
    log_prob = trained.run.family.ability(LogProb)
    if reads_condition(trained.run.family):
        return None
    axes = None if log_prob is None else grid_axes(trained.run.data.spec, sets, log_prob.budget)
    if axes is None:
        return None
    x = drawing.reference(sets)[:NUM_TESTED]
    if log_prob.quicker is not None:
        quick = trained._replace(run=_with_log_prob(trained.run, log_prob.quicker))
        if random_error(quick, x) <= QUICK_ERROR:
            return density_on(quick, axes)
    error = random_error(trained, x) if log_prob.budget else 0.0
    num_draws = max(1, math.ceil((error / MAX_ERROR) ** 2)) if np.isfinite(error) else MAX_DRAWS + 1
    if num_draws > MAX_DRAWS:
        kind = log_prob.description
        log.info('p(x) is not drawn: log p(x), %s, has a random error of %.2g nats', kind, error)
        return None
    return density_on(trained, axes, num_draws)


def random_error(trained: TrainedRun, x: np.ndarray) -> float:
    """Returns the standard deviation of log p(x), in nats, over the model's own random draws.

    It is the root of the mean variance over the x [n, *event].
    """
    run = trained.run
    score = scorer(run, _as_given(run), 'nll', trained.devices)
    tiled = np.repeat(np.asarray(x, np.float32), NUM_REPEATS, 0)
    scores = score(trained.state, tiled).reshape(len(x), NUM_REPEATS)
    return float(np.sqrt(np.mean(np.var(scores, axis=1, ddof=1))))


def _as_given(run: Run) -> Dataset:
    """Returns the data of a run, whose preprocessing leaves x as it is: the model sees x itself."""
    return run.data._replace(preprocess=preprocess.as_float)


def grid_axes(spec: Spec, sets: Sets, budget: str = '') -> tuple[np.ndarray, ...] | None:
    """Returns the numbers along each axis of the grid, or None if there is no grid."""
    if spec.symbols is not None or not 1 <= spec.num_dims <= 2:
        return None
    if spec.levels is not None:
        is_drawn = spec.num_dims == 1 and spec.levels <= MAX_LEVELS
        return (np.arange(spec.levels, dtype=np.float64),) if is_drawn else None
    n = NUM_VALUES if spec.num_dims == 1 else NUM_SAMPLED if budget else NUM_EXACT
    return tuple(np.linspace(*ends, n) for ends in zip(*drawing.frame(sets), strict=True))


def density_on(trained: TrainedRun, axes: tuple[np.ndarray, ...], num_draws: int = 1) -> Density:
    """Returns p(x) of a model with a likelihood at each point of the grid over these axes.

    A log p(x) that draws noise is the mean over `num_draws` draws, the same for all points.
    """
    run, spec = trained.run, trained.run.data.spec
    shape = tuple(len(axis) for axis in reversed(axes))  # rows along the second axis
    points = np.stack(np.meshgrid(*axes), -1).reshape(-1, *spec.event_shape).astype(np.float32)
    data = _as_given(run)
    terms, components = run.family.ability(Components), {}
    if terms is None:
        score = scorer(_with_one_noise(run, num_draws), data, 'nll', trained.devices)
        log_p = -score(trained.state, points)
    else:
        log_joint = _log_joint(trained, data, terms, points)
        components = {
            _name(spec, k, terms): np.exp(log_joint[:, k]).reshape(shape)
            for k in range(log_joint.shape[1])
            if np.isfinite(log_joint[:, k]).any()
        }
        log_p = np.logaddexp.reduce(log_joint, axis=1)
    kind = run.family.ability(LogProb).description
    return Density(axes, np.exp(log_p).reshape(shape), kind, components)


def _with_one_noise(run: Run, num_draws: int) -> Run:
    """Returns the run with a likelihood that draws the same noise for every point.

    The error of an estimate is then that of a smooth function of x, and not a grain in the map.
    """
    log_prob = run.family.ability(LogProb)

    def nats(weights, batch, rng):
        def of_draw(index):
            key = jax.random.fold_in(rng.shared_key, index)
            keys, rows = jnp.broadcast_to(key, rng.keys.shape), jnp.zeros_like(rng.rows)
            return log_prob.nats(weights, batch, rng.replace(keys=keys, rows=rows))

        return jnp.mean(jax.lax.map(of_draw, jnp.arange(num_draws)), 0)

    return _with_log_prob(run, log_prob._replace(nats=nats))


def _with_log_prob(run: Run, log_prob: LogProb) -> Run:
    """Returns the run with another likelihood."""
    others = tuple(each for each in run.family.abilities if not isinstance(each, LogProb))
    family = dataclasses.replace(run.family, abilities=(*others, log_prob))
    return run._replace(family=family)


def _log_joint(trained: TrainedRun, data, terms: Components, points: np.ndarray) -> np.ndarray:
    """Returns log p(k) + log p(x | k), [points, components], in nats."""
    size = trained.run.config.eval.batch_size
    apply = over_examples(terms.log_joint, data, size, trained.devices)
    key = key_for(trained.state.key, Stream.EVALUATE)
    return np.asarray(apply(trained.state, key, {'x': points}, len(points)), np.float64)


def _name(spec: Spec, index: int, terms: Components) -> str:
    if terms.are_classes:
        return spec.class_name(index) if spec.class_names else f'class {index}'
    return f'component {index + 1}'
