"""Two processes that share a batch train like one: nothing in the signatures stands in the way.

Two processes of two simulated devices, one process of four, and one process of one device run the
same 20 steps of the same dispatch; the two processes also save one checkpoint together.
"""

import contextlib
import os
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest
from conftest import ROOT
from support import make_run

from checkpoint import Checkpoints, Memory
from states import initial_state

pytestmark = pytest.mark.slow

LAYOUTS = ((2, 2), (1, 4), (1, 1))  # processes, devices of each
SETTINGS = dict(train__batch_size=40, hypers__decay_steps=0.0, hypers__ema_half_life=500.0)
PROGRAM = f"""
import contextlib, pathlib, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]
import jax
import numpy as np

folder = pathlib.Path(sys.argv[1])
port, count, number = map(int, sys.argv[2:])
if count > 1:
    jax.config.update('jax_cpu_collectives_implementation', 'gloo')
    jax.distributed.initialize(f'localhost:{{port}}', count, number)

import devices, program, states
from checkpoint import Checkpoints, Memory
from support import make_run

run = make_run(folder / f'run-{{number}}', **{SETTINGS})
state = devices.place(states.initial_state(run), jax.devices())
data = devices.place(run.data.splits['train'], jax.devices())
dispatch = program.compile_dispatch(run, 10, jax.devices())
losses = []
for _ in range(2):
    state, report = dispatch(state, data, devices.local_indices(jax.devices()))
    losses.append(jax.device_get(report)['loss'])
np.save(folder / f'losses-{{number}}.npy', np.concatenate(losses))
np.savez(folder / f'state-{{number}}.npz', *jax.tree.leaves(jax.device_get(state)))
with contextlib.closing(Checkpoints(folder / 'checkpoints')) as checkpoints:
    checkpoints.save(state, Memory(0.5, 20, 0))
    checkpoints.wait()
"""


def free_port():
    with socket.socket() as one:
        one.bind(('localhost', 0))
        return one.getsockname()[1]


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """What each layout left: {(processes, devices): folder}."""
    found = {}
    for count, num_devices in LAYOUTS:
        folder = tmp_path_factory.mktemp('processes')
        flags = f'--xla_force_host_platform_device_count={num_devices}'
        command = [sys.executable, '-c', PROGRAM, str(folder), str(free_port()), str(count)]
        processes = [
            subprocess.Popen(
                [*command, str(number)],
                env={**os.environ, 'XLA_FLAGS': flags},
                stderr=(folder / f'stderr-{number}').open('w'),
            )
            for number in range(count)
        ]
        try:
            for number, process in enumerate(processes):
                assert process.wait(120) == 0, (folder / f'stderr-{number}').read_text()
        finally:
            for process in processes:
                process.kill()
        found[count, num_devices] = folder
    return found


def losses(folder, number=0):
    return np.load(folder / f'losses-{number}.npy')


def leaves(folder, number=0):
    return list(np.load(folder / f'state-{number}.npz').values())


@pytest.mark.parametrize('layout', LAYOUTS[1:])
def test_two_processes_train_like_one(folders, layout):
    two, one = folders[2, 2], folders[layout]
    assert losses(one).shape == (20,)
    assert np.ptp(losses(one)) > 1
    np.testing.assert_allclose(losses(two), losses(one), rtol=1e-5)


def test_both_processes_hold_the_same(folders):
    """Bitwise, the losses that they report and the States that they end with."""
    folder = folders[2, 2]
    assert losses(folder, 0).tobytes() == losses(folder, 1).tobytes()
    for one, other in zip(leaves(folder, 0), leaves(folder, 1), strict=True):
        assert one.tobytes() == other.tobytes()


def test_a_checkpoint_of_two_processes_is_restored_by_one(folders, tmp_path):
    folder = folders[2, 2]
    like = initial_state(make_run(tmp_path / 'run', **SETTINGS))
    with contextlib.closing(Checkpoints(folder / 'checkpoints')) as checkpoints:
        state, memory = checkpoints.restore_newest(like)
    assert memory == Memory(0.5, 20, 0)
    assert int(state.step) == 20
    for restored, saved in zip(jax.tree.leaves(state), leaves(folder), strict=True):
        assert restored.tobytes() == saved.tobytes()
