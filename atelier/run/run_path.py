"""Which path a run folder can have, which kinds of entries, and what a folder without a run is."""

import pathlib
import re
import unicodedata

from atelier import checkout, files
from atelier.errors import A_RUN, UserError, reading
from atelier.paths import user_path


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


def why_not_a_run(folder: pathlib.Path) -> str:
    """Says what a folder without config.json is, and what to type instead of it."""
    if not folder.exists():
        return f'does not exist: give {A_RUN}, or train one with --config=configs/NAME.py'
    if not folder.is_dir():
        return f'is a file: give {A_RUN}'
    if (folder / 'sweep.json').is_file():
        return 'is a sweep: name one of the runs in it'
    why = 'exists and is not a run: it has no config.json'
    with reading(folder):
        runs = sorted(path.parent for path in folder.glob('*/config.json'))
    if runs:
        return f'{why}; name one of the runs in it, such as {runs[0]}'
    return f'{why}; give {A_RUN}, or train one with --config=configs/NAME.py'


def init_from_path(init_from: str | pathlib.Path | None) -> str | None:
    """Returns the absolute path of the run to take initial weights from, which is the form that
    config.json records.

    Raises:
      UserError: the path is empty.
    """
    if init_from is None:
        return None
    if not str(init_from):
        raise UserError('--init_from is empty: give the folder of a run')
    return str(user_path(init_from).resolve())
