"""Fonts of figures: DejaVu Sans and, for letters that it lacks, what is installed."""

import functools
import threading
import warnings
from collections.abc import Iterable

from atelier.log import log

FIRST = 'DejaVu Sans'  # which matplotlib brings along
FALLBACKS = (  # for letters that it lacks, first those of many scripts; several systems' names
    *('Noto Sans CJK SC', 'Noto Sans CJK JP', 'Noto Sans CJK TC', 'Noto Sans CJK KR'),
    *('Noto Sans SC', 'Noto Sans JP', 'Noto Sans TC', 'Noto Sans KR', 'Source Han Sans SC'),
    *('Source Han Sans', 'WenQuanYi Zen Hei', 'WenQuanYi Micro Hei', 'Droid Sans Fallback'),
    *('AR PL UMing CN', 'IPAexGothic', 'IPAGothic', 'TakaoPGothic', 'VL Gothic', 'NanumGothic'),
    *('Baekmuk Gulim', 'UnDotum', 'PingFang SC', 'Hiragino Sans', 'Hiragino Sans GB', 'Heiti SC'),
    *('Apple SD Gothic Neo', 'Microsoft YaHei', 'SimHei', 'Yu Gothic', 'Meiryo', 'MS Gothic'),
    *('Malgun Gothic', 'Arial Unicode MS', 'Noto Sans Devanagari', 'Noto Sans Bengali'),
    *('Noto Sans Tamil', 'Noto Sans Telugu', 'Noto Sans Thai', 'Noto Sans Khmer'),
    *('Lohit Devanagari', 'Nirmala UI', 'Leelawadee UI', 'Noto Sans Ethiopic'),
    *('Noto Sans Symbols', 'Noto Sans Symbols 2'),
    *('Noto Emoji', 'Symbola', 'FreeSans', 'FreeSerif', 'Unifont'),
)
MAX_NAMED = 10  # letters in the message
_SAID = threading.Event()  # the message stands once in a log


@functools.cache
def families() -> list[str]:
    """Returns the families of figures, in the order in which a letter is looked for."""
    from matplotlib import font_manager  # slow import

    installed = {*font_manager.fontManager.get_font_names()}
    return [FIRST, *(name for name in FALLBACKS if name in installed)]


def silence() -> None:
    """Silences matplotlib's warning of each letter that is missing, which `report` replaces."""
    warnings.filterwarnings('ignore', r'Glyph \d+ .*missing from (current )?font', UserWarning)


def report(texts: Iterable[str]) -> None:
    """Says in one line, once, which letters of texts no font of figures has."""
    if _SAID.is_set():
        return
    letters = sorted({letter for text in texts for letter in text if not text.isascii()})
    absent = [letter for letter in letters if letter.isprintable() and not has(letter)]
    if absent:
        _SAID.set()
        more = ' ...' if len(absent) > MAX_NAMED else ''
        log.warning(
            'figures show boxes in place of letters that no installed font has (%s): install one '
            'that has them, such as Noto Sans CJK, and remove the fontlist-*.json in %s',
            ' '.join(absent[:MAX_NAMED]) + more,
            _cache_folder(),
        )


def has(letter: str) -> bool:
    """Whether one of `families` has a letter."""
    return any(font.get_char_index(ord(letter)) for font in _fonts())


@functools.cache
def _fonts() -> list:
    from matplotlib import font_manager

    paths = [font_manager.findfont(name) for name in families()]
    return [font_manager.get_font(path) for path in paths]


def _cache_folder() -> str:
    import matplotlib

    return matplotlib.get_cachedir()
