"""Range coding: exact round trips for any examples, at the predicted number of bits."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, with_abilities

from atelier.core.abilities import Conditionals
from atelier.data.dataset import Spec
from atelier.evaluation.compression import (
    file_format,
    integer_frequencies,
    range_coder,
    word_stream,
)
from atelier.evaluation.compression.mosaic import mosaic, per_mosaic, tiles_of
from atelier.run import restore

pytestmark = pytest.mark.usefixtures('scattered_weights')

NAMES = ('naive_bayes', 'chow_liu')
OTHERS = ('fvsbn', 'mixture')
KEEPING = ('pixelcnn', 'gated_pixelcnn', 'pixel_transformer')  # cache past activations


@pytest.fixture(scope='module')
def run_of(tmp_path_factory):
    return lambda name: assembled(tmp_path_factory.mktemp(name), name)


def checked_round_trip(run, x, labels=None, batch_size=7):
    state = restore.load(run).state
    coded = range_coder.encoded(run, state, x, labels, batch_size)
    assert coded.words.dtype == np.uint32
    # the range has 32 to 64 bits, so one or two final words identify the coded number
    total = coded.bits.sum() + len(x) * coded.label_bits
    assert 0 <= 32 * len(coded.words) - total < 65
    decoded_x, decoded_labels = range_coder.decoded(run, state, coded.words, len(x), batch_size)
    np.testing.assert_array_equal(decoded_x, x)
    if labels is not None:
        np.testing.assert_array_equal(decoded_labels, labels)
    return coded


@pytest.mark.parametrize(
    'name', [*NAMES, *(pytest.param(n, marks=pytest.mark.slow) for n in (*OTHERS, *KEEPING))]
)
def test_the_round_trip_is_exact(run_of, name):
    """For digits, and for noise, which is very improbable; the last batch is incomplete."""
    run, random = run_of(name), np.random.RandomState(0)
    split = {n: array[:9] for n, array in run.data.splits['test'].items()}
    noise = random.randint(0, 17, (9, 64))
    labels = random.randint(0, 10, 18) if range_coder.is_labelled(run) else None
    x = np.concatenate([split['x'].reshape(9, 64).astype(int), noise])
    coded = checked_round_trip(run, x, labels)
    assert coded.bits.max() <= 24 and coded.bits.min() >= 0
    assert coded.label_bits == pytest.approx(np.log2(10) if labels is not None else 0, rel=1e-5)


def chain(log_probs, order):
    """Returns conditionals with the same distribution at every position, whatever came before."""
    table = jnp.asarray(log_probs, jnp.float32)
    step = lambda weights, memory, i, before: (
        memory,
        jnp.broadcast_to(table, (len(before), len(table))),
    )
    return Conditionals(
        order=lambda weights: jnp.asarray(order),
        begin=lambda weights, given: jnp.zeros(()),
        step=step,
    )


def test_bits_equal_the_negative_log_probabilities(vae):
    """With known probabilities, over thousands of values and a permuted order."""
    run = with_abilities(vae, chain(np.log([0.7, 0.2, 0.1]), [2, 0, 1]))
    run = run._replace(data=run.data._replace(spec=Spec((3,), 3, None)))
    x = np.random.RandomState(1).choice(3, (2000, 3), p=[0.7, 0.2, 0.1])
    coded = checked_round_trip(run, x, batch_size=500)
    np.testing.assert_allclose(coded.bits, -np.log2([0.7, 0.2, 0.1])[x], rtol=1e-5)
    assert 32 * len(coded.words) < 1.001 * -np.log2([0.7, 0.2, 0.1])[x].sum() + 64


def test_examples_that_cost_nothing_have_a_bit_each(vae):
    """So a file declares no more examples than it has bits."""
    run = with_abilities(vae, chain([0.0, -40.0], [0, 1, 2]))
    run = run._replace(data=run.data._replace(spec=Spec((3,), 2, None)))
    state, x = restore.load(run).state, np.zeros((1000, 3), int)
    coded = range_coder.encoded(run, state, x, None, 500)
    assert coded.bits.sum() < 1 and len(coded.words) == 32
    decoded_x, _ = range_coder.decoded(run, state, coded.words, 1000, 500)
    np.testing.assert_array_equal(decoded_x, x)
    with pytest.raises(ValueError, match='fewer bits than examples'):
        range_coder.decoded(run, state, coded.words[:-1], 1000, 500)


def test_decoding_stops_where_the_words_end(vae, monkeypatch):
    """A stranger's header may declare more examples than were coded."""
    run = with_abilities(vae, chain(np.log([0.5, 0.5]), [0, 1, 2]))
    run = run._replace(data=run.data._replace(spec=Spec((3,), 2, None)))
    state, x = restore.load(run).state, np.random.RandomState(0).randint(0, 2, (8, 3))
    words, tables = np.append(range_coder.encoded(run, state, x, None, 1).words, np.uint32(7)), []
    bits = lambda table, values: tables.append(table) or np.ones(len(values))
    monkeypatch.setattr(integer_frequencies, 'bits', bits)
    with pytest.raises(ValueError, match='end before the last example'):
        range_coder.decoded(run, state, words, 32 * len(words), 1)
    assert len(tables) == 32 * len(words) + word_stream.MAX_LEFT + 1 < 3 * 32 * len(words)


