"""How anomalous examples are: novel classes, another data set, a picture of the user's."""

import math
import pathlib
import textwrap
from typing import Any, NamedTuple

import jax
import numpy as np

from atelier.applications import _common
from atelier.applications._application import LOG_PROB, RECONSTRUCT, Application, require
from atelier.data.dataset import Dataset
from atelier.errors import UserError
from atelier.evaluation.examples.anomaly_score import chosen_score, in_words, scorer
from atelier.evaluation.examples.auroc import auroc
from atelier.evaluation.examples.outliers import another_data_set, picture_as_data
from atelier.evaluation.samples.sampling import as_seen
from atelier.log import log
from atelier.report import image_grids
from atelier.run import restore
from atelier.run.experiment import Run

NEEDS = (LOG_PROB | RECONSTRUCT,)
MOST_BINS = 60


class Against(NamedTuple):
    """Data that are compared with the test split, None where they are not asked for."""

    outliers: Dataset | None
    picture: Dataset | None


def apply(
    run: Run,
    score: str = 'auto',
    outliers: str = '',
    outliers_path: str = '',
    outliers_data_dir: str = '',
    picture: str = '',
    num_images: int = 16,
) -> dict[str, np.ndarray]:
    """Scores every test example; higher is more anomalous.

    The score is the negative log-likelihood in nats or, without one, half the squared error of the
    reconstruction, x normalized. Test examples of `config.data.without_classes`, which training
    did not see, and those of another data set are set against the others by their AUROC.

    Args:
      run: of a family with `log_prob` or `reconstruct`.
      score: nll, reconstruction, or auto: the first of them that the family has.
      outliers: name of another data set, of the same shape and levels.
      outliers_path: of it, as config.data.path.
      outliers_data_dir: of it, as config.data.data_dir.
      picture: path of a picture, light and dark as in the data (MNIST: white on black).
      num_images: of the most and of the least anomalous test examples that are shown.

    Returns:
      score [n] of the test split, index [n] into it from the most anomalous on, is_novel [n]:
      whether of a class left out of training, label [n] where there are any; novel_auroc,
      outlier_score [m] and outlier_auroc, picture [*event], picture_score and picture_percentile
      of what is asked for: the share of test examples of known classes below it. An AUROC is [2]
      with its standard error, nan where there is none.

    Raises:
      UserError: a missing ability or checkpoint, an option that cannot be, scores that are nan.
    """
    require(run, 'anomaly', *NEEDS)
    _common.at_least(1, num_images=num_images)
    _common.check_split(run, 'test', 1, 'there is nothing to score')
    name = chosen_score(run, score)
    against = _against(run, outliers, outliers_path, outliers_data_dir, picture)
    state, weights = restore.load_state(run)

    def scores_of(data: Dataset) -> np.ndarray:
        scores = scorer(run, data, name, jax.devices())(state, data.splits['test']['x'])
        if np.isnan(scores).any():
            raise UserError(f'{np.isnan(scores).sum()} scores are nan: try the other --score')
        return scores

    found, words = _of_test_split(run, scores_of(run.data)), in_words(run, name)
    log.info('%d test examples by the %s: %s', len(found['score']), weights, words)
    _compare(run, found, against, scores_of)
    shown = _shown(run, state, found, against, num_images)
    if against.picture is not None:
        (found['picture'],) = shown['The picture']
    outliers = pathlib.Path(outliers_path).stem or outliers
    parts = [name, outliers, pathlib.Path(picture).stem]
    file = '-'.join(['anomaly', *(part.replace('/', '-') for part in parts if part)])
    path = _common.save(run, file, found)
    _common.record(run, file, weights, {'score': words, **_headline(found)})
    _draw(run, found, shown, words, outliers, path)
    return found


def _against(run: Run, name: str, path: str, data_dir: str, picture: str) -> Against:
    if not name and (path or data_dir):
        raise UserError('--outliers_path and --outliers_data_dir need --outliers=NAME')
    outliers = another_data_set(run, name, path, data_dir) if name else None
    return Against(outliers, picture_as_data(run, picture) if picture else None)


def _of_test_split(run: Run, score: np.ndarray) -> dict[str, np.ndarray]:
    found = {
        'score': score,
        'index': np.argsort(-score, kind='stable'),
        'is_novel': np.zeros(len(score), bool),
    }
    if 'label' in run.data.splits['test']:
        found['label'] = np.asarray(run.data.splits['test']['label'])
        found['is_novel'] = np.isin(found['label'], run.data.spec.left_out)
    return found


