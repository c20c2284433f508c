"""Images in parquet files given to a trained run."""

import numpy as np
import pytest
from support import assembled

from atelier.errors import UserError
from atelier.evaluation.examples import given
from benchmarks.original_files import write_parquet

pytest.importorskip('pyarrow')
LEVELS = 17
X = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1), np.uint8)
LABEL = np.arange(12) % 10


@pytest.fixture
def run(tmp_path):
    return assembled(tmp_path / 'run', 'cvae')


def test_images_have_the_levels_of_the_run_and_the_rows_of_their_files(run, tmp_path):
    write_parquet(tmp_path / 'new' / 'a.parquet', X[:7], LABEL[:7])
    write_parquet(tmp_path / 'new' / 'b.parquet', X[7:], LABEL[7:])
    data = given.read(run, str(tmp_path / 'new'))
    split = data.splits['test']
    np.testing.assert_array_equal(split['x'], np.round(X.astype(float) * (LEVELS - 1) / 255))
    np.testing.assert_array_equal(split['label'], LABEL)
    origin = data.origin_of('test')
    assert origin['file'].tolist() == ['a.parquet'] * 7 + ['b.parquet'] * 5
    assert origin['row'].tolist() == [*range(7), *range(5)]


def test_one_file_is_read_alone_whatever_its_name(run, tmp_path):
    for name in ('train.parquet', 'test.parquet'):
        write_parquet(tmp_path / 'new' / name, X[:5], LABEL[:5])
    data = given.read(run, str(tmp_path / 'new' / 'train.parquet'))
    assert len(data.splits['test']['x']) == 5


def test_labels_of_no_class_are_refused(run, tmp_path):
    path = write_parquet(tmp_path / 'new.parquet', X, LABEL + 1)
    with pytest.raises(UserError, match='labels go from 1 to 10: classes are 0 to 9'):
        given.read(run, str(path))


def test_a_damaged_file_is_named(run, tmp_path):
    path = tmp_path / 'new.parquet'
    path.write_bytes(b'PAR1' + bytes(50))
    with pytest.raises(UserError, match='new.parquet'):
        given.read(run, str(path))
