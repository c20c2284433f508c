"""Several processes that train one run together: how they meet, agree, and which of them writes.

The first process alone writes into the run's folder; the others work in one of their own that is
thrown away. What one of them has read or heard and the others have not, they are told.
"""

import contextlib
import logging
import pathlib
import re
import tempfile
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

from atelier.errors import UserError
from atelier.log import log
from atelier.multihost.rendezvous import meet

HEARTBEAT_SECONDS = 20  # without a sign of life before a process counts as lost
MEETING_SECONDS = 60  # that processes wait for each other at the start
TEXT_BYTES = 4096
# what collectives and the coordination service say of one that does not answer
LOST = re.compile(
    'gloo|nccl|heartbeat|connection|socket|unavailable|deadline_exceeded', re.IGNORECASE
)


def join(coordinator: str, num_processes: int, process_id: int) -> None:
    """Before anything is computed: meets the other processes at the coordinator's address.

    Args:
      coordinator: HOST:PORT of the first process; empty: the cluster's environment says all three.
      num_processes: how many there are.
      process_id: this one's number.

    Raises:
      UserError: the numbers cannot be, or nobody answers at the address.
    """
    jax.config.update('jax_cpu_collectives_implementation', 'gloo')
    jax.config.update('jax_enable_preemption_service', False)  # it takes SIGTERM for itself
    patience = dict(heartbeat_timeout_seconds=HEARTBEAT_SECONDS)
    if not coordinator:
        try:
            jax.distributed.initialize(**patience)
        except (RuntimeError, ValueError) as error:
            reason = str(error).split('\n')[0]
            raise UserError(
                f'--cluster: this is no cluster that JAX knows ({reason}); give --coordinator, '
                '--num_processes and --process_id'
            ) from error
    else:
        _check(coordinator, num_processes, process_id)
        meet(coordinator, num_processes, process_id, MEETING_SECONDS)
        patience.update(initialization_timeout=MEETING_SECONDS)
        try:
            jax.distributed.initialize(coordinator, num_processes, process_id, **patience)
        except RuntimeError as error:
            reason = str(error).split('\n')[0]
            raise UserError(f'--coordinator={coordinator}: {reason}') from error
    if not is_first():
        log.setLevel(logging.ERROR)  # one of them speaks


def _check(coordinator: str, num_processes: int, process_id: int) -> None:
    host, _, port = coordinator.rpartition(':')
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UserError(f'--coordinator={coordinator}: give HOST:PORT of the first process')
    if not 0 <= process_id < num_processes:
        raise UserError(
            f'--process_id={process_id} and --num_processes={num_processes}: processes have the '
            'numbers from 0 to one less than there are'
        )


def is_first() -> bool:
    """Whether this is the process that writes."""
    return jax.process_index() == 0


@contextlib.contextmanager
def folder_of(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Where this process writes: `folder` in the first, elsewhere one that is thrown away."""
    if is_first():
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix='atelier-') as own:
        yield pathlib.Path(own) / folder.name


def from_first(tree):
    """What the first process has, in all; their trees have to be alike. Bit for bit.

    It travels as bytes: a sum of numbers would turn -0 into 0.
    """
    if jax.process_count() == 1:
        return tree
    leaves, structure = jax.tree.flatten(tree)
    arrays = [np.ascontiguousarray(leaf) for leaf in leaves]
    flat = np.concatenate([np.frombuffer(array.tobytes(), np.uint8) for array in arrays])
    flat = np.asarray(multihost_utils.broadcast_one_to_all(flat))
    ends = np.cumsum([array.nbytes for array in arrays])
    parts = [
        np.frombuffer(part.tobytes(), array.dtype).reshape(np.shape(leaf))
        for part, array, leaf in zip(np.split(flat, ends[:-1]), arrays, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, parts)


def text_from_first(text: str) -> str:
    """Likewise of a text of at most `TEXT_BYTES`."""
    if jax.process_count() == 1:
        return text
    room = np.zeros(TEXT_BYTES, np.uint8)
    written = np.frombuffer(text.encode(), np.uint8)
    room[: len(written)] = written
    return from_first(room).tobytes().rstrip(b'\0').decode()


def on_first(check: Callable[[], None]) -> None:
    """Makes a check of what the first process alone can see; where it fails, all of them end.

    Raises:
      UserError: the check's.
    """
    message = ''
    if is_first():
        try:
            check()
        except UserError as error:
            message = str(error)
    message = text_from_first(message[: TEXT_BYTES // 4])
    if message:
        raise UserError(message)


def any_of(flag: bool) -> bool:
    """Whether it is true in any process: each has to ask at the same moment."""
    if jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))


@contextlib.contextmanager
def lost_ones() -> Iterator[None]:
    """Turns the failure of a collective into a `UserError`: another process is gone.

    Whatever else the runtime fails at keeps its traceback.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1 or not LOST.search(str(error)):
            raise
        reason = str(error).split('\n')[0][:200]
        raise UserError(
            f'another process has ended ({reason}); start all of them again: they continue from '
            'the last checkpoint'
        ) from error
