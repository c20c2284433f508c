"""Per-example values of an evaluation, stored beside it for paired comparison of runs.

The choice of examples changes a model's mean over a test split far more than it changes the
difference between two models on the same examples.
"""

import math
import pathlib

import numpy as np
from jaxtyping import Float

from atelier import files
from atelier.data.npz_files import check_members
from atelier.log import log

NAME = 'evaluation.npz'
ORIGINS = ('file', 'row')  # arrays of the file that are no values


def write_values(
    path: pathlib.Path,
    values: dict[str, Float[np.ndarray, 'n']],
    origins: dict[str, np.ndarray] | None = None,
) -> str | None:
    """Writes all per-example values, in float32, to an .npz; returns the checksum of the file.

    Args:
      path: of the file.
      values: by metric.
      origins: the 'file' [n] and the 'row' [n] of each example, written too.

    Raises:
      UserError: the file cannot be written.
    """
    rounded = {name: value.astype(np.float32) for name, value in values.items()}
    files.write_arrays(path, {**(origins or {}), **rounded})
    return files.checksum_of(path)


def read_values(
    folder: pathlib.Path, means: dict[str, float | None], checksum: str | None = None
) -> dict[str, np.ndarray]:
    """Returns the stored values whose means match `means` (those of evaluation.json), in float64.

    A file of another evaluation has other means and another `checksum`, for example if a process
    was stopped between writing this file and evaluation.json. It is left out, as is an unreadable
    file, and reported in the log if the evaluation has a checksum.
    """
    path = folder / NAME
    advice = f'--mode=evaluate --workdir={folder} writes it again'
    if not path.exists():
        return {}
    if checksum is not None and files.checksum_of(path) != checksum:
        log.warning('%s has changed since the evaluation: %s', path, advice)
        return {}
    try:
        check_members(path)
        with np.load(path) as stored:
            names = [name for name in stored.files if name not in ORIGINS]
            values = {name: np.asarray(stored[name], np.float64) for name in names}
    except Exception as error:  # damage raises a dozen kinds of errors, from zipfile to zlib
        log.warning('%s cannot be read (%s): %s', path, type(error).__name__, advice)
        return {}
    matches = lambda name: math.isclose(
        values[name].mean(), means[name], rel_tol=1e-5, abs_tol=1e-5
    )
    return {name: values[name] for name in values if means.get(name) is not None and matches(name)}
