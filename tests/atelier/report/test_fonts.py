"""Letters that DejaVu Sans lacks: other installed fonts are tried, and one line names the rest."""

import threading
import warnings

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from atelier.report import figures, fonts
from atelier.report.figure_text import fitting, in_lines, width_of

CHINESE = '葡萄酒'


@pytest.fixture
def fresh(monkeypatch):
    """Forgets fonts and that a message was logged, before and after a test."""
    monkeypatch.setattr(fonts, '_SAID', threading.Event())
    forget = lambda: (fonts.families.cache_clear(), fonts._fonts.cache_clear())
    forget()
    yield
    forget()


@figures.style()
def picture_of(text):
    figure, (axis,) = figures.panels(1)
    axis.set_title(text)
    return figures.pixels(figure)


def test_only_installed_families_are_asked_for(fresh):
    """matplotlib would warn of each other one."""
    installed = {*font_manager.fontManager.get_font_names()}
    assert fonts.families()[0] == 'DejaVu Sans'
    assert {*fonts.families()} <= installed
    assert {*fonts.families()[1:]} == installed & {*fonts.FALLBACKS}


def test_letters_that_no_font_has_are_named_once(fresh, monkeypatch, caplog):
    """The warnings of matplotlib are silent."""
    monkeypatch.setattr(fonts, 'FALLBACKS', ())
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for text in ('plain', 'déjà vu', CHINESE, CHINESE, '日本語'):
            picture_of(text)
    (message,) = caplog.messages
    assert 'no installed font has (萄 葡 酒): install one' in message and 'fontlist' in message


def test_a_font_that_has_the_letters_is_chosen(fresh, monkeypatch, tmp_path, caplog):
    """A font made for this test has one letter that DejaVu lacks: a full square."""
    path = tmp_path / 'square.ttf'
    square_font(path, 'Square Test', CHINESE)
    alone = picture_of(CHINESE)
    assert len(caplog.messages) <= 1
    entry = font_manager.ttfFontProperty(font_manager.get_font(str(path)))
    monkeypatch.setattr(
        font_manager.fontManager, 'ttflist', [*font_manager.fontManager.ttflist, entry]
    )
    font_manager.fontManager._findfont_cached.cache_clear()
    monkeypatch.setattr(fonts, 'FALLBACKS', ('Square Test',))
    monkeypatch.setattr(fonts, '_SAID', threading.Event())
    fonts.families.cache_clear(), fonts._fonts.cache_clear()
    caplog.clear()
    assert fonts.families() == ['DejaVu Sans', 'Square Test'] and fonts.has(CHINESE[0])
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        drawn = picture_of(CHINESE)
    assert not caplog.messages
    is_dark = lambda picture: int((picture < 100).all(-1).sum())
    assert is_dark(drawn) > is_dark(alone) + 200  # full squares and no outlines of boxes
    font_manager.fontManager._findfont_cached.cache_clear()


def square_font(path, family, letters):
    """Writes a font whose letters are full squares."""
    names = ['.notdef', *(f'g{i}' for i in range(len(letters)))]
    pen = TTGlyphPen(None)
    for i, corner in enumerate(((50, 0), (50, 900), (950, 900), (950, 0))):
        (pen.lineTo if i else pen.moveTo)(corner)
    pen.closePath()
    glyph = pen.glyph()
    made = FontBuilder(1000, isTTF=True)
    made.setupGlyphOrder(names)
    made.setupCharacterMap({ord(each): f'g{i}' for i, each in enumerate(letters)})
    made.setupGlyf(dict.fromkeys(names, glyph))
    made.setupHorizontalMetrics(dict.fromkeys(names, (1000, 50)))
    made.setupHorizontalHeader(ascent=900, descent=-100)
    made.setupNameTable({'familyName': family, 'styleName': 'Regular'})
    made.setupOS2()
    made.setupPost()
    made.save(str(path))


def test_wide_letters_count_twice():
    assert (width_of('ab'), width_of(CHINESE), width_of('a葡')) == (2, 6, 3)
    assert fitting('abc', 24) == 24 and fitting(CHINESE, 24) == 12
    lines = in_lines(CHINESE * 4, 12).split('\n')
    assert ''.join(lines) == CHINESE * 4 and max(map(width_of, lines)) <= 12
