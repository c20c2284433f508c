"""Decodes splits of images into a Dataset: on all cores, with a progress bar, and cached."""

import concurrent.futures
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from atelier.data import images
from atelier.data.cache import cached, create_array
from atelier.data.dataset import Dataset, Spec
from atelier.data.origins import ROW, Origins, named
from atelier.data.splits import SPLITS, file_digest, fixed_order, hold_out_by_content
from atelier.errors import UserError, reading
from atelier.log import escaped

CHUNK = 64  # images per task
MAX_CLASSES = 1000  # limit on the number of classes, unless there are more examples


class StoredImage(NamedTuple):
    """One image as stored; the error message gives `name` if the image cannot be used."""

    name: str
    raw: bytes | pathlib.Path
    label: int | None


class ImageSplit(NamedTuple):
    """A split before decoding: `read(indices)` returns the images at these indices."""

    count: int
    read: Callable[[Sequence[int]], list[StoredImage]]


def decoded(
    key: str,
    open_splits: Callable[[], tuple[dict[str, ImageSplit], int | None]],
    name: str,
    image_shape: tuple[int, ...],
    held_out_share: float = 0.0,
    origins: Origins | None = None,
) -> Dataset:
    """Returns the Dataset of the images that `open_splits` finds, decoded now or cached before.

    Args:
      key: key of the cache entry.
      open_splits: returns the splits and the number of classes (None without labels).
      name: name of the data set.
      image_shape: (height, width, channels) to scale and crop to; empty: images keep their shape,
        which must be the same for all.
      held_out_share: fraction of the images in each split that is made by the content of their
        files; 0: no split is made.
      origins: names of the stored images, in the order of the splits that `open_splits` returns; by
        default the name and the split.

    Raises:
      UserError: names the first image, the split or the setting that cannot be used.
    """
    if image_shape and not (
        len(image_shape) == 3
        and all(isinstance(size, int) and size >= 1 for size in image_shape)
        and image_shape[2] in (1, 3)
        and image_shape[0] * image_shape[1] <= images.MAX_PIXELS
    ):
        raise UserError(
            f'config.data.image_shape={image_shape}: it must be height,width,1 or height,width,3'
        )

    def build(folder: pathlib.Path) -> dict[str, Any]:
        splits, num_classes = open_splits()
        shape, first = image_shape, 0
        sizes = {f'{name} {split}': part.count for split, part in splits.items()}
        for split, image_split in splits.items():
            if not image_split.count:
                raise UserError(f'the split {split!r} of {name} is empty')
            shape = shape or images.shape_of(*image_split.read([0])[0][:2])
            order = fixed_order(image_split.count)
            if held_out_share:
                order = _order_by_content(folder, split, image_split, f'reading {name} {split}')
            _decode(folder, split, image_split, order, shape, bool(image_shape), f'{name} {split}')
            create_array(folder, f'{split}-{ROW}', order.shape, np.int64)[:] = first + order
            first += image_split.count
        return {'image_shape': shape, 'num_classes': num_classes, 'sizes': sizes}

    metadata, arrays = cached(key, build)
    digests = {split: arrays.pop(f'{split}-digest', None) for split in SPLITS}
    _check_classes(name, metadata['num_classes'] or 0, arrays)
    splits = {}
    for array_name, array in arrays.items():
        split, kind = array_name.split('-')
        if kind in ('x', ROW) or metadata['num_classes']:
            splits.setdefault(split, {})[kind] = array
    shape = tuple(metadata['image_shape'])
    description = f'{name}, {"x".join(map(str, shape))} with {images.LEVELS} levels'
    spec = Spec(shape, images.LEVELS, metadata['num_classes'])
    sizes = metadata.get('sizes')  # caches of earlier versions have none
    origins = origins or (named([*sizes], [*sizes.values()]) if sizes else None)
    data = Dataset(name, spec, splits, description, origins=origins)
    if not held_out_share:
        return data
    splits, split_rule = hold_out_by_content(splits, digests['train'], held_out_share)
    return data._replace(splits=splits, split_rule=split_rule)


def _check_classes(name: str, num_classes: int, arrays: dict[str, np.ndarray]) -> None:
    """Refuses too many classes for the examples: their number sets the size of parts of a model."""
    num_examples = sum(len(array) for name, array in arrays.items() if name.endswith('-x'))
    if num_classes > max(MAX_CLASSES, num_examples):
        raise UserError(
            f'{name} declares {num_classes:,} classes and has {num_examples:,} examples: correct '
            'the number of classes in its metadata'
        )


def _decode(
    folder: pathlib.Path,
    split: str,
    image_split: ImageSplit,
    order: np.ndarray,
    shape: tuple[int, int, int],
    resize: bool,
    title: str,
) -> None:
    """Writes 'SPLIT-x' and 'SPLIT-label' into `folder`, in the order of these indices."""
    n, order = image_split.count, order.tolist()
    x = create_array(folder, f'{split}-x', (n, *shape), np.uint8)
    labels = create_array(folder, f'{split}-label', (n,), np.int32)

    def decode_chunk(start: int) -> int:
        rows = range(start, min(start + CHUNK, n))
        for row, image in zip(rows, image_split.read([order[row] for row in rows]), strict=True):
            x[row] = images.decode(image.name, image.raw, shape, resize)
            labels[row] = -1 if image.label is None else image.label
        return len(rows)

    _in_chunks(decode_chunk, n, f'decoding {title}')


def _order_by_content(
    folder: pathlib.Path, split: str, image_split: ImageSplit, title: str
) -> np.ndarray:
    """Returns the order of the digests of the stored images; writes them as 'SPLIT-digest'.

    The bytes of a file are compared, not its pixels: another version of a decoder may round pixels
    differently, and `image_shape` changes them.
    """
    n = image_split.count
    digests = np.empty(n, np.uint64)

    def digest_chunk(start: int) -> int:
        rows = range(start, min(start + CHUNK, n))
        for row, image in zip(rows, image_split.read(rows), strict=True):
            with reading(image.name):
                digests[row] = file_digest(image.raw)
        return len(rows)

    _in_chunks(digest_chunk, n, title)
    order = np.argsort(digests, kind='stable')
    create_array(folder, f'{split}-digest', (n,), np.uint64)[:] = digests[order]
    return order


def _in_chunks(process: Callable[[int], int], n: int, title: str) -> None:
    """Calls process(start), which returns how many images it did, on all cores, with a bar."""
    pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
    try:
        with tqdm(total=n, desc=escaped(title), unit='image', dynamic_ncols=True) as bar:
            for done in pool.map(process, range(0, n, CHUNK)):
                bar.update(done)
    finally:
        pool.shutdown(cancel_futures=True)
