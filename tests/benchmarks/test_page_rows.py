"""Measured rows stand between the comments of their table."""

import pytest

from atelier.checkout import ROOT
from benchmarks.mutations import BAD, GOOD, page_table
from benchmarks.page_rows import with_rows

PAGE = """before
<!-- kills -->
| command | kill |
|---|---|
| train | 1 of 2 |
| sweep | not measured yet |
<!-- end of kills -->
after
"""


def test_a_row_replaces_that_of_the_same_name_and_rows_without_a_measurement():
    text = with_rows(PAGE, 'kills', {'train': ['2 of 2'], 'folder': ['1 of 1']})
    assert text.splitlines()[4:-2] == ['| train | 2 of 2 |', '| folder | 1 of 1 |']
    assert text.startswith('before\n<!-- kills -->\n| command | kill |\n|---|---|\n')
    assert text.endswith('<!-- end of kills -->\nafter\n')
    assert with_rows(text, 'kills', {'train': ['2 of 2']}) == text
    with pytest.raises(ValueError, match='mutations'):
        with_rows(PAGE, 'mutations', {})


def test_a_bar_in_a_cell_ends_no_cell():
    rows = {'a | b': ['1 || 2'], 'c': ['3']}
    text = with_rows(PAGE, 'kills', rows)
    assert r'| a \| b | 1 \|\| 2 |' in text.splitlines()
    assert with_rows(text, 'kills', rows) == text
    assert with_rows(text, 'kills', {'a | b': ['4']}).count(r'a \| b') == 1


def test_rows_that_are_no_more_are_removed_if_all_are_known():
    text = with_rows(PAGE, 'kills', {'folder': ['1 of 1']}, known={'folder', 'sweep'})
    assert text.splitlines()[4:-2] == ['| folder | 1 of 1 |']
    assert '| train | 1 of 2 |' in with_rows(PAGE, 'kills', {'folder': ['1 of 1']})


@pytest.mark.parametrize(
    ('table', 'rows'),
    [
        ('kills', {'train': ['35', *['1 of 1'] * 3, '`command`']}),
        ('endurance', {'steps': ['result', '`command`']}),
        ('mutations', page_table({'npz': dict.fromkeys(GOOD + BAD, 1)})),
    ],
)
def test_the_rows_of_a_benchmark_fit_the_table_of_the_page(table, rows):
    text = (ROOT / 'docs' / 'reliability.md').read_text()
    (row,) = {*with_rows(text, table, rows).splitlines()} - {*text.splitlines()}
    lines = text.splitlines()
    header = lines[lines.index(f'<!-- {table} -->') + 1]
    assert row.count('|') == header.count('|')
