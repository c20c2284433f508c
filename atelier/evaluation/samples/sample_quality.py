"""Sample quality without a likelihood: comparison with data in feature space, over known modes, or
of items (`item_quality`).

In a feature space, n samples are compared with n test examples, which are half of the test split.
The floor, reported beside each value, is the value for real data: the other half of the split is
compared with the same n examples. Over modes, the floor is computed from as many test examples as
samples. Beside the samples of a model of an autoencoder's codes are those of one Gaussian.
"""

import math
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from atelier.core import game
from atelier.core.abilities import Sample
from atelier.core.family import is_class_conditional
from atelier.core.randomness import Stream, key_for
from atelier.data.classes import predicted_classes
from atelier.data.items import are_items
from atelier.evaluation.codes.prior_draws import can_draw_codes, one_gaussian_samples
from atelier.evaluation.samples.agreement import condition_values
from atelier.evaluation.samples.classification_accuracy import accuracy_score
from atelier.evaluation.samples.distances import frechet_distance, kernel_distance
from atelier.evaluation.samples.features import (
    FeatureFunction,
    FeatureOutput,
    feature_function,
    has_features,
)
from atelier.evaluation.samples.item_quality import compare_items
from atelier.evaluation.samples.modes import count_modes
from atelier.evaluation.samples.neighbours import (
    memorisation_rate,
    nearest,
    overlap_metrics,
    share_of_repeats,
)
from atelier.evaluation.samples.requests import like_split
from atelier.evaluation.samples.sampling import (
    has_known_classes,
    labels_like,
    sampler,
    save_columns,
    split_examples,
)
from atelier.log import counted, log
from atelier.report import image_grids
from atelier.run.experiment import Run

NEIGHBOURS = 5  # as in Naeem et al. (2020)
MODE_SAMPLES = 2500  # as in Lin et al. (2018)
MAX_EXAMPLES = 100_000  # largest number of examples used from a split
MAX_REPEATS = 0.01  # fraction of the training data, the quantile that defines memorisation
GRID_SAMPLES, GRID_NEIGHBOURS = 16, 3  # in the image of samples above their nearest neighbours


def sample_quality(
    run: Run,
    state: game.State,
    devices: Sequence[jax.Device],
    features: FeatureFunction | None,
    image_path: pathlib.Path | None = None,
    items_path: pathlib.Path | None = None,
) -> dict[str, Any]:
    """Returns metrics of the run's samples, computed from their `features`; empty if none can be
    computed.

    Without features, modes are counted if the data are a mixture with known modes. Items are
    compared as strings, or as `config.eval.validity` says, and their features, too, if there are
    some. If `image_path` is given, saves an image there that shows samples, each above its nearest
    training examples; if `items_path` is given, sampled items.

    Returns:
      {'num_samples', 'num_real', 'num_train', 'features' (or None),
      'values': {name: {'samples', 'floor'}}}, with 'one_gaussian' in the values in features of
      `one_gaussian_samples`, if there are some, and for items the fields of `compare_items`. If a
      value was computed from other numbers of examples than these, its dict holds those numbers
      too.
    """
    metrics = compare_with_data(run, state, devices, features, image_path, items_path)
    metrics = _with_agreement(metrics, condition_values(run, state, devices))
    has_classifier = features is not None and features.classifier is not None
    can_learn = run.config.eval.learns_from_samples and has_classifier
    if metrics and can_learn and is_class_conditional(run.family):
        score = accuracy_score(run, state, devices, features.classifier)
        metrics['values']['classification_accuracy'] = score
    return metrics


def _with_agreement(metrics: dict[str, Any], agreement: dict[str, Any]) -> dict[str, Any]:
    """Returns the metrics with the agreement of samples with their conditions."""
    if not agreement:
        return metrics
    empty = {'num_samples': None, 'num_real': None, 'features': None, 'values': {}}
    metrics = metrics or empty
    return metrics | {'values': metrics['values'] | agreement}


