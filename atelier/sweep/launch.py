"""`--launcher`: runs the shards of a sweep as Slurm jobs, through the submitit library."""

import contextlib
import pathlib
import secrets
import sys
from collections.abc import Sequence
from typing import Any

from atelier.checkout import ROOT
from atelier.errors import UserError, writing
from atelier.log import counted, log
from atelier.sweep.axes import MAX_SETTINGS

LOCAL = 'submitit-local'
CLUSTERS = {'submitit': 'slurm', LOCAL: 'local'}  # --launcher: submitit's cluster
MINUTES = 24 * 60  # default time limit of a job


def launch(
    folder: pathlib.Path,
    launcher: str,
    num_jobs: int,
    options: Sequence[str],
    flags: Sequence[str] = (),
) -> list[str]:
    """Submits shard i/n of the sweep in `folder` as job i of n; returns the job ids.

    Each job runs the command that a user would run on that machine. If jobs run on this machine,
    the call returns after their end.

    Args:
      folder: the folder of a sweep whose sweep.json exists.
      launcher: 'submitit', or 'submitit-local' for processes on this machine.
      num_jobs: the number n of jobs.
      options: NAME=VALUE for submitit: timeout_min, gpus_per_node, slurm_partition, ...
      flags: further flags of each job's command, such as --trust=FILE.

    Raises:
      UserError: n is not from 1 to `MAX_SETTINGS`; submitit is not installed, rejects an option or
        does not find Slurm; or a local job failed.
    """
    if not 1 <= num_jobs <= MAX_SETTINGS:
        raise UserError(f'--launcher_jobs={num_jobs}: from 1 to {MAX_SETTINGS:,}')
    try:
        import submitit  # an optional dependency
    except ImportError as error:
        raise UserError(
            f'--launcher={launcher} needs submitit: pip install -r requirements-slurm.txt'
        ) from error
    commands = [
        submitit.helpers.CommandFunction(command_of(folder, i, num_jobs, flags), cwd=ROOT)
        for i in range(1, num_jobs + 1)
    ]
    try:
        # a new folder: submitit reads results, which are pickles, and an earlier one may be planted
        jobs_folder = folder.resolve() / 'jobs' / secrets.token_hex(4)
        executor = submitit.AutoExecutor(jobs_folder, CLUSTERS[launcher])
        executor.update_parameters(
            **{'name': folder.name, 'timeout_min': MINUTES, **parsed(options)}
        )
        # submitit starts `python -m`, which imports modules of the current folder first
        with writing(folder), contextlib.chdir(ROOT), executor.batch():
            jobs = [executor.submit(command) for command in commands]
    except (NameError, RuntimeError, TypeError, ValueError) as error:  # raised by submitit
        raise UserError(f'--launcher={launcher}: {" ".join(str(error).split())}') from error
    for i, job in enumerate(jobs, 1):
        log.info('shard %d/%d: job %s, %s', i, num_jobs, job.job_id, job.paths.stdout)
    if launcher == LOCAL:
        _wait(jobs)
    else:
        command = ' '.join(['python main.py --mode=sweep', f'--workdir={folder}', *flags])
        log.info('when they are done: %s', command)
    return [job.job_id for job in jobs]


def command_of(
    folder: pathlib.Path, index: int, num_shards: int, flags: Sequence[str] = ()
) -> list[str]:
    """Returns the command that trains a shard; it reads everything else from sweep.json."""
    main, shard = str(ROOT / 'main.py'), f'--sweep_shard={index}/{num_shards}'
    return [sys.executable, main, '--mode=sweep', f'--workdir={folder.resolve()}', shard, *flags]


def parsed(options: Sequence[str]) -> dict[str, Any]:
    """Parses NAME=VALUE options into {name: value}, with whole numbers as int.

    Raises:
      UserError: an option is not NAME=VALUE.
    """
    values = {}
    for text in options:
        name, equals, value = text.partition('=')
        if not equals or not name.isidentifier():
            raise UserError(f'--launcher_option={text}: write NAME=VALUE, as in gpus_per_node=1')
        values[name] = int(value) if value.isdigit() else value
    return values


def _wait(jobs: list) -> None:
    failed = [(job, job.exception()) for job in jobs if job.exception() is not None]
    if failed:
        job, error = failed[0]
        last = str(error).strip().split('\n')[-1]
        raise UserError(
            f'{len(failed)} of {counted(len(jobs), "job")} failed; {last} ({job.paths.stderr})'
        )
