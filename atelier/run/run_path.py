"""Which paths a run folder can have."""

import pathlib
import re
import unicodedata

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
