"""Lossless coding of test examples by a model's likelihood, decoded in another process."""

import pathlib
import time

import numpy as np

from atelier import files
from atelier.applications import (
    _common,
    _lossless_results,
    _separate_decoder,
    decompress,
)
from atelier.core import game
from atelier.core.abilities import BitsBack, Conditionals, LogProb
from atelier.core.code_likelihood import CodeLikelihood, TwoPartCode
from atelier.core.code_space import TOKENS
from atelier.core.family import Family
from atelier.core.randomness import Stream, key_for
from atelier.data.classes import described
from atelier.data.dataset import Spec
from atelier.errors import UserError
from atelier.evaluation.compression import (
    bits_back,
    file_format,
    range_coder,
    text_streams,
    two_part,
)
from atelier.evaluation.examples.known_classes import classes_of
from atelier.log import counted, log
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples
from atelier.run.restore import TrainedRun

NAME = 'compress'
TABLE = ('file', 'row', 'label', 'text', 'code_bits', 'reported_bits', 'log_prob_bits')


def can_code(family: Family) -> bool:
    """Whether the family supports range coding, bits-back coding or coding in two parts."""
    abilities = Conditionals, BitsBack, TwoPartCode
    return any(family.ability(ability) is not None for ability in abilities)


def why_not(family: Family, spec: Spec) -> str:
    """Returns why a family that `can_code` rules out cannot code data of this Spec."""
    log_prob = family.ability(LogProb)
    if log_prob is None:
        return 'the model has no likelihood to code by'
    if spec.levels is None:
        return 'coding needs probabilities, and the model has a density of real values'
    if log_prob.kind != 'exact':
        return (
            'the model gives neither p(x) one dimension at a time nor, like a VAE with a posterior '
            'of one layer, p(x | z)'
        )
    return (
        'the model does not give p(x) one dimension at a time: a mixture of several orders needs '
        '--config.model.num_orders=1'
    )


def why_not_of_codes(run: Run) -> str:
    """Returns why a run of codes cannot be coded in two parts; '' of any other run."""
    if run.child is None:
        return ''
    if run.parent.space.kind != TOKENS:
        return (
            'its codes are real values with a density: coding needs tokens, such as those of '
            'configs/vq_vae.py, and bits-back coding of a run of codes is not built'
        )
    if run.parent.run.family.ability(CodeLikelihood) is None:
        return 'the model that made the tokens has no likelihood of x given them, to code x by'
    if run.child.family.ability(Conditionals) is None:
        return 'the model of the tokens does not give their probability one token at a time'
    return ''


def apply(run: Run, num_examples: int, seed: int, name: str) -> dict[str, np.ndarray]:
    """Writes RUN/applications/NAME.bin, decodes it in another process and compares sizes.

    The decoder, `--mode=decompress`, gets only the run's config, its weights and the file. Its
    output has to equal the input. If the model is class-conditional, the file holds the labels too,
    at log2(number of classes that exist for the model) bits each, which the reported bits include.
    PNG and WebP sizes are those of
    `atelier.evaluation.compression.image_formats`, without labels. Items stand beside text formats,
    as in `_lossless_results`.

    A run of codes is coded in two parts, the tokens and x given the tokens.

    With bits-back coding the reported bits are -ELBO as in evaluation, from one sample of z and the
    analytic KL. The outputs other than NAME.bin are then named `compress-likelihood`, because such
    a model can also compress by its codes.

    Returns:
      index [n] in the test split; file and row [n], where they came from; x [n, *event]. Costs in
      bits, computed from the coder's integer frequencies: bits [n, *event] for each value. With
      bits-back coding also code_bits [n], the cost of z minus the bits that come back; in two
      parts, code_bits [n] is the cost of the tokens. Costs of the whole example in bits:
      reported_bits [n] by `log_prob`. With bits-back coding, reported_bits is -ELBO and
      log_prob_bits [n] is by `log_prob`.

    Raises:
      UserError: a missing checkpoint, a bad option, or no test examples.
    """
    _common.check_seed(seed)
    _common.check_split(run, 'test', 1, 'there is nothing to code')
    spec = run.data.spec
    code = run.family.ability(TwoPartCode)
    levels = spec.levels if code is None else max(spec.levels, code.size)
    if levels > range_coder.MAX_LEVELS:
        raise UserError(
            f'the data have {levels} levels: coding allows at most {range_coder.MAX_LEVELS}'
        )
    trained = restore.load(run)
    index = _common.random_test_indices(run, num_examples, seed)
    file = _common.results_path(run, name, '.bin')
    arrays, bitstream, num_bytes = compute(trained, index, file)
    results = _lossless_results.of_examples(run, arrays, num_bytes, bitstream)
    _lossless_results.log_examples(run, results, trained.weights)
    if results['coder'] == 'bits back':
        name = name.replace(NAME, f'{NAME}-likelihood', 1)
    names = [name for name in TABLE if name in arrays]
    path = _common.save(trained, name, arrays, results, names)
    _lossless_results.save_figure(run, arrays, path)
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
    bitstream, num_bytes = coded_file(trained, x, labels, path)
    arrays = {
        **_common.origins_of(run, index),
        'index': index,
        'x': batch['x'],
        'bits': bitstream.bits.reshape(batch['x'].shape).astype(np.float32),
        **({} if bitstream.code_bits is None else {'code_bits': bitstream.code_bits}),
        **{name: each / np.log(2) + bitstream.label_bits for name, each in nats.items()},
    }
    return arrays, bitstream, num_bytes


def coded_file(
    trained: TrainedRun, x: np.ndarray, labels: np.ndarray | None, path: pathlib.Path
) -> tuple[range_coder.Bitstream, int]:
    """Codes what `packed` takes into a file, and checks that another process decodes it.

    Returns:
      The bitstream, and the size of the file in bytes.
    """
    start = time.perf_counter()
    content, bitstream = packed(trained.run, trained.state, x, labels)
    with files.whole(path) as file:
        file.write(content)
    encoded_at = time.perf_counter()
    noun = decompress.NOUNS.get(decompress.coder_of(trained.run), 'test example')
    coded = counted(len(x), noun)
    log.info('%s coded in %.1f seconds: %s', coded, encoded_at - start, path)
    _check_same(_separate_decoder.decoded(trained.run, path), x, labels)
    log.info('decoded without loss in %.1f seconds', time.perf_counter() - encoded_at)
    return bitstream, len(content)


def _batch_and_nats(
    trained: TrainedRun, index: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns (preprocessed test examples, {name of an array of `apply`: values in nats})."""
    run = trained.run

    def report(weights, batch, rng):
        nll = -run.family.ability(LogProb).nats(weights, batch, rng)
        if decompress.coder_of(run) != 'bits back':
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

    x and the labels are those of `as_levels`, or x [length] are the symbols of an endless text. The
    second result is the bitstream.

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
        elif coder == 'text':
            size = text_streams.num_streams(len(x), size)
            bitstream = text_streams.encoded(run, state, x, size)
        elif coder == 'two part':
            bitstream = two_part.encoded(run, state, x, labels, size)
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
        label_rule='trained' if coder == 'text' else run.config.data.get('classes', 'declared'),
        symbols=file_format.checksum_of_symbols(spec.symbols),
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
