"""Applications of a trained model: one file per --mode, built in or the user's own."""

from typing import TYPE_CHECKING

from atelier.applications._loading import (
    FOLDER,
    fitting,
    is_file,
    load,
    names,
    options,
    shared_descriptions,
)
from atelier.applications._origins import origin_of

if TYPE_CHECKING:
    from atelier.applications._application import Application, Need, needs, perform

__all__ = [
    'FOLDER',
    'Application',
    'Need',
    'fitting',
    'is_file',
    'load',
    'names',
    'needs',
    'options',
    'origin_of',
    'perform',
    'shared_descriptions',
]


def __getattr__(name: str):
    """Imports the names that need JAX on first use, so that the others work without it."""
    if name not in ('Application', 'Need', 'needs', 'perform'):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from atelier.applications import _application

    return getattr(_application, name)
