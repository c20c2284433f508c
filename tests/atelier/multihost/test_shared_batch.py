"""Two processes that share a batch train like one: same losses, one folder, killed and continued.

Compares two processes with two simulated devices each on the loopback address, one process with
four devices, and one with one device, all started by `main.py`.
"""

import contextlib
import functools
import os
import re
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from marks import exhaustive_but
from support import error_line, untimed_lines

from atelier.checkout import ROOT
from atelier.errors import UserError
from atelier.multihost import processes
from atelier.run.checkpoint import Checkpoints

TWO = 2, 2  # (processes, devices per process)
ALONE = exhaustive_but([(1, 1)], [(1, 4), (1, 1)])
TRAIN = dict(
    steps=200, batch_size=40, evaluate_every=40, checkpoint_every=20, steps_per_dispatch=20
)
FLAGS = [
    f'--config={ROOT}/configs/vae.py:debug',
    *(f'--config.train.{name}={value}' for name, value in TRAIN.items()),
    '--config.hypers.ema_half_life=500.',
    '--config.eval.num_pictures=4',
]
slow = pytest.mark.slow
seldom = lambda *values: pytest.param(*values, marks=slow)


def free_port():
    with socket.socket() as one:
        one.bind(('localhost', 0))
        return one.getsockname()[1]


def begin(folder, count, num_devices, *more):
    """Starts and returns the `main.py` processes; their output goes to files beside the folder."""
    flags = f'--xla_force_host_platform_device_count={num_devices}'
    command = [sys.executable, str(ROOT / 'main.py'), *FLAGS, f'--workdir={folder}', *more]
    if count > 1:
        command += [f'--coordinator=localhost:{free_port()}', f'--num_processes={count}']
    return [
        subprocess.Popen(
            [*command, *([f'--process_id={index}'] if count > 1 else [])],
            env={**os.environ, 'XLA_FLAGS': flags},
            stdout=subprocess.DEVNULL,
            stderr=stderr_path(folder, index).open('w'),
        )
        for index in range(count)
    ]


def stderr_path(folder, index):
    return folder.with_name(f'{folder.name}-stderr-{index}')


def finish(folder, started):
    try:
        for index, process in enumerate(started):
            assert process.wait(240) == 0, stderr_path(folder, index).read_text()
    finally:
        for process in started:
            process.kill()


@pytest.fixture(scope='module')
def folder_of(tmp_path_factory):
    """Function: layout (processes, devices) -> the folder of its finished run."""

    @functools.cache
    def finished(layout):
        folder = tmp_path_factory.mktemp('processes') / 'run'
        finish(folder, begin(folder, *layout))
        return folder

    return finished


def last(folder):
    """Returns (State as bytes, Memory) of the newest checkpoint."""
    with contextlib.closing(Checkpoints(folder / 'checkpoints', read_only=True)) as checkpoints:
        state, memory = checkpoints.restore_newest(None)
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state)], memory


