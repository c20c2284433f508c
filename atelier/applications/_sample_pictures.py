"""Single pictures of samples that are images: one file each."""

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
from atelier.report.views.choose import view_of
from atelier.report.views.image_view import IMAGES

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
