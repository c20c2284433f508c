"""User-level paths: the cache folder, `~` expansion."""

import os
import pathlib

from atelier.errors import UserError, shortened

MAX_NAME, MAX_PATH = 255, 4095  # bytes, on Linux and macOS


def cache_folder() -> pathlib.Path:
    """Returns the cache for compiled programs and decoded data; `XDG_CACHE_HOME` moves it."""
    cache = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
    return pathlib.Path(cache) / 'atelier'


def user_path(text: str | pathlib.Path) -> pathlib.Path:
    """Returns a user's path with ~ expanded.

    Raises:
      UserError: no file can have this name: it is too long or has a zero byte.
    """
    path = pathlib.Path(os.path.expanduser(text))
    names = [os.fsencode(name) for name in path.parts]
    if max(map(len, names), default=0) > MAX_NAME or len(os.fsencode(path)) > MAX_PATH:
        raise UserError(
            f'{shortened(str(path))} is too long for a path: a name has at most {MAX_NAME} bytes, '
            f'a path {MAX_PATH:,}'
        )
    if '\0' in str(path):
        raise UserError(f'{shortened(str(path))} has a zero byte, which no path has')
    return path
