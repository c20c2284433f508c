"""Sample quality without a likelihood: comparison with data in features, or over known modes.

In features, n samples are compared with n test examples, half of the split. The other half is
compared with the same examples: the floor reported beside each value. Over modes, the floor is the
value of as many test examples as samples.
"""

import math
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from atelier.core import game
from atelier.core.abilities import Sample
from atelier.core.family import is_class_conditional
from atelier.core.randomness import Stream, key_for
from atelier.evaluation.codes.prior_draws import can_draw_codes
from atelier.evaluation.samples.classification_accuracy import accuracy_score
from atelier.evaluation.samples.distances import frechet_distance, kernel_distance
from atelier.evaluation.samples.features import FeatureFunction, Seen, can_see, feature_function
from atelier.evaluation.samples.modes import count_modes
from atelier.evaluation.samples.neighbours import manifolds, memorisation_rate, nearest
from atelier.evaluation.samples.sampling import labels_like, sampler, save_columns, shown
from atelier.log import log
from atelier.report import image_grids
from atelier.run.experiment import Run

NEIGHBOURS = 5  # as in Naeem et al. (2020)
MODE_SAMPLES = 2500  # as in Lin et al. (2018)
MOST_SHOWN = 100_000  # examples of a split
SHOWN, SHOWN_NEIGHBOURS = 16, 3  # in the image of samples above their nearest training examples


def sample_quality(
    run: Run,
    state: game.State,
    devices: Sequence[jax.Device],
    features: FeatureFunction | None,
) -> dict[str, Any]:
    """Returns metrics of the run's samples in `features`; empty if there are none.

    Without features, modes are counted if the data are a mixture with known modes.

    Returns:
      {'num_samples', 'num_real', 'num_train', 'features' (or None),
      'values': {name: {'samples', 'floor'}}}; a value from other numbers of examples has these
      beside it.
    """
    picture = run.folder / 'samples' / 'nearest-training.png'
    found = against_data(run, state, devices, features, picture)
    is_judged = features is not None and features.classifier is not None
    if found and is_judged and is_class_conditional(run.family):
        score = accuracy_score(run, state, devices, features.classifier)
        found['values']['classification_accuracy'] = score
    return found


def against_data(
    run: Run,
    state: game.State,
    devices: Sequence[jax.Device],
    features: FeatureFunction | None,
    picture: pathlib.Path | None = None,
) -> dict[str, Any]:
    """`sample_quality` without training a classifier; saves neighbours of images to `picture`."""
    if run.family.ability(Sample) is None:
        return {}
    if features is not None:
        return _in_view_of(features, run, state, devices, picture)
    return _over_modes(run, state, devices) if run.data.modes is not None else {}


def chosen_features(run: Run, devices: Sequence[jax.Device]) -> FeatureFunction | None:
    """Returns the features in which the run's samples are compared, or None.

    Without a classifier, data with known modes need none: their samples are counted. A family that
    draws codes but no samples has features only with a classifier.

    Raises:
      UserError: config.eval.classifier is not a classifier of such data.
    """
    if not run.config.eval.classifier and (
        run.data.modes is not None or run.family.ability(Sample) is None
    ):
        return None
    is_seen = run.family.ability(Sample) is not None or can_draw_codes(run.family)
    return feature_function(run, devices) if is_seen else None


def can_compare(run: Run) -> bool:
    """Whether samples of the run can be compared with data: by modes or by features."""
    return run.data.modes is not None or can_see(run)


