"""`--mode=evaluate`: evaluates the test split, writes `evaluation.json` and `evaluation.npz`."""

import importlib.metadata
import math
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from atelier import files, leftovers
from atelier.core import precision
from atelier.core.abilities import LogProb, Sample
from atelier.core.family import Family, is_class_conditional, reads_condition
from atelier.core.randomness import Stream, key_for
from atelier.errors import UserError, at_least, choose, writing
from atelier.evaluation import evaluation_file, printed
from atelier.evaluation.examples.known_classes import of_known_classes
from atelier.evaluation.latents.diagnostics import latent_diagnostics
from atelier.evaluation.per_example.per_dimension import per_dimension
from atelier.evaluation.per_example.random_windows import random_window_nats
from atelier.evaluation.per_example.values_file import write_values
from atelier.evaluation.samples.features import FeatureFunction, from_function
from atelier.evaluation.samples.sample_quality import can_compare, chosen_features, sample_quality
from atelier.evaluation.samples.validity import validity_of
from atelier.log import log
from atelier.multihost import processes
from atelier.run import code_record, config_values, provenance, refit, restore, run_folder
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples
from atelier.run.two_stage import used

SPLIT = 'test'
PACKAGES = ('jax', 'flax', 'optax', 'orbax-checkpoint', 'numpy')


def check_evaluation(config: ConfigDict) -> None:
    """Checks the fields of `config.eval` that every family has.

    Raises:
      UserError: names the field and its allowed values.
    """
    for name in ('batch_size', 'num_pictures'):
        at_least(1, f'eval.{name}', config.eval[name])
    at_least(0, 'eval.random_windows', config.eval.get('random_windows', 0))
    at_least(1, 'eval.num_samples', config.eval.get('num_samples', 1))
    choose('eval.weights', config.eval.weights, restore.WEIGHTS)


def evaluate(
    run: Run,
    devices: Sequence[jax.Device] | None = None,
    reuse: bool = False,
    trained: restore.TrainedRun | None = None,
    features: Callable[[np.ndarray], np.ndarray] | None = None,
) -> dict[str, Any]:
    """Evaluates the run's chosen weights on the test split; writes and returns the results.

    Args:
      run: the run to evaluate.
      devices: to compute on; None for all.
      reuse: true when called at the end of training. An existing evaluation of the same weights
        with the same settings is then returned instead of being repeated, and a missing feature
        function causes a warning instead of an error.
      trained: weights in memory, used in place of the chosen checkpoint.
      features: maps x [n, *event] to [n, features], in place of the classifier that config.eval
        names. If it is given, no files are written.

    Raises:
      UserError: there is no checkpoint or no test example, or the model has no likelihood and there
        are no features in which to compare its samples.
    """
    run = used(run)
    with processes.folder_of(run.folder) as folder:
        return _evaluate(run._replace(folder=folder), devices, reuse, trained, features)


def _evaluate(
    run: Run,
    devices: Sequence[jax.Device] | None,
    reuse: bool,
    trained: restore.TrainedRun | None,
    features: Callable[[np.ndarray], np.ndarray] | None,
) -> dict[str, Any]:
    start = time.perf_counter()
    _check_can_evaluate(run)
    run, devices = of_known_classes(run, SPLIT), devices or jax.devices()
    feature_function = _feature_function(run, devices, features, is_error=not reuse)
    _, state, weights = trained or restore.load(run)
    settings = _determining_settings(run, weights, feature_function)
    path, run_id = evaluation_file.path_of(run), _id_of(run)
    previous = {} if features else evaluation_file.previous_evaluation(path, run_id)
    is_up_to_date = _is_up_to_date(previous, settings, path) and reuse
    if processes.from_first(np.asarray(is_up_to_date)):
        return previous
    image_name = f'nearest-training{path.stem.removeprefix("evaluation")}.png'
    image_path = None if features else run.folder / 'samples' / image_name
    items_path = None if features else run.folder / 'samples' / f'{path.stem}.txt'
    values = per_example(run, state, devices)
    all_values = values | random_window_nats(run, state, SPLIT, devices)
    result = {
        'values': {name: summary(value) for name, value in all_values.items()},
        'samples': sample_quality(run, state, devices, feature_function, image_path, items_path),
        'latents': latent_diagnostics(run, state, devices, feature_function),
        **settings,
        **_circumstances(run, run_id, start),
    }
    if features is not None:
        return result
    _announce_replacement(path, previous, result)
    return _written(run, path, result, values)


