"""The training loop: compiled dispatches of many steps, and the host's work between them.

The State of a Run (config, family, data) is restored from a checkpoint or initialized. A dispatch
is one call of a `Program`, a pure function compiled for all devices. The host feeds it data, and it
advances the State by many steps. After each dispatch the host logs and checks the report of each
`Member`. It then evaluates the validation split and saves checkpoints, if these are due. A State
with non-finite values is never saved.
"""

import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator, Sequence

import jax
from ml_collections import ConfigDict
from tqdm import tqdm

from atelier.core import devices as device_lib
from atelier.core.game import State
from atelier.core.types import num_parameters
from atelier.errors import UserError
from atelier.log import counted, log
from atelier.multihost import processes
from atelier.report import board
from atelier.run import data_table, run_folder
from atelier.run.checkpoint import Memory
from atelier.run.experiment import Run
from atelier.run.restore import Start
from atelier.training import augmented_picture
from atelier.training.checks import check_training
from atelier.training.dispatch import Program, data_parallel, suggest_cadences
from atelier.training.session import Member, first_save_is_due
from atelier.training.stop_signals import Stopped, stop_requests
from atelier.training.trace import traced
from atelier.training.validation import CompiledValidation


def train(run: Run, devices: Sequence[jax.Device] | None = None, profile: bool = False) -> State:
    """Trains `run` to its end, resuming from its newest checkpoint if there is one.

    Returns the final State. The run folder then holds the metrics, images and checkpoints. If the
    process is killed at any moment and the same command is repeated, the final State is bitwise
    the same as without the interruption. `profile` writes a trace of the second dispatch to the
    run folder.

    Raises:
      UserError: the config cannot run here, a loss, gradient or State became non-finite, or the
        disk is full.
      Stopped: after SIGTERM or SIGINT.
    """
    devices = devices or jax.devices()
    check_training(run, len(devices))
    start = Start(run)  # a model that does not fit into memory is refused before files are written
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(processes.folder_of(run.folder))
        run = run._replace(folder=folder)
        stack.enter_context(run_folder.only_trainer(run.folder))
        run_folder.write_config(run, len(devices))
        member = stack.enter_context(contextlib.closing(Member(run, start)))
        state = device_lib.place(_broadcast_start(member), devices)
        step = int(state.step)
        if member.is_done(step):
            log.info('%s is finished at step %d', run.folder, step)
            return state
        announce(run, state, len(devices))
        data_table.write(run.folder, data_table.show(run.data))
        if processes.is_first():
            augmented_picture.save(run)
        member.open(step, CompiledValidation(run, devices))
        program = stack.enter_context(data_parallel(run, step, devices))
        if profile:
            program = traced(program, run.folder, run.config.train.steps - step)
        return loop([member], program, state, step, on_failure=_raise_failure)


def _broadcast_start(member: Member) -> State:
    """Returns the first process's State to start from, restored or initial, in every process.

    Also sets `member.memory` to the first process's Memory.
    """
    state = processes.from_first(member.begin())
    memory = json.loads(processes.text_from_first(json.dumps(member.memory)))
    member.memory = Memory(*memory)
    return state


def _raise_failure(member: Member) -> None:
    raise UserError(member.failure)


