"""Items read from lines, parts and columns: what is kept, left out and refused."""

import gzip

import pytest

from atelier.data import item_texts
from atelier.errors import UserError


@pytest.fixture
def read(tmp_path):
    def of(content, name='mine.txt', **options):
        raw = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith('.gz') else raw)
        return item_texts.read(tmp_path / name, **options)

    return of


@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
@pytest.mark.parametrize('name', ['mine.txt', 'mine.txt.gz', 'names'])
@pytest.mark.parametrize('last', ['', 'end'])
def test_lines_are_items_whatever_ends_them(read, end, name, last):
    items = read(end.join(['Ada', 'Émile', 'Ada', 'x y']) + (end if last else ''), name)
    assert items.texts == ['Ada', 'Émile', 'Ada', 'x y']
    assert items.rows.tolist() == [1, 2, 3, 4]
    assert items.labels is None and items.notes == ()


def test_empty_lines_are_left_out_and_counted(read):
    items = read('a\n\n \t\nb \n')
    assert items.texts == ['a', 'b ']
    assert items.rows.tolist() == [1, 4]
    assert items.notes == (
        '2 empty items left out',
        '1 item with spaces at the ends, which are kept',
    )


@pytest.mark.parametrize('content', ['\n\n', ' ', '\r\n'])
def test_a_file_without_items_is_refused(read, content):
    with pytest.raises(UserError, match='mine.txt has no items'):
        read(content)


@pytest.mark.parametrize(
    ('content', 'separator'),
    [
        ('\nM:1\nab\n\n  \nM:2\n\nM:3\n', r'\n\n'),
        ('\nM:1\nab\n---\nM:2\n---\nM:3', '---'),
        ('\nM:1\nab%M:2%M:3', '%'),
    ],
)
def test_items_over_several_lines(read, content, separator):
    items = read(content, separator=separator)
    assert items.texts == ['M:1\nab', 'M:2', 'M:3']
    lines = content.split('\n')
    for text, row in zip(items.texts, items.rows.tolist(), strict=True):
        assert text.split('\n')[0] in lines[row - 1]


TABLE = 'name,"kind, of",n\nAda,"a ""b""",1\n"Bo,\nb",c,2\n\n,c,3\n'


@pytest.mark.parametrize('name', ['mine.csv', 'mine.CSV.gz'])
def test_a_column_of_a_table(read, name):
    items = read(TABLE, name, column='name', label_column='kind, of')
    assert items.texts == ['Ada', 'Bo,\nb']
    assert items.rows.tolist() == [2, 3]
    assert items.labels == ['a "b"', 'c']
    assert items.notes == ('2 empty items left out',)


def test_a_table_of_one_column_needs_no_name(read):
    for content in ('SMILES\nCC\n\nCO\n', 'SMILES\n"CC"\n\n"CO"\n'):
        for column in ('', 'SMILES'):
            items = read(content, 'mine.csv', column=column)
            assert items.texts == ['CC', 'CO'] and items.rows.tolist() == [2, 4]
            assert items.notes == ('1 empty item left out',)


def test_a_tab_is_between_the_cells_of_a_tsv(read):
    assert read('a\tb\nx,y\tz\n', 'mine.tsv', column='a').texts == ['x,y']


@pytest.mark.parametrize(
    ('content', 'options', 'message'),
    [
        ('a,b\nc,d\n', {}, "has the columns 'a', 'b': set config.data.column to one of them"),
        (
            'smile\nCC\n',
            {'column': 'smiles'},
            "no such column .did you mean 'smile'.*: it has 'smile'",
        ),
        (
            'a,b\nc,d\n',
            {'column': 'c'},
            "config.data.column='c': .* no such column.*it has 'a', 'b'",
        ),
        ('a\nc\n', {'label_column': 'b'}, "config.data.label_column='b'"),
        ('a,a\nc,d\n', {'column': 'a'}, '2 columns of this name'),
        ('a,b\nc,d,e\n', {'column': 'a'}, 'line 2: it has 3 cells, the first line 2'),
        ('a,b\nc,d\ne, \n', {'column': 'a', 'label_column': 'b'}, 'line 3: there is no b'),
        ('a,b\n"c,d\n', {'column': 'a'}, 'line 2: unexpected end of data'),
        ('a\n\n', {}, 'has no items'),
        ('a\nb\n', {'separator': 'x'}, 'is a table: leave config.data.separator out'),
    ],
)
def test_a_bad_table_is_refused_in_one_line(read, content, options, message):
    with pytest.raises(UserError, match=message) as caught:
        read(content, 'mine.csv', **options)
    assert '\n' not in str(caught.value)


def test_columns_are_those_of_tables(read):
    with pytest.raises(UserError, match='config.data.column=a: mine.txt is no table'):
        read('a\n', column='a')


def test_a_similar_file_may_lack_columns(tmp_path):
    (tmp_path / 'a.csv').write_text('SMILES\nCC\n')
    (tmp_path / 'b.txt').write_text('CC\n\nCO')
    assert item_texts.read_similar(tmp_path / 'a.csv', 'name', 'kind', r'\n\n').texts == ['CC']
    assert item_texts.read_similar(tmp_path / 'b.txt', 'name', '', r'\n\n').texts == ['CC', 'CO']


@pytest.mark.parametrize(
    ('content', 'column', 'message'),
    [
        ('a,b\nc,d\n', '', "has the columns 'a', 'b': give a table with a single column"),
        ('a,b\nc,d\n', 'c', "'a', 'b': give a table with the column 'c' or a single one"),
        (f'{"a" * 200_000},b\nc,d\n', 'b', 'line 1: field larger than field limit'),
    ],
)
def test_a_table_without_the_column_has_one(tmp_path, content, column, message):
    (tmp_path / 'a.csv').write_text(content)
    with pytest.raises(UserError, match=message):
        item_texts.read_similar(tmp_path / 'a.csv', column, '', '')
