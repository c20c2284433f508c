"""Training that continues on another number of devices: what the benchmark counts."""

import os
import subprocess
import sys

import pytest

from atelier.checkout import ROOT
from benchmarks.device_changes import Result, disagreement, row


def test_a_missing_entry_and_another_value_disagree():
    expected = {(10, 'valid/loss'): 100.0, (20, 'valid/loss'): 1e-3, (20, 'valid/std'): None}
    assert disagreement(dict(expected), expected) == 0.0
    assert disagreement({**expected, (10, 'valid/loss'): 101.0}, expected) == pytest.approx(0.01)
    assert disagreement({(10, 'valid/loss'): 100.0}, expected) == float('inf')
    assert row([Result('', 1e-6), Result('killed', float('inf'))])[:2] == ['1 of 2', 'inf']


@pytest.mark.slow
def test_a_killed_run_continues_on_another_number_of_devices():
    flags = os.environ['XLA_FLAGS'].replace('--xla_force_host_platform_device_count=8', '')
    result = subprocess.run(
        [sys.executable, '-m', 'benchmarks.device_changes', '--pairs=1', '--tries_per_pair=1'],
        cwd=ROOT,
        env={**os.environ, 'XLA_FLAGS': flags},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines()[-1] == '0 of 1 tries ended differently'