def compare_with_data(
    run: Run,
    state: game.State,
    devices: Sequence[jax.Device],
    features: FeatureFunction | None,
    image_path: pathlib.Path | None = None,
    items_path: pathlib.Path | None = None,
) -> dict[str, Any]:
    """`sample_quality` without training a classifier."""
    if run.family.ability(Sample) is None:
        return {}
    if not has_known_classes(run, 'test'):
        log.warning('samples are not compared with data: no test example has a class of training')
        return {}
    in_features = {}
    if features is not None:
        in_features = _compare_in_features(features, run, state, devices, image_path)
    if are_items(run.data.spec):
        return _joined(compare_items(run, state, devices, items_path), in_features)
    if features is not None:
        return in_features
    return _compare_modes(run, state, devices) if run.data.modes is not None else {}


def chosen_features(run: Run, devices: Sequence[jax.Device]) -> FeatureFunction | None:
    """Returns the features in which the run's samples are compared, or None.

    Without a classifier, data with known modes need no features, because their modes are counted.
    For a family that draws codes but no samples, there are features only if config.eval.classifier
    is set.

    Raises:
      UserError: config.eval.classifier is not a classifier of data like those of the run.
    """
    if not run.config.eval.classifier and (
        run.data.modes is not None or run.family.ability(Sample) is None
    ):
        return None
    can_draw = run.family.ability(Sample) is not None or can_draw_codes(run.family)
    return feature_function(run, devices) if can_draw else None


def can_compare(run: Run) -> bool:
    """Whether samples of the run can be compared with data: by modes, by features or as items."""
    return run.data.modes is not None or has_features(run) or are_items(run.data.spec)


def _joined(of_items: dict[str, Any], in_features: dict[str, Any]) -> dict[str, Any]:
    """Returns the metrics of items, with those in features, which may be of other numbers."""
    if not in_features:
        return of_items
    numbers = {name: n for name, n in in_features.items() if name.startswith('num_')}
    values = {name: {**value, **numbers} for name, value in in_features['values'].items()}
    return of_items | {
        'features': in_features['features'],
        'values': of_items['values'] | values,
    }


def _compare_in_features(
    features: FeatureFunction, run: Run, state, devices, image_path
) -> dict[str, Any]:
    real, train = (
        split_examples(run, state, devices, split, MAX_EXAMPLES) for split in ('test', 'train')
    )
    n = len(real) // 2
    if min(n, len(train)) <= NEIGHBOURS:
        log.warning(
            'samples are not compared with data: %s and %s are too few',
            counted(n, 'test example'),
            counted(len(train), 'training example'),
        )
        return {}
    labels = labels_like(run, 'test', 2 * n)
    fake = _samples(run, state, devices, n, like_split(run, 'test', 2 * n))
    fake_output, real_output, floor_output = (
        features.apply(x) for x in (fake, real[:n], real[n : 2 * n])
    )
    known = _known_to(features.classifier)
    values = _with_floor(
        *(_feature_metrics(output, real_output, known) for output in (fake_output, floor_output))
    )
    if (simpler := one_gaussian_samples(run, state, n, devices)) is not None:
        for name, value in _feature_metrics(features.apply(simpler), real_output, known).items():
            values[name]['one_gaussian'] = _plain(value)
    if labels is not None and fake_output.probs is not None:
        values['class_agreement'] = {  # fraction classified as the requested class
            'samples': float(np.mean(fake_output.probs.argmax(1) == labels[:n])),
            'floor': float(np.mean(floor_output.probs.argmax(1) == labels[n:])),
        }
    of_train = features.apply(train).features
    distances, indices = nearest(fake_output.features, of_train, GRID_NEIGHBOURS)
    real_distances = [nearest(x.features, of_train)[0][:, 0] for x in (real_output, floor_output)]
    # the mean over both halves, because a 1 % quantile of few examples is coarse
    # of repeated data, an equal sample shows nothing, even if the splits have no equal examples
    is_repeated = share_of_repeats(train) > MAX_REPEATS
    values['memorisation_rate'] = {
        name: None if is_repeated else _mean_rate(pairs)
        for name, pairs in (
            ('samples', [(distances[:, 0], held_out) for held_out in real_distances]),
            ('floor', [real_distances, real_distances[::-1]]),
        )
    }
    if image_path is not None and image_grids.is_drawn_as_image(run.data.spec):
        columns = [fake[:GRID_SAMPLES], *np.moveaxis(train[indices[:GRID_SAMPLES]], 1, 0)]
        save_columns(image_path, columns, run.data.spec)
    return {
        'num_samples': n,
        'num_real': n,
        'num_train': len(train),
        'features': features.name,
        'values': values,
    }


