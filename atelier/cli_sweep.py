"""Runs a parsed command of `--mode=sweep`."""

from atelier import checkout
from atelier.cli_flags import Command
from atelier.core import devices
from atelier.errors import UserError
from atelier.paths import user_path
from atelier.run import config_values
from atelier.run.run_path import init_from_path
from atelier.sweep import folder as sweep_folder
from atelier.sweep import launch, plan, sweep


def perform(command: Command) -> None:
    """Trains the sweep of the flags, or its shard, or launches its shards as jobs.

    Raises:
      UserError: the flags do not name a sweep, or the training raises it.
    """
    values, shard = command.values, plan.shard_of(command.values.sweep_shard)
    if values.launcher and values.sweep_shard:
        raise UserError('--launcher makes the shards itself: leave out --sweep_shard')
    if not values.launcher and (values['launcher_jobs'].present or values.launcher_option):
        raise UserError('--launcher_jobs and --launcher_option are for --launcher')
    prepared = _prepared(command)
    if values.launcher:
        folder, options = prepared.folder, values.launcher_option
        flags = checkout.trust_flags()
        launch.launch(folder, values.launcher, values.launcher_jobs, options, flags)
        if values.launcher == launch.LOCAL:
            sweep.summarize(prepared)
        return
    devices.enable_compilation_cache()
    sweep.train(prepared, shard)


def _prepared(command: Command) -> sweep.Sweep:
    """Returns the sweep of the flags; without --config, the one in --workdir supplies the rest."""
    values, config_file, config = command.values, command.config_file, command.config
    default = checkout.default_folder(config_file, config)
    folder = user_path(values.workdir or default.with_name(f'sweep-{default.name}'))
    axes, num_random, init_from = values.sweep, values.sweep_random, values.init_from
    if not command.is_config_typed:
        record = sweep_folder.load(folder)
        may_change = ('eval.', *config_values.MAY_MOVE, 'train.steps')
        config_values.with_values(
            config, record['values'], command.overrides, may_change, folder / sweep_folder.NAME
        )
        axes, num_random = axes or record['axes'], num_random or record['num_random']
        init_from = init_from or record['init_from']
    init_from = init_from_path(init_from)
    may_prepare = command.is_config_typed  # not if sweep.json names the data
    return sweep.prepare(
        folder, config_file, config, axes, num_random, init_from, may_prepare=may_prepare
    )
