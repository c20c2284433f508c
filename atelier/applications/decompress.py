"""Decodes the examples or the text in a file of --mode=compress."""

import pathlib

import numpy as np

from atelier import files
from atelier.applications import _common
from atelier.applications._application import BITS_BACK, CONDITIONALS, TWO_PART, Application
from atelier.core.abilities import Conditionals
from atelier.core.code_likelihood import TwoPartCode
from atelier.data.fingerprints import size_of
from atelier.data.items import are_items
from atelier.data.text import NEWLINE, decode
from atelier.errors import UserError, shortened_text
from atelier.evaluation.compression import (
    bits_back,
    file_format,
    padding,
    range_coder,
    text_streams,
    two_part,
)
from atelier.evaluation.compression.word_stream import Words
from atelier.log import counted, log
from atelier.paths import user_path
from atelier.report import image_grids
from atelier.report.texts import between
from atelier.run import limits, restore, run_folder
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (CONDITIONALS | BITS_BACK | TWO_PART,)
NAME = 'decompress'
MAX_IMAGES = 100
NOUNS = {'text': 'character', 'items': 'item'}  # by coder


def apply(run: Run, file: str = '') -> dict[str, np.ndarray]:
    """Decodes the file and checks that it gives the examples that were coded.

    Args:
      run: of a family with `Conditionals`, `BitsBack` or `TwoPartCode`. Its weights coded the file.
      file: path of a file of --mode=compress; by default RUN/applications/compress.bin.

    Returns:
      x [n, *event], discrete values, and label [n] if the file holds labels. Of an endless text x
      [length] are all its symbols, and NAME.txt is the text; of items it has one in each line.

    Raises:
      UserError: a missing checkpoint, or a file that is missing, damaged, or written with other
        weights, another version of JAX or on another kind of device.
    """
    path = user_path(file) if file else run.folder / 'applications' / 'compress.bin'
    header, words = _read(path, run)
    trained = restore.load(run)
    _check_source(path, header, trained)
    try:
        arrays = compute(trained, header, words)
    except ValueError as error:
        raise file_format.damaged(path) from error
    what = counted(len(arrays['x']), NOUNS.get(header.coder, 'example'))
    log.info('%s of %s, decompressed with the model of the %s', what, path, trained.weights)
    results = results_path(run.folder, path)
    files.write_arrays(results, arrays)
    log.info('arrays: %s', results)
    if header.coder in file_format.OF_SYMBOLS:
        text_path = results.with_suffix('.txt')
        files.write_text(text_path, text_of(run, arrays['x']))
        log.info('text: %s', text_path)
    if image_grids.is_drawn_as_image(header.spec):
        image_path = results.with_suffix('.png')
        image_grids.save(image_path, image_grids.grid(arrays['x'][:MAX_IMAGES], header.spec))
        log.info('figure: %s', image_path)
    return arrays


def compute(trained: TrainedRun, header: file_format.Header, words: Words) -> dict[str, np.ndarray]:
    """Decodes with the coder that the file names; returns the arrays of `apply`.

    Raises:
      ValueError: the family uses another coder, no class has a code, or the examples do not match
        the file's checksum.
    """
    run, state, n = trained.run, trained.state, header.num_examples
    if header.coder != coder_of(run):
        raise ValueError('the header names another coder')
    if range_coder.is_labelled(run) and not header.classes:
        raise ValueError('the header leaves out all classes')
    size, classes = header.batch_size, header.classes
    if header.coder == 'bits back':
        x, labels = bits_back.decoded(run, state, words, n, classes)
    elif header.coder == 'text':
        x, labels = text_streams.decoded(run, state, words, n, size), None
    elif header.coder == 'two part':
        x, labels = two_part.decoded(run, state, words, n, size, classes)
    else:
        x, labels = range_coder.decoded(run, state, words, n, size, classes)
    checksums = (file_format.checksum_of(header, x, labels, rule) for rule in file_format.RULES)
    if header.examples not in checksums:
        raise ValueError('the decoded examples differ from the coded ones')
    dtype = np.uint8 if header.levels <= 256 else np.uint16
    shape = () if header.coder == 'text' else header.event_shape
    arrays = {'x': x.astype(dtype).reshape(-1, *shape)}
    return arrays if labels is None else {**arrays, 'label': labels}


def coder_of(run: Run) -> str:
    """Returns the coder of a family that meets the NEEDS."""
    if run.family.ability(TwoPartCode) is not None:
        return 'two part'
    if run.family.ability(Conditionals) is None:
        return 'bits back'
    if are_items(run.data.spec):
        return 'items'
    return 'range' if run.data.spec.symbols is None else 'text'


