"""Static binarised MNIST: three formats that agree, the published sizes, and damaged files.

The small files here have the format of the real one, which is tested where it is available.
"""

import pathlib
import re

import numpy as np
import pytest

from atelier.data import static_mnist
from atelier.data.dataset import Spec

REAL = pathlib.Path(__file__).resolve().parents[4] / 'shared' / 'data' / 'binarized_mnist.npz'
SIZES = {'train': 40, 'valid': 6, 'test': 5}
BITS = {
    name: np.random.RandomState(n).randint(0, 2, (n, 784)).astype(np.uint8)
    for name, n in SIZES.items()
}


def packed():
    return {name: np.packbits(bits, axis=1) for name, bits in BITS.items()}


def amat(bits) -> str:
    """Returns the published text format: a space follows every digit, including the last."""
    return ''.join(''.join(f'{bit} ' for bit in row) + '\n' for row in bits)


@pytest.fixture
def npz(tmp_path):
    def write(**changes):
        named = {name: array for name, array in {**BITS, **changes}.items() if array is not None}
        np.savez(tmp_path / 'bits.npz', **named)
        return str(tmp_path / 'bits.npz')

    return write


@pytest.fixture
def texts(tmp_path):
    def write(**changes):
        folder = tmp_path / 'texts'
        folder.mkdir()
        for name, text in {**{name: amat(bits) for name, bits in BITS.items()}, **changes}.items():
            if text is not None:
                (folder / f'binarized_mnist_{name}.amat').write_text(text)
        return str(folder)

    return write


def assert_same(data, other):
    assert data.spec == other.spec
    for name in SIZES:
        np.testing.assert_array_equal(data.splits[name]['x'], other.splits[name]['x'])


def test_a_written_npz_is_read_back(npz):
    data = static_mnist.load(npz())
    assert data.spec == Spec((28, 28, 1), 2, None)
    for name, bits in BITS.items():
        assert list(data.splits[name]) == ['x']
        x = data.splits[name]['x']
        assert (x.shape, x.dtype) == ((SIZES[name], 28, 28, 1), np.uint8)
        rows = {row.tobytes() for row in x.reshape(-1, 784)}
        assert rows == {row.tobytes() for row in bits}


def test_rows_are_shuffled_and_the_same_way_at_every_load(npz):
    """A file may be sorted by class: its first thousand rows would all be zeros."""
    path = npz()
    first, second = static_mnist.load(path), static_mnist.load(path)
    assert_same(first, second)
    assert not np.array_equal(first.splits['train']['x'].reshape(-1, 784), BITS['train'])


@pytest.mark.parametrize(
    'change',
    [
        pytest.param(lambda x: x.astype(bool), id='bool'),
        pytest.param(lambda x: x.astype(np.float32), id='floats'),
        pytest.param(lambda x: x.reshape(-1, 28, 28), id='images'),
        pytest.param(lambda x: x.reshape(-1, 28, 28, 1), id='images with a channel'),
        pytest.param(lambda x: np.packbits(x, axis=1), id='packed'),
    ],
)
def test_all_formats_of_the_npz_give_the_same_data(npz, tmp_path, change):
    expected = static_mnist.load(npz())
    assert_same(static_mnist.load(npz(**{k: change(x) for k, x in BITS.items()})), expected)


@pytest.mark.parametrize(
    'change',
    [
        pytest.param(lambda text: text, id='as published'),
        pytest.param(lambda text: text.replace(' \n', '\n'), id='no trailing spaces'),
        pytest.param(lambda text: text.replace('\n', '\r\n'), id='of Windows'),
        pytest.param(lambda text: text.replace(' ', '\t').rstrip(), id='tabs and no last newline'),
    ],
)
def test_the_text_files_agree_with_the_npz(npz, texts, change):
    path = texts(**{name: change(amat(bits)) for name, bits in BITS.items()})
    assert_same(static_mnist.load(path), static_mnist.load(npz()))


# Other files


