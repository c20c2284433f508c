"""A stand-in knows Spec and shapes, and reads examples once, when they are needed."""

import jax
import numpy as np
import pytest

from atelier.data.conditions.agreement import Agreement
from atelier.data.dataset import Dataset, Spec
from atelier.data.stand_in import shapes_of, stand_in
from atelier.errors import UserError

SPEC = Spec((2, 3), 5, 2)
AGREEMENT = lambda x, conditions: Agreement({}, {})


def data_set():
    train = {'x': np.arange(24, dtype=np.uint8).reshape(4, 2, 3), 'label': np.arange(4) % 2}
    return Dataset(
        'set',
        SPEC,
        {'train': train, 'test': train},
        'six values',
        factor_names=('a',),
        agreement=AGREEMENT,
    )


@pytest.fixture
def counted():
    """A stand-in, and the list of its reads."""
    reads = []

    def read():
        reads.append(1)
        return data_set()

    return stand_in('set', SPEC, shapes_of(data_set()), read), reads


def test_shapes_are_known_without_reading(counted):
    data, reads = counted
    assert data.spec == SPEC and data.name == 'set' and data.size('train') == 4
    assert shapes_of(data) == shapes_of(data_set())
    batch = data.zero_batch(3)
    assert {name: (a.shape, str(a.dtype)) for name, a in batch.items()} == {
        'x': ((3, 2, 3), 'float32'),
        'label': ((3,), 'int32'),
    }
    assert repr(data) == "Dataset('set', not read yet)"
    assert isinstance(data, Dataset) and not reads


def test_examples_are_read_once(counted):
    """Whatever is needed first, and after fields were replaced."""
    data, reads = counted
    other = data._replace(preprocess=lambda inputs, keys: inputs)
    assert other.preprocess(3, None) == 3 and not reads
    for each in (data, other):
        np.testing.assert_array_equal(each.splits['train']['x'], data_set().splits['train']['x'])
        assert each.size('test') == 4 and each.factor_names == ('a',) and each.modes is None
        assert each.description == 'six values' and each.agreement is AGREEMENT
        assert each.fingerprint() == data_set().fingerprint()
    keys = jax.numpy.zeros((4, 2), jax.numpy.uint32)
    inputs = jax.tree.map(jax.numpy.asarray, data.splits['train'])
    assert data.preprocess(inputs, keys)['x'].dtype == jax.numpy.float32
    assert len(reads) == 1 and repr(data) == repr(data_set())


def test_other_splits_are_an_ordinary_data_set(counted):
    """The other fields are those of the data, which are read."""
    data, reads = counted
    train = data_set().splits['test']
    other = data._replace(splits={'train': train})
    assert type(other) is Dataset and len(reads) == 1
    assert shapes_of(other) == shapes_of(data) and other.factor_names == ('a',)


def test_data_that_are_gone_are_an_error_each_time():
    def read():
        raise UserError('there is no file')

    data = stand_in('set', SPEC, shapes_of(data_set()), read)
    for _ in range(2):
        for field in ('splits', 'modes', 'description'):
            with pytest.raises(UserError, match='there is no file'):
                getattr(data, field)
