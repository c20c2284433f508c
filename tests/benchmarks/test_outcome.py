"""The numbers of a benchmark as JSON, and its time limit."""

import json
import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from atelier import checkout, files
from atelier.errors import UserError
from benchmarks import outcome
from benchmarks.reference import rows

MODULES = sorted((checkout.ROOT / 'benchmarks').glob('*.py'))
STARTED = [path for path in MODULES if "__name__ == '__main__'" in path.read_text()]
CHILDREN = [
    path
    for path in STARTED
    if path.stem in ('damage_worker', 'start_up_phases')
    or 'from benchmarks.worker import Arm, main' in path.read_text()
]
PROGRAMS = [path for path in STARTED if path not in CHILDREN]
# the reference reserves their time, so they must keep to it; every sixth, for the seconds they take
OF_ROWS = sorted({row.benchmark for row in rows.load().values() if row.benchmark})[::6]


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
    assert limited.timeout() == pytest.approx(40, abs=1)
    limited.began -= 60
    assert limited.left() == limited.timeout() == 0
    assert outcome.Outcome('speed').timeout() is None


def test_a_mistake_ends_in_one_line():
    def fails(arguments):
        raise UserError(f'{arguments[0]} is\nwrong')

    with pytest.raises(SystemExit, match=r'^error: a is\\nwrong$'):
        outcome._in_one_line(fails, ['a'])


@pytest.mark.slow
def test_the_time_of_a_program_begins_before_its_imports():
    """The reference reserves the seconds of a benchmark for its whole process."""
    script = (
        'import time, benchmarks; time.sleep(1); from benchmarks import outcome; '
        'outcome.run(lambda _: print(outcome.Outcome.of_flags("speed").used()))'
    )
    command = [sys.executable, '-c', script, '--seconds=60']
    result = subprocess.run(command, cwd=checkout.ROOT, capture_output=True, text=True, check=True)
    assert float(result.stdout) > 1


@pytest.mark.parametrize('path', PROGRAMS, ids=lambda path: path.stem)
def test_every_benchmark_takes_a_time_limit_and_reads_it(path):
    """No other flag has the name, so that it means the same everywhere."""
    text = path.read_text()
    assert re.search(r'^    (outcome|workers)\.run\(main\)$', text, re.MULTILINE)
    assert '.Outcome.of_flags(' in text and re.search(r'\.(left|timeout)\b', text)
    assert not re.search(r"DEFINE_\w+\(\s*'(seconds|json)'", text)


@pytest.mark.slow
@pytest.mark.parametrize('name', OF_ROWS)
def test_a_benchmark_of_a_row_prints_what_it_has_when_its_time_is_up(name, tmp_path):
    text = (checkout.ROOT / 'benchmarks' / f'{name}.py').read_text()
    if re.search(r'^import torch$', text, re.MULTILINE):
        pytest.importorskip('torch')
    command = [sys.executable, '-m', f'benchmarks.{name}', '--seconds=1e-9']
    result = subprocess.run(
        [*command, f'--json={tmp_path / "a.json"}'],
        cwd=checkout.ROOT,
        env={**os.environ, 'XLA_FLAGS': '', 'TFDS_DATA_DIR': ''},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert 'time was up' in result.stdout
    content = files.read_json(tmp_path / 'a.json')
    assert content['benchmark'] == name
    assert all({*arm} == {'refused'} for arm in content['arms'].values())


@pytest.mark.parametrize('path', CHILDREN, ids=lambda path: path.stem)
def test_every_other_program_is_started_by_a_benchmark(path):
    name = f'benchmarks.{path.stem}'
    assert any(re.search(rf"'{name}\b", benchmark.read_text()) for benchmark in PROGRAMS)
