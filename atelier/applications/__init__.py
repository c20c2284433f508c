"""What people do with a trained model: one file for each --mode, and those of users' own."""

from typing import TYPE_CHECKING

from atelier.applications._loading import FOLDER, is_file, load, names, options

if TYPE_CHECKING:
    from atelier.applications._application import Application, Need, needs, perform

__all__ = [
    'FOLDER',
    'Application',
    'Need',
    'is_file',
    'load',
    'names',
    'needs',
    'options',
    'perform',
]


def __getattr__(name: str):
    """What an application is made of and performed by: it needs JAX, the rest does not."""
    if name not in ('Application', 'Need', 'needs', 'perform'):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from atelier.applications import _application

    return getattr(_application, name)
