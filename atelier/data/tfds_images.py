"""Any image data set of TensorFlow Datasets (TFDS) by name, read without TensorFlow.

A data set must be prepared once, as array_record files; TFDS does that with TensorFlow and an
internet connection. It is prepared here only if the user's own command names it, never because a
run does. Decoded images are cached; a run that finds them in the cache does not import
TFDS.
"""

import contextlib
import importlib.util
import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence

from atelier import files
from atelier.data import content
from atelier.data.classes import with_names
from atelier.data.dataset import SOURCES, Dataset
from atelier.data.decoding import ImageSplit, StoredImage, decoded
from atelier.errors import UserError, about, did_you_mean, shortened, shortened_text
from atelier.log import log
from atelier.paths import user_path

# TFDS imports the module of each class that features.json names: only TFDS's own are allowed
OWN_FEATURE = re.compile(r'tensorflow_datasets\.core\.features(\.[A-Za-z]\w*)+')
CLASS_KEYS = ('pythonClassName', 'python_class_name', 'type')  # in today's and older files
MAX_LABEL_FILE = 1 << 22  # characters of the file with the names of labels
MAX_DEPTH = 32  # of the lists and objects in these files: features may be nested
VERSION = re.compile(r'\d+\.\d+\.\d+')
METADATA = ('dataset_info.json', 'features.json')
SPLITS = {'train': 'train', 'validation': 'valid', 'valid': 'valid', 'test': 'test'}
# suggested for a misspelt name, prepared or not
POPULAR = ('mnist', 'fashion_mnist', 'emnist', 'cifar10', 'svhn', 'celeb_a', 'omniglot')
NAME = re.compile(r'\w{1,100}(/\w[\w.-]{0,99})?')
# `tfds.builder` would also read data_dir, and import the classes that its features.json names
PREPARE = (
    'import sys, tensorflow_datasets as tfds; name, _, kind = sys.argv[1].partition("/"); '
    'tfds.builder_cls(name)(data_dir=sys.argv[2], config=kind or None, file_format="array_record")'
    '.download_and_prepare()'
)


def load(
    name: str,
    data_dir: str = '',
    image_shape: tuple[int, ...] = (),
    strict: bool = False,
    verify: str = 'content',
    may_prepare: bool = False,
) -> Dataset:
    """Loads the newest prepared version of data set `name`, such as 'mnist' or 'emnist/letters'.

    Args:
      name: its name in TFDS.
      data_dir: the folder of TFDS data sets; empty: `TFDS_DATA_DIR`, or ~/tensorflow_datasets.
      image_shape: (height, width, channels) to scale and crop to; empty: images keep their shape.
      strict: whether images that would be converted are refused.
      verify: how changes of the files are noticed: 'content' or 'times' (`content.key_of`).
      may_prepare: whether TFDS may download and prepare a data set that is not prepared.

    Raises:
      UserError: there is no such data set, it is not prepared and may or can not be prepared here,
        or it has no images.
    """
    root = root_of(data_dir)
    folder = prepared(root, name)
    if folder is None and may_prepare:
        folder = _prepare(root, name)
    if folder is None:
        raise UserError(f'{_missing(root, name)}; {how_to_prepare(root, name)}')
    shape = tuple(image_shape)
    key = _key(folder, name, shape, verify)
    data = decoded(key, lambda: _open(folder, name), name, shape, strict=strict)
    return data._replace(spec=with_names(data.spec, _class_names(folder)))


def how_to_prepare(root: pathlib.Path, name: str) -> str:
    """Returns how to prepare a set that a run names, which is never done by itself."""
    return (
        'to prepare it, if you trust the run that names it, after pip install -r '
        f'requirements-tfds.txt: `{shlex.join(_command(root, name))}`'
    )


def _command(root: pathlib.Path, name: str) -> list[str]:
    """Returns the command that prepares a data set, which alone imports TensorFlow.

    With -P, modules are not searched in the current folder, which may be untrusted.
    """
    return [sys.executable, '-P', '-c', PREPARE, name, str(root)]


def _prepare(root: pathlib.Path, name: str) -> pathlib.Path:
    """Downloads and prepares a data set with TFDS, in a subprocess; returns its folder.

    Raises:
      UserError: TensorFlow or an internet connection is missing, or TFDS fails.
    """
    reason = obstacle()
    if reason:
        raise UserError(f'{_missing(root, name)}; {reason}')
    log.info('preparing %s in %s: this happens once', name, root)
    if subprocess.run(_command(root, name)).returncode:
        raise UserError(f'TFDS could not prepare {name!r}: its last line above says why')
    folder = prepared(root, name)
    if folder is None:
        raise UserError(f'TFDS prepared {name!r}, but not in {root}')
    return folder


def _class_names(folder: pathlib.Path) -> list[str]:
    """Returns the names of the labels, which TFDS keeps beside its metadata."""
    path = folder / 'label.labels.txt'
    try:
        with path.open(encoding='utf-8') as file:
            return file.read(MAX_LABEL_FILE).splitlines()
    except (OSError, UnicodeDecodeError):  # sets without labels have none
        return []


def root_of(data_dir: str) -> pathlib.Path:
    """Returns the folder of TFDS data sets (see `load`)."""
    location = data_dir or os.environ.get('TFDS_DATA_DIR') or '~/tensorflow_datasets'
    return user_path(location)


