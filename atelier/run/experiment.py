"""A run, assembled from a config file, its config and its data."""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from atelier.checkout import ConfigFile
from atelier.core.family import Family
from atelier.core.precision import of_config, with_precision
from atelier.data import dataset
from atelier.errors import UserError
from atelier.run import limits
from atelier.run.config_values import config_with_absolute_paths
from atelier.run.refit import Choice

Build = Callable[[ConfigDict, dataset.Spec], Family]


class Run(NamedTuple):
    """A run without its weights, which is the input of training, evaluation and applications."""

    folder: pathlib.Path
    config_file: ConfigFile
    config: ConfigDict
    family: Family
    data: dataset.Dataset
    init_from: str | None = None  # folder of the run whose weights initialize this one
    choice: Choice | None = None  # of a refit: what its choosing run chose

    def __repr__(self) -> str:
        """Short, for notebooks, because the fields hold whole data sets."""
        return f'Run({str(self.folder)!r}, config={str(self.config_file)!r})'


def assemble(
    folder: pathlib.Path,
    config_file: ConfigFile,
    config: ConfigDict,
    build: Build | None = None,
    init_from: str | None = None,
    read: Callable[[ConfigDict], dataset.Dataset] = dataset.load,
    choice: Choice | None = None,
) -> Run:
    """Reads the data and builds the family that `config` describes; its paths become absolute.

    `build` replaces that of the config file. `read` returns the data that a config names.
    `choice` is that of a refit.

    Raises:
      UserError: `build` does not return a Family, a size in the config is too large, or `read`
        raises it.
    """
    limits.check_integers(config)
    config = config_with_absolute_paths(config)
    data = read(config)
    config = with_batch_size(config, data)
    family = built(build or config_file.build, config, data.spec)
    if not isinstance(family, Family):
        raise UserError(f'{config_file}: build returns a {type(family).__name__}, not a Family')
    return Run(folder, config_file, config, family, data, init_from, choice)


def prepared_data(config: ConfigDict) -> dataset.Dataset:
    """Returns the data of a config that the user gives now, which TFDS may download and prepare.

    Raises:
      UserError: as `dataset.load`.
    """
    return dataset.load(config, may_prepare=True)


def built(build: Build, config: ConfigDict, spec: dataset.Spec) -> Any:
    """Returns what `build` makes of a config, which should be a Family, in the config's precision.

    Raises:
      UserError: `build` raises it, or needs more memory than there is.
    """
    with limits.within_memory(config):
        family = build(config, spec)
    is_family = isinstance(family, Family)
    return with_precision(family, of_config(config.train)) if is_family else family


def with_batch_size(config: ConfigDict, data: dataset.Dataset) -> ConfigDict:
    """Replaces train.batch_size=0 by the size of the training split."""
    if config.train.batch_size != 0:
        return config
    config = config.copy_and_resolve_references()
    config.train.batch_size = data.size('train')
    return config
