"""Settings of the documentation site.

    pip install -r requirements-docs.txt && sphinx-build docs site

The pages are those of this folder and four of the root. The API reference is made from docstrings.
"""

import pathlib
import sys

import jax

DOCS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from docs import site_pages  # noqa: E402

project = 'Atelier'
html_title = 'Atelier'
html_theme = 'furo'
extensions = [
    'myst_parser',  # pages in Markdown
    'sphinx.ext.apidoc',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',  # Google-style docstrings
    'sphinx.ext.viewcode',  # links to the source
]
exclude_patterns = ['README.md']  # the forge's table of contents
smartquotes = False  # --flag='value' stays as it is typed
default_role = 'code'  # `name` in a docstring
myst_heading_anchors = 3
myst_enable_extensions = ['html_image']
autodoc_typehints_format = 'short'
apidoc_modules = [
    {'path': f'../{package}', 'destination': f'api/{package}', 'separate_modules': False}
    for package in site_pages.PACKAGES
]

site_pages.write_root_pages(DOCS)
site_pages.write_module_pages(DOCS)
jax.Array.__name__ = 'Array'  # the name in signatures, which jaxtyping copies


def setup(app) -> None:
    """Connects the conversions of pages and docstrings."""
    app.connect('source-read', site_pages.convert_page)
    app.connect('autodoc-process-docstring', site_pages.convert_docstring, priority=100)
    app.connect('autodoc-skip-member', site_pages.skip_if_from_elsewhere)
