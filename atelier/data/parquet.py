"""Images in parquet files, laid out as on huggingface.co.

    python main.py --config=configs/conv_vae.py:parquet --config.data.path=FOLDER

    FOLDER/train-00000-of-00002.parquet    the name of a file, or of its folder, begins with its
    FOLDER/test-00000-of-00001.parquet     split (train, training, val, testing, ... as those of
                                           folders of images); one file of another name is the
                                           training split

The column `image` (or `img`) holds encoded pictures, as binary or as {bytes, path}, where `path` is
ignored. The column `label` (or `labels`), if there is one, holds whole numbers from 0 on. Columns
that `config.data.condition` chooses hold numbers, labels or words (`atelier.data.conditions`).
Other columns are not read, and are named in the table of the data. Reading needs pyarrow.
"""

import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from atelier.data.classes import declared_classes, with_names
from atelier.data.condition_columns import (
    Columns,
    joined,
    prepared,
    with_condition,
)
from atelier.data.conditions.setting import NONE, chosen
from atelier.data.content import key_of_files
from atelier.data.dataset import Dataset
from atelier.data.decoding import ImageSplit, StoredImage, decoded
from atelier.data.folder_layout import KNOWN
from atelier.data.parquet_table import Table
from atelier.errors import UserError, reading
from atelier.log import counted, listed, log
from atelier.paths import user_path

EXTRA = 'extra'  # of SVHN: neither trained on nor tested
NAME = re.compile(rf'({"|".join(KNOWN)}|{EXTRA})([-_.].*)?', re.IGNORECASE)
DIFFERENT_NAMES = (
    'the descriptions in its files give the classes different names or orders, so equal labels may '
    'be different classes: write all files with one description'
)
SHARD = re.compile(r'(\d{1,6})-of-(\d{1,6})')


class ParquetSplit(NamedTuple):
    """A split: its images as stored, their labels [n] or None, and their condition or None."""

    images: ImageSplit
    label: Int[np.ndarray, 'n'] | None
    class_names: tuple[str, ...]
    unread: tuple[str, ...]  # columns
    condition: Columns | None


def load(
    path: str = '',
    image_shape: tuple[int, ...] = (),
    split_by: str = 'order',
    held_out_share: float = 0.1,
    condition: tuple[str, ...] = (NONE,),
) -> Dataset:
    """Loads the images in the parquet file or the folder of parquet files at `path`.

    Args:
      path: of the file or the folder.
      image_shape: (height, width, 1 or 3) to scale and crop to; empty: images keep their shape.
      split_by: rule that makes missing splits, by the bytes of the stored images or by order.
      held_out_share: of the images, in each split that is made by content.
      condition: what the images are conditional on; see `atelier.data.conditions.setting`.

    Raises:
      UserError: there are no such files, one is damaged, or pyarrow is missing.
    """
    if not path:
        raise UserError('parquet: set config.data.path to a parquet file or a folder of them')
    root = user_path(path).absolute()  # not resolved: a link may have the name of the split
    with reading(root):
        if not root.exists():
            raise UserError(f'config.data.path: {root} does not exist')
        files = find(root)
    if not files:
        raise UserError(f'config.data.path: there is no parquet file in {root}')

    names = chosen(condition)
    parts = read(files, names)
    columns = joined([part.condition for part in parts.values()], root)
    given = prepared(columns, root.name, is_guess=not names)
    num_classes = _num_classes(parts, root)

    def open_splits() -> tuple[dict[str, ImageSplit], int | None]:
        return {split: part.images for split, part in parts.items()}, num_classes

    shape, by_content = tuple(image_shape), split_by == 'content'
    kind = 'parquet-content' if by_content else 'parquet'
    key = '-'.join([kind, *map(str, shape), key_of_files(files)])
    data = decoded(key, open_splits, root.stem, shape, held_out_share if by_content else 0.0)
    unread = sorted({name[:40] for part in parts.values() for name in part.unread})
    notes = (f'columns that are not read: {listed(unread)}',) if unread else ()
    for note in notes:
        log.info('%s: %s', root, note)
    data = data._replace(
        spec=with_names(data.spec, parts['train'].class_names), notes=(*notes, *data.notes)
    )
    return with_condition(data, given)


def find(location: pathlib.Path) -> tuple[pathlib.Path, ...]:
    """Returns the parquet files in a folder, or in the only folder inside it that has some.

    A file is returned alone, or with those beside it if its name says that it is of one split.

    Raises:
      UserError: several folders have some, and they are not splits.
    """
    folder = location.parent if location.is_file() else location
    if location.is_file() and not NAME.fullmatch(location.stem):
        return (location,)
    files = sorted(path for path in folder.glob('*.parquet') if path.is_file())
    if files:
        return tuple(files)
    inside = sorted(path for path in folder.glob('*/*.parquet') if path.is_file())
    folders = sorted({path.parent.name for path in inside})
    if len(folders) > 1 and not {*map(str.lower, folders)} <= {*KNOWN, EXTRA}:
        raise UserError(
            f'{folder} has parquet files in {listed(folders)}: set config.data.path to one of them'
        )
    return tuple(inside)


