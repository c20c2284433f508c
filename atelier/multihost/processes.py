"""Several processes that train one run together: how they meet, agree, and which of them writes.

The first process alone writes into the run's folder; the others work in one of their own that is
thrown away. What one of them has read or heard and the others have not, they are told.

They meet and watch each other by `jax.distributed` alone. Where it fails in C++ it ends the process
there, and Python hears nothing of it, so what can be said in one line is said before:

- An address that cannot be listened at: JAX raises, or crashes. The first process tries it.
- A process that does not come: JAX ends the others with a stack. A timer is faster.
- Different `num_processes`: JAX takes what the first says. The others compare.
- A traceback: JAX waits at exit for the others, who wait for this process. It ends before.

Who dies later, the others' next collective fails with, in milliseconds (`ending_together`). Where
it does not fail because a machine is silent, or does not come because a process computes by itself
when the first one dies, JAX has the last word: it ends them with a stack, after the heartbeat.
"""

import contextlib
import logging
import os
import pathlib
import re
import signal
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

from atelier.errors import UserError
from atelier.log import log

HEARTBEAT_SECONDS = 20  # without a sign of life before a process counts as lost
MEETING_SECONDS = 60  # that processes wait for each other at the start
TEXT_BYTES = 4096
# how collectives and the coordination service begin what they say of one that does not answer
LOST = re.compile(
    '(UNAVAILABLE|DEADLINE_EXCEEDED|[A-Z_]+: .*(gloo|nccl|heartbeat|connection|socket))',
    re.IGNORECASE,
)


def join(coordinator: str, num_processes: int, process_id: int) -> None:
    """Before anything is computed: meets the other processes at the coordinator's address.

    Args:
      coordinator: HOST:PORT of the first process, which listens there and nowhere else (but where
        JAX_COORDINATOR_BIND_ADDRESS says); empty: the cluster's environment says all three.
      num_processes: how many there are.
      process_id: this one's number.

    Raises:
      UserError: the numbers cannot be, or the address is not this machine's to listen at.
    """
    jax.config.update('jax_cpu_collectives_implementation', 'gloo')
    jax.config.update('jax_enable_preemption_service', False)  # it takes SIGTERM for itself
    if coordinator:
        _meet(coordinator, num_processes, process_id)
    else:
        _meet_in_cluster()
    log.info(  # before JAX has the last word
        'process %d of %d; when one of them ends all do: start all of them again',
        *(jax.process_index(), jax.process_count()),
    )
    if not is_first():
        log.setLevel(logging.ERROR)  # one of them speaks


def _meet_in_cluster() -> None:
    try:
        jax.distributed.initialize(heartbeat_timeout_seconds=HEARTBEAT_SECONDS)
    except (RuntimeError, ValueError) as error:
        reason = str(error).split('\n')[0]
        raise UserError(
            f'--cluster: this is no cluster that JAX knows ({reason}); give --coordinator, '
            '--num_processes and --process_id'
        ) from error


def _meet(coordinator: str, num_processes: int, process_id: int) -> None:
    _check(coordinator, num_processes, process_id)
    listen_at = os.environ.get('JAX_COORDINATOR_BIND_ADDRESS', coordinator)
    if process_id == 0:
        _try_to_listen(listen_at)
        missing = f'not all {num_processes} processes have come to --coordinator={coordinator}'
    else:
        missing = f'process 0 at --coordinator={coordinator} does not answer, or waits for others'
    advice = (
        f'start all {num_processes} within {MEETING_SECONDS} seconds, each with this address of '
        f'process 0, --num_processes={num_processes} and a --process_id of its own'
    )
    with _in_time(MEETING_SECONDS, f'{missing}: {advice}'):
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            initialization_timeout=2 * MEETING_SECONDS,  # later than ours: it ends in C++
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            coordinator_bind_address=listen_at,
        )
    if jax.process_count() != num_processes:
        raise UserError(
            f'--num_processes={num_processes}, but process 0 at --coordinator={coordinator} was '
            f'started with {jax.process_count()}'
        )


@contextlib.contextmanager
def _in_time(seconds: int, complaint: str) -> Iterator[None]:
    """Ends this process with one line unless the block has ended after `seconds`.

    The block is C++: no exception reaches it, and Ctrl-C only where Python does not handle it.
    """

    def end():
        try:
            os.write(2, f'error: {complaint}\n'.encode())
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


def _try_to_listen(at: str) -> None:
    """Refuses an address that is taken or not this machine's."""
    host, _, port = at.rpartition(':')
    try:
        kind = dict(type=socket.SOCK_STREAM)
        family, _, _, _, address = socket.getaddrinfo(host.strip('[]'), port, **kind)[0]
        socket.create_server(address, family=family).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise UserError(
            f'--coordinator={at}: {reason}; process 0 listens there: give an address of its '
            'machine, or where it is behind another one set JAX_COORDINATOR_BIND_ADDRESS'
        ) from error


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
def ending_together() -> Iterator[None]:
    """Ends this one of several processes at once where the block fails: its end ends the others.

    Raises:
      UserError: the block's; or a collective failed, because another process is gone.
    """
    try:
        yield
    except UserError:
        raise  # main.py ends at once
    except Exception as error:
        if not jax.distributed.is_initialized():
            raise
        if isinstance(error, RuntimeError | ValueError) and LOST.match(str(error)):
            reason = str(error).split('\n')[0][:200]
            raise UserError(
                f'another process has ended ({reason}); start all of them again: they continue '
                'from the last checkpoint'
            ) from error
        try:
            traceback.print_exc()
            sys.stdout.flush()
        finally:
            os._exit(1)
