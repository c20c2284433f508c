"""Checks what files of results and of progress hold, because they may come from strangers.

All functions return the content, and raise ValueError if it is of another kind.
"""

import re
import sys
from typing import Any

from benchmarks.reference.rows import KINDS

MAX_TEXT = 500  # characters
TIME = re.compile(r'([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?')
LARGEST = sys.float_info.max


def number(content: Any) -> float:
    """Returns a finite number."""
    if type(content) not in (int, float) or not abs(content) <= LARGEST:
        raise ValueError(f'{type(content).__name__} is no finite number')
    return float(content)


def number_or_none(content: Any) -> float | None:
    """Returns a finite number, or None."""
    return None if content is None else number(content)


def count(content: Any) -> int:
    """Returns a whole number of at least 0."""
    if type(content) is not int or not 0 <= content < 2**63:
        raise ValueError(f'{type(content).__name__} is no count')
    return content


def text(content: Any) -> str:
    """Returns a text of one short line, without characters that a terminal would obey."""
    if not isinstance(content, str) or len(content) > MAX_TEXT or not content.isprintable():
        raise ValueError(f'{type(content).__name__} is no short line of text')
    return content


def timestamp(content: Any) -> str:
    """Returns a time as `progress.now` writes it, or '', which stands for an unknown one."""
    if not isinstance(content, str) or not TIME.fullmatch(content):
        raise ValueError(f'{type(content).__name__} is no time')
    return content


def distinct(content: Any) -> tuple[int, ...]:
    """Returns seeds: at least one, each once."""
    seeds = tuple(map(count, content))
    if not seeds or len({*seeds}) != len(seeds):
        raise ValueError('its seeds are not distinct')
    return seeds


def machine(content: dict[str, Any]) -> dict[str, Any]:
    """Returns a description of a machine, as `benchmarks.machine.described` makes it."""
    if content['kind'] not in KINDS:
        raise ValueError('it names no kind of machine')
    for name in ('device', 'processor', 'commit'):
        text(content[name])
    return {text(n): count(x) if n == 'cores' else text(x) for n, x in content.items()}
