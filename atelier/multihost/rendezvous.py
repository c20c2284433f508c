"""Several processes meet at an address, and learn when the first of them ends.

JAX does both, but where somebody is missing it ends a process with a stack of C++.
"""

import atexit
import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterable

from atelier.errors import UserError

READY, DONE = b'r', b'd'
PAUSE_SECONDS = 0.2
KNOCK_SECONDS = 1.0  # for one who knocks to say who it is


def meet(coordinator: str, num_processes: int, process_id: int, seconds: float) -> None:
    """Returns once all processes are here; then the address is free for JAX.

    From then on, where one ends otherwise than by reaching its end or `sys.exit`, the first says so
    and ends too, and with the first all others.

    Args:
      coordinator: HOST:PORT of the first process.
      num_processes: how many there are.
      process_id: this one's number; number 0 waits for the others, who come to it.
      seconds: that they wait for each other.

    Raises:
      UserError: the address cannot be used, nobody answers there, or not all have come.
    """
    host, _, port = coordinator.rpartition(':')
    until = time.monotonic() + seconds
    if process_id == 0:
        others = _receive(coordinator, int(port), num_processes, until)
        watched = {f'process {number}': connection for number, connection in others.items()}
    else:
        address = host.strip('[]'), int(port)
        connection = _reached(coordinator, address, until)
        watched = {'process 0': _come(coordinator, connection, num_processes, process_id, seconds)}
    for name, connection in watched.items():
        threading.Thread(target=_end_with, args=(name, connection), daemon=True).start()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # for hours of silence
    atexit.register(_leave, watched.values())  # before JAX's own, which waits for the others


def _leave(others: Iterable[socket.socket]) -> None:
    """Says goodbye at this process's end; where that is a traceback, it ends without one."""
    if getattr(sys, 'last_value', None) is not None:
        sys.stdout.flush()
        os._exit(1)
    _tell(others, DONE)


def _tell(others: Iterable[socket.socket], what: bytes) -> None:
    for connection in others:
        with contextlib.suppress(OSError):  # one that has gone
            connection.sendall(what)


def _end_with(name: str, other: socket.socket) -> None:
    """Ends this process when the other one does, unless that says goodbye first.

    However a process ends, its sockets are closed. JAX notices too, in milliseconds or after the
    heartbeat, and ends a process with a stack of C++, which takes it a tenth of a second: so
    without a moment's delay.
    """
    with contextlib.suppress(OSError):
        if other.recv(1) == DONE:
            return
    again = 'start all of them again: they continue from the last checkpoint'
    try:
        os.write(2, f'\nerror: {name} has ended, and says why if it could; {again}\n'.encode())
    finally:
        os._exit(1)  # a collective with it would never return


def _receive(
    coordinator: str, port: int, num_processes: int, until: float
) -> dict[int, socket.socket]:
    """The first process: hears every other one, then tells all; returns the ways to them."""
    everywhere = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if everywhere else socket.AF_INET
    try:
        server = socket.create_server(('', port), family=family, dualstack_ipv6=everywhere)
    except OSError as error:
        raise UserError(f'--coordinator={coordinator}: {error.strerror or error}') from error
    here: dict[int, socket.socket] = {}
    with server:
        while len(here) < num_processes - 1:
            server.settimeout(max(0.01, until - time.monotonic()))
            try:
                connection, _ = server.accept()
            except TimeoutError as error:
                missing = ', '.join(str(n) for n in range(1, num_processes) if n not in here)
                raise UserError(
                    f'of {num_processes} processes {missing} did not come to '
                    f'--coordinator={coordinator}: they have to be started with the same address, '
                    'which has to be that of this machine'
                ) from error
            number = _number(connection, num_processes, coordinator)
            if number is not None:
                here[number] = connection
    _tell(here.values(), READY)
    return here


def _number(connection: socket.socket, num_processes: int, coordinator: str) -> int | None:
    """Of the process at the other end; None: something else has knocked.

    Raises:
      UserError: it is of another number of processes.
    """
    connection.settimeout(KNOCK_SECONDS)
    try:
        number, count = map(int, connection.recv(64).split())
    except (OSError, ValueError):
        number, count = 0, 0
    if not 0 < number < count:
        connection.close()
        return None
    connection.settimeout(None)
    if count != num_processes:
        raise UserError(
            f'--coordinator={coordinator}: process {number} was started with '
            f'--num_processes={count}, and this one with {num_processes}'
        )
    return number


def _come(
    coordinator: str,
    connection: socket.socket,
    num_processes: int,
    process_id: int,
    seconds: float,
) -> socket.socket:
    """Any other process: says its number to the first, and waits until that has heard all."""
    connection.settimeout(seconds + 5.0)  # the first was there before: it gives up first
    with contextlib.suppress(OSError):
        connection.sendall(f'{process_id} {num_processes}\n'.encode())
        if connection.recv(1) == READY:
            connection.settimeout(None)
            return connection
    raise UserError(
        f'process 0 at --coordinator={coordinator} has ended, or waits for others: start all '
        f'{num_processes} processes, each with --num_processes={num_processes} and a number of its '
        'own'
    )


def _reached(coordinator: str, address: tuple[str, int], until: float) -> socket.socket:
    while True:
        try:
            connection = socket.create_connection(address, timeout=5.0)
            if connection.getsockname() != connection.getpeername():  # else it has found itself
                return connection
            connection.close()
        except UnicodeError as error:
            raise UserError(f'--coordinator={coordinator}: that is no name of a host') from error
        except OSError as error:
            if time.monotonic() > until:
                reason = error.strerror or str(error)
                raise UserError(
                    f'nobody answers at --coordinator={coordinator} ({reason}): process 0 has to '
                    'run there, and its port to be open'
                ) from error
            time.sleep(PAUSE_SECONDS)
