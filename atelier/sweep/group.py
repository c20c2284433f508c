"""Trains members of a sweep in one program, or in several if memory is too small."""

import contextlib
import os
import pathlib
import resource
from collections.abc import Iterator, Sequence

import jax

from atelier import checkout, files
from atelier.core.game import State
from atelier.errors import UserError
from atelier.log import counted, listed, log
from atelier.run import data_table, run_folder
from atelier.run.experiment import Run
from atelier.run.restore import Start
from atelier.sweep import folder as sweep_folder
from atelier.sweep.vmapped_program import Compiled, compiled_for, side_by_side
from atelier.training import augmented_picture
from atelier.training.session import Member
from atelier.training.validation import CompiledValidation

FILES = 12  # open files per member, with a margin


def train_together(
    folder: pathlib.Path, runs: Sequence[Run], devices: Sequence[jax.Device]
) -> None:
    """Trains runs that differ only in seed and hypers, in as many programs as memory requires.

    Args:
      folder: the folder of the sweep.
      runs: members of the sweep.
      devices: the devices over which the members are spread.

    Raises:
      UserError: a folder belongs to another run, none of a member's checkpoints can be read, or the
        disk is full.
      Stopped: after SIGTERM or SIGINT; the same call resumes.
    """
    for members in sweep_folder.programs_begun(folder, runs):
        _train_program(folder, members, devices)


def _train_program(
    folder: pathlib.Path, runs: Sequence[Run], devices: Sequence[jax.Device]
) -> None:
    """Trains runs in one program, or in smaller ones if it does not fit into memory."""
    allow_files(FILES * len(runs))
    start, data = Start(runs[0]), runs[0].data.fingerprint()  # the same for all
    table = data_table.shown_once(runs[0].data, data)
    with contextlib.ExitStack() as stack:
        members = [
            stack.enter_context(_opened(run, start, data, warn=run is runs[0])) for run in runs
        ]
        for run in runs:
            data_table.write(run.folder, table)
        states, step = begin_together(members)
        if step is None:
            names = listed([run.folder.name for run in runs])
            log.info('finished: %s', names)
            return
        path = sweep_folder.program_file(folder, runs)
        form = sweep_folder.chosen_form(path, devices[0].device_kind)
        compiled = compiled_for(runs, step, start.like, devices, form)
        if compiled.forms:
            if form is None:
                sweep_folder.write_program(path, runs, devices[0].device_kind)
            _train(members, states, step, compiled, devices, path)
            return
    del states
    size = compiled.max_members
    log.info('memory holds %s at once: the others train afterwards', counted(size, 'member'))
    for i in range(0, len(runs), size):
        train_together(folder, runs[i : i + size], devices)


def allow_files(count: int) -> None:
    """Lets this process open `count` more files, because the usual limit of 1024 is too low.

    Raises:
      UserError: the system does not allow it.
    """
    soft_limit, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = len(os.listdir('/dev/fd')) + count
    if soft_limit != resource.RLIM_INFINITY and soft_limit < needed:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard_limit))
        except (ValueError, OSError) as error:
            raise UserError(
                f'a sweep of so many members opens {needed} files at once, and the system allows '
                f'{hard_limit}: raise it (ulimit -n {needed}), or train parts (--sweep_shard=1/2)'
            ) from error


@contextlib.contextmanager
def _opened(run: Run, start: Start, data: dict[str, str], warn: bool) -> Iterator[Member]:
    run_folder.check_same(run.folder, run.config_file, run.config, run.init_from, warn)
    with run_folder.only_trainer(run.folder):
        run_folder.write_config(run, 1, data)
        with contextlib.closing(Member(run, start)) as member:
            member.failure = sweep_folder.failure_of(run.folder)
            yield member


def begin_together(members: Sequence[Member]) -> tuple[list[State], int | None]:
    """Returns each member's State, on the host, and the step to resume from (None: all are done).

    The step is the newest one that all members have saved, except those that failed or ran out of
    patience. Members may have saved different steps, because a process may have been killed between
    the saves of two members. Newer checkpoints are deleted.

    Raises:
      UserError: none of a member's checkpoints can be read.
    """
    states = [jax.device_get(member.begin()) for member in members]
    active = [i for i, member in enumerate(members) if not member.is_done(0)]
    if all(members[i].is_done(int(states[i].step)) for i in active):
        return states, None
    while True:
        saved = [{0, *members[i].checkpoints.steps()} for i in active]
        common = max(set.intersection(*saved))
        for i in active:
            if int(states[i].step) != common and members[i].can_go_back_to(common):
                members[i].checkpoints.forget_after(common)
                states[i] = jax.device_get(members[i].begin())
        if all(int(states[i].step) == common for i in active):
            return states, common


def _train(
    members: list[Member],
    states: list[State],
    step: int,
    compiled: Compiled,
    devices: Sequence[jax.Device],
    path: pathlib.Path,
) -> None:
    """Runs the training loop for members whose program is compiled."""
    runs = [member.run for member in members]
    names = listed([run.folder.name for run in runs])
    validation = CompiledValidation(runs[0], devices)
    for member in members:
        if not member.is_done(0):
            member.open(step, validation, log_prefix=f'{member.run.folder.name}: ')

    def on_choice(form: str, seconds: dict[str, float]) -> None:
        """Records the form before its result is used, so that a resumed run has the same form."""
        times = ', '.join(f'{name} {s:.3g} s' for name, s in seconds.items())
        steps = counted(compiled.num_steps, 'step')
        log.info('%s: in the form %r (%s took %s)', names, form, steps, times)
        with members[0].checkpoints.checked():
            sweep_folder.write_program(path, runs, devices[0].device_kind, form, seconds)

    train_lib, train = checkout.train_lib(), runs[0].config.train
    description = train_lib.description(runs[0], states[0])
    log.info(
        '%s: %s%s; batch %d, steps %d to %d',
        names,
        'each ' if len(runs) > 1 else '',
        description,
        train.batch_size,
        step,
        train.steps,
    )
    augmented_picture.announce(runs[0])
    train_lib.warn_of_settings([run.config for run in runs], step)
    with side_by_side(runs, step, compiled, devices, on_choice) as program:
        placed = compiled.layout.place(states)
        states.clear()  # the program has copies
        train_lib.loop(members, program, placed, step, on_failure=_record_failure)


def _record_failure(member: Member) -> None:
    """Records a failed member: its State is frozen, its checkpoints stay valid, others continue."""
    log.warning('%s: %s', member.run.folder.name, member.failure)
    with member.checkpoints.checked():
        files.write_json(member.run.folder / sweep_folder.FAILED, {'message': member.failure})
