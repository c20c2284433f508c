"""Prepares pages and docstrings for the documentation site.

The pages at the root (README.md, ...) become pages of the site. Docstrings are plain text with
Google's sections; Sphinx reads reStructuredText, where `*event` would begin an emphasis.
"""

import itertools
import pathlib
import re
from typing import NamedTuple

ROOT_PAGES = {  # at the root: on the site
    'README.md': 'index.md',
    'CONTRIBUTING.md': 'contributing.md',
    'CHANGELOG.md': 'changelog.md',
    'SECURITY.md': 'reporting.md',  # docs/security.md is a page of its own
}
CONTENTS = """

```{toctree}
:hidden:
:caption: Guides

data
augmentation
conditions
autoencoders
games
flows
autoregressive
text
diffusion
classical
runs_as_data
sizes
using_a_run
pictures
evaluation
sweeps
clusters
reference
notebooks
security
reliability
```

```{toctree}
:hidden:
:caption: Reference

configs
api/main
api/train_lib
api/atelier/modules
api/losses/modules
api/models/modules
api/configs/modules
results
performance
gallery/README
```

```{toctree}
:hidden:
:caption: Project

architecture
design_notes
contributing
changelog
reporting
```
"""
LINK = re.compile(r'(\]\(|src=")(?!https?:|#|mailto:)([^)"#]+)')
TUPLE_FIELD = type(NamedTuple('Example', [('field', int)]).field)
PACKAGES = ('atelier', 'configs', 'losses', 'models')
MODULES = ('main', 'train_lib')  # at the root, each a page of the API reference
# one or more backticks, text without space at its ends, and as many backticks
CODE = re.compile(r'(?<!`)(`+)(?![`\s])(.+?)(?<![`\s])\1(?!`)', re.DOTALL)
SECTIONS = re.compile(r'(Args|Returns|Yields|Raises|Example|Examples|Note):$')


def write_root_pages(docs: pathlib.Path) -> None:
    """Writes the root's pages into the folder of the site's pages, with their links adjusted."""
    for name, page in ROOT_PAGES.items():
        text = LINK.sub(_link_from_docs, (docs.parent / name).read_text())
        (docs / page).write_text(text + (CONTENTS if page == 'index.md' else ''))


def write_module_pages(docs: pathlib.Path) -> None:
    """Writes the pages of the root's modules, which belong to no package, into docs/api."""
    (docs / 'api').mkdir(exist_ok=True)
    for name in MODULES:
        text = f'{name}\n{"=" * len(name)}\n\n.. automodule:: {name}\n   :members:\n'
        (docs / 'api' / f'{name}.rst').write_text(text)


def _link_from_docs(match: re.Match) -> str:
    """Rewrites a link of a root page, as seen from docs/."""
    opening, target = match.groups()
    if target in ROOT_PAGES:
        return opening + ROOT_PAGES[target]
    return opening + (
        target.removeprefix('docs/') if target.startswith('docs/') else f'../{target}'
    )


def convert_page(app, name: str, source: list[str]) -> None:
    """Points links to the root's pages at their pages of the site; Sphinx passes [text]."""
    for page, on_site in ROOT_PAGES.items():
        source[0] = source[0].replace(f'](../{page}', f']({on_site}')


def convert_docstring(app, what, name, obj, options, lines: list[str]) -> None:
    """Converts a docstring in place; Sphinx passes its lines."""
    lines[:] = to_restructured_text(lines)


def skip_if_from_elsewhere(app, what, name, obj, skip, options) -> bool | None:
    """Returns True for a member that another page or library documents.

    Such are default values (`activation = jnp.tanh`), and classes that a package passes on. The
    fields of a NamedTuple are described in its docstring.
    """
    if isinstance(obj, TUPLE_FIELD):
        return True
    module = getattr(obj, '__module__', None) if callable(obj) else None
    if not module:
        return None
    documented = app.env.temp_data.get('autodoc:module', module)  # the module being documented
    is_passed_on = isinstance(obj, type) and module != documented
    is_ours = module.split('.')[0] in PACKAGES + MODULES
    return True if is_passed_on or not is_ours else None


def to_restructured_text(lines: list[str]) -> list[str]:
    """Returns a docstring in reStructuredText; Google's sections stay as they are.

    Prose and sections are escaped. A paragraph with indentation, a table, commands (`python ...`)
    or a list of fields (`name: description`) keeps its lines as a literal block.
    """
    converted, in_section = [], False
    for paragraph in re.split(r'\n\s*\n', '\n'.join(lines).strip('\n')):
        block = paragraph.split('\n')
        in_section = bool(SECTIONS.match(block[0])) or (in_section and block[0].startswith(' '))
        if _has_layout(block) and not in_section:
            converted += ['.. code-block:: text', '', *(f'    {line}' for line in block)]
        else:
            converted += _escape(block)
        converted.append('')
    return converted


def _has_layout(block: list[str]) -> bool:
    """Returns whether the line breaks of a paragraph carry meaning."""
    are_lines = all(re.match(r'\s|python |[a-z]\w*(, \w+)*: ', line) for line in block)
    return are_lines or any(re.match(r'\s|\||[-*] |\d+\. ', line) for line in block)


def _escape(block: list[str]) -> list[str]:
    """Escapes the marks of reStructuredText outside of `code`; examples stay as they are.

    Code may go on in the next line and may have several backticks; a backtick alone is escaped.
    """
    escaped = []
    is_example = lambda line: line.lstrip().startswith('>>>')
    for are_examples, group in itertools.groupby(block, is_example):
        lines = list(group)
        escaped += lines if are_examples else _escape_prose('\n'.join(lines)).split('\n')
    return escaped


def _escape_prose(text: str) -> str:
    parts, end = [], 0
    for code in CODE.finditer(text):
        before, end = text[end : code.start()], code.end()
        parts += [_escape_marks(before), code.group()]
    parts.append(_escape_marks(text[end:]))
    # markup may not touch letters: `\ ` is a space that is not printed
    parts[2::2] = [f'\\ {part}' if re.match(r'[\w(]', part) else part for part in parts[2::2]]
    parts[:-1:2] = [f'{part}\\ ' if re.search(r'\w$', part) else part for part in parts[:-1:2]]
    return ''.join(parts)


def _escape_marks(text: str) -> str:
    return re.sub(r'([*|\\`]|_\b|\b_)', r'\\\1', text)
