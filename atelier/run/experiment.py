"""What makes a run: a config file with its argument, and what is assembled from it."""

import importlib.util
import pathlib
import types
from collections.abc import Callable
from typing import NamedTuple

from ml_collections import ConfigDict

from atelier.core.family import Family
from atelier.data import dataset
from atelier.errors import UserError
from atelier.paths import user_path

Build = Callable[[ConfigDict, dataset.Spec], Family]
ROOT = pathlib.Path(__file__).resolve().parents[2]  # of the repository


class Recipe(NamedTuple):
    """Which config file made a run, and with what argument."""

    path: str  # relative to the repository where the file lies in it; '' for a run made in Python
    argument: str | None

    def __str__(self) -> str:
        """As --config takes it."""
        return (self.path or 'Python') + (f':{self.argument}' if self.argument else '')

    @property
    def file(self) -> pathlib.Path:
        """Where the config file lies.

        Raises:
          UserError: there is none.
        """
        if not self.path:
            raise UserError('the run was trained from Python: atelier.load(folder, build) opens it')
        return ROOT / self.path

    def source(self) -> str:
        """The text of the config file; empty where there is none."""
        return self.file.read_text() if self.path and self.file.is_file() else ''

    def module(self) -> types.ModuleType:
        """The config file, imported from the repository; never code from a run folder.

        Raises:
          UserError: the file is missing, or does not define what a config must.
        """
        if not self.file.is_file():
            raise UserError(f'no config file {self.file}')
        spec = importlib.util.spec_from_file_location(f'config_{self.file.stem}', self.file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        missing = [name for name in ('get_config', 'build') if not hasattr(module, name)]
        if missing:
            raise UserError(f'{self.file} is not a config: it has no {" and no ".join(missing)}')
        return module

    def config(self) -> ConfigDict:
        """The config as the file gives it."""
        return self.module().get_config(self.argument)


class Run(NamedTuple):
    """Everything of a run but its weights: what training, evaluation and applications take."""

    folder: pathlib.Path
    recipe: Recipe
    config: ConfigDict
    family: Family
    data: dataset.Dataset
    init_from: str | None = None  # the folder of the run whose weights it starts with


def assemble(
    folder: pathlib.Path,
    which: Recipe,
    config: ConfigDict,
    build: Build | None = None,
    init_from: str | None = None,
    data: dataset.Dataset | None = None,
) -> Run:
    """Loads the data and builds the family that `config` describes.

    `build` stands for that of the recipe's file, and `data` for those that the config names.
    """
    build = build or which.module().build
    data = dataset.load(config) if data is None else data
    config = with_batch_size(config, data)
    return Run(folder, which, config, build(config, data.spec), data, init_from)


def with_batch_size(config: ConfigDict, data: dataset.Dataset) -> ConfigDict:
    """`config`, whose minibatch of 0 examples becomes one of the whole training split."""
    if config.train.batch_size != 0:
        return config
    config = config.copy_and_resolve_references()
    config.train.batch_size = data.size('train')
    return config


def recipe(flag: str) -> Recipe:
    """Splits the value of --config, PATH or PATH:ARGUMENT."""
    path, _, argument = flag.partition(':')
    full = user_path(path).resolve()
    inside = full.is_relative_to(ROOT)
    return Recipe(str(full.relative_to(ROOT) if inside else full), argument or None)


def default_folder(which: Recipe, config: ConfigDict) -> pathlib.Path:
    """runs/vae-digits, or runs/vae-digits-debug."""
    words = [pathlib.Path(which.path).stem, config.data.name]
    extra = [w for w in (which.argument or '').replace(':', ',').split(',') if w not in words]
    return pathlib.Path('runs') / '-'.join([*words, *filter(None, extra)]).replace('/', '-')
