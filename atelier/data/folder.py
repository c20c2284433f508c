"""A folder of your own images; its sub-folders are the labels.

    python main.py --config=configs/conv_vae.py:folder --config.data.path=pictures \\
        --config.data.image_shape=64,64,3

    pictures/cat/1.png, pictures/dog/2.jpg    labelled by sub-folder, in natural order (2 before 10)
    pictures/1.png, pictures/2.jpg            without labels
    pictures/train/..., pictures/test/...     your own splits (train, valid, test), each as above

Other names of splits, and names that may be splits or labels: `atelier.data.folder_layout`.
"""

import os
import pathlib
import zlib
from collections.abc import Sequence

from atelier.data import folder_layout
from atelier.data.classes import stored_names
from atelier.data.dataset import Dataset
from atelier.data.decoding import ImageSplit, StoredImage, decoded
from atelier.data.origins import named
from atelier.errors import UserError, reading
from atelier.log import counted, log
from atelier.paths import user_path

SUFFIXES = {'.png', '.jpg', '.jpeg', '.bmp', '.gif', '.webp', '.tif', '.tiff', '.ppm', '.pgm'}


def load(
    path: str = '',
    image_shape: tuple[int, ...] = (),
    split_by: str = 'order',
    held_out_share: float = 0.1,
    splits: str = 'auto',
    classes: str = 'trained',
) -> Dataset:
    """Loads the images below `path`, decoded once and cached until one of them changes.

    Args:
      path: the folder.
      image_shape: (height, width, 1 or 3): each image's largest centred crop of this aspect ratio
        is scaled to it. Empty: images keep their shape, which must be the same for all.
      split_by: 'content': missing splits are made by the digests of the files, and the images are
        sorted by them. 'order': they are in the fixed random order, and no split is made.
      held_out_share: of the images, in each split that is made by content.
      splits: which sub-folders are splits; see `atelier.data.folder_layout`.
      classes: 'trained': classes are in natural order and have names. 'declared': they are in
        alphabetical order and have none.

    Raises:
      UserError: there are no images, or one of them cannot be used.
    """
    if not path:
        raise UserError('folder: set config.data.path to a folder of images')
    root = user_path(path).resolve()
    with reading(root):
        if not root.is_dir():
            raise UserError(f'config.data.path: there is no folder {root}')
        bases = folder_layout.splits_of(root, splits)
        folder_layout.refuse_beside(root, bases, SUFFIXES)
        split_files = {split: _below(base) for split, base in bases.items()}
    for split, files in split_files.items():
        if not files:
            raise UserError(f'{bases[split]} has no images ({", ".join(sorted(SUFFIXES))})')
    if splits == 'auto':
        folder_layout.refuse_deeper(bases, split_files)
    labelled = {
        split: folder_layout.labels_of(bases[split], files) for split, files in split_files.items()
    }
    is_natural = classes == 'trained'
    names = folder_layout.classes_of(labelled, is_natural, root)
    for split, of_split in labelled.items():
        if names and None in of_split:
            raise UserError(
                f'{split_files[split][0]} is in no sub-folder, unlike those of other splits: '
                'move it into one'
            )

    def open_splits():
        class_index = {name: index for index, name in enumerate(names)}
        image_splits = {
            split: _image_split(files, [class_index.get(name) for name in labelled[split]])
            for split, files in split_files.items()
        }
        return image_splits, len(names) or None

    shape = tuple(image_shape)
    by_content = split_by == 'content'
    kind = 'folder-content' if by_content else 'folder'
    key = '-'.join([kind, *map(str, shape), f'{_fingerprint(root, split_files):08x}'])
    if is_natural or splits != 'exact':  # the same files with other labels
        key = f'{key}-{_layout_checksum(split_files, names):08x}'
    share = held_out_share if by_content else 0.0
    files = [str(file.relative_to(root)) for paths in split_files.values() for file in paths]
    data = decoded(key, open_splits, root.name, shape, share, named(files))
    return data._replace(
        spec=data.spec._replace(class_names=stored_names(names) if is_natural else ())
    )


def _below(base: pathlib.Path) -> list[pathlib.Path]:
    """Returns all images below `base`, following links but visiting each folder once.

    Whatever has the name of an image but is no file, such as a pipe or a broken link, is reported.
    """
    files, others, visited = [], [], set()
    for name, folders, names in os.walk(base, followlinks=True):
        folder = pathlib.Path(name)
        if folder.resolve() in visited:
            folders.clear()
            continue
        visited.add(folder.resolve())
        folders[:] = sorted(below for below in folders if not below.startswith('.'))
        paths = [folder / name for name in names if not name.startswith('.')]
        named = [*paths, *(folder / below for below in folders)]
        images = [path for path in named if path.suffix.lower() in SUFFIXES]
        files += [path for path in images if path.is_file()]
        others += [path for path in images if not path.is_file()]
    if others:
        number = counted(len(others), 'name')
        log.warning('%s of images without a regular file left out: %s, ...', number, min(others))
    return sorted(files)


def _image_split(files: list[pathlib.Path], labels: list[int | None]) -> ImageSplit:
    def read(indices: Sequence[int]) -> list[StoredImage]:
        return [StoredImage(str(files[i]), files[i], labels[i]) for i in indices]

    return ImageSplit(len(files), read)


def _layout_checksum(split_files: dict[str, list[pathlib.Path]], names: list[str]) -> int:
    """Returns a checksum of the splits and of the classes in their order."""
    sizes = [f'{split} {len(files)}' for split, files in split_files.items()]
    return zlib.crc32('\n'.join([*sizes, *names]).encode(errors='surrogateescape'))


def _fingerprint(root: pathlib.Path, split_files: dict[str, list[pathlib.Path]]) -> int:
    """Returns a checksum of file names, sizes and modification times."""
    total = 0
    for files in split_files.values():
        for path in files:
            stat = path.stat()
            line = f'{path.relative_to(root)} {stat.st_size} {stat.st_mtime_ns}'
            total = zlib.crc32(line.encode(errors='surrogateescape'), total)
    return total
