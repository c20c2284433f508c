"""CIFAR-10's binary version: the archive, its extracted files, and hostile archives."""

import gzip
import io
import tarfile

import numpy as np
import pytest

from atelier.data.original import cifar
from atelier.data.original.known import KNOWN
from benchmarks.original_files import cifar_batches, write_tar

CIFAR = KNOWN['cifar10']
RNG = np.random.default_rng(0)
X, LABEL = RNG.integers(0, 256, (10, 32, 32, 3), np.uint8), np.arange(10)
TEST_X, TEST_LABEL = RNG.integers(0, 256, (3, 32, 32, 3), np.uint8), np.array([9, 9, 1])
BATCHES = cifar_batches(X, LABEL, TEST_X, TEST_LABEL)
INSIDE = {f'cifar-10-batches-bin/{name}': content for name, content in BATCHES.items()}
README = {
    'cifar-10-batches-bin/readme.html': b'<html>',
    'cifar-10-batches-bin/batches.meta.txt': b'',
}


def read(folder):
    return cifar.read(cifar.find(folder, CIFAR), CIFAR)


def check(splits):
    for split, x, label in (('train', X, LABEL), ('test', TEST_X, TEST_LABEL)):
        np.testing.assert_array_equal(splits[split].x, x)
        np.testing.assert_array_equal(splits[split].label, label)


def test_the_archive_is_read_without_unpacking(tmp_path):
    write_tar(tmp_path / 'cifar-10-binary.tar.gz', README | INSIDE)
    check(read(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ['cifar-10-binary.tar.gz']


def test_an_archive_that_a_browser_unpacked_is_read(tmp_path):
    packed = write_tar(tmp_path / 'x', INSIDE).read_bytes()
    (tmp_path / 'cifar-10-binary.tar').write_bytes(gzip.decompress(packed))
    check(read(tmp_path))


@pytest.mark.parametrize('inside', ['', 'cifar-10-batches-bin'])
def test_extracted_files_are_read(tmp_path, inside):
    (tmp_path / inside).mkdir(exist_ok=True)
    for name, content in BATCHES.items():
        (tmp_path / inside / name).write_bytes(content)
    check(read(tmp_path))


def test_a_missing_file_is_named(tmp_path, complaint):
    (tmp_path / 'data_batch_1.bin').write_bytes(BATCHES['data_batch_1.bin'])
    assert 'lacks data_batch_2.bin, ' in complaint(read, tmp_path)


@pytest.mark.parametrize('name', cifar.PICKLES)
def test_the_python_version_is_refused_by_name(tmp_path, complaint, name):
    (tmp_path / name).write_bytes(b'\x80\x02cos\nsystem\n')
    line = complaint(read, tmp_path)
    assert 'holds pickles' in line
    assert 'fetch the binary version, cifar-10-binary.tar.gz' in line


def refused(tmp_path, complaint, members, **options):
    write_tar(tmp_path / 'cifar-10-binary.tar.gz', members, **options)
    return complaint(read, tmp_path)


def test_links_and_paths_are_not_followed(tmp_path, complaint):
    secret = tmp_path / 'data_batch_1.bin.secret'
    secret.write_bytes(BATCHES['data_batch_1.bin'])
    path = tmp_path / 'cifar-10-binary.tar.gz'
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        with tarfile.open(path, 'w:gz') as archive:
            info = tarfile.TarInfo('data_batch_1.bin')
            info.type, info.linkname = kind, str(secret)
            archive.addfile(info)
            for name, content in list(BATCHES.items())[1:]:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        assert 'lacks data_batch_1.bin' in complaint(read, tmp_path)
    write_tar(path, {f'../../{name}': content for name, content in BATCHES.items()})
    check(read(tmp_path))  # a name says which records these are, never where something is written
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name, secret.name]


def test_bad_archives_are_refused(tmp_path, complaint):
    line = refused(tmp_path, complaint, dict(list(INSIDE.items())[1:]))
    assert 'lacks data_batch_1.bin' in line
    line = refused(tmp_path, complaint, INSIDE | {'data_batch_1.bin': BATCHES['data_batch_1.bin']})
    assert 'has two files data_batch_1.bin' in line
    line = refused(tmp_path, complaint, INSIDE | {'cifar-10-batches-bin/test_batch.bin': b'12'})
    assert 'are not records of 3,073' in line
    wrong = b'\x0a' + BATCHES['test_batch.bin'][1:]
    line = refused(tmp_path, complaint, INSIDE | {'cifar-10-batches-bin/test_batch.bin': wrong})
    assert 'expected labels from 0 to 9' in line


def test_damaged_archives_are_refused(tmp_path, complaint):
    path = write_tar(tmp_path / 'cifar-10-binary.tar.gz', INSIDE)
    whole = path.read_bytes()
    for bad in (b'', b'text', whole[: len(whole) // 2], whole[:-8] + bytes(8)):
        path.write_bytes(bad)
        assert 'cifar-10-binary.tar.gz' in complaint(read, tmp_path)


def test_a_bomb_is_refused_before_it_fills_memory(tmp_path, complaint, monkeypatch):
    monkeypatch.setattr(cifar, 'MAX_UNPACKED', 1 << 20)
    line = refused(tmp_path, complaint, {'a': bytes(1 << 22), **INSIDE})
    assert 'unpacks to more than 1,048,576 bytes' in line
    line = refused(tmp_path, complaint, {'data_batch_1.bin': bytes(1 << 22)})
    assert 'declares 4,194,304 bytes' in line


def test_a_header_that_declares_much_is_refused(tmp_path, complaint):
    info = tarfile.TarInfo('data_batch_1.bin')
    info.size = 2**40
    (tmp_path / 'cifar-10-binary.tar.gz').write_bytes(gzip.compress(info.tobuf() + bytes(1024)))
    assert 'declares 1,099,511,627,776 bytes' in complaint(read, tmp_path)


def test_a_file_that_is_too_large_is_refused(tmp_path, complaint, monkeypatch):
    for name, content in BATCHES.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(cifar, 'MAX_UNPACKED', 3073)
    assert 'declares 6,146 bytes' in complaint(read, tmp_path)
