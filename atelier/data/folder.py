"""A folder of your own images; its sub-folders are the labels.

    python main.py --config=configs/conv_vae.py:folder --config.data.path=pictures \\
        --config.data.image_shape=64,64,3

    pictures/cat/1.png, pictures/dog/2.jpg    labelled by sub-folder, in alphabetical order
    pictures/1.png, pictures/2.jpg            without labels
    pictures/train/..., pictures/test/...     your own splits (train, valid, test), each as above
"""

import pathlib
import sys
from collections.abc import Sequence

from atelier.data import content, picture_files
from atelier.data.dataset import Dataset
from atelier.data.decoding import ImageSplit, StoredImage, decoded
from atelier.data.picture_files import SUFFIXES
from atelier.errors import UserError, reading
from atelier.paths import user_path

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
    strict: bool = False,
    verify: str = 'content',
) -> Dataset:
    """Loads the images below `path`, decoded once and cached until one of them changes.

    Args:
      path: the folder.
      image_shape: (height, width, 1 or 3): each image's largest centred crop of this aspect ratio
        is scaled to it. Empty: images keep their size, which must be the same for all, and have the
        channels of most of them.
      split_by: 'content': missing splits are made by the digests of the files, and the images are
        sorted by them. 'order': they are in the fixed random order, and no split is made.
      held_out_share: of the images, in each split that is made by content.
      strict: whether files that are no pictures, and pictures that would be converted, are refused.
      verify: how changes are noticed: 'content' or 'times' (`content.key_of`).

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
        found = {split: picture_files.below(base) for split, base in bases.items()}
    split_files = {split: each.pictures for split, each in found.items()}
    for split, files in split_files.items():
        if not files:
            raise UserError(f'{bases[split]} has no images ({", ".join(sorted(SUFFIXES))})')
    picture_files.say_passed_over(root, found.values(), strict)
    labelled = {split: _labels(bases[split], files) for split, files in split_files.items()}
    classes = sorted({name for names in labelled.values() for name in names if name is not None})
    for split, names in labelled.items():
        if classes and None in names:
            stray = bases[split] / split_files[split][0]
            raise UserError(
                f'{stray} is in no sub-folder, unlike those of other splits: move it into one'
            )

    def open_splits():
        class_index = {name: index for index, name in enumerate(classes)}
        splits = {
            split: _image_split(
                bases[split], files, [class_index.get(name) for name in labelled[split]]
            )
            for split, files in split_files.items()
        }
        return splits, len(classes) or None

    shape = tuple(image_shape)
    by_content = split_by == 'content'
    kind = 'folder-content' if by_content else 'folder'
    names = [
        name
        for split, files in split_files.items()
        for name in _with_prefix(bases[split].relative_to(root).as_posix(), files)
    ]
    key = content.key_of(root, names, verify, (kind, shape, *bases, *classes))
    share = held_out_share if by_content else 0.0
    return decoded(f'{kind}-{key}', open_splits, root.name, shape, share, strict)


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


def _with_prefix(folder: str, files: list[str]) -> list[str]:
    return files if folder == '.' else [f'{folder}/{name}' for name in files]


def _labels(base: pathlib.Path, files: list[str]) -> list[str | None]:
    """Returns the sub-folder of each file, a path below `base`; either all or none have one."""
    parts = (name.partition('/') for name in files)
    names = [sys.intern(first) if slash else None for first, slash, _ in parts]
    if None in names and set(names) != {None}:
        stray = base / files[names.index(None)]
        raise UserError(
            f'{stray} lies beside sub-folders, which are labels: move it into one of them'
        )
    return names


def _image_split(base: pathlib.Path, files: list[str], labels: list[int | None]) -> ImageSplit:
    def read(indices: Sequence[int]) -> list[StoredImage]:
        paths = [base / files[i] for i in indices]
        return [
            StoredImage(str(path), path, labels[i]) for i, path in zip(indices, paths, strict=True)
        ]

    return ImageSplit(len(files), read)