def read(
    files: Sequence[pathlib.Path], condition: tuple[str, ...] | None = None
) -> dict[str, ParquetSplit]:
    """Returns the splits of parquet files; the images stay encoded until they are needed.

    The condition is chosen as by `setting.chosen`.

    Raises:
      UserError: a file is damaged, has other columns or is missing, or pyarrow is missing.
    """
    parts = {}
    for split, shards in _files_of_splits(files).items():
        tables = [Table(shard, condition) for shard in shards]
        parts[split] = _joined(tables, shards)
    return parts


def read_together(
    files: Sequence[pathlib.Path], condition: tuple[str, ...] | None = None
) -> tuple[ParquetSplit, list[int]]:
    """Returns the rows of all files, one file after the other, and the number of each file's rows.

    Raises:
      UserError: as `read`.
    """
    tables = [Table(file, condition) for file in files]
    return _joined(tables, list(files)), [table.count for table in tables]


def without_labels(images: ImageSplit) -> ImageSplit:
    """Returns the same images without their labels."""
    drop = lambda indices: [image._replace(label=None) for image in images.read(indices)]
    return ImageSplit(images.count, drop)


def _files_of_splits(files: Sequence[pathlib.Path]) -> dict[str, list[pathlib.Path]]:
    """Returns the files of each split, by their names or those of their folders."""
    named: dict[str, list[pathlib.Path]] = {}
    spellings: dict[str, str] = {}  # by split
    for file in files:
        match, folder = NAME.fullmatch(file.stem), file.parent.name.lower()
        named_by_folder = folder in (*KNOWN, EXTRA)
        if match is None and not named_by_folder and len(files) > 1:
            raise UserError(
                f'{file}: its name does not begin with train, valid or test: rename it, or set '
                'config.data.path to one file'
            )
        split = match[1].lower() if match else folder if named_by_folder else 'train'
        if split == EXTRA:
            log.info('%s is not read: it is of no split', file)
            continue
        spelling = spellings.setdefault(KNOWN[split], split)
        if spelling != split:
            raise UserError(
                f'{file}: {split} and {spelling} are names of one split: give its files one of them'
            )
        named.setdefault(KNOWN[split], []).append(file)
    if 'train' not in named:
        raise UserError(f'{files[0].parent} has no parquet file whose name begins with train')
    for split, shards in named.items():
        _check_complete(split, shards)
    return named


def _check_complete(split: str, files: list[pathlib.Path]) -> None:
    """Refuses a part of a split, such as 00000-of-00002 alone."""
    matches = [SHARD.search(file.stem) for file in files]
    if not all(matches):
        return
    present = sorted(int(match[1]) for match in matches)
    counts = {int(match[2]) for match in matches}
    if counts != {len(files)} or present != list(range(len(files))):
        raise UserError(
            f'{files[0].parent} has {", ".join(file.name for file in files[:4])} for the split '
            f'{split!r}: all files of one download are needed, each once'
        )


def _joined(tables: list[Table], files: list[pathlib.Path]) -> ParquetSplit:
    """Returns the rows of all files of a split, one file after the other."""
    if len({table.label is None for table in tables}) > 1:
        raise UserError(f'{files[0].parent}: some parquet files have labels and others have none')
    if len({table.class_names for table in tables}) > 1:
        raise UserError(f'{files[0].parent}: {DIFFERENT_NAMES}')
    sizes = [table.count for table in tables]
    ends = np.cumsum(sizes)  # rows of the split up to the end of each file
    label = None
    if tables[0].label is not None:
        label = np.concatenate([table.label for table in tables])

    def read_images(indices: Sequence[int]) -> list[StoredImage]:
        images = []
        for i in indices:
            which = int(np.searchsorted(ends, i, 'right'))
            row = i - int(ends[which]) + sizes[which]
            name = f'{files[which].name} row {row}'
            value = None if label is None else int(label[i])
            images.append(StoredImage(name, tables[which].image(row), value))
        return images

    images = ImageSplit(sum(sizes), read_images)
    unread = tuple(name for table in tables for name in table.unread)
    condition = _condition(tables, files)
    return ParquetSplit(images, label, tables[0].class_names, unread, condition)


def _condition(tables: list[Table], files: list[pathlib.Path]) -> Columns | None:
    """Returns the condition of the rows of all files; None if they have none."""
    place = lambda file: lambda row: f'{file.name} row {row}'
    each = [Columns(t.condition, place(file)) for t, file in zip(tables, files, strict=True)]
    return joined(each, files[0].parent)


def _num_classes(parts: dict[str, ParquetSplit], root: pathlib.Path) -> int | None:
    """Returns the number of classes, which all splits name alike; None without labels.

    Raises:
      UserError: the splits differ, or the labels are not classes.
    """
    if len({part.label is None for part in parts.values()}) > 1:
        raise UserError(f'{root}: some splits have labels and others have none')
    if parts['train'].label is None or not len(parts['train'].label):  # refused later, as empty
        return None
    labels, names = [part.label for part in parts.values()], parts['train'].class_names
    if any(part.class_names != names for part in parts.values()):
        raise UserError(f'{root}: {DIFFERENT_NAMES}')
    if not names:
        return declared_classes(labels, None, root)[0]
    largest = max(int(label.max(initial=-1)) for label in labels)
    if largest >= len(names):
        raise UserError(
            f'{root}: its description names {counted(len(names), "class")}, but labels go up to '
            f'{largest}: correct one of them'
        )
    return len(names)
