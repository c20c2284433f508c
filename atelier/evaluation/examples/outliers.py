"""Out-of-distribution inputs in the format of a run's data: another data set or an image file."""

import contextlib
import re
from collections.abc import Iterator

from ml_collections import ConfigDict

from atelier.data import dataset
from atelier.data.conditions.setting import NONE
from atelier.data.dataset import Dataset
from atelier.data.origins import named
from atelier.errors import UserError, about, reading
from atelier.evaluation.examples.given import as_data
from atelier.evaluation.examples.given_pictures import pictures
from atelier.paths import user_path
from atelier.run.experiment import Run


def another_data_set(run: Run, name: str, path: str, data_dir: str) -> Dataset:
    """Returns the data set `name`, binarised and dequantised like the run's data.

    Raises:
      UserError: the data set cannot be loaded, or its events differ in shape or kind.
    """
    config = ConfigDict({'data': run.config.data.to_dict()})
    config.data.update(name=name, path=path, data_dir=data_dir, without_classes=(), num_valid=0)
    config.data.condition = (NONE,)  # of other columns than the run's
    config.data.split_by = (
        'order'  # nothing is trained on outliers: even equal ones have a test split
    )
    if 'image_shape' not in dataset.settings_of(name):
        config.data.image_shape = ()
    with about(f'--outliers={name}'):
        with _naming_options():
            outliers = dataset.load(config, may_prepare=True)  # the user names it now
        for field in ('event_shape', 'levels', 'dequantized_levels', 'symbols'):
            value, expected = getattr(outliers.spec, field), getattr(run.data.spec, field)
            if value != expected:
                raise UserError(
                    f'its {field} is {value!r} and that of {run.data.name} is {expected!r}: choose '
                    'data of the same shape and levels'
                )
    return outliers


@contextlib.contextmanager
def _naming_options() -> Iterator[None]:
    """Names the options of --mode=anomaly that stand in for config.data.path and data_dir."""
    try:
        yield
    except UserError as error:
        message = re.sub(r'(--)?config\.data\.(path|data_dir)\b', r'--outliers_\2', str(error))
        raise UserError(re.sub(r'config\.data\.name\b', '--outliers', message)) from error


def image_as_data(run: Run, path: str) -> Dataset:
    """Returns an image file as a test split of one example, without inverting its brightness.

    The largest centred crop with the data's aspect ratio is resized to the data's image size, and
    its 256 levels are rescaled to the data's levels.

    Raises:
      UserError: the file cannot be read, or the data are not images with levels.
    """
    with about(f'--picture={path}'):
        file = user_path(path)
        with reading(file):
            if not file.is_file():
                raise UserError('there is no such file')
        return as_data(run, {'x': pictures(run, [file])}, named([file.name]), 'a picture')
