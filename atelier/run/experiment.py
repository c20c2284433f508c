"""A run, assembled from a config file, its config and its data."""

import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from atelier.checkout import ConfigFile
from atelier.core.code_space import CodeSpace
from atelier.core.family import Family
from atelier.core.precision import of_config, with_precision
from atelier.data import dataset
from atelier.data.sources import CODES
from atelier.errors import UserError
from atelier.run import limits
from atelier.run.config_values import config_with_absolute_paths
from atelier.run.refit import Choice

Build = Callable[[ConfigDict, dataset.Spec], Family]
Encoded = Callable[[], dataset.Dataset]


class Parent(NamedTuple):
    """The run whose codes are the data of another one.

    run: opened for use; its data are read when codes are encoded.
    digest: of its config and its weights, 64 hexadecimal digits.
    step: of the checkpoint with these weights.
    space: its codes, as x of the other run.
    """

    run: 'Run'
    digest: str
    step: int
    space: CodeSpace


class Run(NamedTuple):
    """A run without its weights, which is the input of training, evaluation and applications.

    `parent` is that of a run of codes: its data are the parent's codes, which `family` models.
    `two_stage.used` returns the same run as it is used: its data are those of the parent, and its
    family models them. `child` is then the run of codes.
    """

    folder: pathlib.Path
    config_file: ConfigFile
    config: ConfigDict
    family: Family
    data: dataset.Dataset
    init_from: str | None = None  # folder of the run whose weights initialize this one
    choice: Choice | None = None  # of a refit: what its choosing run chose
    parent: Parent | None = None
    child: 'Run | None' = None

    def __repr__(self) -> str:
        """Short, for notebooks, because the fields hold whole data sets."""
        return f'Run({str(self.folder)!r}, config={str(self.config_file)!r})'


def assemble(
    folder: pathlib.Path,
    config_file: ConfigFile,
    config: ConfigDict,
    build: Build | None = None,
    init_from: str | None = None,
    read: Callable[..., dataset.Dataset] = dataset.load,
    choice: Choice | None = None,
) -> Run:
    """Reads the data and builds the family that `config` describes; its paths become absolute.

    `build` replaces that of the config file. `read(config)` returns the data that a config names;
    those of a run of codes are `read(config, encoded=...)`, as for `dataset.load`. `choice` is that
    of a refit.

    Raises:
      UserError: `build` does not return a Family, a size in the config is too large, the parent
        cannot be opened, or `read` raises it.
    """
    limits.check_integers(config)
    config = config_with_absolute_paths(config)
    parent, encoded = parent_of(folder, config, choice)
    data = read(config) if parent is None else read(config, encoded=encoded)
    config = with_batch_size(config, data)
    family = built(build or config_file.build, config, data.spec)
    if not isinstance(family, Family):
        raise UserError(f'{config_file}: build returns a {type(family).__name__}, not a Family')
    parent = with_shape(parent, data)
    return Run(folder, config_file, config, family, data, init_from, choice, parent)


def parent_of(
    folder: pathlib.Path, config: ConfigDict, choice: Choice | None = None
) -> tuple[Parent | None, Encoded | None]:
    """Returns the parent of a run of codes and what encodes its data; of other runs (None, None).

    Args:
      folder: of the run.
      config: of the run.
      choice: of a refit, which has the parent of its choosing run.

    Raises:
      UserError: the parent cannot be opened.
    """
    if config.data.name != CODES:
        return None, None
    from atelier.run import parent_codes  # which imports this module

    return parent_codes.opened(folder, config, choice)


def with_shape(parent: Parent | None, data: dataset.Dataset) -> Parent | None:
    """Returns the parent, if any, whose codes have the shape of these data."""
    if parent is None:
        return None
    return parent._replace(space=parent.space._replace(shape=data.spec.event_shape))


def prepared_data(config: ConfigDict, encoded: Encoded | None = None) -> dataset.Dataset:
    """Returns the data of a config that the user gives now, which TFDS may download and prepare.

    `encoded` is as for `dataset.load`, which raises the errors.
    """
    return dataset.load(config, may_prepare=True, encoded=encoded)


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
