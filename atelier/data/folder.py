"""A folder of your own images; its sub-folders are the labels.

    python main.py --config=configs/conv_vae.py:folder --config.data.path=pictures \\
        --config.data.image_shape=64,64,3

    pictures/cat/1.png, pictures/dog/2.jpg    labelled by sub-folder, in natural order (2 before 10)
    pictures/1.png, pictures/2.jpg            without labels
    pictures/train/..., pictures/test/...     your own splits (train, valid, test), each as above

    pictures/captions.txt, pictures/metadata.jsonl or metadata.csv     words, numbers or labels

Other names of splits, and names that may be splits or labels: `atelier.data.folder_layout`. Files
with the condition of the pictures: `atelier.data.condition_lines`.
"""

import pathlib
from collections.abc import Sequence

from atelier.data import condition_files, content, folder_layout, picture_files
from atelier.data.condition_columns import with_condition
from atelier.data.conditions.setting import NONE, chosen
from atelier.data.dataset import Dataset
from atelier.data.decoding import ImageSplit, StoredImage, decoded
from atelier.data.origins import named
from atelier.data.picture_files import SUFFIXES
from atelier.errors import UserError, reading
from atelier.names import stored_names
from atelier.paths import user_path


def load(
    path: str = '',
    image_shape: tuple[int, ...] = (),
    split_by: str = 'order',
    held_out_share: float = 0.1,
    strict: bool = False,
    verify: str = 'content',
    splits: str = 'auto',
    classes: str = 'trained',
    condition: tuple[str, ...] = (NONE,),
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
      splits: which sub-folders are splits; see `atelier.data.folder_layout`.
      classes: 'trained': classes are in natural order and have names. 'declared': they are in
        alphabetical order and have none.
      condition: what the images are conditional on; see `atelier.data.conditions.setting`.

    Raises:
      UserError: there are no images, or one of them or its condition cannot be used.
    """
    root, is_natural = _root(path), classes == 'trained'
    with reading(root):
        bases = folder_layout.splits_of(root, splits)
        sources = condition_files.find(root, bases, chosen(condition))
        condition_files.check_found(root, sources, chosen(condition))
    split_files, notes = _pictures(root, bases, [each.path for each in sources], splits, strict)
    labelled = folder_layout.labels_of_splits(bases, split_files)
    class_names = folder_layout.classes_of(labelled, is_natural, root)
    notes += folder_layout.say_parts(root, class_names)

    def open_splits() -> tuple[dict[str, ImageSplit], int | None]:
        index_of = {name: index for index, name in enumerate(class_names)}
        image_splits = {
            split: _image_split(bases[split], files, [index_of.get(n) for n in labelled[split]])
            for split, files in split_files.items()
        }
        return image_splits, len(class_names) or None

    kind, share = ('folder-content', held_out_share) if split_by == 'content' else ('folder', 0.0)
    in_root = {split: _below(root, bases[split], names) for split, names in split_files.items()}
    files = [name for names in in_root.values() for name in names]
    is_of_all = [each.path.parent for each in sources] == [root]
    pictures = [files] if is_of_all else [*split_files.values()]
    given = condition_files.prepared_of(sources, pictures, strict)
    shape = tuple(image_shape)
    key = content.key_of(root, files, verify, (kind, shape, *bases, *class_names))
    data = decoded(f'{kind}-{key}', open_splits, root.name, shape, share, strict, named(files))
    data = data._replace(
        spec=data.spec._replace(class_names=stored_names(class_names) if is_natural else ()),
        notes=(*notes, *data.notes),
    )
    return with_condition(data, given)


def _pictures(
    root: pathlib.Path,
    bases: dict[str, pathlib.Path],
    others_read: list[pathlib.Path],
    splits: str,
    strict: bool,
) -> tuple[dict[str, list[str]], tuple[str, ...]]:
    """Returns the names of the pictures of each split, and what was passed over.

    Raises:
      UserError: a split has no picture, a folder may or may not be a split, or `strict` refuses a
        file.
    """
    with reading(root):
        folder_layout.refuse_beside(root, bases)
        found = {split: picture_files.below(base, others_read) for split, base in bases.items()}
    split_files = {split: each.pictures for split, each in found.items()}
    for split, files in split_files.items():
        if not files:
            others = picture_files.listed_kinds(found[split])
            has = f': it has {others}' if others else ''
            raise UserError(f'{bases[split]} has no images ({", ".join(sorted(SUFFIXES))}){has}')
    notes = folder_layout.say_left_out(root, bases)
    notes += picture_files.note_of_inner(split_files)
    notes += picture_files.say_passed_over(root, found.values(), strict)
    if splits == 'auto':
        folder_layout.refuse_deeper(bases, split_files)
    return split_files, notes


def _root(path: str) -> pathlib.Path:
    """Returns the folder at `config.data.path`.

    Raises:
      UserError: there is none.
    """
    if not path:
        raise UserError('folder: set config.data.path to a folder of images')
    root = user_path(path).resolve()
    with reading(root):
        if not root.is_dir():
            raise UserError(f'config.data.path: there is no folder {root}')
    return root


def _below(root: pathlib.Path, base: pathlib.Path, files: list[str]) -> list[str]:
    """Returns paths below `base` as paths below `root`."""
    folder = base.relative_to(root).as_posix()
    return files if folder == '.' else [f'{folder}/{name}' for name in files]


def _image_split(base: pathlib.Path, files: list[str], labels: list[int | None]) -> ImageSplit:
    def read(indices: Sequence[int]) -> list[StoredImage]:
        paths = [base / files[i] for i in indices]
        return [
            StoredImage(str(path), path, labels[i]) for i, path in zip(indices, paths, strict=True)
        ]

    return ImageSplit(len(files), read)
