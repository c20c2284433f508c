"""The checkout around the package: its config files, and the one way from the engine to the root.

`train_lib`, `models`, `losses` and `configs` are a researcher's own files. An installation exposes
none of them: they can be imported while something of the root is loaded or built, and only then.
"""

import contextlib
import importlib
import pathlib
import sys
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from atelier import user_files
from atelier.errors import UserError
from atelier.paths import user_path

if TYPE_CHECKING:
    from ml_collections import ConfigDict

ROOT = pathlib.Path(__file__).resolve().parents[1]  # has train_lib.py and configs/
FROM_PYTHON = 'the run was trained from Python: atelier.load(folder, build) opens it'
NAMES = ('train_lib', 'configs', 'models', 'losses')  # of the root's modules


def train_lib() -> types.ModuleType:
    """The loop."""
    return _module('train_lib')


def common_config() -> 'ConfigDict':
    """The fields that every config has."""
    return _module('configs.shared.common').common_config()


def _module(name: str) -> types.ModuleType:
    with importable():
        return importlib.import_module(name)


@contextlib.contextmanager
def importable() -> Iterator[None]:
    """For this moment the root's modules can be imported; where they can be anyway nothing changes.

    Raises:
      UserError: there is no checkout around the package, or one of the names is another project's.
    """
    if not (ROOT / 'train_lib.py').is_file():
        raise UserError(
            'atelier is installed without its checkout, in which configs and models lie: '
            'git clone the repository and `pip install -e .` in it'
        )
    _refuse_strangers()
    is_new = not any(_is_root(entry) for entry in sys.path)
    if is_new:
        sys.path.insert(0, str(ROOT))
    try:
        yield
    except ImportError:
        _refuse_strangers()  # one before ROOT on sys.path
        raise
    finally:
        if is_new and str(ROOT) in sys.path:
            sys.path.remove(str(ROOT))
    _refuse_strangers()


def _is_root(entry: str) -> bool:
    return pathlib.Path(entry).resolve() == ROOT  # '' is where one stands


def _refuse_strangers() -> None:
    """Else a config would be made of another project's models.

    Raises:
      UserError: names the module, and where it is from.
    """
    for name in NAMES:
        if name in sys.modules:
            module = sys.modules[name]
            places = [getattr(module, '__file__', None), *getattr(module, '__path__', [])]
            file = next(filter(None, places), None)
            if file is None or not pathlib.Path(file).resolve().is_relative_to(ROOT):
                raise UserError(
                    f'the module {name!r} is already that of {file or "no file"}, not of {ROOT}: '
                    'use Atelier in a Python process that does not import it'
                )


class ConfigFile(NamedTuple):
    """The file that made a run, and its argument."""

    path: str  # relative to the checkout where the file lies in it; '' for a run made in Python
    argument: str | None = None

    def __str__(self) -> str:
        """As --config takes it."""
        return (self.path or 'Python') + (f':{self.argument}' if self.argument else '')

    @property
    def file(self) -> pathlib.Path:
        """Where it lies.

        Raises:
          UserError: there is none.
        """
        if not self.path:
            raise UserError(FROM_PYTHON)
        return ROOT / self.path

    def source(self) -> str:
        """The text of the file; empty where there is none."""
        return self.file.read_text() if self.path and self.file.is_file() else ''

    def module(self) -> types.ModuleType:
        """The file, imported; never code from a run folder.

        Raises:
          UserError: the file is missing, or does not define what a config must.
        """
        if not self.file.is_file():
            raise UserError(f'no config file {self.file}')
        with importable():
            module = user_files.load(self.file)
        missing = [name for name in ('get_config', 'build') if not hasattr(module, name)]
        if missing:
            raise UserError(f'{self.file} is not a config: it has no {" and no ".join(missing)}')
        return module

    def config(self) -> 'ConfigDict':
        """The config as the file gives it."""
        module = self.module()
        with importable(), user_files.beside(self.file):  # it may import where it is called
            return module.get_config(self.argument)

    def build(self, config: 'ConfigDict', spec: Any):
        """The family that the file makes of a config and data."""
        module = self.module()
        with importable(), user_files.beside(self.file):
            return module.build(config, spec)


def config_file(flag: str) -> ConfigFile:
    """Splits the value of --config, PATH or PATH:ARGUMENT.

    PATH is looked for where one stands, then in the checkout.
    """
    path, _, argument = flag.partition(':')
    here = user_path(path).resolve()
    full = here if here.is_file() or not (ROOT / path).is_file() else (ROOT / path).resolve()
    inside = full.is_relative_to(ROOT)
    return ConfigFile(str(full.relative_to(ROOT) if inside else full), argument or None)


def recorded(record: dict[str, Any], folder: pathlib.Path) -> ConfigFile:
    """The config file that the config.json or sweep.json in `folder` names.

    Such a folder may come from a stranger, and must not name code that came with it.

    Raises:
      UserError: the file lies in the folder, or a relative path leads out of the checkout.
    """
    which = ConfigFile(record['path'], record['argument'])
    if not which.path:
        return which
    file = which.file.resolve()
    leads_out = not pathlib.Path(which.path).is_absolute() and not file.is_relative_to(ROOT)
    if leads_out or file.is_relative_to(folder.resolve()):
        raise UserError(
            f'{folder} names {which.path} as its config: code that may have come with it is not run'
        )
    return which


def configs() -> list[str]:
    """Paths of the checkout's config files that can be run."""
    return [f'configs/{file.name}' for file in sorted((ROOT / 'configs').glob('[!_]*.py'))]


def default_folder(which: ConfigFile, config: 'ConfigDict') -> pathlib.Path:
    """runs/vae-digits, or runs/vae-digits-debug: made where one stands."""
    words = [pathlib.Path(which.path).stem, config.data.name]
    extra = [w for w in (which.argument or '').replace(':', ',').split(',') if w not in words]
    return pathlib.Path('runs') / '-'.join([*words, *filter(None, extra)]).replace('/', '-')
