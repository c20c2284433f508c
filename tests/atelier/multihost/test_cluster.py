"""In a cluster, the first process listens at its address, if others can reach it there."""

import os
import socket
import subprocess
import sys

import pytest

from atelier.checkout import ROOT
from atelier.multihost import cluster


def free_address():
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return f'127.0.0.1:{one.getsockname()[1]}'


IN_CLUSTER = """
import logging, socket
from atelier.multihost import processes
logging.basicConfig(level=logging.INFO)
processes.join('', 0, 0)
for host in ('127.0.0.1', '127.0.0.2'):
    with socket.socket() as one:
        print(host, one.connect_ex((host, PORT)) == 0, flush=True)
"""


def in_cluster(node, **variables):
    """Joins as the only process of a simulated Slurm job on a node; returns (stdout, stderr)."""
    port = free_address().rpartition(':')[2]
    slurm = dict(JOB_ID='7', STEP_NODELIST=node, NTASKS='1', PROCID='0', LOCALID='0')
    environment = {f'SLURM_{name}': value for name, value in slurm.items()}
    variables = {name: value.format(port=port) for name, value in variables.items()}
    process = subprocess.run(
        [sys.executable, '-c', IN_CLUSTER.replace('PORT', port)],
        cwd=ROOT,
        env={
            **os.environ,
            'XLA_FLAGS': '',
            'JAX_COORDINATOR_PORT': port,
            **environment,
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout, process.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='127.0.0.2 is a name of the machine on Linux')
def test_in_a_cluster_process_0_listens_only_at_its_address():
    stdout, stderr = in_cluster('127.0.0.1')
    assert stdout == '127.0.0.1 True\n127.0.0.2 False\n'
    assert 'process 0 of 1' in stderr and 'every interface' not in stderr
    stdout, _ = in_cluster('127.0.0.1', JAX_COORDINATOR_BIND_ADDRESS='0.0.0.0:{port}')
    assert stdout.endswith('127.0.0.2 True\n')


def test_where_a_cluster_cannot_reach_process_0_it_listens_everywhere(monkeypatch, caplog):
    """A warning gives the reason and the variable that chooses an address."""
    monkeypatch.delenv('JAX_COORDINATOR_BIND_ADDRESS', raising=False)
    monkeypatch.setattr(socket, 'gethostbyname', lambda host: '127.0.1.1')  # as on Debian
    assert cluster._bind_address('node7:5000') is None
    assert 'node7 is a loopback address here): set JAX_COORDINATOR_BIND' in caplog.text
    caplog.clear()
    assert cluster._bind_address('192.0.2.1:5000') is None  # of another machine
    assert 'on every interface (--coordinator' in caplog.text
    assert cluster._bind_address(free_address()) is not None
