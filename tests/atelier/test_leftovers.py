"""Temporary files and folders are removed after their process has ended, and no earlier."""

import os
import signal
import subprocess
import sys

import pytest
from support import contents

from atelier import leftovers
from atelier.checkout import ROOT

KILLED = """
import os, pathlib, sys
import pytest

from atelier import leftovers
leftovers.new_file(pathlib.Path(sys.argv[1]))
with leftovers.new_folder(pathlib.Path(sys.argv[1])) as folder:
    (folder / 'large.npy').write_bytes(b'1')
    os.kill(os.getpid(), 9)
"""


def test_leftovers_of_a_killed_process_are_removed(tmp_path):
    """Removes the file and the folder with its contents."""
    result = subprocess.run([sys.executable, '-c', KILLED, str(tmp_path)], cwd=ROOT)
    assert result.returncode == -signal.SIGKILL
    assert len(contents(tmp_path)) == 4
    leftovers.remove_files(tmp_path)
    leftovers.remove_folders(tmp_path)
    assert contents(tmp_path) == {}


def test_files_being_written_stay(tmp_path):
    """A second process that starts in the folder removes no file or folder."""
    descriptor, path = leftovers.new_file(tmp_path)
    with leftovers.new_folder(tmp_path) as folder:
        leftovers.remove_files(tmp_path)
        leftovers.remove_folders(tmp_path)
        assert path.exists()
        assert folder.exists()
    os.close(descriptor)
    leftovers.remove_files(tmp_path)
    assert contents(tmp_path) == {}


def test_files_of_earlier_versions_are_removed_and_user_files_stay(tmp_path):
    """Also in subfolders such as `applications`; nothing behind a link is removed."""
    run, elsewhere = tmp_path / 'run', tmp_path / 'elsewhere'
    for folder in (run / 'applications', elsewhere):
        folder.mkdir(parents=True)
        (folder / '.embed.json.123').write_text('')
    for name in ('.config.json.77', '.notes', 'config.json', 'thesis.json.5', '.thesis.json.5'):
        (run / name).write_text('')
    for name in ('metrics.tmp', 'metrics.jsonl'):
        (run / name).write_text('{"step": 1}\n')
    (run / 'link').symlink_to(elsewhere)
    leftovers.remove_files(run)
    remaining = {path.name for path in run.iterdir()}
    users = {'.notes', 'config.json', 'thesis.json.5', '.thesis.json.5', 'metrics.jsonl'}
    assert remaining == {*users, 'applications', 'link'}
    assert not list((run / 'applications').iterdir())
    assert list(elsewhere.iterdir())


@pytest.mark.parametrize('has_metrics', [False, True])
def test_a_user_file_called_metrics_tmp_stays(tmp_path, has_metrics):
    """Beside metrics.jsonl, its content is not that of metrics."""
    (tmp_path / 'metrics.tmp').write_text('mine' if has_metrics else '{"step": 1}\n')
    if has_metrics:
        (tmp_path / 'metrics.jsonl').write_text('{"step": 1}\n')
    leftovers.remove_files(tmp_path)
    assert (tmp_path / 'metrics.tmp').exists()


def test_a_user_folder_with_the_name_of_a_leftover_stays(tmp_path):
    """Its name alone does not make a folder a leftover."""
    (tmp_path / 'atelier-datasets').mkdir()
    leftovers.remove_folders(tmp_path)
    assert (tmp_path / 'atelier-datasets').exists()
