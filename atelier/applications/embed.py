"""Codes and labels of a data set, and how well the codes tell the classes apart."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from atelier.applications import _common
from atelier.applications._application import ENCODE, Application, require
from atelier.evaluation.codes.encoding import encoded, latents
from atelier.evaluation.evaluate import summary
from atelier.evaluation.samples.features import coordinates
from atelier.evaluation.samples.neighbours import nearest
from atelier.log import log
from atelier.report.image_grids import save_figure
from atelier.run import restore
from atelier.run.experiment import Run

NEEDS = (ENCODE,)
MOST_STEPS = 2000  # of the linear probe's fit
MOST_NAMED = 20  # classes with a number in the picture

Labels = Int[np.ndarray, 'n']


class Labelled(NamedTuple):
    """Numbers by which to tell classes, and the classes."""

    train: Float[np.ndarray, 'n dims']
    test: Float[np.ndarray, 'm dims']
    train_label: Int[np.ndarray, 'n']
    test_label: Int[np.ndarray, 'm']


def apply(run: Run, num_neighbours: int = 5, num_codes: int = 10_000) -> dict[str, np.ndarray]:
    """Encodes training and test split; classifies test codes by neighbours and by a linear probe.

    Both are also recorded of the numbers of x themselves, normalized. The probe is a logistic
    regression of standardized numbers with scikit-learn's penalty. Without labels only codes are
    written. A class that codes end in is left out: it would be told, not found.

    Args:
      run: of a family with `encode`.
      num_neighbours: that vote; of a tie, the class of the nearest wins.
      num_codes: of the training split, the first ones, that both classifiers learn from at most.

    Returns:
      train_codes [n, latent] and test_codes [m, latent]; with labels, train_label [n], test_label
      [m], and the predictions for the test split neighbours_of_codes, neighbours_of_x,
      probe_of_codes and probe_of_x [m].

    Raises:
      UserError: a missing ability or checkpoint, a bad option, or too few examples.
    """
    require(run, 'embed', *NEEDS)
    _common.at_least(1, num_neighbours=num_neighbours)
    _common.at_least(num_neighbours, num_codes=num_codes)
    _common.check_split(run, 'train', num_neighbours, f'--num_neighbours={num_neighbours}')
    _common.check_split(run, 'test', 1, 'there is nothing to embed')
    state, weights = restore.load_state(run)
    splits, seen, found = run.data.splits, {}, {}
    for name in ('train', 'test'):
        codes, x = encoded(run, state, splits[name], jax.devices())
        most = num_codes if name == 'train' else None
        seen[name] = coordinates(x[:most], run.data.spec)
        found[f'{name}_codes'] = latents(run.family, codes)
        if 'label' in splits[name]:
            found[f'{name}_label'] = np.asarray(splits[name]['label'])
    size, latent = found['test_codes'].shape
    log.info('%d + %d codes of the %s', len(found['train_codes']), size, weights)
    if run.data.spec.left_out:
        classes = ', '.join(map(str, run.data.spec.left_out))
        log.warning('training never saw %s: test examples of that count as mistakes', classes)
    why_not = _why_not(found, num_codes)
    numbers: dict[str, Any] = {'num_test': size, 'latent_dims': latent}
    if why_not:
        log.info('only codes are written: %s', why_not)
    else:
        labels = found['train_label'][:num_codes], found['test_label']
        sets = {
            'codes': Labelled(found['train_codes'][:num_codes], found['test_codes'], *labels),
            'x': Labelled(seen['train'], seen['test'], *labels),
        }
        predicted = _predict(sets, num_neighbours)
        found.update(predicted)
        learnt_from = {'num_neighbours': num_neighbours, 'num_train': len(labels[0])}
        numbers.update(learnt_from, accuracy=_accuracies(predicted, found['test_label']))
        _show(numbers)
    path = _common.save(run, 'embed', found)
    _common.record(run, 'embed', weights, numbers)
    if not why_not:
        _draw(found, run.data.spec.num_classes, path)
    return found


def _why_not(found: dict[str, np.ndarray], num_codes: int) -> str:
    """What keeps one from classifying, if anything."""
    if 'train_label' not in found or 'test_label' not in found:
        return 'the data have no labels'
    if len(np.unique(found['train_label'][:num_codes])) < 2:
        return 'the training examples are all of one class'
    return ''


def _predict(sets: dict[str, Labelled], num_neighbours: int) -> dict[str, np.ndarray]:
    """Of each set what both classifiers say of its test examples, [m] each."""
    predicted = {}
    for name, data in sets.items():
        predicted[f'neighbours_of_{name}'] = by_neighbours(data, num_neighbours)
        predicted[f'probe_of_{name}'] = by_probe(data)
    return predicted


def by_neighbours(data: Labelled, k: int) -> Labels:
    """The class of most of the k nearest training examples; of a tie, of the nearest among them."""
    _, index = nearest(data.test, data.train, k)
    classes, number = np.unique(data.train_label, return_inverse=True)
    votes = np.zeros((len(index), len(classes)))
    for place, column in enumerate(number[index].T):
        votes[np.arange(len(index)), column] += 1 + 0.25 * 0.5**place  # a tie is broken, no more
    return classes[votes.argmax(1)]


def by_probe(data: Labelled) -> Labels:
    """What a linear classifier of standardized numbers says (Alain and Bengio 2017)."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    mean, deviation = data.train.mean(0, np.float64), data.train.std(0, np.float64)
    standardize = lambda a: (a - mean) / np.where(deviation > 0, deviation, 1)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ConvergenceWarning)  # said below
        probe = LogisticRegression(max_iter=MOST_STEPS)
        probe.fit(standardize(data.train), data.train_label)
    if probe.n_iter_.max() >= MOST_STEPS:
        log.info('the linear probe has not converged in %d steps', MOST_STEPS)
    return probe.predict(standardize(data.test))


