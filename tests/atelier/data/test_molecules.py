"""The splits of MOSES out of a wheel: as published, with a validation split of training."""

import gzip
import os
import pathlib
import zipfile

import pytest

from atelier.data import items, molecules
from atelier.errors import UserError

TRAIN = ['C' * (1 + i % 9) + 'O' * (i % 3) for i in range(60)]
TEST, SCAFFOLDS = ['CO', 'OC'], ['CCN', 'COC']
WHEEL = os.environ.get('ATELIER_MOLSETS', '')  # path of the wheel of molsets


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / 'molsets-0-py3-none-any.whl'
    with zipfile.ZipFile(path, 'w') as archive:
        for name, texts in (('train', TRAIN), ('test', TEST), ('test_scaffolds', SCAFFOLDS)):
            table = '\n'.join(['SMILES', *texts, '']).encode()
            archive.writestr(f'moses/dataset/data/{name}.csv.gz', gzip.compress(table))
    return str(path)


def texts_of(data, split):
    return items.unpacked(data.splits[split]['x'], data.spec.symbols)


def test_the_splits_are_those_of_moses(wheel):
    data = molecules.load(wheel, is_packed=True)
    assert data.name == 'molecules'
    assert sorted(texts_of(data, 'test')) == sorted(TEST)
    assert sorted([*texts_of(data, 'train'), *texts_of(data, 'valid')]) == sorted(TRAIN)
    assert data.size('valid') == 6 and data.split_origin.startswith('valid cut from the end of')
    origin = data.origin_of('test')
    assert {*origin['file']} == {'MOSES:test'}
    assert [TEST[row - 2] for row in origin['row']] == texts_of(data, 'test')
    assert [TRAIN[row - 2] for row in data.origin_of('valid')['row']] == texts_of(data, 'valid')


def test_other_scaffolds_are_another_test_split(wheel):
    data = molecules.load(wheel, splits='test=test_scaffolds')
    assert texts_of(data, 'test') == ['COC']
    assert data.notes == (
        "1 test molecule left out, with symbols that training and validation lack: 'N'",
    )
    with pytest.raises(UserError, match="config.data.splits='none': choose 'auto'"):
        molecules.load(wheel, splits='none')


def test_the_package_is_named_if_it_is_not_there(tmp_path):
    with pytest.raises(UserError, match='pip download --no-deps molsets') as caught:
        molecules.load(str(tmp_path))
    assert '\n' not in str(caught.value)


@pytest.mark.slow
@pytest.mark.skipif(not pathlib.Path(WHEEL).is_file(), reason='needs ATELIER_MOLSETS=WHEEL')
def test_the_published_splits_are_whole():
    data = molecules.load(WHEEL, is_packed=True)
    assert items.count(data.splits['train']['x']) == 1_584_663 - 5000
    assert (data.size('valid'), data.size('test')) == (5000, 176_074)
    assert data.spec.event_shape == (58,) and data.spec.levels == 27
    assert items.is_scored(data.splits['train']['x']).mean() > 0.999
