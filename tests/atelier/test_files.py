"""Result files are complete or absent, never behind a link; checksums detect changes to JSON."""

import errno
import json
import math
import os
import re
import signal
import subprocess
import sys
import zlib

import numpy as np
import pytest
from support import contents

from atelier import files
from atelier.checkout import ROOT
from atelier.data.dataset import Spec
from atelier.errors import UserError
from atelier.log import log
from atelier.report import figures, image_grids, texts

TEXT = Spec((2,), 2, None, symbols='ab')


def draw(path):
    from matplotlib.figure import Figure

    figures.save_figure(path, Figure())


WRITERS = {
    'a.json': lambda path: files.write_json(path, {'new': 2}),
    'a.npz': lambda path: files.write_arrays(path, {'x': np.arange(5)}),
    'a.csv': lambda path: files.write_text(path, 'new'),
    'a.png': lambda path: image_grids.save(path, np.zeros((4, 4, 1), np.uint8)),
    'b.png': draw,
    'a.txt': lambda path: texts.save(path, np.zeros((1, 2)), TEXT),
}
KILLED = """
import os, pathlib, sys
from atelier import files
with files.whole(pathlib.Path(sys.argv[1])) as file:
    file.write(b'ne')
    file.flush()
    os.kill(os.getpid(), 9)
"""


# Whole or absent


@pytest.mark.parametrize('name', WRITERS)
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, name):
    """No temporary file remains, and the error is one line that names the file."""
    path = tmp_path / 'folder' / name
    WRITERS[name](path)
    before = contents(tmp_path)
    assert set(before) == {'folder', f'folder/{name}'}

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path.write_text('old')
    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(UserError, match=f'cannot write .*{name}: No space left'):
        WRITERS[name](path)
    assert contents(tmp_path) == {**before, f'folder/{name}': b'old'}


def test_a_kill_leaves_the_old_file(tmp_path):
    """The file is complete; the next start removes the temporary file."""
    path = tmp_path / 'a.npz'
    path.write_text('old')
    result = subprocess.run([sys.executable, '-c', KILLED, str(path)], cwd=ROOT)
    assert result.returncode == -signal.SIGKILL
    assert path.read_text() == 'old'
    assert len(contents(tmp_path)) == 2
    files.leftovers.remove_files(tmp_path)
    assert contents(tmp_path) == {'a.npz': b'old'}


def test_a_new_file_has_the_permissions_of_any_other(tmp_path):
    """Other users can read the file if the umask allows it."""
    files.write_text(tmp_path / 'a', '')
    (tmp_path / 'b').write_text('')
    assert (tmp_path / 'a').stat().st_mode == (tmp_path / 'b').stat().st_mode


def test_all_result_files_are_written_atomically():
    """No module of the engine writes a file of results under its final name."""
    forbidden = r"write_(text|bytes)\(|savez|savefig\(path|\.save\((path|str)|open\(.*['\"][wx]"
    others = [path for path in ROOT.glob('atelier/**/*.py') if path.name != 'files.py']
    allowed = (
        *('files.write_text(', 'image_grids.save(', 'texts.save(', '_common.save('),
        *('animation.save(',),
        *('numpy.save', "np.savez('mine.npz'"),  # in advice to the user
        "(folder / 'entry.json').write_text(",  # in a temporary folder, which is moved whole
    )
    lines = {
        f'{path.relative_to(ROOT)}: {line.strip()}'
        for path in others
        for line in path.read_text().splitlines()
        if re.search(forbidden, line)
    }
    assert [line for line in lines if not any(call in line for call in allowed)] == []


# Links


def test_a_link_inside_a_folder_is_refused(tmp_path):
    """At any depth, with an existing or a missing target."""
    mine = tmp_path / 'mine.txt'
    mine.write_text('mine')
    for name in ('samples/seed-0.npz', 'samples', 'checkpoints/40', 'checkpoints/40/state', 'x'):
        link = tmp_path / name.replace('/', '-') / name
        link.parent.mkdir(parents=True)
        link.symlink_to(mine if name != 'x' else tmp_path / 'nothing')
        with pytest.raises(UserError, match=f'{name} is a symbolic link'):
            files.check_entries(tmp_path / name.replace('/', '-'))
    assert mine.read_text() == 'mine'


def test_a_folder_and_its_checkpoints_may_be_on_another_disk(tmp_path):
    """Only to a folder that the user trusts. Links inside those checkpoints are refused."""
    (tmp_path / 'disk' / 'run').mkdir(parents=True)
    (tmp_path / 'disk' / 'checkpoints' / '40').mkdir(parents=True)
    (tmp_path / 'run').symlink_to(tmp_path / 'disk' / 'run')
    (tmp_path / 'run' / 'checkpoints').symlink_to(tmp_path / 'disk' / 'checkpoints')
    disk = tmp_path / 'disk' / 'checkpoints'
    files.check_entries(tmp_path / 'run', {disk})
    for trusted in ((), {disk.parent}, {disk / '40'}, {tmp_path / 'run' / 'checkpoints'}):
        with pytest.raises(UserError, match=f'is a link to {disk}: if you .* add --trust={disk}$'):
            files.check_entries(tmp_path / 'run', trusted)
    (tmp_path / 'run' / 'checkpoints' / '50').symlink_to(tmp_path)
    with pytest.raises(UserError, match='checkpoints/50 is a symbolic link'):
        files.check_entries(tmp_path / 'run', {disk, tmp_path})


