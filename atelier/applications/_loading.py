"""Lists the built-in applications and loads the one that --mode names."""

import importlib
import inspect
import pathlib
from typing import TYPE_CHECKING

from atelier import checkout, user_files
from atelier.errors import UserError
from atelier.paths import user_path

if TYPE_CHECKING:
    from atelier.applications._application import Application
    from atelier.core.family import Family
    from atelier.data.dataset import Spec

FOLDER = pathlib.Path(__file__).parent


def names() -> list[str]:
    """Returns the names of the built-in applications."""
    return sorted(file.stem for file in FOLDER.glob('[!_]*.py'))


def is_file(mode: str) -> bool:
    """Whether --mode is the path of a Python file instead of a built-in name."""
    return mode.endswith('.py')


def load(mode: str) -> 'Application':
    """Returns the application of a name in `names`, or the one in the user's FILE.py.

    Raises:
      UserError: there is no such file, or it is not an application.
    """
    if is_file(mode):
        return _load_file(user_path(mode).resolve())
    return importlib.import_module(f'atelier.applications.{mode}').APPLICATION


def _load_file(file: pathlib.Path) -> 'Application':
    if not file.is_file():
        raise UserError(f'--mode={file}: there is no such file')
    with checkout.open_for(file):
        module = user_files.load(file)
    from atelier.applications._application import Application  # needs JAX

    application = getattr(module, 'APPLICATION', None)
    if not isinstance(application, Application):
        raise UserError(
            f'{file} is not an application: it has no APPLICATION = Application(apply, needs)'
        )
    return application


def fitting(family: 'Family', spec: 'Spec') -> list[str]:
    """Returns the names of the built-in applications that fit a family and the Spec of its data."""
    return [name for name in names() if load(name).fits(family, spec)]


def options(application: 'Application') -> dict[str, inspect.Parameter]:
    """Returns the parameters of the application's `apply`, without the first one, `run`.

    Those of `EXAMPLES` follow if the application reads examples.
    """
    own = dict(list(inspect.signature(application.apply).parameters.items())[1:])
    return {**own, **{k: v for k, v in shared_options(application).items() if k not in own}}


def shared_descriptions(application: 'Application') -> dict[str, str]:
    """Returns the descriptions of `shared_options`."""
    from atelier.applications._application import EXAMPLES

    return {name: EXAMPLES[name][1] for name in shared_options(application)}


def shared_options(application: 'Application') -> dict[str, inspect.Parameter]:
    """Returns the options that an application has because it reads examples."""
    from atelier.applications._application import EXAMPLES

    if not application.reads or not application.takes_examples:
        return {}
    kind = inspect.Parameter.KEYWORD_ONLY
    return {
        name: inspect.Parameter(name, kind, default=default)
        for name, (default, _) in EXAMPLES.items()
    }
