"""Places arrays on devices and maps functions over them: the project's only `pmap`."""

import os
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from atelier.memory import total_bytes
from atelier.paths import cache_folder

AXIS = 'devices'


def over_devices(f: Callable, in_axes, out_axes=None, donate=(), devices=None) -> Callable:
    """Maps `f` over all devices: arguments with axis 0 are split, those with axis None are copied.

    pmap is in maintenance mode in JAX (it is built on shard_map now). Because this is its only
    call, a later move to shard_map changes one line.

    If an argument may be an empty pytree, pass it and its axis inside a tuple. Otherwise JAX 0.10
    matches `in_axes` to leaves instead of arguments if there are as many leaves as arguments.
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
    """Copies every array of `tree` to every device; shapes gain no device axis.

    This is the sharding that `out_axes=None` returns; with another placement of the State, the
    second dispatch would compile again.
    """
    return jax.device_put(tree, NamedSharding(Mesh(np.asarray(devices), (AXIS,)), PartitionSpec()))


def memory_bytes(device: jax.Device) -> float:
    """Returns the memory of one device; devices that report none share the machine's equally."""
    limit = (device.memory_stats() or {}).get('bytes_limit')
    if limit:
        return limit
    return total_bytes() / jax.local_device_count()


def split(tree, devices: Sequence[jax.Device]):
    """Splits the leading axis of every array over the devices, as outputs with `out_axes=0` are."""
    spec = PartitionSpec(AXIS)
    return jax.device_put(tree, NamedSharding(Mesh(np.asarray(devices), (AXIS,)), spec))


def mean(tree):
    """Averages over devices, inside `over_devices`; on a single device, returns `tree` itself."""
    return tree if jax.lax.axis_size(AXIS) == 1 else jax.lax.pmean(tree, AXIS)


def gather(tree):
    """Gathers [local, ...] on each device to [batch, ...] on all, inside `over_devices`."""
    if jax.lax.axis_size(AXIS) == 1:
        return tree
    return jax.tree.map(lambda x: jax.lax.all_gather(x, AXIS, tiled=True), tree)


def local_indices(devices: Sequence[jax.Device]) -> np.ndarray:
    """Returns the indices in `devices` of this process's devices, an array that pmap can split."""
    process = jax.process_index()
    return np.asarray([i for i, d in enumerate(devices) if d.process_index == process], np.int32)


def enable_compilation_cache() -> None:
    """Caches compiled programs in the user's cache folder, so that later starts are fast.

    `JAX_COMPILATION_CACHE_DIR` chooses another folder. On a GPU, the kernels that XLA's autotuner
    chose are kept there too, so that no program measures again what another one has measured.
    """
    if not os.environ.get('JAX_COMPILATION_CACHE_DIR'):
        jax.config.update('jax_compilation_cache_dir', str(cache_folder() / 'jax'))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.1)
    if not os.environ.get('JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES'):
        jax.config.update(
            'jax_persistent_cache_enable_xla_caches', 'xla_gpu_per_fusion_autotune_cache_dir'
        )