def test_values_of_zero_probability_are_coded_too(vae):
    run = with_abilities(vae, chain([0.0, -jnp.inf], [0, 1]))
    run = run._replace(data=run.data._replace(spec=Spec((2,), 2, None)))
    coded = checked_round_trip(run, np.array([[0, 1], [1, 1], [0, 0]]))
    np.testing.assert_allclose(coded.bits, [[0, 24], [24, 24], [0, 0]], atol=1e-6)


def of_items(log_probs) -> Conditionals:
    """Conditionals of items of at most four symbols, of the same distribution at each position."""
    table = jnp.asarray(log_probs, jnp.float32)
    sure = jnp.where(jnp.arange(len(table)) == 0, 0.0, -jnp.inf)
    first = jax.nn.log_softmax(jnp.where(jnp.arange(len(table)) == 0, -jnp.inf, table))

    def step(weights, has_ended, i, previous):
        has_ended |= (i > 0) & (previous == 0)
        inside = jnp.where(i == 0, first, table)
        return has_ended, jnp.where(has_ended[:, None] | (i == 4), sure, inside)

    return Conditionals(
        order=lambda weights: jnp.arange(5),
        begin=lambda weights, given: jnp.zeros(len(given['x']), bool),
        step=step,
    )


def random_items(n):
    """n items of one to four symbols 1 and 2, each with its end and padding."""
    random = np.random.RandomState(0)
    lengths = random.randint(1, 5, n)
    return np.where(np.arange(5) < lengths[:, None], random.randint(1, 3, (n, 5)), 0), lengths


@pytest.mark.parametrize(('n', 'batch_size'), [(1, 3), (3, 3), (50, 7)])
def test_items_cost_nothing_after_their_ends(vae, monkeypatch, n, batch_size):
    """Nor a forced end. A batch needs no more steps than its longest item has symbols, and one."""
    log_probs = np.log([0.2, 0.5, 0.3])
    run = with_abilities(vae, of_items(log_probs))
    spec = Spec((5,), 3, None, symbols='\0ab')
    run = run._replace(data=run.data._replace(spec=spec))
    x, lengths = random_items(n)
    coded = checked_round_trip(run, x, batch_size=batch_size)
    after_end = np.arange(5) > np.minimum(lengths, 3)[:, None]
    assert (coded.bits[after_end] == 0).all()
    expected = np.where(after_end, 0, -log_probs[x])
    expected[:, 0] += np.log(0.8)  # an item has a symbol
    np.testing.assert_allclose(coded.bits, expected / np.log(2), rtol=1e-4, atol=1e-5)
    monkeypatch.setattr(range_coder, 'compiled_conditionals', counted_steps(run, calls := []))
    range_coder.encoded(run, restore.load(run).state, x, None, batch_size)
    longest = [lengths[first : first + batch_size].max() for first in range(0, n, batch_size)]
    assert len(calls) == sum(longest) + len(longest)


