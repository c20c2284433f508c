"""A run that is killed, stopped or out of disk space ends bitwise as if it had been uninterrupted.

Every process is a real `python main.py`. To end one at an exact point, a driver patches the code
there and then runs main.py itself. Runs are equal if these are: every leaf of the State in the last
and the best checkpoint, the host's Memory, the evaluation, and every line of metrics.jsonl except
timings.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from support import make_run

from atelier.checkout import ROOT
from atelier.report.metrics_log import read_metrics
from atelier.run.checkpoint import Checkpoints
from atelier.run.restore import initial_state

pytestmark = pytest.mark.slow

STEPS = 200
SETTINGS = {
    'train.steps': STEPS,
    'train.evaluate_every': 20,  # checkpoints every 10 steps, dispatches of 5
    'train.best_metric': 'kl_nats',
    'train.best_mode': 'min',  # best at the first evaluation: any restart could lose it
    'hypers.decay_steps': 0.0,  # the weights change until the end
    'hypers.ema_half_life': 500.0,
}
# the programs of a user, with all optimizations of XLA
AS_A_USER = {
    'JAX_DISABLE_MOST_OPTIMIZATIONS': '0',
    'XLA_FLAGS': '--xla_force_host_platform_device_count=1',
}
PATIENCE = 120.0  # timeout in seconds for each wait


def start(folder, program=ROOT / 'main.py', **variables):
    """Starts the command of all tests; its output goes to files beside `folder`."""
    with open(stdout_path(folder), 'w') as stdout, open(stderr_path(folder), 'w') as stderr:
        return subprocess.Popen(
            [
                sys.executable,
                str(program),
                f'--config={ROOT}/configs/vae.py:digits,debug',
                f'--workdir={folder}',
                *(f'--config.{name}={value}' for name, value in SETTINGS.items()),
            ],
            cwd=ROOT,
            env={**os.environ, **AS_A_USER, **variables},
            stdout=stdout,
            stderr=stderr,
        )


def stdout_path(folder):
    return folder.with_suffix('.stdout')


def stderr_path(folder):
    return folder.with_suffix('.stderr')


def finish(folder):
    """Runs the same command again, to its end."""
    assert start(folder).wait(PATIENCE) == 0, stderr_path(folder).read_text()
    assert 'warning: ' not in stderr_path(folder).read_text()


def kill(process, folder):
    """Sends SIGKILL; checks that the process was alive and its run unfinished."""
    assert process.poll() is None
    process.kill()
    assert_killed(process, folder)


def assert_killed(process, folder):
    assert process.wait(PATIENCE) == -signal.SIGKILL
    assert max(saved(folder), default=0) < STEPS
    assert not (folder / 'evaluation.json').exists()


def until(condition, process):
    """Waits for `condition()` to become true while the process lives; returns its value."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        assert process.poll() is None, 'the process ended too early'
        time.sleep(0.001)
    raise AssertionError('the process did not get there')


def saved(folder):
    """Returns the steps of finished checkpoints, without disturbing a process that saves others."""
    names = [path.name for path in (folder / 'checkpoints').glob('*')]
    return sorted(int(name) for name in names if name.isdigit())


def unfinished(folder):
    """Returns the step whose save is in progress or was interrupted; None if there is none."""
    names = [path.name for path in (folder / 'checkpoints').glob('*.orbax-checkpoint-tmp*')]
    return int(names[0].split('.')[0]) if names else None


def last_line(folder):
    return read_metrics(folder)[-1]['step']


def driver(tmp_path, patch):
    """Returns a script that runs `patch`, which may call `die()`, and then main.py."""
    path = tmp_path / 'driver.py'
    path.write_text(
        f"""
import os, runpy, signal, sys
sys.path.insert(0, {str(ROOT)!r})

def die():
    os.kill(os.getpid(), signal.SIGKILL)

{patch}
runpy.run_path({str(ROOT / 'main.py')!r}, run_name='__main__')
"""
    )
    return path


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    """The folder of an uninterrupted run."""
    folder = tmp_path_factory.mktemp('uninterrupted') / 'run'
    finish(folder)
    assert len(read_metrics(folder)) > STEPS
    return folder


