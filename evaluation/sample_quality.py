"""Samples against data, without a likelihood: in a classifier's features, and over known modes.

Real data go the same way as the samples: half of the test split against the other half is the floor
beside each number, and as many samples as one half has stand against it.
"""

import math
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

import game
import run_folder
import states
from datasets import preprocess
from datasets.splits import fixed_order
from datasets.toy import MIXTURES
from errors import UserError
from evaluation.distances import frechet_distance, kernel_distance
from evaluation.modes import count_modes
from evaluation.neighbours import manifolds
from evaluation.per_example import over_examples
from evaluation.sampling import sampler
from experiment import Run
from places import user_path

NEIGHBOURS = 5  # as Naeem et al. (2020) choose
MODE_SAMPLES = 2500  # as Lin et al. (2018) choose


class Judge(NamedTuple):
    """A trained classifier that sees samples and data of another run."""

    run: Run
    state: game.State
    name: str  # which it is, with a hash of its weights


def sample_quality(run: Run, state: game.State, devices: Sequence[jax.Device]) -> dict[str, Any]:
    """What can be said of the run's samples; empty where nothing can.

    Returns:
      {'num_samples', 'num_real', 'features' (or None), 'values': {name: {'samples', 'floor'}}}.

    Raises:
      UserError: config.eval.classifier is no classifier of such data.
    """
    if run.family.sample is None:
        return {}
    if run.data.name in MIXTURES:
        return _over_modes(run, state, devices)
    if not run.config.eval.classifier:
        return {}
    judge = _judge(run)
    n = run.data.size('test') // 2
    real = _shown(run, state, devices)
    fake = _samples(run, state, devices, n)
    of_fake, half, other = (
        _outputs(judge, run, x, devices) for x in (fake, real[:n], real[n : 2 * n])
    )
    return {
        'num_samples': n,
        'num_real': n,
        'features': judge.name,
        'values': _beside(_in_features(of_fake, half), _in_features(other, half)),
    }


def _beside(samples: dict[str, Any], floor: dict[str, Any]) -> dict[str, dict]:
    """JSON knows no infinity."""
    plain = lambda value: float(value) if math.isfinite(value) else None
    return {
        name: {'samples': plain(value), 'floor': plain(floor[name])}
        for name, value in samples.items()
    }


def _over_modes(run: Run, state, devices) -> dict[str, Any]:
    mixture = MIXTURES[run.data.name]
    n = min(MODE_SAMPLES, run.data.size('test'))
    fake, real = _samples(run, state, devices, n), _shown(run, state, devices)[:n]
    counts = [count_modes(x, mixture.means, mixture.std)._asdict() for x in (fake, real)]
    return {'num_samples': n, 'num_real': n, 'features': None, 'values': _beside(*counts)}


def _samples(run: Run, state, devices, n: int) -> np.ndarray:
    key = game.address(state.key, game.Purpose.SAMPLE)
    return sampler(run, devices)(state, key, n)


def _shown(run: Run, state, devices) -> np.ndarray:
    """x of the test split as an evaluation sees it, in an order without meaning."""
    apply = over_examples(
        lambda params, extra, batch, draw: batch['x'], run.data, run.config.eval.batch_size, devices
    )
    split, n = run.data.splits['test'], run.data.size('test')
    x = apply(state, game.address(state.key, game.Purpose.EVALUATE), {'x': split['x']}, n)
    return x[fixed_order(n)]


def _judge(run: Run) -> Judge:
    folder = user_path(run.config.eval.classifier)
    other = run_folder.reopen(folder)
    if other.family.classify is None or other.family.encode is None:
        raise UserError(f'config.eval.classifier={folder} is no classifier')
    if other.data.spec.event_shape != run.data.spec.event_shape:
        raise UserError(
            f'config.eval.classifier={folder} classifies {other.data.spec.event_shape}, samples '
            f'of {run.folder} are {run.data.spec.event_shape}'
        )
    state, which = states.load_state(other)
    digest = 0
    for leaf in jax.tree.leaves((state.ema, state.extra)):
        digest = zlib.crc32(np.ascontiguousarray(leaf), digest)
    return Judge(other, state, f'{folder.name}, {which}, {digest:08x}')


def _outputs(judge: Judge, run: Run, x: np.ndarray, devices) -> tuple[np.ndarray, np.ndarray]:
    """(features, class probabilities) of x in the units of `run`."""
    family, theirs = judge.run.family, judge.run.data.spec

    def look(params, extra, batch, draw):
        seen = {'x': theirs.denormalize(run.data.spec.normalize(batch['x']))}
        logits = family.classify(params, extra, seen, draw)
        return family.encode(params, extra, seen, draw), jax.nn.softmax(logits)

    data = run.data._replace(preprocess=preprocess.as_float)
    apply = over_examples(look, data, judge.run.config.eval.batch_size, devices)
    return apply(judge.state, judge.state.key, {'x': x}, len(x))


def _in_features(fake, real) -> dict[str, Any]:
    """Every number of one set against another."""
    (features, chances), (others, _) = fake, real
    kernel = kernel_distance(features, others)
    share = np.bincount(chances.argmax(1), minlength=chances.shape[1]) / len(chances)
    return {
        'frechet_distance': frechet_distance(features, others),
        'kernel_distance': kernel.mean,
        'kernel_distance_standard_error': kernel.standard_error,
        **manifolds(others, features, NEIGHBOURS)._asdict(),
        'entropy_score': entropy_score(chances),
        'confidence': chances.max(1).mean(),
        'smallest_class_share': share.min(),
        'num_classes': np.sum(share > 0),
    }


def entropy_score(chances: np.ndarray) -> float:
    """exp E KL(p(y | x) || p(y)) of class probabilities [n, classes], p(y) their mean.

    Salimans et al. (2016), section 4, with another classifier than theirs: no Inception score. It
    lies between 1 and the number of classes.
    """
    chances = np.asarray(chances, np.float64)
    entropy = lambda p: -np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0), -1)
    return float(np.exp(entropy(chances.mean(0)) - entropy(chances).mean()))
