"""Results by example as a .csv: one line an example, with the file and row that it came from."""

import csv
import io
import pathlib

import numpy as np

from atelier import files


def write(path: pathlib.Path, columns: dict[str, np.ndarray]) -> None:
    """Writes arrays [n] and [n, k] as columns; those of NAME [n, k] are NAME_0, NAME_1, ...

    A value that is not finite is an empty cell.

    Raises:
      UserError: the file cannot be written.
    """
    names, cells = [], []
    for name, array in columns.items():
        flat = np.asarray(array).reshape(len(array), -1)
        names += [name] if np.ndim(array) == 1 else [f'{name}_{i}' for i in range(flat.shape[1])]
        cells += list(flat.T)
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(names)
    rows = zip(*(column.tolist() for column in cells), strict=True)
    writer.writerows(map(_written, row) for row in rows)
    files.write_text(path, text.getvalue())


def _written(value: object) -> object:
    """Returns a float with the nine digits that float32 has; '' if it is not finite."""
    if not isinstance(value, float):
        return value
    return f'{value:.9g}' if np.isfinite(value) else ''
