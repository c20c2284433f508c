"""The kinds of files that `benchmarks.mutations` damages, and how the program reads each."""

import binascii
import contextlib
import hashlib
import io
import json
import logging
import os
import pathlib
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image

from atelier import cli, files
from atelier.data import arrays, folder, text, tfds_images
from atelier.log import log
from atelier.report import metrics_log
from benchmarks import item_kinds, original_kinds
from benchmarks.mutating import damaged, misshapen, not_regular, of_other_run, swapped
from benchmarks.tfds_files import IMAGE, LABEL, pictures, write_set

CONFIG = '--config=configs/naive_bayes.py:digits,debug'
SHORT = ('--config.train.steps=4', '--config.train.evaluate_every=2')


class Kind(NamedTuple):
    """A kind of file.

    files: glob patterns, separated by spaces; each try damages one of the files in the workspace.
    read: reads it as the program does and returns what the user gets, to be compared.
    mutate: (content, rng) -> damaged content.
    replace: if not None, used instead: (path, rng) puts something else in the file's place.
    guarded: whether the file has checksums, so that a changed value must be noticed.
    """

    files: str
    read: Callable[[pathlib.Path], Any]
    mutate: Callable[[bytes, random.Random], bytes] = damaged
    guarded: bool = True
    replace: Callable[[pathlib.Path, random.Random], None] | None = None

    def paths(self, workspace: pathlib.Path) -> list[pathlib.Path]:
        """Returns the files of this kind, sorted."""
        found = {path for pattern in self.files.split() for path in workspace.glob(pattern)}
        return sorted(path for path in found if path.is_file() and self._can_change(path))

    def _can_change(self, path: pathlib.Path) -> bool:
        return self.replace is not swapped or of_other_run(path).is_file()


TFDS = 'tfds/tiny/1.0.0'
CODED = 'sweep/seed-0/applications/compress-num_images-4.bin'


def command(*arguments: object) -> str:
    """Performs a command line in this process and returns what it printed and logged."""
    printed = io.StringIO()
    handler, level = logging.StreamHandler(printed), log.level
    handler.addFilter(lambda record: 'has no checksum' not in record.msg)  # once a process
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        with contextlib.redirect_stdout(printed):
            cli.perform(cli.parse(['atelier', *map(str, arguments)]))
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
    return printed.getvalue()


def make_files(workspace: pathlib.Path) -> None:
    """Makes a file of each kind: a sweep, a coded file, arrays, pictures, a TFDS set, text."""
    sweep = workspace / 'sweep'
    command(CONFIG, '--mode=sweep', '--sweep=seed=0,1', f'--workdir={sweep}', *SHORT)
    for member in ('seed-0', 'seed-1'):
        command('--mode=evaluate', f'--workdir={sweep}/{member}')
    command('--mode=compress', f'--workdir={sweep}/seed-0', '--num_images=4')
    rng = np.random.default_rng(0)
    x, label = rng.integers(0, 256, (40, 8, 8, 1), np.uint8), np.arange(40) % 3
    np.savez(workspace / 'plain.npz', x=x, label=label)
    np.savez_compressed(workspace / 'packed.npz', x=x.astype(np.float32), label=label)
    (workspace / 'pictures').mkdir()
    for i in range(12):
        Image.fromarray(x[i, ..., 0]).save(workspace / 'pictures' / f'{i:02d}.png')
    examples = [{**example, 'label': i % 3} for i, example in enumerate(pictures(24))]
    write_set(workspace / 'tfds', 'tiny', {'train': examples}, {'image': IMAGE, 'label': LABEL})
    (workspace / 'text.txt').write_text('All work and no play makes a dull text.\n' * 100)
    item_kinds.make(workspace)
    original_kinds.make(workspace)


def _run(workspace: pathlib.Path) -> bytes:
    """Samples of the run, with its last weights."""
    run = workspace / 'sweep' / 'seed-0'
    command('--mode=sample', f'--workdir={run}', '--num_samples=4', '--config.eval.weights=last')
    files = sorted((run / 'samples').glob('seed-0*.npz'))
    return b''.join(np.load(file)['x'].tobytes() for file in files)


def _sweep(workspace: pathlib.Path) -> str:
    command('--mode=sweep', f'--workdir={workspace}/sweep')
    return ''.join(path.read_text() for path in sorted((workspace / 'sweep').glob('*.csv')))


def _compared(workspace: pathlib.Path) -> str:
    runs = ','.join(f'{workspace}/sweep/{name}' for name in ('seed-0', 'seed-1'))
    table = command('--mode=compare', f'--runs={runs}', f'--workdir={workspace}/compared')
    figure = workspace / 'compared' / 'compare.png'
    return f'{table}{files.checksum_of(figure)}'


def _resumed(workspace: pathlib.Path) -> str:
    """The log of a run that resumes, cut at a step, and its validations."""
    run = workspace / 'sweep' / 'seed-0'
    metrics_log.MetricsLog(run, 2, 32).close()
    validations = list(metrics_log.iterate_validations(run))
    return f'{(run / "metrics.jsonl").read_text()}{validations}'


