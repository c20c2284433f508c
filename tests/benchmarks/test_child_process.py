"""Processes that a benchmark waits for: what they print, how they fail, how long they may take."""

import sys
import time

import pytest

from benchmarks import child_process


def run(script, environment=None, timeout=60.0):
    return child_process.run([sys.executable, '-c', script], environment or {}, timeout)


def test_a_process_has_the_environment_and_returns_what_it_prints(monkeypatch):
    monkeypatch.setenv('OURS', '1')
    script = 'import os; print(os.environ["OURS"], os.environ["MORE"], os.path.exists("main.py"))'
    assert run(script, {'MORE': '2'}, None) == '1 2 True\n'


def test_a_process_that_fails_says_why():
    with pytest.raises(RuntimeError, match='no memory$'):
        run('print("out"); raise SystemExit("no memory")')


def test_a_process_that_takes_too_long_is_ended():
    began = time.monotonic()
    with pytest.raises(TimeoutError, match='not finished within 1 s'):
        run('import time; time.sleep(60)', timeout=1.0)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ('printed', 'line'),
    [
        (b'Traceback\nMemoryError: \xff\n\n', 'MemoryError: \ufffd'),
        (b'a' * 1000, 'a' * 300),
        (b' \n', 'it printed nothing'),
        (b'', 'it printed nothing'),
    ],
)
def test_the_last_line_says_why(printed, line):
    assert child_process.last_line(printed) == line
