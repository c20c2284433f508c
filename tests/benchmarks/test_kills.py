"""Kills at changes of files: the harness notices what it should, and killed commands continue."""

import subprocess
import sys

import numpy as np
import pytest

from atelier.checkout import ROOT
from benchmarks.endings import differences, of_folder


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


PROGRAM = """
import os, pathlib, sys
from benchmarks import killed
folder = pathlib.Path(sys.argv[1])

def work():
    blow = killed.Blow(3, is_disk_full=sys.argv[2] == 'full') if sys.argv[2] != 'no' else None
    killed._install([str(folder)], blow, folder / 'count')
    (folder / 'a').write_text('a')
    os.rename(folder / 'a', folder / 'b')
    pathlib.Path(os.devnull).read_text()
    with (folder / 'c').open('wb') as file:
        file.write(bytes(100_000))

print(killed.forked(work, 60.0)[0], sorted(path.name for path in folder.iterdir()))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ('blow', 'ending'),
    [
        ('no', "0 ['b', 'c', 'count']"),
        ('kill', "-9 ['b', 'count']"),
        ('full', "1 ['b', 'c', 'count']"),
    ],
)
def test_the_third_change_of_a_file_is_hit(tmp_path, blow, ending):
    """The kill comes before the change; on a full disk the write fails."""
    command = [sys.executable, '-c', PROGRAM, str(tmp_path), blow]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.stdout.strip().splitlines()[-1] == ending, result.stderr
    assert len((tmp_path / 'count').read_bytes()) == 3
