"""The source `lines`: splits by content, the vocabulary, lengths, packed rows, labels, notes."""

import numpy as np
import pytest

from atelier.data import dataset, items, lines, text
from atelier.errors import UserError
from configs.shared import common

rng = np.random.default_rng(0)
WORDS = [''.join(rng.choice(list('abcde'), size)) for size in rng.integers(2, 8, 500)]
WORDS = sorted({*WORDS, 'a b', 'ab cde'})


@pytest.fixture
def file(tmp_path):
    def write(content, name='mine.txt'):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else '\n'.join(content), newline='')
        return str(path)

    return write


def texts_of(data, split):
    return items.unpacked(data.splits[split]['x'], data.spec.symbols)


def split_of(data):
    """The split of each item; fails if one is in two."""
    found = {}
    for split in data.splits:
        for each in texts_of(data, split):
            assert found.setdefault(each, split) == split
    return found


@pytest.mark.parametrize('is_packed', [False, True])
@pytest.mark.parametrize('split_by', ['content', 'order'])
def test_every_item_is_in_one_split(file, is_packed, split_by):
    data = lines.load(file(WORDS), is_packed=is_packed, split_by=split_by)
    assert sorted(sum((texts_of(data, split) for split in data.splits), [])) == sorted(WORDS)
    assert {*split_of(data).values()} == {'train', 'valid', 'test'}
    assert data.spec.symbols == items.END + ' abcde'
    assert data.spec.event_shape == (8,) and data.spec.levels == 7
    for split, part in data.splits.items():
        assert part['x'].dtype == np.uint8
        if split != 'train' or not is_packed:
            assert part['x'].shape[1] == 8
            assert texts_of(data, split) == text.decode(part['x'], data.spec.symbols)
    share = items.is_scored(data.splits['train']['x']).mean()
    assert (share > 0.9) == is_packed


def test_the_split_of_an_item_follows_from_its_text(file):
    """Other items, their order and duplicates move none; nor do equal items share two splits."""
    before = split_of(lines.load(file(WORDS[:300])))
    more = [*WORDS[200:], *WORDS[:200], *WORDS[50:100], 'f']
    data = lines.load(file(more))
    after = split_of(data)
    assert all(after[word] == split for word, split in before.items())
    changed = split_of(lines.load(file(WORDS), max_length=9, too_long='cut'))
    assert all(changed[word] == split for word, split in before.items())


def test_a_run_on_more_items_can_begin_with_the_weights_of_one_on_fewer(file):
    """The format of x and the rule are the same, so no item of training is one of the new test."""
    words = sorted(WORDS, key=len, reverse=True)
    few, all_of_them = (
        lines.load(file(some), is_packed=True).fingerprint() for some in (words[:300], words)
    )
    assert (few['x'], few['split_rule']) == (all_of_them['x'], all_of_them['split_rule'])
    assert few['train'] != all_of_them['train']


def test_by_order_the_sizes_are_exact(file):
    data = lines.load(file(WORDS), split_by='order', num_valid=7)
    assert data.size('valid') == data.size('test') == 7
    assert data.split_rule == '' and 'fixed random order' in data.split_origin


@pytest.mark.parametrize('split_by', ['content', 'order'])
def test_training_has_the_validation_items_too(file, split_by):
    options = dict(split_by=split_by, is_packed=True)
    usual, both = (
        lines.load(file(WORDS), **options, train_on_valid=value) for value in (False, True)
    )
    joined = [*texts_of(usual, 'train'), *texts_of(usual, 'valid')]
    assert sorted(texts_of(both, 'train')) == sorted(joined)
    for split in ('valid', 'test'):
        np.testing.assert_array_equal(usual.splits[split]['x'], both.splits[split]['x'])
    assert usual.spec == both.spec and both.split_origin.endswith('valid is part of train')


