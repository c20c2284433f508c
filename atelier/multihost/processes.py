"""Several processes that train one run together: rendezvous, broadcasts, and a single writer.

Only the first process writes into the run's folder. The others write into temporary folders, which
are deleted. Anything that only some processes have read or received is shared with the others.

The processes connect and monitor each other through `jax.distributed` alone. When that fails in
C++, it ends the process without a Python exception. These failures are therefore handled earlier,
with a one-line message if possible:

- Cannot listen at the address: JAX raises or crashes. The first process tries to listen before JAX
  does.
- A process does not arrive: JAX ends the others with a stack trace. A timer ends them earlier.
- Different `num_processes`: JAX takes that of the first process. The others compare theirs with it.
- A Python exception: at exit, JAX waits for the other processes, which wait for this one. This
  process exits at once instead.

When a process dies later, the next collective of the others fails within milliseconds
(`ending_together`). It does not fail if a machine stops responding. A process that computes by
itself when the first one dies has no next collective. In both cases JAX ends the processes with a
stack trace, after the heartbeat timeout.
"""

import contextlib
import logging
import os
import pathlib
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

from atelier import leftovers
from atelier.errors import UserError, first_line
from atelier.log import escaped, log
from atelier.multihost import cluster

HEARTBEAT_SECONDS = 20  # a process without a heartbeat for this long counts as lost
RENDEZVOUS_SECONDS = 60  # timeout of the rendezvous at the start
TEXT_BYTES = 4096
MAX_PROCESSES = 100_000
# start of the error messages of collectives and the coordination service about a lost process
LOST = re.compile(
    '(UNAVAILABLE|DEADLINE_EXCEEDED|[A-Z_]+: .*(gloo|nccl|heartbeat|connection|socket))',
    re.IGNORECASE,
)


def join(coordinator: str, num_processes: int, process_id: int) -> None:
    """Connects to the other processes at the coordinator's address, before any computation.

    Args:
      coordinator: HOST:PORT of the first process, which listens only there, or only at
        JAX_COORDINATOR_BIND_ADDRESS if set. If empty, the cluster's environment gives all three
        arguments, and the first process listens there if the others can reach it.
      num_processes: number of processes.
      process_id: index of this process.

    Raises:
      UserError: invalid arguments, a `num_processes` that differs from that of the first process,
        an address where this machine cannot listen, or no cluster that JAX knows.
    """
    jax.config.update('jax_cpu_collectives_implementation', 'gloo')
    jax.config.update('jax_enable_preemption_service', False)  # it would catch SIGTERM
    if coordinator:
        _rendezvous(coordinator, num_processes, process_id)
    else:
        _rendezvous_in_cluster()
    log.info(  # logged now, because JAX may later end the process without this advice
        'process %d of %d; if one ends, all end: then start all of them again',
        *(jax.process_index(), jax.process_count()),
    )
    if not is_first():
        log.setLevel(logging.ERROR)  # only the first process logs


def _rendezvous_in_cluster() -> None:
    try:
        arguments = cluster.arguments(RENDEZVOUS_SECONDS)
        jax.distributed.initialize(**arguments, heartbeat_timeout_seconds=HEARTBEAT_SECONDS)
    except (RuntimeError, ValueError) as error:
        reason = str(error).split('\n')[0]
        raise UserError(
            f'--cluster: JAX recognizes no cluster here ({reason}); give --coordinator, '
            '--num_processes and --process_id'
        ) from error


def _rendezvous(coordinator: str, num_processes: int, process_id: int) -> None:
    _check(coordinator, num_processes, process_id)
    listen_at = os.environ.get('JAX_COORDINATOR_BIND_ADDRESS', coordinator)
    if process_id == 0:
        cluster.try_to_listen(listen_at)
        missing = f'not all {num_processes} processes have joined at --coordinator={coordinator}'
    else:
        missing = f'process 0 at --coordinator={coordinator} does not answer, or waits for others'
    advice = (
        f'start all {num_processes} within {RENDEZVOUS_SECONDS} seconds, each with this address of '
        f'process 0, --num_processes={num_processes} and a --process_id of its own'
    )
    with _in_time(RENDEZVOUS_SECONDS, f'{missing}: {advice}'):
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            initialization_timeout=2
            * RENDEZVOUS_SECONDS,  # longer than our timer: JAX's timeout exits from C++
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            coordinator_bind_address=listen_at,
        )
    if jax.process_count() != num_processes:
        raise UserError(
            f'--num_processes={num_processes}, but process 0 at --coordinator={coordinator} was '
            f'started with {jax.process_count()}'
        )


@contextlib.contextmanager
def _in_time(seconds: int, message: str) -> Iterator[None]:
    """Ends this process with a one-line message if the block takes longer than `seconds`.

    The block runs C++: no Python exception interrupts it, and Ctrl-C does so only with the default
    signal handler.
    """

    def end():
        try:
            os.write(2, f'error: {escaped(message)}\n'.encode())
        finally:
            os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGINT, before)


def _check(coordinator: str, num_processes: int, process_id: int) -> None:
    host, _, port = coordinator.rpartition(':')
    if not host or not re.fullmatch('[0-9]{1,5}', port) or not 0 < int(port) < 65536:
        raise UserError(f'--coordinator={coordinator}: give HOST:PORT of the first process')
    if num_processes > MAX_PROCESSES:
        raise UserError(f'--num_processes={num_processes}: at most {MAX_PROCESSES:,}')
    if not 0 <= process_id < num_processes:
        raise UserError(
            f'--process_id={process_id} and --num_processes={num_processes}: --process_id '
            'goes from 0 to --num_processes - 1'
        )


def is_first() -> bool:
    """Whether this is the first process, the only one that writes."""
    return jax.process_index() == 0


@contextlib.contextmanager
def folder_of(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields the folder for this process: `folder` for the first, a temporary one for others."""
    if is_first():
        yield folder
        return
    with leftovers.new_folder() as temporary:
        yield temporary / folder.name


def from_first(tree):
    """Broadcasts the first process's tree, bit for bit; all trees have the same structure.

    The arrays are sent as bytes: the broadcast is a sum, which would turn -0 into 0.
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
    """Broadcasts the first process's text, of at most `TEXT_BYTES` in UTF-8."""
    if jax.process_count() == 1:
        return text
    buffer = np.zeros(TEXT_BYTES, np.uint8)
    encoded = np.frombuffer(text.encode(), np.uint8)
    buffer[: len(encoded)] = encoded
    return from_first(buffer).tobytes().rstrip(b'\0').decode()


def on_first(check: Callable[[], None]) -> None:
    """Runs a check in the first process alone; if it fails, all processes raise its error.

    Raises:
      UserError: that of the check.
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
    """Whether `flag` is true in any process. A collective: all processes have to call it."""
    if jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))


@contextlib.contextmanager
def ending_together() -> Iterator[None]:
    """Ends this process at once if the block fails, which ends the other processes too.

    Raises:
      UserError: that of the block, or a collective failed because another process has ended.
    """
    try:
        yield
    except UserError:
        raise  # main.py exits at once
    except Exception as error:
        if not jax.distributed.is_initialized():
            raise
        if isinstance(error, RuntimeError | ValueError) and LOST.match(str(error)):
            raise UserError(
                f'another process has ended ({first_line(error)}); start all of them again: they '
                'continue from the last checkpoint'
            ) from error
        try:
            traceback.print_exc()
            sys.stdout.flush()
        finally:
            os._exit(1)
