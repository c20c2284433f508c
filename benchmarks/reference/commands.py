"""The command lines of a row, with placeholders or for a data folder and a folder of runs."""

import pathlib
import re
import shlex
import sys

from atelier.training import refit
from benchmarks.reference.rows import Row

OUT = 'benchmark.json'
PLACEHOLDER = re.compile(r'\bRUN\(([a-z0-9-]+)\)|\b(DATA|RUN|OUT)\b')


def lines(row: Row, seed: int) -> list[list[str]]:
    """Returns the commands of one seed, each a list of words, with placeholders."""
    if row.benchmark:
        return [['python', '-m', f'benchmarks.{row.benchmark}', *row.flags, '--json=OUT']]
    train = ['python', 'main.py', f'--config={row.config}', f'--config.seed={seed}']
    train += [f'--config.{field}={value}' for field, value in row.overrides.items()]
    train += [f'--config.data.run=RUN({row.parent})'] if row.parent else []
    train += ['--refit'] if row.refit else []
    modes = [['python', 'main.py', '--workdir=RUN', *mode] for mode in row.modes]
    return [[*train, '--workdir=RUN'], *modes]


def shown(row: Row) -> list[str]:
    """Returns the commands of the first seed as lines for a shell."""
    return [shlex.join(line) for line in lines(row, row.seeds[0])]


def folder_of(row: Row, seed: int, runs: pathlib.Path) -> pathlib.Path:
    """Returns the folder of one seed's run; another definition of the row has another folder."""
    return runs / f'{row.name}-{row.definition}' / f'seed-{seed}'


def measured_folder(row: Row, seed: int, runs: pathlib.Path) -> pathlib.Path:
    """Returns the folder that has the values of one seed: that of the refit, if the row has one."""
    folder = folder_of(row, seed, runs)
    return folder.with_name(folder.name + refit.SUFFIX) if row.refit else folder


def seed_of(row: Row, used: Row, seed: int) -> int:
    """Returns the seed of the run of row `used` that seed `seed` of `row` uses.

    It is the first one, so that all seeds share a classifier. A parent has the same seed as its
    child, if its row has it.
    """
    return seed if used.name == row.parent and seed in used.seeds else used.seeds[0]


def real(
    row: Row, seed: int, runs: pathlib.Path, data: pathlib.Path, rows: dict[str, Row]
) -> list[list[str]]:
    """Returns the commands of one seed for this machine."""
    own = folder_of(row, seed, runs)

    def path(match: re.Match) -> str:
        other, word = match.groups()
        if other:
            return str(folder_of(rows[other], seed_of(row, rows[other], seed), runs))
        return str({'DATA': data, 'RUN': own, 'OUT': own / OUT}[word])

    return [
        [sys.executable, *(PLACEHOLDER.sub(path, word) for word in line[1:])]
        for line in lines(row, seed)
    ]
