"""The cache of decoded data: built once, rebuilt if damaged, and no other files left behind.

Every failure (a full disk, a folder that is not writable, another process that builds the
same entry) gives the right arrays or one line.
"""

import contextlib
import errno
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import pytest

from atelier.data.cache import cached, create_array
from atelier.log import log

ROOT = pathlib.Path(__file__).resolve().parents[3]
X = np.random.RandomState(0).randint(0, 256, (30, 4)).astype(np.uint8)
ABOUT = {'image_shape': [4], 'num_classes': None, 'words': 'grün'}


class Build:
    """Builds the entry and counts the calls; calls `inside` halfway."""

    def __init__(self, inside=lambda: None):
        self.times, self.inside = 0, inside

    def __call__(self, folder):
        self.times += 1
        create_array(folder, 'x', X.shape, X.dtype)[:] = X
        self.inside()
        create_array(folder, 'label', (30,), np.int32)[:] = np.arange(30)
        return ABOUT


def assert_whole(about, arrays):
    assert about == ABOUT
    assert sorted(arrays) == ['label', 'x']
    np.testing.assert_array_equal(arrays['x'], X)
    np.testing.assert_array_equal(arrays['label'], np.arange(30))


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# Built once


def test_the_second_call_does_not_build(cache):
    build = Build()
    assert_whole(*cached('key', build))
    assert_whole(*cached('key', build))
    assert build.times == 1
    assert len(names(cache)) == 1


def test_another_key_is_another_entry(cache):
    build = Build()
    cached('key', build)
    cached('other', build)
    assert build.times == 2
    assert len(names(cache)) == 2


def test_the_arrays_are_memory_mapped_and_cannot_be_written(cache):
    build = Build()
    for _ in range(2):  # built, then read
        _, arrays = cached('key', build)
        assert {type(array) for array in arrays.values()} == {np.memmap}
        with pytest.raises(ValueError, match='read-only'):
            arrays['x'][0] = 1


def test_disk_space_of_an_array_is_allocated_before_it_is_written(tmp_path):
    """Without disk space, a write to a memory map raises a signal (SIGBUS), not an exception."""
    array = create_array(tmp_path, 'x', (1 << 20,), np.uint8)
    assert (tmp_path / 'x.npy').stat().st_blocks * 512 >= array.nbytes


# Rebuilt


def flipped(name, offset):
    def damage(entry):
        raw = bytearray((entry / name).read_bytes())
        raw[offset] ^= 4
        (entry / name).write_bytes(raw)

    return damage


def cut(entry):
    path = entry / 'x.npy'
    path.write_bytes(path.read_bytes()[:-7])


def replaced(text):
    return lambda entry: (entry / 'entry.json').write_bytes(text)


def without(name):
    return lambda entry: (entry / name).unlink()


def a_file_instead(entry):
    shutil.rmtree(entry)
    entry.write_text('rubbish')


def a_pipe(name):
    def replace(entry):
        (entry / name).unlink()
        os.mkfifo(entry / name)

    return replace


@pytest.mark.parametrize(
    'damage',
    [
        pytest.param(a_pipe('entry.json'), id='a pipe'),
        pytest.param(a_pipe('x.npy'), id='a pipe as array'),
        pytest.param(cut, id='cut short'),
        pytest.param(flipped('x.npy', -20), id='a flipped byte'),
        pytest.param(flipped('x.npy', 30), id='a flipped byte of a header'),
        pytest.param(flipped('label.npy', -1), id='a flipped byte of the labels'),
        pytest.param(replaced(b'rubbish'), id='rubbish'),
        pytest.param(replaced(b'\xff\xfe'), id='no text'),
        pytest.param(replaced(b''), id='empty'),
        pytest.param(replaced(b'[]'), id='a list'),
        pytest.param(replaced(b'null'), id='null'),
        pytest.param(replaced(b'{"crc32": [], "about": 0}'), id='other types'),
        pytest.param(replaced(b'{"crc32": {"x": 1, "label": 2}, "about": 0}'), id='other sums'),
        pytest.param(without('entry.json'), id='no entry.json'),
        pytest.param(without('x.npy'), id='no array'),
        pytest.param(a_file_instead, id='a file instead'),
        pytest.param(flipped('entry.json', 25), id='a flipped byte of what was said'),
    ],
)
def test_a_damaged_entry_is_rebuilt(cache, monkeypatch, caplog, damage):
    monkeypatch.setattr(log, 'propagate', True)  # caplog listens to the root logger
    build = Build()
    cached('key', build)
    (entry,) = cache.iterdir()
    damage(entry)
    assert_whole(*cached('key', build))
    assert build.times == 2
    (warning,) = caplog.messages
    assert str(entry) in warning
    assert 'damaged' in warning
    assert_whole(*cached('key', build))
    assert build.times == 2