def _known_to(classifier: Run | None) -> tuple[int, ...] | None:
    """Returns the classes that a classifier can predict; None: all, or there is no classifier."""
    if classifier is None:
        return None
    return predicted_classes(classifier.data.spec, classifier.config.data.classes)


def _mean_rate(pairs: Iterable[Sequence[np.ndarray]]) -> float | None:
    """Returns the mean memorisation rate of (distances, held-out distances), None if one is."""
    rates = [memorisation_rate(*pair) for pair in pairs]
    return None if None in rates else float(np.mean(rates))


def _compare_modes(run: Run, state, devices) -> dict[str, Any]:
    n = min(MODE_SAMPLES, run.data.size('test'))
    fake, real = _samples(run, state, devices, n), split_examples(run, state, devices, 'test', n)
    counts = [count_modes(x, run.data.modes)._asdict() for x in (fake, real)]
    return {'num_samples': n, 'num_real': n, 'features': None, 'values': _with_floor(*counts)}


def _samples(run: Run, state, devices, n: int, given=None) -> np.ndarray:
    """Draws n samples, given the first n labels or conditions, if there are some."""
    key = key_for(state.key, Stream.SAMPLE)
    return sampler(run, devices)(state, key, n, None if given is None else given[:n])


def _feature_metrics(
    fake: FeatureOutput, real: FeatureOutput, known: Sequence[int] | None
) -> dict[str, Any]:
    """Returns all metrics of one set compared with another."""
    kernel = kernel_distance(fake.features, real.features)
    return {
        'frechet_distance': frechet_distance(fake.features, real.features),
        'kernel_distance': kernel.mean,
        'kernel_distance_standard_error': kernel.standard_error,
        **overlap_metrics(real.features, fake.features, NEIGHBOURS)._asdict(),
        **({} if fake.probs is None else _class_metrics(fake.probs, known)),
    }


def _class_metrics(
    probs: Float[np.ndarray, 'n classes'], known: Sequence[int] | None
) -> dict[str, Any]:
    """Returns metrics of the classes `known`, which are those that can be predicted; None: all."""
    shares = np.bincount(probs.argmax(1), minlength=probs.shape[1]) / len(probs)
    shares = shares if known is None else shares[list(known)]
    return {
        'entropy_score': entropy_score(probs),
        'confidence': probs.max(1).mean(),
        'smallest_class_share': shares.min(),
        'num_classes': np.sum(shares > 0),
    }


def _with_floor(samples: dict[str, Any], floor: dict[str, Any]) -> dict[str, dict]:
    """Pairs each value with its floor; values that are not finite become None, as JSON requires."""
    return {
        name: {'samples': _plain(value), 'floor': _plain(floor[name])}
        for name, value in samples.items()
    }


def _plain(value: Any) -> int | float | None:
    if not math.isfinite(value):
        return None
    return int(value) if isinstance(value, int | np.integer) else float(value)


def entropy_score(probs: Float[np.ndarray, 'n classes']) -> float:
    """Returns exp E KL(p(y | x) || p(y)) of class probabilities, where p(y) is their mean.

    The formula is that of the Inception score (Salimans et al. 2016, section 4), but with another
    classifier. The score lies between 1 and the number of classes.
    """
    probs = np.asarray(probs, np.float64)
    entropy = lambda p: -np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0), -1)
    return float(np.exp(entropy(probs.mean(0)) - entropy(probs).mean()))
