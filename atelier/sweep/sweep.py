"""`--mode=sweep`: every setting of some axes trained, each in a run folder of its own."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from atelier.checkout import ConfigFile
from atelier.errors import UserError, about
from atelier.log import counted, log
from atelier.run.config_values import flatten
from atelier.run.experiment import Run
from atelier.sweep import axes as axes_lib
from atelier.sweep import folder as sweep_folder
from atelier.sweep import plan, table
from atelier.sweep.axes import Setting
from atelier.sweep.group import train_together
from atelier.training.checks import check_training


class Sweep(NamedTuple):
    """What a sweep consists of; its sweep.json is written."""

    folder: pathlib.Path
    fields: list[str]
    settings: dict[str, Setting]  # by the member's name
    runs: dict[str, Run]
    groups: list[list[Run]]  # that one program trains


def prepare(
    folder: pathlib.Path,
    which: ConfigFile,
    config: ConfigDict,
    axes: Sequence[str] = (),
    num_random: int = 0,
    init_from: str | None = None,
) -> Sweep:
    """Checks everything that can be checked before training, and writes sweep.json.

    Args:
      folder: of the sweep; it may be one that goes on.
      which: the config file.
      config: what members have in common.
      axes: as --sweep takes them; by default those that the config file's `get_sweep()` returns.
      num_random: draws of the axes that are ranges.
      init_from: a run whose weights all members begin with.

    Raises:
      UserError: an axis or a setting that cannot be, or a folder of something else.
    """
    axes = list(axes) or own_axes(which)
    values = flatten(config.to_dict())
    parsed = [axes_lib.parse(text, values) for text in axes]
    found = axes_lib.settings(parsed, num_random, config.seed)
    record = sweep_folder.record_of(which, config, axes, num_random, init_from)
    sweep_folder.check_same(folder, record)
    runs = plan.runs_of(folder, which, config, found, init_from)
    groups = plan.groups_of(runs)
    for group in groups:
        with about(group[0].folder.name):
            check_training(group[0], num_devices=1)
    sweep_folder.write(folder, record)
    fields = [axis.field for axis in parsed]
    return Sweep(folder, fields, dict(zip(runs, found, strict=True)), runs, groups)


def train(
    of: Sweep, shard: tuple[int, int] = (1, 1), devices: Sequence[jax.Device] | None = None
) -> list[dict[str, Any]]:
    """Trains every member, or goes on with it; returns a row a member.

    Members are ordinary runs in folders of the sweep's. Those that differ in seed and hypers alone
    train in one program, spread over the devices. A process that is killed and started again ends
    with bitwise the same States.

    Args:
      of: what `prepare` returned.
      shard: (i, n), to train the i-th of n shards alone.
      devices: all of this process by default.

    Raises:
      UserError: as `summed_up`, or a member's folder is another run's.
      Stopped: after SIGTERM or SIGINT; the same again continues.
    """
    number, count = shard
    parts = plan.parts_of(of.groups, count)
    mine = parts[number - 1 :: count]
    members, programs = counted(len(of.runs), 'member'), counted(len(parts), 'program')
    log.info('%s: %s, %s', of.folder, members, programs)
    if count > 1:
        log.info('shard %d of %d: %s', number, count, counted(sum(map(len, mine)), 'member'))
    for part in mine:
        train_together(of.folder, part, devices or jax.local_devices())
    return summed_up(of)


def summed_up(of: Sweep) -> list[dict[str, Any]]:
    """A row for each member, also of other shards; writes and shows the table and the picture.

    Raises:
      UserError: all members failed, or nothing can be written.
    """
    rows = table.rows_of(of.runs, of.settings)
    table.show(of.folder, rows, of.fields, table.metric_of(of.groups[0][0], rows, of.fields))
    failed = [row['member'] for row in rows if row['status'] == 'failed']
    if len(failed) == len(rows):
        reason = sweep_folder.failure_of(of.folder / failed[0])
        raise UserError(f'all {len(rows)} members failed; {failed[0]}: {reason}')
    return rows


def own_axes(which: ConfigFile) -> list[str]:
    """The axes that a config file proposes.

    Raises:
      UserError: it proposes none.
    """
    axes = which.axes()
    if axes is None:
        raise UserError(
            f'{which} has no get_sweep(): give axes, as in --sweep=hypers.learning_rate=1e-3,3e-3 '
            '--sweep=seed=0:4'
        )
    return axes
