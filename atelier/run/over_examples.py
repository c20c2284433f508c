"""Applies a function of a family to every example, on all devices."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import Int
from tqdm import tqdm

from atelier.core import devices as device_lib
from atelier.core import game
from atelier.core.randomness import Stream, key_for, rng_for
from atelier.data.dataset import Dataset
from atelier.multihost import processes

PATIENCE = 5.0  # seconds until a progress bar appears, for example for a many-step sampler
MAX_VALUES = 2**19  # values of x in a batch on one device: 668 images of 28x28, 42 of 64x64x3


def over_examples(
    f: Callable, dataset: Dataset, batch_size: int, devices: Sequence[jax.Device]
) -> Callable:
    """Compiles `f(weights, batch, rng) -> pytree of [local, ...]` and maps it over whole arrays.

    Returns apply(state, key, inputs, n, index=None) -> pytree of [n, ...] host arrays. `inputs`
    holds stored arrays [n, ...] of a split, or is empty if `f` takes no data. Row i draws from
    (key, i) alone, so neither the batch size nor the number of devices changes the result. With an
    `index` [m] into the n rows, the result is [m, ...], that of these rows among all. The last
    batch is padded with copies of the last example, which are dropped. Weights are
    `state.averaged_weights`. A batch has at most `batch_size` examples and, on each device,
    `MAX_VALUES` values, because most memory is proportional to them.
    """
    most = max(1, MAX_VALUES // max(1, dataset.spec.num_dims))
    batch_size = min(batch_size, most * len(devices))
    local_devices = device_lib.local_indices(devices)
    data_key = key_for(jax.random.PRNGKey(0), Stream.PREPROCESS)

    def on_device(weights, key, inputs, boxed):
        (rows,) = boxed
        size = len(rows) * len(devices)
        fixed_keys = rng_for(data_key, rows, size).keys  # the same for every seed
        batch = dataset.preprocess(inputs, fixed_keys) if inputs else {}
        rng = rng_for(key, rows, size, device_lib.gather)
        return device_lib.gather(f(weights, batch, rng))

    # `rows` is in a tuple, because `inputs` may be empty (see `over_devices`)
    in_axes = None, None, 0, (0,)
    compiled = device_lib.over_devices(on_device, in_axes, devices=devices)

    def apply(
        state: game.State,
        key,
        inputs: dict[str, np.ndarray],
        n: int,
        index: Int[np.ndarray, 'm'] | None = None,
    ):
        index = np.arange(n, dtype=np.int32) if index is None else np.asarray(index, np.int32)
        n = len(index)
        outputs, quiet = [], n <= batch_size or not processes.is_first()
        per_device = -(-min(batch_size, n) // len(devices))
        size = per_device * len(devices)
        starts = tqdm(range(0, n, size), unit='batch', leave=False, delay=PATIENCE, disable=quiet)
        for start in starts:
            rows = index[np.minimum(start + np.arange(size), n - 1)]
            rows = rows.reshape(len(devices), per_device)[local_devices]
            local_inputs = {name: value[rows] for name, value in inputs.items()}
            outputs.append(
                jax.device_get(compiled(state.averaged_weights, key, local_inputs, (rows,)))
            )
        return jax.tree.map(lambda *batches: np.concatenate(batches)[:n], *outputs)

    return apply
