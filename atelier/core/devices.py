"""Where arrays live and how a function runs on every device: the project's only `pmap`."""

import os
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from atelier.paths import cache_folder

AXIS = 'devices'


def over_devices(f: Callable, in_axes, out_axes=None, donate=(), devices=None) -> Callable:
    """`f` on every device at once; arguments with axis 0 are split, those with None are shared.

    pmap is in maintenance mode in JAX (it is built on shard_map now). Keeping it to this one call
    keeps a later move to shard_map to one line.

    Where there can be as many arrays as arguments, because one of these has none, an argument has
    to come in a tuple, and its axis too: JAX 0.10 takes axes of arguments for those of arrays else.
    """
    return jax.pmap(
        f,
        axis_name=AXIS,
        in_axes=in_axes,
        out_axes=out_axes,
        donate_argnums=donate,
        devices=devices,
    )


def place(tree, devices: Sequence[jax.Device]):
    """A copy of every array of `tree` on every device, unreplicated in shape.

    This is the sharding that `out_axes=None` returns; a State placed otherwise would make the
    second dispatch compile again.
    """
    return jax.device_put(tree, NamedSharding(Mesh(np.asarray(devices), (AXIS,)), PartitionSpec()))


def memory_bytes(device: jax.Device) -> float:
    """Of one device; simulated ones share the machine's."""
    limit = (device.memory_stats() or {}).get('bytes_limit')
    if limit:
        return limit
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / jax.local_device_count()


def split(tree, devices: Sequence[jax.Device]):
    """The leading axis of every array, one entry a device: what `out_axes=0` returns."""
    spec = PartitionSpec(AXIS)
    return jax.device_put(tree, NamedSharding(Mesh(np.asarray(devices), (AXIS,)), spec))


def mean(tree):
    """The mean over devices, inside `over_devices`; of one device no copy is made."""
    return tree if jax.lax.axis_size(AXIS) == 1 else jax.lax.pmean(tree, AXIS)


def gather(tree):
    """[local, ...] on each device to [batch, ...] on all, inside `over_devices`."""
    if jax.lax.axis_size(AXIS) == 1:
        return tree
    return jax.tree.map(lambda x: jax.lax.all_gather(x, AXIS, tiled=True), tree)


def local_indices(devices: Sequence[jax.Device]) -> np.ndarray:
    """The positions in `devices` of those that this process feeds: pmap's one mapped argument."""
    mine = jax.process_index()
    return np.asarray([i for i, d in enumerate(devices) if d.process_index == mine], np.int32)


def enable_compilation_cache() -> None:
    """Keeps compiled programs in the user's cache folder, so that a second start is quick.

    `JAX_COMPILATION_CACHE_DIR` chooses another folder.
    """
    if not os.environ.get('JAX_COMPILATION_CACHE_DIR'):
        jax.config.update('jax_compilation_cache_dir', str(cache_folder() / 'jax'))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.1)
