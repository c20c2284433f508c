"""HTML of a page: texts are escaped and bounded wherever they stand."""

import json
from html.parser import HTMLParser

import pytest

from atelier.report.page.html import (
    Html,
    command,
    element,
    facts,
    folded,
    joined,
    json_for_script,
    note,
    table,
    text_of,
)

HOSTILE = [
    '<script>alert(1)</script>',
    '</script><script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '<!-- & --> &lt;b&gt; ]]>',
    'a\0b\x1b[2J\u2028\u202eevil',
]


class Read(HTMLParser):
    """The elements, attributes and texts that a browser would find."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize('text', HOSTILE)
def test_a_text_stays_a_text_wherever_it_stands(text):
    """In content, in an attribute, in a table, a list, a command and a remark."""
    makers = {
        'p': lambda t: element('p', t),
        'img': lambda t: element('img', alt=t),
        'table': lambda t: table([t, t], [[t, t]], 5),
        'dl': lambda t: facts([(t, t)]),
        'pre': lambda t: command(t),
        'details': lambda t: folded(t, note(t)),
    }
    for make in makers.values():
        read, plain = Read(make(text)), Read(make('plain'))
        assert [*filter('span'.__ne__, read.tags)] == [*filter('span'.__ne__, plain.tags)]
        assert [name for name, _ in read.attributes] == [name for name, _ in plain.attributes]
        assert not {*'\0\x1b\u2028\u202e'} & {*make(text)}


def test_a_text_is_read_back_as_it_was():
    text = 'a < b & c > "d" \'e\' ± é\nf'
    assert Read(element('p', text)).texts == [text]
    assert Read(element('img', alt='a < "b"')).attributes == [('alt', 'a < "b"')]


def test_huge_texts_are_shortened():
    assert len(text_of('x' * 10**7)) <= 2_000
    assert len(text_of('<' * 10**7)) <= 4 * 2_000
    assert len(table(['a'], [['x' * 10**6]], 3, longest=50)) < 400


def test_html_is_not_escaped_twice():
    assert element('p', element('b', 'x')) == '<p><b>x</b></p>'
    assert joined([Html('<i>'), '<i>']) == '<i>&lt;i&gt;'


def test_attributes():
    made = element('input', type='checkbox', class_='a', data_chart=3, hidden=True, title=None)
    assert made == '<input type="checkbox" class="a" data-chart="3" hidden>'


def test_a_table_says_how_many_rows_are_left_out():
    made = table(['', 'n'], [[str(i), str(i)] for i in range(10)], 3, 'metric')
    assert made.count('<tr>') == 4
    assert '7 more metrics left out' in made
    assert 'left out' not in table(['', 'n'], [['a', '1']], 3)


def test_columns_of_numbers_stand_to_the_right():
    rows = [['a', '1.5', 'x'], ['b', '-1.2e-07 ± 3e-09', '2'], ['c', '-', '3'], ['d', '1,500', '']]
    made = table(['', 'mean', 'note'], rows, 9)
    assert made.count('<td class="number">') == 4
    assert '<th scope="col" class="number">mean</th>' in made


def test_json_for_a_script_ends_no_script():
    value = {'names': HOSTILE, 'n': [1.5, None]}
    text = json_for_script(value)
    assert not {*'<>&\u2028\u2029\0'} & {*text}
    assert json.loads(text) == value
    with pytest.raises(ValueError):
        json_for_script(float('nan'))  # no JSON: a browser would refuse it
