"""Damages each kind of file at random and counts the outcomes of reading it.

    python -m benchmarks.mutations --tries=300

Each try damages one file, lets a process with a memory and a time limit read it as a command does,
and puts the file back. Outcomes:

refused    one line says what is wrong
same       the result is that of the undamaged file
warned     the result differs, and a warning says why
other      the file has no checksum, and the result is that of another valid file
unnoticed  the file has a checksum, but the result differs without a warning: bad
lines (an error of several lines), traceback, hang, memory, crash: bad

The exit status is 1 if an outcome is bad. With --page=docs/reliability.md, the counts become rows
of the table of that page. No file is damaged after --seconds. One reading has at most
--reading_seconds; an earlier version called this limit --seconds.
"""

import collections
import contextlib
import json
import math
import pathlib
import random
import selectors
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from absl import flags

from atelier import checkout
from benchmarks import outcome, page_rows
from benchmarks.file_kinds import KINDS, Kind

flags.DEFINE_integer('tries', 300, 'damaged files of each kind')
flags.DEFINE_integer('mutation_seed', 0, 'seed of the damage')
flags.DEFINE_string('kinds', '', 'which kinds, separated by ";"; all by default')
flags.DEFINE_float('reading_seconds', 60.0, 'time limit of one reading')
flags.DEFINE_float('gigabytes', 4.0, 'GiB of memory that reading may add')
flags.DEFINE_string('keep', '', 'folder in which files with a bad outcome are kept')

GOOD = ('refused', 'same', 'warned', 'other')
BAD = ('unnoticed', 'lines', 'traceback', 'hang', 'memory', 'crash')
PATIENCE = 600.0  # seconds that making all files may take


