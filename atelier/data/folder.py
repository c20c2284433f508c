"""A folder of your own images; its sub-folders are the labels.

    python main.py --config=configs/conv_vae.py:folder --config.data.path=pictures \\
        --config.data.image_shape=64,64,3

    pictures/cat/1.png, pictures/dog/2.jpg    labelled by sub-folder, in alphabetical order
    pictures/1.png, pictures/2.jpg            without labels
    pictures/train/..., pictures/test/...     your own splits (train, valid, test), each as above
"""

import os
import pathlib
import zlib
from collections.abc import Sequence

from atelier.data.dataset import Dataset
from atelier.data.decoding import ImageSplit, StoredImage, decoded
from atelier.data.origins import named
from atelier.errors import UserError, reading
from atelier.paths import user_path

SUFFIXES = {'.png', '.jpg', '.jpeg', '.bmp', '.gif', '.webp', '.tif', '.tiff', '.ppm', '.pgm'}
SPLITS = {
    'train': 'train',
    'valid': 'valid',
    'validation': 'valid',
    'val': 'valid',
    'test': 'test',
}


def load(
    path: str = '',
    image_shape: tuple[int, ...] = (),
    split_by: str = 'order',
    held_out_share: float = 0.1,
) -> Dataset:
    """Loads the images below `path`, decoded once and cached until one of them changes.

    Args:
      path: the folder.
      image_shape: (height, width, 1 or 3): each image's largest centred crop of this aspect ratio
        is scaled to it. Empty: images keep their shape, which must be the same for all.
      split_by: 'content': missing splits are made by the digests of the files, and the images are
        sorted by them. 'order': they are in the fixed random order, and no split is made.
      held_out_share: of the images, in each split that is made by content.

    Raises:
      UserError: there are no images, or one of them cannot be used.
    """
    if not path:
        raise UserError('folder: set config.data.path to a folder of images')
    root = user_path(path).resolve()
    with reading(root):
        if not root.is_dir():
            raise UserError(f'config.data.path: there is no folder {root}')
        bases = _splits(root)
        split_files = {split: _below(base) for split, base in bases.items()}
    for split, files in split_files.items():
        if not files:
            raise UserError(f'{bases[split]} has no images ({", ".join(sorted(SUFFIXES))})')
    labelled = {split: _labels(bases[split], files) for split, files in split_files.items()}
    classes = sorted({name for names in labelled.values() for name in names if name is not None})
    for split, names in labelled.items():
        if classes and None in names:
            raise UserError(
                f'{split_files[split][0]} is in no sub-folder, unlike those of other splits: '
                'move it into one'
            )

    def open_splits():
        class_index = {name: index for index, name in enumerate(classes)}
        splits = {
            split: _image_split(files, [class_index.get(name) for name in labelled[split]])
            for split, files in split_files.items()
        }
        return splits, len(classes) or None

    shape = tuple(image_shape)
    by_content = split_by == 'content'
    kind = 'folder-content' if by_content else 'folder'
    key = '-'.join([kind, *map(str, shape), f'{_fingerprint(root, split_files):08x}'])
    share = held_out_share if by_content else 0.0
    files = [str(file.relative_to(root)) for paths in split_files.values() for file in paths]
    return decoded(key, open_splits, root.name, shape, share, named(files))


def _splits(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns the folder of each existing split."""
    folders = sorted(path.name for path in root.iterdir() if path.is_dir() and path.name[0] != '.')
    named = [name for name in folders if name.lower() in SPLITS]
    if len(named) < 2 and [name.lower() for name in folders] != ['train']:
        return {'train': root}  # the folders are labels
    splits = [SPLITS[name.lower()] for name in named]
    if set(named) != set(folders) or len(set(splits)) < len(splits) or 'train' not in splits:
        raise UserError(
            f'{root} has {", ".join(folders)}: splits are train, valid and test, each once, '
            'with train always there and no other folder beside them'
        )
    beside = sorted(path for path in root.iterdir() if path.suffix.lower() in SUFFIXES)
    if beside:
        raise UserError(f'{beside[0]} lies beside the folder of the training images: move it')
    return dict(zip(splits, (root / name for name in named), strict=True))


def _below(base: pathlib.Path) -> list[pathlib.Path]:
    """Returns all images below `base`, following links but visiting each folder once."""
    files, visited = [], set()
    for name, folders, names in os.walk(base, followlinks=True):
        folder = pathlib.Path(name)
        if folder.resolve() in visited:
            folders.clear()
            continue
        visited.add(folder.resolve())
        folders[:] = sorted(below for below in folders if not below.startswith('.'))
        paths = [folder / name for name in names if not name.startswith('.')]
        files += [path for path in paths if path.suffix.lower() in SUFFIXES and path.is_file()]
    return sorted(files)


def _labels(base: pathlib.Path, files: list[pathlib.Path]) -> list[str | None]:
    """Returns the sub-folder of each file; either all or none have one."""
    parts = [path.relative_to(base).parts for path in files]
    names = [part[0] if len(part) > 1 else None for part in parts]
    if None in names and set(names) != {None}:
        stray = files[names.index(None)]
        raise UserError(
            f'{stray} lies beside sub-folders, which are labels: move it into one of them'
        )
    return names


def _image_split(files: list[pathlib.Path], labels: list[int | None]) -> ImageSplit:
    def read(indices: Sequence[int]) -> list[StoredImage]:
        return [StoredImage(str(files[i]), files[i], labels[i]) for i in indices]

    return ImageSplit(len(files), read)


def _fingerprint(root: pathlib.Path, split_files: dict[str, list[pathlib.Path]]) -> int:
    """Returns a checksum of file names, sizes and modification times."""
    total = 0
    for files in split_files.values():
        for path in files:
            stat = path.stat()
            line = f'{path.relative_to(root)} {stat.st_size} {stat.st_mtime_ns}'
            total = zlib.crc32(line.encode(errors='surrogateescape'), total)
    return total
