"""Messages of the log."""

import ast
import logging
import pathlib
import re

import pytest
from source_files import python_files

from atelier.checkout import ROOT
from atelier.errors import MAX_LINE
from atelier.log import Formatter, Lines, counted, escaped, listed, log, warnings_only

# a number before one to three words of which the last is a plural: '%d test examples'
UNCOUNTED = re.compile(r'%[,.\d]*d (?:[a-z-]+ ){0,2}(?!is\b|has\b)[a-z]+s\b')


def test_counts_are_singular_or_plural():
    assert [counted(n, 'program') for n in (0, 1, 2)] == ['0 programs', '1 program', '2 programs']
    assert counted(2000, 'member') == '2,000 members'


def test_long_lists_are_cut():
    assert listed([]) == ''
    assert listed(list('abcd')) == 'a, b, c, d'
    assert listed(list('abcde')) == 'a, b, c and 2 more'
    assert listed(['a, b', 'c', 'd'], 2, between='; ') == 'a, b and 2 more'
    assert listed(['a, b', 'c'], between='; ') == 'a, b; c'


def test_warnings_only(caplog):
    with caplog.at_level(logging.INFO, 'atelier'):
        with warnings_only():
            log.info('hidden')
            log.warning('shown')
        log.info('shown again')
    assert caplog.messages == ['shown', 'shown again']


def test_messages_count_their_nouns():
    """No message says '1 steps': numbers stand before plurals only through `counted`."""
    found = {}
    for path in python_files(ROOT):
        if path.relative_to(ROOT).parts[0] not in ('tests', 'docs', 'benchmarks'):
            found[path.name] = uncounted(path.read_text())
    assert {name: texts for name, texts in found.items() if texts} == {}
    source = 'log.info("%d images", n)\nUserError(f"{len(x)} lost files of {n} steps")'
    assert uncounted(source) == ['%d images', '%d lost files']


def uncounted(source: str) -> list[str]:
    """Numbers before plurals in messages of the log, and lengths before plurals in errors."""
    texts = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.args:
            name, first = ast.unparse(node.func), node.args[0]
            if name.startswith('log.') and isinstance(first, ast.Constant):
                texts += UNCOUNTED.findall(first.value)
            elif name == 'UserError' and isinstance(first, ast.JoinedStr):
                texts += UNCOUNTED.findall(''.join(map(_as_format, first.values)))
    return texts


def _as_format(part: ast.expr) -> str:
    """The text of a part of an f-string; '%d' for a length and '%s' for other values."""
    if isinstance(part, ast.Constant):
        return part.value
    return '%d' if ast.unparse(part.value).startswith('len(') else '%s'


def test_arguments_of_messages_cannot_forge_a_line():
    """Names are escaped; numbers and our own line breaks are not."""

    def line(level, message, *arguments):
        return Formatter().format(logging.LogRecord('', level, '', 0, message, arguments, None))

    path = pathlib.Path('a\nerror: b')
    assert line(logging.WARNING, '%s of %s', path, 'x\r') == r'warning: a\nerror: b of x\r'
    assert line(logging.INFO, '\n%d of %.2f, 100%%', 3, 0.5) == '\n3 of 0.50, 100%'
    assert line(logging.INFO, '%s', Lines(['+a\x1b', '-b\r'])) == '+a\\x1b\n-b\\r'
    assert line(logging.INFO, '100%') == '100%'


def test_names_cannot_forge_a_line():
    """Line breaks, terminal codes, text direction and lone surrogates are escaped."""
    name = 'a\nerror: b\x1b[31m\u2028\u202e\udc80.png'
    assert escaped(name) == r'a\nerror: b\x1b[31m\u2028\u202e\udc80.png'
    assert escaped('Ä 図\u3000\u00a0\\n.png') == 'Ä 図\u3000\u00a0\\n.png'
    assert escaped('a\nb\tc\r', keep='\n\t') == 'a\nb\tc\\r'


@pytest.mark.slow
def test_main_prints_one_line_for_a_name_with_a_line_break(main, tmp_path):
    """A folder of pictures may hold any file name."""
    folder = tmp_path / 'pictures'
    folder.mkdir()
    (folder / 'a\nerror: all files are lost\x1b[2J.png').write_bytes(b'no picture')
    result = main('--config=configs/conv_vae.py:folder', f'--config.data.path={folder}')
    assert r'a\nerror: all files are lost\x1b[2J.png is not an image' in result.stderr
    assert [line for line in result.stderr.split('\n') if line.startswith('error: all')] == []
    assert '\x1b[2J' not in result.stdout + result.stderr


def test_a_huge_argument_is_shortened():
    """Also if its escapes are longer than itself; several lines are kept."""
    for huge in ('x' * 100_000, '\U000e0001' * 100_000, ['x' * 100_000]):
        record = logging.LogRecord('', logging.INFO, '', 0, '%s is %d', (huge, 3), None)
        line = Formatter().format(record)
        assert len(line) <= MAX_LINE + len(' is 3') and line.endswith(' is 3')
    assert len(Lines(['x' * 100_000])) <= MAX_LINE
    lines = Lines(['x' * 1500, 'y' * 1500])
    record = logging.LogRecord('', logging.INFO, '', 0, '%s', (lines,), None)
    assert Formatter().format(record) == lines