def _used(workspace: pathlib.Path) -> list:
    return [_run(workspace), _compared(workspace), _decoded(workspace)]


def _data(workspace: pathlib.Path) -> list:
    return [
        _splits(arrays.load(str(workspace / 'plain.npz'))),
        _splits(text.load(str(workspace / 'text.txt'), context=16)),
        _pictures(workspace),
        _tfds(workspace),
    ]


def _decoded(workspace: pathlib.Path) -> bytes:
    run = workspace / 'sweep' / 'seed-0'
    results = run / 'applications'
    command('--mode=decompress', f'--workdir={run}', f'--file={results}/compress-num_images-4.bin')
    return np.load(results / 'decompress-num_images-4.npz')['x'].tobytes()


def _splits(data) -> list:
    leaves = jax.tree_util.tree_leaves_with_path(data.splits)
    return [(str(path), x.shape, hashlib.sha256(x.tobytes()).hexdigest()) for path, x in leaves]


def _pictures(workspace: pathlib.Path) -> list:
    os.environ['XDG_CACHE_HOME'] = str(workspace / 'cache')
    return _splits(folder.load(str(workspace / 'pictures')))


def _tfds(workspace: pathlib.Path) -> list:
    os.environ['XDG_CACHE_HOME'] = str(workspace / 'cache')
    return _splits(tfds_images.load('tiny', str(workspace / 'tfds')))


def damaged_without_checksum(content: bytes, rng: random.Random) -> bytes:
    """Damages values of a JSON file and removes its checksum, as if it were an older file."""
    record = json.loads(content)
    record.pop('checksum', None)
    return json.dumps(misshapen(record, rng)).encode()


def rechecked(content: bytes, rng: random.Random) -> bytes:
    """Damages the header of a coded file and recomputes the checksum of the header."""
    line, end, rest = content.partition(b'\n')
    magic, header = line[:8], json.loads(line[8:])
    line = magic + json.dumps(misshapen(header, rng), separators=(',', ':')).encode() + end
    return line + binascii.crc_hqx(line, 0).to_bytes(2, 'little') + rest[2:]


KINDS = {
    'config.json': Kind('sweep/seed-0/config.json', _run),
    'config.json, values': Kind(
        'sweep/seed-0/config.json', _run, damaged_without_checksum, guarded=False
    ),
    'sweep.json': Kind('sweep/sweep.json', _sweep),
    'sweep.json, values': Kind('sweep/sweep.json', _sweep, damaged_without_checksum, guarded=False),
    'metrics.jsonl': Kind('sweep/seed-0/metrics.jsonl', _compared, guarded=False),
    'metrics.jsonl, resumed': Kind('sweep/seed-0/metrics.jsonl', _resumed, guarded=False),
    'evaluation.json': Kind('sweep/seed-0/evaluation.json', _compared),
    'evaluation.json, values': Kind(
        'sweep/seed-0/evaluation.json', _compared, damaged_without_checksum, guarded=False
    ),
    'checkpoint': Kind('sweep/seed-0/checkpoints/4/**/*', _run),
    'coded file': Kind(CODED, _decoded),
    'coded file, header': Kind(CODED, _decoded, rechecked),
    'run, not a regular file': Kind('sweep/seed-0/**/*', _used, replace=not_regular),
    'run, file of another run': Kind(
        'sweep/seed-0/config.json sweep/seed-0/evaluation.* sweep/seed-0/checkpoints/**/*',
        _used,
        replace=swapped,
    ),
    'metrics.jsonl of another run': Kind(
        'sweep/seed-0/metrics.jsonl', _compared, guarded=False, replace=swapped
    ),
    'data, not a regular file': Kind(
        'plain.npz text.txt pictures/*.png tfds/**/*',
        _data,
        guarded=False,
        replace=not_regular,
    ),
    'npz': Kind('plain.npz', lambda w: _splits(arrays.load(str(w / 'plain.npz')))),
    'npz, compressed': Kind('packed.npz', lambda w: _splits(arrays.load(str(w / 'packed.npz')))),
    'PNG': Kind('pictures/*.png', _pictures),
    'TFDS, dataset_info.json': Kind(f'{TFDS}/dataset_info.json', _tfds, guarded=False),
    'TFDS, values of dataset_info.json': Kind(
        f'{TFDS}/dataset_info.json', _tfds, damaged_without_checksum, guarded=False
    ),
    'TFDS, features.json': Kind(f'{TFDS}/features.json', _tfds, guarded=False),
    'TFDS, values of features.json': Kind(
        f'{TFDS}/features.json', _tfds, damaged_without_checksum, guarded=False
    ),
    'TFDS, array_record': Kind(f'{TFDS}/*.array_record-*', _tfds),
    'text': Kind(
        'text.txt', lambda w: _splits(text.load(str(w / 'text.txt'), context=16)), guarded=False
    ),
}
KINDS |= {
    name: Kind(files, original_kinds.reader(name, _splits), guarded=guarded)
    for name, (files, _, guarded) in original_kinds.FILES.items()
}
KINDS |= {
    name: Kind(file, item_kinds.reader(name, _splits), guarded=guarded)
    for name, (file, guarded) in item_kinds.FILES.items()
}
