"""Applies an ability of a family to every example, on all devices."""

import math
from collections.abc import Callable, Sequence

import jax
import numpy as np
from tqdm import tqdm

from atelier.core import devices as device_lib
from atelier.core import game
from atelier.core.randomness import Stream, key_for, rng_for
from atelier.data.dataset import Dataset
from atelier.multihost import processes

PATIENCE = 5.0  # seconds, after which a bar shows how far it is: of a sampler in many steps, say


def over_examples(
    f: Callable, dataset: Dataset, batch_size: int, devices: Sequence[jax.Device]
) -> Callable:
    """Compiles `f(weights, batch, rng) -> pytree of [local, ...]` for whole arrays.

    Returns apply(state, key, inputs, n) -> pytree of [n, ...] host arrays. `inputs` holds stored
    arrays [n, ...] of a split, or is empty for an ability that takes no data. Row i draws from
    (key, i) alone, so neither the batch size nor the number of devices changes the result; the
    last batch is filled up with copies that are dropped again. Weights are
    `state.averaged_weights`.
    """
    mine = device_lib.local_indices(devices)
    data_key = key_for(jax.random.PRNGKey(0), Stream.PREPROCESS)

    def on_device(weights, key, inputs, boxed):
        (rows,) = boxed
        size = len(rows) * len(devices)
        fixed_keys = rng_for(data_key, rows, size).keys  # the same for every seed
        batch = dataset.preprocess(inputs, fixed_keys) if inputs else {}
        rng = rng_for(key, rows, size, device_lib.gather)
        return device_lib.gather(f(weights, batch, rng))

    in_axes = None, None, 0, (0,)  # boxed, for there may be no inputs: see `over_devices`
    run = device_lib.over_devices(on_device, in_axes, devices=devices)

    def apply(state: game.State, key, inputs: dict[str, np.ndarray], n: int):
        parts, quiet = [], n <= batch_size or not processes.is_first()
        local = -(-min(batch_size, n) // len(devices))
        size = local * len(devices)
        with_bar = tqdm(range(0, n, size), unit='batch', leave=False, delay=PATIENCE, disable=quiet)
        for start in with_bar:
            rows = np.minimum(start + np.arange(size, dtype=np.int32), n - 1)
            rows = rows.reshape(len(devices), local)[mine]
            share = {name: value[rows] for name, value in inputs.items()}
            parts.append(jax.device_get(run(state.averaged_weights, key, share, (rows,))))
        return jax.tree.map(lambda *pieces: np.concatenate(pieces)[:n], *parts)

    return apply


def by_number(
    dataset: Dataset, split: str, nll_nats: np.ndarray | float
) -> dict[str, np.ndarray | float]:
    """Bits of one number, of text nats and bits of one, from an example's nats [n] or their mean.

    Divided is by the average count: so the mean over the split is all nats over all numbers that
    they are of, and not a mean of examples' means.
    """
    if dataset.spec.symbols is None:
        return {'bits_per_dim': dataset.spec.bits_per_dim(nll_nats)}
    nats = nll_nats / dataset.scored_dims(split)
    return {'nats_per_character': nats, 'bits_per_character': nats / math.log(2)}
