"""captions.txt, metadata.jsonl and metadata.csv: round trips, and each mistake with its line."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.data import condition_lines
from atelier.data.condition_lines import columns_of, lines_of

TEXT = st.text(st.characters(codec='utf-8', exclude_characters='\0\r\n\t\x1c\x1d\x1e\x85\u2028'))
NAME = TEXT.filter(str.strip)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('pictures')


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def in_file(path, key):
    return [(line.file, line.values[key]) for line in lines_of(path)]


@given(rows=st.lists(st.tuples(NAME, TEXT), max_size=4), end=st.sampled_from(['\n', '\r\n']))
def test_captions_round_trip(folder, rows, end):
    text = ''.join(f'{name}\t{caption}{end}' for name, caption in rows)
    assert in_file(written(folder, 'captions.txt', text), 'caption') == rows


@given(rows=st.lists(st.tuples(st.text(), st.text() | st.integers() | st.booleans()), max_size=4))
def test_objects_round_trip(folder, rows):
    lines = [json.dumps({'file_name': name, 'text': value}) for name, value in rows]
    path = written(folder, 'metadata.jsonl', '\ufeff' + '\n\n'.join(lines))
    assert in_file(path, 'text') == rows
    assert [line.number for line in lines_of(path)] == [1 + 2 * i for i in range(len(rows))]
    assert columns_of(path) == (['text'] if rows else [])


@given(rows=st.lists(st.tuples(NAME, TEXT), max_size=4))
def test_tables_round_trip(folder, rows):
    text = io.StringIO()
    csv.writer(text).writerows([('hair', 'file_name'), *[(v, name) for name, v in rows]])
    path = written(folder, 'metadata.csv', text.getvalue())
    assert in_file(path, 'hair') == rows
    assert columns_of(path) == ['hair']


def test_names_of_columns_have_no_blanks_around_them(folder):
    path = written(folder, 'metadata.csv', 'file_name, age \na.png, 3\n')
    assert columns_of(path) == ['age']
    assert in_file(path, 'age') == [('a.png', ' 3')]


def test_a_file_about_something_else_has_no_columns(folder):
    assert columns_of(written(folder, 'metadata.jsonl', '{"text": "a"}')) == []
    assert columns_of(written(folder, 'metadata.csv', 'name,text\na,b\n')) == []


@pytest.mark.parametrize(
    ('name', 'content', 'fault'),
    [
        ('captions.txt', 'a.png\tone\nb.png two\n', "line 2: 'b.png two' has no tab"),
        ('captions.txt', b'a.png\tone\nb.png\t\xff\n', 'line 2: it is not UTF-8'),
        ('captions.txt', 'a.png\tone\0\n', 'line 1: it has zero bytes'),
        ('metadata.jsonl', '\n{"file_name": \n', 'line 2: invalid JSON: Expecting value'),
        ('metadata.jsonl', '[' * 100_000, 'line 1: invalid JSON'),
        ('metadata.jsonl', '["a.png"]', 'line 1: it holds no object'),
        ('metadata.jsonl', '{"text": "a"}', 'line 1: no file_name: give the path of a picture'),
        ('metadata.jsonl', '{"age": 1, "age": 2}', "line 1: the key 'age' stands there 2 times"),
        ('metadata.jsonl', '{"file_name": 3}', 'line 1: file_name is 3'),
        ('metadata.csv', 'file,age\na.png,3\n', 'one of them file_name'),
        ('metadata.csv', '', 'one of them file_name'),
        ('metadata.csv', 'file_name,age\na.png,3,4\n', 'line 2: it has 3 cells, the first line 2'),
        ('metadata.csv', 'file_name,age\n"a.png,3\n', 'line 2: unexpected end of data'),
    ],
)
def test_a_mistake_is_one_line_with_its_number(folder, name, content, fault, complaint):
    path = written(folder, name, content)
    line = complaint(lambda: [*lines_of(path)])
    assert str(path) in line and fault in line


def test_sizes_are_bounded(folder, complaint, monkeypatch):
    path = written(folder, 'captions.txt', 'a.png\t' + 'a' * (1 << 20))
    assert 'line 1: it has more than 1,048,576 characters' in complaint(lambda: [*lines_of(path)])
    monkeypatch.setattr(condition_lines, 'total_bytes', lambda: 1 << 20)
    assert 'too large for the memory' in complaint(lambda: [*lines_of(path)])
