"""--profile: the second dispatch is recorded, and training is unchanged."""

import gzip
import json

import jax
import numpy as np
import pytest
from support import assembled, untimed_lines

import train_lib
from atelier.training import trace

FILE = 'perfetto_trace.json.gz'


@pytest.mark.slow
def test_the_second_dispatch_is_recorded_and_changes_nothing(tmp_path):
    runs = [assembled(tmp_path / name, 'vae') for name in ('with', 'without')]
    states = [train_lib.train(run, profile=run is runs[0]) for run in runs]
    (file,) = (tmp_path / 'with' / trace.NAME).rglob(FILE)
    events = json.loads(gzip.decompress(file.read_bytes()))
    events = events['traceEvents'] if isinstance(events, dict) else events
    names = [event.get('name', '') for event in events if event.get('ph') == 'X']
    assert sum('dispatch.py' in name and name.endswith('dispatch') for name in names) == 1
    assert not (tmp_path / 'without' / trace.NAME).exists()
    assert untimed_lines(tmp_path / 'with') == untimed_lines(tmp_path / 'without')
    jax.tree.map(np.testing.assert_array_equal, states[0].params, states[1].params)


@pytest.mark.slow
def test_a_run_that_is_finished_is_not_recorded(tmp_path):
    run = assembled(tmp_path / 'run', 'vae')
    train_lib.train(run)
    train_lib.train(run, profile=True)
    assert not (run.folder / trace.NAME).exists()
