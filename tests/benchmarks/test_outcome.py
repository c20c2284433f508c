"""The numbers of a benchmark as JSON, and its time limit."""

import json
import math

import numpy as np
import pytest

from atelier import files
from benchmarks import outcome


def test_the_file_holds_arms_ratios_and_the_machine(tmp_path):
    result = outcome.Outcome('speed', 60.0, str(tmp_path / 'a.json'))
    result.add_arm('ours', [3.0, 1.0, 2.0], losses=[np.array([4.0, 6.0]), np.array([1.0, 2.0])])
    result.add_arm('theirs', [])
    result.add_arm('others', [], losses=[np.array([2.0])], failure='no memory')
    result.add_ratio('ours / theirs', [2.0, 4.0, 3.0])
    result.add_ratio('ours / others', [2.0], 'its losses are not finite')
    result.add_ratio('ours / late', [])
    result.write()
    content = files.read_json(tmp_path / 'a.json')
    assert content['benchmark'] == 'speed'
    assert content['machine']['processor'] and content['machine']['cores'] > 0
    assert content['arms'] == {
        'ours': {
            'milliseconds': {'median': 2.0, 'low': 1.0, 'high': 3.0, 'repeats': 3},
            'losses': [5.0, 1.5],
        },
        'theirs': {'refused': 'time was up'},
        'others': {'refused': 'no memory', 'losses': [2.0]},
    }
    assert content['ratios'] == {
        'ours / theirs': {'value': 3.0, 'low': 2.0, 'high': 4.0},
        'ours / others': {'refused': 'its losses are not finite'},
        'ours / late': {'refused': 'time was up'},
    }
    assert 0 <= content['seconds_used'] < 60


def test_losses_that_are_not_finite_are_null(tmp_path):
    result = outcome.Outcome('speed', path=str(tmp_path / 'a.json'))
    result.add_arm('theirs', [1.0], losses=[np.array([1.0, np.nan])])
    result.write()
    assert json.loads((tmp_path / 'a.json').read_text())['arms']['theirs']['losses'] == [None]


def test_a_group_gets_its_share_of_the_time_left():
    assert outcome.Outcome('speed').left(0.5) == math.inf
    limited = outcome.Outcome('speed', 100.0)
    limited.began -= 60
    assert limited.left() == pytest.approx(40, abs=1)
    assert limited.left(0.5) == pytest.approx(20, abs=1)
    limited.began -= 60
    assert limited.left() == 0
