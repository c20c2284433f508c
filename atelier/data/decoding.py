"""Decodes splits of images into a Dataset: on all cores, with a progress bar, and cached."""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from atelier.data import images, inspection
from atelier.data.cache import cached, create_array
from atelier.data.dataset import Dataset, Spec
from atelier.data.inspection import ImageSplit, StoredImage
from atelier.data.origins import ROW, Origins, named
from atelier.data.splits import SPLITS, Digests, fixed_order, hold_out_by_content
from atelier.errors import UserError

__all__ = ['ImageSplit', 'StoredImage', 'decoded']
MAX_CLASSES = 1000  # limit on the number of classes, unless there are more examples


def decoded(
    key: str,
    open_splits: Callable[[], tuple[dict[str, ImageSplit], int | None]],
    name: str,
    image_shape: tuple[int, ...],
    held_out_share: float = 0.0,
    strict: bool = False,
    origins: Origins | None = None,
) -> Dataset:
    """Returns the Dataset of the images that `open_splits` finds, decoded now or cached before.

    Args:
      key: key of the cache entry.
      open_splits: returns the splits and the number of classes (None without labels).
      name: name of the data set.
      image_shape: (height, width, channels) to scale and crop to; empty: images keep their size,
        which must be the same for all, and get the channels of most of them.
      held_out_share: fraction of the images in each split that is made by the content of their
        files; 0: no split is made.
      strict: whether images that would be converted are refused.
      origins: names of the stored images, in the order of the splits that `open_splits` returns; by
        default the name and the split.

    Raises:
      UserError: names the images, the split or the setting that cannot be used.
    """
    _check_shape(image_shape)

    def build(folder: pathlib.Path) -> dict[str, Any]:
        splits, num_classes = open_splits()
        for split, image_split in splits.items():
            if not image_split.count:
                raise UserError(f'the split {split!r} of {name} is empty')
        inspected = inspection.inspect(splits, name, not image_shape, bool(held_out_share))
        shape = image_shape or inspection.common_shape(splits, inspected)
        changes, problems, first = inspection.Changes(), inspection.Problems(), 0
        for split, image_split in splits.items():
            order = fixed_order(image_split.count)
            if held_out_share:
                order = _order_by_content(folder, split, inspected[split].digests)
            decode = functools.partial(images.picture, shape=shape, resize=bool(image_shape))
            _decode(folder, split, image_split, order, shape, decode, name, changes, problems)
            create_array(folder, f'{split}-{ROW}', order.shape, np.int64)[:] = first + order
            first += image_split.count
        problems.refuse()
        return {
            'image_shape': shape,
            'num_classes': num_classes,
            'changes': changes.metadata(),
            'sizes': {f'{name} {split}': each.count for split, each in splits.items()},
        }

    metadata, arrays = cached(key, build)
    notes = inspection.say_changes(name, metadata['changes'], open_splits if strict else None)
    sizes = metadata['sizes']
    origins = origins or named([*sizes], [*sizes.values()])
    data = _dataset(name, metadata, arrays, held_out_share)
    return data._replace(origins=origins, notes=notes)


def _check_shape(image_shape: tuple[int, ...]) -> None:
    if image_shape and not (
        len(image_shape) == 3
        and all(isinstance(size, int) and size >= 1 for size in image_shape)
        and image_shape[2] in (1, 3)
        and image_shape[0] * image_shape[1] <= images.MAX_PIXELS
    ):
        raise UserError(
            f'config.data.image_shape={image_shape}: it must be height,width,1 or height,width,3'
        )


def _dataset(
    name: str, metadata: dict[str, Any], arrays: dict[str, np.ndarray], held_out_share: float
) -> Dataset:
    """Returns the Dataset of a cache entry, in which missing splits are made."""
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
    data = Dataset(name, spec, splits, description)
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
    decode: Callable[[str, bytes | pathlib.Path], images.Picture],
    name: str,
    changes: inspection.Changes,
    problems: inspection.Problems,
) -> None:
    """Writes 'SPLIT-x' and 'SPLIT-label' into `folder`, in the order of these indices.

    What is converted is counted in `changes`; what cannot be used is added to `problems`.
    """
    n, order = image_split.count, order.tolist()
    x = create_array(folder, f'{split}-x', (n, *shape), np.uint8)
    labels = create_array(folder, f'{split}-label', (n,), np.int32)

    def decode_chunk(start: int) -> int:
        rows = range(start, min(start + inspection.CHUNK, n))
        for row, image in zip(rows, image_split.read([order[row] for row in rows]), strict=True):
            with problems.noted(split, order[row]):
                x[row], found = decode(image.name, image.raw)
                changes.add(found, split, order[row])
            labels[row] = -1 if image.label is None else image.label
        return len(rows)

    inspection.in_chunks(decode_chunk, n, f'decoding {name} {split}')


def _order_by_content(folder: pathlib.Path, split: str, digests: Digests) -> np.ndarray:
    """Returns the order of the digests of stored images; writes them as 'SPLIT-digest'."""
    order = np.argsort(digests, kind='stable')
    create_array(folder, f'{split}-digest', digests.shape, np.uint64)[:] = digests[order]
    return order
