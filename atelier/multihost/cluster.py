"""Where the first process listens: the address that a cluster's environment gives."""

import ipaddress
import os
import socket
from typing import Any

import jax

from atelier.errors import UserError
from atelier.log import log


def arguments(timeout_seconds: int) -> dict[str, Any]:
    """Returns what the cluster's environment says, as arguments of `jax.distributed.initialize`.

    JAX would find out the same, but its first process would listen on every interface. Some kinds
    of clusters are asked for at most `timeout_seconds`.

    Raises:
      RuntimeError, ValueError: the environment is incomplete.
    """
    names = ('coordinator_address', 'num_processes', 'process_id', 'local_device_ids')
    given = (os.environ.get('JAX_COORDINATOR_ADDRESS'), None, None, None)
    try:  # no public function of JAX gives the address
        detect = jax._src.clusters.ClusterEnv.auto_detect_unset_distributed_params
        found = dict(zip(names, detect(*given, None, timeout_seconds), strict=True))
    except (AttributeError, TypeError):  # another version of JAX
        log.warning('the coordinator listens on every interface, as chosen by this version of JAX')
        return {}
    if os.environ.get('JAX_LOCAL_DEVICE_IDS'):
        found['local_device_ids'] = None  # JAX reads the variable
    if found['process_id'] == 0 and found['coordinator_address']:
        found['coordinator_bind_address'] = _bind_address(found['coordinator_address'])
    return {**found, 'cluster_detection_method': 'deactivate'}


def _bind_address(coordinator: str) -> str | None:
    """Returns the address at which process 0 of a cluster listens; None: on every interface.

    It is the cluster's address unless the other machines could not reach process 0 there: if this
    machine maps its own name to the loopback address, or has no interface of that address.
    """
    if os.environ.get('JAX_COORDINATOR_BIND_ADDRESS'):
        return os.environ['JAX_COORDINATOR_BIND_ADDRESS']
    host = coordinator.rpartition(':')[0]
    reason = f'{host} is a loopback address here'
    try:
        is_numeric = host == 'localhost' or _is_address(host)
        if is_numeric or not ipaddress.ip_address(socket.gethostbyname(host)).is_loopback:
            try_to_listen(coordinator)
            return coordinator
    except (OSError, UnicodeError, UserError) as error:
        reason = str(error).partition(';')[0]
    log.warning(
        'the coordinator listens on every interface (%s): set JAX_COORDINATOR_BIND_ADDRESS to '
        'HOST:PORT of one',
        reason,
    )
    return None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip('[]'))
    except ValueError:
        return False
    return True


def try_to_listen(address: str) -> None:
    """Checks that this process can listen at an address.

    Raises:
      UserError: the address is in use or does not belong to this machine.
    """
    host, _, port = address.rpartition(':')
    try:
        kind = dict(type=socket.SOCK_STREAM)
        family, _, _, _, socket_address = socket.getaddrinfo(host.strip('[]'), port, **kind)[0]
        socket.create_server(socket_address, family=family).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise UserError(
            f'--coordinator={address}: {reason}; process 0 listens there: give an address of its '
            'machine, or set JAX_COORDINATOR_BIND_ADDRESS to where it listens'
        ) from error
