"""Processes meet at an address: threads stand for them, what is said of those who are missing."""

import socket
import subprocess
import sys
import threading

import pytest
from conftest import ROOT

from atelier.errors import UserError
from atelier.multihost import rendezvous


@pytest.fixture(autouse=True)
def harmless(monkeypatch):
    """A thread of this process must not end it, nor tell anybody at its end."""
    monkeypatch.setattr(rendezvous, '_end_with', lambda name, other: None)
    monkeypatch.setattr(rendezvous.atexit, 'register', lambda f, others: f(others))


def met(*processes, seconds=1.0):
    """{number: what it was told, or None} of processes (number, how many it believes there are)."""
    with socket.socket() as one:
        one.bind(('localhost', 0))
        port = one.getsockname()[1]
    told = {}

    def come(number, count):
        try:
            told[number] = rendezvous.meet(f'localhost:{port}', count, number, seconds)
        except UserError as error:
            told[number] = str(error)

    threads = [threading.Thread(target=come, args=process) for process in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with socket.create_server(('', port)):  # free for JAX
        return told


def test_all_meet_whoever_comes_first():
    assert met((2, 3), (1, 3), (0, 3), seconds=20.0) == {0: None, 1: None, 2: None}
    assert met((0, 1)) == {0: None}


def test_the_first_names_who_is_missing():
    told = met((0, 4), (2, 4))
    assert 'of 4 processes 1, 3 did not come to --coordinator=localhost' in told[0]
    assert 'process 0 at --coordinator=localhost' in told[2] and 'start all 4' in told[2]


def test_nobody_answers():
    assert 'nobody answers at --coordinator=localhost' in met((1, 2), seconds=0.3)[1]


def test_they_have_to_agree_how_many_they_are():
    told = met((0, 2), (1, 3))
    assert 'process 1 was started with --num_processes=3, and this one with 2' in told[0]
    assert told[1]


def test_an_address_that_is_taken(complaint):
    with socket.create_server(('', 0)) as server:
        address = f'localhost:{server.getsockname()[1]}'
        assert 'in use' in complaint(rendezvous.meet, address, 2, 0, 0.3)


def test_who_knocks_by_mistake_is_sent_away():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b'GET / HTTP/1.1\n')
        assert rendezvous._number(ours, 2, 'here:1') is None


MEMBER = """
import os, signal, sys, time
from atelier.multihost import rendezvous
port, number, ending = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if ending == 'no terminal':
    os.close(2)
rendezvous.meet(f'localhost:{port}', 2, number, 20.0)
if ending == 'killed':
    os.kill(os.getpid(), signal.SIGKILL)
elif ending == 'traceback':
    raise ValueError('why')
elif ending != 'at its end':
    time.sleep(20.0)
"""


@pytest.mark.parametrize('left', [0, 1])
@pytest.mark.parametrize(
    ('ending', 'waiting', 'code', 'words'),
    [
        ('killed', 'waits', 1, 'error: process {} has ended'),
        ('traceback', 'waits', 1, 'error: process {} has ended'),
        ('killed', 'no terminal', 1, ''),
        ('at its end', 'at its end', 0, ''),
    ],
)
def test_who_ends_without_a_goodbye_takes_the_other_along(left, ending, waiting, code, words):
    """Processes of their own, well within the time that they would sleep."""
    with socket.socket() as one:
        one.bind(('localhost', 0))
        port = one.getsockname()[1]
    endings = {left: waiting, 1 - left: ending}
    started = {
        number: subprocess.Popen(
            [sys.executable, '-c', MEMBER, str(port), str(number), endings[number]],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in endings
    }
    try:
        told = {number: process.communicate(timeout=15)[1] for number, process in started.items()}
    finally:
        for process in started.values():
            process.kill()
    assert started[left].returncode == code
    assert words.format(1 - left) in told[left] and bool(words) == bool(told[left])
    assert ('ValueError: why' in told[1 - left]) == (ending == 'traceback')
