"""The classes of the test split, and whether their probabilities can be believed."""

from typing import Any

import jax
import numpy as np

from atelier.applications import _common
from atelier.applications._application import CLASSIFY, Application, require
from atelier.core import game
from atelier.core.abilities import Classify
from atelier.core.randomness import Stream, key_for
from atelier.data.dataset import Dataset
from atelier.errors import UserError, about
from atelier.evaluation.evaluate import summary
from atelier.evaluation.examples import calibration
from atelier.evaluation.per_example.over_examples import over_examples
from atelier.log import log
from atelier.paths import user_path
from atelier.report import image_grids
from atelier.run import restore, run_folder
from atelier.run.experiment import Run

NEEDS = (CLASSIFY,)
LARGEST = 600  # area of the marker of all examples


def apply(run: Run, beside: str = '', num_bins: int = 15) -> dict[str, np.ndarray]:
    """Classifies the test split; says how often that is right, and how well it knows.

    A generative model of p(x | label) classifies by Bayes' rule. The temperature, by which logits
    are divided, is fitted on the validation split.

    Args:
      run: of a family with `classify`.
      beside: folder of another run, such as one of configs/classifier.py, on the same examples.
      num_bins: of the confidence, for the calibration error and the picture.

    Returns:
      label [n], logits [n, classes] as they are, and of another run beside_logits [n, classes].

    Raises:
      UserError: a missing ability or checkpoint, no labels, a bad option, or `beside` classifies
        other examples.
    """
    require(run, 'classify', *NEEDS)
    _common.at_least(1, num_bins=num_bins)
    _common.check_split(run, 'test', 1, 'there is nothing to classify')
    if 'label' not in run.data.splits['test']:
        raise UserError(f'the examples of {run.data.name} have no labels to classify them by')
    runs = {'logits': run, **({'beside_logits': _other(run, beside)} if beside else {})}
    found, numbers = {'label': np.asarray(run.data.splits['test']['label'], np.int32)}, {}
    for array, name in zip(runs, _names(list(runs.values())), strict=True):
        state, weights = restore.load_state(runs[array])
        logits = {split: _logits(runs[array], state, split) for split in ('valid', 'test')}
        found[array] = logits['test']
        numbers[name] = {'weights': weights, **_numbers(run.data, logits, num_bins)}
    path = _common.save(run, 'classify', found)
    _common.record(run, 'classify', next(iter(numbers.values()))['weights'], {'runs': numbers})
    _show(numbers)
    _draw(found, numbers, num_bins, path)
    return found


def _other(run: Run, beside: str) -> Run:
    """The run to stand beside.

    Raises:
      UserError: it is none, cannot classify, or is of other test examples.
    """
    with about(f'--beside={beside}'):
        other = run_folder.reopen(user_path(beside))
        require(other, 'classify', *NEEDS)
    if other.folder.resolve() == run.folder.resolve():
        raise UserError(f'--beside={beside}: that is the run itself, give another one')
    ours, theirs = (each.data.splits['test'].get('label') for each in (run, other))
    if run.data.name != other.data.name or not np.array_equal(ours, theirs):
        raise UserError(
            f'--beside={beside} classifies the test split of {other.data.name}, {run.folder} that '
            f'of {run.data.name}: give a run on the same examples'
        )
    return other


def _names(runs: list[Run]) -> list[str]:
    """The last part of each folder, where that tells them apart."""
    names = [each.folder.name for each in runs]
    return names if len({*names}) == len(names) else [str(each.folder) for each in runs]


def _logits(run: Run, state: game.State, split: str) -> np.ndarray:
    """[n, classes]; the draws are those of an evaluation."""
    apply = over_examples(
        run.family.ability(Classify).logits, run.data, run.config.eval.batch_size, jax.devices()
    )
    key = key_for(state.key, Stream.EVALUATE)
    return np.asarray(apply(state, key, run.data.splits[split], run.data.size(split)), np.float64)


def _numbers(data: Dataset, logits: dict[str, np.ndarray], num_bins: int) -> dict[str, Any]:
    """Means over the test split, with standard errors where they are means over examples."""
    label = {split: np.asarray(data.splits[split]['label']) for split in logits}
    temperature = calibration.fitted_temperature(logits['valid'], label['valid'])
    told = {'num_examples': len(label['test']), 'temperature': temperature}
    for name, scale in _scales(told).items():
        own = logits['test'] / scale
        bins = calibration.reliability(own, label['test'], num_bins)
        told[name] = {
            'cross_entropy_nats': summary(calibration.cross_entropy(own, label['test'])),
            'brier_score': summary(calibration.brier_score(own, label['test'])),
            'confidence': float(np.nansum(bins.count * bins.confidence) / bins.count.sum()),
            'calibration_error': calibration.calibration_error(bins),
        }
    is_right = logits['test'].argmax(1) == label['test']
    return {'accuracy': summary(is_right.astype(float)), **told}


def _scales(told: dict[str, Any]) -> dict[str, float]:
    """By what a run's logits are divided, by the name of the numbers that it gives."""
    return {'as_they_are': 1.0, 'with_temperature': told['temperature']}


def _show(numbers: dict[str, Any]) -> None:
    head = 'accuracy', 'confidence', 'cross-entropy', 'Brier', 'calibration error'
    log.info('%-40s' + ' %17s' * len(head), 'test split', *head)
    plain = lambda mean: '-' if mean is None else f'{mean:.4f}'
    for name, told in numbers.items():
        for key, scale in _scales(told).items():
            here = told[key]
            words = name if key == 'as_they_are' else f'  at temperature {scale:.4g}'
            means = here['cross_entropy_nats']['mean'], here['brier_score']['mean']
            row = told['accuracy']['mean'], here['confidence'], *means, here['calibration_error']
            log.info('%-40s' + ' %17s' * len(row), words, *map(plain, row))


def _draw(found: dict[str, np.ndarray], numbers: dict[str, Any], num_bins: int, path) -> None:
    """Of each run accuracy against confidence; a marker is as large as its bin has examples."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5 * len(numbers), 6), layout='constrained')
    axes = figure.subplots(1, len(numbers), squeeze=False)[0]
    all_logits = [found[name] for name in ('logits', 'beside_logits') if name in found]
    for axis, (name, told), logits in zip(axes, numbers.items(), all_logits, strict=True):
        axis.plot([0, 1], [0, 1], color='grey', linewidth=1)
        for key, scale in _scales(told).items():
            bins = calibration.reliability(logits / scale, found['label'], num_bins)
            words = f'{key.replace("_", " ")}: error {told[key]["calibration_error"]:.3f}'
            area = LARGEST * bins.count / len(found['label'])
            axis.scatter(bins.confidence, bins.accuracy, 12 + area, alpha=0.7, label=words)
            axis.plot(bins.confidence, bins.accuracy, alpha=0.25)
        axis.set(xlim=(0, 1.05), ylim=(-0.05, 1.05), aspect='equal', title=name)
        axis.set(xlabel='probability of the likeliest class', ylabel='share that is right')
        axis.grid(alpha=0.3)
        legend = axis.legend(loc='upper center', bbox_to_anchor=(0.5, -0.12))
        for marker in legend.legend_handles:
            marker.set_sizes([40])
    image_grids.save_figure(path, figure)
    log.info('as a picture: %s', path)


APPLICATION = Application(apply, NEEDS)
