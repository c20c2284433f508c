"""A real training that is stopped by SIGTERM and continued has the values of a whole one."""

import math
import os
import signal
import threading
import time

import example_rows
import pytest

from benchmarks.reference import commands, progress, work
from benchmarks.reference.schedule import Task

SHORT = "overrides = {'train.steps' = 300, 'train.steps_per_dispatch' = 10}"


@pytest.mark.slow
def test_interrupted_and_continued_equals_whole(tmp_path):
    known = example_rows.load(tmp_path, ('row', 1, SHORT))
    row, task, ended = known['row'], Task('row', 0), {}
    for name in ('whole', 'interrupted'):
        setting = example_rows.setting(tmp_path, known)._replace(runs=tmp_path / name)
        folder = commands.folder_of(row, 0, setting.runs)
        if name == 'interrupted':
            threading.Thread(target=stop_once_it_trains, args=[folder], daemon=True).start()
            problems = work.measure(setting, [task], math.inf, lambda task: None)
            assert problems == {task: 'it was stopped'}
            assert any((folder / 'checkpoints').iterdir())
            assert 'stopping after this dispatch' in folder.with_suffix('.log').read_text()
        assert work.measure(setting, [task], math.inf, lambda task: None) == {}
        ended[name] = progress.load(row, 0, setting.runs)
    assert ended['interrupted'].starts == 2 and ended['whole'].starts == 1
    assert ended['interrupted'].values == ended['whole'].values
    assert ended['interrupted'].errors == ended['whole'].errors


def stop_once_it_trains(folder):
    """Sends SIGTERM to this process, as a cluster does, once the run has written metrics."""
    metrics = folder / 'metrics.jsonl'
    while not (metrics.exists() and metrics.stat().st_size):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