# No files remain after an error


@pytest.mark.parametrize('kind', [ValueError, KeyboardInterrupt])
def test_a_build_that_fails_leaves_nothing_behind(cache, kind):
    def fail():
        raise kind('halfway')

    with pytest.raises(kind, match='halfway'):
        cached('key', Build(fail))
    assert names(cache) == []
    assert_whole(*cached('key', Build()))


# Two processes at once

OTHER_PROCESS = """
import sys
import numpy as np
from atelier.data.cache import cached, create_array

def build(folder):
    create_array(folder, 'x', (30, 4), np.uint8)[:] = 7
    print('inside', flush=True)
    sys.stdin.readline()
    return 'theirs'

about, arrays = cached('key', build)
assert about == 'theirs' and (arrays['x'] == 7).all()
"""


def test_two_processes_make_the_same_entry_at_once(cache):
    """Our build starts and ends during that of the other process; the first entry stays."""
    with subprocess.Popen(
        [sys.executable, '-c', OTHER_PROCESS],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == 'inside\n'
        about, arrays = cached('key', Build())
        other.communicate('go on\n', timeout=60)
    assert other.returncode == 0
    assert_whole(about, arrays)  # the memory map stays valid, though the temporary path is gone
    assert_whole(*cached('key', Build()))
    assert len(names(cache)) == 1


@pytest.mark.parametrize('moment', ['before our move', 'after our move'])
def test_another_process_changes_the_entry_during_a_build(cache, monkeypatch, moment):
    """Another process adds its entry before our move, or deletes ours afterwards to replace it."""
    rename = os.rename

    def step_in(source, target):
        if moment == 'before our move':
            shutil.copytree(source, target)
            rename(source, target)
        else:
            rename(source, target)
            shutil.rmtree(target)

    monkeypatch.setattr(os, 'rename', step_in)
    assert_whole(*cached('key', Build()))


# Obstacles


def test_a_cache_path_that_is_a_file_is_refused(tmp_path, monkeypatch, complaint):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    message = complaint(cached, 'key', Build())
    assert str(tmp_path / 'file') in message
    assert 'XDG_CACHE_HOME' in message


@contextlib.contextmanager
def as_unprivileged_user():
    """Runs as an unprivileged user, because root can write anywhere."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize(
    'mode',
    [
        pytest.param(0o555, id='read-only'),
        pytest.param(0o000, id='closed'),
    ],
)
def test_a_cache_without_write_permission_is_refused(monkeypatch, complaint, mode):
    with tempfile.TemporaryDirectory() as folder:  # any user may enter it, unlike tmp_path
        home = pathlib.Path(folder, 'home')
        home.mkdir(mode)
        pathlib.Path(folder).chmod(0o755)
        monkeypatch.setenv('XDG_CACHE_HOME', str(home))
        with as_unprivileged_user():
            message = complaint(cached, 'key', Build())
    assert str(home) in message
    assert 'XDG_CACHE_HOME' in message


@pytest.mark.parametrize('error_number', [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_one_line(cache, monkeypatch, complaint, error_number):
    def refuse(*_):
        raise OSError(error_number, os.strerror(error_number))

    monkeypatch.setattr(os, 'posix_fallocate', refuse)
    message = complaint(cached, 'key', Build())
    assert os.strerror(error_number) in message
    assert 'XDG_CACHE_HOME' in message
    assert names(cache) == []


def test_a_disk_that_fills_at_the_last_file_is_one_line(cache, monkeypatch, complaint):
    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pathlib.Path, 'write_text', refuse)
    message = complaint(cached, 'key', Build())
    assert 'XDG_CACHE_HOME' in message
    assert names(cache) == []
