"""Classifies the test split; reports accuracy and calibration."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from atelier.applications import _beside, _common
from atelier.applications._application import CLASSIFY, Application
from atelier.core.abilities import Classify
from atelier.core.randomness import Stream, key_for
from atelier.data.dataset import Dataset, Spec
from atelier.errors import UserError
from atelier.evaluation.evaluate import summary
from atelier.evaluation.examples import calibration
from atelier.evaluation.examples.known_classes import is_known
from atelier.log import counted, listed, log
from atelier.report import figures
from atelier.report.figure_text import figure_text
from atelier.report.metrics_log import plus_minus
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples
from atelier.run.refit import warn_if_trained
from atelier.run.restore import TrainedRun

NEEDS = (CLASSIFY,)
LOGITS = ('logits', 'beside_logits')  # array names, of the run and of `beside`
TABLE = ('file', 'row', 'label', 'text', 'predicted', 'confidence', 'logits')
MAX_BINS = 10_000
MAX_CLASSES = 1000  # whose accuracy is written
MAX_AREA = 600  # marker area of a bin with all examples


def apply(run: Run, beside: str = '', num_bins: int = 15) -> dict[str, np.ndarray]:
    """Predicts a class for every test example, with the probability of each class.

    A generative model of p(x | label) classifies by Bayes' rule. The temperature that divides the
    logits is fitted on the validation split.

    Args:
      run: of a family with `classify`.
      beside: folder of another run, such as one of configs/classifier.py, on the same examples.
      num_bins: number of confidence bins, for the calibration error and the figure.

    Returns:
      file and row [n], where the examples came from; label [n], if they have labels; logits [n,
      classes] without temperature, and beside_logits [n, classes] of the other run; predicted [n],
      the most likely class, and confidence [n], its probability.

    Raises:
      UserError: a missing checkpoint, no labels, a bad option, or `beside` classifies
        other examples.
    """
    _common.at_least(1, MAX_BINS, num_bins=num_bins)
    _common.check_split(run, 'test', 1, 'there is nothing to classify')
    if run.data.spec.num_classes is None:
        raise UserError(
            f'the examples of {run.data.name} have no labels to classify them by: choose a '
            'run on data with labels'
        )
    runs = [run]
    if beside:
        runs.append(_beside.opened(APPLICATION, run, beside, 'classifies'))
    trained = [restore.load(trained_run) for trained_run in runs]
    arrays, metrics = _common.origins_of(run), {}
    is_labelled = 'label' in arrays
    for each in runs if is_labelled else ():
        warn_if_trained(each.config, each.folder, 'valid')
    compared = {split: _compared(runs, split) for split in ('valid', 'test')} if is_labelled else {}
    for array_name, name, trained_run in zip(LOGITS, _beside.names_of(runs), trained, strict=False):
        logits = compute(trained_run, ('valid', 'test') if is_labelled else ('test',))
        arrays[array_name] = logits['test']
        metrics[name] = {'weights': trained_run.weights}
        if is_labelled:
            metrics[name] |= _metrics(run.data, logits, num_bins, compared)
    arrays['predicted'] = arrays['logits'].argmax(1)
    arrays['confidence'] = np.exp(-calibration.cross_entropy(arrays['logits'], arrays['predicted']))
    changed = _common.changed_options(apply, num_bins=num_bins)
    name = f'classify{_common.path_suffix(beside=beside)}{changed}'
    table = [column for column in TABLE if column in arrays]
    path = _common.save(trained[0], name, arrays, {'runs': metrics}, table)
    if is_labelled:
        _log(run, metrics)
        kept = {each: arrays[each][compared['test']] for each in ('label', *LOGITS[: len(runs)])}
        _save_figure(kept, metrics, num_bins, path)
    else:
        log.info('the examples have no labels: their classes are predicted, and not compared')
    return arrays


def compute(
    trained: TrainedRun, splits: Sequence[str] = ('valid', 'test')
) -> dict[str, np.ndarray]:
    """Returns logits [n, classes] by split, computed with an evaluation's random keys."""
    run = trained.run
    size = run.config.eval.batch_size
    logits = over_examples(run.family.ability(Classify).logits, run.data, size, trained.devices)
    key = key_for(trained.state.key, Stream.EVALUATE)
    return {
        split: np.asarray(
            logits(trained.state, key, run.data.splits[split], run.data.size(split)), np.float64
        )
        for split in splits
    }


def _compared(runs: list[Run], split: str) -> np.ndarray:
    """Returns whether each example [n] of a split of the first run has a class that all know.

    Raises:
      UserError: none has.
    """
    data, compared = runs[0].data, np.ones(runs[0].data.size(split), bool)
    for each in runs:
        kept = is_known(each._replace(data=data._replace(spec=each.data.spec)), split)
        compared &= True if kept is None else kept
    if not compared.any() and len(compared):
        raise UserError(
            f'no {split} example of {data.name} has a class with training examples: give others, '
            'or examples without labels'
        )
    if not compared.all():
        unknown = counted(int(np.sum(~compared)), f'{split} example')
        log.info('%s of classes without training examples: predicted, not compared', unknown)
    return compared


