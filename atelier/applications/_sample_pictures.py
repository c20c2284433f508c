"""The pictures of samples that are images: a grid, and one file each."""

import itertools
import math
import pathlib
import re

import numpy as np
from tqdm import tqdm

from atelier import leftovers
from atelier.applications import _common
from atelier.data.spec import Spec
from atelier.errors import UserError, check_option, writing
from atelier.evaluation.per_example import example_table
from atelier.log import counted, log
from atelier.report import figures, image_grids
from atelier.report.views import drawing
from atelier.report.views.choose import view_of
from atelier.report.views.image_view import IMAGES

GRID, PNG = FORMATS = 'grid', 'png'
OF_MEANS = 'the mean of x given z of each sample'
MAX_NAMED = 40  # columns with names below them
MAX_CLASSES = 16  # with columns of their own; more make a picture too wide for a screen
MAX_CAPTIONS = 64  # images with a name each below them
MAX_SINGLE = 100_000  # pictures of one file each
AT_ONCE = 1000  # of them in memory
PATIENCE = 5.0  # seconds until a progress bar appears
SINGLE = re.compile('[0-9]{6}[.]png')


def check_format(value: str, spec: Spec) -> None:
    """Checks --format before anything is drawn.

    Raises:
      UserError: there is no such format, or the data are no images.
    """
    check_option('format', value, FORMATS)
    if value == PNG and view_of(spec) is not IMAGES:
        raise UserError('--format=png: the data are not images, so a sample is no picture')


def save_grid(
    path: pathlib.Path,
    x: np.ndarray,
    spec: Spec,
    classes: np.ndarray | None,
    is_of_means: bool,
) -> None:
    """Saves images [n, *event] as a grid beside the .npz `path`; the log says what they are.

    Named classes stand below the columns or, of many, below each image, and what the images are
    above the grid.
    """
    path = path.with_suffix('.png')
    if is_of_means and classes is not None and depend_on_class(x, len(classes)):
        _save_one_of_each(path, x[: len(classes)], spec, classes)
        return
    is_many = classes is not None and len(classes) > MAX_CLASSES
    columns = None if classes is None or is_many else _columns(len(x), len(classes))
    is_named = classes is not None and bool(spec.class_names)
    title = f'Samples by class: {OF_MEANS}' if is_of_means else 'Samples by class'
    if is_named and is_many and len(x) <= MAX_CAPTIONS:
        names = [spec.class_name(label) for label in np.resize(classes, len(x)).tolist()]
        figures.save_picture(path, IMAGES.ranked(x, names, spec, title))
    elif not is_named or is_many or columns > MAX_NAMED:
        image_grids.save(path, image_grids.grid(x, spec, columns))
    else:
        image = image_grids.grid(x, spec, columns)
        labels = np.resize(classes, columns).tolist()
        names = [drawing.name(spec.class_name(label)) for label in labels]
        image_grids.save_labelled(path, image, title, [''], names)
    log.info('figure%s: %s', f' ({OF_MEANS}; x itself: --draws)' if is_of_means else '', path)


def depend_on_class(x: np.ndarray, num_classes: int) -> bool:
    """Whether means [n, *event], whose classes take turns, are the same for all of a class.

    Those of naive Bayes are, as its only latent variable is the class.
    """
    return len(x) > num_classes and bool((x == x[np.arange(len(x)) % num_classes]).all())


def _save_one_of_each(path: pathlib.Path, x: np.ndarray, spec: Spec, classes: np.ndarray) -> None:
    """Saves the mean [n, *event] of each class; more of them would be equal."""
    shown = x[:MAX_CAPTIONS]
    names = [
        spec.class_name(label) if spec.class_names else f'class {label}'
        for label in classes[:MAX_CAPTIONS].tolist()
    ]
    title = 'The mean of x of each class: all samples of a class have this one'
    title = drawing.of_first(title, len(shown), len(x))
    figures.save_picture(path, IMAGES.ranked(shown, names, spec, title))
    log.info('figure (the mean of x of each class; samples: --draws): %s', path)


def _columns(n: int, num_labels: int) -> int:
    """Returns a number of columns for a near-square grid in which each class keeps its columns."""
    return num_labels * max(1, round(math.sqrt(n) / num_labels))


def save_each(folder: pathlib.Path, x: np.ndarray, spec: Spec, label: np.ndarray | None) -> None:
    """Saves each image [n, *event] as a PNG of its own size: 000000.png, 000001.png, ...

    Their classes `label` [n] are in labels.csv. Pictures that an earlier command left are removed.
    At most `MAX_SINGLE` are written; the log says so.

    Raises:
      UserError: a file cannot be written.
    """
    _remove_earlier(folder)
    shown = x[:MAX_SINGLE]
    interval = spec.interval or (float(x.min()), float(x.max()))
    names = (f'{i:06d}.png' for i in itertools.count())
    with tqdm(total=len(shown), unit='picture', leave=False, delay=PATIENCE) as bar:
        for start in range(0, len(shown), AT_ONCE):
            shades = image_grids.shades(shown[start : start + AT_ONCE], spec, interval)
            for picture in np.round(255 * shades).astype(np.uint8):
                figures.save_picture(folder / next(names), picture)
                bar.update()
    if label is not None:
        files = np.array([f'{i:06d}.png' for i in range(len(shown))])
        columns = {'file': files, 'label': label[: len(shown)]}
        example_table.write(folder / 'labels.csv', _common.with_class_names(columns, spec))
    of_all = f' of {len(x):,} samples' if len(x) > len(shown) else ''
    log.info('%s%s: %s', counted(len(shown), 'picture'), of_all, folder)


def _remove_earlier(folder: pathlib.Path) -> None:
    """Removes pictures of an earlier command, which may have had other weights."""
    if folder.is_dir():
        leftovers.remove_files(folder)
        with writing(folder):
            for path in folder.iterdir():
                if SINGLE.fullmatch(path.name) or path.name == 'labels.csv':
                    path.unlink()