def prepared(root: pathlib.Path, name: str) -> pathlib.Path | None:
    """Returns the folder of the newest version on disk, or None.

    Raises:
      UserError: the name cannot be one of TFDS, or it lacks the kind of data.
    """
    if not NAME.fullmatch(name):
        raise UserError(f'{_missing(root, name)} and give a name such as mnist or emnist/letters')
    folder = root / name
    if not folder.is_dir():
        return None
    versions = [path for path in folder.iterdir() if VERSION.fullmatch(path.name)]
    whole = [path for path in versions if (path / 'dataset_info.json').is_file()]
    if whole:
        return max(whole, key=lambda path: tuple(map(int, path.name.split('.'))))
    kinds = sorted({path.parent.parent.name for path in folder.glob('*/*/dataset_info.json')})
    if kinds:
        choices = ', '.join(repr(f'{name}/{kind}') for kind in kinds)
        raise UserError(f'{name!r} has several kinds: set config.data.name to one of {choices}')
    return None


def _missing(root: pathlib.Path, name: str) -> str:
    """Returns the first part of a message: what the name is not."""
    existing = [path.name for path in root.iterdir()] if root.is_dir() else []
    known = [*SOURCES, *existing, *POPULAR]
    hint = '' if name in POPULAR else did_you_mean(name, known)
    return (
        f'{shortened(name)} is not a source ({", ".join(SOURCES)}) or a TFDS data set prepared in '
        f'{root}{hint}: set config.data.data_dir or TFDS_DATA_DIR to the folder of prepared sets'
    )


def obstacle() -> str:
    """Returns why TFDS cannot prepare a set here, and what to do about it; '' if it can."""
    if importlib.util.find_spec('tensorflow') is None:
        return 'to prepare it here: pip install -r requirements-tfds.txt'
    if not _has_network():  # TFDS would retry for minutes
        return 'preparing it here needs the internet, which cannot be reached'
    return ''


def _has_network() -> bool:
    if urllib.request.getproxies():
        return True
    try:
        socket.create_connection(('storage.googleapis.com', 443), timeout=5).close()
    except OSError:
        return False
    return True


def _key(folder: pathlib.Path, name: str, image_shape: tuple[int, ...], verify: str) -> str:
    """Returns the cache key: data set, version, image shape and a key of all files."""
    names = sorted(path.name for path in folder.iterdir())
    for file in names:
        files.check_entry(folder / file, may_be_link=True)
    try:
        info, _ = (_read(folder / file) for file in METADATA)
        kind = files.parsed(info, max_depth=MAX_DEPTH).get('fileFormat', 'tfrecord')
    except (OSError, ValueError) as error:
        raise UserError(f'{folder} is not a whole TFDS set: {error}') from error
    if kind != 'array_record':
        raise UserError(
            f'{folder} is prepared as {shortened_text(str(kind))}, which only TensorFlow reads: '
            'prepare it again with --file_format=array_record'
        )
    names = [file for file in names if (folder / file).is_file()]
    key = content.key_of(folder, names, verify, (name, folder.name, image_shape))
    return '-'.join(['tfds', *name.split('/'), folder.name, key])


def _read(path: pathlib.Path) -> bytes:
    """Returns the bytes of a description; one byte more than allowed if it is too large."""
    with files.open_regular(path) as file:
        return file.read(files.MAX_BYTES + 1)


def _open(folder: pathlib.Path, name: str) -> tuple[dict[str, ImageSplit], int | None]:
    """Returns the splits on disk, not yet decoded, and the number of classes."""
    import tensorflow_datasets as tfds

    with _reporting_damage(folder):
        content = files.parsed(_read(folder / 'features.json'), max_depth=MAX_DEPTH)
    with about(str(folder)):
        _check_features(content)
    with _reporting_damage(folder):
        builder = tfds.builder_from_directory(folder)
        features, tfds_splits = dict(builder.info.features.items()), builder.info.splits
    images = [key for key, feature in features.items() if isinstance(feature, tfds.features.Image)]
    if len(images) != 1:
        raise UserError(f'{name!r} is not a set of images: an example has {", ".join(features)}')
    image, label = images[0], features.get('label')
    label = label if isinstance(label, tfds.features.ClassLabel) else None
    tfds_names = {SPLITS[split]: split for split in tfds_splits if split in SPLITS}
    if 'train' not in tfds_names:
        raise UserError(f'{name!r} has no training split, only {", ".join(tfds_splits)}')
    decoders = {image: tfds.decode.SkipDecoding()}  # Pillow decodes, in threads

    def image_split(split: str) -> ImageSplit:
        with _reporting_damage(folder):
            source = builder.as_data_source(split, decoders=decoders)

        def read(indices: Sequence[int]) -> list[StoredImage]:
            with _reporting_damage(folder):
                rows = source.__getitems__(list(indices))
            return [
                StoredImage(f'{name} {split} {index}', row[image], row['label'] if label else None)
                for index, row in zip(indices, rows, strict=True)
            ]

        return ImageSplit(len(source), read)

    splits = {name_here: image_split(tfds_name) for name_here, tfds_name in tfds_names.items()}
    return splits, label.num_classes if label else None


def _check_features(content) -> None:
    """Refuses feature classes that are not TFDS's own. `content` is the parsed features.json.

    Raises:
      UserError: names the class.
    """
    if isinstance(content, dict):
        for key in CLASS_KEYS:
            name = content.get(key, '')
            if isinstance(name, str) and name and not OWN_FEATURE.fullmatch(name):
                raise UserError(
                    f'features.json names the class {shortened(name)}, which is not of TFDS'
                )
    if isinstance(content, dict | list):
        for part in content.values() if isinstance(content, dict) else content:
            _check_features(part)


@contextlib.contextmanager
def _reporting_damage(folder: pathlib.Path) -> Iterator[None]:
    """Reports any failure of TFDS and its readers as damaged files."""
    try:
        yield
    except Exception as error:
        reason = ' '.join(str(error).split())[:200] or type(error).__name__
        raise UserError(f'{folder} cannot be read, prepare it again: {reason}') from error