def _in_view_of(features: FeatureFunction, run: Run, state, devices, picture) -> dict[str, Any]:
    real, train = (shown(run, state, devices, split, MOST_SHOWN) for split in ('test', 'train'))
    n = len(real) // 2
    if min(n, len(train)) <= NEIGHBOURS:
        log.warning('half of %d test examples are too few to compare samples with', len(real))
        return {}
    labels = labels_like(run, 'test', 2 * n)
    fake = _samples(run, state, devices, n, None if labels is None else labels[:n])
    of_fake, half, other = (features.apply(x) for x in (fake, real[:n], real[n : 2 * n]))
    values = _beside(_in_features(of_fake, half), _in_features(other, half))
    if labels is not None and of_fake.chances is not None:
        values['class_agreement'] = {  # with the requested classes
            'samples': float(np.mean(of_fake.chances.argmax(1) == labels[:n])),
            'floor': float(np.mean(other.chances.argmax(1) == labels[n:])),
        }
    of_train = features.apply(train).features
    near, index = nearest(of_fake.features, of_train, SHOWN_NEIGHBOURS)
    halves = [nearest(x.features, of_train)[0][:, 0] for x in (half, other)]
    values['memorisation_rate'] = {  # over both halves: a 1 % quantile of few examples is coarse
        'samples': np.mean([memorisation_rate(near[:, 0], held_out) for held_out in halves]),
        'floor': np.mean([memorisation_rate(*pair) for pair in (halves, halves[::-1])]),
    }
    if picture is not None and image_grids.is_image(run.data.spec):
        columns = [fake[:SHOWN], *np.moveaxis(train[index[:SHOWN]], 1, 0)]
        save_columns(picture, columns, run.data.spec)
    return {
        'num_samples': n,
        'num_real': n,
        'num_train': len(train),
        'features': features.name,
        'values': values,
    }


def _over_modes(run: Run, state, devices) -> dict[str, Any]:
    n = min(MODE_SAMPLES, run.data.size('test'))
    fake, real = _samples(run, state, devices, n), shown(run, state, devices, 'test', n)
    counts = [count_modes(x, run.data.modes)._asdict() for x in (fake, real)]
    return {'num_samples': n, 'num_real': n, 'features': None, 'values': _beside(*counts)}


def _samples(run: Run, state, devices, n: int, labels=None) -> np.ndarray:
    """Draws n samples, of the classes `labels` if given."""
    key = key_for(state.key, Stream.SAMPLE)
    return sampler(run, devices)(state, key, n, labels)


def _in_features(fake: Seen, real: Seen) -> dict[str, Any]:
    """Returns all metrics of one set compared with another."""
    kernel = kernel_distance(fake.features, real.features)
    return {
        'frechet_distance': frechet_distance(fake.features, real.features),
        'kernel_distance': kernel.mean,
        'kernel_distance_standard_error': kernel.standard_error,
        **manifolds(real.features, fake.features, NEIGHBOURS)._asdict(),
        **({} if fake.chances is None else _in_classes(fake.chances)),
    }


def _in_classes(chances: Float[np.ndarray, 'n classes']) -> dict[str, Any]:
    share = np.bincount(chances.argmax(1), minlength=chances.shape[1]) / len(chances)
    return {
        'entropy_score': entropy_score(chances),
        'confidence': chances.max(1).mean(),
        'smallest_class_share': share.min(),
        'num_classes': np.sum(share > 0),
    }


def _beside(samples: dict[str, Any], floor: dict[str, Any]) -> dict[str, dict]:
    """Pairs each value with its floor; None if not finite, since JSON has no infinity."""
    plain = lambda value: float(value) if math.isfinite(value) else None
    return {
        name: {'samples': plain(value), 'floor': plain(floor[name])}
        for name, value in samples.items()
    }


def entropy_score(chances: Float[np.ndarray, 'n classes']) -> float:
    """Returns exp E KL(p(y | x) || p(y)) of class probabilities, where p(y) is their mean.

    Salimans et al. (2016), section 4, but not the Inception score, since the classifier is another.
    It lies between 1 and the number of classes.
    """
    chances = np.asarray(chances, np.float64)
    entropy = lambda p: -np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0), -1)
    return float(np.exp(entropy(chances.mean(0)) - entropy(chances).mean()))
