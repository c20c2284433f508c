"""Scores how anomalous test examples, another data set, or your own image are."""

import pathlib
from typing import Any, NamedTuple

import numpy as np

from atelier.applications import _anomaly_figure, _anomaly_maps, _common
from atelier.applications._application import LOG_PROB, RECONSTRUCT, Application
from atelier.core.family import Family, reads_condition
from atelier.data.dataset import Dataset
from atelier.data.spec import Spec
from atelier.errors import UserError
from atelier.evaluation.examples.anomaly_score import chosen_score, description_of, scorer
from atelier.evaluation.examples.auroc import auroc
from atelier.evaluation.examples.outliers import another_data_set, image_as_data
from atelier.evaluation.examples.score_maps import ScoreMaps
from atelier.evaluation.samples.sampling import preprocessed
from atelier.log import counted, log
from atelier.report import texts
from atelier.report.metrics_log import plus_minus
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (LOG_PROB | RECONSTRUCT,)
TABLE = ('file', 'row', 'label', 'text', 'score', 'is_novel')
MAX_LOGGED = 5  # items


class Comparison(NamedTuple):
    """Data to compare with the test split; None if not given."""

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
    """Scores every test example; a higher score is more anomalous.

    The score is the negative log-likelihood in nats or, without a likelihood, half the squared
    reconstruction error with x normalized. The AUROC compares test examples of the trained classes
    with those of `config.data.without_classes`, which training left out, and with another data set.

    Args:
      run: of a family with `log_prob` or `reconstruct`.
      score: the score: nll, reconstruction, or auto, the first of the two that the family has.
      outliers: name of another data set, of the same shape and levels.
      outliers_path: path of the other data set, as config.data.path.
      outliers_data_dir: folder of the other data set, as config.data.data_dir.
      picture: path of an image, light and dark as in the data (MNIST: white on black).
      num_images: number of most anomalous, and of least anomalous, test examples to show.

    Returns:
      score [n] of the test split; index [n] into that split, most anomalous first; is_novel [n],
      true if the class was left out of training; label [n] if the data have labels; file [n] and
      row [n], where each example came from. If classes were left out of training: novel_auroc.
      With another data set: outlier_score, outlier_file and outlier_row [m], and outlier_auroc.
      With a picture: picture [*event], picture_score and picture_percentile, the percentage of test
      examples of known classes with a lower score. An AUROC is [2], its value and its standard
      error, nan if it has none. For images, if the score is a sum over pixels (see `score_maps`):
      mapped [maps], test indices, and score_map [maps, *event], their terms, whose sum is the score
      or a part of it; with a picture also picture_map [*event]. Of items,
      texts that end, also text [n].

    Raises:
      UserError: a missing checkpoint, an invalid option, or scores that are nan.
    """
    _common.at_least(1, num_images=num_images)
    _common.check_split(run, 'test', 1, 'there is nothing to score')
    score = chosen_score(run, score)
    comparison = _comparison(run, outliers, outliers_path, outliers_data_dir, picture)
    trained = restore.load(run)
    arrays, description = compute(trained, score, comparison), description_of(run, score)
    shown = arrays['index'][:num_images]
    maps = _anomaly_maps.most_anomalous(trained, score, shown, comparison.picture)
    arrays |= _anomaly_maps.arrays_of(*maps, shown)
    _log(trained, arrays, comparison, description)
    paths = _common.path_suffix(data=outliers_path, folder=outliers_data_dir, picture=picture)
    outliers = pathlib.Path(outliers_path).stem or outliers
    file = _file_name(score, outliers, pathlib.Path(picture).stem) + paths
    path = _save(trained, file, arrays, description)
    _anomaly_figure.draw(path, trained, arrays, num_images, description, outliers)
    _draw_maps(path, maps, arrays, run.data.spec)
    return arrays


def _save(
    trained: TrainedRun, file: str, arrays: dict[str, np.ndarray], description: str
) -> pathlib.Path:
    """Writes arrays, results and the table; returns the path of the picture."""
    table = [name for name in TABLE if name in arrays]
    return _common.save(trained, file, arrays, {'score': description, **_headline(arrays)}, table)


def _draw_maps(
    path: pathlib.Path,
    maps: tuple[ScoreMaps | None, ScoreMaps | None],
    arrays: dict[str, np.ndarray],
    spec: Spec,
) -> None:
    """Draws the maps of the score in a file beside `path`, if there are any."""
    if 'score_map' in arrays:
        captions = _anomaly_maps.captions_of(arrays, spec)
        maps_path = path.with_name(f'{path.stem}-maps.png')
        _anomaly_maps.save_figure(maps_path, *maps, captions, spec)


def _file_name(*parts: str) -> str:
    """Returns 'anomaly-PART-PART' of the parts that are not empty, without slashes."""
    return '-'.join(['anomaly', *(part.replace('/', '-') for part in parts if part)])