def loop(
    members: Sequence[Member],
    program: Program,
    state: State,
    step: int,
    on_failure: Callable[[Member], None],
) -> State:
    """Trains `members` from `step` until all are done; returns the final State.

    All members have the same `config.train`. `on_failure` is called with each member whose loss,
    gradient or State is non-finite; unless it raises, the other members continue.

    Raises:
      UserError: the disk is full.
      Stopped: after SIGTERM or SIGINT, once everything is saved.
    """
    config = members[0].run.config.train
    with (
        stop_requests() as received,
        _bar(config.steps, step) as bar,
    ):
        began_loop = time.perf_counter()
        for i, member in enumerate(members):
            if member.lacks_pictures(step):
                member.draw(program.to_evaluate(program.member(state, i)))
        while active := [i for i, member in enumerate(members) if not member.is_done(step)]:
            began = time.perf_counter()
            state, reports = program.dispatch(state)  # the host waits once per dispatch
            rate = program.num_steps / (time.perf_counter() - began)
            for i in active:
                members[i].write(step, reports[i], rate)
                if members[i].failure:
                    on_failure(members[i])
            step += program.num_steps
            _show(bar, program.num_steps, [reports[i] for i in active], len(members))
            healthy = {i: members[i] for i in active if not members[i].failure}
            if step % config.evaluate_every == 0 or step >= config.steps:
                for i, member in healthy.items():
                    evaluated_state = program.to_evaluate(program.member(state, i))
                    member.validate(evaluated_state, reports[i])
            # read only once: a signal may arrive between two reads
            stop = processes.any_of(bool(received))
            save_all = stop or step % config.checkpoint_every == 0
            is_early = first_save_is_due([*healthy.values()], time.perf_counter() - began_loop)
            for i, member in healthy.items():
                is_due = save_all or member.memory.best_step == step or member.is_done(step)
                if is_due or is_early:
                    keep = save_all or (is_due and len(members) == 1)
                    member.save(program.member(state, i), keep)
            if stop:
                for member in members:
                    member.wait()
                bar.close()
                log.info(
                    'stopped at step %d and saved a checkpoint; repeat the same command '
                    'to continue',
                    step,
                )
                raise Stopped(128 + (received or [signal.SIGTERM])[0])
        for member in members:
            member.wait()
    return state


def announce(run: Run, state: State, num_devices: int) -> None:
    """Logs the model, the data, the devices, the steps to train, and where to watch them."""
    train = run.config.train
    log.info('%s: %s', run.folder, description(run, state))
    log.info(
        '%s, batch %d, steps %d to %d',
        counted(num_devices, f'{jax.devices()[0].platform} device'),
        train.batch_size,
        state.step,
        train.steps,
    )
    if run.config.data.train_on_valid:
        log.info('%s', run.choice or 'trained on train + validation: nothing is chosen on it')
    augmented_picture.announce(run)
    log.info('to watch: %s', board.command(run.folder))
    warn_of_settings([run.config], int(state.step))


def description(run: Run, state: State) -> str:
    """Returns a description of the model and its training data."""
    num_params = num_parameters(state.params)
    players = ', '.join(state.params)
    examples = counted(run.data.size('train'), 'training example')
    params = counted(num_params, 'parameter')
    held_out = [f'{name} {run.data.size(name):,}' for name in run.data.splits if name != 'train']
    data = '; '.join([', '.join(held_out), run.data.description])
    return f'{params} ({players}) on {examples} ({data})'


def warn_of_settings(configs: Sequence[ConfigDict], step: int) -> None:
    """Warns of short dispatches and of schedules that do not fit the steps to train.

    The configs have the same `train`, which may be a sweep's. Each warning is given once.
    """
    hint = suggest_cadences(configs[0].train, step)
    warnings = [hint] if hint else []
    warnings += [warning for config in configs for warning in _schedule_warnings(config)]
    for warning in dict.fromkeys(warnings):
        log.warning('%s', warning)


def _schedule_warnings(config: ConfigDict) -> Iterator[str]:
    steps, hypers = config.train.steps, config.hypers
    if 0 < hypers.get('decay_steps', 0) < steps and hypers.learning_rate_end == 0:
        yield (
            f'the learning rate is 0 from step {hypers.decay_steps:.0f} on '
            '(config.hypers.decay_steps)'
        )
    for name, value in hypers.items():
        if name.endswith('warmup_steps') and value > steps:
            yield (
                f'training ends at step {steps}, before its warm-up '
                f'(config.hypers.{name}={value:g})'
            )
    if config.train.log_every > steps:
        yield (
            f'no step of training is logged: config.train.log_every={config.train.log_every} is '
            f'above config.train.steps={steps}'
        )


def _bar(steps: int, done: int) -> tqdm:
    quiet = not processes.is_first()
    return tqdm(total=steps, initial=done, unit='step', dynamic_ncols=True, disable=quiet)


def _show(bar: tqdm, steps: int, reports: list, num_members: int) -> None:
    """Advances the bar: shows a single run's losses, or how many members of a sweep still train."""
    if num_members == 1:
        (report,) = reports
        losses = {name: f'{v[-1]:.4g}' for name, v in report.items() if name.startswith('loss')}
        bar.set_postfix(losses, refresh=False)
    else:
        bar.set_postfix({'members': len(reports)}, refresh=False)
    bar.update(steps)
