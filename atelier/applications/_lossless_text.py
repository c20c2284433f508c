"""Lossless coding of an endless text by a model's likelihood, decoded in another process."""

from typing import Any

import numpy as np

from atelier.applications import _common, _lossless, _text_figure, _text_sizes
from atelier.core.abilities import LogProb
from atelier.core.randomness import Stream, key_for
from atelier.data.text import decode, scored_once, symbols_of
from atelier.errors import UserError
from atelier.evaluation.compression import text_streams
from atelier.evaluation.compression.range_coder import Bitstream
from atelier.evaluation.evaluate import likelihood_description
from atelier.log import counted, log
from atelier.report.figure_text import figure_text
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples
from atelier.run.restore import TrainedRun

PER = '_bits_per_character'  # ending of the names of results


def apply(run: Run, num_characters: int, name: str) -> dict[str, np.ndarray]:
    """Writes the test text to RUN/applications/NAME.bin and decodes it in another process.

    The decoder, `--mode=decompress`, gets only the run's config, its weights and the file. Its
    output has to equal the text. The bits of the file are compared with those of the evaluation,
    -log2 p of the same characters in windows of the same length, and with gzip, bzip2 and xz, alone
    and given the training text (`_text_sizes`).

    Args:
      run: of a language model of endless text.
      num_characters: number of characters from the beginning of the text; 0: all.
      name: of the file.

    Returns:
      x [length], the symbols, and bits [length], the cost of each by the coder's integer
      frequencies.

    Raises:
      UserError: a missing checkpoint or a bad option.
    """
    context = run.data.spec.num_dims
    _common.check_split(run, 'test', 1, 'there is nothing to code')
    if num_characters and num_characters < context:
        raise UserError(
            f'--num_characters={num_characters}: give at least a window of {context}, or 0 for all'
        )
    trained = restore.load(run)
    x = symbols_of(run.data.splits['test'])[: num_characters or None].astype(np.int64)
    file = _common.results_path(run, name, '.bin')
    bitstream, num_bytes = _lossless.coded_file(trained, x, None, file)
    results = _results(trained, x, bitstream, num_bytes)
    _log(trained, results)
    arrays = {'x': x.astype(np.int32), 'bits': bitstream.bits.astype(np.float32)}
    path = _common.save(trained, name, arrays, results)
    _common.draw_figure(path, _figure(run, x, bitstream.bits))
    return arrays


def reported_nats(trained: TrainedRun, x: np.ndarray) -> float:
    """Returns -log p of the text x [length], the sum over windows as in evaluation, in nats."""
    run, context = trained.run, trained.run.data.spec.num_dims
    nats = run.family.ability(LogProb).nats
    apply = over_examples(nats, run.data, run.config.eval.batch_size, trained.devices)
    windows = scored_once(x, context, context // 2)
    key = key_for(trained.state.key, Stream.EVALUATE)
    return -float(np.sum(apply(trained.state, key, windows, len(windows['x'])), dtype=np.float64))


def _results(
    trained: TrainedRun, x: np.ndarray, bitstream: Bitstream, num_bytes: int
) -> dict[str, Any]:
    """Bits per character: of the file, of its words, as evaluated, and of text formats."""
    run, nats = trained.run, reported_nats(trained, x)
    sizes = {
        'file': 8.0 * num_bytes,
        'words': 32.0 * len(bitstream.words),
        'log_prob': nats / np.log(2),
        **_text_sizes.bits(run, x),
    }
    return {
        'num_characters': len(x),
        'num_streams': text_streams.num_streams(len(x), run.config.eval.batch_size),
        'reported': f'log_prob, {likelihood_description(run)}',
        'file_bytes': num_bytes,
        'nats_per_character': nats / len(x),
        **{f'{name}{PER}': float(size / len(x)) for name, size in sizes.items()},
    }


def _log(trained: TrainedRun, results: dict[str, Any]) -> None:
    """Logs a table of bytes and bits per character."""
    coded = counted(results['num_characters'], 'character')
    streams = counted(results['num_streams'], 'stream')
    log.info('\n%s in %s, compressed with the model of the %s', coded, streams, trained.weights)
    excess = 100 * (results[f'file{PER}'] / results[f'log_prob{PER}'] - 1)
    rows = {
        'file': f'file, {excess:+.2f} %',
        'words': 'the same without its header',
        'log_prob': results['reported'],
        **_text_sizes.rows(),
    }
    width = max(map(len, rows.values()))
    log.info('%s %12s %12s', ' ' * width, 'bytes', 'bits per character')
    for name, title in rows.items():
        bits = results[f'{name}{PER}']
        num_bytes = f'{bits * results["num_characters"] / 8:,.0f}'
        log.info('%s %12s %12.4f', title.ljust(width), num_bytes, bits)


def _figure(run: Run, x: np.ndarray, bits: np.ndarray):
    """Returns the figure of the beginning of the text, with the nats at which it was coded."""
    text, nats = decode(x[None], run.data.spec.symbols), bits[None] * np.log(2)
    passages = _text_figure.beginning(text, nats, np.array([len(x)]))
    examples = figure_text(_common.described_examples(run))
    title = f'Nats by character, as coded: {examples}'
    return _text_figure.figure(passages, run.data.spec.levels, title)
