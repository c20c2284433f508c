"""The layout of a folder of images: which sub-folders are splits, and which are classes.

`config.data.splits` decides it:

| value | meaning |
|---|---|
| `auto` | sub-folders are splits if all have a known name (`SPELLINGS`); names alike are refused |
| `none` | there are no splits: sub-folders are classes |
| `train=A,valid=B,test=C` | these sub-folders are the splits; the last two are optional |
| `exact` | the rule of earlier runs, which keep it: few names are known, all others are classes |
"""

import itertools
import pathlib
import re
import shlex
import sys
from collections.abc import Sequence

from atelier.data import picture_files
from atelier.data.classes import natural
from atelier.data.split_names import KNOWN, SHORT, SPELLINGS, are_parts, is_like_a_split, plain
from atelier.errors import UserError
from atelier.log import counted, listed, log

EXACT = {
    'train': 'train',
    'valid': 'valid',
    'validation': 'valid',
    'val': 'valid',
    'test': 'test',
}
PLACEHOLDERS = 'train=NAME,valid=NAME,test=NAME'


def splits_of(root: pathlib.Path, setting: str = 'auto') -> dict[str, pathlib.Path]:
    """Returns the folder of each existing split; {'train': root} if sub-folders are classes.

    Args:
      root: the folder of images.
      setting: `config.data.splits`.

    Raises:
      UserError: `setting` is invalid or names no folder, or the names of the folders do not tell
        whether they are splits.
    """
    folders = _folders(root)
    if setting == 'none':
        return {'train': root}
    if setting == 'exact':
        return _exact(root, folders)
    if setting == 'auto':
        return _by_names(root, folders)
    named = _assignments(setting)
    missing = [name for name in named.values() if name not in folders]
    if missing:
        raise UserError(
            f'config.data.splits={setting}: {root} has no folder {missing[0]}: it has '
            f'{listed(folders, 20) or "none"}'
        )
    return {split: root / name for split, name in named.items()}


def say_left_out(root: pathlib.Path, bases: dict[str, pathlib.Path]) -> tuple[str, ...]:
    """Logs a line on the folders in `root` that are no split of `bases`; returns it, if any."""
    if [*bases.values()] == [root]:
        return ()
    named = {base.name for base in bases.values()}
    others = [name for name in _folders(root) if name not in named]
    if not others:
        return ()
    are_left_out = counted(len(others), 'folder')
    note = f'left out {are_left_out} that config.data.splits does not name: {listed(others)}'
    log.info('%s: %s', root, note)
    return (note,)


def say_parts(root: pathlib.Path, class_names: Sequence[str]) -> tuple[str, ...]:
    """Warns of classes that may be parts of the data (split_0, fold1); returns the line, if any."""
    if not are_parts(class_names):
        return ()
    note = (
        f'taken as classes: {listed(class_names)}. If they are parts of the data, put their '
        'pictures into one folder, or name the splits: config.data.splits=train=FOLDER,test=FOLDER'
    )
    log.warning('%s: %s', root, note)
    return (note,)


def _folders(root: pathlib.Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_dir() and path.name[0] != '.')


def _assignments(setting: str) -> dict[str, str]:
    """Returns {split: name of its folder} of 'train=A,test=B'."""
    parts = [part.partition('=') for part in setting.split(',')]
    named = {split.strip(): name.strip() for split, _, name in parts}
    is_valid = 'train' in named and {*named} <= {*SPELLINGS} and all(named.values())
    if not is_valid or len(named) < len(parts) or len({*named.values()}) < len(parts):
        raise UserError(
            f"config.data.splits={setting!r}: give 'auto', 'none' (sub-folders are classes), or "
            "the folder of each split, such as 'train=training,test=testing'"
        )
    return named


def _exact(root: pathlib.Path, folders: list[str]) -> dict[str, pathlib.Path]:
    named = [name for name in folders if name.lower() in EXACT]
    if len(named) < 2 and [name.lower() for name in folders] != ['train']:
        return {'train': root}
    splits = [EXACT[name.lower()] for name in named]
    if set(named) != set(folders) or len(set(splits)) < len(splits) or 'train' not in splits:
        raise UserError(
            f'{root} has {", ".join(folders)}: splits are train, valid and test, each once, '
            'with train always there and no other folder beside them'
        )
    return dict(zip(splits, (root / name for name in named), strict=True))


def _by_names(root: pathlib.Path, folders: list[str]) -> dict[str, pathlib.Path]:
    """Reads splits from known names; refuses names that may be splits or classes."""
    known = {name: KNOWN[name.casefold()] for name in folders if name.casefold() in KNOWN}
    alike = [name for name in folders if name not in known and is_like_a_split(name)]
    words = {*map(str.casefold, folders)}
    if len(words) > 1 and 'tr' in words and words <= SHORT:
        alike = folders
    if not known and not alike:
        return {'train': root}
    is_whole = len(known) == len(folders) and len({*known.values()}) == len(known)
    if is_whole and 'train' in known.values():
        return {split: root / name for name, split in known.items()}
    doubtful = [*known, *alike]
    raise UserError(
        f'{root} has {listed(folders, 12)}: {listed(doubtful)} may be splits or classes: set '
        f'config.data.splits={_proposal(folders, doubtful)} to name the splits, or '
        'config.data.splits=none if sub-folders are classes'
    )


