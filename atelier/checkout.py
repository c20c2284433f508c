"""The checkout around the package: its config files, and all imports of its root's modules.

`train_lib`, `models`, `losses` and `configs` at the root are the researcher's own files. Installing
the package does not put them on the path. They can be imported only while this module loads or
calls code of the root.
"""

import contextlib
import importlib
import pathlib
import sys
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from atelier import user_files
from atelier.errors import UserError, closest, shortened, suggestion
from atelier.paths import user_path

if TYPE_CHECKING:
    from ml_collections import ConfigDict

ROOT = pathlib.Path(__file__).resolve().parents[1]  # has train_lib.py and configs/
NAMES = ('train_lib', 'configs', 'models', 'losses')  # top-level modules of the root
MAX_ARGUMENT = 1000  # characters of ARGUMENT in PATH:ARGUMENT
_root_modules: dict[str, types.ModuleType] = {}  # the root's modules while they are not importable
_trusted: set[pathlib.Path] = set()  # the user named them: files may run, links may lead there


def train_lib() -> types.ModuleType:
    """Returns the module `train_lib`, which holds the training loop."""
    return _module('train_lib')


def common_config() -> 'ConfigDict':
    """Returns a config with the fields that every config has."""
    return _module('configs.shared.common').common_config()


def _module(name: str) -> types.ModuleType:
    with importable():
        return importlib.import_module(name)


@contextlib.contextmanager
def importable() -> Iterator[None]:
    """Makes the root's modules importable in this context; no change if the root is on the path.

    Inside the context, another project's modules of the same names are set aside. Outside it, ours
    are set aside.

    Raises:
      UserError: there is no checkout around the package, or another project's module of one of
        these names comes first on the path.
    """
    if not (ROOT / 'train_lib.py').is_file():
        raise UserError(
            'atelier is installed without its checkout, which has the configs and models: '
            'git clone the repository and `pip install -e .` in it'
        )
    if any(pathlib.Path(entry).resolve() == ROOT for entry in sys.path):  # '' is the cwd
        _refuse_foreign_modules()
        try:
            yield
        finally:
            _refuse_foreign_modules()  # an entry before ROOT on sys.path may have supplied one
        return
    foreign = _pop_modules()
    sys.modules.update(_root_modules)
    sys.path.insert(0, str(ROOT))
    try:
        yield
    finally:
        sys.path.remove(str(ROOT))
        _root_modules.update(_pop_modules())
        sys.modules.update(foreign)


@contextlib.contextmanager
def open_for_a_command() -> Iterator[None]:
    """Keeps the root's modules and those beside the user's files importable during a command.

    Raises UserError if there is no checkout around the package.
    """
    with importable(), user_files.kept_open():
        yield


@contextlib.contextmanager
def open_for(file: pathlib.Path) -> Iterator[None]:
    """Lets a user's file import the root's modules and the modules beside it, in this context.

    Raises:
      UserError: as `importable`, or a module beside the file has the name of a root module.
    """
    is_own = is_in_configs(file)  # these import each other as configs.NAME
    neighbours = contextlib.nullcontext() if is_own else user_files.beside(file)
    with importable(), neighbours:
        try:
            yield
        except ImportError as error:
            name = (error.name or '').partition('.')[0]
            if file.parent != ROOT and _has_module(ROOT, name) and _has_module(file.parent, name):
                raise UserError(
                    f'{file} cannot import {name} beside it, because the checkout has a '
                    f'{name} too: rename yours'
                ) from error
            raise


def _has_module(folder: pathlib.Path, name: str) -> bool:
    return bool(name) and ((folder / name).is_dir() or (folder / f'{name}.py').is_file())


def _pop_modules() -> dict[str, types.ModuleType]:
    """Removes the modules of NAMES and their submodules from `sys.modules`; returns them."""
    names = [name for name in sys.modules if name.partition('.')[0] in NAMES]
    return {name: sys.modules.pop(name) for name in names}


def _refuse_foreign_modules() -> None:
    """Refuses modules of NAMES from elsewhere: a config would use another project's models.

    Raises:
      UserError: names the module and its file.
    """
    for name in NAMES:
        if name in sys.modules:
            module = sys.modules[name]
            paths = [getattr(module, '__file__', None), *getattr(module, '__path__', [])]
            file = next(filter(None, paths), None)
            if file is None or not pathlib.Path(file).resolve().is_relative_to(ROOT):
                raise UserError(
                    f'the module {name!r} was imported from {file or "no file"}, not from {ROOT}: '
                    'use Atelier in a Python process that does not import that module'
                )


