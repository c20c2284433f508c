"""Looks at stored images before and while they are decoded: shapes, conversions, damage."""

import collections
import concurrent.futures
import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from atelier.data import images
from atelier.data.splits import Digests, file_digest
from atelier.errors import UserError, reading
from atelier.log import counted, escaped, log

CHUNK = 64  # images per task
MAX_NAMED = 10  # unusable images that an error message names


class StoredImage(NamedTuple):
    """One image as stored; the error message gives `name` if the image cannot be used."""

    name: str
    raw: bytes | pathlib.Path
    label: int | None


class ImageSplit(NamedTuple):
    """A split before decoding: `read(indices)` returns the images at these indices."""

    count: int
    read: Callable[[Sequence[int]], list[StoredImage]]


class Inspected(NamedTuple):
    """What is known of the images of a split before they are decoded.

    shapes: int [n, 3], height, width and channels; all 0 if they are not needed.
    digests: of the stored bytes; all 0 if they are not needed.
    """

    shapes: np.ndarray
    digests: Digests


class Problems:
    """Collects the images that cannot be used, so that one message names them."""

    def __init__(self):
        self._found: list[tuple[str, int, str]] = []

    @contextlib.contextmanager
    def noted(self, split: str, index: int) -> Iterator[None]:
        """Notes a UserError about the image at this index of the split, and goes on."""
        try:
            yield
        except UserError as error:
            self._found.append((split, index, str(error)))

    def refuse(self) -> None:
        """Raises UserError if an image cannot be used: names the first ones, with the reasons."""
        if not self._found:
            return
        reasons = [reason for _, _, reason in sorted(self._found)]
        if len(reasons) == 1:
            raise UserError(reasons[0])
        more = f'; and {len(reasons) - MAX_NAMED:,} more' if len(reasons) > MAX_NAMED else ''
        raise UserError(
            f'{counted(len(reasons), "picture")} cannot be used: '
            f'{"; ".join(reasons[:MAX_NAMED])}{more}'
        )


class Changes:
    """Counts conversions of images, by kind."""

    def __init__(self):
        self._found: list[tuple[str, str, int]] = []

    def add(self, kinds: Sequence[str], split: str, index: int) -> None:
        """Adds the conversions of the image at this index of the split."""
        self._found += [(kind, split, index) for kind in kinds]

    def metadata(self) -> dict[str, list]:
        """Returns [number of images, split, index of the first one] by kind of conversion."""
        counts, first = collections.Counter(), {}
        for kind, split, index in sorted(self._found):
            counts[kind] += 1
            first.setdefault(kind, (split, index))
        return {kind: [count, *first[kind]] for kind, count in counts.items()}


def say_changes(
    name: str,
    changes: Mapping[str, Sequence],
    open_splits: Callable[[], tuple[dict[str, ImageSplit], Any]] | None = None,
) -> tuple[str, ...]:
    """Logs in one line how many images were converted, and how; returns the line, if any.

    Args:
      name: of the data set.
      changes: as `Changes.metadata` returns them.
      open_splits: given if conversions are refused, to name an image.

    Raises:
      UserError: conversions are refused, and there is one.
    """
    if not changes:
        return ()
    if open_splits is not None:
        kind, (count, split, index) = next(iter(changes.items()))
        image = open_splits()[0][split].read([index])[0]
        raise UserError(
            f'{image.name} is {kind.partition(" (")[0]}, as {counted(count, "picture")} of {name}, '
            'and config.data.strict=True: convert or remove it, or set config.data.strict=False'
        )
    kinds = ', '.join(f'{count:,} {kind}' for kind, (count, *_) in changes.items())
    note = f'pictures were converted: {kinds}'
    log.info('%s: %s', name, note)
    return (note,)


def inspect(
    splits: Mapping[str, ImageSplit], name: str, needs_shapes: bool, needs_digests: bool
) -> dict[str, Inspected]:
    """Reads what is needed of the stored images, each once.

    The bytes of a file make its digest, not its pixels: another version of a decoder may round
    pixels differently, and `image_shape` changes them.

    Raises:
      UserError: names the images that cannot be read.
    """
    inspected = {
        split: Inspected(np.zeros((s.count, 3), np.int32), np.zeros(s.count, np.uint64))
        for split, s in splits.items()
    }
    if not needs_shapes and not needs_digests:
        return inspected
    problems = Problems()
    for split, image_split in splits.items():
        shapes, digests = inspected[split]

        def inspect_chunk(start: int, split=split, shapes=shapes, digests=digests) -> int:
            rows = range(start, min(start + CHUNK, len(shapes)))
            for row, image in zip(rows, splits[split].read(rows), strict=True):
                raw = image.raw
                with problems.noted(split, row), reading(image.name):
                    if needs_digests and needs_shapes and isinstance(raw, pathlib.Path):
                        raw = raw.read_bytes()
                    if needs_digests:
                        digests[row] = file_digest(raw)
                    if needs_shapes:
                        shapes[row] = images.shape_of(image.name, raw)
            return len(rows)

        in_chunks(inspect_chunk, image_split.count, f'reading {name} {split}')
    problems.refuse()
    return inspected


def common_shape(
    splits: Mapping[str, ImageSplit], inspected: Mapping[str, Inspected]
) -> tuple[int, int, int]:
    """Returns the size of all images, and the channels of most of them (colour if equally many).

    Raises:
      UserError: the images have several sizes; names one.
    """
    sizes, channels = collections.Counter(), collections.Counter()
    for each in inspected.values():
        sizes.update(map(tuple, each.shapes[:, :2].tolist()))
        channels.update(each.shapes[:, 2].tolist())
    (height, width), usual = sizes.most_common(1)[0]
    most = max((count, number) for number, count in channels.items())[1]
    if len(sizes) == 1:
        return height, width, most
    split, index = next(
        (split, int(index))
        for split, each in inspected.items()
        for index in np.flatnonzero((each.shapes[:, :2] != (height, width)).any(1))[:1]
    )
    image, size = splits[split].read([index])[0], inspected[split].shapes[index, :2]
    raise UserError(
        f'{image.name} is {"x".join(map(str, size))} and others are '
        f'{height}x{width} ({sizes.total() - usual:,} of {sizes.total():,} pictures have another '
        f'size): set config.data.image_shape={height},{width},{most} to scale all to one shape'
    )


def in_chunks(process: Callable[[int], int], n: int, title: str) -> None:
    """Calls process(start), which returns how many images it did, on all cores, with a bar."""
    pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
    try:
        with tqdm(total=n, desc=escaped(title), unit='image', dynamic_ncols=True) as bar:
            for done in pool.map(process, range(0, n, CHUNK)):
                bar.update(done)
    finally:
        pool.shutdown(cancel_futures=True)