@pytest.mark.parametrize('path', ['', 'missing.npz', 'missing/bits.npz'])
def test_a_path_that_is_not_a_file_is_refused(tmp_path, monkeypatch, complaint, path):
    monkeypatch.chdir(tmp_path)
    message = complaint(static_mnist.load, path)
    assert 'config.data.path' in message
    assert path in message


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(valid=None), 'has no valid: it has train, test'),
        (dict(train=None, test=None), 'has no train and no test: it has valid'),
        (dict(test=2 * BITS['test']), 'test of .* holds other values than 0 and 1'),
        (dict(test=255 * BITS['test']), 'other values'),
        (dict(test=np.full((5, 784), np.nan)), 'other values'),
        (dict(test=np.full((5, 784), '1')), 'other values'),
        (dict(test=-BITS['test'].astype(int)), 'other values'),
        (dict(test=BITS['test'][:, :783]), r'test of .* has shape \(5, 783\): expected \[n, 784\]'),
        (dict(test=packed()['test'][:, :97]), r'shape \(5, 97\)'),
        (dict(test=packed()['test'].astype(int)), r'shape \(5, 98\)'),
        (dict(test=packed()['test'].ravel()), r'shape \(490,\)'),
        (dict(test=BITS['test'].ravel()), r'shape \(3920,\)'),
        (dict(test=BITS['test'][:0]), r'shape \(0, 784\)'),
        (dict(test=packed()['test'][:0]), r'shape \(0, 98\)'),
        (dict(test=np.array(1)), r'shape \(\)'),
        (dict(test=np.full((5, 784), None)), 'Python objects'),
    ],
)
def test_an_npz_of_other_data_is_refused(npz, complaint, changes, message):
    path = npz(**changes)
    line = complaint(static_mnist.load, path)
    assert path in line
    assert re.search(message, line), line


@pytest.mark.parametrize('raw', [b'', b'rubbish', b'PK\3\4rubbish', None])
def test_a_damaged_npz_is_refused(npz, complaint, raw):
    path = pathlib.Path(npz())
    path.write_bytes(path.read_bytes()[:-30] if raw is None else raw)
    assert str(path) in complaint(static_mnist.load, str(path))


GOOD = amat(BITS['test'])


@pytest.mark.parametrize(
    'text',
    [
        pytest.param('', id='empty'),
        pytest.param('\n \n', id='blank'),
        pytest.param('rubbish', id='rubbish'),
        pytest.param(GOOD[:-50], id='cut short'),
        pytest.param(GOOD.replace('1', '2', 1), id='a two'),
        pytest.param(GOOD.replace('1', '-', 1), id='a sign'),
        pytest.param(GOOD.replace('1', '0.5', 1), id='a grey'),
        pytest.param(GOOD.replace(' ', ','), id='commas'),
        pytest.param(GOOD.replace('1', '\0', 1), id='a null'),
        pytest.param(GOOD.replace('1', '\N{SUPERSCRIPT ONE}', 1), id='no ascii'),
    ],
)
def test_a_text_file_of_other_data_is_refused(texts, complaint, text):
    line = complaint(static_mnist.load, texts(test=text))
    assert re.search('binarized_mnist_test.amat is not binarised MNIST: ', line), line


def test_a_missing_text_file_is_refused(texts, complaint):
    line = complaint(static_mnist.load, texts(valid=None))
    assert line.endswith('binarized_mnist_valid.amat')


def test_the_path_of_one_text_file_is_refused(texts, complaint):
    path = f'{texts()}/binarized_mnist_train.amat'
    assert path in complaint(static_mnist.load, path)


@pytest.mark.skipif(not REAL.exists(), reason=f'there is no {REAL}')
def test_the_published_file():
    data = static_mnist.load(str(REAL))
    assert [data.size(name) for name in SIZES] == [50_000, 10_000, 10_000]
    assert data.splits['test']['x'].mean() == pytest.approx(0.132512, abs=5e-7)
    # The file's test rows are sorted by class; in that order neighbours share 55 pixels.
    x = data.splits['test']['x'].reshape(-1, 784)
    assert np.mean(np.sum(x[1:] & x[:-1], axis=1)) == pytest.approx(36.7, abs=1)
