"""The input pipeline: the training split is kept on the devices, or streamed to them.

Both give the same minibatches, which depend on (seed, step) alone. When streaming, Grain's threads
evaluate the shuffle of `atelier.data.shuffle` on the host; an element of Grain's data set holds all
minibatches of a dispatch.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from atelier.core import devices as device_lib
from atelier.core import game
from atelier.core.randomness import Stream, key_for
from atelier.data import shuffle
from atelier.errors import choose
from atelier.log import log
from atelier.run.experiment import Run

PLACEMENTS = {'device': False, 'stream': True, 'auto': None}  # whether the split is streamed
SHARE = 0.25  # largest fraction of a device's memory for the data
# largest amount of streamed data per dispatch; the data of a few dispatches are in memory at once
CHUNK_BYTES = 1 << 26
AHEAD = 2  # dispatches to prefetch
THREADS = 2


def is_streamed(run: Run, devices: Sequence[jax.Device]) -> bool:
    """Whether the training split is streamed, according to `config.data.placement`.

    'auto' streams a split that takes more than `SHARE` of a device's memory.

    Raises:
      UserError: an unknown placement.
    """
    streamed = choose('data.placement', run.config.data.placement, PLACEMENTS)
    if streamed is None:
        size = sum(array.nbytes for array in run.data.splits['train'].values())
        # the memory of another process's device is unknown
        device = next(d for d in devices if d.process_index == jax.process_index())
        streamed = size > SHARE * device_lib.memory_bytes(device)
    return streamed


def max_steps(run: Run, devices: Sequence[jax.Device]) -> float:
    """Returns how many steps' streamed data fit into `CHUNK_BYTES`; infinity without streaming."""
    if not is_streamed(run, devices):
        return math.inf
    split, count = run.data.splits['train'], game.num_minibatches(run.family.turns)
    example = sum(array.nbytes for array in split.values()) / run.data.size('train')
    return CHUNK_BYTES // (example * run.config.train.batch_size * count)


@contextlib.contextmanager
def feed(
    run: Run, start: int, length: int, devices: Sequence[jax.Device]
) -> Iterator[Callable[[], dict]]:
    """Yields next_arrays(): the arrays of the next dispatch of `length` steps, from step `start`.

    The arrays are the whole split on every device or, when streaming, host arrays
    [devices, length, minibatches, local, ...]. next_arrays() raises the errors of Grain's threads.
    """
    if not is_streamed(run, devices):
        arrays = device_lib.place(run.data.splits['train'], devices)
        yield lambda: arrays
        return
    import grain  # slow import, needed only for streaming

    log.info('the training split is streamed from the host (config.data.placement)')
    read = reader(run, start, length, devices)
    count = -(-(run.config.train.steps - start) // length)
    options = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=AHEAD)
    chunks = iter(grain.MapDataset.range(count).map(read).to_iter_dataset(options))
    try:
        yield lambda: next(chunks)
    finally:
        chunks.close()


def reader(run: Run, start: int, length: int, devices: Sequence[jax.Device]) -> Callable:
    """Returns read(dispatch_index) -> the dispatch's arrays for this process's devices."""
    count = game.num_minibatches(run.family.turns)
    batch_size, n = run.config.train.batch_size, run.data.size('train')
    local = batch_size // len(devices)
    rows = device_lib.local_indices(devices)[:, None] * local + np.arange(local)
    key = key_for(jax.random.PRNGKey(run.config.seed), Stream.SHUFFLE)
    host = jax.local_devices(backend='cpu')[0]

    @jax.jit
    def indices(first):
        minibatches = first + jnp.arange(length * count, dtype=jnp.uint32)
        local_rows = jnp.asarray(rows.reshape(-1))
        one = lambda minibatch: shuffle.minibatch_indices(key, minibatch, local_rows, batch_size, n)
        return jax.vmap(one)(minibatches)

    def read(dispatch_index: int) -> dict[str, np.ndarray]:
        first = np.uint32((start + dispatch_index * length) * count % 2**32)
        with jax.default_device(host):
            index = np.asarray(indices(first))
        index = index.reshape(length, count, *rows.shape).transpose(2, 0, 1, 3)
        return {name: array[index] for name, array in run.data.splits['train'].items()}

    return read
