"""Keys of files follow from every byte and every name or, on request, from sizes and times."""

import os
import pathlib

import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atelier.data import content
from atelier.data.content import key_of, key_of_files

SOME = {'a/1.png': b'one', 'a/2.png': b'two', 'b/1.png': b''}
many = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def folder(tmp_path):
    """Returns a function that writes a folder of files, with one time, and returns its path."""

    def write(files: dict[str, bytes], name: str = 'data') -> pathlib.Path:
        for path, raw in files.items():
            path = tmp_path / name / path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)
            os.utime(path, ns=(10**18, 10**18))
        return tmp_path / name

    return write


@many
@given(raw=st.binary(max_size=300))
def test_a_digest_is_of_all_bytes_whatever_the_size_of_a_block(folder, raw):
    """For files of less than a block, of whole blocks, and of more than sixteen."""
    root = folder({'x': raw})
    for block in (1, 7, 16, 1 << 16):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(content, 'BLOCK', block)
            assert content._digest(f'{root}/x') == xxhash.xxh3_128_digest(raw)


@many
@given(name=st.sampled_from(sorted(SOME)), position=st.integers(0, 299), bit=st.integers(0, 7))
def test_every_bit_of_every_file_counts(folder, name, position, bit):
    files = {each: raw.ljust(300, b'.') for each, raw in SOME.items()}
    key = key_of(folder(files), [*files], 'content')
    flipped = bytearray(files[name])
    flipped[position] ^= 1 << bit
    assert key_of(folder(files | {name: bytes(flipped)}), [*files], 'content') != key


def test_names_their_order_and_labels_count_and_the_place_does_not(folder):
    root, names = folder(SOME), [*SOME]
    key = key_of(root, names, 'content')
    assert len(key) == 32 and int(key, 16) >= 0
    assert key_of(folder(SOME, 'elsewhere'), names, 'content') == key
    renamed = folder({'a/3.png' if name == 'a/2.png' else name: r for name, r in SOME.items()}, 'r')
    others = [
        key_of(root, names[::-1], 'content'),
        key_of(root, names[:2], 'content'),
        key_of(root, names, 'content', ('folder', (8, 8))),
        key_of(root, names, 'content', ('folder', (8, 9))),
        key_of(renamed, ['a/1.png', 'a/3.png', 'b/1.png'], 'content'),
        key_of(root, names, 'times'),
    ]
    assert len({key, *others}) == 7


def test_bytes_do_not_move_from_one_file_to_the_next(folder):
    keys = {
        key_of(folder({'1': b'ab'[:n], '2': b'ab'[n:]}, f'f{n}'), ['1', '2'], 'content')
        for n in range(3)
    }
    assert len(keys) == 3


def test_times_stand_for_the_content_if_asked(folder, caplog):
    """Sizes, times and the place make the key; a line says that nothing is read."""
    caplog.set_level('INFO', 'atelier')
    root, names = folder(SOME), [*SOME]
    key = key_of(root, names, 'times')
    assert 'their content is not read' in caplog.text
    assert key_of(folder(SOME | {'a/1.png': b'eno'}), names, 'times') == key
    assert key_of(folder(SOME, 'elsewhere'), names, 'times') != key
    assert key_of(folder(SOME | {'a/1.png': b'four'}), names, 'times') != key
    folder(SOME)
    os.utime(root / 'a/2.png', ns=(10**18, 10**18 + 1))
    assert key_of(root, names, 'times') != key


def test_a_key_of_files_has_their_names_and_those_of_their_folders(folder):
    root = folder(SOME)
    files = [root / name for name in SOME]
    key = key_of_files(files)
    assert key_of_files([folder(SOME, 'elsewhere') / name for name in SOME]) == key
    assert key_of_files(files[::-1]) != key
    moved = files[1].rename(root / 'b' / '2.png')
    assert key_of_files([files[0], moved, files[2]]) != key
    folder(SOME)
    assert key_of_files(files) == key
    # files of one name in folders of one name stay two files
    apart = [folder({'x/1': raw}, f'part{raw[0]}') / 'x' / '1' for raw in (b'a', b'b')]
    assert len({key_of_files(apart), key_of_files(apart[:1]), key_of_files(apart[1:])}) == 3


def test_the_file_that_cannot_be_read_is_named(folder, complaint, monkeypatch):
    """Also among many, on several threads; a pipe does not stop the program."""
    monkeypatch.setattr(content, 'CHUNK', 2)
    files = {str(i): bytes([i]) for i in range(9)}
    root = folder(files)
    (root / '6').unlink()
    assert f'{root}/6' in complaint(key_of, root, [*files], 'content')
    assert f'{root}/6' in complaint(key_of, root, [*files], 'times')
    os.mkfifo(root / '6')
    for line in (
        complaint(key_of, root, [*files], 'content'),
        complaint(key_of_files, [root / name for name in files]),
    ):
        assert f'{root}/6' in line and 'not a regular file' in line
