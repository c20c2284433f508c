"""The file of metric values per example."""

import numpy as np
import pytest

from atelier.evaluation.per_example.values_file import read_values, write_values


@pytest.mark.parametrize('where', [0.2, 0.5, 0.9])
def test_a_damaged_values_file_is_reported_and_not_used(tmp_path, caplog, where):
    values = np.random.RandomState(0).normal(size=500)
    write_values(tmp_path / 'evaluation.npz', {'nll_nats': values})
    path = tmp_path / 'evaluation.npz'
    written = bytearray(path.read_bytes())
    written[int(where * len(written))] ^= 0xFF
    path.write_bytes(written)
    assert read_values(tmp_path, {'nll_nats': values.mean()}) == {}
    assert 'evaluation.npz cannot be read' in caplog.text
    assert '--mode=evaluate' in caplog.text


def test_reordered_values_are_not_paired(tmp_path, caplog):
    """They have the same mean; only the checksum tells that they belong to other examples."""
    values = np.random.RandomState(0).normal(size=500)
    means = {'nll_nats': values.mean()}
    checksum = write_values(tmp_path / 'evaluation.npz', {'nll_nats': values})
    assert list(read_values(tmp_path, means, checksum)) == ['nll_nats']
    write_values(tmp_path / 'evaluation.npz', {'nll_nats': values[::-1]})
    assert list(read_values(tmp_path, means)) == ['nll_nats']  # of an earlier version
    assert read_values(tmp_path, means, checksum) == {}
    assert 'evaluation.npz has changed since the evaluation' in caplog.text


def test_origins_are_beside_the_values_and_are_not_read_as_values(tmp_path):
    path, values = tmp_path / 'evaluation.npz', np.arange(3.0)
    origins = {'file': np.array(['a', 'b', 'b']), 'row': np.array([0, 0, 1])}
    checksum = write_values(path, {'nll_nats': values}, origins)
    with np.load(path) as stored:
        assert stored['file'].tolist() == ['a', 'b', 'b'] and stored['row'].tolist() == [0, 0, 1]
    assert [*read_values(tmp_path, {'nll_nats': values.mean()}, checksum)] == ['nll_nats']
