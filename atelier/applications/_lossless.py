"""Lossless coding of test examples by a model's likelihood, decoded in another process."""

import pathlib
import time
from typing import Any

import numpy as np

from atelier import files
from atelier.applications import _common, _separate_decoder, decompress
from atelier.core import game
from atelier.core.abilities import BitsBack, Conditionals, LogProb
from atelier.core.family import Family
from atelier.core.randomness import Stream, key_for
from atelier.data.classes import described
from atelier.data.dataset import Spec
from atelier.errors import UserError
from atelier.evaluation.compression import bits_back, file_format, image_formats, range_coder
from atelier.evaluation.evaluate import condition_suffix, likelihood_description
from atelier.evaluation.examples.known_classes import classes_of
from atelier.evaluation.per_example.over_examples import over_examples
from atelier.log import counted, log
from atelier.report import heat_maps, image_grids
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NAME = 'compress'
COLUMNS = 7  # of the figure
TABLE = ('file', 'row', 'label', 'code_bits', 'reported_bits', 'log_prob_bits')


def can_code(family: Family) -> bool:
    """Whether the family supports range coding (Conditionals) or bits-back coding (BitsBack)."""
    return family.ability(Conditionals) is not None or family.ability(BitsBack) is not None


def why_not(family: Family, spec: Spec) -> str:
    """Returns why a family that `can_code` rules out cannot code data of this Spec."""
    log_prob = family.ability(LogProb)
    if log_prob is None:
        return 'the model has no likelihood to code by'
    if spec.levels is None:
        return 'coding needs probabilities, and the model has a density of real values'
    if spec.symbols is not None:
        return 'the windows of a text overlap, so they cannot be coded one by one'
    if log_prob.kind != 'exact':
        return (
            'the model gives neither p(x) one dimension at a time nor, like a VAE with a posterior '
            'of one layer, p(x | z)'
        )
    return (
        'the model does not give p(x) one dimension at a time: a mixture of several orders needs '
        '--config.model.num_orders=1'
    )


def apply(run: Run, num_images: int, seed: int, name: str) -> dict[str, np.ndarray]:
    """Writes RUN/applications/NAME.bin, decodes it in another process and compares sizes.

    The decoder, `--mode=decompress`, gets only the run's config, its weights and the file. Its
    output has to equal the input. If the model is class-conditional, the file holds the labels too,
    at log2(number of classes that exist for the model) bits each, which the reported bits include.
    PNG and WebP sizes are those of
    `atelier.evaluation.compression.image_formats`, without labels.

    With bits-back coding the reported bits are -ELBO as in evaluation, from one sample of z and the
    analytic KL. The outputs other than NAME.bin are then named `compress-likelihood`, because such
    a model can also compress by its codes.

    Returns:
      index [n] in the test split; file and row [n], where they came from; x [n, *event]. Costs in
      bits, computed from the coder's integer frequencies: bits [n, *event] for each value. With
      bits-back coding also code_bits [n], the cost of z minus the bits that come back. Costs of the
      whole example in bits: reported_bits [n] by `log_prob`. With bits-back coding, reported_bits
      is -ELBO and log_prob_bits [n] is by `log_prob`.

    Raises:
      UserError: a missing checkpoint, a bad option, or no test examples.
    """
    _common.at_least(1, num_images=num_images)
    _common.check_seed(seed)
    _common.check_split(run, 'test', 1, 'there is nothing to code')
    spec = run.data.spec
    if spec.levels > range_coder.MAX_LEVELS:
        raise UserError(
            f'the data have {spec.levels} levels: coding allows at most {range_coder.MAX_LEVELS}'
        )
    trained = restore.load(run)
    index = _common.random_test_indices(run, num_images, seed)
    file = _common.results_path(run, name, '.bin')
    arrays, bitstream, num_bytes = compute(trained, index, file)
    results = _results(run, arrays, num_bytes, bitstream)
    _log(run, results, trained.weights)
    if bitstream.code_bits is not None:
        name = name.replace(NAME, f'{NAME}-likelihood', 1)
    names = [name for name in TABLE if name in arrays]
    path = _common.save(trained, name, arrays, results, names)
    if image_grids.is_drawn_as_image(spec):
        _save_figure(run, arrays, path)
    return arrays