def _accuracies(predicted: dict[str, np.ndarray], label: Labels) -> dict[str, Any]:
    """Of each prediction the share that is right, with its standard error."""
    return {name: summary((said == label).astype(float)) for name, said in predicted.items()}


def _show(numbers: dict[str, Any]) -> None:
    n, k = numbers['num_train'], numbers['num_neighbours']
    log.info('test accuracy, learnt from %d examples: %12s %8s', n, 'codes', 'x itself')
    for name, words in (('neighbours', f'{k} nearest neighbours'), ('probe', 'linear probe')):
        means = [numbers['accuracy'][f'{name}_of_{what}']['mean'] for what in ('codes', 'x')]
        log.info('  %-45s %.4f   %.4f', words, *means)


def _draw(found: dict[str, np.ndarray], num_classes: int, path) -> None:
    """Which classes the linear probe of the codes takes for which."""
    from matplotlib.figure import Figure

    counts = np.zeros((num_classes, num_classes), int)
    np.add.at(counts, (found['test_label'], found['probe_of_codes']), 1)
    figure = Figure(figsize=(7, 6), layout='constrained')
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = axes.imshow(shares, cmap='Blues', vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label='share of the true class')
    if num_classes <= MOST_NAMED:
        axes.set(xticks=range(num_classes), yticks=range(num_classes))
        for (i, j), count in np.ndenumerate(counts):
            colour = 'white' if shares[i, j] > 0.5 else 'black'
            axes.text(j, i, str(count or ''), ha='center', va='center', color=colour, fontsize=8)
    right = np.mean(found['test_label'] == found['probe_of_codes'])
    axes.set(xlabel='predicted class', ylabel='class')
    axes.set_title(f'Linear probe of the codes, test split\naccuracy {100 * right:.1f} %')
    save_figure(path, figure)
    log.info('as a picture: %s', path)


APPLICATION = Application(apply, NEEDS)
