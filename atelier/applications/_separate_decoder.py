"""Decodes a file of coded examples with `--mode=decompress` in another process."""

import os
import pathlib
import subprocess
import sys

import numpy as np

from atelier import checkout
from atelier.applications import decompress
from atelier.errors import UserError
from atelier.log import log
from atelier.run import run_folder
from atelier.run.config_values import MAY_MOVE, flatten
from atelier.run.experiment import Run


def decoded(run: Run, path: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns the arrays that the file decodes to; a run built in Python decodes in this process.

    Raises:
      UserError: the decoder raises it.
      RuntimeError: the decoder fails in another way.
    """
    if not run.config_file.path:
        log.info('decoding in this process, because the run has no config file')
        return decompress.apply(run, str(path))
    # this process has preallocated the GPU's memory
    environment = {**os.environ, 'XLA_PYTHON_CLIENT_PREALLOCATE': 'false'}
    process = subprocess.run(command(run, path), env=environment, capture_output=True, text=True)
    if process.returncode:
        last_line = process.stderr.rstrip().rpartition('\n')[2]
        if last_line.startswith('error: '):
            raise UserError(f'the decoder says: {last_line.removeprefix("error: ")}')
        raise RuntimeError(f'the decoder failed:\n{process.stderr}')
    with np.load(decompress.results_path(run.folder, path)) as arrays:
        return dict(arrays)


def command(run: Run, path: pathlib.Path) -> list[str]:
    """Returns the command that decodes the file with the run as it is open in this process.

    It trusts the same files and repeats the fields of the config that differ from the record.
    """
    own = (run.child or run).config.data  # a run of codes is used with the data of its parent
    now = flatten({**run.config.to_dict(), 'data': own.to_dict()})
    recorded = flatten(run_folder.load(run.folder)['values'])
    changed = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in now.items()
        if (name.startswith('eval.') or name in MAY_MOVE) and value != recorded.get(name)
    }
    return [
        *(sys.executable, str(checkout.ROOT / 'main.py'), '--mode=decompress'),
        *(f'--workdir={run.folder}', f'--file={path}'),
        *checkout.trust_flags(),
        *(f'--config.{name}={value}' for name, value in changed.items()),
    ]
