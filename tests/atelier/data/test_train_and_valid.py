"""Training on the validation examples too: which examples, in which order, and where they lie."""

import numpy as np
import pytest
from PIL import Image

from atelier.data import dataset, text, train_and_valid
from atelier.errors import UserError
from configs.shared import common

N = 300
X = np.random.RandomState(0).randint(0, 9, (N, 6))
LABEL = X.sum(1) % 3
WORDS = ''.join(np.random.default_rng(0).choice(list('abcdefgh \n'), 60_000))


def loaded(name='digits', **settings):
    """The data without and with validation in training."""
    config = common.common_config()
    config.data.update(name=name, **settings)
    plain = dataset.load(config)
    config.data.train_on_valid = True
    return plain, dataset.load(config)


def rows_of(data, *splits, array='x'):
    return np.concatenate([data.splits[split][array] for split in splits])


def assert_same_held_out(plain, joined):
    assert plain.fingerprint('valid', 'test') == joined.fingerprint('valid', 'test')


@pytest.mark.parametrize('binarize', ['none', 'stochastic'])
def test_validation_follows_training_as_it_is_stored(binarize):
    """Held-out examples have one fixed binary draw; in training the grey levels are drawn anew."""
    stored, _ = loaded()
    plain, joined = loaded(binarize=binarize)
    for name in ('x', 'label'):
        expected = rows_of(stored, 'train', 'valid', array=name)
        np.testing.assert_array_equal(joined.splits['train'][name], expected)
    assert_same_held_out(plain, joined)
    assert joined.split_rule == '' and joined.split_origin == 'valid is part of train'


def saved(path, x, **more):
    np.savez(path, x=x, label=LABEL[: len(x)], levels=9, **more)
    return str(path)


@pytest.mark.parametrize('split_by', ['content', 'order'])
def test_slices_of_an_array_are_joined_without_a_copy(tmp_path, split_by):
    plain, joined = loaded('arrays', path=saved(tmp_path / 'x.npz', X), split_by=split_by)
    order = ('valid', 'train') if split_by == 'content' else ('train', 'valid')
    train = joined.splits['train']
    np.testing.assert_array_equal(train['x'], rows_of(plain, *order))
    np.testing.assert_array_equal(train['label'], train['x'].sum(1) % 3)
    assert np.shares_memory(train['x'], joined.splits['valid']['x'])
    rows = joined.origin_of('train')['row']
    np.testing.assert_array_equal(X[rows], train['x'])
    assert_same_held_out(plain, joined)
    assert joined.split_origin.endswith(', and valid is part of train')
    assert joined.split_rule == (f'{plain.split_rule}, and valid is part of train') * (
        split_by == 'content'
    )


def test_splits_of_your_own_and_their_moments(tmp_path):
    """Networks see the moments of all that they are trained on."""
    x = X.astype(np.float32)
    np.savez(tmp_path / 'x.npz', x_train=x[:200], x_valid=x[200:250] + 3, x_test=x[250:])
    _, joined = loaded('arrays', path=str(tmp_path / 'x.npz'))
    both = rows_of(joined, 'train')
    assert len(both) == 250
    np.testing.assert_allclose(joined.spec.mean, both.mean(0), rtol=1e-5)
    np.testing.assert_allclose(joined.spec.std, both.std(0), rtol=1e-5)


def test_classes_of_validation_are_known_and_those_left_out_stay_out(tmp_path):
    label = np.array([0] * 100 + [1] * 30 + [2] * 70 + [3] * 100)
    parts = dict(train=slice(100), valid=slice(100, 200), test=slice(200, 300))
    arrays = {f'x_{name}': X[part] for name, part in parts.items()}
    arrays |= {f'label_{name}': label[part] for name, part in parts.items()}
    np.savez(tmp_path / 'x.npz', **arrays)
    plain, joined = loaded('arrays', path=str(tmp_path / 'x.npz'), without_classes=(2,))
    assert plain.spec.known_classes == (0,)
    assert joined.spec.known_classes == (0, 1)
    assert joined.size('train') == 130


