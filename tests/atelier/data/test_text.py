"""Text: each token is scored once, the usual split, and files that are not text."""

import gzip
import pathlib
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import recipe_and_config

from atelier.data import dataset, text, text_pieces
from atelier.errors import UserError
from configs.shared import common

REAL = pathlib.Path(__file__).resolve().parents[4] / 'shared/data/text/tinyshakespeare.txt'
ROWS = 'the quick brown fox\njumps over it\n'


@pytest.fixture
def file(tmp_path):
    def write(content=ROWS * 100):
        path = tmp_path / 'mine.txt'
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


@given(st.integers(1, 400), st.integers(1, 20), st.data())
def test_each_symbol_is_scored_once_given_its_context(extra, stride, data):
    length = data.draw(st.integers(stride, stride + 30))
    part = np.arange(length + extra - 1)
    windows = text.scored_once(part, length, stride)
    scored = [x[length - n :] for x, n in zip(windows['x'], windows['num_scored'], strict=True)]
    np.testing.assert_array_equal(np.concatenate(scored), part)
    assert (np.diff(windows['x'], axis=1) == 1).all()
    assert (windows['num_scored'][1:] <= stride).all()
    assert windows['x'][0, 0] == 0


def test_text_is_split_by_position(file):
    """The first nine tenths are train, then valid; the last tenth is test."""
    data, whole = text.load(file(), context=16), ROWS * 100
    cut = int(0.9 * len(whole))
    num_train = cut - int(0.05 * cut)
    spec, train = data.spec, data.splits['train']['x']
    assert spec.symbols == ''.join(sorted({*whole}))
    assert (spec.levels, spec.event_shape, spec.num_classes) == (len(spec.symbols), (16,), None)
    assert text.decode(train[:1], spec.symbols) == [whole[:16]]
    assert text.decode(train[-1:], spec.symbols) == [whole[num_train - 16 : num_train]]
    assert len(train) == num_train - 15
    for split, start, end in (('valid', num_train, cut), ('test', cut, len(whole))):
        arrays = data.splits[split]
        assert text.decode(arrays['x'][-1:], spec.symbols) == [whole[end - 16 : end]]
        assert text.decode(arrays['x'][:1], spec.symbols) == [whole[start : start + 16]]
        assert arrays['num_scored'].sum() == end - start
        np.testing.assert_allclose(data.scored_dims(split) * len(arrays['x']), end - start)


def test_a_text_may_be_packed_by_gzip(file):
    plain = text.load(file(), context=16)
    packed = text.load(file(gzip.compress((ROWS * 100).encode())), context=16)
    assert packed.fingerprint() == plain.fingerprint()


def test_a_valid_share_of_zero_adds_the_validation_text_to_training(file):
    data, usual = (text.load(file(), context=16, **share) for share in (dict(valid_share=0.0), {}))
    assert len(data.splits['train']['x']) == int(0.9 * 3400) - 15
    for split in ('valid', 'test'):
        np.testing.assert_array_equal(data.splits[split]['x'], usual.splits[split]['x'])


WORDS = np.random.default_rng(0).choice(list('abcdefgh \n'), 60_000)


@pytest.mark.parametrize('valid_share', [0.05, 0.0])
def test_text_is_split_by_content(file, valid_share):
    """Each split is its spans of the text, and training may have those of validation."""
    whole = ''.join(WORDS)
    settings = dict(context=16, split_by='content', held_out_share=0.15, valid_share=valid_share)
    data = text.load(file(whole), **settings)
    spans, count = text_pieces.by_content(whole, 0.15)
    expected = {
        name: ''.join(whole[start:stop] for start, stop in each.tolist())
        for name, each in spans.items()
    }
    if not valid_share:
        names = ('train', 'valid')
        kept = sorted(span for name in names for span in spans[name].tolist())
        expected['train'] = ''.join(whole[start:stop] for start, stop in kept)
    joined = lambda rows: ''.join(text.decode(rows, data.spec.symbols))
    assert joined(data.splits['train']['x'][:, :1]) == expected['train'][:-15]
    for name in ('valid', 'test'):
        x, num_scored = (data.splits[name][key] for key in ('x', 'num_scored'))
        scored = [row[16 - n :][None] for row, n in zip(x, num_scored, strict=True)]
        assert ''.join(map(joined, scored)) == expected[name]
    is_part = '' if valid_share else ', and valid is part of train'
    assert data.split_rule == f'test and valid by content, a share of 0.15 each{is_part}'
    assert f'by content of {count} pieces' in data.split_origin


@pytest.mark.parametrize('settings', [{}, {'split_by': 'content'}, {'num_pieces': 50}])
def test_origins_are_the_positions_of_windows(file, settings):
    """A window whose text is not there goes on in the next span of its split."""
    whole = ''.join(WORDS)
    data = text.load(file(whole), context=16, **settings)
    for name, split in data.splits.items():
        source, length = data.origin_of(name), split['x'].shape[1]
        assert {*source['file']} == {'mine.txt'}
        windows = text.decode(split['x'], data.spec.symbols)
        rows = source['row'].tolist()
        found = [whole[row : row + length] == x for row, x in zip(rows, windows, strict=True)]
        assert np.mean(found) > (0.97 if settings.get('split_by') else 0.9999)
        assert all(whole[row] == x[0] for row, x in zip(rows, windows, strict=True))
        index = np.array([len(rows) - 1, 0])
        assert data.origin_of(name, index)['row'].tolist() == [rows[-1], rows[0]]


