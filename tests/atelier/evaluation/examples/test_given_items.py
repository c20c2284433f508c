"""Items in place of a test split: a file of one's own, a list of texts, and another split."""

import dataclasses

import numpy as np
import pytest
from support import assembled

from atelier.core.abilities import Sample
from atelier.data import items, text
from atelier.errors import UserError
from atelier.evaluation.examples import given, given_items

WORDS = [''.join(word) for word in np.random.default_rng(0).choice(list('abcd'), (200, 6)).tolist()]


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp('items')
    rows = ['name,kind', *(f'{word},{"end" if word > "c" else "start"}' for word in WORDS)]
    (folder / 'names.csv').write_text('\n'.join(rows))
    data = dict(data__path=str(folder / 'names.csv'), data__column='name')
    return assembled(folder / 'run', 'char_gru', 'lines,debug', **data)


@pytest.fixture(scope='module')
def labelled(tmp_path_factory, run):
    changes = dict(data__label_column='kind', data__is_packed=False)
    data = dict(data__path=run.config.data.path, data__column='name')
    folder = tmp_path_factory.mktemp('labelled')
    return assembled(folder / 'run', 'char_gru', 'lines,debug', **data, **changes)


@pytest.fixture
def read(run, tmp_path):
    def of(content, name='mine.txt', run=run):
        (tmp_path / name).write_text(content, newline='')
        return given.read(run, str(tmp_path / name))

    return of


def texts_of(data):
    return text.decode(data.splits['test']['x'], data.spec.symbols)


def test_each_line_is_an_example_with_its_number(run, read):
    data = read('abc\r\n\r\nd\r\nabc\r\n')
    assert texts_of(data) == ['abc', 'd', 'abc']
    assert data.splits['test']['x'].shape[1:] == run.data.spec.event_shape
    origin = data.origin_of('test')
    assert origin['file'].tolist() == ['mine.txt'] * 3 and origin['row'].tolist() == [1, 3, 4]
    whole = given.with_given(run, data).data
    assert whole.origin_of('test')['row'].tolist() == [1, 3, 4]
    assert whole.size('test') == 3 and whole.size('train') == run.data.size('train')


def test_a_table_has_the_columns_of_the_run_or_one(labelled, read):
    for content in ('kind,name\nend,abc\nstart,d\n', 'SMILES\nabc\nd\n'):
        data = read(content, 'mine.csv', labelled)
        assert texts_of(data) == ['abc', 'd']
        label = data.splits['test'].get('label')
        assert label is None if 'SMILES' in content else label.tolist() == [0, 1]
    with pytest.raises(
        UserError, match="the columns 'a', 'b': give a table with the column 'name' or"
    ):
        read('a,b\nabc,d\n', 'mine.csv')
    with pytest.raises(UserError, match='there is no class'):
        read('kind,name\nmiddle,abc\n', 'mine.csv', labelled)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('abc\n\nabé\n', "line 3 has 'é', which is no symbol of the run"),
        ('abc\nabcdabc\n', 'line 2 has 7 symbols, and items have at most 6'),
        ('\n\n', 'mine.txt has no items'),
        ('', 'is empty'),
    ],
)
def test_what_the_run_cannot_have_is_refused_in_one_line(read, content, message):
    with pytest.raises(UserError, match=message) as caught:
        read(content)
    assert '\n' not in str(caught.value)


def test_a_list_of_texts_is_examples(run):
    for x in (['abc', 'd'], np.array(['abc', 'd']), ('abc', 'd')):
        assert texts_of(given.from_arrays(run, x)) == ['abc', 'd']
    with pytest.raises(UserError, match="item 1 has 'é'"):
        given.from_arrays(run, ['a', 'é'])
    with pytest.raises(UserError, match=r'give texts, or numbers \[n, 7\]'):
        given.from_arrays(run, [])
    for empty in ('', '\0'):
        with pytest.raises(UserError, match='item 1 is .*: give texts of one or more symbols'):
            given.from_arrays(run, ['a', empty])


