"""Sizes of coded text beside those of gzip, bzip2 and xz, alone and given the training text."""

import numpy as np

from atelier.applications import decompress
from atelier.data.items import are_items, unpacked
from atelier.data.text import decode, symbols_of
from atelier.data.train_and_valid import has_valid
from atelier.evaluation.compression import text_formats
from atelier.run.experiment import Run

GIVEN = '_given_training'  # ending of the name of a size given the training text
TITLES = {'': 'alone', GIVEN: 'after the training text'}


def bits(run: Run, x: np.ndarray) -> dict[str, float]:
    """Returns the bits of the text of x, as `decompress.text_of`, by format and `TITLES`.

    The earlier text is that of the training split, then that of the validation split, which chooses
    the model, if training has not had it: 'gzip_given_training' is the size after it.
    """
    splits = ['train'] if has_valid(run.config.data) else ['train', 'valid']
    earlier = ''.join(_text_of_split(run, split) for split in splits)
    text = decompress.text_of(run, x)
    sizes = text_formats.bytes_of(_encoded(text), _encoded(earlier))
    return {
        f'{name}{ending}': 8.0 * each[key]
        for name, each in sizes.items()
        for ending, key in zip(TITLES, ('alone', 'given'), strict=True)
    }


def rows() -> dict[str, str]:
    """Returns the title of each size of `bits` in a table, by its name."""
    return {
        f'{name}{ending}': f'{name}, {title}'
        for ending, title in TITLES.items()
        for name in text_formats.FORMATS
    }


def _text_of_split(run: Run, split: str) -> str:
    spec, arrays = run.data.spec, run.data.splits[split]
    if are_items(spec):
        return decompress.joined(run, unpacked(arrays['x'], spec.symbols))
    return decode(symbols_of(arrays)[None], spec.symbols)[0]


def _encoded(text: str) -> bytes:
    return text.encode('utf-8', 'surrogatepass')
