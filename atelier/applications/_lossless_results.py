"""Sizes of losslessly coded examples beside their likelihood and other formats; their figure."""

import pathlib
from typing import Any

import numpy as np

from atelier.applications import _common, _text_figure, _text_sizes, decompress
from atelier.data.items import are_items, lengths
from atelier.data.text import decode
from atelier.evaluation.compression import image_formats, range_coder
from atelier.evaluation.evaluate import condition_suffix, likelihood_description
from atelier.log import counted, log
from atelier.report import heat_maps, image_grids
from atelier.run.experiment import Run

COLUMNS = 7  # of the figure


def of_examples(
    run: Run, arrays: dict[str, np.ndarray], num_bytes: int, bitstream: range_coder.Bitstream
) -> dict[str, Any]:
    """Bits per example: of the file, of its coded words, as reported, and of other formats.

    'num_dims' is the number of values of an example: of items, the mean number of their symbols,
    ends included.
    """
    spec, n = run.data.spec, len(arrays['x'])
    coder = decompress.coder_of(run)
    bound = f'-ELBO, an upper bound{condition_suffix(run.family)}'
    results = {
        'num_examples': n,
        'coder': coder,
        'reported': bound if coder == 'bits back' else f'log_prob, {likelihood_description(run)}',
        'log_prob': likelihood_description(run),
        'measured_bits': 8 * num_bytes / n,
        'measured_bits_without_header': 32 * len(bitstream.words) / n,
        'reported_bits': float(arrays['reported_bits'].mean()),
        'label_bits': bitstream.label_bits,
        'num_dims': spec.num_dims,
    }
    if are_items(spec):
        results['num_dims'] = float(lengths(arrays['x']).mean())
        sizes = _text_sizes.bits(run, arrays['x'])
        results |= {f'{name}_bits': size / n for name, size in sizes.items()}
    if coder == 'bits back':
        results |= _of_bits_back(arrays, bitstream)
    if coder == 'two part':
        results['code_bits'] = float(bitstream.code_bits.mean())
        results['rest_bits'] = float(bitstream.bits.sum(1).mean())
    if image_grids.is_image(spec) and spec.levels <= 256:
        levels = np.rint(arrays['x']).astype(np.uint8).reshape(n, *spec.event_shape[:2], -1)
        for name, each in image_formats.bytes_of(levels, spec.levels).items():
            results[f'{name.lower()}_bits'] = 8 * each['together']
            results[f'{name.lower()}_bits_apart'] = 8 * each['apart']
    return results


def _of_bits_back(
    arrays: dict[str, np.ndarray], bitstream: range_coder.Bitstream
) -> dict[str, float]:
    """Bits per example, and 'first_bits', the initial bits of all examples together."""
    accounted = arrays['bits'].sum(dtype=np.float64) + bitstream.code_bits.sum()
    accounted += len(arrays['x']) * bitstream.label_bits
    return {
        'log_prob_bits': float(arrays['log_prob_bits'].mean()),
        'code_bits': float(bitstream.code_bits.mean()),
        'first_bits': float(32 * len(bitstream.words) - accounted),
    }


def log_examples(run: Run, results: dict[str, Any], weights: str) -> None:
    """Logs a table of bits."""
    is_of_items = are_items(run.data.spec)
    coded = counted(results['num_examples'], 'item' if is_of_items else 'test example')
    log.info('\n%s, compressed with the model of the %s', coded, weights)
    parts = {'the tokens': 'code_bits', 'the values given the tokens': 'rest_bits'}
    excess = 100 * (results['measured_bits'] / results['reported_bits'] - 1)
    label_note = f', and {results["label_bits"]:.2f} of the label' if results['label_bits'] else ''
    rows = {
        f'file, {excess:+.2f} %': 'measured_bits',
        'the same without its header': 'measured_bits_without_header',
        **(parts if results['coder'] == 'two part' else {}),
        f'{results["reported"]}{label_note}': 'reported_bits',
        f'log_prob, {results["log_prob"]}{label_note}': 'log_prob_bits',
        'PNG, all in one image': 'png_bits',
        'PNG, one file each': 'png_bits_apart',
        'WebP, all in one image': 'webp_bits',
        'WebP, one file each': 'webp_bits_apart',
        **{title: f'{name}_bits' for name, title in _text_sizes.rows().items()},
    }
    rows = {title: name for title, name in rows.items() if name in results}
    width = max(map(len, rows))
    per_value = 'per symbol' if is_of_items else 'per dim'
    log.info('%s %12s %12s', ' ' * width, 'bits each', per_value)
    for title, name in rows.items():
        bits = results[name]
        log.info('%s %12.2f %12.4f', title.ljust(width), bits, bits / results['num_dims'])
    if 'first_bits' in results:
        total = results['num_examples'] * results['measured_bits']
        percent = 100 * results['first_bits'] / total
        log.info('%.2f %% of the file are the initial bits of bits-back coding', percent)


def save_figure(run: Run, arrays: dict[str, np.ndarray], path: pathlib.Path) -> None:
    """Draws images with the bits of their pixels, or items with the nats of their symbols."""
    if are_items(run.data.spec):
        text, nats = decode(arrays['x'], run.data.spec.symbols), arrays['bits'] * np.log(2)
        passages = _text_figure.items(text, nats, in_order=False)
        title = 'Nats by symbol, as coded: the items with the most and the fewest'
        _common.draw_figure(path, _text_figure.figure(passages, run.data.spec.levels, title))
    elif image_grids.is_drawn_as_image(run.data.spec):
        _common.draw_figure(path, _figure_of_images(run, arrays))


def _figure_of_images(run: Run, arrays: dict[str, np.ndarray]):
    """Returns the figure: images from the fewest to the most bits, and the bits of their pixels."""
    totals = arrays['bits'].reshape(len(arrays['x']), -1).sum(1) + arrays.get('code_bits', 0)
    indices = np.linspace(0, len(totals) - 1, min(COLUMNS, len(totals))).round().astype(int)
    indices = np.argsort(totals, kind='stable')[indices]
    shades = image_grids.shades(arrays['x'][indices], run.data.spec)
    bits = arrays['bits'][indices].reshape(shades.shape).sum(-1)
    sizes = [f'{total:.0f} bits' for total in totals[indices]]
    pixels = 'each pixel given the code' if 'code_bits' in arrays else 'each pixel'
    title = f'Test images, from the fewest to the most bits, and below them the bits of {pixels}'
    blank = [''] * len(indices)
    return heat_maps.maps_figure(shades, bits, sizes, blank, 'bits per pixel', title)
