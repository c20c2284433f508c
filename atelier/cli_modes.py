"""Runs a parsed command: train, evaluate, compare, sweep, or an application."""

import contextlib
from collections.abc import Iterator

from absl import flags

from atelier import applications, checkout, leftovers
from atelier.cli_built_in import BUILT_IN, WITHOUT_CONFIG
from atelier.cli_flags import Command
from atelier.core import devices
from atelier.data import cache
from atelier.errors import UserError, first_line
from atelier.evaluation import evaluate, printed
from atelier.multihost import processes
from atelier.paths import user_path
from atelier.run import experiment, run_folder
from atelier.run.run_path import init_from_path
from atelier.training import refit


def perform(command: Command) -> None:
    """Assembles the run that the command line names and passes it to the mode.

    Raises:
      UserError: the flags do not name a run, or the mode raises it.
    """
    values = command.values
    _refuse_flags_of_other_modes(values)
    leftovers.remove_folders()
    cache.remove_leftovers()
    if _are_several(values):
        processes.join(values.coordinator, values.num_processes, values.process_id)
    with processes.ending_together(), _reporting_full_memory():
        _perform(command)


@contextlib.contextmanager
def _reporting_full_memory() -> Iterator[None]:
    """Reports full memory in one line, because sizes that the user chose have filled it.

    Raises:
      UserError: the memory of the machine or of a device is full.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # XLA raises a RuntimeError
        reason = first_line(error)
        if not isinstance(error, MemoryError) and not reason.startswith('RESOURCE_EXHAUSTED'):
            raise
        raise UserError(
            f'memory is full ({reason or "MemoryError"}): choose smaller sizes in the config, such '
            'as the batch sizes, or smaller options of the mode'
        ) from error


def _are_several(values: flags.FlagValues) -> bool:
    """Whether this is one of several processes.

    Raises:
      UserError: the flags for several processes are inconsistent.
    """
    numbered = values['num_processes'].present or values['process_id'].present
    if values.cluster and (values.coordinator or numbered):
        raise UserError('--cluster replaces --coordinator, --num_processes and --process_id')
    if not values.cluster and not values.coordinator and numbered:
        raise UserError('--num_processes and --process_id are for --coordinator=HOST:PORT')
    several = bool(values.cluster or values.coordinator)
    if several and values.mode not in ('train', 'evaluate'):
        raise UserError(f'--mode={values.mode} runs in one process')
    if values.coordinator and not values['num_processes'].present:
        raise UserError('--coordinator needs --num_processes and --process_id')
    return several


def _perform(command: Command) -> None:
    values = command.values
    if values.mode in WITHOUT_CONFIG and command.is_config_typed:
        raise UserError(f'--mode={values.mode} takes no --config: it reads folders of runs')
    if values.mode in ('compare', 'report', 'sweep'):
        _perform_of_several(command)
    else:
        _hand_over(command, _run_of(command))


def _perform_of_several(command: Command) -> None:
    """Performs a mode of several runs. Its imports wait: the start of a training needs none."""
    values = command.values
    if values.mode == 'compare':
        from atelier.evaluation import compare

        compare.compare(values.runs, user_path(values.workdir or 'runs/compare'))
    elif values.mode == 'report':
        from atelier.sweep import report

        report.write_report(values.runs, values.workdir)
    else:
        from atelier import cli_sweep

        cli_sweep.perform(command)


def _run_of(command: Command) -> experiment.Run:
    """Assembles the run to train from --config, or reopens the folder's run."""
    values, config_file, config = command.values, command.config_file, command.config
    folder = user_path(values.workdir or checkout.default_folder(config_file, config))
    if values.mode == 'train' and command.is_config_typed:
        init_from = init_from_path(values.init_from)
        processes.on_first(lambda: run_folder.check_same(folder, config_file, config, init_from))
        config.data.split_by = processes.text_from_first(config.data.split_by)  # that of the run
        return experiment.assemble(
            folder, config_file, config, init_from=init_from, read=experiment.prepared_data
        )
    if values.init_from is not None:
        raise UserError('--init_from is for a new run: give --config=configs/NAME.py too')
    reads = None if command.application else 'an evaluation reads the test split'
    return run_folder.reopen(
        folder,
        command.overrides,
        config_file=config_file,
        to_train=values.mode == 'train',
        reads=reads,  # `applications.perform` reads them for an application that needs them
    )


def _refuse_flags_of_other_modes(values: flags.FlagValues) -> None:
    modes_of: dict[str, list[str]] = {}
    for name, mode in BUILT_IN.items():
        for flag in mode.own_flags:
            modes_of.setdefault(flag, []).append(name)
    for flag, names in modes_of.items():
        if values[flag].present and values.mode not in names:
            raise UserError(f'--{flag} is for --mode={" and --mode=".join(names)}')


def _hand_over(command: Command, run: experiment.Run) -> None:
    devices.enable_compilation_cache()
    if command.application:
        applications.perform(command.application, run, **command.options)
        return
    if command.values.refit:
        refit.check_can_choose(run.config)
    if command.values.mode == 'train':
        checkout.train_lib().train(run, profile=command.values.profile)
    _evaluate(run, reuse=command.values.mode == 'train')
    if command.values.refit:
        run = refit.refit_of(run)
        checkout.train_lib().train(run)
        _evaluate(run, reuse=True)


def _evaluate(run: experiment.Run, reuse: bool) -> None:
    result = evaluate.evaluate(run, reuse=reuse)
    if processes.is_first():
        printed.show(result, run)