def _comparison(run: Run, name: str, path: str, data_dir: str, picture: str) -> Comparison:
    if not name and (path or data_dir):
        raise UserError('--outliers_path and --outliers_data_dir need --outliers=NAME')
    outliers = another_data_set(run, name, path, data_dir) if name else None
    return Comparison(outliers, image_as_data(run, picture) if picture else None)


def compute(trained: TrainedRun, score: str, comparison: Comparison) -> dict[str, np.ndarray]:
    """Scores the test split and the data to compare; returns the arrays of `apply`."""
    arrays = _test_arrays(trained.run, _scores(trained, trained.run.data, score))
    novel = arrays['is_novel']
    known = arrays['score'][~novel]
    if not len(known):
        raise UserError('all test examples belong to classes that were left out of training')
    if novel.any():
        arrays['novel_auroc'] = _auroc(arrays['score'][novel], known)
    if comparison.outliers is not None:
        arrays['outlier_score'] = _scores(trained, comparison.outliers, score)
        source = comparison.outliers.origin_of('test')
        arrays |= {f'outlier_{name}': column for name, column in source.items()}
        arrays['outlier_auroc'] = _auroc(arrays['outlier_score'], known)
    if comparison.picture is not None:
        (arrays['picture_score'],) = _scores(trained, comparison.picture, score)
        arrays['picture_percentile'] = 100 * np.mean(known < arrays['picture_score'])
        x = comparison.picture.splits['test']['x']
        (arrays['picture'],) = preprocessed(
            trained.run, trained.state, trained.devices, x, comparison.picture
        )
    return arrays


def _scores(trained: TrainedRun, data: Dataset, name: str) -> np.ndarray:
    """Returns the scores [n] of the test split of `data`."""
    score = scorer(trained.run, data, name, trained.devices)
    scores = score(trained.state, data.splits['test']['x'])
    if np.isnan(scores).any():
        raise UserError(
            f'{np.isnan(scores).sum()} of {counted(len(scores), "score")} are NaN: try the '
            'other --score'
        )
    return scores


def _test_arrays(run: Run, score: np.ndarray) -> dict[str, np.ndarray]:
    arrays = {
        **_common.origins_of(run),
        'score': score,
        'index': np.argsort(-score, kind='stable'),
        'is_novel': np.zeros(len(score), bool),
    }
    if 'label' in arrays:
        arrays['is_novel'] = np.isin(arrays['label'], run.data.spec.left_out)
    return arrays


def _auroc(outliers: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Returns [2]: the AUROC, and its standard error or nan."""
    value, error = auroc(outliers, known)
    return np.asarray([value, np.nan if error is None else error])


def _log(
    trained: TrainedRun, arrays: dict[str, np.ndarray], comparison: Comparison, description: str
) -> None:
    """Logs what was scored, and the comparisons."""
    n, num_novel = len(arrays['score']), arrays['is_novel'].sum()
    num_known = n - num_novel
    scored, known = counted(n, 'test example'), counted(num_known, 'test example')
    log.info('%s, scored by the model of the %s: %s', scored, trained.weights, description)
    for i in arrays['index'][:MAX_LOGGED] if 'text' in arrays else ():
        log.info('  %10.2f  %s', arrays['score'][i], texts.in_one_line(arrays['text'][i]))
    auroc_of = '%s: AUROC %s, %d against %s'
    if 'novel_auroc' in arrays:
        name = f'classes left out of training ({_anomaly_figure.left_out(trained.run)})'
        log.info(auroc_of, name, plus_minus(*map(float, arrays['novel_auroc'])), num_novel, known)
    if 'outlier_auroc' in arrays:
        num_outliers, name = len(arrays['outlier_score']), comparison.outliers.description
        auroc = plus_minus(*map(float, arrays['outlier_auroc']))
        log.info(auroc_of, name, auroc, num_outliers, known)
    if 'picture_score' in arrays:
        values = arrays['picture_score'], arrays['picture_percentile'], known
        log.info('the picture: score %.2f, above %.1f %% of %s', *values)


def _headline(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns the main results for JSON; a non-finite value becomes None."""
    finite = lambda value: float(value) if np.isfinite(value) else None
    headline = {'mean': finite(arrays['score'].mean())}
    for name in ('novel_auroc', 'outlier_auroc'):
        if name in arrays:
            value, error = map(finite, arrays[name])
            headline[name] = {'value': value, 'standard_error': error}
    for name in ('picture_score', 'picture_percentile'):
        if name in arrays:
            headline[name] = finite(arrays[name])
    return headline


def refusal(family: Family, spec: Spec) -> str:
    """Returns why this mode refuses the family, or ''."""
    if spec.condition is None or not reads_condition(family):
        return ''
    return (
        'cannot score x alone: it is conditional on more than a class, and no average over its '
        'conditions is taken; --mode=score scores x given its condition'
    )


APPLICATION = Application(
    apply,
    NEEDS,
    refusal=refusal,
    reads='it scores test examples',
    only_test=True,
    needs_labels=False,
)
