"""Reads text files of unknown origin: UTF-8, packed by gzip or not, of a size that fits memory."""

import pathlib

from atelier.data.original.bounded import naming_damage, unpacked
from atelier.errors import UserError
from atelier.memory import total_bytes

BYTES_OF_MEMORY = 16  # of the machine for each byte of text: characters, items and tokens


def read(file: pathlib.Path) -> str:
    """Returns the text of a file without a byte order mark.

    Raises:
      UserError: there is no such file, it is no UTF-8 text, it is empty or too large.
    """
    if not file.is_file():
        raise UserError(f'there is no file {file}')
    with unpacked(file) as (stream, _), naming_damage(file):
        limit = total_bytes() // BYTES_OF_MEMORY
        raw = stream.read(limit + 1)
    if len(raw) > limit:
        raise UserError(
            f'{file} has more than {limit / 1e9:,.1f} GB of text, too much for the memory of this '
            'machine: give a part of it'
        )
    return decoded(raw, str(file))


def decoded(raw: bytes, name: str) -> str:
    """Returns the text of the bytes of a file.

    Raises:
      UserError: they are no UTF-8 text, or there are none.
    """
    try:
        text = raw.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(
            f'{name} is not UTF-8 text (byte {error.start:,}): convert it, or give another file'
        ) from error
    if '\0' in text:
        raise UserError(f'{name} is not text: it has zero bytes')
    if not text:
        raise UserError(f'{name} is empty')
    return text
