"""Pictures of samples that are images: one file each, or one mean of each class."""

import itertools
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
from atelier.report.views.image_view import IMAGES, MAX_CAPTIONS
from atelier.report.views.view import Picture

GRID, PNG = FORMATS = 'grid', 'png'
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


def depend_on_class(x: np.ndarray, num_classes: int) -> bool:
    """Whether means [n, *event], whose classes take turns, are the same for all of a class.

    Those of naive Bayes are, as its only latent variable is the class.
    """
    return len(x) > num_classes and bool((x == x[np.arange(len(x)) % num_classes]).all())


def one_of_each_class(x: np.ndarray, spec: Spec, classes: np.ndarray) -> Picture:
    """Returns a picture of the first means x [n, *event], one a class; all others are equal."""
    shown = x[: min(len(classes), MAX_CAPTIONS)]
    names = [
        spec.class_name(label) if spec.class_names else f'class {label}'
        for label in classes[: len(shown)].tolist()
    ]
    title = 'The mean of x of each class: all samples of a class have this one'
    title = drawing.of_first(title, len(shown), len(classes))
    return IMAGES.ranked(shown, names, spec, title)


def save_each(folder: pathlib.Path, x: np.ndarray, spec: Spec, label: np.ndarray | None) -> None:
    """Saves each image [n, *event] as a PNG of its own size: 000000.png, 000001.png, ...

    Their classes `label` [n] are in labels.csv. Pictures that an earlier command left are removed.
    At most `MAX_SINGLE` are written; the log says so.

    Raises:
      UserError: a file cannot be written.
    """
    _remove_earlier(folder)
    shown = x[:MAX_SINGLE]
    interval = spec.interval or image_grids.interval_of(x)
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
