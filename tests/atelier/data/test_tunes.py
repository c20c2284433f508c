"""Tunes in ABC notation: what an item keeps, and which tunes are left out."""

import os
import pathlib
import zipfile

import pytest

from atelier.data import items, tunes
from atelier.errors import UserError

WHEEL = os.environ.get('ATELIER_MUSIC21', '')  # path of the wheel of music21
TUNE = r"""X: {number}
T:The Title -- Reel
R: Reel
M: C|
L:1/8
Q:1/4=100
% a comment
Z:Someone
N bars of some kind
K:G
P:A
{{F}}uG2 |\
  "Am"G,2z2  "_mf"AB|1 ^f`g*|!trill!c[P:A]d % more
D:|
K:Em
W:words

w:words
A:: G::B|]
"""
ITEM = 'M:C|\nL:1/8\nK:G\n{F}uG2 |G,2z2 AB|1 ^fg|c[P:A]d\nD:|\nK:Em\nA:: G::B|]'


def test_an_item_is_what_is_music():
    ((number, item, rhythm),) = tunes.tunes_of('% a book\n\n' + TUNE.format(number=7))
    assert (number, item, rhythm) == ('7', ITEM, 'reel')


def test_a_file_has_several_tunes_and_a_tune_may_have_no_notes():
    text = 'X:1\r\nK:D\r\nab|\r\n\r\nX:2\r\nM:3/4\r\nK:D\r\nX:3\r\nR:SLIPJIG\r\nK:A\r\nc\r\n'
    assert [*tunes.tunes_of(text)] == [
        ('1', 'K:D\nab|', ''),
        ('2', '', ''),
        ('3', 'K:A\nc', 'slip jig'),
    ]


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / 'music21-0-py3-none-any.whl'
    tune = lambda number, notes: f'X:{number}\nR:jig\nK:G\n{notes}|\n'
    notes = [f'{"abcdefg"[i % 7]}{"ABCDEFG"[i // 7 % 7]}{i // 49 + 2}' for i in range(120)]
    with zipfile.ZipFile(path, 'w') as archive:
        first = ''.join(tune(i, each) for i, each in enumerate(notes))
        for name, text in (
            ('airdsAirs/book1.abc', first),
            ('oneills1850/1.abc', tune(1, 'abc') + 'X:2\nK:G\n'),
            ('oneills1850/2.abc', tune(1, 'abcd')),
            ('ryansMammoth/a.abc', tune(1, 'fG4')),
            ('ryansMammoth/b.abc', tune(1, 'gG4')),
            ('bach/c.abc', tune(1, 'aaa')),
        ):
            archive.writestr(f'music21/corpus/{name}', text)
    return str(path)


def test_the_tunes_are_those_of_the_books(wheel):
    data = tunes.load(wheel)
    texts = [
        each
        for part in data.splits.values()
        for each in items.unpacked(part['x'], data.spec.symbols)
    ]
    found = {text.removeprefix('K:G\n') for text in texts}
    assert len(texts) == 123 and {'abc|', 'fG4|', 'gG4|'} <= found
    assert not {'abcd|', 'aaa|'} & found
    assert data.spec.class_names == ('jig',)
    assert data.notes == (
        '1 other transcription of the same number left out',
        '1 tune without notes left out',
    )


def test_the_package_is_named_if_it_is_not_there(tmp_path):
    with pytest.raises(UserError, match='pip download --no-deps music21'):
        tunes.load(str(tmp_path))


@pytest.mark.slow
@pytest.mark.skipif(not pathlib.Path(WHEEL).is_file(), reason='needs ATELIER_MUSIC21=WHEEL')
def test_the_books_are_whole():
    data = tunes.load(WHEEL, max_length=512, too_long='leave_out', is_packed=True)
    assert data.description.startswith('fiddle tunes: 4,027 tunes of at most 512 symbols')
    assert items.is_scored(data.splits['train']['x']).mean() > 0.97
