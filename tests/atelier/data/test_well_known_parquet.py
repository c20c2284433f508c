"""A known set in parquet files of huggingface.co."""

import numpy as np
import pytest

from atelier.data import images
from atelier.data import well_known_parquet as parquet_files
from atelier.data.original.known import KNOWN
from benchmarks.original_files import write_parquet

pytest.importorskip('pyarrow')
MNIST = KNOWN['mnist']
X = np.random.default_rng(0).integers(0, 256, (6, 28, 28, 1), np.uint8)


def read(folder, label, known=MNIST):
    write_parquet(folder / 'train-00000-of-00001.parquet', X, label)
    write_parquet(folder / 'test-00000-of-00001.parquet', X[:2], label and label[:2])
    return parquet_files.read(parquet_files.find(folder, known), known)


def test_the_rows_are_in_their_order(tmp_path):
    stored = read(tmp_path, [3, 4, 5, 6, 7, 8])['train'].read(range(6))
    decoded = [images.decode(s.name, s.raw, (28, 28, 1), False) for s in stored]
    np.testing.assert_array_equal(decoded, X)
    assert [s.label for s in stored] == [3, 4, 5, 6, 7, 8]


def test_labels_of_another_set_are_refused(tmp_path, complaint):
    assert 'is not mnist' in complaint(read, tmp_path, None)
    assert 'expected labels from 0 to 9' in complaint(read, tmp_path, [3, 4, 5, 6, 7, 10])


def test_a_set_without_labels_has_none(tmp_path):
    splits = read(tmp_path, [3, 4, 5, 6, 7, 8], KNOWN['celeb_a'])
    assert {s.label for s in splits['train'].read(range(6))} == {None}
