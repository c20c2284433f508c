"""User-level paths: the cache folder, `~` expansion."""

import os
import pathlib


def cache_folder() -> pathlib.Path:
    """Returns the cache for compiled programs and decoded data; `XDG_CACHE_HOME` moves it."""
    cache = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
    return pathlib.Path(cache) / 'atelier'


def user_path(text: str | pathlib.Path) -> pathlib.Path:
    """Returns a user's path with ~ expanded."""
    return pathlib.Path(os.path.expanduser(text))
