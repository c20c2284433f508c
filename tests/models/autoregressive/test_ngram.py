"""The n-gram model against counts in plain Python; its probabilities are normalised."""

import collections
import math
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled

import train_lib
from atelier.core.abilities import LogProb, Sample
from atelier.core.randomness import rng_for
from atelier.data import text
from atelier.data.dataset import Spec
from atelier.errors import UserError
from atelier.evaluation import evaluate
from atelier.report.metrics_log import read_metrics
from atelier.run import restore
from models.autoregressive import ngram as markov_lib
from models.autoregressive.ngram import count_ngrams, markov
from models.autoregressive.token_sampling import SamplingOptions

REAL = pathlib.Path(__file__).resolve().parents[4] / 'shared/data/text/tinyshakespeare.txt'
SYMBOLS = 4
log_probs = jax.jit(markov_lib.log_probs, static_argnums=3)


def random_text(n=300, seed=0):
    """Random tokens that depend on the token two before; the last symbol occurs once."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, SYMBOLS - 1, n)
    for i in range(2, n):
        if rng.random() < 0.7:
            x[i] = (x[i - 2] + 1) % (SYMBOLS - 1)
    x[n // 2] = SYMBOLS - 1
    return x


def witten_bell_prob(train, context, symbol):
    """p(symbol | context) by the Witten-Bell recursion, in plain Python."""
    train, context = list(map(int, train)), list(map(int, context))
    counts = collections.Counter()
    for i in range(len(context), len(train)):
        if train[i - len(context) : i] == context:
            counts[train[i]] += 1
    lower_order_prob = 1 / SYMBOLS if not context else witten_bell_prob(train, context[1:], symbol)
    if not counts:
        return lower_order_prob
    num_kinds, total = len(counts), sum(counts.values())
    return (counts[symbol] + num_kinds * lower_order_prob) / (total + num_kinds)


def tables_of(train, order, num_pieces=7, context=8):
    pieces = text._training(train, context, num_pieces)
    x = jnp.asarray(pieces['x'], jnp.int32)
    is_counted = jnp.arange(x.shape[1]) >= x.shape[1] - jnp.asarray(pieces['num_scored'])[:, None]
    return jax.jit(count_ngrams, static_argnums=(2, 3))(x, is_counted, order, SYMBOLS)


@pytest.mark.parametrize(
    'order', [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(3, marks=pytest.mark.slow)]
)
def test_counts_in_plain_python_agree(order):
    train, held_out = random_text(), random_text(40, seed=1)
    tables = tables_of(train, order)
    x = jnp.asarray(held_out[None], jnp.int32)
    probs = np.exp(log_probs(tables, x, x[..., None], SYMBOLS))[0, :, 0]
    expected = [
        witten_bell_prob(train, held_out[max(0, i - order) : i], held_out[i]) for i in range(40)
    ]
    np.testing.assert_allclose(probs, expected, rtol=1e-5)


def test_any_context_has_probabilities_that_sum_to_one():
    """Unseen contexts included."""
    tables = tables_of(random_text(), 3)
    contexts = np.stack(np.meshgrid(*[np.arange(SYMBOLS)] * 3), -1).reshape(-1, 3)
    x = jnp.asarray(np.pad(contexts, ((0, 0), (0, 1))), jnp.int32)
    candidates = jnp.broadcast_to(jnp.arange(SYMBOLS), (*x.shape, SYMBOLS))
    p = np.exp(log_probs(tables, x, candidates, SYMBOLS))
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-5)
    assert p.min() > 0


@pytest.mark.parametrize(
    'order', [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(3, marks=pytest.mark.slow)]
)
def test_items_have_the_counts_of_plain_python(order):
    """Each item begins after one end token; counts of other items' tokens are no context."""
    rng = np.random.default_rng(3)
    items = [rng.integers(1, SYMBOLS, rng.integers(1, 6)).tolist() for _ in range(40)]
    row = np.array([token for item in items for token in (*item, 0)])
    x, num_dims = jnp.asarray(np.stack([row, np.zeros_like(row)])), 6
    spec = Spec((num_dims,), SYMBOLS, None, symbols='\0abc')
    family = markov(spec, order, SamplingOptions())
    weights = jax.jit(family.init)(jax.random.PRNGKey(0), {'x': x})
    by_value = jax.jit(family.ability(LogProb).by_value)

    def prob(context, symbol):
        """The recursion over all places of all items; an item's own history has one end before."""
        counts = collections.Counter()
        for item in items:
            history = [0, *item, 0]
            for i in range(1, len(history)):
                begin = i - len(context)
                if begin >= 0 and history[begin:i] == context:
                    counts[history[i]] += 1
        lower = 1 / SYMBOLS if not context else prob(context[1:], symbol)
        total, kinds = sum(counts.values()), len(counts)
        return (counts[symbol] + kinds * lower) / (total + kinds) if counts else lower

    for item in ([1, 2, 3], [3, 3, 3, 3, 3], [2]):
        history = [0, *item, 0]
        contexts = [history[max(0, i - order) : i] for i in range(1, len(history))]
        expected = [prob(c, s) for c, s in zip(contexts, history[1:], strict=True)]
        expected[0] /= 1 - prob(contexts[0], 0)  # an item is not empty
        if len(item) == num_dims - 1:
            expected[-1] = 1
        event = jnp.asarray([history[1:] + [0] * (num_dims - len(history) + 1)], jnp.float32)
        log_probs_of_item = by_value(weights, {'x': event}, None)[0, : len(expected)]
        np.testing.assert_allclose(np.exp(log_probs_of_item), expected, rtol=1e-5)


