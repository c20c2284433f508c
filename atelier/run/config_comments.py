"""The comments beside the fields of a config, read from its source."""

import ast
import io
import pathlib
import tokenize
from collections.abc import Iterator

from atelier import checkout
from atelier.user_files import source

FOR_TOOLS = ('noqa', 'type: ', 'pragma', 'fmt: ', 'pylint', 'ruff')  # these describe no field


def field_comments(file: pathlib.Path) -> dict[str, str]:
    """Returns what a config's source says about its fields, by full name (`hypers.beta`).

    A comment belongs to the field on its line. A comment on a line of its own belongs to the field
    on the next line. The config's file is read first, then the modules of `configs` that it
    imports; the first comment on a field counts. The source is parsed, never run.
    """
    return _comments_of(file, set())


def _comments_of(file: pathlib.Path, visited: set[pathlib.Path]) -> dict[str, str]:
    visited.add(file)
    text = source(file)
    tree, comments = ast.parse(text), _Comments(text)
    described: dict[str, str] = {}
    for name, node in _fields(tree):
        if comment := comments.on(node):
            described.setdefault(name, comment)
    for imported in imported_files(tree):
        if imported not in visited:
            described = {**_comments_of(imported, visited), **described}
    return described


def imported_files(tree: ast.Module) -> Iterator[pathlib.Path]:
    """Yields the files of `configs` that a config imports from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or '').startswith('configs'):
            for name in (node.module, *(f'{node.module}.{alias.name}' for alias in node.names)):
                file = checkout.ROOT / f'{name.replace(".", "/")}.py'
                if file.is_file():
                    yield file


def _fields(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Yields every field that a module assigns: its full name, and the node of the assignment.

    Recognized are `config.SECTION = ConfigDict(...)`, `config.SECTION.update(...)` and
    `config.FIELD = value`.
    """
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[target], value=value) if section := _section(target):
                yield section, node
                yield from _keywords(section, value)
            case ast.Call(func=ast.Attribute(value=owner, attr='update')) if section := _section(
                owner
            ):
                yield from _keywords(section, node)


def _section(node: ast.AST) -> str:
    """Returns 'eval.sampler' for the expression `config.eval.sampler`, and '' for any other."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    is_of_config = isinstance(node, ast.Name) and node.id == 'config'
    return '.'.join(reversed(names)) if is_of_config else ''


def _keywords(section: str, call: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yields the keyword arguments of a call, and of the dicts that it is given."""
    if not isinstance(call, ast.Call):
        return
    for argument in call.args:
        yield from _keywords(section, argument)
    for keyword in call.keywords:
        if keyword.arg:
            yield f'{section}.{keyword.arg}', keyword
            yield from _keywords(f'{section}.{keyword.arg}', keyword.value)


class _Comments:
    """The comments of a source text, by line."""

    def __init__(self, source: str):
        self._lines = source.split('\n')
        self._by_line, self._alone = {}, set()
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                line = token.start[0]
                text = token.string.lstrip('#: ')
                if text.startswith(FOR_TOOLS):
                    continue
                self._by_line[line] = text
                if not token.line[: token.start[1]].strip():
                    self._alone.add(line)

    def on(self, node: ast.AST) -> str:
        """Returns the comment after a node on its line, or the comment lines directly above it.

        A comment after several nodes on one line describes none of them.
        """
        text = self._lines[node.lineno - 1].encode()  # columns of nodes count bytes
        if text[: node.col_offset].strip():
            return ''
        is_last = text[node.end_col_offset :].lstrip(b', \t').startswith(b'#')
        if node.lineno == node.end_lineno and is_last and node.lineno in self._by_line:
            return self._by_line[node.lineno]
        lines, line = [], node.lineno - 1
        while line in self._alone:
            lines.insert(0, self._by_line[line])
            line -= 1
        return ' '.join(lines)
