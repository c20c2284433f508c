"""CelebA, aligned and cropped: img_align_celeba.zip or its folder, and list_eval_partition.txt.

The archive is never extracted to disk. Its members are found by the names in the list of splits,
which have no folders in them.
"""

import pathlib
import re
import zipfile
from collections.abc import Callable

from atelier.data.original.bounded import naming_damage, read_text
from atelier.data.original.known import Known
from atelier.data.original.pictures import EncodedPictures
from atelier.errors import UserError
from atelier.files import open_regular

LISTS = ('list_eval_partition.txt', 'Eval/list_eval_partition.txt', 'list_eval_partition.csv')
PICTURES = 'img_align_celeba'
ARCHIVES = (f'{PICTURES}.zip', f'Img/{PICTURES}.zip')
FOLDERS = (f'{PICTURES}/{PICTURES}', PICTURES, f'Img/{PICTURES}')
SPLITS = {'0': 'train', '1': 'valid', '2': 'test'}
LINE = re.compile(r'([\w-]{1,100}\.(?:jpg|png))[,\s]\s*([012])\s*')
HEADER = 'image_id,partition'
MAX_LIST = 1 << 26  # bytes of the list of splits; the true one has 2.8 million
MAX_PICTURE = 1 << 24  # bytes of a picture; the true ones have about 7,000
COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others unpack without a limit

ReadPicture = Callable[[str], bytes]


def find(folder: pathlib.Path, known: Known) -> tuple[pathlib.Path, ...]:
    """Returns the list of splits and the archive or folder of pictures; () if there is neither.

    Raises:
      UserError: one of the two is missing.
    """
    lists = [folder / name for name in LISTS if (folder / name).exists()]
    pictures = [folder / name for name in ARCHIVES if (folder / name).exists()]
    pictures += [folder / name for name in FOLDERS if (folder / name).is_dir()]
    if not lists and not pictures:
        return ()
    if not lists or not pictures:
        missing = known.files[0] if lists else known.files[1]
        raise UserError(f'{folder} lacks {missing}: fetch it from {known.address}')
    return lists[0], pictures[0]


def read(files: tuple[pathlib.Path, ...], known: Known) -> dict[str, EncodedPictures]:
    """Returns the splits of the files that `find` returned, without labels.

    Raises:
      UserError: the list or the archive is damaged.
    """
    partition, pictures = files
    names = _names_of_splits(partition)
    read_picture = _from_folder(pictures) if pictures.is_dir() else _from_archive(pictures)
    return {split: EncodedPictures(names[split], read_picture) for split in names}


def _names_of_splits(path: pathlib.Path) -> dict[str, list[str]]:
    """Returns the sorted names of the pictures of each split."""
    names, known = {split: [] for split in SPLITS.values()}, set()
    for number, line in enumerate(read_text(path, MAX_LIST).splitlines(), 1):
        match = LINE.fullmatch(line)
        if match is None and line.strip() and not (number == 1 and line.strip() == HEADER):
            raise UserError(f'{path}, line {number}: expected "NAME.jpg 0", 1 or 2: fetch it again')
        if match is not None:
            if match[1] in known:
                raise UserError(f'{path}, line {number}: {match[1]} occurs twice: fetch it again')
            known.add(match[1])
            names[SPLITS[match[2]]].append(match[1])
    return {split: sorted(listed) for split, listed in names.items()}


def _from_folder(folder: pathlib.Path) -> ReadPicture:
    def read_picture(name: str) -> bytes:
        with naming_damage(folder / name), open_regular(folder / name) as file:
            return _limited(file.read(MAX_PICTURE + 1), folder / name)

    return read_picture


def _from_archive(path: pathlib.Path) -> ReadPicture:
    with naming_damage(path), open_regular(path):  # a pipe is refused here
        archive, members = zipfile.ZipFile(path), {}
    for member in archive.infolist():
        inside = pathlib.PurePosixPath(member.filename)
        if inside.parent.name in (PICTURES, '') and not member.filename.endswith('/'):
            if inside.name in members:
                raise UserError(f'{path} has two pictures {inside.name}: fetch it again')
            members[inside.name] = member

    def read_picture(name: str) -> bytes:
        if name not in members:
            raise UserError(f'{path} lacks {name}, which the list of splits names: fetch it again')
        with naming_damage(path / name):
            if members[name].compress_type not in COMPRESSIONS:
                raise UserError(f'cannot read {path / name}: its compression is not deflate')
            with archive.open(members[name]) as file:
                return _limited(file.read(MAX_PICTURE + 1), path / name)

    return read_picture


def _limited(content: bytes, path: pathlib.Path) -> bytes:
    if len(content) > MAX_PICTURE:
        raise UserError(f'cannot read {path}: a picture has at most {MAX_PICTURE:,} bytes')
    return content