@pytest.mark.parametrize(
    ('content', 'settings', 'message'),
    [
        ('a' * 5000, {}, "characters in 1 piece, which are split by .* set .*split_by='order'$"),
        ('short text', {}, 'has 10 characters in 1 piece, .* gets 0: fewer than'),
        (
            ''.join(WORDS),
            dict(valid_share=0.1),
            'data.valid_share=0.1: by content .*set config.data.held_out_share',
        ),
    ],
)
def test_what_cannot_be_split_by_content_is_refused(file, content, settings, message):
    with pytest.raises(UserError, match=message) as caught:
        text.load(file(content), context=16, split_by='content', **settings)
    assert '\n' not in str(caught.value)


def test_a_symbol_of_the_test_split_alone_is_refused(file):
    whole = ''.join(WORDS)
    start = int(text_pieces.by_content(whole, 0.1)[0]['test'][0, 0]) + 200
    changed = whole[:start] + 'Z' + whole[start + 1 :]
    line = 1 + whole[:start].count('\n')
    message = rf"'Z' \(line {line}\) is outside the vocabulary.* training and validation text"
    with pytest.raises(UserError, match=message):
        text.load(file(changed), context=16, split_by='content')


def test_the_embedded_text_is_split_by_position_by_any_rule():
    by_content, usual = (text.load(context=64, split_by=rule) for rule in ('content', 'order'))
    assert by_content.split_rule == ''
    assert by_content.fingerprint('test') == usual.fingerprint('test')


@pytest.mark.parametrize('num_pieces', [1, 7, 100, 3000])
def test_num_pieces_pieces_score_each_symbol_once(file, num_pieces):
    data = text.load(file(), context=16, num_pieces=num_pieces)
    x, num_scored = (data.splits['train'][name] for name in ('x', 'num_scored'))
    assert len(x) == len(num_scored) == num_pieces
    num_train = int(0.9 * 3400) - int(0.05 * int(0.9 * 3400))
    scored = [text.decode(row[None], data.spec.symbols)[0] for row in x]
    scored = [row[len(row) - n :] for row, n in zip(scored, num_scored, strict=True)]
    assert ''.join(scored) == (ROWS * 100)[:num_train]


def test_decoding_inverts_encoding():
    symbols = ''.join(sorted({*'löwe\nzahn'}))
    (back,) = text.decode(text.encode('zöllner'.replace('r', ''), symbols)[None], symbols)
    assert back == 'zöllne'
    with pytest.raises(UserError, match=r"'x' is outside the vocabulary: \\n"):
        text.encode('axe', symbols)


def test_the_embedded_text_needs_no_file_and_never_changes():
    data, repeated = text.load(context=64), text.load(context=64)
    np.testing.assert_array_equal(data.splits['test']['x'], repeated.splits['test']['x'])
    assert sum(len(part['x']) for part in data.splits.values()) > 200_000
    beginning = ''.join(text.decode(data.splits['train']['x'][:640:64], data.spec.symbols))
    assert 'The "assert" statement' in beginning
    assert 50 < data.spec.levels < 130


def test_training_windows_are_views(file):
    x = text.load(file(), context=64).splits['train']['x']
    assert x.base is not None
    assert x.strides[0] == x.itemsize


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('', 'is empty'),
        (b'caf\xe9' * 1000, r'is not UTF-8 text \(byte 3\)'),
        (b'\0' * 3000, 'is not text'),
        ('a' * 5000, 'first nine tenths of .* repeat one character'),
        ('short text', 'has 10 characters, of which the valid split gets 0: fewer than config'),
        (ROWS * 100 + 'z\nZ\n', r"mine.txt: 'z' \(line 201\) is outside the vocabulary"),
    ],
)
def test_files_that_are_not_text_are_refused_in_one_line(file, content, message):
    with pytest.raises(UserError, match=message) as caught:
        text.load(file(content), context=64)
    assert '\n' not in str(caught.value)


def test_a_file_that_is_missing_is_refused(tmp_path):
    for path in (tmp_path / 'none.txt', tmp_path):
        with pytest.raises(UserError, match='there is no file'):
            text.load(str(path), context=64)


@pytest.mark.parametrize(
    ('sizes', 'message'),
    [
        (dict(context=0), 'data.context=0'),
        (dict(context=9), 'give an even number'),
        (dict(valid_share=1.0), 'data.valid_share=1.0'),
        (dict(num_pieces=-1), 'data.num_pieces=-1'),
    ],
)
def test_invalid_window_sizes_are_refused(sizes, message):
    with pytest.raises(UserError, match=message):
        text.load(**{'context': 64, **sizes})


def test_a_config_without_windows_takes_no_text():
    config = common.common_config()
    config.data.name = 'text'
    with pytest.raises(UserError, match='text needs config.data.context, which this config lacks'):
        dataset.load(config)


def test_symbols_are_not_binarised(file):
    _, config = recipe_and_config()
    with config.unlocked():
        config.data.update(name='text', path=file(), context=16, valid_share=0.0, num_pieces=0)
        config.data.split_by = 'order'
        config.data.binarize = 'threshold'
    with pytest.raises(UserError, match='has symbols, not numbers'):
        dataset.load(config)
    with config.unlocked():
        config.data.binarize = 'none'
    assert "symbols '\\n bcef" in dataset.load(config).fingerprint('test')['x']


def test_tiny_shakespeare():
    if not REAL.exists():
        pytest.skip(f'{REAL} is not here')
    data = text.load(str(REAL), context=64)
    assert data.spec.levels == 65
    assert data.splits['test']['num_scored'].sum() == 111_540
    assert sys.getsizeof(data.splits['train']['x']) < 1000
    assert len(data.fingerprint()) == 4
