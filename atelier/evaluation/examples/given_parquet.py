"""Images in parquet files in place of a run's test split."""

import pathlib

import numpy as np

from atelier.data import parquet
from atelier.data.origins import Origins, named
from atelier.evaluation.examples import given_conditions
from atelier.evaluation.examples.given_labels import check_class_names, checked_labels
from atelier.evaluation.examples.given_pictures import of_images
from atelier.run.experiment import Run

MAGIC = b'PAR1'


def files_at(path: pathlib.Path) -> tuple[pathlib.Path, ...]:
    """Returns the parquet file at `path`, or those in the folder; () if there are none."""
    if path.is_dir():
        return tuple(sorted(each for each in path.glob('*.parquet') if each.is_file()))
    if not path.is_file():
        return ()
    with path.open('rb') as file:
        return (path,) if file.read(len(MAGIC)) == MAGIC else ()


def of_files(
    run: Run, files: tuple[pathlib.Path, ...], name: str
) -> tuple[dict[str, np.ndarray], Origins]:
    """Reads the images of parquet files, one file after the other, whatever their splits.

    Returns x [n, *event] and, if the files and the run have them, label [n] and condition
    [n, columns]; and the file and row of each.

    Raises:
      UserError: a file is damaged or has no images, or its classes or its condition are not those
        of the run.
    """
    names = given_conditions.names_of(run)
    part, sizes = given_conditions.where_needed(
        run, lambda: parquet.read_together(files, names), lambda: parquet.read_together(files)
    )
    condition = given_conditions.of_columns(run, part.condition)
    split = {'x': of_images(run, part.images, name), **condition}
    if part.label is not None and run.data.spec.num_classes is not None:
        check_class_names(run, part.class_names)
        split['label'] = checked_labels(run, part.label, part.images.count)
    return split, named([file.name for file in files], sizes)