@pytest.mark.parametrize('target', ['checkpoints', 'missing', 'file'])
def test_a_link_to_no_folder_is_refused_even_if_it_is_trusted(tmp_path, target):
    """A link to itself, to nothing or to a file."""
    (tmp_path / 'file').touch()
    (tmp_path / 'checkpoints').symlink_to(target)
    with pytest.raises(UserError, match='which is no folder: remove the link'):
        files.check_entries(tmp_path, {tmp_path / target})


@pytest.mark.parametrize('name', WRITERS)
def test_a_file_is_not_written_through_a_link(tmp_path, name):
    """A link created after the folder was opened is refused, too."""
    (tmp_path / 'mine').write_text('mine')
    (tmp_path / name).symlink_to(tmp_path / 'mine')
    with pytest.raises(UserError, match=f'{name} is a symbolic link'):
        WRITERS[name](tmp_path / name)
    assert (tmp_path / 'mine').read_text() == 'mine'


@pytest.mark.parametrize('name', WRITERS)
def test_a_pipe_is_not_replaced_by_a_file(tmp_path, name):
    """It is not something that the program has written."""
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=f'{name} is neither a regular file nor a folder'):
        WRITERS[name](tmp_path / name)


def test_a_reader_does_not_wait_for_a_pipe(tmp_path):
    """Even if the pipe is created after the folder was checked."""
    os.mkfifo(tmp_path / 'a.json')
    with pytest.raises(OSError, match='not a regular file'):
        files.open_regular(tmp_path / 'a.json')


# Checksums


def test_numbers_that_are_not_finite_are_null(tmp_path):
    path = tmp_path / 'numbers.json'
    values = {'nan': math.nan, 'inside': [math.inf, (1.5, -math.inf), {'x': np.float64('nan')}]}
    files.write_json(path, values)
    assert files.read_json(path) == {'nan': None, 'inside': [None, [1.5, None], {'x': None}]}


def test_json_is_read_without_its_checksum(tmp_path):
    """Another order of keys and other line breaks do not change the checksum."""
    path, value = tmp_path / 'a.json', {'b': 0.1, 'a': [1, {'c': None}], 'ä': 'é\udcff'}
    files.write_json(path, value)
    assert files.read_json(path) == value
    path.write_text(json.dumps(dict(reversed(json.loads(path.read_text()).items()))))
    assert files.read_json(path) == value


def test_a_changed_digit_is_refused(tmp_path):
    """The error is one line that names the file."""
    path = tmp_path / 'a.json'
    files.write_json(path, {'rate': 0.001, 'sizes': (1, 2)})
    path.write_text(path.read_text().replace('0.001', '0.002'))
    with pytest.raises(UserError, match=r'a\.json was changed after it was written'):
        files.read_json(path)


def test_a_file_without_a_checksum_is_read_and_reported_once(tmp_path, caplog, monkeypatch):
    """Runs of earlier versions continue."""
    monkeypatch.setattr(log, 'propagate', True)  # caplog listens to the root logger
    path = tmp_path / 'a.json'
    path.write_text('{"old": 1}')
    with caplog.at_level('INFO'):
        assert files.read_json(path) == files.read_json(path) == {'old': 1}
    (message,) = caplog.messages
    assert message == f'{path} has no checksum, because an earlier version wrote it'


@pytest.mark.parametrize(
    'text',
    ['[' * 100_000, '[]', '{', '{"a": 1', '\xff', '{"a": NaN}', '{"a":' * 50 + '1' + '}' * 50],
)
def test_invalid_json_is_a_value_error(tmp_path, text):
    """The caller turns the error into a message that says what the file is for."""
    (tmp_path / 'a.json').write_text(text, encoding='latin-1')
    with pytest.raises(ValueError):  # noqa: PT011 of several libraries
        files.read_json(tmp_path / 'a.json')


def test_a_huge_file_is_not_read_into_memory(tmp_path):
    """JSON of 8 GB is refused, and a checksum is computed by blocks."""
    path = tmp_path / 'a.json'
    path.touch()
    os.truncate(path, 8 << 30)
    with pytest.raises(ValueError, match='it is larger than 16,777,216 bytes'):
        files.read_json(path)
    os.truncate(path, 3 * files.BLOCK + 1)
    assert files.checksum_of(path) == f'{zlib.crc32(path.read_bytes()):08x}'
    assert files.checksum_of(tmp_path / 'none') is None
