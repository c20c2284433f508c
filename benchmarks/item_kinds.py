"""The files of items that `benchmarks.mutations` damages."""

import functools
import gzip
import pathlib
import zipfile
from collections.abc import Callable
from typing import Any

from atelier.data import lines, molecules
from atelier.data.dataset import Dataset

# name: (file in the workspace, whether it has checksums)
FILES = {
    'items, table': ('names.csv', False),
    'items, compressed': ('names.txt.gz', True),
    'items, wheel': ('molsets.whl', False),  # its central directory has none
}


def make(workspace: pathlib.Path) -> None:
    """Makes the files of each kind in `FILES`."""
    names = [f'{i * 7919 % 4096:b}' for i in range(300)]
    rows = ['name,kind', *(f'"{name}",{len(name) // 12}' for name in names)]
    (workspace / 'names.csv').write_text('\n'.join(rows))
    packed = gzip.compress('\n'.join(names).encode(), mtime=0)
    (workspace / 'names.txt.gz').write_bytes(packed)
    with zipfile.ZipFile(workspace / 'molsets.whl', 'w') as archive:
        for split in ('train', 'test'):
            table = '\n'.join(['SMILES', *names]).encode()
            name = f'moses/dataset/data/{split}.csv.gz'
            archive.writestr(name, gzip.compress(table, mtime=0))


def reader(kind: str, outcome: Callable[[Dataset], Any]) -> Callable[[pathlib.Path], Any]:
    """Returns a function of the workspace that reads the file of a kind as the program does."""
    return functools.partial(_read, kind, outcome)


def _read(kind: str, outcome: Callable[[Dataset], Any], workspace: pathlib.Path) -> Any:
    path = str(workspace / FILES[kind][0])
    if path.endswith('.whl'):
        return outcome(molecules.load(path, is_packed=True))
    if path.endswith('.csv'):
        return outcome(lines.load(path, column='name', label_column='kind'))
    return outcome(lines.load(path, is_packed=True))
