"""Messages of the log."""

import logging
import pathlib

from atelier.log import Formatter, Lines, counted, escaped


def test_counts_are_singular_or_plural():
    assert [counted(n, 'program') for n in (0, 1, 2)] == ['0 programs', '1 program', '2 programs']
    assert counted(2000, 'member') == '2,000 members'


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


def test_main_prints_one_line_for_a_name_with_a_line_break(main, tmp_path):
    """A folder of pictures may hold any file name."""
    folder = tmp_path / 'pictures'
    folder.mkdir()
    (folder / 'a\nerror: all files are lost\x1b[2J.png').write_bytes(b'no picture')
    result = main('--config=configs/conv_vae.py:folder', f'--config.data.path={folder}')
    assert r'a\nerror: all files are lost\x1b[2J.png is not an image' in result.stderr
    assert [line for line in result.stderr.split('\n') if line.startswith('error: all')] == []
    assert '\x1b[2J' not in result.stdout + result.stderr
