"""Agreement of samples with their conditions: shares by fact and by group, in the units of data."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.data import dataset
from atelier.data.conditions.agreement import Agreement
from atelier.data.conditions.words import Words
from atelier.data.dataset import Dataset, Spec
from atelier.data.preprocess import as_float
from atelier.evaluation.samples.agreement import ALL, agreement_of
from atelier.evaluation.samples.item_quality import Share
from configs.shared.common import common_config


@pytest.fixture(scope='module')
def data():
    config = common_config()
    config.data.name = 'captioned_shapes'
    return dataset.load(config)


def test_the_data_agree_with_their_conditions_in_each_group(data):
    test = data.splits['test']
    groups = agreement_of(data, test['x'].astype(np.float32), test['condition'])
    assert {name: each.num_samples for name, each in groups.items()} == {
        ALL: 2000,
        'one object, seen pair': 500,
        'one object, unseen pair': 500,
        'two objects, seen pairs': 500,
        'two objects, an unseen pair': 500,
    }
    for name, (n, shares, num_asked) in groups.items():
        assert shares['everything'] == Share(1, 0)
        assert num_asked['everything'] == n
        assert num_asked['relation'] == (1000 if name == ALL else n * name.startswith('two'))
    assert groups['one object, seen pair'].shares['relation'] == Share(None, None)


@pytest.mark.parametrize(
    ('rule', 'method', 'least'),
    [(dataset.dequantized, 'uniform', 0.99), (dataset.binarized, 'threshold', 0.7)],
)
def test_samples_are_in_the_units_of_the_data(data, rule, method, least):
    """With noise in [0, 1), or with 2 levels, of which some make other shapes of small objects."""
    changed, test = rule(data, method), data.splits['test']
    raw = {'x': jnp.asarray(test['x'][:300])}
    x = changed.preprocess(raw, jnp.zeros((300, 2), jnp.uint32))['x']
    assert x.max() == 1 if method == 'threshold' else 255 < x.max() < 256
    shares = agreement_of(changed, x, test['condition'][:300])[ALL].shares
    assert shares['colour'].value > 0.99
    assert shares['everything'].value > least


@settings(max_examples=20, deadline=None)
@given(right=st.lists(st.sampled_from([0.0, 1.0, np.nan]), min_size=1, max_size=20))
def test_a_share_is_of_those_that_are_asked(right):
    facts = {'fact': np.array(right, np.float32)}
    groups = {'even': np.arange(len(right)) % 2 == 0}
    data = stored(lambda x, texts: Agreement(facts, groups))
    found = agreement_of(data, np.zeros((len(right), 2)), np.ones((len(right), 3), np.int32))
    for name, values in ((ALL, right), ('even', right[::2])):
        asked = [each for each in values if not np.isnan(each)]
        assert found[name].num_samples == len(values)
        assert found[name].num_asked['fact'] == len(asked)
        value, error = found[name].shares['fact']
        if asked:
            assert value == pytest.approx(np.mean(asked))
            assert error == pytest.approx(np.std(asked) / np.sqrt(len(asked)))
        else:
            assert value is error is None


def test_conditions_are_given_as_texts_and_real_values_as_they_are():
    seen = {}
    data = stored(lambda x, texts: seen.update(x=x, texts=texts) or Agreement({}, {}))
    x = np.array([[0.5, -3.0]])
    agreement_of(data, x, np.array([[2, 1, 0]]))
    np.testing.assert_array_equal(seen['x'], x)
    assert seen['texts'] == ['b a']


def test_data_without_agreement_have_none():
    assert agreement_of(stored(None), np.zeros((1, 2)), np.ones((1, 3), np.int32)) == {}


def stored(agreement):
    """Real-valued data with words 'a' and 'b' as conditions."""
    spec = Spec((2,), None, None, condition=Words(('a', 'b'), 3))
    return Dataset('mine', spec, {}, '', as_float, agreement=agreement)
