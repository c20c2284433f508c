"""Data without labels are refused: conditions follow from labels."""

import numpy as np
import pytest

from atelier.data.dataset import Dataset
from atelier.data.spec import Spec
from atelier.errors import UserError
from benchmarks import condition_speed


@pytest.mark.parametrize('has_labels', [True, False])
def test_data_need_labels(has_labels):
    split = {'x': np.zeros((4, 1), np.float32)} | ({'label': np.arange(4)} if has_labels else {})
    data = Dataset('d', Spec((1,), None, None), {'train': split}, '')
    if has_labels:
        assert condition_speed.labelled(data) is data
    else:
        with pytest.raises(UserError, match='d has no labels: choose a --config'):
            condition_speed.labelled(data)
