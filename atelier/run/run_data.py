"""The data of a recorded run: read at once, when an example is needed, or never."""

import contextlib
import pathlib
from typing import Any

from ml_collections import ConfigDict

from atelier.data import dataset, kinds
from atelier.data.dataset import Dataset
from atelier.data.sources import settings_of
from atelier.data.stand_in import StandIn
from atelier.errors import UserError, about
from atelier.paths import user_path
from atelier.run import data_record
from atelier.run.data_record import DataRecord
from atelier.run.experiment import Encoded, Run
from atelier.run.provenance import warn_if_data_changed


def of_record(
    folder: pathlib.Path,
    config: ConfigDict,
    record: dict[str, Any],
    recorded: DataRecord | None,
    encoded: Encoded | None = None,
) -> Dataset:
    """Returns the data of the run in `folder`: a stand-in, which reads them when needed.

    The data of a run of an earlier version are read at once, because its record is too short.

    Args:
      folder: of the run.
      config: of the run, which says where the data are.
      record: as `run_folder.load` returns it.
      recorded: what `data_record.read` makes of it.
      encoded: as for `dataset.load`.

    Raises:
      UserError: an example would not fit into memory, data that are read are gone or of another
        kind, or `config.data.draw_as` does not fit their shape.
    """

    def read() -> Dataset:
        data = _loaded(config, encoded)
        warn_if_data_changed(folder, data, record)
        return data

    if recorded is not None:
        draw_as = config.data.get('draw_as', kinds.AUTO)  # may change after training
        recorded = recorded._replace(spec=kinds.with_kind(recorded.spec, draw_as))
        return data_record.stand_in_for(folder / 'config.json', recorded, read)
    with about(
        f'every mode needs the data of {folder}, because its config.json does not describe them, '
        'as those of earlier versions and of very wide tables'
    ):
        return read()


def with_data(run: Run, why: str) -> Run:
    """Returns the run with its data, read if they have not been read yet.

    Args:
      run: the run.
      why: reason for reading them, for the message if they are gone: 'it reconstructs examples'.

    Raises:
      UserError: the data are gone or of another kind.
    """
    if not isinstance(run.data, StandIn):
        return run
    with _needed(run.folder, why):
        return run._replace(data=run.data.read())


def for_training(
    folder: pathlib.Path, config: ConfigDict, encoded: Encoded | None = None
) -> Dataset:
    """Returns the data on which the run in `folder` is trained further, without comparing them.

    `encoded` is as for `dataset.load`.

    Raises:
      UserError: they are gone.
    """
    with _needed(folder, 'it is trained on them'):
        return _loaded(config, encoded)


def _needed(folder: pathlib.Path, why: str) -> contextlib.AbstractContextManager[None]:
    return about(f'the data of {folder} are needed, because {why}')


def _loaded(config: ConfigDict, encoded: Encoded | None) -> Dataset:
    try:
        return dataset.load(config, encoded=encoded)
    except UserError as error:
        raise UserError(f'{error}{_advice(config)}') from error


def _advice(config: ConfigDict) -> str:
    """Returns the flag that names the new path of data that are gone, after '; ', or ''.

    A field that the source does not read has no advice: the error says to omit it.
    """
    for field in (each for each in ('path', 'data_dir') if each in settings_of(config.data.name)):
        path = config.data.get(field)
        if path and not user_path(path).exists():
            return f'; if {path} has moved, give --config.data.{field}=PATH'
    return ''
