"""CelebA's archive and list of splits; names in both come from strangers."""

import os
import zipfile

import numpy as np
import pytest

from atelier.data.original import celeb_a
from atelier.data.original.known import KNOWN
from benchmarks.original_files import write_celeb_a
from benchmarks.tfds_files import png

CELEB_A = KNOWN['celeb_a']
NAMES = [f'{i:06}.jpg' for i in range(1, 10)]
PICTURES = {name: png(np.full((4, 4, 3), i)) for i, name in enumerate(NAMES)}
PARTITION = {name: max(0, i - 6) for i, name in enumerate(NAMES)}  # 7, 1, 1


def read(folder):
    return celeb_a.read(celeb_a.find(folder, CELEB_A), CELEB_A)


def check(splits):
    assert {name: len(part.names) for name, part in splits.items()} == {
        'train': 7,
        'valid': 1,
        'test': 1,
    }
    part = splits['train']
    assert [part.read(name) for name in part.names] == [PICTURES[name] for name in NAMES[:7]]


def test_the_archive_is_read(tmp_path):
    write_celeb_a(tmp_path, PICTURES, PARTITION)
    check(read(tmp_path))


@pytest.mark.parametrize('inside', celeb_a.FOLDERS)
def test_the_extracted_folder_is_read(tmp_path, inside):
    write_celeb_a(tmp_path, PICTURES, PARTITION)
    (tmp_path / 'img_align_celeba.zip').unlink()
    (tmp_path / inside).mkdir(parents=True)
    for name, content in PICTURES.items():
        (tmp_path / inside / name).write_bytes(content)
    check(read(tmp_path))


def test_the_list_with_commas_is_read(tmp_path):
    write_celeb_a(tmp_path, PICTURES, PARTITION)
    (tmp_path / 'list_eval_partition.txt').unlink()
    lines = ['image_id,partition', *(f'{name},{split}' for name, split in PARTITION.items())]
    (tmp_path / 'list_eval_partition.csv').write_text('\r\n'.join(lines))
    check(read(tmp_path))


def test_a_missing_part_is_named(tmp_path, complaint):
    assert celeb_a.find(tmp_path, CELEB_A) == ()
    write_celeb_a(tmp_path, PICTURES, PARTITION)
    (tmp_path / 'list_eval_partition.txt').rename(tmp_path / 'x')
    assert 'lacks list_eval_partition.txt' in complaint(read, tmp_path)
    (tmp_path / 'x').rename(tmp_path / 'list_eval_partition.txt')
    (tmp_path / 'img_align_celeba.zip').unlink()
    assert 'lacks img_align_celeba.zip' in complaint(read, tmp_path)


@pytest.mark.parametrize(
    'line',
    [
        '../../etc/passwd 0',
        '/etc/passwd.jpg 0',
        'a/b.jpg 0',
        'a.jpg 3',
        'a.jpg',
        'a.py 0',
        '\0.jpg 0',
    ],
)
def test_a_name_with_a_path_is_refused(tmp_path, complaint, line):
    write_celeb_a(tmp_path, PICTURES, PARTITION)
    (tmp_path / 'list_eval_partition.txt').write_text(f'000001.jpg 0\n{line}\n')
    assert 'line 2: expected' in complaint(read, tmp_path)


def test_a_name_that_occurs_twice_is_refused(tmp_path, complaint):
    write_celeb_a(tmp_path, PICTURES, PARTITION)
    (tmp_path / 'list_eval_partition.txt').write_text('000001.jpg 0\n000001.jpg 2\n')
    assert 'occurs twice' in complaint(read, tmp_path)


def test_a_list_that_is_too_long_is_refused(tmp_path, complaint, monkeypatch):
    write_celeb_a(tmp_path, PICTURES, PARTITION)
    monkeypatch.setattr(celeb_a, 'MAX_LIST', 20)
    assert 'more than 20 bytes' in complaint(read, tmp_path)


def first(folder):
    return read(folder)['train'].read(NAMES[0])


def test_bad_archives_are_refused(tmp_path, complaint, monkeypatch):
    write_celeb_a(tmp_path, PICTURES, PARTITION | {'missing.jpg': 0})
    assert 'lacks missing.jpg, which the list of splits names' in complaint(
        lambda: read(tmp_path)['train'].read('missing.jpg')
    )
    path = tmp_path / 'img_align_celeba.zip'
    whole = path.read_bytes()
    for bad in (b'', b'text', whole[:300]):
        path.write_bytes(bad)
        assert 'img_align_celeba.zip' in complaint(first, tmp_path)
    path.write_bytes(whole)
    monkeypatch.setattr(celeb_a, 'MAX_PICTURE', 10)
    assert 'at most 10 bytes' in complaint(first, tmp_path)


def test_two_members_of_one_name_and_other_compressions_are_refused(tmp_path, complaint):
    write_celeb_a(tmp_path, PICTURES, PARTITION)
    path = tmp_path / 'img_align_celeba.zip'
    with zipfile.ZipFile(path, 'a') as archive:
        archive.writestr('000001.jpg', b'')
    assert 'two pictures 000001.jpg' in complaint(read, tmp_path)
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_LZMA) as archive:
        for name, content in PICTURES.items():
            archive.writestr(name, content)
    assert 'compression is not deflate' in complaint(first, tmp_path)


def test_a_pipe_among_the_pictures_is_refused(tmp_path, complaint):
    write_celeb_a(tmp_path, PICTURES, PARTITION)
    (tmp_path / 'img_align_celeba.zip').unlink()
    (tmp_path / 'img_align_celeba').mkdir()
    for name in NAMES:
        os.mkfifo(tmp_path / 'img_align_celeba' / name)
    assert 'not a regular file' in complaint(first, tmp_path)