@pytest.fixture
def assert_same_end(uninterrupted):
    """Returns a check that the run in a folder ended as the uninterrupted one did."""

    def check(folder):
        end, expected = ending(folder), ending(uninterrupted)
        assert end.keys() == expected.keys()
        for name, value in expected.items():
            assert end[name] == value, name
        lines = zip(lasting_lines(folder), lasting_lines(uninterrupted), strict=True)
        assert all(line == expected_line for line, expected_line in lines)
        assert evaluation(folder) == evaluation(uninterrupted)

    return check


def ending(folder):
    """Returns the contents of the last and the best checkpoint: {name: bytes or Memory}."""
    changes = {name.replace('.', '__'): value for name, value in SETTINGS.items()}
    like = initial_state(make_run(folder, **changes))
    with contextlib.closing(Checkpoints(folder / 'checkpoints')) as checkpoints:
        last, memory = checkpoints.restore_newest(like)
        best, best_memory = checkpoints.restore(memory.best_step, like)
        contents = {'steps': checkpoints.steps(), 'memory': memory, 'best memory': best_memory}
    assert int(last.step) == STEPS
    assert int(best.step) < STEPS
    assert jax.tree.structure(last) == jax.tree.structure(like)
    for label, state in {'last': last, 'best': best}.items():
        for path, leaf in jax.tree_util.tree_leaves_with_path(state):
            array = np.asarray(leaf)
            name = f'{label}{jax.tree_util.keystr(path)}'
            contents[name] = (array.dtype, array.shape, array.tobytes())
    return contents


def lasting_lines(folder):
    """Returns the lines of metrics.jsonl without timings."""
    rows = [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]
    return [{k: v for k, v in row.items() if not k.startswith('time/')} for row in rows]


def evaluation(folder):
    result = json.loads((folder / 'evaluation.json').read_text())
    return {name: result[name] for name in ('values', 'weights')}


# SIGKILL


def test_killed_in_the_first_compilation(tmp_path, assert_same_end):
    """JAX's own log proves that it was compiling, with an empty compilation cache."""
    patch = """
from atelier.training import dispatch as program
compile_dispatch = program.compile_dispatch

def announced(*arguments):
    dispatch = compile_dispatch(*arguments)

    class First:
        def lower(self, *arguments):
            print('FIRST DISPATCH', file=sys.stderr, flush=True)
            return dispatch.lower(*arguments)

    return First()

program.compile_dispatch = announced
"""
    folder, cache = tmp_path / 'run', tmp_path / 'cache'
    process = start(
        folder, driver(tmp_path, patch), JAX_LOG_COMPILES='1', JAX_COMPILATION_CACHE_DIR=str(cache)
    )

    def after_first_dispatch():
        return stderr_path(folder).read_text().partition('FIRST DISPATCH')[2]

    until(lambda: 'Compiling' in after_first_dispatch(), process)
    kill(process, folder)
    assert 'Finished XLA compilation' not in after_first_dispatch()
    assert saved(folder) == []
    finish(folder)
    assert_same_end(folder)


def test_killed_inside_a_save(tmp_path, assert_same_end):
    """The process is stopped while a checkpoint is unfinished on disk, and then killed."""
    folder = tmp_path / 'run'
    process = start(folder)
    until(lambda: len(saved(folder)) >= 2, process)

    def halted_inside():
        if unfinished(folder) is None:
            return False
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        if unfinished(folder) is None:  # the save has finished; wait for the next one
            process.send_signal(signal.SIGCONT)
        return unfinished(folder) is not None

    until(halted_inside, process)
    kill(process, folder)
    assert unfinished(folder) > max(saved(folder))
    assert last_line(folder) > max(saved(folder))  # restarting must remove these lines
    finish(folder)
    assert unfinished(folder) is None
    assert_same_end(folder)


def rename_and_die(step, moment):
    """Returns a patch that dies before or after the rename that commits checkpoint `step`."""
    return f"""
rename = os.rename

def rename_and_die(source, target, **options):
    commit = os.path.basename(target) == '{step}'
    if commit and {moment!r} == 'before':
        die()
    rename(source, target, **options)
    if commit:
        die()

os.rename = rename_and_die
"""


