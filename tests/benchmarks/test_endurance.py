"""A long run and a large sweep: what the benchmark reports, on small ones."""

import json
import os
import subprocess
import sys

import pytest

from atelier.checkout import ROOT
from benchmarks.endurance import Sample, judged, last_step, resident_bytes


def metrics_log(folder, steps):
    rows = [{'step': step, 'valid/loss': 0.5} for step in range(10, steps + 1, 10)]
    path = folder / 'metrics.jsonl'
    path.write_text(''.join(f'{json.dumps(row)}\n' for row in rows))
    return path


def test_memory_that_grows_and_a_missing_evaluation_are_reported(tmp_path):
    metrics = metrics_log(tmp_path, 1000)
    start, early = Sample(1.0, 10, 1, 10), Sample(2.0, 100, 100_000_000, 400)
    text, is_good = judged([start, early, Sample(9.0, 1000, 102_000_000, 4000)], metrics, 1000)
    assert is_good
    assert '9 s, 9.00 ms a step; memory 100 MB at step 100, 102 MB at step 1,000' in text
    assert not judged([start, early, Sample(9.0, 1000, 110_000_000, 4000)], metrics, 1000)[1]
    assert not judged([start, early, early], metrics_log(tmp_path, 990), 1000)[1]


def test_a_process_and_its_log_are_measured_while_it_trains(tmp_path):
    assert resident_bytes(os.getpid()) > 10_000_000
    assert last_step(tmp_path / 'metrics.jsonl') == 0
    metrics = metrics_log(tmp_path, 5000)
    assert last_step(metrics) == 5000
    metrics.write_text(metrics.read_text() + '{"step": 50')
    assert last_step(metrics) == 5000


@pytest.mark.slow
def test_a_short_run_and_a_small_sweep():
    sizes = ['--steps=2000', '--members=3', '--measure_every=0.1', '--may_grow=1']
    flags = os.environ['XLA_FLAGS'].replace('device_count=8', 'device_count=1')
    result = subprocess.run(
        [sys.executable, '-m', 'benchmarks.endurance', *sizes],
        cwd=ROOT,
        env={**os.environ, 'XLA_FLAGS': flags},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert '3 of 3 members finished' in result.stdout
    assert ', 0 of them damaged' in result.stdout
