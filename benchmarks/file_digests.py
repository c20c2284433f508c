"""Digests of the files that a run, sweep or cache ends with, without times and identities."""

import contextlib
import hashlib
import json
import pathlib
from typing import Any

import jax
import numpy as np

from atelier.errors import UserError
from atelier.run.checkpoint import Checkpoints

UNREADABLE = 'unreadable'  # begins the digest of a damaged file
COMPILED = ('cache', 'atelier', 'jax')
# fields that differ each time
PASSING = {'id', 'run', 'checksum', 'git', 'date', 'seconds', 'created'}


def of_folder(folder: pathlib.Path) -> dict[str, str]:
    """Returns {relative name: digest} of all files below a folder.

    A checkpoint is one entry, with the digest of its arrays. TensorBoard's files are left out,
    because each process writes its own. Lock files and JAX's cache of compiled programs are left
    out too.
    """
    found = {}
    for path in sorted(folder.rglob('*')):
        parts = path.relative_to(folder).parts
        if 'tensorboard' in parts or path.name == '.lock' or parts[:3] == COMPILED:
            continue
        if 'checkpoints' in parts[:-1]:
            if parts[-2] == 'checkpoints':
                found['/'.join(parts)] = _of_checkpoint(path)
        elif path.is_file():
            found['/'.join(parts)] = _of_file(path, folder)
    return found


def _of_checkpoint(folder: pathlib.Path) -> str:
    """Digest of every bit of the State and of the Memory."""
    if not folder.name.isdigit():
        return 'unexpected'
    with contextlib.closing(Checkpoints(folder.parent, read_only=True)) as checkpoints:
        try:
            state, memory = checkpoints.restore(int(folder.name), None)
        except UserError as error:
            return f'{UNREADABLE}: {error}'
    leaves = [
        (jax.tree_util.keystr(path), str(leaf.dtype), leaf.shape, leaf.tobytes())
        for path, leaf in jax.tree_util.tree_leaves_with_path(jax.tree.map(np.asarray, state))
    ]
    return _digest(repr((leaves, memory)).encode())


def _of_file(path: pathlib.Path, folder: pathlib.Path) -> str:
    content = path.read_bytes().replace(str(folder).encode(), b'FOLDER')
    try:
        if path.suffix == '.json':
            return _digest(json.dumps(_lasting(json.loads(content)), sort_keys=True).encode())
        if path.suffix == '.jsonl':
            rows = [_lasting(json.loads(line)) for line in content.splitlines()]
            return _digest(json.dumps(rows, sort_keys=True).encode())
        if path.suffix == '.npz':
            with np.load(path) as arrays:
                return _digest(repr([(name, arrays[name].tobytes()) for name in arrays]).encode())
    except (ValueError, OSError, EOFError) as error:  # a torn file
        return f'{UNREADABLE}: {error}'
    return _digest(content)


def _lasting(value: Any) -> Any:
    """Returns a JSON value without fields that tell times or identities."""
    if isinstance(value, list):
        return [_lasting(part) for part in value]
    if not isinstance(value, dict):
        return value
    kept = {name: part for name, part in value.items() if name not in PASSING}
    return {name: _lasting(part) for name, part in kept.items() if not name.startswith('time/')}


def _is_replaced(name: str, expected: dict[str, str]) -> bool:
    """Whether a name is that of a checkpoint of an earlier step than the last expected one."""
    folder, _, step = name.rpartition('/')
    beside = [other.rpartition('/') for other in expected]
    steps = [int(last) for parent, _, last in beside if parent == folder and last.isdigit()]
    is_checkpoint = folder.endswith('checkpoints') and step.isdigit()
    return is_checkpoint and bool(steps) and int(step) < max(steps)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def differences(found: dict[str, str], expected: dict[str, str]) -> list[str]:
    """Returns a line for each file that is left over, missing or different.

    An intact checkpoint that is older than the expected ones counts as none of these: it stays if
    a run is killed between its last save and the deletion of what that save replaces.
    """
    more = {
        name
        for name in {*found} - {*expected}
        if found[name].startswith(UNREADABLE) or not _is_replaced(name, expected)
    }
    return [
        *(f'left over: {name}' for name in sorted(more)),
        *(f'missing: {name}' for name in sorted({*expected} - {*found})),
        *(
            f'differs: {name}'
            for name in sorted({*found} & {*expected})
            if found[name] != expected[name]
        ),
    ]