class ConfigFile(NamedTuple):
    """The config file of a run, and its argument."""

    path: str  # relative to the checkout if inside it; '' for a run made in Python
    argument: str | None = None

    def __str__(self) -> str:
        """Returns the value to pass to --config."""
        return (self.path or 'Python') + (f':{self.argument}' if self.argument else '')

    @property
    def file(self) -> pathlib.Path:
        """The path of the file.

        Raises:
          UserError: the run was made in Python and has no config file.
        """
        if not self.path:
            raise UserError('a run trained from Python has no config file: give `build`')
        return ROOT / self.path

    def source(self) -> str:
        """Returns the text of the file, or '' if there is none."""
        return user_files.source(self.file) if self.path and self.file.is_file() else ''

    def module(self) -> types.ModuleType:
        """Imports the file and returns the module; never imports code from a run folder.

        Raises:
          UserError: the file is missing, or does not define `get_config` and `build`.
        """
        with open_for(self.file):
            if not self.file.is_file():
                paths = {pathlib.Path(path).stem: path for path in configs()}
                hint = suggestion(paths.get(closest(self.file.stem, paths)))
                raise UserError(f'no config file {self.file}{hint}: --help lists the configs')
            module = user_files.load(self.file)
        missing = [name for name in ('get_config', 'build') if not hasattr(module, name)]
        if missing:
            raise UserError(f'{self.file} is not a config: it has no {" and no ".join(missing)}')
        return module

    def config(self) -> 'ConfigDict':
        """Returns the config from the file's `get_config`.

        Raises:
          UserError: as `module`, or get_config does not return a ConfigDict.
        """
        from ml_collections import ConfigDict

        config = self._called('get_config', self.argument)
        if not isinstance(config, ConfigDict):
            raise UserError(
                f'{self.file}: get_config returns a {type(config).__name__}; it must return a '
                'ConfigDict, such as that of configs.shared.common.begin'
            )
        return config

    def build(self, config: 'ConfigDict', spec: Any):
        """Builds the file's family for a config and a data Spec."""
        return self._called('build', config, spec)

    def axes(self) -> list[str] | None:
        """Returns the sweep axes that the file's `get_sweep` proposes, or None if it has none."""
        return list(self._called('get_sweep')) if hasattr(self.module(), 'get_sweep') else None

    def _called(self, name: str, *arguments):
        """Calls a function of the file, which may import modules when called."""
        with open_for(self.file):
            return getattr(self.module(), name)(*arguments)


def config_file(flag: str) -> ConfigFile:
    """Splits the value of --config, PATH or PATH:ARGUMENT, and trusts the file.

    PATH is looked up in the working directory, then in the checkout. Raises UserError if ARGUMENT
    is longer than `MAX_ARGUMENT`.
    """
    path, _, argument = flag.partition(':')
    if len(argument) > MAX_ARGUMENT:
        raise UserError(f'--config: {shortened(argument)} is longer than {MAX_ARGUMENT} characters')
    here = user_path(path).resolve()
    full = here if here.is_file() or not (ROOT / path).is_file() else (ROOT / path).resolve()
    trust(full)
    return _file_of(full, argument or None)


def _file_of(file: pathlib.Path, argument: str | None) -> ConfigFile:
    """Returns the config file of an absolute path."""
    inside = file.is_relative_to(ROOT)
    return ConfigFile(str(file.relative_to(ROOT) if inside else file), argument)


def has_moved(then: str, now: ConfigFile) -> bool:
    """Whether the config file that was at the path `then` may be `now`: it is gone from there."""
    if not then or not now.path or (ROOT / then).exists():
        return False
    return pathlib.Path(then).name == now.file.name and now.file.is_file()


def recorded(record: dict[str, Any], folder: pathlib.Path) -> ConfigFile:
    """Returns the config file that `record` (config.json or sweep.json in `folder`) names.

    The folder may be untrusted, so it must not choose the code that runs. The record may name only
    a config of the checkout, or a file that the user has named too, also under a new path.

    Raises:
      UserError: the file is neither in `configs/` of the checkout nor trusted.
    """
    config_file = ConfigFile(record['path'], record['argument'])
    if not config_file.path:
        return config_file
    moved = [_file_of(file, config_file.argument) for file in sorted(_trusted)]
    moved = [other for other in moved if has_moved(config_file.path, other)]
    if len(moved) == 1:
        return moved[0]
    file = config_file.file.resolve()
    if not is_in_configs(file) and file not in _trusted:
        if file.suffix != '.py':
            raise UserError(f'the config of {folder} is {file}, which is no config file')
        path = str(file) if file.exists() else f'PATH/{file.name}, where it is now'
        raise UserError(
            f'the config of {folder} is {file}, which is not in configs/ of the checkout: if you '
            f'trust its code, add --trust={path}'
        )
    return config_file


def trust(*paths: str | pathlib.Path) -> None:
    """Trusts config files, and folders for links of `checkpoints`, until the process ends."""
    _trusted.update(user_path(path).resolve() for path in paths)


def trusted() -> frozenset[pathlib.Path]:
    """Returns the absolute paths of all files and folders that the user has named."""
    return frozenset(_trusted)


def trust_flags() -> list[str]:
    """Returns the flags that make another command trust the same files and folders."""
    return [f'--trust={path}' for path in sorted(_trusted) if not is_in_configs(path)]


def is_in_configs(file: pathlib.Path) -> bool:
    """Whether the file is a config of the checkout."""
    return file.parent == ROOT / 'configs'


def configs() -> list[str]:
    """Returns the paths of the checkout's runnable config files."""
    return [f'configs/{file.name}' for file in sorted((ROOT / 'configs').glob('[!_]*.py'))]


def default_folder(config_file: ConfigFile, config: 'ConfigDict') -> pathlib.Path:
    """Returns a run's default folder, such as runs/vae-digits, relative to the current folder."""
    parts = [pathlib.Path(config_file.path).stem, config.data.name]
    extra = [
        part
        for part in (config_file.argument or '').replace(':', ',').split(',')
        if part not in parts
    ]
    return pathlib.Path('runs') / '-'.join([*parts, *filter(None, extra)]).replace('/', '-')