def test_tokens_have_to_be_items(run):
    x = run.data.splits['test']['x'][:3]
    np.testing.assert_array_equal(given.from_arrays(run, x).splits['test']['x'], x)
    bad = [[0] * 7, [1] * 7, [1, 0, 1, 0, 0, 0, 0]]
    for row in bad:
        with pytest.raises(UserError, match='row 3 of x is no item'):
            given.from_arrays(run, np.stack([*x, row]))


def test_the_training_split_is_items_too(run):
    """Its rows hold several, which are taken apart."""
    data = given.with_split(run, 'train').data
    packed = run.data.splits['train']['x']
    assert sorted(texts_of(data)) == sorted(items.unpacked(packed, run.data.spec.symbols))
    assert data.splits['test']['x'].shape[1:] == run.data.spec.event_shape
    assert len(data.origin_of('test')['row']) == data.size('test') == items.count(packed)
    valid = given.with_split(run, 'valid').data
    assert valid.origin_of('test')['row'].tolist() == run.data.origin_of('valid')['row'].tolist()


def test_packed_rows_may_be_as_long_as_an_event(tmp_path):
    """Whether a row holds several items follows from its ends, not from its length."""
    names = [word[: 1 + i % 6] for i, word in enumerate(WORDS)]
    (tmp_path / 'names.txt').write_text('\n'.join(names))
    path = str(tmp_path / 'names.txt')
    run = assembled(tmp_path / 'run', 'char_gru', 'lines,debug', data__path=path, data__context=7)
    packed = run.data.splits['train']['x']
    assert packed.shape[1:] == run.data.spec.event_shape == (7,)
    data = given.with_split(run, 'train').data
    assert data.size('test') == items.count(packed) > len(packed)
    assert sorted(texts_of(data)) == sorted(items.unpacked(packed, run.data.spec.symbols))


def test_texts_are_told_from_other_examples():
    assert given_items.are_texts(['a']) and given_items.are_texts(np.array(['a', 'b']))
    for other in ('abc', [], [1], np.zeros((2, 3)), ['a', 1], None):
        assert not given_items.are_texts(other)


def test_items_of_a_table_have_the_condition_of_the_run(run, tmp_path, complaint):
    rows = ['name,size', *(f'{word},{i}' for i, word in enumerate(WORDS))]
    (tmp_path / 'names.csv').write_text('\n'.join(rows))
    data = dict(data__path=str(tmp_path / 'names.csv'), data__column='name')
    changes = dict(data__condition=('size',), data__is_packed=False, **data)
    conditional = assembled(tmp_path / 'run', 'char_gru', 'lines,debug', **changes)
    family = conditional.family
    (tmp_path / 'ignored.csv').write_text('size,name\nlarge,abc\n')
    ignored = given.read(conditional, str(tmp_path / 'ignored.csv'))
    assert {*ignored.splits['test']} == {'x'}  # a model that reads no condition
    sample = family.ability(Sample)._replace(reads_condition=True)
    family = dataclasses.replace(family, abilities=(sample,))
    conditional = conditional._replace(family=family)
    (tmp_path / 'new.csv').write_text('size,name\n1.5,abc\n-2,d\n')
    new = given.read(conditional, str(tmp_path / 'new.csv'))
    assert texts_of(new) == ['abc', 'd']
    assert new.splits['test']['condition'].tolist() == [[1.5], [-2]]
    (tmp_path / 'new.csv').write_text('size,name\nlarge,abc\n')
    line = complaint(given.read, conditional, str(tmp_path / 'new.csv'))
    assert line == "new.csv, line 2: condition size='large': give a number"
    (tmp_path / 'new.txt').write_text('abc\n')
    line = complaint(given.read, conditional, str(tmp_path / 'new.txt'))
    assert 'needs the condition (size) of each example' in line
