"""Writes the codes of a data set, and measures how well they predict its classes."""

import pathlib
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from atelier.applications import _common
from atelier.applications._application import ENCODE, Application
from atelier.data import items
from atelier.data.classes import described
from atelier.data.spec import Spec
from atelier.evaluation.codes.encoding import encoded, latents
from atelier.evaluation.evaluate import summary
from atelier.evaluation.samples.features import coordinates
from atelier.evaluation.samples.neighbours import nearest
from atelier.log import counted, log
from atelier.report import figures, texts
from atelier.report.figure_text import figure_text
from atelier.report.metrics_log import rounded
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (ENCODE,)
TABLE = ('file', 'row', 'label', 'text', 'codes')
MAX_STEPS = 2000  # of the linear probe's fit
MAX_COUNTED_CLASSES = 20  # above this many classes the figure shows no counts

Labels = Int[np.ndarray, 'n']


class Labelled(NamedTuple):
    """Features and class labels of the train and test splits."""

    train: Float[np.ndarray, 'n dims']
    test: Float[np.ndarray, 'm dims']
    train_label: Int[np.ndarray, 'n']
    test_label: Int[np.ndarray, 'm']


def apply(run: Run, num_neighbours: int = 5, num_codes: int = 10_000) -> dict[str, np.ndarray]:
    """Encodes train and test split; classifies test codes by nearest neighbours and a linear probe.

    Both classifiers are also applied to the normalized x itself; of items, texts that end, to the
    counts of their symbols. The probe is a logistic regression
    on standardized features with scikit-learn's default penalty. Without labels, and of the
    training split itself (--split=train), only codes are written. If codes end in a one-hot class,
    it is removed, because otherwise nothing would be left to predict.

    Args:
      run: of a family with `encode`.
      num_neighbours: number of voting neighbours; a tie goes to the class of the nearest.
      num_codes: largest number of training codes, the first ones, that both classifiers learn from.

    Returns:
      train_codes [n, latent] and test_codes [m, latent]; train_file, train_row, test_file and
      test_row, where the examples came from; with labels, train_label [n], test_label
      [m], and the test predictions neighbours_of_codes, neighbours_of_x, probe_of_codes and
      probe_of_x [m].

    Raises:
      UserError: a missing checkpoint, a bad option, or too few examples.
    """
    _common.at_least(1, num_neighbours=num_neighbours)
    _common.at_least(num_neighbours, num_codes=num_codes)
    _common.check_split(run, 'train', num_neighbours, f'--num_neighbours={num_neighbours}')
    _common.check_split(run, 'test', 1, 'there is nothing to embed')
    trained = restore.load(run)
    arrays, x = _encoded(trained, num_codes)
    _log(trained, arrays)
    m, latent_dims = arrays['test_codes'].shape
    results: dict[str, Any] = {'num_test': m, 'latent_dims': latent_dims}
    reason = _why_not(run, arrays, num_codes)
    if reason:
        log.info('only codes are written: %s', reason)
    else:
        predictions = compute(arrays, x, num_neighbours, num_codes)
        results.update(num_neighbours=num_neighbours, num_train=len(x['train']))
        results['accuracy'] = _accuracies(predictions, arrays['test_label'])
        arrays.update(predictions)
        _log_accuracies(results)
    changed = _common.changed_options(apply, num_neighbours=num_neighbours, num_codes=num_codes)
    table = [f'test_{name}' for name in TABLE if f'test_{name}' in arrays]
    path = _common.save(trained, f'embed{changed}', arrays, results, table)
    if not reason:
        _save_figure(run, arrays, path)
    return arrays


