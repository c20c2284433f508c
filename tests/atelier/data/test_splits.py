"""Held-out splits: the fixed order, sizes, every example exactly once, and refusals."""

import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from atelier.data.splits import fixed_order, hold_out


def splits_of(sizes):
    """Returns splits in which x and label are the index of the example, over all splits."""
    splits, first = {}, 0
    for name, n in sizes.items():
        indices = np.arange(first, first + n)
        splits[name] = {'x': indices[:, None], 'label': indices.astype(np.int32)}
        first += n
    return splits


# The order


def test_the_fixed_order_is_frozen():
    """Another order would change the test split; results would not be comparable."""
    assert fixed_order(10).tolist() == [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]
    for n, crc32 in ((1797, 0x344D4D7C), (70_000, 0x2BDDC896)):
        assert zlib.crc32(fixed_order(n).astype('<i8').tobytes()) == crc32


@given(n=st.integers(0, 2000))
def test_the_fixed_order_is_a_permutation(n):
    np.testing.assert_array_equal(np.sort(fixed_order(n)), np.arange(n))


def test_the_fixed_order_does_not_change_numpys_random_state():
    np.random.seed(3)
    expected = np.random.random_sample()
    np.random.seed(3)
    fixed_order(100)
    assert np.random.random_sample() == expected


def test_any_stretch_of_sorted_examples_is_a_fair_sample():
    """If 10 classes are in order, each fills a tenth of the last tenth, to five standard errors."""
    n = 10_000
    classes = fixed_order(n)[-n // 10 :] // (n // 10)
    counts = np.bincount(classes, minlength=10)
    assert np.all(np.abs(counts - 100) < 5 * np.sqrt(1000 * 0.1 * 0.9))


# Holding out


def assert_cut_from_the_end(n, missing, size, num_valid):
    own = {name: 7 for name in ('valid', 'test') if name not in missing}
    splits = splits_of({'train': n, **own})
    whole = hold_out(splits, num_valid)
    assert sorted(whole) == ['test', 'train', 'valid']
    for name in own:
        np.testing.assert_array_equal(whole[name]['x'], splits[name]['x'])
    assert [len(whole[name]['x']) for name in missing] == [size] * len(missing)
    together = np.concatenate([whole[name]['label'] for name in ('train', *missing)])
    np.testing.assert_array_equal(together, np.arange(n))
    for part in whole.values():
        np.testing.assert_array_equal(part['x'][:, 0], part['label'])


MISSING = st.sampled_from([(), ('valid',), ('test',), ('valid', 'test')])


@given(n=st.integers(3, 300), missing=MISSING)
@example(n=49_990, missing=('valid', 'test'))
@example(n=60_000, missing=('valid', 'test'))
@example(n=60_000, missing=('valid',))
def test_by_default_a_tenth_and_at_most_5000_are_held_out(n, missing):
    assert_cut_from_the_end(n, missing, max(1, min(n // 10, 5000)), 0)


@given(
    num_train=st.integers(1, 100),
    missing=MISSING.filter(lambda missing: 'valid' in missing),
    size=st.integers(1, 100),
)
def test_num_valid_examples_are_held_out(num_train, missing, size):
    assert_cut_from_the_end(num_train + size * len(missing), missing, size, size)


def test_holding_out_does_not_change_its_argument():
    splits = splits_of({'train': 30})
    hold_out(splits, 5)
    assert list(splits) == ['train']
    assert len(splits['train']['x']) == 30


@pytest.mark.parametrize('num_valid', [-1, -100])
def test_a_negative_num_valid_is_refused(complaint, num_valid):
    assert f'data.num_valid={num_valid}' in complaint(hold_out, splits_of({'train': 30}), num_valid)


@pytest.mark.parametrize('sizes', [{'train': 30, 'valid': 3}, {'train': 9, 'valid': 3, 'test': 3}])
def test_num_valid_beside_a_validation_split_is_refused(complaint, sizes):
    line = complaint(hold_out, splits_of(sizes), 2)
    assert 'config.data.num_valid=2' in line
    assert 'validation split of their own' in line


@pytest.mark.parametrize(
    ('sizes', 'num_valid', 'message'),
    [
        ({'train': 2}, 0, '2 training examples are too few to take 1 each for test and valid'),
        ({'train': 30}, 15, '30 training examples are too few to take 15 each for test and valid'),
        (
            {'train': 30, 'test': 5},
            30,
            '30 training examples are too few to take 30 each for valid',
        ),
        ({'train': 1, 'valid': 5}, 0, '1 training examples are too few to take 1 each for test'),
    ],
)
def test_too_few_remaining_training_examples_are_refused(complaint, sizes, num_valid, message):
    assert complaint(hold_out, splits_of(sizes), num_valid) == message
