"""Feature functions, for comparing samples with data; the comparison needs no likelihood."""

import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from atelier.core.abilities import Classify
from atelier.core.family import codes_of, is_class_conditional
from atelier.data import preprocess
from atelier.data.classes import described
from atelier.data.dataset import Spec
from atelier.data.units import converter, warn_of_units
from atelier.errors import UserError, about
from atelier.log import counted, log
from atelier.paths import user_path
from atelier.run import restore, run_folder
from atelier.run.experiment import Run
from atelier.run.leakage import warn_of_leakage
from atelier.run.over_examples import over_examples

# largest number of values per event for which the values themselves can serve as features
MAX_COORDINATES = 16
TRAIN_ONE = 'train one with --config=configs/classifier.py'


class FeatureOutput(NamedTuple):
    """Features [n, features] of examples, and their class probabilities [n, classes] or None."""

    features: np.ndarray
    probs: np.ndarray | None


class FeatureFunction(NamedTuple):
    """Maps x [n, *event], in the units of a run's data, to features.

    name: identifies the function, with a hash of its weights or values where it has one.
    apply: x [n, *event] -> `FeatureOutput`.
    classifier: the run that the features come from, if any.
    """

    name: str
    apply: Callable[[np.ndarray], FeatureOutput]
    classifier: Run | None = None


def feature_function(run: Run, devices: Sequence[jax.Device]) -> FeatureFunction | None:
    """Returns features of config.eval.classifier, else coordinates if low-dimensional, else None.

    Raises:
      UserError: config.eval.classifier is not a classifier of data like those of the run.
    """
    if run.config.eval.classifier:
        return from_classifier(run, devices)
    if has_features(run):
        spec = run.data.spec
        return FeatureFunction(
            'normalized coordinates', lambda x: FeatureOutput(coordinates(x, spec), None)
        )
    return None


def has_features(run: Run) -> bool:
    """Whether the run's data have a feature function."""
    spec = run.data.spec
    is_low_dimensional = len(spec.event_shape) < 2 and spec.num_dims <= MAX_COORDINATES
    is_low_dimensional = is_low_dimensional and spec.symbols is None  # symbols are not coordinates
    return is_low_dimensional or bool(run.config.eval.classifier)


def coordinates(x: np.ndarray, spec: Spec) -> np.ndarray:
    """Returns the normalized values of each example, flattened to [n, dims]."""
    return np.asarray(spec.normalize(x)).reshape(len(x), -1)


def from_function(f: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> FeatureFunction:
    """Wraps any f(x [n, *event]) -> [n, features], named with a hash of its values on `x[:100]`.

    Raises:
      UserError: `f` does not return an array [n, features] of finite values.
    """
    values = np.asarray(f(x[:100]))
    if values.ndim != 2 or len(values) != len(x[:100]) or not np.all(np.isfinite(values)):
        raise UserError(
            'features have to be finite and of shape [n, features]: for '
            f'{counted(len(x[:100]), "example")} '
            f'the function returned shape {values.shape}'
        )
    digest = zlib.crc32(np.ascontiguousarray(values, np.float32))
    name = getattr(f, '__name__', type(f).__name__)
    return FeatureFunction(f'{name}, {digest:08x}', lambda x: FeatureOutput(np.asarray(f(x)), None))


def classifier_for(run: Run) -> Run:
    """Returns the run that config.eval.classifier names.

    Raises:
      UserError: that run does not exist or is not a classifier, the event shape, the number or
        the names of classes differ, or samples cannot be converted to the units of its data.
    """
    with about('config.eval.classifier'):
        return _classifier_for(run)


def _classifier_for(run: Run) -> Run:
    folder = user_path(run.config.eval.classifier)
    try:
        classifier = run_folder.reopen(folder, reads=None)
    except UserError as error:
        if folder.exists():
            raise
        raise UserError(
            f'{folder} does not exist; if it has moved, give --config.eval.classifier=RUN, or '
            f'{TRAIN_ONE}'
        ) from error
    spec, classifier_spec = run.data.spec, classifier.data.spec
    needs_label = is_class_conditional(classifier.family)  # features must depend on x alone
    if (
        classifier.family.ability(Classify) is None
        or codes_of(classifier.family).encode is None
        or needs_label
    ):
        raise UserError(
            f'{folder} is the run of {classifier.config_file}, not of a classifier: {TRAIN_ONE}'
        )
    if classifier_spec.event_shape != spec.event_shape:
        raise UserError(
            f'{folder} classifies {classifier_spec.event_shape}, but samples of {run.folder} are '
            f'{spec.event_shape}'
        )
    with about(f'{folder} cannot read samples of {run.folder}'):
        converter(spec, classifier_spec)
    if (
        None not in (spec.num_classes, classifier_spec.num_classes)
        and spec.num_classes != classifier_spec.num_classes
    ):
        raise UserError(
            f'{folder} has {classifier_spec.num_classes} classes, but {run.data.name} has '
            f'{spec.num_classes}'
        )
    if (
        spec.class_names
        and classifier_spec.class_names
        and spec.class_names != classifier_spec.class_names
    ):
        ours, its = (described(each, range(each.num_classes)) for each in (spec, classifier_spec))
        raise UserError(f'{folder} has the classes {its}, in order, but {run.data.name} has {ours}')
    if classifier.data.name != run.data.name:
        log.warning(
            '%s is a classifier of %s, not of %s', folder, classifier.data.name, run.data.name
        )
    return classifier


def from_classifier(run: Run, devices: Sequence[jax.Device]) -> FeatureFunction:
    """Returns features and probabilities of the classifier that config.eval.classifier names.

    Raises:
      UserError: as in `classifier_for`, or the classifier has no checkpoint.
    """
    classifier = classifier_for(run)
    if classifier.data.name == run.data.name:  # of others, `classifier_for` has warned
        warn_of_leakage(run, classifier.folder, ('test',))
    family, converted = classifier.family, converter(run.data.spec, classifier.data.spec)
    if run.data.spec.interval is None:
        warn_of_units(run.data.spec.mean, run.data.spec.std, classifier.data.spec)
    with about('config.eval.classifier'):
        _, state, description = restore.load(classifier)

    def features_of(weights, batch, rng):
        inputs = {'x': converted(batch['x'])}
        probs = jax.nn.softmax(family.ability(Classify).logits(weights, inputs, rng))
        return FeatureOutput(codes_of(family).encode(weights, inputs, rng), probs)

    data = run.data._replace(preprocess=preprocess.as_float)
    apply = over_examples(features_of, data, classifier.config.eval.batch_size, devices)
    return FeatureFunction(
        f'{classifier.folder.name}, {description}, {_digest(state):08x}',
        lambda x: apply(state, state.key, {'x': x}, len(x)),
        classifier,
    )


def _digest(state) -> int:
    digest = 0
    for leaf in jax.tree.leaves(state.averaged_weights):
        digest = zlib.crc32(np.ascontiguousarray(leaf), digest)
    return digest
