"""A long run and a large sweep: what the benchmark reports, on small ones."""

import json
import os
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from atelier.checkout import ROOT
from benchmarks import endurance
from benchmarks.endurance import Sample, has_ended, judged, last_step, resident_bytes


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


def test_a_process_whose_time_is_up_is_ended(monkeypatch):
    """Kindly at first; one that does not listen is killed."""
    monkeypatch.setattr(endurance, 'GRACE', 0.2)
    ignores = 'signal.signal(signal.SIGTERM, signal.SIG_IGN)'
    for code, status in (('pass', -signal.SIGTERM), (ignores, -signal.SIGKILL)):
        program = f'import signal, time; {code}; print(1, flush=True); time.sleep(60)'
        command = [sys.executable, '-c', program]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            assert not has_ended(process, 0.0)
            assert process.returncode == status
    with subprocess.Popen([sys.executable, '-c', '']) as process:
        assert has_ended(process, None) and process.returncode == 0


@pytest.mark.slow
def test_a_run_and_a_sweep_that_are_stopped_say_how_far_they_came(tmp_path):
    values = SimpleNamespace(steps=1_000_000, measure_every=0.1, may_grow=1.0)
    metrics = tmp_path / 'run' / 'metrics.jsonl'
    until = SimpleNamespace(left=lambda: float(last_step(metrics) < 200))
    part = endurance.long_run(tmp_path / 'run', values, until)
    assert part.is_good and not part.is_whole
    assert re.match(r'time was up at step [\d,]+: \d+ s, .* ms a step; memory', part.text), part
    part = endurance.sweep(tmp_path / 'sweep', 200, 3.0)
    assert part.is_good and not part.is_whole
    assert part.text.startswith('time was up: ') and 'of 200 members finished' in part.text


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
