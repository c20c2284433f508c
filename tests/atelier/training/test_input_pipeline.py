"""The training split streamed from the host: the same batches as on the device, bit for bit."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import untimed_lines

import train_lib
from atelier.core import devices as device_lib
from atelier.core import game
from atelier.data.dataset import Dataset, Spec
from atelier.run import restore
from atelier.training import dispatch, input_pipeline

LENGTH, BATCH, N = 5, 16, 100


def with_turns(run, *minibatches):
    """Returns a run whose turns read these minibatches; every value of x identifies its example."""
    x = np.arange(3 * N, dtype=np.int32).reshape(N, 3)
    split = {'x': x, 'label': np.arange(N, dtype=np.int32)}
    data = Dataset('numbers', Spec((3,), None, None), {'train': split}, 'numbers')
    turns = tuple(game.Turn(('model',), None, batch) for batch in minibatches)
    run.config.train.batch_size = BATCH
    return run._replace(data=data, family=dataclasses.replace(run.family, turns=turns))


def on_devices(run, devices):
    """Returns at(step): minibatches from the resident split, [devices, M, local, ...]."""
    local = BATCH // len(devices)

    def gather(arrays, step, device):
        state = restore.State(step, jax.random.PRNGKey(run.config.seed), *[{}] * 5)
        rows = device * local + jnp.arange(local)
        return dispatch.gathered(state, arrays, rows, run.family.turns, BATCH)

    each = device_lib.over_devices(gather, (None, None, 0), out_axes=0, devices=devices)
    arrays = device_lib.place(run.data.splits['train'], devices)
    return lambda step: each(arrays, jnp.int32(step), device_lib.local_indices(devices))


@pytest.mark.parametrize('turns', [(0,), (0, 1, 1, 2)], ids=['one turn', 'three minibatches'])
@pytest.mark.parametrize('num_devices', [1, 4])
def test_the_host_reads_what_the_devices_gather(tiny_run, turns, num_devices):
    """Every row of every step agrees, across epoch boundaries and from any starting step."""
    run, devices = with_turns(tiny_run(), *turns), jax.devices()[:num_devices]
    start = 7
    read, at = input_pipeline.reader(run, start, LENGTH, devices), on_devices(run, devices)
    for chunk_index in range(3):
        chunk = read(chunk_index)
        for i in range(LENGTH):
            expected = at(start + chunk_index * LENGTH + i)
            for name in ('x', 'label'):
                np.testing.assert_array_equal(chunk[name][:, i], expected[name])
                assert chunk[name].dtype == expected[name].dtype


@pytest.fixture
def trained(tiny_run, tmp_path):
    """trained(placement, steps...) returns the last State and the untimed lines of metrics.

    Trains once for each value of `steps`; each further training resumes the run.
    """
    count = itertools.count()

    def train(placement, *goes, num_devices=2):
        folder = tmp_path / f'run-{next(count)}'
        for steps in goes:
            run = tiny_run(folder, data__placement=placement, train__steps=steps)
            state = train_lib.train(run, jax.devices()[:num_devices])
        return jax.device_get(state), untimed_lines(folder)

    return train


@pytest.mark.slow
def test_a_streamed_run_ends_as_a_resident_one(trained):
    """The losses of every step are equal, also after a restart."""
    resident, lines = trained('device', 20)
    streamed, same = trained('stream', 10, 20)
    assert same == lines
    jax.tree.map(np.testing.assert_array_equal, streamed, resident)


@pytest.mark.slow
def test_an_error_in_a_worker_reaches_the_loop(trained, monkeypatch):
    make = input_pipeline.reader

    def broken_reader(*args):
        read = make(*args)

        def broken(chunk_index):
            if chunk_index == 2:
                raise OSError('the disk is gone')
            return read(chunk_index)

        return broken

    monkeypatch.setattr(input_pipeline, 'reader', broken_reader)
    with pytest.raises(OSError, match='the disk is gone'):
        trained('stream', 20)


def test_auto_placement_streams_data_that_would_fill_the_devices(tiny_run, monkeypatch):
    run, devices = tiny_run(data__placement='auto'), jax.devices()
    size = sum(array.nbytes for array in run.data.splits['train'].values())
    for memory, streamed in (
        (size / input_pipeline.SHARE + 1, False),
        (size / input_pipeline.SHARE - 1, True),
    ):
        monkeypatch.setattr(device_lib, 'memory_bytes', lambda device, memory=memory: memory)
        assert input_pipeline.is_streamed(run, devices) == streamed


def test_simulated_devices_share_the_memory_of_the_machine():
    of_one = device_lib.memory_bytes(jax.devices()[0])
    assert 2**20 < of_one * jax.local_device_count() < 2**50