@pytest.mark.parametrize('num_pieces', [pytest.param(1, marks=pytest.mark.slow), 300])
def test_how_the_text_is_cut_makes_no_difference(num_pieces):
    tables, recut_tables = tables_of(random_text(), 2), tables_of(random_text(), 2, num_pieces)
    for table, recut_table in zip(tables, recut_tables, strict=True):
        n = int((np.asarray(table.codes) < markov_lib.NONE).sum())
        np.testing.assert_array_equal(table.codes[:n], recut_table.codes[:n])
        np.testing.assert_array_equal(table.counts[:n], recut_table.counts[:n])
        assert float(recut_table.counts.sum()) == float(recut_table.totals.sum())


def test_stepwise_log_probs_are_those_of_the_whole_text():
    """Steps with cached context indices give the same probabilities."""
    spec = Spec((8,), SYMBOLS, None, symbols='abcd')
    tables, x = tables_of(random_text(), 3), jnp.asarray(random_text(16, seed=2).reshape(2, 8))
    weights = markov_lib._as_weights(tables)
    steps = markov_lib._steps(3, SYMBOLS)
    begun = steps.begin(weights, {'x': x}, 0)
    before = jnp.pad(x[:, :-1], ((0, 0), (1, 0))).T.astype(jnp.float32)
    step = lambda memory, at: steps.step(weights, memory, *at)
    _, stepwise_log_probs = jax.lax.scan(step, begun, (jnp.arange(spec.num_dims), before))
    all_symbols = jnp.broadcast_to(jnp.arange(SYMBOLS), (2, 8, SYMBOLS))
    expected = log_probs(tables, x.astype(jnp.int32), all_symbols, SYMBOLS)
    np.testing.assert_allclose(jnp.moveaxis(stepwise_log_probs, 0, 1), expected, rtol=1e-5)


