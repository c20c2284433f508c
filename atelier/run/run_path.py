"""Which path a run folder can have, and which kinds of entries."""

import pathlib
import re
import unicodedata

from atelier import checkout, files
from atelier.errors import UserError


def check_run_path(folder: pathlib.Path) -> None:
    """Refuses paths that a run's files, messages or libraries cannot handle.

    Raises:
      UserError: the path is the address of remote storage, is not UTF-8, or has control characters.
    """
    text = str(folder)
    if re.match('[A-Za-z][A-Za-z0-9+.-]*:/', text):
        address = text.replace(':/', '://', 1)  # pathlib has merged the slashes
        raise UserError(f'{address} is an address: a run is a folder of this machine')
    kinds = {unicodedata.category(letter) for letter in str(folder.absolute())}
    if kinds & {'Cc', 'Cs', 'Zl', 'Zp'}:
        problem = 'is not UTF-8' if 'Cs' in kinds else 'has line breaks or control characters'
        raise UserError(f'the path {text!a} {problem}: choose another folder for the run')


def check_entries(folder: pathlib.Path) -> None:
    """Checks that a run reads and writes inside its folder only.

    Its `checkpoints` may be a link to a folder that the user trusts.

    Raises:
      UserError: the folder holds another symbolic link, a pipe, a socket or a device.
    """
    files.check_entries(folder, checkout.trusted())
