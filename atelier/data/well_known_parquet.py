"""A known set in parquet files of huggingface.co, whose rows have the original order."""

import pathlib

from atelier.data import parquet
from atelier.data.decoding import ImageSplit
from atelier.data.original.known import Known
from atelier.data.original.pictures import check_labels


def find(folder: pathlib.Path, known: Known) -> tuple[pathlib.Path, ...]:
    """Returns the parquet files in the folder, or () if it has none; raises as `parquet.find`."""
    return parquet.find(folder)


def read(files: tuple[pathlib.Path, ...], known: Known) -> dict[str, ImageSplit]:
    """Returns the splits of the files; raises as `parquet.read`, or because of the labels."""
    splits = {}
    for split, part in parquet.read(files).items():
        if known.class_names:
            check_labels(known, split, part.label, part.images.count, files[0].parent)
        splits[split] = part.images if known.class_names else parquet.without_labels(part.images)
    return splits
