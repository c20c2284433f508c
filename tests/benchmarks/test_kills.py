"""Kills at changes of files: the harness notices what it should, and killed commands continue."""

import os
import subprocess
import sys

import numpy as np
import pytest
from marks import EXHAUSTIVE

from atelier.checkout import ROOT
from benchmarks.file_digests import differences, of_folder


def test_times_and_identities_do_not_distinguish_two_runs(tmp_path):
    """Values, names and torn files do."""
    first, second = tmp_path / 'a', tmp_path / 'b'
    for folder, seconds in ((first, 1), (second, 2)):
        (folder / 'tensorboard').mkdir(parents=True)
        (folder / 'tensorboard' / f'events.{seconds}').touch()
        (folder / 'config.json').write_text(f'{{"id": "{seconds}", "path": "{folder}"}}')
        (folder / 'metrics.jsonl').write_text(f'{{"step": 1, "time/x": {seconds}}}\n')
        np.savez(folder / 'x.npz', x=np.arange(3))
    assert differences(of_folder(first), of_folder(second)) == []
    (first / 'metrics.jsonl').write_text('{"step": 2}\n')
    (first / '.config.json.77').touch()
    (second / 'more.txt').touch()
    assert differences(of_folder(first), of_folder(second)) == [
        'left over: .config.json.77',
        'missing: more.txt',
        'differs: metrics.jsonl',
    ]


def test_only_an_older_checkpoint_may_be_left_over():
    expected = {'run/checkpoints/10': 'a', 'run/checkpoints/20': 'b'}
    assert differences({**expected, 'run/checkpoints/5': 'c'}, expected) == []
    torn = {**expected, 'run/checkpoints/5': 'unreadable: a chunk is missing'}
    assert differences(torn, expected) == ['left over: run/checkpoints/5']
    for name in ('run/checkpoints/30', 'run/checkpoints/5.tmp', 'run/samples/5', 'checkpoints/5'):
        assert differences({**expected, name: 'c'}, expected) == [f'left over: {name}']


PROGRAM = """
import os, pathlib, sys
from benchmarks import fault_injection
from benchmarks.fault_injection import Fault
folder = pathlib.Path(sys.argv[1])

def work():
    fault = Fault(3, is_disk_full=sys.argv[2] == 'full') if sys.argv[2] != 'no' else None
    fault_injection._install([str(folder)], fault, folder / 'count')
    (folder / 'a').write_text('a')
    os.rename(folder / 'a', folder / 'b')
    pathlib.Path(os.devnull).read_text()
    with (folder / 'c').open('wb') as file:
        file.write(bytes(100_000))

print(fault_injection.forked(work, 60.0)[0], sorted(path.name for path in folder.iterdir()))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ('fault', 'expected'),
    [
        ('no', "0 ['b', 'c', 'count']"),
        ('kill', "-9 ['b', 'count']"),
        ('full', "1 ['b', 'c', 'count']"),
    ],
)
def test_the_third_change_of_a_file_is_hit(tmp_path, fault, expected):
    """The kill comes before the change; on a full disk the write fails."""
    command = [sys.executable, '-c', PROGRAM, str(tmp_path), fault]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.stdout.strip().splitlines()[-1] == expected, result.stderr
    assert len((tmp_path / 'count').read_bytes()) == 3


@pytest.mark.slow
@pytest.mark.parametrize('tries', [1, pytest.param(2, marks=EXHAUSTIVE)])
def test_disturbed_commands_continue(tries):
    """Killed, or with a full disk, at changes of files and inside saves: all ends with equal bits.

    The four commands write all kinds of files: a run, a sweep, results, and the cache of pictures.
    """
    commands = '--commands=train,sweep,evaluate,folder'
    flags = os.environ['XLA_FLAGS'].replace('device_count=8', 'device_count=1')
    result = subprocess.run(
        [sys.executable, '-m', 'benchmarks.kills', commands, f'--tries={tries}', '--kill_seed=4'],
        cwd=ROOT,
        env={**os.environ, 'XLA_FLAGS': flags},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.splitlines()[-1] == f'0 of {4 * tries} tries ended differently'
