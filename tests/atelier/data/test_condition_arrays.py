"""An .npz may hold numbers, labels or captions for each example; others are refused in a line."""

import numpy as np
import pytest

from atelier.data import dataset
from atelier.data.conditions.condition import KEY
from atelier.data.conditions.labels import Labels
from atelier.data.conditions.numbers import Numbers
from atelier.data.conditions.words import Words
from atelier.errors import UserError
from configs.shared import common

N = 40
X = np.arange(N * 4, dtype=np.float32).reshape(N, 4)
CHOICES = np.array(['red', 'blue circle'])


def loaded(tmp_path, arrays, **changes):
    path = tmp_path / 'mine.npz'
    np.savez(path, x=X, **arrays)
    config = common.common_config()
    config.data.update(name='arrays', path=str(path), **changes)
    return dataset.load(config)


@pytest.mark.parametrize('split_by', ['order', 'content'])
@pytest.mark.parametrize(
    ('arrays', 'kind'),
    [
        ({'condition': X[:, :2] / 7, 'condition_names': np.array(['a', 'b'])}, Numbers),
        ({'condition': (X[:, :2] % 3).astype(int)}, Labels),
        ({'caption': CHOICES[X[:, 0].astype(int) // 4 % 2]}, Words),
    ],
)
def test_every_split_has_the_condition_of_its_examples(tmp_path, arrays, kind, split_by):
    data = loaded(tmp_path, arrays, split_by=split_by)
    condition = data.spec.condition
    assert type(condition) is kind
    for split in data.splits.values():
        row = (split['x'][:, 0] // 4).astype(int)
        if kind is Words:
            texts = [condition.described(each) for each in split[KEY].tolist()]
            assert texts == CHOICES[row % 2].tolist()
        else:
            np.testing.assert_array_equal(split[KEY], arrays['condition'][row])
    assert kind is not Numbers or condition.names == ('a', 'b')


@pytest.mark.parametrize(
    ('arrays', 'message'),
    [
        ({'condition': X[:, 0]}, 'expected numbers of shape .40, columns.'),
        ({'condition': X[:5, :2]}, 'expected numbers of shape'),
        ({'condition': np.where(X[:, :2] == 8, np.nan, X[:, :2])}, 'row 2, column 0'),
        ({'condition': np.full((N, 1), 1e300)}, 'row 0, column 0'),
        ({'condition': 1.7e9 + X[:, :1].astype(float)}, 'column 0 varies by .* too little'),
        ({'condition': X[:, :1] * 1e-40}, 'column 0 varies by .* out of the range of float32'),
        ({'condition': np.full((N, 1), -1)}, 'integers are labels'),
        ({'condition': np.full((N, 1), 'a')}, 'expected numbers'),
        ({'condition': X[:, :1], 'condition_names': np.array(['a', 'b'])}, 'give 1 names'),
        ({'condition_names': np.array(['a'])}, 'no condition'),
        ({'caption': np.zeros(N)}, 'expected texts of shape'),
        ({'caption': np.where(X[:, 0] == 8, ' ', 'a')}, 'caption of .*, row 2: it is missing or e'),
        ({'caption': np.where(X[:, 0] == 8, 'a ' + 'b' * 201, 'a')}, "row 2: it .* its word 'bbb"),
        ({'caption': CHOICES}, 'expected texts of shape'),
        ({'caption': np.full(N, 'a'), 'condition': X[:, :1]}, 'has both condition and caption'),
        ({'condition': np.zeros((N, 1))}, 'condition column 0 is constant'),
    ],
)
def test_others_are_refused_in_one_line(tmp_path, arrays, message):
    with pytest.raises(UserError, match=message) as caught:
        loaded(tmp_path, arrays)
    assert '\n' not in str(caught.value)