@pytest.mark.parametrize(
    ('too_long', 'note'),
    [
        ('cut', 'items of more than config.data.max_length=5 symbols, cut'),
        ('leave_out', 'items of more than config.data.max_length=5 symbols, left out'),
    ],
)
def test_long_items_are_cut_or_left_out_and_counted(file, too_long, note):
    data = lines.load(file(WORDS), max_length=5, too_long=too_long)
    count = sum(len(word) > 5 for word in WORDS)
    assert f'{count} {note}' in data.notes
    expected = [word[:5] for word in WORDS if too_long == 'cut' or len(word) <= 5]
    assert sorted(sum((texts_of(data, split) for split in data.splits), [])) == sorted(expected)
    assert data.spec.event_shape == (6,)
    split_of(data)  # equal items share a split after they were cut


def test_one_item_that_makes_all_events_long_is_named(file):
    data = lines.load(file([*WORDS, 'a' * 22]))
    (note,) = data.notes
    assert f'has 22 symbols (line {len(WORDS) + 1}); 99 % of the items have at most 7:' in note
    assert lines.load(file([*WORDS, 'a' * 21])).notes == ()


def test_long_items_are_refused(file):
    with pytest.raises(UserError, match=r'items of more than config.data.max_length=6 .*\(line \d'):
        lines.load(file(WORDS), max_length=6)
    with pytest.raises(UserError, match='only 2 items of more'):
        lines.load(file(['abc', 'bcd']), max_length=2, too_long='leave_out')


def test_test_items_with_other_symbols_are_left_out_and_counted(file):
    """Their probability is 0, and the vocabulary does not come from the test split."""
    words = [word + 'é' for word in WORDS]
    by_content = [lines.load(file([*WORDS, word])) for word in words[:60]]
    kinds = {bool(each.notes) for each in by_content}
    assert kinds == {False, True}  # some are test items
    for each, word in zip(by_content, words, strict=False):
        if each.notes:
            assert each.spec.symbols == items.END + ' abcde'
            (note,) = each.notes
            assert note == (
                "1 test item left out, with symbols that training and validation lack: 'é'"
            )
        else:
            assert split_of(each)[word] in ('train', 'valid')


