"""Random damage to bytes, to JSON and to whole files, for `benchmarks.mutations`."""

import json
import os
import pathlib
import random
import re
import stat
from typing import Any

EXTREMES = (2**31, 2**64, 10**20, -1, 0, 1e308, float('nan'), float('inf'), 1e-320)
OTHER_TYPES = (None, True, '', 'x' * 5000, [], [[1]], {}, {'a': 1}, '../../x', 3, 0.5)
NUMBER = re.compile(rb'-?\d+(\.\d+)?([eE][+-]?\d+)?')


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Returns the content with one to three random changes of its bytes, never unchanged."""
    changed = content
    while changed == content:
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            changed = rng.choice(_CHANGES)(changed, rng)
    return changed


def _flip(content: bytes, rng: random.Random) -> bytes:
    """Flips one bit."""
    if not content:
        return b'\1'
    i = rng.randrange(len(content))
    return content[:i] + bytes([content[i] ^ 1 << rng.randrange(8)]) + content[i + 1 :]


def _truncate(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _span(content: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + rng.choice((1, 4, 16, 64, 1024)))


def _delete(content: bytes, rng: random.Random) -> bytes:
    start, end = _span(content, rng)
    return content[:start] + content[end:]


def _duplicate(content: bytes, rng: random.Random) -> bytes:
    start, end = _span(content, rng)
    return content[:end] + content[start:]


def _overwrite(content: bytes, rng: random.Random) -> bytes:
    """Replaces a binary integer by an extreme one."""
    start = rng.randrange(len(content) + 1)
    size = rng.choice((1, 2, 4, 8))
    value = rng.choice((0, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), 1))
    return content[:start] + value.to_bytes(size, 'little') + content[start + size :]


def _replace_number(content: bytes, rng: random.Random) -> bytes:
    """Replaces a number in the text by an extreme one."""
    numbers = list(NUMBER.finditer(content[:200_000]))
    if not numbers:
        return _overwrite(content, rng)
    start, end = rng.choice(numbers).span()
    return content[:start] + json.dumps(rng.choice(EXTREMES)).encode() + content[end:]


_CHANGES = (_flip, _flip, _truncate, _delete, _duplicate, _overwrite, _replace_number)


def not_regular(path: pathlib.Path, rng: random.Random) -> None:
    """Replaces a file by a folder, a pipe, a socket, or a link to a device, a file or nothing."""
    path.unlink()
    kind = rng.choice(('folder', 'pipe', 'socket', 'device', 'file', 'nothing'))
    if kind == 'folder':
        path.mkdir()
    elif kind in ('pipe', 'socket'):
        os.mknod(path, (stat.S_IFIFO if kind == 'pipe' else stat.S_IFSOCK) | 0o600)
    else:
        targets = {'device': '/dev/zero', 'file': __file__, 'nothing': path.with_name('missing')}
        path.symlink_to(targets[kind])


def of_other_run(path: pathlib.Path) -> pathlib.Path:
    """Returns the same file of the sweep's other member."""
    return pathlib.Path(str(path).replace('/seed-0/', '/seed-1/'))


def swapped(path: pathlib.Path, rng: random.Random) -> None:
    """Replaces a file of a run by the same file of another run."""
    del rng
    path.write_bytes(of_other_run(path).read_bytes())


def misshapen(value: Any, rng: random.Random) -> Any:
    """Returns a JSON value with one random part changed in value or type, deleted or duplicated."""
    value = json.loads(json.dumps(value))
    places = list(_places(value))
    if not places:
        return rng.choice(OTHER_TYPES)
    owner, key = rng.choice(places)
    change = rng.choice(('extreme', 'type', 'type', 'delete', 'duplicate'))
    if change == 'extreme':
        owner[key] = rng.choice(EXTREMES)
    elif change == 'type':
        owner[key] = rng.choice(OTHER_TYPES)
    elif change == 'delete':
        del owner[key]
    elif isinstance(owner, list):
        owner.insert(key, owner[key])
    else:
        owner[f'{key}_'] = owner[key]
    return value


def _places(value: Any):
    """Yields (owner, key) of every part of a JSON value."""
    parts = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, part in parts:
        yield value, key
        yield from _places(part)