def text_of(run: Run, x: np.ndarray) -> str:
    """Returns the text of all symbols x [length], or of items x [n, length] as `joined`."""
    if x.ndim == 1:
        return decode(x[None], run.data.spec.symbols)[0]
    return joined(run, decode(x, run.data.spec.symbols))


def joined(run: Run, items: list[str]) -> str:
    """Returns items as one text, one in each line or with what stood between them (`between`)."""
    return between(run.data.spec, run.config.data.get('separator', '')).join(items) + NEWLINE


def results_path(folder: pathlib.Path, file: pathlib.Path) -> pathlib.Path:
    """Returns the path of the arrays that `file` decodes to, named after it."""
    folder = folder / 'applications'
    if file.resolve().parent == folder.resolve() and file.name.startswith('compress'):
        return folder / f'{NAME}{file.stem.removeprefix("compress")}.npz'
    return folder / f'{NAME}{_common.path_suffix(file=str(file))}.npz'


def _read(path: pathlib.Path, run: Run) -> tuple[file_format.Header, Words]:
    """Reads a file; compares its sizes with the run's before arrays of these sizes are built.

    Raises:
      UserError: there is no such file, it holds other data than the run's, it declares more
        examples than the run's test split or than it has bits, or the run's data are dequantised.
    """
    if not path.exists():
        raise UserError(
            f'{path} does not exist: write it with --mode=compress, for a VAE with '
            '--mode=compress --by=likelihood, or give --file, the path of another one'
        )
    header, words = file_format.read(path)
    spec, coded = run.data.spec, header.spec
    if spec.dequantized_levels is not None:
        raise UserError(
            f'{run.folder} was trained on dequantised data: a density cannot code examples without '
            'loss'
        )
    without_symbols = spec._replace(symbols=None).format
    if without_symbols != coded.format:
        raise UserError(
            f'{path} holds other data than those of {run.folder}: {coded.format}, not '
            f'{without_symbols}'
        )
    if header.symbols != file_format.checksum_of_symbols(spec.symbols):
        raise UserError(
            f'{path} holds text of other symbols than those of {run.folder}: give --workdir of the '
            'run that coded it, or another --file'
        )
    _check_sizes(path, header, words, run)
    return header, words


def _check_sizes(path: pathlib.Path, header: file_format.Header, words: Words, run: Run) -> None:
    """Compares the number of examples with the run's test split, the file's bits and the memory.

    A text, or items, may be longer than the test split: a file of the user's. Its examples are the
    windows in which it was coded.

    Raises:
      UserError: there are too many.
    """
    n, noun = header.num_examples, 'example'
    if header.coder == 'text':
        n, noun = text_streams.least_bits(n, header.batch_size, *header.event_shape), 'window'
    declared = f'{path} declares {counted(n, noun)}'
    size = _recorded_test_size(run.folder)
    if size is not None and n > size and header.coder not in file_format.OF_SYMBOLS:
        raise UserError(f'{declared}, and {run.folder} has {size} to test')
    if len(words) < padding.num_words(n):
        raise UserError(
            f'{declared}, and it holds fewer bits, {padding.WORD_BITS * len(words):,}: write it '
            'again with --mode=compress'
        )
    limits.check_examples(str(path), n, header.spec)


def _recorded_test_size(folder: pathlib.Path) -> int | None:
    """Returns the size of the test split in config.json, or None if it is not recorded."""
    data = run_folder.load(folder)['data'] if (folder / 'config.json').is_file() else None
    return size_of(data or {}, 'test')


def _check_source(path: pathlib.Path, header: file_format.Header, trained: TrainedRun) -> None:
    """Checks that the file's probabilities can be reproduced here.

    Raises:
      UserError: it was written with other weights, another version of JAX or on another device.
    """
    rules = file_format.RULES
    if header.weights not in (file_format.checksum_of_weights(trained.state, r) for r in rules):
        raise UserError(
            f'{path} was coded with other weights than the {trained.weights}: give --workdir and '
            '--config.eval.weights of the run that coded it, or another --file'
        )
    version, then = file_format.software_version(), header.software_version
    if then != version:
        raise UserError(
            f'{path} was coded with {shortened_text(str(then))} and this is {version}, '
            'which rounds probabilities differently: decode it where it was coded'
        )


APPLICATION = Application(apply, NEEDS, reads='')