def _compare(run: Run, found: dict[str, np.ndarray], against: Against, scores_of) -> None:
    """Adds to `found` what is asked for, and says it."""
    novel = found['is_novel']
    known = found['score'][~novel]
    if not len(known):
        raise UserError('all test examples are of classes that were left out of training')
    if novel.any():
        classes = ', '.join(map(str, run.data.spec.left_out))
        words = f'classes left out of training ({classes})'
        found['novel_auroc'] = _auroc(words, found['score'][novel], known)
    if against.outliers is not None:
        found['outlier_score'] = scores_of(against.outliers)
        words = against.outliers.description
        found['outlier_auroc'] = _auroc(words, found['outlier_score'], known)
    if against.picture is not None:
        (value,) = scores_of(against.picture)
        found['picture_score'] = value
        found['picture_percentile'] = 100 * np.mean(known < value)
        told = value, found['picture_percentile'], len(known)
        log.info('the picture: %.2f, more than %.1f %% of %d test examples', *told)


def _headline(found: dict[str, np.ndarray]) -> dict[str, Any]:
    """The numbers of what was asked for, as JSON has them."""
    plain = lambda value: float(value) if np.isfinite(value) else None
    headline = {'mean': plain(found['score'].mean())}
    for name in ('novel_auroc', 'outlier_auroc'):
        if name in found:
            headline[name] = dict(
                zip(('value', 'standard_error'), map(plain, found[name]), strict=True)
            )
    for name in ('picture_score', 'picture_percentile'):
        if name in found:
            headline[name] = plain(found[name])
    return headline


def _auroc(words: str, outliers: np.ndarray, known: np.ndarray) -> np.ndarray:
    """[2]: AUROC and its standard error, or nan."""
    found = auroc(outliers, known)
    error = np.nan if found.standard_error is None else found.standard_error
    told = words, found.value, error, len(outliers), len(known)
    log.info('%s: AUROC %.4f +- %.4f, %d against %d test examples', *told)
    return np.asarray([found.value, error])


def _shown(
    run: Run, state, found: dict[str, np.ndarray], against: Against, num_images: int
) -> dict[str, np.ndarray]:
    """Images [images, *event] as the model sees them, by what they are; no others."""
    if not image_grids.is_image(run.data.spec):
        return {}
    index, score, x = found['index'], found['score'], run.data.splits['test']['x']
    shown = {}
    for end, rows in (('Most', index[:num_images]), ('Least', index[::-1][:num_images])):
        first, last = score[rows[[0, -1]]]
        title = f'{end} anomalous test examples\n{first:.4g} to {last:.4g}'
        shown[title] = as_seen(run, state, jax.devices(), x[rows])
    if against.picture is not None:
        x = against.picture.splits['test']['x']
        shown['The picture'] = as_seen(run, state, jax.devices(), x, against.picture)
    return shown


def _draw(run: Run, found: dict, shown: dict, words: str, outliers: str, path) -> None:
    """The histogram and, beside it, the images."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7 + 4 * len(shown), 5), layout='constrained')
    panels = figure.subplots(1, 1 + len(shown), squeeze=False, width_ratios=[6, *[4] * len(shown)])[
        0
    ]
    _histogram(panels[0], run, found, outliers)
    lines = textwrap.wrap(words, 60)
    panels[0].set(title='Scores', xlabel='\n'.join(lines), ylabel='share of a kind')
    for axes, (title, x) in zip(panels[1:], shown.items(), strict=True):
        image_grids.show(axes, image_grids.grid(x, run.data.spec), [''], [''])
        axes.set(title=title)
    image_grids.save_figure(path, figure)
    log.info('as a picture: %s', path)


def _histogram(axes, run: Run, found: dict[str, np.ndarray], outliers: str) -> None:
    """Of each kind its share in each bin; what is infinite stands nowhere."""
    novel = found['is_novel']
    kinds = {'test examples': found['score'][~novel]}
    if novel.any():
        classes = ', '.join(map(str, run.data.spec.left_out))
        kinds[f'of classes left out ({classes})'] = found['score'][novel]
    if 'outlier_score' in found:
        kinds[outliers] = found['outlier_score']
    kinds = {name: scores[np.isfinite(scores)] for name, scores in kinds.items()}
    finite = np.concatenate([*kinds.values()])
    edges = np.histogram_bin_edges(finite, min(MOST_BINS, 1 + math.isqrt(len(finite))))
    for number, (name, scores) in enumerate(kinds.items()):
        shares = np.full(len(scores), 1 / max(len(scores), 1))
        options = dict(weights=shares, alpha=0.5, color=f'C{number}', label=name)
        axes.hist(scores, edges, **options)
    if 'picture_score' in found and np.isfinite(found['picture_score']):
        axes.axvline(found['picture_score'], color='black', linestyle='--', label='the picture')
    axes.grid(alpha=0.3)
    axes.legend()


APPLICATION = Application(apply, NEEDS)