def test_one_array_that_was_copied_does_not_change_the_order_of_the_others():
    """Validation lies before training in x but not in label: both have the same order."""
    whole, label = np.arange(10).reshape(5, 2), np.arange(5)
    splits = {
        'valid': {'x': whole[:2], 'label': label[:2].copy()},
        'train': {'x': whole[2:], 'label': label[2:]},
    }
    train = train_and_valid.joined(splits)['train']
    np.testing.assert_array_equal(train['x'][:, 0], 2 * train['label'])
    np.testing.assert_array_equal(train['label'], [2, 3, 4, 0, 1])


def test_slices_with_a_gap_or_of_other_strides_are_copied():
    whole = np.arange(24).reshape(6, 4)
    splits = {'train': {'x': whole[:2]}, 'valid': {'x': whole[3:5]}}
    joined = train_and_valid.joined(splits)['train']['x']
    np.testing.assert_array_equal(joined, whole[[0, 1, 3, 4]])
    splits = {'train': {'x': whole[:2, :2]}, 'valid': {'x': whole[2:4, :2]}}
    joined = train_and_valid.joined(splits)['train']['x']
    np.testing.assert_array_equal(joined, whole[:4, :2])


def test_more_than_memory_is_refused(monkeypatch):
    monkeypatch.setattr(train_and_valid, 'total_bytes', lambda: 10)
    splits = {'train': {'x': np.zeros(2)}, 'valid': {'x': np.zeros(2)}}
    with pytest.raises(UserError, match='put the examples of both into one split'):
        train_and_valid.joined(splits)


@pytest.mark.parametrize('split_by', ['content', 'order'])
def test_pictures_stay_in_the_file_of_the_cache(tmp_path, split_by):
    for i in range(40):
        Image.fromarray(np.full((4, 4), i, np.uint8)).save(tmp_path / f'{i}.png')
    plain, joined = loaded('folder', path=str(tmp_path), split_by=split_by)
    train = joined.splits['train']['x']
    assert sorted(train[:, 0, 0, 0]) == sorted(rows_of(plain, 'train', 'valid')[:, 0, 0, 0])
    assert np.shares_memory(train, joined.splits['valid']['x'])
    files = joined.origin_of('train')['file']
    assert [int(name.removesuffix('.png')) for name in files] == train[:, 0, 0, 0].tolist()


def test_text_by_order_is_exactly_its_first_nine_tenths(tmp_path):
    (tmp_path / 'mine.txt').write_text(WORDS)
    settings = dict(path=str(tmp_path / 'mine.txt'), context=16, split_by='order')
    plain, joined = (text.load(**settings, train_on_valid=flag) for flag in (False, True))
    train, symbols = joined.splits['train']['x'], joined.spec.symbols
    assert symbols == plain.spec.symbols
    cut = int(0.9 * len(WORDS))
    assert len(train) == cut - 15  # a window at every position, also over the former end
    assert (
        text.decode(train[:1], symbols)[0]
        + ''.join(window[-1] for window in text.decode(train[1:], symbols))
        == (WORDS[:cut])
    )
    assert_same_held_out(plain, joined)
    assert joined.split_origin == (
        'test is the last tenth, valid is before it, and valid is part of train'
    )
    given_back = text.load(**settings, valid_share=0.0)
    assert given_back.fingerprint('train') == joined.fingerprint('train')


def test_text_by_content_has_its_pieces_in_their_places(tmp_path):
    (tmp_path / 'mine.txt').write_text(WORDS)
    settings = dict(path=str(tmp_path / 'mine.txt'), context=16, split_by='content')
    plain, joined = (text.load(**settings, train_on_valid=flag) for flag in (False, True))
    given_back = text.load(**settings, valid_share=0.0)
    assert joined.fingerprint() == given_back.fingerprint()
    assert_same_held_out(plain, joined)
    assert joined.split_rule == f'{plain.split_rule}, and valid is part of train'


def test_a_count_based_model_of_text_gets_both_in_its_pieces(tmp_path):
    (tmp_path / 'mine.txt').write_text(WORDS)
    settings = dict(path=str(tmp_path / 'mine.txt'), context=16, num_pieces=50)
    joined = text.load(**settings, train_on_valid=True).splits['train']
    assert len(joined['x']) == 50 and joined['num_scored'].sum() == int(0.9 * len(WORDS))
