"""Text samples: decoded from tokens and written to files."""

import pathlib

import numpy as np
from jaxtyping import Num

from atelier import files
from atelier.data.dataset import Spec
from atelier.data.text import decode

BETWEEN = '\n\n' + 72 * '-' + '\n\n'


def is_text(spec: Spec) -> bool:
    """Whether an event is a window of tokens."""
    return spec.symbols is not None


def save(path: pathlib.Path, x: Num[np.ndarray, 'n length'], spec: Spec) -> list[str]:
    """Decodes x, writes the texts as UTF-8 with `BETWEEN` as separator, and returns them."""
    texts = decode(x, spec.symbols)
    files.write_text(path, BETWEEN.join(texts) + '\n')
    return texts
