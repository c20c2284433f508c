"""`--mode=sweep`: trains a run for every setting of the axes, each in its own folder."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from atelier.checkout import ConfigFile
from atelier.errors import UserError, about
from atelier.log import counted, log
from atelier.report import board
from atelier.run.config_values import flatten
from atelier.run.experiment import Run
from atelier.sweep import axes as axes_lib
from atelier.sweep import folder as sweep_folder
from atelier.sweep import plan, reconstructions, table
from atelier.sweep.axes import Setting
from atelier.sweep.group import train_together
from atelier.training.checks import check_training


class Sweep(NamedTuple):
    """A prepared sweep, whose sweep.json exists."""

    folder: pathlib.Path
    fields: list[str]
    settings: dict[str, Setting]  # by member name
    runs: dict[str, Run]
    groups: list[list[Run]]  # each can be trained by one program


def prepare(
    folder: pathlib.Path,
    config_file: ConfigFile,
    config: ConfigDict,
    axes: Sequence[str] = (),
    num_random: int = 0,
    init_from: str | None = None,
    may_prepare: bool = False,
) -> Sweep:
    """Checks everything that can be checked before training, and writes sweep.json.

    Args:
      folder: the folder of the sweep, new or to be continued.
      config_file: the config file.
      config: the values that all members share; an existing sweep keeps the rules of its data.
      axes: in the format of --sweep; by default those of the config file's `get_sweep()`.
      num_random: number of draws from the axes that are ranges.
      init_from: a run whose weights initialize all members.
      may_prepare: whether TFDS may download the data, because the user names them now.

    Raises:
      UserError: an axis or setting is invalid, or the folder holds something else.
    """
    axes = list(axes) or own_axes(config_file)
    sweep_folder.adopt_data_rules(folder, config)
    values = flatten(config.to_dict())
    axes = sweep_folder.with_absolute_paths(folder, axes, values)
    parsed = [axes_lib.parse(text, values) for text in axes]
    settings = axes_lib.settings(parsed, num_random, config.seed)
    record = sweep_folder.record_of(config_file, config, axes, num_random, init_from)
    sweep_folder.check_same(folder, record)
    runs = plan.runs_of(folder, config_file, config, settings, init_from, may_prepare)
    groups = plan.groups_of(runs)
    for group in groups:
        with about(group[0].folder.name):
            check_training(group[0], num_devices=1)
    sweep_folder.write(folder, record)
    fields = [axis.field for axis in parsed]
    return Sweep(folder, fields, dict(zip(runs, settings, strict=True)), runs, groups)


def train(
    sweep: Sweep, shard: tuple[int, int] = (1, 1), devices: Sequence[jax.Device] | None = None
) -> list[dict[str, Any]]:
    """Trains or resumes every member; returns a row per member.

    Members are ordinary runs in subfolders of the sweep. Those that differ only in seed and hypers
    train in one program, spread over the devices. If the process is killed and the same command is
    repeated, the final States are bitwise the same as without the interruption.

    Args:
      sweep: the result of `prepare`.
      shard: (i, n), to train only the i-th of n shards.
      devices: by default all devices of this process.

    Raises:
      UserError: as in `summarize`, or a member's folder belongs to another run.
      Stopped: after SIGTERM or SIGINT; the same call resumes.
    """
    index, count = shard
    programs = plan.programs_of(sweep.groups, count)
    own_programs = programs[index - 1 :: count]
    counts = counted(len(sweep.runs), 'member'), counted(len(programs), 'program')
    log.info('%s: %s, %s', sweep.folder, *counts)
    log.info('to watch: %s', board.command(sweep.folder))
    if count > 1:
        log.info('shard %d of %d: %s', index, count, counted(sum(map(len, own_programs)), 'member'))
    for runs in own_programs:
        train_together(sweep.folder, runs, devices or jax.local_devices())
    return summarize(sweep)


def summarize(sweep: Sweep) -> list[dict[str, Any]]:
    """Returns a row per member of all shards; writes and shows the table and the figures.

    Raises:
      UserError: all members failed, or a file cannot be written.
    """
    rows = table.rows_of(sweep.runs, sweep.settings)
    metric = table.metric_of(sweep.groups[0][0].config.train, rows, sweep.fields)
    table.show(sweep.folder, rows, sweep.fields, metric)
    reconstructions.show(sweep.folder, sweep.runs, sweep.settings, rows)
    failed = [row['member'] for row in rows if row['status'] == 'failed']
    if len(failed) == len(rows):
        reason = sweep_folder.failure_of(sweep.folder / failed[0])
        raise UserError(f'all of {counted(len(rows), "member")} failed; {failed[0]}: {reason}')
    return rows


def own_axes(config_file: ConfigFile) -> list[str]:
    """Returns the axes of the config file's `get_sweep()`.

    Raises:
      UserError: the file has none.
    """
    axes = config_file.axes()
    if axes is None:
        raise UserError(
            f'{config_file} has no get_sweep(): give axes, as in '
            '--sweep=hypers.learning_rate=1e-3,3e-3 --sweep=seed=0:4'
        )
    return axes
