"""Held-out splits: both rules, sizes, every example exactly once, and refusals."""

import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from atelier.data import splits as splits_module
from atelier.data.splits import (
    arranged,
    array_digests,
    file_digest,
    fixed_order,
    hold_out,
    hold_out_by_content,
)
from configs.shared import common


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
    assert 'a validation split of their own: leave it out' in line


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


# By content


def by_content(x, share=0.1, **own):
    """{split: set of the examples, as tuples} of x [n, values]."""
    splits = {'train': {'x': x}, **{name: {'x': part} for name, part in own.items()}}
    whole, _ = arranged(splits, True, share)
    return {name: {tuple(row) for row in part['x'].tolist()} for name, part in whole.items()}


def different_rows(n, seed):
    random = np.random.RandomState(seed)
    return np.concatenate([np.arange(n)[:, None] % 251, random.randint(0, 256, (n, 6))], 1)


SEEDS = st.integers(0, 10_000)


@settings(max_examples=20)
@given(seed=SEEDS, added=st.integers(0, 200), removed=st.integers(0, 100))
def test_no_example_moves_when_others_come_or_go(seed, added, removed):
    rows = different_rows(300 + added, seed)
    before = by_content(rows[:300])
    kept = rows[removed:]
    after = by_content(np.random.RandomState(seed).permutation(kept))
    for row in map(tuple, kept[: 300 - removed].tolist()):
        (then,), (now,) = ([name for name in s if row in s[name]] for s in (before, after))
        assert then == now


@settings(max_examples=20)
@given(seed=SEEDS, copies=st.integers(2, 4))
def test_equal_examples_share_a_split(seed, copies):
    rows = different_rows(200, seed)
    splits = by_content(np.concatenate([rows] * copies))
    assert splits == by_content(rows)
    assert not splits['train'] & splits['test'] and not splits['valid'] & splits['test']


@settings(max_examples=20)
@given(seed=SEEDS, share=st.floats(0.05, 0.45))
def test_the_sizes_are_the_shares_to_five_standard_errors(seed, share):
    n = 1000
    whole, rule = arranged({'train': {'x': different_rows(n, seed)}}, True, share)
    for name in ('test', 'valid'):
        size = len(whole[name]['x'])
        assert abs(size - share * n) < 5 * np.sqrt(n * share * (1 - share))
    assert sum(len(part['x']) for part in whole.values()) == n
    assert rule == f'test and valid by content, a share of {share} each'


def test_the_digests_are_frozen(tmp_path):
    """Others would move every example, and results would not compare with earlier ones."""
    x = np.array([[0, 1, 2], [3, 4, 255]])
    expected = [558733713131475797, 12189153066456166078]
    assert array_digests(x).tolist() == expected
    for row, digest in zip(x, expected, strict=True):
        raw = row.astype(np.uint8).tobytes()
        (tmp_path / 'file').write_bytes(raw)
        assert file_digest(raw) == file_digest(tmp_path / 'file') == digest
    reals = array_digests(np.array([[0.5], [-0.0]], np.float32))
    assert reals.tolist() == [11548925429506101742, 8666497532150016737]


@pytest.mark.parametrize('dtype', [bool, np.uint8, np.int16, '>i4', np.int64, np.uint64])
def test_a_digest_is_of_the_values_and_not_of_their_type(dtype):
    x = different_rows(20, 0) % 2
    np.testing.assert_array_equal(array_digests(x.astype(dtype)), array_digests(x))


def test_a_digest_does_not_depend_on_its_neighbours(monkeypatch):
    """Not on their size, the layout in memory, or where a chunk ends."""
    x = different_rows(50, 1)
    expected = array_digests(x)
    with_large = array_digests(np.concatenate([x, 1000 + x]))
    np.testing.assert_array_equal(with_large[:50], expected)
    assert len(np.unique(with_large)) == 100
    np.testing.assert_array_equal(array_digests(np.asfortranarray(x)), expected)
    real = array_digests(np.where(x == 0, -0.0, x))
    np.testing.assert_array_equal(real, array_digests(x.astype(np.float32)))
    for chunk in (1, 22):
        monkeypatch.setattr(splits_module, 'CHUNK', chunk)
        np.testing.assert_array_equal(array_digests(x), expected)


def test_a_split_that_would_be_empty_is_refused(complaint):
    sorted_digests = np.arange(20).astype(np.uint64) * np.uint64(2**63 // 20)
    splits = splits_of({'train': 20})
    for digests, name in (
        (sorted_digests + np.uint64(2**63), 'test'),
        (sorted_digests // np.uint64(100), 'valid'),
    ):
        line = complaint(hold_out_by_content, splits, digests, 0.1)
        assert f'the {name} split would get none of the 20 examples' in line
        assert 'config.data.held_out_share=0.1' in line and "split_by='order'" in line


def test_many_copies_are_reported(caplog):
    """With few different rows, the rule tests a model on rows that training never has."""
    rows = different_rows(200, 0)
    arranged({'train': {'x': np.concatenate([rows, rows[:20]])}}, True, 0.1)
    assert caplog.text == ''
    arranged({'train': {'x': np.concatenate([rows, rows[:100]])}}, True, 0.1)
    assert '100 of 300 examples repeat another one' in caplog.text


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (dict(split_by='hash'), "config.data.split_by is 'hash'; choose one of 'content', 'order'"),
        (dict(held_out_share=0.0), 'config.data.held_out_share=0.0: it must lie between'),
        (dict(held_out_share=0.5), 'config.data.held_out_share=0.5: it must lie between'),
    ],
)
def test_settings_are_checked(complaint, values, message):
    config = common.common_config()
    config.data.update(**values)
    assert message in complaint(splits_module.check_rule, config.data, True)
