"""File of coded examples: a one-line header for the decoder, its checksum, then 32-bit words.

The words have at least one bit per example (`padding`).
"""

import binascii
import json
import math
import pathlib
import zlib
from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import numpy as np

from atelier import files
from atelier.core import game
from atelier.data.checksums import checksum, earlier_checksum
from atelier.data.classes import predicted_classes
from atelier.data.dataset import Spec
from atelier.errors import UserError, reading
from atelier.evaluation.compression.word_stream import Words

Rule = Callable[[np.ndarray, int], int]  # of a checksum
RULES = checksum, earlier_checksum  # of files of this version, and of those before
MAGIC = {  # (coder, label_rule) of a header; a new format gets a new number
    ('range', 'declared'): b'atelier3',
    ('bits back', 'declared'): b'atelier4',
    ('range', 'trained'): b'atelier5',
    ('bits back', 'trained'): b'atelier6',
    ('text', 'trained'): b'atelier7',
    ('items', 'trained'): b'atelier8',
    ('items', 'declared'): b'atelier9',
    ('two part', 'trained'): b'atelier10',
    ('two part', 'declared'): b'atelier11',
}
OF_SYMBOLS = 'text', 'items'  # coders whose headers have a checksum of the symbols
NUM_FIELDS = 9  # of the header's line, without that checksum


class Header(NamedTuple):
    """What a decoder needs, and the checks by which it detects that it cannot decode.

    num_examples, batch_size: the last batch may be padded. Of an endless text, the numbers of its
      symbols and of its streams.
    weights: checksum of the model's weights.
    examples: checksum of the coded data and of the other fields.
    software_version: JAX version and device, because other versions and devices round differently.
    event_shape, levels, num_classes, left_out: as in `Spec`.
    coder: which coder wrote the words.
    label_rule: which classes have a code, as `config.data.classes` names them. The first bytes of
      the file tell this rule and the coder, which are not among the header's other fields.
    symbols: `checksum_of_symbols` of a text or of items; None for other data.
    """

    num_examples: int
    batch_size: int
    weights: int
    examples: int
    software_version: str
    event_shape: tuple[int, ...]
    levels: int
    num_classes: int | None
    left_out: tuple[int, ...]
    coder: Literal['range', 'bits back', 'text', 'items', 'two part'] = 'range'
    label_rule: Literal['trained', 'declared'] = 'trained'
    symbols: int | None = None

    @property
    def spec(self) -> Spec:
        """The spec of the coded data, without the symbols of a text."""
        return Spec(self.event_shape, self.levels, self.num_classes, left_out=self.left_out)

    @property
    def classes(self) -> tuple[int, ...]:
        """The classes that labels are coded over, with equal probabilities."""
        return predicted_classes(self.spec, self.label_rule)

    @property
    def magic(self) -> bytes:
        """The first bytes of the file."""
        return MAGIC[self.coder, self.label_rule]


def packed(header: Header, words: Words) -> bytes:
    """Returns the content of the file."""
    line = header.magic + json.dumps(_fields(header), separators=(',', ':')).encode() + b'\n'
    return line + _checksum_of(line) + words.astype('<u4').tobytes()


def _fields(header: Header) -> list:
    symbols = [header.symbols] if header.coder in OF_SYMBOLS else []
    return [*header[:NUM_FIELDS], *symbols]


def _checksum_of(line: bytes) -> bytes:
    """Returns two bytes that reveal a damaged line before its sizes are used to allocate arrays."""
    return binascii.crc_hqx(line, 0).to_bytes(2, 'little')


def read(path: pathlib.Path) -> tuple[Header, Words]:
    """Reads a file: the inverse of `packed`.

    Raises:
      UserError: the file is missing, is not of this format, or is damaged.
    """
    with reading(path), files.open_regular(path) as file:
        content = file.read()
    rules = [rule for rule, magic in MAGIC.items() if content.startswith(magic)]
    if not rules:
        raise UserError(
            f'{path} holds no coded examples: give a file that --mode=compress has written'
        )
    line, end, rest = content.partition(b'\n')
    stored_checksum, rest = rest[:2], rest[2:]
    if stored_checksum != _checksum_of(line + end):
        raise damaged(path)
    line = line.removeprefix(MAGIC[rules[0]])
    try:
        fields = [tuple(part) if isinstance(part, list) else part for part in json.loads(line)]
        header = Header(*fields[:NUM_FIELDS], *rules[0], *fields[NUM_FIELDS:])
        sizes = header.num_examples, header.batch_size, header.levels, *header.event_shape
        if not all(type(size) is int for size in sizes):
            raise ValueError('sizes are not integers')
        if min(sizes) < 1 or math.prod(sizes) // header.batch_size > 2**50:
            raise ValueError('sizes are out of range')
        if header.batch_size > header.num_examples:
            raise ValueError('a batch is larger than all examples')
        if not all(type(label) is int for label in header.left_out):
            raise ValueError('labels are not integers')
        if type(header.num_classes) not in (int, type(None)):
            raise ValueError('the number of classes is not an integer')
        if len(fields) != len(_fields(header)) or type(header.symbols) not in (int, type(None)):
            raise ValueError('the fields are not those of the coder')
        return header, np.frombuffer(rest, '<u4').astype(np.uint32)
    except (TypeError, ValueError, RecursionError) as error:
        raise damaged(path) from error


def damaged(path: pathlib.Path) -> UserError:
    """Returns the error for a file that does not decode to the original data."""
    return UserError(
        f'{path} does not decode to the original data: the file is damaged, or the code of the '
        "model, JAX's settings or the processor have changed since it was written"
    )


def checksum_of(
    header: Header, x: np.ndarray, labels: np.ndarray | None, rule: Rule = checksum
) -> int:
    """Returns a checksum of examples, their labels if coded, and the other fields of the header."""
    total = zlib.crc32(json.dumps(_fields(header._replace(examples=0))).encode())
    for array in (x,) if labels is None else (x, labels):
        total = rule(np.ascontiguousarray(array), total)
    return total


def checksum_of_symbols(symbols: str | None) -> int | None:
    """Returns a checksum of the vocabulary of a text; None for other data."""
    return None if symbols is None else zlib.crc32(symbols.encode('utf-8', 'surrogatepass'))


def checksum_of_weights(state: game.State, rule: Rule = checksum) -> int:
    """Returns a checksum of all weights that probabilities depend on, and of their names."""
    total = 0
    # must stay a plain tuple: its key paths are part of the checksums in existing files
    weights = state.ema, state.extra
    for path, leaf in jax.tree_util.tree_leaves_with_path(weights):
        name = jax.tree_util.keystr(path).encode()
        total = rule(np.atleast_1d(leaf), zlib.crc32(name, total))
    return total


def software_version() -> str:
    """Returns the JAX version and device in use, such as 'jax 0.10.2 cpu'."""
    return f'jax {jax.__version__} {jax.devices()[0].device_kind}'
