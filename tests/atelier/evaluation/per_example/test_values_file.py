"""The file of metric values per example."""

import numpy as np
import pytest

from atelier.evaluation.per_example.values_file import read_values, write_values


@pytest.mark.parametrize('where', [0.2, 0.5, 0.9])
def test_a_damaged_values_file_is_reported_and_not_used(tmp_path, caplog, where):
    values = np.random.RandomState(0).normal(size=500)
    write_values(tmp_path, {'nll_nats': values})
    path = tmp_path / 'evaluation.npz'
    written = bytearray(path.read_bytes())
    written[int(where * len(written))] ^= 0xFF
    path.write_bytes(written)
    assert read_values(tmp_path, {'nll_nats': values.mean()}) == {}
    assert 'evaluation.npz cannot be read' in caplog.text
    assert '--mode=evaluate' in caplog.text
