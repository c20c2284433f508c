"""Measures how long the user's own data take to load, and how much memory.

    python -m benchmarks.data_start --page=docs/reliability.md

makes a folder of small pictures, an `.npz` and a text, loads each in a process of its own, as the
start of a training does, and prints a line for each. The pictures are loaded twice: the first start
decodes them, the second reads the cache. Memory is the peak of the process during the loading,
without what the program needs before it. --pictures=0, --npz_gb=0 or --text_mb=0 leaves a part out.
"""

import contextlib
import functools
import json
import pathlib
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator

import numpy as np
from absl import flags

from benchmarks import child_process, outcome, page_rows

flags.DEFINE_list('pictures', ['60000', '1000000'], 'numbers of pictures in a folder; 0: none')
flags.DEFINE_float('npz_gb', 2.0, 'size of the npz of pictures in 10^9 bytes; 0: none')
flags.DEFINE_float('text_mb', 100.0, 'size of the text in 10^6 bytes; 0: none')
flags.DEFINE_string('folder', '', "folder for the data, which are deleted; '': the system's")

COMMAND = 'python -m benchmarks.data_start'
Timeout = Callable[[], float | None]  # seconds that are left; None: without a limit
PER_FOLDER = 1000  # pictures
SIDE = 8  # pixels
LOAD = """
import json, pathlib, sys, time
from atelier.data import dataset
from configs.shared import common

def memory(name):
    lines = pathlib.Path('/proc/self/status').read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))

config = common.common_config()
with config.unlocked():
    config.data.update(json.loads(sys.argv[1]))
dataset.settings_of(config.data.name)
before, began = memory('VmRSS'), time.monotonic()
data = dataset.load(config)
loaded = time.monotonic()
data.fingerprint()
result = dict(load=loaded - began, check=time.monotonic() - loaded)
result['memory'] = memory('VmHWM') - before
print(json.dumps(result))
"""


def write_pictures(folder: pathlib.Path, count: int) -> None:
    """Writes different BMPs of SIDE x SIDE pixels in ten classes, PER_FOLDER a folder."""
    size = 3 * SIDE * SIDE
    head = b'BM' + struct.pack('<IHHI', 54 + size, 0, 0, 54)
    head += struct.pack('<IiiHHIIiiII', 40, SIDE, SIDE, 1, 24, 0, size, 0, 0, 0, 0)
    for i in range(count):
        place = folder / str(i // PER_FOLDER % 10) / str(i // PER_FOLDER)
        if i % PER_FOLDER == 0:
            place.mkdir(parents=True)
        with open(f'{place}/{i}.bmp', 'wb') as file:
            file.write(head + struct.pack('<Q', i) + bytes([i % 256]) * (size - 8))


def write_npz(path: pathlib.Path, num_bytes: int) -> None:
    """Writes an `.npz` of random grey pictures of 32 x 32 pixels with labels."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (num_bytes // 1024, 32, 32, 1), np.uint8)
    np.savez(path, x=x, label=rng.integers(0, 10, len(x)))


def write_text(path: pathlib.Path, num_bytes: int) -> None:
    """Writes random lines of ASCII."""
    symbols = np.frombuffer(b'abcdefghijklmnopqrstuvwxyz .\n', np.uint8)
    index = np.random.default_rng(0).integers(0, len(symbols), num_bytes, np.uint8)
    path.write_bytes(symbols[index].tobytes())


def loaded(cache: pathlib.Path, timeout: float | None = None, **settings) -> dict[str, float]:
    """Loads data with these fields of `config.data` in a new process.

    Returns:
      Seconds of 'load' and of 'check' (the checksums of all splits), and bytes of 'memory'.

    Raises as `child_process.run`.
    """
    command = [sys.executable, '-c', LOAD, json.dumps(settings)]
    printed = child_process.run(command, {'XDG_CACHE_HOME': str(cache)}, timeout)
    return json.loads(printed.splitlines()[-1])


def start(folder: pathlib.Path, count: int, timeout: Timeout = lambda: None) -> str:
    """Describes the first and the second start with `count` pictures; raises as `loaded`."""
    write_pictures(folder / 'pictures', count)
    seconds = []
    for _ in range(2):
        path = str(folder / 'pictures')
        result = loaded(folder / 'cache', timeout(), name='folder', path=path)
        seconds.append(result['load'] + result['check'])
    return f'{seconds[0]:,.1f} s at the first start, {seconds[1]:,.1f} s at the second'


def memory(
    folder: pathlib.Path, path: pathlib.Path, timeout: Timeout = lambda: None, **settings
) -> str:
    """Describes the memory that loading a file takes; raises as `loaded`."""
    result = loaded(folder / 'cache', timeout(), path=str(path), **settings)
    size = path.stat().st_size
    seconds = result['load'] + result['check']
    return f'{result["memory"] / size:.2f} times the size of the file, {seconds:,.1f} s'


def main(_) -> None:
    """Prints a line for each part, and writes the rows of the page."""
    values, rows = flags.FLAGS, {}
    result = outcome.Outcome.of_flags('data_start')
    for name, part in parts(values, result.timeout).items():
        began = result.used()
        try:
            cells = part() if result.left() else []
        except TimeoutError:
            cells = []
        if not cells:
            print(f'{name}: time was up')
            continue
        rows[name] = cells
        result.add_arm(f'{name}, with making the data', [1e3 * (result.used() - began)])
        print(f'{name}: {rows[name][0]}', flush=True)
    result.write()
    page_rows.write_rows('data', rows)


def parts(values: flags.FlagValues, timeout: Timeout) -> dict[str, Callable[[], list[str]]]:
    """Returns functions that measure and return the cells of a row, by the row's first cell.

    They raise TimeoutError if a process takes longer than `timeout` returns.
    """
    off, made = '--pictures=0 --npz_gb=0 --text_mb=0', {}

    def command(before: str, after: str) -> str:
        return f'`{COMMAND} {off.replace(before, after)}`'

    def pictures(count: int) -> list[str]:
        with _temporary() as folder:
            return [start(folder, count, timeout), command('pictures=0', f'pictures={count}')]

    def npz() -> list[str]:
        with _temporary() as folder:
            write_npz(folder / 'a.npz', int(1e9 * values.npz_gb))
            text = memory(folder, folder / 'a.npz', timeout, name='arrays')
            return [text, command('npz_gb=0', f'npz_gb={values.npz_gb:g}')]

    def text() -> list[str]:
        with _temporary() as folder:
            write_text(folder / 'a.txt', int(1e6 * values.text_mb))
            described = memory(folder, folder / 'a.txt', timeout, name='text', context=256)
            return [described, command('text_mb=0', f'text_mb={values.text_mb:g}')]

    for count in filter(None, map(int, values.pictures)):
        made[f'start with {count:,} pictures'] = functools.partial(pictures, count)
    if values.npz_gb:
        made[f'memory for an npz of {values.npz_gb:g} GB'] = npz
    if values.text_mb:
        made[f'memory for a text of {values.text_mb:g} MB'] = text
    return made


@contextlib.contextmanager
def _temporary() -> Iterator[pathlib.Path]:
    with tempfile.TemporaryDirectory(dir=flags.FLAGS.folder or None) as folder:
        yield pathlib.Path(folder)


if __name__ == '__main__':
    outcome.run(main)
