"""A data set of items: packed or not it has the same items, from one part or several."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from atelier.data import item_sets, item_texts, items
from atelier.data.item_sets import Rules

RULES = Rules(0, 'refuse', False, 0, 0, 'content', 0.1, 0, False)
WORDS = [f'{i * 7919 % 4096:b}'.replace('1', 'ab'[i % 2]) for i in range(400)]


def loaded(words, **changes):
    parts = {'train': item_texts.in_lines('\n'.join(words))}
    return item_sets.dataset_of('lines', 'mine', parts, RULES._replace(**changes), 'item')


def texts_of(data, split):
    return items.unpacked(data.splits[split]['x'], data.spec.symbols)


@given(st.permutations(WORDS), st.integers(13, 60), st.booleans())
def test_packed_rows_have_the_items_of_unpacked_ones(words, context, has_pieces):
    single = loaded(words)
    packed = loaded(words, is_packed=True, context=context, num_pieces=37 if has_pieces else 0)
    x = packed.splits['train']['x']
    assert sorted(texts_of(packed, 'train')) == sorted(texts_of(single, 'train'))
    assert x.shape[1] >= context if has_pieces else x.shape[1] == context
    assert not has_pieces or len(x) == 37
    for split in ('valid', 'test'):
        np.testing.assert_array_equal(packed.splits[split]['x'], single.splits[split]['x'])
    np.testing.assert_array_equal(
        items.as_events(x, single.spec.num_dims).sum(), single.splits['train']['x'].sum()
    )


def test_a_part_of_its_own_stays_whole():
    parts = {
        'train': item_texts.in_lines('\n'.join(WORDS)),
        'test': item_texts.in_lines('ab0\n0\nab0'),
    }
    for split_by in ('content', 'order'):
        rules = RULES._replace(split_by=split_by, num_valid=5 * (split_by == 'order'))
        data = item_sets.dataset_of('molecules', 'mine', parts, rules, 'item')
        assert sorted(texts_of(data, 'test')) == ['0', 'ab0', 'ab0']
        assert sorted(texts_of(data, 'train') + texts_of(data, 'valid')) == sorted(WORDS)
        origin = data.origin_of('test')
        assert {*origin['file']} == {'mine:test'}
        assert sorted(origin['row']) == [1, 2, 3]


def test_cells_of_a_condition_become_numbers_or_stay_texts():
    mine = item_texts.Items(['a', 'b'], np.array([1, 2]), condition={'size': ['0', '1']})
    assert item_sets.columns_of(mine, 'mine.csv').values == {'size': [0.0, 1.0]}
    assert item_sets.columns_of(mine, 'mine.csv', are_texts=True).values == {'size': ['0', '1']}
