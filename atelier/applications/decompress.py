"""Decodes the examples in a file of --mode=compress, from the weights alone."""

import pathlib
import re

import numpy as np

from atelier import files
from atelier.applications import _common
from atelier.applications._application import BITS_BACK, CONDITIONALS, Application
from atelier.core.abilities import Conditionals
from atelier.data.dataset import Dataset
from atelier.errors import UserError
from atelier.evaluation.compression import bits_back, file_format, range_coder
from atelier.log import counted, log
from atelier.paths import user_path
from atelier.report import image_grids
from atelier.run import limits, restore, run_folder
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (CONDITIONALS | BITS_BACK,)
NAME = 'decompress'
MAX_IMAGES = 100


def data(folder: pathlib.Path, file: str = '') -> Dataset:
    """Returns zeros with the Spec of the file, in place of the run's data, which are not loaded.

    Raises:
      UserError: there is no run or no such file, the file holds other data than the run's, or the
        run's data are dequantised.
    """
    record, path = run_folder.load(folder), _path(folder, file)
    values = record['values']
    if not path.exists():
        raise UserError(
            f'{path} does not exist: write it with --mode=compress, for a VAE with '
            '--mode=compress --by=likelihood, or give --file, the path of another one'
        )
    header, _ = file_format.read(path)
    spec = header.spec
    if values['data'].get('dequantize', 'none') != 'none':
        raise UserError(
            f'{folder} was trained on dequantised data: a density cannot code examples without loss'
        )
    _check_sizes(path, folder, header, record['data'] or {})
    return _common.stand_in(values, spec)


def apply(run: Run, file: str = '') -> dict[str, np.ndarray]:
    """Decodes the file and checks that it gives the examples that were coded.

    Args:
      run: of a family with `Conditionals` or `BitsBack`. Its weights coded the file.
      file: path of a file of --mode=compress; by default RUN/applications/compress.bin.

    Returns:
      x [n, *event], discrete values, and label [n] if the file holds labels.

    Raises:
      UserError: a missing checkpoint, or a file that is missing, damaged, or written with other
        weights, another version of JAX or on another kind of device.
    """
    path = _path(run.folder, file)
    header, words = file_format.read(path)
    _check_sizes(path, run.folder, header, {'x': run.data.spec.format})
    trained = restore.load(run)
    _check_source(path, header, trained)
    try:
        arrays = compute(trained, header, words)
    except ValueError as error:
        raise file_format.damaged(path) from error
    log.info(
        '%s of %s, decompressed with the model of the %s',
        counted(len(arrays['x']), 'example'),
        path,
        trained.weights,
    )
    results = results_path(run.folder, path)
    files.write_arrays(results, arrays)
    log.info('arrays: %s', results)
    if image_grids.is_image(header.spec):
        image_path = results.with_suffix('.png')
        image_grids.save(image_path, image_grids.grid(arrays['x'][:MAX_IMAGES], header.spec))
        log.info('the first examples: %s', image_path)
    return arrays


def compute(
    trained: TrainedRun, header: file_format.Header, words: range_coder.Words
) -> dict[str, np.ndarray]:
    """Decodes with the coder that the file names; returns the arrays of `apply`.

    Raises:
      ValueError: the family uses another coder, or the examples do not match the file's checksum.
    """
    run, state, n = trained.run, trained.state, header.num_examples
    if header.coder != coder_of(run):
        raise ValueError('the header names another coder')
    if header.coder == 'bits back':
        x, labels = bits_back.decoded(run, state, words, n)
    else:
        x, labels = range_coder.decoded(run, state, words, n, header.batch_size)
    if file_format.checksum_of(header, x, labels) != header.examples:
        raise ValueError('the decoded examples differ from the coded ones')
    dtype = np.uint8 if header.levels <= 256 else np.uint16
    arrays = {'x': x.astype(dtype).reshape(-1, *header.event_shape)}
    return arrays if labels is None else {**arrays, 'label': labels}


def coder_of(run: Run) -> str:
    """Returns the coder of a family that meets the NEEDS."""
    return 'range' if run.family.ability(Conditionals) is not None else 'bits back'


def results_path(folder: pathlib.Path, file: pathlib.Path) -> pathlib.Path:
    """Returns the path of the arrays that `file` decodes to, named after it."""
    folder = folder / 'applications'
    if file.resolve().parent == folder.resolve() and file.name.startswith('compress'):
        return folder / f'{NAME}{file.stem.removeprefix("compress")}.npz'
    return folder / f'{NAME}{_common.path_suffix(file=str(file))}.npz'


def _path(folder: pathlib.Path, file: str) -> pathlib.Path:
    return user_path(file) if file else folder / 'applications' / 'compress.bin'


def _check_sizes(
    path: pathlib.Path, folder: pathlib.Path, header: file_format.Header, data: dict[str, str]
) -> None:
    """Compares the sizes in a file with those of the run, before arrays of these sizes are built.

    Args:
      path: of the file.
      folder: of the run.
      header: of the file.
      data: what the run recorded about its data; empty if the run is too old.

    Raises:
      UserError: the file holds other data than the run's, or more examples than its test split.
    """
    coded = header.spec.format
    if data and data.get('x') != coded:
        raise UserError(
            f'{path} holds other data than those of {folder}: {coded}, not {data.get("x")}'
        )
    size = re.match(r'(\d{1,15}) examples', data.get('test', ''))
    if size and header.num_examples > int(size[1]):
        raise UserError(
            f'{path} declares {counted(header.num_examples, "example")}, and {folder} has '
            f'{size[1]} to test'
        )
    limits.check_examples(str(path), header.num_examples, header.spec)


def _check_source(path: pathlib.Path, header: file_format.Header, trained: TrainedRun) -> None:
    """Checks that the file's probabilities can be reproduced here.

    Raises:
      UserError: it was written with other weights, another version of JAX or on another device.
    """
    if header.weights != file_format.checksum_of_weights(trained.state):
        raise UserError(
            f'{path} was coded with other weights than the {trained.weights}: give --workdir and '
            '--config.eval.weights of the run that coded it, or another --file'
        )
    version = file_format.software_version()
    if header.software_version != version:
        raise UserError(
            f'{path} was coded with {header.software_version} and this is {version}, '
            'which rounds probabilities differently: decode it where it was coded'
        )


APPLICATION = Application(apply, NEEDS, data=data)
