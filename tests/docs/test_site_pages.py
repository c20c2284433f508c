"""Conversion of root pages and docstrings for the documentation site."""

import pathlib
import re
import types

import pytest
from source_files import files_of_git

from atelier import checkout
from atelier.core import family, game
from docs import site_pages
from docs.site_pages import to_restructured_text


def converted(text):
    return '\n'.join(to_restructured_text(text.split('\n'))).strip()


@pytest.mark.parametrize(
    ('docstring', 'expected'),
    [
        ('x of shape [batch, *event].', r'x of shape [batch, \*event].'),
        ('Either a | b.', r'Either a \| b.'),
        ('Weights w_ and _x.', r'Weights w\_ and \_x.'),
        ('Returns `f(*x)` of `a | b`.', 'Returns `f(*x)` of `a | b`.'),
        ('z = `elementwise`(x)', r'z = `elementwise`\ (x)'),
        ('The literal ``a_ * `b` c`` of_ it.', r'The literal ``a_ * `b` c`` of\_ it.'),
        ('Both ``a_``s and `b_`s.', r'Both ``a_``\ s and `b_`\ s.'),
        ('The field `a_\nb_` of_ it.', 'The field `a_\nb_` of\\_ it.'),
        ('A ` alone_, and `code_`.', r'A \` alone\_, and `code_`.'),
        ('No end: `code_', r'No end: \`code\_'),
        ('Args:\n  x: [n, *event].', 'Args:\n  x: [n, \\*event].'),
        ('Example:\n  >>> f(*x)\n  3', 'Example:\n  >>> f(*x)\n  3'),
        (
            'python main.py -x\npython -m b',
            '.. code-block:: text\n\n    python main.py -x\n    python -m b',
        ),
        ('    a = b * c', '.. code-block:: text\n\n        a = b * c'),
        (
            'mean: [n, *event]\nstd: likewise',
            '.. code-block:: text\n\n    mean: [n, *event]\n    std: likewise',
        ),
        ('Samplers: ddim, euler\nand heun.', 'Samplers: ddim, euler\nand heun.'),
        ('| a | b |\n|---|---|', '.. code-block:: text\n\n    | a | b |\n    |---|---|'),
    ],
)
def test_docstrings_become_restructured_text(docstring, expected):
    assert converted(docstring) == expected


def test_a_section_ends_where_the_indentation_does():
    text = converted('Args:\n  x: first.\n\n  y: second.\n\nBut:\n  a * b')
    assert '  y: second.' in text.split('\n')  # still inside the section
    assert text.endswith('.. code-block:: text\n\n    But:\n      a * b')


def test_links_of_the_root_lead_to_pages_of_the_site(tmp_path):
    docs = tmp_path / 'docs'
    docs.mkdir()
    for name in site_pages.ROOT_PAGES:
        text = '[a](docs/data.md) [b](configs/vae.py) [c](CHANGELOG.md) <img src="docs/x.png">'
        (tmp_path / name).write_text(text + ' [d](https://e.org/docs/f) [g](#h)')
    site_pages.write_root_pages(docs)
    text = (docs / 'contributing.md').read_text()
    assert re.findall(r'\]\((.*?)\)', text) == [
        *('data.md', '../configs/vae.py', 'changelog.md', 'https://e.org/docs/f', '#h')
    ]
    assert 'src="x.png"' in text


def test_every_module_has_a_page(tmp_path):
    """Those of the root too, apart from the packages of tools."""
    site_pages.write_module_pages(tmp_path)
    pages = {path.stem for path in (tmp_path / 'api').iterdir()}
    assert pages == {path.stem for path in checkout.ROOT.glob('*.py')}
    for name in (*pages, *(f'{package}/modules' for package in site_pages.PACKAGES)):
        assert f'api/{name}' in site_pages.CONTENTS.split()
    assert '.. automodule:: train_lib\n' in (tmp_path / 'api' / 'train_lib.rst').read_text()


def test_every_page_is_in_the_contents():
    tracked = files_of_git(checkout.ROOT, '--cached')
    if tracked is None:
        pytest.skip('no git repository')
    pages = [name for name in tracked if re.fullmatch(r'docs/(gallery/)?\w+\.md', name)]
    names = {name.removeprefix('docs/').removesuffix('.md') for name in pages} - {'README'}
    assert len(names) > 15 and names <= set(site_pages.CONTENTS.split())


def test_a_class_is_on_the_page_of_its_own_module():
    """Sphinx's reference context may still hold the module before."""
    context = types.SimpleNamespace(
        temp_data={'autodoc:module': 'atelier.core.game'},
        ref_context={'py:module': 'atelier.core.family'},
    )
    app = types.SimpleNamespace(env=context)
    skip = lambda of: site_pages.skip_if_from_elsewhere(app, 'module', of.__name__, of, False, None)
    assert not skip(game.Turn)
    assert skip(family.Family)  # another page has it
    assert skip(pathlib.Path)  # of another library
