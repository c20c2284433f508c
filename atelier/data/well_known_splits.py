"""Splits of well-known sets in the order in which TensorFlow Datasets (TFDS) stores them.

TFDS sorts examples by the MD5 of the name of the split followed by the key of the example. The key
is its index in the published files, or the name of its file. A validation split that is cut by
order thus has the same members, whichever way the set was read.
"""

import hashlib
from collections.abc import Iterable, Sequence

from atelier.data.decoding import ImageSplit, StoredImage
from atelier.data.original.pictures import EncodedPictures, Pictures

TFDS_SPLITS = {'train': 'train', 'valid': 'validation', 'test': 'test'}


def tfds_order(split: str, keys: Iterable[object]) -> list[int]:
    """Returns the indices of the examples with these keys in the order of TFDS."""
    salt = hashlib.md5(TFDS_SPLITS[split].encode())

    def digest(key: object) -> bytes:
        salted = salt.copy()
        salted.update(str(key).encode())
        return salted.digest()

    digests = [digest(key) for key in keys]
    return sorted(range(len(digests)), key=digests.__getitem__)


def reordered(images: ImageSplit, order: Sequence[int]) -> ImageSplit:
    """Returns the same images in another order."""
    return ImageSplit(len(order), lambda indices: images.read([order[i] for i in indices]))


def in_tfds_order(
    name: str, splits: dict[str, Pictures | EncodedPictures | ImageSplit]
) -> dict[str, ImageSplit]:
    """Returns the splits of the set `name`, given in the published order, in the order of TFDS."""
    ordered = {}
    for split, part in splits.items():
        keys: Iterable[object]
        if isinstance(part, EncodedPictures):
            images, keys = _encoded(name, part), part.names
        else:
            images = (
                part if isinstance(part, ImageSplit) else _uncompressed(f'{name} {split}', part)
            )
            keys = range(images.count)
        ordered[split] = reordered(images, tfds_order(split, keys))
    return ordered


def _encoded(name: str, part: EncodedPictures) -> ImageSplit:
    def read(indices: Sequence[int]) -> list[StoredImage]:
        names = [part.names[i] for i in indices]
        return [StoredImage(f'{name} {file}', part.read(file), None) for file in names]

    return ImageSplit(len(part.names), read)


def _uncompressed(title: str, part: Pictures) -> ImageSplit:
    height, width, channels = part.x.shape[1:]
    header = f'P{6 if channels == 3 else 5} {width} {height} 255\n'.encode()  # PPM or PGM

    def read(indices: Sequence[int]) -> list[StoredImage]:
        return [
            StoredImage(f'{title} {i}', header + part.x[i].tobytes(), int(part.label[i]))
            for i in indices
        ]

    return ImageSplit(len(part.x), read)