@pytest.mark.parametrize('layout', ALONE)
def test_two_processes_train_like_one(folder_of, layout):
    """Compares every loss and every validation."""
    two, one = untimed_lines(folder_of(TWO)), untimed_lines(folder_of(layout))
    assert len(two) == len(one) == TRAIN['steps'] + TRAIN['steps'] // TRAIN['evaluate_every']
    for a, b in zip(two, one, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_allclose(a[name], b[name], rtol=1e-3, atol=1e-4, err_msg=name)
    for a, b in zip(two[:20], one[:20], strict=True):
        assert a['train/loss'] == pytest.approx(b['train/loss'], rel=1e-5)
    assert np.ptp([row['train/loss'] for row in two if 'train/loss' in row]) > 1


@pytest.mark.parametrize('layout', ALONE)
def test_both_processes_write_one_evaluation(folder_of, layout):
    results = [folder_of(each) / 'evaluation.json' for each in (TWO, layout)]
    values = [re.search(r'"nll_nats": {\s*"mean": ([\d.]+)', path.read_text()) for path in results]
    two, one = (float(value.group(1)) for value in values)
    assert two == pytest.approx(one, rel=1e-3)


def wait_for_checkpoint(folder, started):
    """Waits until the folder has another checkpoint."""
    until = time.monotonic() + 120
    saved = lambda: {p.name for p in folder.glob('checkpoints/*') if p.name.isdigit()}
    before = saved()
    while saved() <= before:
        assert time.monotonic() < until
        assert all(process.poll() is None for process in started)
        time.sleep(0.01)


@slow
def test_a_signal_to_one_stops_both_and_a_kill_of_one_ends_both(folder_of, tmp_path):
    """Both continue bit for bit: after a signal to the second, and a kill of the coordinator."""
    folder = tmp_path / 'run'
    started = begin(folder, 2, 2)
    wait_for_checkpoint(folder, started)
    started[1].send_signal(signal.SIGTERM)
    assert [process.wait(60) for process in started] == [143, 143]
    started = begin(folder, 2, 2)
    wait_for_checkpoint(folder, started)
    started[0].send_signal(signal.SIGKILL)
    began = time.monotonic()
    assert started[1].wait(60) != 0
    assert time.monotonic() - began < 60
    message = stderr_path(folder, 1).read_text()
    assert 'Traceback' not in message, message
    last_line = message.strip().split('\n')[-1]
    is_ours = re.search('error: another process has ended.*start all of them again', last_line)
    # if a collective hangs, JAX's heartbeat ends the process first
    assert is_ours or 'Terminating process because' in message, message
    finish(folder, begin(folder, 2, 2))
    assert last(folder) == last(folder_of(TWO))
    assert untimed_lines(folder) == untimed_lines(folder_of(TWO))


# Tests within one process


def test_a_single_process_exchanges_nothing():
    tree = {'a': np.float32(-0.0), 'b': np.arange(3, dtype=np.uint32)}
    assert processes.from_first(tree) is tree
    assert processes.text_from_first('this') == 'this'
    assert processes.any_of(True) and not processes.any_of(False)
    assert processes.is_first()


def test_an_error_of_the_first_process_is_raised_by_all(monkeypatch):
    monkeypatch.setattr(processes, 'text_from_first', lambda text: text or 'it is taken')
    with pytest.raises(UserError, match='it is taken'):
        processes.on_first(lambda: None)  # the first process, a simulated one, reported it

    def refuse():
        raise UserError('not here')

    with pytest.raises(UserError, match='not here'):
        processes.on_first(refuse)


@pytest.mark.parametrize(
    'error',
    [
        jax.errors.JaxRuntimeError('UNKNOWN: Gloo all-reduce failed: Connection closed by peer'),
        ValueError('UNKNOWN: Gloo AllGather failed: Read error'),  # if NumPy waits for the result
        jax.errors.JaxRuntimeError('UNAVAILABLE: task 1 has stopped'),
    ],
)
def test_a_collective_fails_with_a_lost_process(monkeypatch, error):
    monkeypatch.setattr(jax.distributed, 'is_initialized', lambda: True)
    with pytest.raises(UserError, match='start all of them again'), processes.ending_together():
        raise error


class Ended(BaseException):
    """Raised where this process would exit."""


@pytest.mark.parametrize(
    'error',
    [
        jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: Out of memory'),
        jax.errors.JaxRuntimeError('INVALID_ARGUMENT: shapes'),
        ValueError('no socket here'),
        KeyError('UNAVAILABLE'),
    ],
)
def test_other_failures_keep_their_traceback(monkeypatch, capsys, error):
    def end(code):
        assert code == 1
        raise Ended

    monkeypatch.setattr(processes.os, '_exit', end)
    with pytest.raises(type(error)), processes.ending_together():
        raise error  # a single process raises as usual
    monkeypatch.setattr(jax.distributed, 'is_initialized', lambda: True)
    with pytest.raises(Ended), processes.ending_together():
        raise error
    message = capsys.readouterr().err
    assert 'Traceback' in message and str(error) in message


def test_received_arrays_are_equal_bit_for_bit(monkeypatch):
    """Arrays are sent as bytes, whatever their type; here from the first process to itself."""
    monkeypatch.setattr(jax, 'process_count', lambda: 2)
    monkeypatch.setattr(processes.multihost_utils, 'broadcast_one_to_all', lambda x: x)
    tree = {
        'zero': np.float32(-0.0),
        'nan': np.array([np.nan, 1.5], np.float32),
        'key': np.arange(2, dtype=np.uint32),
        'flag': np.asarray(True),
        'none': np.zeros((0, 3), np.int32),
    }
    received = processes.from_first(tree)
    for name, value in tree.items():
        assert (received[name].dtype, received[name].shape) == (value.dtype, value.shape)
        assert received[name].tobytes() == np.asarray(value).tobytes()
    assert processes.text_from_first('-ö-') == '-ö-'


@pytest.mark.parametrize(
    ('arguments', 'pattern'),
    [
        (['--coordinator=here', '--num_processes=2'], 'give HOST:PORT'),
        seldom(['--coordinator=localhost:99999', '--num_processes=2'], 'give HOST:PORT'),
        pytest.param(
            ['--coordinator=localhost:1'], 'needs --num_processes', marks=pytest.mark.slow
        ),
        seldom(['--cluster', '--process_id=1'], '--cluster replaces'),
        seldom(
            ['--coordinator=localhost:1', '--num_processes=2', '--process_id=2'], '--process_id=2'
        ),
        seldom(['--cluster'], 'JAX recognizes no cluster'),
        seldom(['--num_processes=2', '--process_id=1'], 'are for --coordinator=HOST:PORT'),
        pytest.param(
            ['--coordinator=localhost:1', '--mode=sample'],
            '--mode=sample runs in one process',
            marks=pytest.mark.slow,
        ),
    ],
)
def test_bad_input_ends_in_one_line(main, tmp_path, arguments, pattern):
    assert pattern in error_line(main(*FLAGS, f'--workdir={tmp_path}/run', *arguments))