def _proposal(folders: list[str], doubtful: list[str]) -> str:
    """Returns a value of `config.data.splits` that leaves out no folder, quoted for a shell.

    The names are placeholders if some folder cannot be a split of its own. What repeats the
    training split is never proposed for validation or testing.
    """
    named: dict[str, str] = {}
    for name in sorted(folders, key=lambda name: name.casefold() not in KNOWN):
        split = KNOWN.get(name.casefold()) or _likely_split(name)
        if split in named and split != 'train' and name.casefold() not in KNOWN:
            split = 'test' if split == 'valid' else 'valid'
        if name not in doubtful or split in named or re.search('[,=]', name):
            return PLACEHOLDERS
        named[split] = name
    if 'train' not in named:
        return PLACEHOLDERS
    return shlex.quote(','.join(f'{split}={named[split]}' for split in SPELLINGS if split in named))


def _likely_split(name: str) -> str:
    """Returns the split that a doubtful name most probably means."""
    word = plain(name)
    if 'tr' in word:
        return 'train'
    return 'valid' if re.search('val|dev|^v', word) and 'eval' not in word else 'test'


def refuse_beside(root: pathlib.Path, bases: dict[str, pathlib.Path]) -> None:
    """Refuses images that lie beside the folders of the splits.

    Raises:
      UserError: names the first.
    """
    beside = [] if [*bases.values()] == [root] else picture_files.beside(root)
    if beside:
        raise UserError(f'{beside[0]} lies beside the folder of the training images: move it')


def refuse_deeper(bases: dict[str, pathlib.Path], files: dict[str, list[str]]) -> None:
    """Refuses splits below classes: cat/train/1.png, or a single folder around the splits.

    Args:
      bases: the folder of each split.
      files: the images of each split, as paths below its folder.

    Raises:
      UserError: names the first such folder.
    """
    for split, names in files.items():
        for folder in sorted({name.rpartition('/')[0] for name in names}):
            parts = folder.split('/')
            for depth, part in enumerate(parts[1:], 2):
                if part.casefold() in KNOWN:
                    inner = bases[split].joinpath(*parts[:depth])
                    raise UserError(
                        f'{inner} may be a split, but it lies below a class: set config.data.path '
                        'to the folder that holds the splits, or config.data.splits=none if it is '
                        'none'
                    )


def labels_of(base: pathlib.Path, files: Sequence[str]) -> list[str | None]:
    """Returns the sub-folder of each file, a path below `base`; either all or none have one.

    Raises:
      UserError: some have one.
    """
    parts = (name.partition('/') for name in files)
    names = [sys.intern(first) if slash else None for first, slash, _ in parts]
    if None in names and {*names} != {None}:
        stray = base / files[names.index(None)]
        raise UserError(
            f'{stray} lies beside sub-folders, which are labels: move it into one of them'
        )
    return names


def labels_of_splits(
    bases: dict[str, pathlib.Path], files: dict[str, list[str]]
) -> dict[str, list[str | None]]:
    """Returns `labels_of` by split; either all splits or none have labels.

    Raises:
      UserError: as in `labels_of`, or only some splits have labels.
    """
    labelled = {split: labels_of(bases[split], names) for split, names in files.items()}
    without = [split for split, labels in labelled.items() if None in labels]
    if without and len(without) < len(labelled):
        stray = bases[without[0]] / files[without[0]][0]
        raise UserError(
            f'{stray} is in no sub-folder, unlike those of other splits: move it into one'
        )
    return labelled


def classes_of(
    labelled: dict[str, list[str | None]], is_natural: bool, root: pathlib.Path
) -> list[str]:
    """Returns the names of the classes in all splits, in order.

    Args:
      labelled: names of the sub-folders by split, as of `labels_of`.
      is_natural: whether names are in natural order (2 before 10), and are compared between splits;
        else they are in alphabetical order.
      root: the folder, for the message.

    Raises:
      UserError: names in two splits differ only by case, spaces or accents.
    """
    by_split = [{name for name in split if name is not None} for split in labelled.values()]
    names = sorted({*itertools.chain(*by_split)})
    if not is_natural:
        return names
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(plain(name, r'[\s_-]'), []).append(name)
    for group in alike.values():
        # a split that has them all, such as letters a and A, tells them apart
        if len(group) > 1 and not any({*group} <= split for split in by_split):
            raise UserError(
                f'{root} has the classes {listed([*map(repr, group)])} in different splits, which '
                'differ only in case, spaces or accents: give them one name'
            )
    return sorted(names, key=natural)
