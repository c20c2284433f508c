"""Tables of rows and their results: for the terminal, and in Markdown for pages."""

import re
from collections.abc import Mapping, Sequence

from benchmarks.reference import commands
from benchmarks.reference.results import Result, Value
from benchmarks.reference.rows import KINDS, Row, Target
from benchmarks.reference.schedule import Task

NOT_MEASURED = 'not measured'
LARGE = 1e9  # from here on, numbers are shown as powers of ten
SPECIAL = re.compile(r'[\\`*_\[\]<>|$&{}]')  # what Markdown or HTML would read as more than text
SIGNS = dict(lower='<=', higher='>=')


def listing(rows: Mapping[str, Row], found: Mapping[str, Mapping[str, Result]]) -> str:
    """Returns a table for the terminal: name, published value, minutes, result, title."""
    lines = [('row', 'published', 'minutes cpu', 'gpu', 'measured', 'title')]
    for name, row in rows.items():
        published = f'{row.published.value:g}' if row.published else '-'
        minutes = [
            f'{row.minutes[kind]:g}' if kind in row.minutes else '-' for kind in ('cpu', 'gpu')
        ]
        measured = [
            f'{kind} {number(result.values[row.headline])} ({result.verdict(row)})'
            if row.headline in result.values
            else f'{kind} ({result.verdict(row)})'
            for kind, result in found.get(name, {}).items()
        ]
        lines.append((name, published, *minutes, '; '.join(measured) or NOT_MEASURED, row.title))
    return _aligned(lines)


def plan(rows: Mapping[str, Row], planned: Sequence[tuple[Task, float | None]], kind: str) -> str:
    """Returns a table for the terminal: minute of the start, minutes, seed and title."""
    lines = [('start', 'minutes', 'seed', 'title')]
    for task, start in planned:
        shown = 'later' if start is None else f'{start:.1f}'
        row = rows[task.name]
        lines.append((shown, f'{row.minutes.get(kind, 0.0):g}', str(task), row.title))
    return _aligned(lines)


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]) - 1)]
    return '\n'.join(
        '  '.join([*(cell.ljust(w) for cell, w in zip(line, widths, strict=False)), line[-1]])
        for line in lines
    )


def number(value: Value) -> str:
    """Returns mean and spread, such as '88.35 ± 0.29', with two digits of the spread."""
    if value.refused:
        return f'none ({value.refused})'
    spread = value.sd if value.sd is not None else value.error
    if spread is None or not spread > 0:
        return _plain(value.mean)
    if max(abs(value.mean), spread) >= LARGE:
        return f'{value.mean:.4g} ± {spread:.2g}'
    digits = decimals(spread)
    return f'{value.mean:.{digits}f} ± {spread:.{digits}f}'


def as_markdown(text: str) -> str:
    """Returns a text that Markdown shows as it is, because a file of results may name anything."""
    return SPECIAL.sub(r'\\\g<0>', text)


def decimals(spread: float) -> int:
    """Returns the number of decimals that show two digits of `spread`, at most 4."""
    digits = 0
    while digits < 4 and round(spread, digits) < 10 ** (1 - digits):
        digits += 1
    return digits


def _plain(x: float) -> str:
    return f'{x:.0f}' if 1000 <= abs(x) < LARGE else f'{x:.4g}'


def section(name: str, rows: Mapping[str, Row], found: Mapping[str, Mapping[str, Result]]) -> str:
    """Returns the table of a section in Markdown, and below it notes and the commands.

    Raises:
      ValueError: no row belongs to the section.
    """
    chosen = [row for row in rows.values() if row.section == name]
    if not chosen:
        raise ValueError(f'no row belongs to the section {name}')
    lines = [
        '| row | measured | target | published | budget | machine |',
        '|---|---|---|---|---|---|',
    ]
    for row in chosen:
        for result in found.get(row.name, {}).values() or [None]:
            lines.append(f'| {" | ".join(_cells(row, result))} |')
    of_note: dict[str, list[str]] = {}
    for row in chosen:
        of_note.setdefault(row.note, []).append(f'`{row.name}`')
    notes = [f'- {", ".join(names)}: {note}.' for note, names in of_note.items() if note]
    code_block = [f'    {line}' for row in chosen for line in _commands(row, rows)]
    return '\n'.join([*lines, '', *notes, *([''] if notes else []), *code_block])


def _commands(row: Row, rows: Mapping[str, Row]) -> list[str]:
    read = row.data or any(rows[name].data for name in row.uses)
    data = ' --data=DATA' if read else ''
    return [f'# python -m benchmarks.reference {row.name}{data}', *commands.shown(row)]


def _cells(row: Row, result: Result | None) -> list[str]:
    return [
        f'{row.title} (`{row.name}`)',
        _unmeasured(row) if result is None else _measured(row, result),
        _targets(row),
        _published(row),
        row.budget,
        _meant_for(row) if result is None else _machine(result),
    ]


def _targets(row: Row) -> str:
    others = [f'{name} {target(each)}' for name, each in row.targets.items()]
    return '; '.join([f'{target(row.target)} {row.unit}', *others])


def target(target: Target) -> str:
    """Returns a target with its tolerance, such as '<= 104 + 0.5', or '<= 15 on a gpu'."""
    where = '' if target.kinds == KINDS else f' on a {" or ".join(target.kinds)}'
    if target.direction == 'equal':
        return f'{target.value:g} ± {target.tolerance:g}{where}'
    sign = '+' if target.direction == 'lower' else '-'
    tolerance = f' {sign} {target.tolerance:g}' if target.tolerance else ''
    return f'{SIGNS[target.direction]} {target.value:g}{tolerance}{where}'


def _unmeasured(row: Row) -> str:
    earlier = ', '.join(f'{name} {text}' for name, text in row.earlier.items())
    return f'{NOT_MEASURED}; before rows existed: {earlier}' if earlier else NOT_MEASURED


def _measured(row: Row, result: Result) -> str:
    parts = [as_markdown(f'{name} {number(value)}') for name, value in result.values.items()]
    parts[0] = f'**{parts[0]}**'
    seeds = f'{len(result.seeds)} seeds' if len(result.seeds) > 1 else 'one seed'
    of_all = '' if result.is_finished else f' of {len(row.seeds)}'
    return f'{", ".join(parts)}; {seeds}{of_all}; {result.verdict(row)}'


def _published(row: Row) -> str:
    if row.published is None:
        return ''
    about = [part for part in row.published[1:] if part]
    return f'{row.published.value:g} ({"; ".join(about)})'


def _machine(result: Result) -> str:
    names = {
        f'{m["cores"]} cores, {m["processor"]}' if m['kind'] == 'cpu' else str(m['device'])
        for m in result.machines
    }
    seconds = sum(result.seconds) / len(result.seconds)
    busy = any(result.load > float(m['cores']) + 1 for m in result.machines)
    shared = f', shared (load {result.load:.0f})' if busy else ''
    return f'{as_markdown("; ".join(sorted(names)))}{shared}: {_duration(seconds)} a seed'


def _meant_for(row: Row) -> str:
    return 'meant for a card' if 'cpu' not in row.minutes else ''


def _duration(seconds: float) -> str:
    return f'{seconds:.0f} s' if seconds < 100 else f'{seconds / 60:.1f} min'
