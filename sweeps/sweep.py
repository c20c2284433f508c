"""`--mode=sweep`: every setting of some axes trained, each in a run folder of its own."""

import pathlib
from collections.abc import Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from checks import check_training
from errors import UserError, about
from experiment import Recipe
from reporting import log
from run_values import flatten
from sweeps import axes as axes_lib
from sweeps import folder as sweep_folder
from sweeps import plan, table
from sweeps.together import train_together


def sweep(
    folder: pathlib.Path,
    which: Recipe,
    config: ConfigDict,
    axes: Sequence[str] = (),
    num_random: int = 0,
    shard: str = '',
    init_from: str | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> list[dict[str, Any]]:
    """Trains every combination of the axes' values, or goes on with it; returns a row a member.

    Members are ordinary runs in folders of `folder`. Those that differ in seed and hypers alone
    train in one program, spread over the devices. A process that is killed and started again ends
    with bitwise the same States.

    Args:
      folder: of the sweep.
      which: the config file.
      config: what members have in common.
      axes: as --sweep takes them; by default those that the config file's `get_sweep()` returns.
      num_random: draws of the axes that are ranges.
      shard: 'i/n', to train the i-th of n shards alone.
      init_from: a run whose weights all members begin with.
      devices: all of this process by default.

    Raises:
      UserError: an axis, a setting or a shard that cannot be, a folder of something else, or no
        member that did not fail.
      Stopped: after SIGTERM or SIGINT; the same again continues.
    """
    if jax.process_count() > 1:
        raise UserError('a sweep is trained by one process: give each machine a --sweep_shard')
    devices = devices or jax.local_devices()
    number, count = plan.shard_of(shard)
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
    parts = plan.parts_of(groups, count)
    mine = parts[number - 1 :: count]
    log.info('%s: %d members, %d programs', folder, len(runs), len(parts))
    if count > 1:
        log.info('shard %d of %d: %d members', number, count, sum(map(len, mine)))
    for part in mine:
        train_together(folder, part, devices)
    rows = table.rows_of(runs, dict(zip(runs, found, strict=True)))
    fields = [axis.field for axis in parsed]
    table.show(folder, rows, fields, table.metric_of(groups[0][0], rows, fields))
    failed = [row['member'] for row in rows if row['status'] == 'failed']
    if len(failed) == len(rows):
        raise UserError(
            f'all {len(rows)} members failed; {sweep_folder.failure_of(folder / failed[0])}'
        )
    return rows


def own_axes(which: Recipe) -> list[str]:
    """The axes that a config file proposes.

    Raises:
      UserError: it proposes none.
    """
    get_sweep = getattr(which.module(), 'get_sweep', None)
    if get_sweep is None:
        raise UserError(
            f'{which} has no get_sweep(): give axes, as in --sweep=hypers.learning_rate=1e-3,3e-3 '
            '--sweep=seed=0:4'
        )
    return list(get_sweep())