SAVE_AND_DIE = """
from atelier.run.checkpoint import Checkpoints
save = Checkpoints.save

def save_and_die(self, state, *rest):
    save(self, state, *rest)
    if int(state.step) == 80:
        self.wait()
        die()

Checkpoints.save = save_and_die
"""
# every line is flushed at once, so the file has lines later than the last checkpoint
WRITE_AND_DIE = """
import train_lib
from atelier.report import metrics_log
write = metrics_log.MetricsLog.write

def write_through(self, step, *rest, **options):
    write(self, step, *rest, **options)
    self.flush()
    if step == 103:
        die()

metrics_log.MetricsLog.write = write_through
"""


def test_killed_at_exact_points_of_one_run(tmp_path, assert_same_end):
    """Before and after the commit of a save, and before and after the dispatch that follows one."""
    folder = tmp_path / 'run'
    killed = lambda patch: assert_killed(start(folder, driver(tmp_path, patch)), folder)
    state = lambda: (max(saved(folder)), unfinished(folder))
    killed(rename_and_die(60, 'before'))
    assert state() == (50, 60) and last_line(folder) >= 60
    killed(rename_and_die(60, 'after'))
    assert state() == (60, None) and last_line(folder) >= 60
    killed(SAVE_AND_DIE)  # at a step with an evaluation
    assert (*state(), last_line(folder)) == (80, None, 80)
    killed(WRITE_AND_DIE)
    assert last_line(folder) == 103 and max(saved(folder)) <= 100
    with (folder / 'metrics.jsonl').open('a') as lines:
        lines.write('{"step": 104, "train/lo')  # as a full buffer leaves the file
    finish(folder)
    assert_same_end(folder)


def test_killed_at_random_moments(tmp_path, assert_same_end):
    """Kills one run three times: during startup, and shortly after some checkpoints."""
    rng = np.random.default_rng(0)
    folder = tmp_path / 'run'
    for checkpoints in (0, 1, 3):
        goal = max(saved(folder), default=0) + 10 * checkpoints
        process = start(folder)
        if checkpoints:
            until(lambda goal=goal: max(saved(folder), default=0) >= goal, process)
        time.sleep(rng.uniform(0, 0.1 if checkpoints else 2.0))
        kill(process, folder)
    finish(folder)
    assert_same_end(folder)


# SIGTERM and SIGINT


SIGNAL_AT_63 = """
from atelier.report import metrics_log
write = metrics_log.MetricsLog.write

def write_and_signal(self, step, *rest, **options):
    write(self, step, *rest, **options)
    if step == 63:
        os.kill(os.getpid(), signal.{name})

metrics_log.MetricsLog.write = write_and_signal
"""


def test_stopped_by_a_signal(tmp_path, assert_same_end):
    """The signal arrives during the dispatch to step 65, which has no scheduled checkpoint."""
    folder = tmp_path / 'run'
    process = start(folder, driver(tmp_path, SIGNAL_AT_63.format(name='SIGINT')))
    assert_stopped(process, folder, 130)
    assert max(saved(folder)) == 65
    finish(folder)
    assert_same_end(folder)


def test_stopped_by_a_signal_and_killed_inside_the_save(tmp_path, assert_same_end):
    """As by a scheduler with a short grace period; no later save has step 65."""
    patch = SIGNAL_AT_63.format(name='SIGTERM') + rename_and_die(65, 'before')
    folder = tmp_path / 'run'
    assert_killed(start(folder, driver(tmp_path, patch)), folder)
    assert (max(saved(folder)), unfinished(folder)) == (60, 65)
    finish(folder)
    assert unfinished(folder) is None
    assert_same_end(folder)


def test_a_checkpoint_reported_as_saved_is_saved(tmp_path):
    """The process is killed as soon as it logs the message."""
    patch = (
        SIGNAL_AT_63.format(name='SIGTERM')
        + """
info = metrics_log.log.info

def info_and_die(message, *values):
    info(message, *values)
    if message.startswith('stopped at step'):
        die()

metrics_log.log.info = info_and_die
"""
    )
    folder = tmp_path / 'run'
    assert_killed(start(folder, driver(tmp_path, patch)), folder)
    assert 'stopped at step 65 and saved a checkpoint' in stdout_path(folder).read_text()
    assert (max(saved(folder)), unfinished(folder), last_line(folder)) == (65, None, 65)


