"""Coding of a text in streams: exact round trips, and the context that each symbol is given."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import assembled, with_abilities

from atelier.core.abilities import Conditionals, LogProb
from atelier.core.randomness import rng_for
from atelier.data.dataset import Spec
from atelier.data.text import scored_once
from atelier.evaluation.compression import text_streams
from atelier.run import restore

pytestmark = pytest.mark.usefixtures('scattered_weights')

LEVELS = 4


def log_p_after(count):
    """log p of the symbols after `count` symbols 1 in the window, by a rule of this test."""
    logits = jnp.cos(jnp.asarray(count)[..., None] * jnp.arange(1.0, LEVELS + 1))
    return jax.nn.log_softmax(2 * logits)


def counting() -> Conditionals:
    """Conditionals whose memory counts the symbols 1 of the window, of which it forgets none."""

    def step(weights, memory, i, previous):
        memory = memory + ((i > 0) & (previous == 1))
        return memory, log_p_after(memory)

    return Conditionals(
        order=lambda weights: jnp.arange(8),
        begin=lambda weights, given: jnp.zeros(len(given['x']), jnp.int32),
        step=step,
    )


def run_of(vae, context):
    run = with_abilities(vae, counting())
    spec = Spec((context,), LEVELS, None, symbols='abcd')
    return run._replace(data=run.data._replace(spec=spec))


def expected_bits(text, streams, context):
    """Bits of each symbol, from the windows that the module's docstring describes."""
    bits, half = [], context // 2
    for part in np.array_split(text, streams):
        for position, symbol in enumerate(part):
            start = 0 if position < context else (position - half) // half * half
            assert position - start >= min(position, half)
            count = np.sum(part[start:position] == 1)
            bits.append(-np.asarray(log_p_after(count))[symbol] / np.log(2))
    return np.array(bits)


@settings(max_examples=12)
@given(
    length=st.integers(1, 70),
    streams=st.integers(1, 5),
    context=st.sampled_from([2, 6]),
    seed=st.integers(0, 99),
)
@example(length=1, streams=1, context=6, seed=0)
@example(length=5, streams=5, context=2, seed=0)
@example(length=46, streams=5, context=6, seed=1)
def test_any_text_in_any_streams_is_decoded(vae, length, streams, context, seed):
    """Lengths that neither the streams nor the windows divide; each symbol has its context."""
    run, streams = run_of(vae, context), min(streams, length)
    text, state = np.random.RandomState(seed).randint(0, LEVELS, length), restore.load(run).state
    coded = text_streams.encoded(run, state, text, streams)
    np.testing.assert_allclose(coded.bits, expected_bits(text, streams, context), rtol=1e-4)
    assert coded.bits.sum() <= 32 * len(coded.words) < coded.bits.sum() + 65
    decoded = text_streams.decoded(run, state, coded.words, length, streams)
    np.testing.assert_array_equal(decoded, text)


@pytest.mark.slow
@pytest.mark.parametrize(
    'name',
    [
        'markov',
        pytest.param('char_gru', marks=pytest.mark.slow),
        pytest.param('char_lm', marks=pytest.mark.slow),
    ],
)
def test_one_stream_costs_what_evaluation_reports(tmp_path, name):
    """Up to the last windows, which begin earlier in evaluation."""
    (tmp_path / 'mine.txt').write_text('The cat sat on the mat. A dog ran!\n' * 100)
    fields = dict(data__path=str(tmp_path / 'mine.txt'), data__split_by='order', data__context=8)
    fields |= dict(model__order=2) if name == 'markov' else {}
    run = assembled(tmp_path / 'run', name, 'debug', **fields)
    text = run.data.splits['test']['x'].reshape(-1)[:43].astype(np.int64)
    state = restore.load(run).state
    coded = text_streams.encoded(run, state, text, 1)
    windows = {key: jnp.asarray(array) for key, array in scored_once(text, 8, 4).items()}
    windows['x'] = windows['x'].astype(jnp.float32)
    rng = rng_for(jax.random.PRNGKey(0), np.arange(len(windows['x'])), len(windows['x']))
    by_value = jax.jit(run.family.ability(LogProb).by_value)
    nats = -np.asarray(by_value(state.averaged_weights, windows, rng))
    is_scored = np.arange(8) >= 8 - np.asarray(windows['num_scored'])[:, None]
    nats = nats[is_scored]
    assert len(nats) == 43 and np.ptp(nats) > 0.1
    np.testing.assert_allclose(coded.bits[:40] * np.log(2), nats[:40], rtol=1e-3, atol=1e-4)
    assert (text_streams.decoded(run, state, coded.words, 43, 1) == text).all()


@pytest.mark.slow
def test_a_text_that_costs_nothing_has_a_bit_for_each_window(vae):
    """So a file cannot declare many more symbols than it has bits."""
    run = run_of(vae, 4)
    table = jnp.array([0.0, -40.0, -40.0, -40.0])
    sure = counting()._replace(
        step=lambda weights, memory, i, previous: (memory, jnp.tile(table, (len(previous), 1)))
    )
    run = with_abilities(run, sure)
    state, text = restore.load(run).state, np.zeros(2000, int)
    coded = text_streams.encoded(run, state, text, 2)
    assert text_streams.least_bits(2000, 2, 4) == 2 * (1000 // 2 - 1)
    assert coded.bits.sum() < 1 and len(coded.words) == -(-998 // 32)
    assert (text_streams.decoded(run, state, coded.words, 2000, 2) == 0).all()
    with pytest.raises(ValueError, match='fewer bits'):
        text_streams.decoded(run, state, coded.words[:-1], 2000, 2)
    with pytest.raises(ValueError, match='more streams than an encoder writes'):
        text_streams.decoded(run, state, coded.words, 2000, 1025)


@pytest.mark.parametrize(
    ('length', 'most', 'expected'),
    [(1, 100, 1), (4095, 100, 1), (4096, 100, 2), (111_540, 100, 54), (10**9, 10**6, 1024)],
)
def test_streams_are_long_and_not_too_many(length, most, expected):
    assert text_streams.num_streams(length, most) == expected
    assert text_streams.num_streams(length, 1) == 1
