"""Plans a sweep: its members, and the groups that one program can train."""

import contextlib
import json
import pathlib
from collections.abc import Sequence

from ml_collections import ConfigDict

from atelier.checkout import ConfigFile
from atelier.core.optimizers import check_hypers
from atelier.data import dataset
from atelier.errors import UserError, about, reading
from atelier.run import limits
from atelier.run.config_values import flatten
from atelier.run.experiment import Run, built, parent_of, with_batch_size, with_shape
from atelier.sweep.axes import Setting, folder_names
from atelier.training.checks import check_seed

TRACED_FIELDS = ('seed', 'hypers.')  # traced, so members of one program may differ in these


def with_setting(config: ConfigDict, setting: Setting) -> ConfigDict:
    """Returns a copy of `config` with the values of `setting`.

    Raises:
      UserError: a value is invalid for its field.
    """
    copy = ConfigDict(config.to_dict())
    try:
        copy.update_from_flattened_dict(setting)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f'--sweep: {error}') from error
    return copy.lock()


def runs_of(
    folder: pathlib.Path,
    config_file: ConfigFile,
    config: ConfigDict,
    settings: Sequence[Setting],
    init_from: str | None = None,
    may_prepare: bool = False,
) -> dict[str, Run]:
    """Returns {name: run} for all settings, in `folder`; runs with the same data share arrays.

    `may_prepare` is as in `dataset.load`.

    Raises:
      UserError: no run can be built from one of the settings.
    """
    data, runs = {}, {}
    for name, setting in zip(_names_in(folder, settings), settings, strict=True):
        member_config = with_setting(config, setting)
        with about(name):
            check_seed(member_config)
            check_hypers(member_config.hypers)
            _check_validation(member_config)
            limits.check_integers(member_config)
            data_key = json.dumps(member_config.data.to_dict())
            if data_key not in data:
                parent, encoded = parent_of(folder / name, member_config)
                data[data_key] = dataset.load(member_config, may_prepare, encoded), parent
            own_data, parent = data[data_key]
            member_config = with_batch_size(member_config, own_data)
            family = built(config_file.build, member_config, own_data.spec)
        runs[name] = Run(
            *(folder / name, config_file, member_config, family, own_data, init_from),
            parent=with_shape(parent, own_data),
        )
    return runs


def _check_validation(config: ConfigDict) -> None:
    if config.data.train_on_valid:
        raise UserError(
            'config.data.train_on_valid=True: a sweep compares its members by validation, which '
            'they would be trained on; sweep without it, then give the best member --refit'
        )


def _names_in(folder: pathlib.Path, settings: Sequence[Setting]) -> list[str]:
    """Returns the names of the members; those that an earlier version gave are kept."""
    earlier = folder_names(settings, short_paths=False)
    with reading(folder):
        has_begun = any((folder / name).exists() for name in earlier)
    return earlier if has_begun else folder_names(settings)


def groups_of(runs: dict[str, Run]) -> list[list[Run]]:
    """Groups runs that differ only in seed and hypers, ordered by their first run.

    All runs of a group get the family of the first run, because seed and hypers do not change the
    family's functions.
    """
    groups: dict[str, list[Run]] = {}
    for run in runs.values():
        values = flatten(run.config.to_dict())
        kept = {name: value for name, value in values.items() if not name.startswith(TRACED_FIELDS)}
        group = groups.setdefault(json.dumps(kept), [])
        group.append(run._replace(family=group[0].family if group else run.family))
    return list(groups.values())


def programs_of(groups: list[list[Run]], num_shards: int) -> list[list[Run]]:
    """Returns the members of each program: a group, split if there are fewer groups than shards."""
    num_per_group = -(-num_shards // len(groups))
    programs = []
    for group in groups:
        size = -(-len(group) // num_per_group)
        programs += [group[i : i + size] for i in range(0, len(group), size)]
    return programs


def shard_of(text: str) -> tuple[int, int]:
    """Parses i/n with i from 1 to n; the empty string means 1/1.

    Raises:
      UserError: the text has another form.
    """
    if not text:
        return 1, 1
    first, _, last = text.partition('/')
    with contextlib.suppress(ValueError):
        index, count = int(first), int(last)
        if 1 <= index <= count:
            return index, count
    raise UserError(f'--sweep_shard={text}: give i/n, the i-th of n shards, as in 1/4 to 4/4')