def _metrics(
    data: Dataset, logits: dict[str, np.ndarray], num_bins: int, compared: dict[str, np.ndarray]
) -> dict[str, Any]:
    """Returns test metrics; accuracy, cross-entropy and Brier score have a standard error."""
    logits = {split: values[compared[split]] for split, values in logits.items()}
    label = {split: np.asarray(data.splits[split]['label'])[compared[split]] for split in logits}
    temperature = calibration.fitted_temperature(logits['valid'], label['valid'])
    metrics = {'num_examples': len(label['test']), 'temperature': temperature}
    for name, scale in _scales(metrics).items():
        scaled = logits['test'] / scale
        bins = calibration.reliability(scaled, label['test'], num_bins)
        metrics[name] = {
            'cross_entropy_nats': summary(calibration.cross_entropy(scaled, label['test'])),
            'brier_score': summary(calibration.brier_score(scaled, label['test'])),
            'confidence': float(np.nansum(bins.count * bins.confidence) / bins.count.sum()),
            'calibration_error': calibration.calibration_error(bins),
        }
    is_right = logits['test'].argmax(1) == label['test']
    by_class = accuracy_by_class(data.spec, is_right, label['test'])
    return {'accuracy': summary(is_right.astype(float)), 'accuracy_by_class': by_class, **metrics}


def accuracy_by_class(spec: Spec, is_right: np.ndarray, label: np.ndarray) -> dict[str, float]:
    """Returns the share of right [n] examples of each class in label [n], by its name."""
    counts = np.bincount(label, minlength=spec.num_classes)
    right = np.bincount(label[is_right], minlength=spec.num_classes)
    present = np.flatnonzero(counts)[:MAX_CLASSES].tolist()
    return {spec.class_name(each): float(right[each] / counts[each]) for each in present}


def _scales(metrics: dict[str, Any]) -> dict[str, float]:
    """Returns {name of the results: temperature that divides the logits}."""
    return {'as_they_are': 1.0, 'with_temperature': metrics['temperature']}


def _log(run: Run, runs: dict[str, dict[str, Any]]) -> None:
    """Logs a table with a row per run and temperature."""
    header = 'accuracy', 'confidence', 'cross-entropy', 'Brier', 'calibration error'
    log.info('%-40s' + ' %17s' * len(header), _common.described_examples(run), *header)
    if run.data.splits['test'] is run.data.splits['valid']:
        log.warning('the temperature is fitted on these very examples: others have larger errors')
    for name, metrics in runs.items():
        for key, scale in _scales(metrics).items():
            row_title = name if key == 'as_they_are' else f'  at temperature {scale:.4g}'
            row = [
                plus_minus(*metrics['accuracy'].values()),
                plus_minus(metrics[key]['confidence']),
                plus_minus(*metrics[key]['cross_entropy_nats'].values()),
                plus_minus(*metrics[key]['brier_score'].values()),
                plus_minus(metrics[key]['calibration_error']),
            ]
            log.info('%-40s' + ' %17s' * len(row), row_title, *row)
        by_class = sorted(metrics['accuracy_by_class'].items(), key=lambda item: item[1])
        lowest = [f'{each} {value:.4f}' for each, value in by_class]
        log.info('  accuracy by class, lowest first: %s', listed(lowest, 10))


@figures.style()
def _save_figure(
    arrays: dict[str, np.ndarray],
    runs: dict[str, dict[str, Any]],
    num_bins: int,
    path: pathlib.Path,
) -> None:
    """Draws accuracy against confidence for each run; a marker's area grows with its bin's size."""
    figure, axes = figures.panels(len(runs), size=(4.5, 5.6))
    all_logits = [arrays[name] for name in LOGITS if name in arrays]
    for axis, (name, metrics), logits in zip(axes, runs.items(), all_logits, strict=True):
        axis.plot([0, 1], [0, 1], color=figures.DATA_COLOUR, linewidth=1)
        for i, (key, scale) in enumerate(_scales(metrics).items()):
            colour = figures.colour(i)
            bins = calibration.reliability(logits / scale, arrays['label'], num_bins)
            error = metrics[key]['calibration_error']
            label = f'{key.replace("_", " ")}: error {error:.3f}'
            area = MAX_AREA * bins.count / len(arrays['label'])
            points = bins.confidence, bins.accuracy
            axis.scatter(*points, 12 + area, colour, alpha=0.7, label=label)
            axis.plot(*points, color=colour, alpha=0.25)
        axis.set(xlim=(0, 1.05), ylim=(-0.05, 1.05), aspect='equal', title=figure_text(name))
        axis.set(xlabel='probability of the most likely class', ylabel='accuracy')
        axis.grid(True)
        legend = axis.legend(loc='upper center', bbox_to_anchor=(0.5, -0.12))
        for marker in legend.legend_handles:
            marker.set_sizes([40])
    _common.draw_figure(path, figure)


APPLICATION = Application(apply, NEEDS, reads='it classifies the test split', needs_labels=False)