def test_many_symbols_take_wider_tokens(file):
    words = [chr(0x4E00 + i) + chr(0x4E00 + i // 2) for i in range(600)]
    data = lines.load(file([*words, *words[::-1]]), is_packed=True, split_by='order', num_valid=1)
    assert data.splits['train']['x'].dtype == np.int32 and data.spec.levels > 256
    assert {*texts_of(data, 'train')} == {*words}


def test_labels_are_those_of_a_column(file):
    rows = ['name,kind', *(f'{word},{"long" if len(word) > 6 else "short 2"}' for word in WORDS)]
    options = dict(column='name', label_column='kind')
    data = lines.load(file(rows, 'mine.csv'), **options, is_packed=False)
    assert data.spec.class_names == ('long', 'short 2') and data.spec.num_classes == 2
    for split in data.splits:
        label = [int(len(word) <= 6) for word in texts_of(data, split)]
        assert data.splits[split]['label'].tolist() == label
    with pytest.raises(UserError, match='packed rows have no labels: set config.data.is_packed=F'):
        lines.load(file(rows, 'mine.csv'), **options, is_packed=True)


def test_labels_that_are_no_classes_are_refused(file):
    rows = ['name,kind', *(f'a{i},{i}' for i in range(1001))]
    with pytest.raises(UserError, match='1,001 different labels, more than 1,000'):
        lines.load(file(rows, 'mine.csv'), column='name', label_column='kind')


@pytest.mark.parametrize('is_packed', [False, True])
def test_the_origin_of_an_item_is_its_line(file, is_packed):
    data = lines.load(file(['', *WORDS]), is_packed=is_packed)
    for split in ('valid', 'test') if is_packed else data.splits:
        origin = data.origin_of(split)
        assert {*origin['file']} == {'mine.txt'}
        assert [WORDS[row - 2] for row in origin['row']] == texts_of(data, split)
    assert len(data.origin_of('train')['row']) == data.size('train')


def test_the_names_of_characters_need_no_file():
    data = lines.load(is_packed=True)
    assert sum(map(items.count, (part['x'] for part in data.splits.values()))) == 13_789
    assert data.spec.event_shape == (84,) and data.spec.num_classes is None
    single = lines.load()
    assert single.spec.num_classes == 29 and 'LATIN' in single.spec.class_names
    first, label = single.splits['test']['x'][0], single.splits['test']['label'][0]
    script = text.decode(first[None], single.spec.symbols)[0].split(' ')[0]
    assert single.spec.class_names[label] in (script, 'other')


@pytest.mark.parametrize(
    ('content', 'options', 'message'),
    [
        (['one'], {}, 'the test split would get none of the 1 example'),
        (['one'], {'split_by': 'order'}, '1 training examples are too few'),
        ([], {}, 'is empty'),
        (WORDS, {'context': 5, 'is_packed': True}, 'config.data.context=5: a packed row needs at '),
        (WORDS, {'num_pieces': 5}, 'config.data.num_pieces=5: pieces are packed rows'),
        (WORDS, {'too_long': 'drop'}, "config.data.too_long is 'drop'; choose one of 'refuse'"),
        (WORDS, {'max_length': -1}, 'config.data.max_length=-1'),
    ],
)
def test_bad_settings_are_refused_in_one_line(file, content, options, message):
    with pytest.raises(UserError, match=message) as caught:
        lines.load(file(content), **options)
    assert '\n' not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / 'none.txt'):
        with pytest.raises(UserError, match='config.data.path: there is no file'):
            lines.load(str(path))
    with pytest.raises(UserError, match="config.data.column='name': set config.data.path"):
        lines.load(column='name')


def test_small_files_have_rows_for_a_batch(file):
    x = lines.load(file(WORDS), is_packed=True).splits['train']['x']
    assert len(x) >= 64


def test_a_config_reads_the_fields_of_items(file):
    config = common.common_config()
    config.data.update(name='lines', path=file(WORDS), split_by='order', num_valid=9)
    config.data.is_packed = True
    data = dataset.load(config)
    assert data.size('valid') == 9 and data.splits['train']['x'].shape[1] > 8
    config.data.update(name='digits', path='', num_valid=0, column='name')
    with pytest.raises(UserError, match="config.data.column='name': digits does not read it"):
        dataset.load(config)


# Conditions


@pytest.mark.parametrize('rule', [{}, {'split_by': 'order'}, {'train_on_valid': True}])
def test_columns_of_a_table_are_the_condition_of_their_items(file, rule):
    rows = [f'{len(word)},{word},{word.count("a") / 2},{word[0]}' for word in WORDS]
    path = file(['size,word,half,first', *rows], 'mine.csv')
    settings = dict(column='word', **rule)
    numbers = lines.load(path, condition=('half', 'size'), **settings)
    labels = lines.load(path, condition=('first',), **settings)
    assert numbers.spec.condition.names == ('half', 'size')
    assert 'condition: half, size of mine.csv' in numbers.notes
    for split, part in numbers.splits.items():
        texts = texts_of(numbers, split)
        expected = [[word.count('a') / 2, len(word)] for word in texts]
        np.testing.assert_array_equal(part['condition'], expected)
        index = labels.splits[split]['condition'][:, 0].tolist()
        assert [labels.spec.condition.values[0][i] for i in index] == [w[0] for w in texts]
    assert lines.load(path, **settings).spec.condition is None


def test_the_condition_follows_items_that_are_left_out(file):
    rows = ['word,size', *(f'{"a" * i},{i}' for i in [*range(1, 9)] * 8)]
    settings = dict(column='word', condition=('size',), max_length=5, too_long='leave_out')
    for part in lines.load(file(rows, 'a.csv'), split_by='order', **settings).splits.values():
        np.testing.assert_array_equal(part['condition'][:, 0], (part['x'] > 0).sum(1))


@pytest.mark.parametrize(
    ('settings', 'fault'),
    [
        (dict(condition=('siez',)), "config.data.condition='siez': a.csv has no such column (did"),
        (dict(condition=('size',)), 'a.csv, line 3: size is missing'),
        (dict(condition=('size',), is_packed=True), 'packed rows have no condition: set config'),
    ],
)
def test_a_wrong_condition_is_one_line(file, settings, fault, complaint):
    path = file(['word,size', 'a,1', 'b,'], 'a.csv')
    assert fault in complaint(lines.load, path, column='word', split_by='order', **settings)
    text = file(['a', 'b'])
    assert 'is no table' in complaint(lines.load, text, condition=('size',))
    assert 'to a file, too' in complaint(lines.load, condition=('size',))