def _check_can_evaluate(run: Run) -> None:
    """Raises UserError if there is no test example, or as `check_evaluation`."""
    n = run.data.size(SPLIT) if SPLIT in run.data.splits else 0
    if n == 0:
        raise UserError(f'{run.data.name} has no {SPLIT} examples: nothing to evaluate')
    check_evaluation(run.config)


def _feature_function(
    run: Run,
    devices: Sequence[jax.Device],
    features: Callable[[np.ndarray], np.ndarray] | None,
    is_error: bool,
) -> FeatureFunction | None:
    """Returns `features`, or those that the config names; raises as `_require_features`."""
    if features is not None:
        return from_function(features, run.data.splits[SPLIT]['x'])
    _require_features(run, is_error and run.child is None)  # a density of codes is a result, too
    return chosen_features(run, devices)


def _is_up_to_date(previous: dict, settings: dict, path: pathlib.Path) -> bool:
    """Whether an existing evaluation has these settings and its file of per-example values."""
    checksum = files.checksum_of(path.with_suffix('.npz'))
    has_its_values = (previous.get('values_checksum') or '') == checksum
    return has_its_values and all(previous.get(name) == x for name, x in settings.items())


def _circumstances(run: Run, run_id: str | None, start: float) -> dict[str, Any]:
    """Returns what an evaluation records besides values and `_determining_settings`."""
    return {
        'run': run_id,
        **({} if run.choice is None else {'refit': refit.recorded(run.choice)}),
        **evaluation_file.augmentation_record(run),
        'seconds': round(time.perf_counter() - start, 2),
        'hardware': f'{jax.device_count()} x {jax.devices()[0].device_kind}',
        'precision': precision.described(precision.of_config(run.config.train)),
    }


