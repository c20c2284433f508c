"""What an evaluation says of each example, kept beside it, so that two runs can be paired.

The mean over a test split varies with its examples far more than the difference of two models on
the same examples does.
"""

import math
import pathlib

import numpy as np
from jaxtyping import Float

from atelier.log import log
from atelier.run import run_folder

NAME = 'evaluation.npz'


def write_values(folder: pathlib.Path, values: dict[str, Float[np.ndarray, 'n']]) -> None:
    """Keeps every number about every example, in float32.

    Raises:
      UserError: it cannot be written.
    """
    rounded = {name: value.astype(np.float32) for name, value in values.items()}
    run_folder.write_arrays(folder / NAME, rounded)


def read_values(folder: pathlib.Path, means: dict[str, float | None]) -> dict[str, np.ndarray]:
    """The numbers whose means are these, in float64; those that are not there are left out.

    A file of another evaluation, such as of a run that was stopped between the two files, has other
    means: it is as good as none. One that cannot be read is told in the log.
    """
    path = folder / NAME
    if not path.exists():
        return {}
    try:
        with np.load(path) as stored:
            found = {name: np.asarray(stored[name], np.float64) for name in stored.files}
    except Exception as error:  # damage shows as any of a dozen kinds, from zipfile to zlib
        again = f'--mode=evaluate --workdir={folder} makes it again'
        log.warning('%s cannot be read (%s): %s', path, type(error).__name__, again)
        return {}
    fits = lambda name: math.isclose(found[name].mean(), means[name], rel_tol=1e-5, abs_tol=1e-5)
    return {name: found[name] for name in found if means.get(name) is not None and fits(name)}
