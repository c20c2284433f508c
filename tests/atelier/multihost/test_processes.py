"""Processes join at an address: messages if other processes do not join, or end."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from atelier.checkout import ROOT
from atelier.multihost import processes

MEMBER = """
import os, signal, sys
from atelier.errors import UserError
from atelier.multihost import processes
coordinator, count, number, seconds, ending = sys.argv[1:]
processes.RENDEZVOUS_SECONDS, processes.HEARTBEAT_SECONDS = int(seconds), 10
try:
    processes.join(coordinator, int(count), int(number))
    with processes.ending_together():
        for step in range(10**6):
            processes.any_of(False)
            if step == 20 and ending == 'killed':
                os.kill(os.getpid(), signal.SIGKILL)
            if step == 20 and ending == 'traceback':
                raise KeyError('why')
            if step == 20 and ending == 'at its end':
                break
except UserError as error:
    print(f'error: {error}', file=sys.stderr, flush=True)
    os._exit(1)
"""
TOGETHER = 60  # seconds; enough because no process is missing


def free_address():
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return f'127.0.0.1:{one.getsockname()[1]}'


def begin(coordinator, count, index, seconds=TOGETHER, ending=''):
    arguments = map(str, (coordinator, count, index, seconds, ending))
    return subprocess.Popen(
        [sys.executable, '-c', MEMBER, *arguments],
        cwd=ROOT,
        env={**os.environ, 'XLA_FLAGS': ''},
        stderr=subprocess.PIPE,
        text=True,
    )


def stderr_of(*started, timeout=60):
    """Returns the standard error of each process when it has ended."""
    try:
        return [process.communicate(timeout=timeout)[1] for process in started]
    finally:
        for process in started:
            process.kill()


def last_line(text):
    return text.strip().split('\n')[-1]


def reached(host, port):
    with socket.socket() as one:
        one.settimeout(5)
        return one.connect_ex((host, port)) == 0


@pytest.mark.slow
def test_a_join_that_times_out_is_one_line_with_advice():
    addresses = [free_address(), free_address()]
    started = [begin(addresses[0], 3, 0, 4), begin(addresses[1], 3, 1, 4)]
    first, other = stderr_of(*started)
    assert [process.returncode for process in started] == [1, 1]
    expected = (
        f'error: not all 3 processes have joined at --coordinator={addresses[0]}: start all 3'
    )
    assert first.startswith(expected) and first.count('\n') == 1
    expected = f'error: process 0 at --coordinator={addresses[1]} does not answer'
    assert other.startswith(expected) and other.count('\n') == 1


@pytest.mark.skipif(sys.platform != 'linux', reason='127.0.0.2 is a name of the machine on Linux')
def test_process_0_listens_only_at_its_address():
    address = free_address()
    port = int(address.rpartition(':')[2])
    first = begin(address, 2, 0)
    try:
        until = time.monotonic() + 60
        while not reached('127.0.0.1', port):
            assert first.poll() is None and time.monotonic() < until
            time.sleep(0.1)
        assert not reached('127.0.0.2', port)
        first.send_signal(signal.SIGINT)  # while it waits in C++ code
        assert first.wait(10) == -signal.SIGINT
    finally:
        stderr_of(first)


@pytest.mark.slow
def test_different_process_counts_are_refused():
    address = free_address()
    first, other = begin(address, 2, 0), begin(address, 3, 1)
    try:
        (text,) = stderr_of(other)
    finally:
        first.kill()  # otherwise it would wait for the heartbeat
    assert other.returncode == 1
    assert re.search('error: --num_processes=3, but process 0 .* was started with 2', text)


def test_an_address_in_use_or_of_another_machine_is_refused(complaint):
    with socket.create_server(('127.0.0.1', 0)) as server:
        address = f'127.0.0.1:{server.getsockname()[1]}'
        assert 'in use' in complaint(processes.join, address, 2, 0)
    assert 'process 0 listens there' in complaint(processes.join, '192.0.2.1:5000', 2, 0)
    assert 'process 0 listens there' in complaint(processes.join, 'nowhere.invalid:5000', 2, 0)


def test_a_traceback_in_one_process_ends_both():
    address = free_address()
    started = [begin(address, 2, 0), begin(address, 2, 1, ending='traceback')]
    other, failed = stderr_of(*started)
    assert [process.returncode for process in started] == [1, 1]
    assert "KeyError: 'why'" in failed
    assert last_line(other).startswith('error: another process has ended'), other


@pytest.mark.slow
@pytest.mark.parametrize('victim', [0, 1, 2])
def test_killing_one_process_ends_all(victim):
    address = free_address()
    endings = ['killed' if index == victim else '' for index in range(3)]
    started = [begin(address, 3, i, ending=ending) for i, ending in enumerate(endings)]
    for index, text in enumerate(stderr_of(*started)):
        assert started[index].returncode != 0
        # if a collective hangs, JAX's heartbeat ends the process first
        # JAX's threads may log after our line
        ours = re.search('^error: another process has ended', text, re.MULTILINE)
        expected = index == victim or ours or 'Terminating process' in text
        assert expected, text


@pytest.mark.slow
def test_a_silent_process_ends_all_after_the_heartbeat():
    """As if a machine lost its network; the message is JAX's own, with a stack trace."""
    address = free_address()
    first, other = begin(address, 2, 0), begin(address, 2, 1, ending='silent')
    time.sleep(10)
    other.send_signal(signal.SIGSTOP)
    try:
        (text,) = stderr_of(first)
    finally:
        other.kill()
    assert first.returncode != 0
    assert 'stopped sending heartbeats' in text


@pytest.mark.slow
def test_processes_that_finish_exit_with_zero():
    address = free_address()
    started = [begin(address, 2, index, ending='at its end') for index in range(2)]
    texts = stderr_of(*started)
    assert [process.returncode for process in started] == [0, 0], texts


@pytest.mark.slow
def test_rubbish_sent_to_the_address_is_ignored():
    """Process 0 ignores other data, and joins the process that it waits for."""
    address = free_address()
    host, port = address.split(':')
    first = begin(address, 2, 0, ending='at its end')
    until = time.monotonic() + 60
    while not reached(host, int(port)):
        assert first.poll() is None and time.monotonic() < until
        time.sleep(0.1)
    for rubbish in (b'rubbish\n', b'GET / HTTP/1.0\r\n\r\n', b'\0' * 10**5, os.urandom(4096)):
        with socket.create_connection((host, int(port)), 5) as one:
            one.sendall(rubbish)
    other = begin(address, 2, 1, ending='at its end')
    stderr_of(first, other)
    assert first.returncode == other.returncode == 0


@pytest.mark.parametrize('port', ['²', '99999', '-1', '1' * 5000, ''])
def test_an_invalid_port_is_refused(complaint, port):
    """Digits of other scripts are refused."""
    message = complaint(processes.join, f'localhost:{port}', 2, 0)
    assert 'give HOST:PORT of the first process' in message
    assert 'at most' in complaint(processes.join, 'localhost:5000', 10**20, 0)
