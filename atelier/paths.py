"""Where things of the user's lie that belong to no run."""

import os
import pathlib


def cache_folder() -> pathlib.Path:
    """What can be made again: compiled programs, decoded data. `XDG_CACHE_HOME` moves it."""
    cache = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
    return pathlib.Path(cache) / 'atelier'


def user_path(text: str | pathlib.Path) -> pathlib.Path:
    """A path as a user writes it, with ~."""
    return pathlib.Path(os.path.expanduser(text))