def _written(
    run: Run, path: pathlib.Path, result: dict[str, Any], values: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Writes both files; returns the result with the checksum of the per-example values.

    Raises:
      UserError: a file cannot be written. The result is printed, so that it is not lost.
    """
    leftovers.remove_files(run.folder)
    try:
        with writing(path):
            # written first, because the JSON file marks the evaluation as done
            origins = run.data.origin_of(SPLIT)
            checksum = write_values(path.with_suffix('.npz'), values, origins)
            whole = result | {'values_checksum': checksum}
            files.write_json(path, whole)
    except UserError:
        printed.show(result, run)
        raise
    return whole


def _announce_replacement(path: pathlib.Path, before: dict, now: dict) -> None:
    """Logs that an evaluation of other weights or with other settings is replaced."""
    changed = [name for name in ('weights', 'eval') if before and before.get(name) != now[name]]
    if changed:
        log.info('%s is replaced: it was computed with other %s', path, ' and '.join(changed))


def _id_of(run: Run) -> str | None:
    """Returns the id in the run's config.json, or None without one, as in a run of an earlier
    version and in the folders of all processes but the first.
    """
    has_config = (run.folder / 'config.json').is_file()
    return run_folder.load(run.folder)['id'] if has_config else None


def _determining_settings(
    run: Run, weights: str, features: FeatureFunction | None
) -> dict[str, Any]:
    """Returns everything that an evaluation's values depend on.

    Two evaluations that agree in all of it have the same values.
    """
    return {
        'data': _data_record(run),
        'log_prob': likelihood_description(run),
        'features': features and features.name,
        'validity': validity_of(run).judge,
        'weights': weights,
        'eval': config_values.flatten(run.config.eval.to_dict()),
        'seed': run.config.seed,
        'versions': {name: importlib.metadata.version(name) for name in PACKAGES},
        'git': provenance.git_hash(),
        'code': code_record.checksum(run.config_file),
    }


def _require_features(run: Run, is_error: bool) -> None:
    """Requires features if the model samples but has no likelihood, unless the data have known
    modes.

    If there are none: raises UserError if `is_error`, otherwise logs a warning.
    """
    if (
        run.family.ability(Sample) is None
        or run.family.ability(LogProb) is not None
        or can_compare(run)
    ):
        return
    message = (
        'the model has no likelihood, and there are no features in which to compare its samples: '
        'set --config.eval.classifier=RUN, a run of configs/classifier.py on the same data; for '
        'data without labels, call atelier.evaluate(run, features=...) in Python'
    )
    if is_error:
        raise UserError(message)
    advice = 'To use a classifier after this training, run --workdir=%s with that flag'
    log.warning(f'%s. {advice}', message, run.folder)


def per_example(run: Run, state, devices: Sequence[jax.Device]) -> dict[str, np.ndarray]:
    """Returns all per-example values of the test split: float64 [n] by metric."""
    split, n = run.data.splits[SPLIT], run.data.size(SPLIT)
    key = key_for(state.key, Stream.EVALUATE)

    def apply(f):
        over_all = over_examples(f, run.data, run.config.eval.batch_size, devices)
        values = over_all(state, key, split, n)
        return jax.tree.map(lambda x: np.asarray(x, np.float64), values)

    values = apply(run.family.metrics)
    log_prob = run.family.ability(LogProb)
    if log_prob is not None:
        terms = [values[name] for name in log_prob.terms]
        values['nll_nats'] = nll = sum(terms) if terms else -apply(log_prob.nats)
        if log_prob.coarser is not None:  # shows how much the number of steps matters
            values['nll_half_the_steps_nats'] = -apply(log_prob.coarser)
        values.update(per_dimension(run.data, SPLIT, nll))
    return values


def summary(values: np.ndarray) -> dict[str, float | None]:
    """Returns the mean and its standard error, as an estimate of the population mean."""
    n = len(values)
    if not np.all(np.isfinite(values)):
        return {'mean': None, 'standard_error': None}  # JSON has no NaN
    error = float(np.std(values, ddof=1)) / math.sqrt(n) if n > 1 else None
    return {'mean': float(np.mean(values)), 'standard_error': error}


def _data_record(run: Run) -> dict[str, Any]:
    fingerprints = run.data.fingerprint(SPLIT)
    return {
        'name': run.data.name,
        'description': run.data.description,
        'binarize': run.config.data.binarize,
        'split': SPLIT,
        'examples': run.data.size(SPLIT),
        'examined': f'{fingerprints["x"]}; {fingerprints[SPLIT]}',
    }


def likelihood_description(run: Run) -> str | None:
    """Returns a description of the likelihood, or None without one.

    For dequantised data, the likelihood is that of the density, and its NLL is an upper bound on
    the NLL of the levels.
    """
    log_prob, suffix = run.family.ability(LogProb), condition_suffix(run.family)
    bound = density_suffix(run, 'an upper bound')
    return None if log_prob is None else log_prob.description + bound + suffix


def density_suffix(run: Run, bound: str) -> str:
    """Returns a suffix saying which bound for the levels a density is; empty for other data."""
    is_density = run.data.spec.dequantized_levels is not None
    return f' for the density, {bound} for the levels' if is_density else ''


def condition_suffix(family: Family) -> str:
    """Returns a suffix naming what the likelihood is conditional on; empty for most families."""
    given = 'condition' if reads_condition(family) else 'label' * is_class_conditional(family)
    return given and f', given the {given}'