def test_stopped_by_a_signal_of_another_process(tmp_path, assert_same_end):
    folder = tmp_path / 'run'
    process = start(folder)
    until(lambda: len(saved(folder)) >= 3, process)
    process.terminate()
    assert_stopped(process, folder, 143)
    finish(folder)
    assert_same_end(folder)


def assert_stopped(process, folder, status):
    """The message names the saved step, which is also that of the last line and checkpoint."""
    assert process.wait(PATIENCE) == status
    match = re.search(
        r'stopped at step (\d+) and saved a checkpoint', stdout_path(folder).read_text()
    )
    assert match, stdout_path(folder).read_text()
    assert max(saved(folder)) == int(match[1]) == last_line(folder) < STEPS
    assert unfinished(folder) is None
    assert 'Traceback' not in stderr_path(folder).read_text()


# A full disk


def test_disk_full_during_a_save(tmp_path, uninterrupted, assert_same_end):
    """While step 60 is saved, no file may grow beyond a few blocks."""
    limit = 4096  # small, since Orbax distributes the State over files differently each time
    patch = f"""
import resource
from atelier.run.checkpoint import Checkpoints
save = Checkpoints.save

def save_on_a_full_disk(self, state, *rest):
    if int(state.step) != 60:
        return save(self, state, *rest)
    self.wait()  # the save before this one is not to be hit
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
    try:
        save(self, state, *rest)
        self.wait()
    finally:  # the logs are another test's
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)

Checkpoints.save = save_on_a_full_disk
"""
    folder = tmp_path / 'run'
    process = start(folder, driver(tmp_path, patch))
    assert process.wait(PATIENCE) == 1
    assert_one_line_of_error(folder, r'cannot write .*/checkpoints: File too large')
    assert saved(folder) == [20, 40, 50]  # the best one and the last two
    finish(folder)
    assert_same_end(folder)


def test_disk_full_for_the_metrics(tmp_path, assert_same_end):
    """From step 63 on, the disk is full for metrics.jsonl and the TensorBoard file."""
    patch = """
import fcntl
from atelier.report import metrics_log
write = metrics_log.MetricsLog.write

def write_on_a_full_disk(self, step, *rest, **options):
    if step == 63:
        full = os.open('/dev/full', os.O_WRONLY)
        for path in [self._path, *self._path.parent.glob('tensorboard/*')]:
            for link in os.scandir('/proc/self/fd'):
                if os.path.realpath(link.path) == os.path.realpath(path):
                    if fcntl.fcntl(int(link.name), fcntl.F_GETFL) & os.O_ACCMODE:  # may write
                        os.dup2(full, int(link.name))
    write(self, step, *rest, **options)

metrics_log.MetricsLog.write = write_on_a_full_disk
"""
    folder = tmp_path / 'run'
    assert start(folder, driver(tmp_path, patch)).wait(PATIENCE) == 1
    assert_one_line_of_error(folder, r'cannot write .*/metrics\.jsonl: No space left on device')
    assert max(saved(folder)) == 60
    finish(folder)
    assert_same_end(folder)


def assert_one_line_of_error(folder, pattern):
    text = stderr_path(folder).read_text()
    assert 'Traceback' not in text
    assert re.match(f'error: {pattern}', text.splitlines()[-1]), text
    assert text.count('error: ') == 1


# A non-finite loss


def test_weights_that_are_not_finite_are_not_saved(tmp_path, assert_same_end):
    """The batch of step 64 is NaN: the run reports it, and what it leaves is still usable."""
    patch = """
import jax.numpy as jnp
from atelier.training import dispatch as program
preprocessed = program.preprocessed

def spoiled(state, *rest):
    factor = jnp.where(state.step == 63, jnp.nan, 1.0)
    return [{**batch, 'x': factor * batch['x']} for batch in preprocessed(state, *rest)]

program.preprocessed = spoiled
"""
    folder = tmp_path / 'run'
    assert start(folder, driver(tmp_path, patch)).wait(PATIENCE) == 1
    pattern = r'.*loss=nan.* at step 64: .* the last checkpoint is of step 60;'
    assert_one_line_of_error(folder, pattern)
    assert (max(saved(folder)), unfinished(folder), last_line(folder)) == (60, None, 63)
    finish(folder)
    assert_same_end(folder)