def compute(
    trained: TrainedRun, index: np.ndarray, path: pathlib.Path
) -> tuple[dict[str, np.ndarray], range_coder.Bitstream, int]:
    """Codes the test examples at `index` into a file; checks that they decode without loss.

    Returns:
      The arrays of `apply`, the bitstream, and the size of the file in bytes.
    """
    run = trained.run
    batch, nats = _batch_and_nats(trained, index)
    x, labels = as_levels(batch)
    start = time.perf_counter()
    content, bitstream = packed(run, trained.state, x, labels)
    with files.whole(path) as file:
        file.write(content)
    encoded_at = time.perf_counter()
    coded = counted(len(x), 'test example')
    log.info('%s coded in %.1f seconds: %s', coded, encoded_at - start, path)
    _check_same(_separate_decoder.decoded(run, path), x, labels)
    log.info('decoded without loss in %.1f seconds', time.perf_counter() - encoded_at)
    arrays = {
        **_common.origins_of(run, index),
        'index': index,
        'x': batch['x'],
        'bits': bitstream.bits.reshape(batch['x'].shape).astype(np.float32),
        **({} if bitstream.code_bits is None else {'code_bits': bitstream.code_bits}),
        **{name: each / np.log(2) + bitstream.label_bits for name, each in nats.items()},
    }
    return arrays, bitstream, len(content)