class Worker:
    """A process that reads files; it is started anew after it hangs or dies."""

    def __init__(self, workspace: pathlib.Path, seconds: float, gigabytes: float):
        self._command = [sys.executable, '-m', 'benchmarks.damage_worker', str(workspace)]
        self._command.append(str(gigabytes))
        self._seconds = seconds
        self._process = None

    def start(self, seconds: float = PATIENCE) -> None:
        """Starts the process, which makes the files if there are none.

        Raises:
          RuntimeError: it does not start within these seconds.
        """
        self._process = subprocess.Popen(
            self._command,
            cwd=checkout.ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if not self._reply(seconds):
            self.close()
            raise RuntimeError(f'{" ".join(self._command)} does not start')

    def read(self, kind: str) -> dict[str, Any]:
        """Lets the process read a kind of file; returns its answer."""
        if self._process is None:
            self.start()
        self._process.stdin.write(f'{kind}\n')
        self._process.stdin.flush()
        line = self._reply(self._seconds)
        if line:
            return json.loads(line)
        status = self._process.poll()
        self.close()
        return {'outcome': 'hang' if status is None else 'crash', 'text': f'exit status {status}'}

    def _reply(self, seconds: float) -> str:
        """Returns the next line; an empty one if the process died or is too slow."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            line = self._process.stdout.readline() if selector.select(seconds) else ''
        if not line:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)  # for its exit status, if it died
        return line

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def try_kind(
    name: str,
    worker: Worker,
    workspace: pathlib.Path,
    tries: int,
    seed: int,
    left: Callable[[], float] = lambda: math.inf,
) -> list[tuple[str, str, bytes]]:
    """Returns (outcome, 'FILE: TEXT of the reply', damaged content) of each try.

    There are fewer than `tries` if no seconds are left.
    """
    kind, rng, results = KINDS[name], random.Random(f'{seed} {name}'), []
    clean = worker.read(name)
    put_back(workspace)
    if clean['outcome'] != 'read':
        raise RuntimeError(f'{name}: the undamaged file is not read: {clean}')
    files = kind.paths(workspace)
    for _ in range(tries):
        if not left():
            break
        path = rng.choice(files)
        bad = _changed(kind, path, rng)
        reply = worker.read(name)
        put_back(workspace)
        results.append((judged(kind, reply, clean), f'{path.name}: {reply["text"]}', bad))
    return results


def _changed(kind: Kind, path: pathlib.Path, rng: random.Random) -> bytes:
    """Damages a file; returns its new content, or that of the file which was replaced."""
    content = path.read_bytes()
    if kind.replace:
        kind.replace(path, rng)
        return content
    bad = kind.mutate(content, rng)
    path.write_bytes(bad)
    return bad


def judged(kind: Kind, reply: dict[str, Any], clean: dict[str, Any]) -> str:
    """Returns the outcome of a try (see the module docstring)."""
    if reply['outcome'] != 'read':
        return reply['outcome']
    if reply['text'] == clean['text']:
        return 'same'
    if {*reply['warnings']} - {*clean['warnings']}:
        return 'warned'
    return 'unnoticed' if kind.guarded else 'other'


def put_back(workspace: pathlib.Path) -> None:
    """Puts the whole folder back, since reading a damaged file may write others."""
    shutil.rmtree(workspace)
    shutil.copytree(_pristine(workspace), workspace)


def _pristine(workspace: pathlib.Path) -> pathlib.Path:
    return workspace.with_name('pristine')


def table(
    names: list[str], tries: int, seed: int, result: outcome.Outcome, keep: str = ''
) -> dict[str, collections.Counter]:
    """Prints a row per kind and returns {kind: {outcome: count}}; says what was bad."""
    counts: dict[str, collections.Counter] = {}
    print(f'{"kind":34}' + ''.join(f'{how:>10}' for how in (*GOOD, *BAD)))
    with tempfile.TemporaryDirectory(prefix='mutations-') as folder:
        workspace = pathlib.Path(folder) / 'files'
        worker = Worker(workspace, flags.FLAGS.reading_seconds, flags.FLAGS.gigabytes)
        try:
            is_ready = _makes_files(worker, workspace, result)
            for name in names if is_ready else ():
                if not result.left():
                    break
                results = try_kind(name, worker, workspace, tries, seed, result.left)
                counts[name] = collections.Counter(how for how, _, _ in results)
                row = ''.join(f'{counts[name][how]:10}' for how in (*GOOD, *BAD))
                print(f'{name:34}{row}', flush=True)
                _explain(name, results, keep)
        finally:
            worker.close()
    return counts


def _makes_files(worker: Worker, workspace: pathlib.Path, result: outcome.Outcome) -> bool:
    """Starts the process, which makes the files, and copies them; False if time was up before.

    Raises:
      RuntimeError: it does not start, although time is left.
    """
    if not result.left():
        return False
    try:
        worker.start(min(PATIENCE, result.left()))
    except RuntimeError:
        if result.left():
            raise
        return False
    shutil.copytree(workspace, _pristine(workspace))
    return True


def page_table(counts: dict[str, dict[str, int]]) -> dict[str, list[str]]:
    """Returns the rows of the page: {kind: counts, all bad outcomes as one, and the command}."""
    rows = {}
    for name, row in counts.items():
        cells = [row[how] for how in GOOD] + [sum(row[how] for how in BAD)]
        command = f'python -m benchmarks.mutations --kinds="{name}" --tries={sum(cells)}'
        rows[name] = [*map(str, cells), f'`{command}`']
    return rows


def _explain(name: str, results: list[tuple[str, str, bytes]], keep: str) -> None:
    """Prints the last line of each different bad outcome, and keeps the files."""
    said = set()
    for i, (how, text, content) in enumerate(results):
        last = text.strip().splitlines()[-1] if text.strip() else ''
        if how not in BAD or (how, last) in said:
            continue
        said.add((how, last))
        print(f'    {how}, try {i}: {last[:300]}')
        if keep:
            folder = pathlib.Path(keep)
            folder.mkdir(parents=True, exist_ok=True)
            stem = f'{name.replace(" ", "-")}-{i}'
            (folder / stem).write_bytes(content)
            (folder / f'{stem}.txt').write_text(text)


def main(_) -> None:
    """Prints the table; exits with status 1 if an outcome is bad."""
    names = [name.strip() for name in flags.FLAGS.kinds.split(';') if name.strip()] or list(KINDS)
    result = outcome.Outcome.of_flags('mutations')
    settings = flags.FLAGS.tries, flags.FLAGS.mutation_seed, result, flags.FLAGS.keep
    counts = {name: row for name, row in table(names, *settings).items() if row.total()}
    if not result.left():
        print('time was up')
    for name, row in counts.items():
        for text, count in row.items():
            result.add_arm(name, [count], text)
    result.write()
    page_rows.write_rows('mutations', page_table(counts))
    bad = sum(row[how] for row in counts.values() for how in BAD)
    print(f'{bad} bad outcomes of {sum(sum(row.values()) for row in counts.values())}')
    sys.exit(bool(bad))


if __name__ == '__main__':
    outcome.run(main)
