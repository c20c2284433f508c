"""Samples in a run's folder: written at the end of training, read by `compare` and `report`."""

import pathlib
from typing import Any, NamedTuple

import numpy as np

from atelier import files
from atelier.data.npz_files import UNREADABLE, open_npz
from atelier.data.spec import Spec
from atelier.errors import UserError
from atelier.log import log
from atelier.report.views.choose import view_of
from atelier.report.views.image_view import IMAGES
from atelier.report.views.view import DATA
from atelier.run import data_record, parent_copy, run_folder

NAME = 'samples.npz'  # in the folder `samples`: those of the last validation, with data
MAX_VALUES = 1 << 20  # of an array in it


class SavedSamples(NamedTuple):
    """Samples of a run, and data beside which they are shown.

    spec: of the data.
    data_name: of the data set.
    fingerprint: of the test split; None if it was not recorded.
    x: [n, *event].
    are_means: whether x are means given latent variables, as in `Sample.mean`.
    data: [m, *event]; None if the file has none.
    """

    spec: Spec
    data_name: str
    fingerprint: str | None
    x: np.ndarray
    are_means: bool
    data: np.ndarray | None


def write_samples(
    folder: pathlib.Path, x: np.ndarray, data: np.ndarray | None, are_means: bool
) -> None:
    """Writes samples and data [n, *event] of a run; of large events, the first ones.

    Raises:
      UserError: the file cannot be written.
    """
    arrays = {'mean' if are_means else 'x': x, DATA: data}
    few = {name: _few(array) for name, array in arrays.items() if array is not None}
    files.write_arrays(folder / 'samples' / NAME, few)


def _few(x: np.ndarray) -> np.ndarray:
    return x[: max(1, MAX_VALUES // max(1, x[:1].size))]


def read_samples(folder: pathlib.Path, record: dict[str, Any]) -> SavedSamples | None:
    """Reads the samples that training or `--mode=sample` wrote into the folder of a run.

    Returns None if there are none, or if the data have no pictures. The files may be a stranger's:
    arrays that do not fit the data are left out, which the log says.

    Args:
      folder: of the run.
      record: the content of its config.json.
    """
    path, record = _record_of_samples(folder, record)
    recorded = None if record is None else data_record.read(path, record)
    if recorded is None or view_of(recorded.spec) is None:
        return None
    for path in _paths(folder):
        try:
            x, are_means, data = _arrays(path, recorded.spec)
        except (OSError, UserError, *UNREADABLE) as error:
            log.warning('%s is left out: %s', path, error)
            continue
        fingerprint = (record['data'] or {}).get('test')
        return SavedSamples(recorded.spec, recorded.name, fingerprint, x, are_means, data)
    return None


def _record_of_samples(
    folder: pathlib.Path, record: dict[str, Any]
) -> tuple[pathlib.Path, dict[str, Any] | None]:
    """Returns the config.json that describes the samples of a run: that of a parent, if it has one.

    The content is None if the parent has none that can be read, which the log says.
    """
    if record['parent'] is None:
        return folder / 'config.json', record
    copy = folder / parent_copy.FOLDER
    try:
        return copy / 'config.json', run_folder.load(copy)
    except UserError as error:
        log.warning('the samples of %s are left out: %s', folder, error)
        return copy / 'config.json', None


def _paths(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the files with samples: that of training first, as it has data."""
    inside = folder / 'samples'
    of_modes = sorted(inside.glob('seed-*.npz'), key=lambda path: (len(path.name), path.name))
    return [path for path in (inside / NAME, *of_modes) if path.is_file()]


def _arrays(path: pathlib.Path, spec: Spec) -> tuple[np.ndarray, bool, np.ndarray | None]:
    """Returns (samples, whether they are means, data); of images, the means if there are any."""
    with open_npz(path) as arrays:
        are_means = 'mean' in arrays and (view_of(spec) is IMAGES or 'x' not in arrays)
        x = _checked(arrays, 'mean' if are_means else 'x', spec)
        data = _checked(arrays, DATA, spec) if DATA in arrays else None
    return x, are_means, data


def _checked(arrays, name: str, spec: Spec) -> np.ndarray:
    """Returns an array of finite events.

    Raises:
      UserError: it is something else.
    """
    if name not in arrays:
        raise UserError(f'it has no array {name}')
    x = arrays[name]
    if x.dtype.kind not in 'fiub' or x.ndim == 0 or x.shape[1:] != spec.event_shape:
        raise UserError(f'{name} of shape {list(x.shape)} does not fit the data of the run')
    x = _few(x)
    x = x[np.isfinite(x).reshape(len(x), -1).all(1)]
    if not len(x):
        raise UserError(f'{name} has no finite example')
    return x