def _encoded(
    trained: TrainedRun, num_codes: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns codes and labels by split; flat x of `num_codes` training and all test examples."""
    run, arrays, flat_x = trained.run, {}, {}
    for name, limit in (('train', num_codes), ('test', None)):
        split = run.data.splits[name]
        codes, x = encoded(run, trained.state, split, trained.devices)
        flat_x[name] = _features_of_x(x[:limit], run.data.spec)
        arrays[f'{name}_codes'] = latents(run.family, codes)
        if 'label' in split:
            arrays[f'{name}_label'] = np.asarray(split['label'])
        origins = run.data.origin_of(name) | texts.arrays_of(split['x'], run.data.spec)
        arrays |= {f'{name}_{key}': a for key, a in origins.items()}
    return arrays, flat_x


def _features_of_x(x: np.ndarray, spec: Spec) -> Float[np.ndarray, 'n dims']:
    """Returns what both classifiers read beside codes: x, but of items the counts of symbols.

    Distances between the numbers of symbols would mean nothing.
    """
    if not items.are_items(spec):
        return coordinates(x, spec)
    is_scored, tokens = items.is_scored(x), x.astype(int)
    counts = [np.sum((tokens == each) & is_scored, 1) for each in range(len(spec.symbols))]
    return np.stack(counts, 1).astype(np.float32)


def _why_not(run: Run, arrays: dict[str, np.ndarray], num_codes: int) -> str:
    """Returns why the codes cannot be classified, or ''."""
    if 'train_label' not in arrays or 'test_label' not in arrays:
        return 'the data have no labels'
    if len(np.unique(arrays['train_label'][:num_codes])) < 2:
        return 'the training examples are all of one class'
    if run.data.splits['test'] is run.data.splits['train']:  # each would be its own neighbour
        return 'the classifiers would be fitted on the very examples that they classify'
    return ''


def compute(
    arrays: dict[str, np.ndarray], x: dict[str, np.ndarray], num_neighbours: int, num_codes: int
) -> dict[str, np.ndarray]:
    """Returns test predictions [m] of both classifiers, from codes and from x."""
    labels = arrays['train_label'][:num_codes], arrays['test_label']
    sets = {
        'codes': Labelled(arrays['train_codes'][:num_codes], arrays['test_codes'], *labels),
        'x': Labelled(x['train'], x['test'], *labels),
    }
    predictions = {}
    for name, data in sets.items():
        predictions[f'neighbours_of_{name}'] = by_neighbours(data, num_neighbours)
        predictions[f'probe_of_{name}'] = by_probe(data)
    return predictions


def by_neighbours(data: Labelled, k: int) -> Labels:
    """Majority class of the k nearest training examples; a tie goes to the class of the nearest."""
    _, index = nearest(data.test, data.train, k)
    classes, class_index = np.unique(data.train_label, return_inverse=True)
    votes = np.zeros((len(index), len(classes)))
    for rank, column in enumerate(class_index[index].T):
        votes[np.arange(len(index)), column] += 1 + 0.25 * 0.5**rank  # only breaks ties
    return classes[votes.argmax(1)]


def by_probe(data: Labelled) -> Labels:
    """Predictions of a linear classifier on standardized features (Alain and Bengio 2017)."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean, std = data.train.mean(0, np.float64), data.train.std(0, np.float64)
    standardize = lambda a: (a - mean) / np.where(std > 0, std, 1)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ConvergenceWarning)  # logged below
        probe = LogisticRegression(max_iter=MAX_STEPS)
        probe.fit(standardize(data.train), data.train_label)
    if probe.n_iter_.max() >= MAX_STEPS:
        log.info('the linear probe did not converge in %s', counted(MAX_STEPS, 'step'))
    return probe.predict(standardize(data.test))


def _accuracies(predictions: dict[str, np.ndarray], label: Labels) -> dict[str, Any]:
    """Returns the accuracy of each classifier, with its standard error."""
    return {name: summary((each == label).astype(float)) for name, each in predictions.items()}


def _log(trained: TrainedRun, arrays: dict[str, np.ndarray]) -> None:
    """Logs the number of codes, and the classes of the examples that training left out."""
    n, m = len(arrays['train_codes']), len(arrays['test_codes'])
    log.info(
        'codes of %s and %s, computed by the model of the %s',
        counted(n, 'training example'),
        counted(m, 'test example'),
        trained.weights,
    )
    spec = trained.run.data.spec
    left_out = np.intersect1d(arrays.get('test_label', ()), spec.left_out).astype(int).tolist()
    if left_out:
        classes = described(spec, left_out)
        log.warning('training left out classes %s: their test examples count as mistakes', classes)


def _log_accuracies(results: dict[str, Any]) -> None:
    """Logs a table with a row per classifier."""
    n, k = results['num_train'], results['num_neighbours']
    log.info('test accuracy, fitted on %s: %12s %8s', counted(n, 'example'), 'codes', 'x itself')
    for name, title in (('neighbours', counted(k, 'nearest neighbour')), ('probe', 'linear probe')):
        means = [results['accuracy'][f'{name}_of_{source}'] for source in ('codes', 'x')]
        log.info('  %-45s %6s   %6s', title, *(rounded(*mean.values()) for mean in means))


@figures.style()
def _save_figure(run: Run, arrays: dict[str, np.ndarray], path: pathlib.Path) -> None:
    """Draws the confusion matrix of the linear probe on codes."""
    spec, num_classes = run.data.spec, run.data.spec.num_classes
    counts = np.zeros((num_classes, num_classes), int)
    np.add.at(counts, (arrays['test_label'], arrays['probe_of_codes']), 1)
    figure, (axes,) = figures.panels(1, size=(7, 6))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = axes.imshow(shares, cmap='Blues', vmin=0, vmax=1)
    figures.colour_bar(figure, image, axes, label='share of the true class')
    if num_classes <= MAX_COUNTED_CLASSES:
        names = [figure_text(spec.class_name(label)) for label in range(num_classes)]
        axes.set_xticks(range(num_classes), names, rotation=90 if spec.class_names else 0)
        axes.set_yticks(range(num_classes), names)
        for (i, j), count in np.ndenumerate(counts):
            colour = 'white' if shares[i, j] > 0.5 else 'black'
            axes.text(j, i, str(count or ''), ha='center', va='center', color=colour, fontsize=8)
    accuracy = np.mean(arrays['test_label'] == arrays['probe_of_codes'])
    axes.set(xlabel='predicted class', ylabel='class')
    examples = figure_text(_common.described_examples(run))
    axes.set_title(f'Linear probe of the codes of {examples}\naccuracy {100 * accuracy:.1f} %')
    _common.draw_figure(path, figure)


APPLICATION = Application(apply, NEEDS, reads='it encodes the training and the test split')