def counted_steps(run, calls):
    compiled = range_coder.compiled_conditionals(run, restore.load(run).state)
    step = lambda *arguments: calls.append(1) or compiled.step(*arguments)
    return lambda *arguments: compiled._replace(step=step)


def test_what_is_no_item_is_refused(vae):
    """A symbol after the end, which no file could give back."""
    run = with_abilities(vae, of_items(np.log([0.2, 0.5, 0.3])))
    run = run._replace(data=run.data._replace(spec=Spec((5,), 3, None, symbols='\0ab')))
    with pytest.raises(ValueError, match='not the only one'):
        x = np.array([[1, 0, 2, 0, 0], [1, 1, 1, 0, 0]])
        range_coder.encoded(run, restore.load(run).state, x, None, 2)


def test_probabilities_that_are_not_finite_are_refused(vae):
    run = with_abilities(vae, chain([0.0, jnp.nan], [0, 1]))
    run = run._replace(data=run.data._replace(spec=Spec((2,), 2, None)))
    state = restore.load(run).state
    with pytest.raises(ValueError, match='not finite'):
        range_coder.encoded(run, state, np.zeros((1, 2), int), None, 1)


def test_a_file_keeps_its_header(tmp_path):
    words = np.array([1, 2**32 - 1, 7], np.uint32)
    header = file_format.Header(3, 2, 11, 12, 'jax 9 tpu', (4, 4, 1), 17, 5, (2, 3))
    path = tmp_path / 'file.bin'
    for coder, rule in file_format.MAGIC:
        symbols = 99 if coder in file_format.OF_SYMBOLS else None
        header = header._replace(coder=coder, label_rule=rule, symbols=symbols)
        path.write_bytes(file_format.packed(header, words))
        read_header, read_words = file_format.read(path)
        assert read_header == header
        assert read_header.spec == Spec((4, 4, 1), 17, 5, left_out=(2, 3))
        assert read_header.classes == ((0, 1, 4) if rule == 'trained' else (0, 1, 2, 3, 4))
        np.testing.assert_array_equal(read_words, words)


def test_a_file_of_another_format_is_refused_in_one_line(tmp_path, complaint):
    assert 'cannot read' in complaint(file_format.read, tmp_path / 'none')
    os.mkfifo(tmp_path / 'pipe')
    assert 'not a regular file' in complaint(file_format.read, tmp_path / 'pipe')
    path = tmp_path / 'file.bin'
    for content in (b'', b'PNG', b'atelier5', b'atelier5[1]\n', b'atelier5[1,2\n12'):
        path.write_bytes(content)
        line = complaint(file_format.read, path)
        assert ('holds no coded examples' if content[:8] != b'atelier5' else 'damaged') in line
    huge = [2**60, 1, 0, 0, '', [8, 8, 1], 17, None, []]
    path.write_bytes(file_format.packed(file_format.Header(*huge), np.zeros(1, np.uint32)))
    assert 'damaged' in complaint(file_format.read, path)


def test_every_flipped_bit_of_a_header_is_detected(tmp_path, complaint):
    header = file_format.Header(3, 2, 11, 12, 'jax 9 tpu', (8, 8, 1), 17, None, ())
    content, path = file_format.packed(header, np.zeros(0, np.uint32)), tmp_path / 'file.bin'
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        line = complaint(file_format.read, path)
        assert 'damaged' in line or 'holds no coded examples' in line


@pytest.mark.parametrize('n', [1, 4, 5])
def test_tiles_restore_the_images_of_a_mosaic(n):
    x = np.random.RandomState(n).randint(0, 255, (n, 3, 5, 3)).astype(np.uint8)
    whole = mosaic(x)
    assert whole.size >= x.size and per_mosaic(x) > 10_000
    np.testing.assert_array_equal(tiles_of(whole, n, 3, 5), x)
