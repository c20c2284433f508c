"""Validation during training: metrics, the best value so far, warnings."""

import collections
import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from atelier.core import game
from atelier.core.abilities import LogProb, Sample
from atelier.core.game import State
from atelier.core.randomness import Stream, key_for, rng_for
from atelier.evaluation.examples.known_classes import is_known, of_known_classes
from atelier.evaluation.per_example.per_dimension import per_dimension
from atelier.evaluation.samples.features import coordinates
from atelier.evaluation.samples.neighbours import overlap_metrics
from atelier.evaluation.samples.requests import like_split
from atelier.evaluation.samples.sampling import sampler, split_examples
from atelier.log import log
from atelier.report import texts
from atelier.report.metrics_log import MetricsLog, iterate_validations
from atelier.run.checkpoint import Memory
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples
from atelier.training.pictures import CompiledPictures

WATCHED = 500  # largest number of validation examples, and of samples, for the coverage
NEIGHBOURS = 5
MAX_HISTORY = 1000  # validations that advice considers
BEST_MODES = {'max': 1.0, 'min': -1.0}


class CompiledValidation:
    """The functions of a validation, compiled once for all runs of one model on one data set."""

    def __init__(self, run: Run, devices: Sequence[jax.Device]):
        size = run.config.eval.batch_size
        self.metrics = over_examples(run.family.metrics, run.data, size, devices)
        self.sample = sampler(run, devices) if run.family.ability(Sample) else None
        self.pictures = CompiledPictures(run, devices, self.sample)
        self._watched_examples = lambda state: split_examples(run, state, devices, 'valid', WATCHED)
        self._spec = run.data.spec
        self._real: np.ndarray | None = None

    def real(self, state: State) -> np.ndarray:
        """Coordinates of up to `WATCHED` validation examples, the same at every validation."""
        if self._real is None:
            self._real = coordinates(self._watched_examples(state), self._spec)
        return self._real


class Watch:
    """Runs each validation: metrics, the best value so far, warnings.

    A turn may have an `advise` function. It reads the means of the last 1,000 validations (newest
    last, with the training means of the preceding dispatch) and returns {problem: a warning that
    names the config line to change}. A warning is logged when its problem appears. For a family
    without a likelihood, the means include 'coverage' (Naeem et al. 2020). A validation example is
    covered if some sample is at least as near to it as its fifth nearest neighbour among the
    validation examples; the coverage is the fraction of covered examples. Distances are between
    normalized x.
    """

    def __init__(self, run: Run, validation: CompiledValidation, log_prefix: str = ''):
        """Warnings begin with `log_prefix`, which names the run if several train at once."""
        self._run, self._validation, self._log_prefix = run, validation, log_prefix
        known = is_known(run, 'valid')
        # without an example of a known class there is nothing better than all examples
        has_known = known is not None and known.any()
        self._split = (of_known_classes(run, 'valid') if has_known else run).data.splits['valid']
        self._given = like_split(run, 'valid', WATCHED)
        earlier = iterate_validations(run.folder) if game.advisers(run.family.turns) else ()
        # includes those of earlier processes
        self._history = list(collections.deque((means for _, means in earlier), MAX_HISTORY))
        self._reported: set[str] = set()
        self._has_said_not_finite = False

    def __call__(
        self,
        state: State,
        memory: Memory,
        metrics_log: MetricsLog,
        report: Mapping[str, np.ndarray] | None = None,
    ) -> Memory:
        """Runs a validation; returns the Memory, updated if `train.best_metric` is set.

        `report` is the report of the last dispatch; `advise` functions get its means under the
        names 'train/...'.
        """
        run, step = self._run, int(state.step)
        key = key_for(state.key, Stream.EVALUATE)
        split = self._split
        values = self._validation.metrics(state, key, split, len(split['x']))
        means = {name: float(np.mean(v, dtype=np.float64)) for name, v in values.items()}
        means.update(self._coverage(state))
        if texts.is_text(run.data.spec) and 'log_prob_nats' in means:
            means.update(per_dimension(run.data, 'valid', -means['log_prob_nats']))
        metrics_log.write(step, {f'valid/{name}': value for name, value in means.items()})
        metrics_log.flush()
        self._warn(
            {**means, **{f'train/{k}': float(np.mean(v)) for k, v in (report or {}).items()}}
        )
        if not run.config.train.best_metric:
            return memory
        value = means[run.config.train.best_metric]
        if not math.isfinite(value):
            self._say_not_finite(step)
        return remember(memory, step, value, BEST_MODES[run.config.train.best_mode])

    def _say_not_finite(self, step: int) -> None:
        """Warns, once in a process, that a validation cannot be the best one."""
        if not self._has_said_not_finite:
            log.warning(
                '%sstep %d: valid/%s is not finite: such a validation is never the best, and if no '
                'validation is, the last checkpoint is used',
                *(self._log_prefix, step, self._run.config.train.best_metric),
            )
        self._has_said_not_finite = True

    def _coverage(self, state: State) -> dict[str, float]:
        if not _is_covered(self._run):
            return {}
        real, key = self._validation.real(state), key_for(state.key, Stream.SAMPLE)
        fake = self._validation.sample(state, key, len(real), self._given)
        fake = coordinates(fake, self._run.data.spec)
        return {'coverage': overlap_metrics(real, fake, NEIGHBOURS).coverage}

    def _warn(self, means: dict[str, float]) -> None:
        if not game.advisers(self._run.family.turns):
            return
        self._history = [*self._history[1 - MAX_HISTORY :], means]
        warnings = game.advice(self._run.family.turns, self._history)
        for problem in warnings.keys() - self._reported:
            log.warning('%s%s', self._log_prefix, warnings[problem])
        self._reported = set(warnings)


def _is_covered(run: Run) -> bool:
    family, has_neighbours = run.family, run.data.size('valid') > NEIGHBOURS
    return family.ability(Sample) is not None and family.ability(LogProb) is None and has_neighbours


def metric_names(run: Run) -> dict[str, None]:
    """Returns the names of metrics that can choose the best checkpoint, without computing them."""

    def metrics(raw):
        key = jax.random.PRNGKey(0)
        rng = rng_for(key, jnp.arange(together), together)
        batch = run.data.preprocess(raw, rng.keys)
        return run.family.metrics(run.family.init(key, batch), batch, rng)

    together = game.num_together(run.family.turns)
    first = {name: array[:together] for name, array in run.data.splits['train'].items()}
    names = dict.fromkeys(jax.eval_shape(metrics, first))
    return {**names, 'coverage': None} if _is_covered(run) else names


def remember(memory: Memory, step: int, value: float, sign: float) -> Memory:
    """Returns the Memory after a validation; a non-finite value never counts as an improvement."""
    best = memory.best_value
    if math.isfinite(value) and (best is None or sign * value > sign * best):
        return Memory(value, step, 0)
    return memory._replace(evaluations_since_best=memory.evaluations_since_best + 1)