def _batch_and_nats(
    trained: TrainedRun, index: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns (preprocessed test examples, {name of an array of `apply`: values in nats})."""
    run = trained.run

    def report(weights, batch, rng):
        nll = -run.family.ability(LogProb).nats(weights, batch, rng)
        if decompress.coder_of(run) == 'range':
            return batch, {'reported_bits': nll}
        bound = -run.family.metrics(weights, batch, rng)['elbo_nats']
        return batch, {'reported_bits': bound, 'log_prob_bits': nll}

    split = {name: array[index] for name, array in run.data.splits['test'].items()}
    apply = over_examples(report, run.data, run.config.eval.batch_size, trained.devices)
    key = key_for(trained.state.key, Stream.EVALUATE)
    return apply(trained.state, key, split, len(index))


def as_levels(batch: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns (x [n, dims], labels [n] or None) as integers."""
    x, labels = np.rint(batch['x']).astype(np.int64), batch.get('label')
    return x.reshape(len(x), -1), None if labels is None else labels.astype(np.int64)


def packed(
    run: Run, state: game.State, x: np.ndarray, labels: np.ndarray | None
) -> tuple[bytes, range_coder.Bitstream]:
    """Returns the file content that holds x, and its labels if the model is class-conditional.

    x and the labels are those of `as_levels`. The second result is the bitstream.

    Raises:
      UserError: the weights give no probabilities, or a label was never trained.
    """
    spec, size = run.data.spec, min(run.config.eval.batch_size, len(x))
    labels, coder = labels if range_coder.is_labelled(run) else None, decompress.coder_of(run)
    if labels is not None:
        _check_labels(run, labels)
    try:
        if coder == 'bits back':
            bitstream, size = bits_back.encoded(run, state, x, labels), 1
        else:
            bitstream = range_coder.encoded(run, state, x, labels, size)
    except ValueError as error:
        raise UserError(f'{run.folder} gives no probabilities to code by: {error}') from error
    header = file_format.Header(
        num_examples=len(x),
        batch_size=size,
        weights=file_format.checksum_of_weights(state),
        examples=0,
        software_version=file_format.software_version(),
        event_shape=spec.event_shape,
        levels=spec.levels,
        num_classes=spec.num_classes,
        left_out=spec.left_out,
        coder=coder,
        label_rule=run.config.data.get('classes', 'declared'),
    )
    header = header._replace(examples=file_format.checksum_of(header, x, labels))
    return file_format.packed(header, bitstream.words), bitstream


def _check_labels(run: Run, labels: np.ndarray) -> None:
    """Checks that every label [n] is of a class that exists for the model.

    Raises:
      UserError: one is not.
    """
    classes, spec = classes_of(run), run.data.spec
    unknown = np.unique(labels[~np.isin(labels, classes)]).tolist()
    if unknown:
        raise UserError(
            f'{run.folder} codes no example of a class without training examples '
            f'({described(spec, unknown)}): give examples of {described(spec, classes)}'
        )


def _check_same(decoded: dict[str, np.ndarray], x: np.ndarray, labels: np.ndarray | None) -> None:
    same = np.array_equal(decoded['x'].reshape(x.shape), x)
    if not same or ('label' in decoded and not np.array_equal(decoded['label'], labels)):
        raise RuntimeError('the decoded examples differ from the coded ones')


def _results(
    run: Run, arrays: dict[str, np.ndarray], num_bytes: int, bitstream: range_coder.Bitstream
) -> dict[str, Any]:
    """Bits per example: of the file, of its coded words, as reported, and of image formats."""
    spec, n = run.data.spec, len(arrays['x'])
    has_code = bitstream.code_bits is not None
    bound = f'-ELBO, an upper bound{condition_suffix(run.family)}'
    results = {
        'num_examples': n,
        'coder': decompress.coder_of(run),
        'reported': bound if has_code else f'log_prob, {likelihood_description(run)}',
        'log_prob': likelihood_description(run),
        'measured_bits': 8 * num_bytes / n,
        'measured_bits_without_header': 32 * len(bitstream.words) / n,
        'reported_bits': float(arrays['reported_bits'].mean()),
        'label_bits': bitstream.label_bits,
        'num_dims': spec.num_dims,
    }
    if has_code:
        accounted_bits = (
            arrays['bits'].sum(dtype=np.float64)
            + bitstream.code_bits.sum()
            + n * bitstream.label_bits
        )
        results['log_prob_bits'] = float(arrays['log_prob_bits'].mean())
        results['code_bits'] = float(bitstream.code_bits.mean())
        results['first_bits'] = float(
            32 * len(bitstream.words) - accounted_bits
        )  # of all examples together
    if image_grids.is_image(spec) and spec.levels <= 256:
        levels = np.rint(arrays['x']).astype(np.uint8).reshape(n, *spec.event_shape[:2], -1)
        for name, each in image_formats.bytes_of(levels, spec.levels).items():
            results[f'{name.lower()}_bits'] = 8 * each['together']
            results[f'{name.lower()}_bits_apart'] = 8 * each['apart']
    return results


def _log(run: Run, results: dict[str, Any], weights: str) -> None:
    """Logs a table of bits."""
    coded = counted(results['num_examples'], 'test example')
    log.info('\n%s, compressed with the model of the %s', coded, weights)
    excess = 100 * (results['measured_bits'] / results['reported_bits'] - 1)
    label_note = f', and {results["label_bits"]:.2f} of the label' if results['label_bits'] else ''
    rows = {
        f'file, {excess:+.2f} %': 'measured_bits',
        'the same without its header': 'measured_bits_without_header',
        f'{results["reported"]}{label_note}': 'reported_bits',
        f'log_prob, {results["log_prob"]}{label_note}': 'log_prob_bits',
        'PNG, all in one image': 'png_bits',
        'PNG, one file each': 'png_bits_apart',
        'WebP, all in one image': 'webp_bits',
        'WebP, one file each': 'webp_bits_apart',
    }
    width = max(map(len, rows))
    log.info('%s %12s %12s', ' ' * width, 'bits each', 'per dim')
    for title, name in rows.items():
        if name in results:
            bits = results[name]
            log.info('%s %12.2f %12.4f', title.ljust(width), bits, bits / run.data.spec.num_dims)
    if 'first_bits' in results:
        total = results['num_examples'] * results['measured_bits']
        percent = 100 * results['first_bits'] / total
        log.info('%.2f %% of the file are the initial bits of bits-back coding', percent)


def _save_figure(run: Run, arrays: dict[str, np.ndarray], path: pathlib.Path) -> None:
    """Draws images from the fewest to the most bits, and below each the bits of its pixels."""
    totals = arrays['bits'].reshape(len(arrays['x']), -1).sum(1) + arrays.get('code_bits', 0)
    indices = np.linspace(0, len(totals) - 1, min(COLUMNS, len(totals))).round().astype(int)
    indices = np.argsort(totals, kind='stable')[indices]
    shades = image_grids.shades(arrays['x'][indices], run.data.spec)
    bits = arrays['bits'][indices].reshape(shades.shape).sum(-1)
    sizes = [f'{total:.0f} bits' for total in totals[indices]]
    pixels = 'each pixel given the code' if 'code_bits' in arrays else 'each pixel'
    title = f'Test images, from the fewest to the most bits, and below them the bits of {pixels}'
    blank = [''] * len(indices)
    figure = heat_maps.maps_figure(shades, bits, sizes, blank, 'bits per pixel', title)
    _common.draw_figure(path, figure)