@pytest.mark.slow
def test_samples_have_the_frequencies_of_the_model():
    spec = Spec((8,), SYMBOLS, None, symbols='abcd')
    family = markov(spec, 2, SamplingOptions())
    weights = markov_lib._as_weights(tables_of(random_text(), 2))
    n = 20_000
    rng = rng_for(jax.random.PRNGKey(0), jnp.arange(n), n)
    x = np.asarray(jax.jit(lambda w, d: family.ability(Sample).draw(w, d, None))(weights, rng), int)
    frequencies = np.bincount(x[:, :3] @ [16, 4, 1], minlength=64) / n
    all_beginnings = np.stack(np.meshgrid(*[np.arange(SYMBOLS)] * 3, indexing='ij'), -1).reshape(
        -1, 3
    )
    tables = markov_lib._tables_of(weights)
    tokens = jnp.asarray(all_beginnings, jnp.int32)
    p = np.exp(log_probs(tables, tokens, tokens[..., None], SYMBOLS).sum((1, 2)))
    np.testing.assert_allclose(frequencies, p, atol=4 * np.sqrt(0.25 / n))


def test_a_text_with_too_many_codes_is_refused():
    x = jax.ShapeDtypeStruct((2**16, 2**10), jnp.int32)
    is_counted = jax.ShapeDtypeStruct(x.shape, bool)
    with pytest.raises(UserError, match='67,108,864 tokens with a vocabulary of 100 are too many'):
        jax.eval_shape(lambda *a: count_ngrams(*a, 3, 100), x, is_counted)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(model__order=40), 'order=40: must be at most half of config.data.context=64'),
        (dict(model__order=-1), 'config.model.order=-1'),
        (dict(train__batch_size=40), 'set both to the same number'),
        (dict(data__name='digits'), 'digits is not a text'),
    ],
)
def test_unfit_data_and_settings_are_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        assembled(tmp_path, 'markov', 'debug', **changes)


@pytest.fixture
def nats_of_run(tmp_path):
    """Function: num_devices -> the metrics of an order-2 run trained on some text."""

    def train(num_devices):
        (tmp_path / 'mine.txt').write_text(''.join('abcd'[i] for i in random_text(3000)))
        changes = dict(data__path=str(tmp_path / 'mine.txt'), data__split_by='order')
        changes |= dict(data__context=8, model__order=2)
        run = assembled(tmp_path / str(num_devices), 'markov', 'debug', **changes)
        devices = jax.devices()[:num_devices]
        train_lib.train(run, devices)
        values = evaluate.evaluate(run, devices)['values']
        (validation_row,) = [
            row for row in read_metrics(run.folder) if 'valid/nats_per_character' in row
        ]
        means = {name: value['mean'] for name, value in values.items()}
        return {**means, 'in training': validation_row['valid/nats_per_character']}

    return train


@pytest.mark.slow
def test_a_run_reports_the_mean_nats_of_all_symbols(nats_of_run):
    """Metrics match plain counting per token; the validation text is part of the counted text."""
    metrics, x = nats_of_run(1), random_text(3000)
    train = x[:2700]

    def nats_of(part):
        context = lambda i: part[max(0, i - 2) : i]
        return np.mean(
            [-math.log(witten_bell_prob(train, context(i), s)) for i, s in enumerate(part)]
        )

    nats = nats_of(x[2700:])
    np.testing.assert_allclose(metrics['nats_per_character'], nats, rtol=1e-5)
    np.testing.assert_allclose(metrics['bits_per_character'], nats / math.log(2), rtol=1e-5)
    np.testing.assert_allclose(metrics['in training'], nats_of(train[-135:]), rtol=1e-5)


@pytest.mark.slow
def test_a_run_does_not_depend_on_the_number_of_devices(nats_of_run):
    one, many = nats_of_run(1), nats_of_run(8)
    for name, value in one.items():
        np.testing.assert_allclose(value, many[name], rtol=1e-6)


@pytest.mark.slow
def test_tiny_shakespeare(tmp_path):
    if not REAL.exists():
        pytest.skip(f'{REAL} is not here')
    data = dict(data__path=str(REAL), data__split_by='order')
    run = assembled(tmp_path, 'markov', 'text', **data, model__order=4)
    train_lib.train(run, jax.devices()[:1])
    values = evaluate.evaluate(run, jax.devices()[:1])['values']
    assert round(values['nats_per_character']['mean'], 3) == 1.669
    assert run.data.size('train') == run.config.train.batch_size
    assert int(restore.load(run).state.step) == 1
