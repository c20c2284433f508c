"""Models of items: exact over all items, equal in packed rows and alone, nothing after the end."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, check_same_on_any_devices, scattered, steps_on

from atelier.core.abilities import Conditionals, Extend, LogProb, Sample
from atelier.core.randomness import rng_for
from atelier.data.dataset import Dataset, Spec
from models.autoregressive import items
from models.autoregressive.causal_transformer import transformer_parts
from models.autoregressive.gru import GRU, gru_parts
from models.autoregressive.language_model import language_model
from models.autoregressive.ngram import markov
from models.autoregressive.token_sampling import SamplingOptions
from models.nets.transformer import Transformer

MAX_LENGTH = 3
SPEC = Spec((MAX_LENGTH + 1,), 3, None, symbols='\0ab')
TRAINING_ROWS = np.float32(  # for the Markov model; the last row has no item
    [[1, 2, 0, 1, 0, 2, 2, 1, 0], [2, 0, 1, 1, 2, 0, 1, 0, 0], [0] * 9]
)
ROTARY = Transformer(3, 4, width=8, blocks=2, heads=2, is_rotary=True)
FAMILIES = {
    'markov': lambda draws: markov(SPEC, 2, draws),
    'unigram': lambda draws: markov(SPEC, 0, draws),
    'gru': lambda draws: language_model(gru_parts(GRU(3, width=6, layers=2), SPEC), draws),
    'transformer': lambda draws: language_model(
        transformer_parts(Transformer(3, 4, width=8, blocks=2, heads=2), SPEC), draws
    ),
    'rotary': lambda draws: language_model(transformer_parts(ROTARY, SPEC), draws),
}
SLOW = ('unigram', 'rotary', 'transformer')
every_family = pytest.mark.parametrize(
    'name', [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in FAMILIES]
)


def rng_of(n):
    return rng_for(jax.random.PRNGKey(0), jnp.arange(n), n)


@functools.cache
def family_of(name):
    return FAMILIES[name](SamplingOptions())


@functools.cache
def weights_of(name):
    weights = jax.jit(family_of(name).init)(jax.random.PRNGKey(1), {'x': TRAINING_ROWS})
    if name in ('markov', 'unigram'):
        return weights
    return weights._replace(params=jax.tree.map(lambda p: 3 * p, scattered(weights.params)))


@functools.cache
def by_value_of(name):
    """The function x -> log p of each token."""
    by_value, weights = family_of(name).ability(LogProb).by_value, weights_of(name)
    jitted = jax.jit(by_value)
    return lambda x: np.asarray(jitted(weights, {'x': jnp.asarray(x)}, rng_of(len(x))), np.float64)


def every_item(max_length=MAX_LENGTH):
    """Events [14, 4]: all items of 1 to 3 symbols."""
    texts = [t for n in range(1, max_length + 1) for t in itertools.product((1, 2), repeat=n)]
    return np.float32([(*text, *[0] * (MAX_LENGTH + 1 - len(text))) for text in texts])


@every_family
def test_probabilities_of_all_items_sum_to_one(name):
    """And those of the items up to a length, with that of not having ended."""
    x = every_item()
    by_token = by_value_of(name)(x)
    p = np.exp(by_token.sum(1))
    np.testing.assert_allclose(p.sum(), 1.0, rtol=1e-5)
    assert np.ptp(by_token.sum(1)) > 0.5 and len(x) == 14
    lengths = (x > 0).sum(1)
    for length in range(1, MAX_LENGTH + 1):
        beginnings = np.exp(by_token[lengths == length, :length].sum(1))  # end or not
        assert beginnings.sum() + p[lengths < length].sum() == pytest.approx(1, abs=1e-5)


@every_family
def test_what_is_certain_costs_nothing(name):
    by_token, x = by_value_of(name)(every_item()), every_item()
    lengths = (x > 0).sum(1)[:, None]
    is_certain = (np.arange(MAX_LENGTH + 1) > lengths) | (np.arange(MAX_LENGTH + 1) == MAX_LENGTH)
    assert (by_token[is_certain] == 0).all()
    assert (by_token[~is_certain] < 0).all()
    too_long = by_value_of(name)(np.float32([[1, 2, 1, 2]]))
    assert too_long[0, -1] == -np.inf


@every_family
def test_packed_rows_have_the_log_probs_of_their_items(name):
    x = every_item()
    alone, lengths = by_value_of(name)(x), (x > 0).sum(1) + 1
    order = np.random.default_rng(0).permutation(len(x))
    row = np.concatenate([x[i, : lengths[i]] for i in order])
    rows = np.stack([np.pad(row, (0, 3)), np.zeros(len(row) + 3)]).astype(np.float32)
    packed = by_value_of(name)(rows)
    expected = np.concatenate([alone[i, : lengths[i]] for i in order])
    np.testing.assert_allclose(packed[0, : len(row)], expected, rtol=1e-4, atol=1e-5)
    assert (packed[0, len(row) :] == 0).all() and (packed[1] == 0).all()


@every_family
def test_conditionals_multiply_to_the_probability(name):
    """Coding reads them; the coder gets 0 for the first `previous`, which is also the end token."""
    family, weights, x = family_of(name), weights_of(name), every_item()
    chain = family.ability(Conditionals)
    memory = jax.jit(chain.begin)(weights, {'x': jnp.zeros_like(x)})
    step, before, nats = jax.jit(chain.step), np.zeros(len(x), np.float32), 0
    assert np.asarray(chain.order(weights)).tolist() == [0, 1, 2, 3]
    for i in range(MAX_LENGTH + 1):
        memory, log_probs = step(weights, memory, np.int32(i), before)
        log_probs = np.asarray(log_probs, np.float64)
        np.testing.assert_allclose(np.exp(log_probs).sum(1), 1, rtol=1e-5)
        has_ended = (x[:, :i] == 0).any(1)
        assert (np.isfinite(log_probs[has_ended]) == [True, False, False]).all()
        assert np.isfinite(log_probs[:, 0]).all() == (i > 0)
        before = x[:, i]
        nats += log_probs[np.arange(len(x)), before.astype(int)]
    np.testing.assert_allclose(nats, by_value_of(name)(x).sum(1), rtol=1e-4, atol=1e-5)


@every_family
def test_samples_have_the_frequencies_of_the_model(name):
    """So no sample is outside the set of all items: nothing follows the end."""
    family, weights, n = family_of(name), weights_of(name), 20_000
    x = jax.jit(lambda w, r: family.ability(Sample).draw(w, r, None))(weights, rng_of(n))
    check_frequencies(np.asarray(x), name, np.ones(14, bool))


@pytest.mark.parametrize(
    'prompt',
    [[1, 2], *(pytest.param(each, marks=pytest.mark.slow) for each in ([2], [1, 2, 2]))],
)
@every_family
def test_completions_follow_the_known_beginning(name, prompt):
    family, weights, n, count = family_of(name), weights_of(name), 10_000, len(prompt)
    x = np.tile(np.float32([*prompt, *[2] * (4 - count)]), (n, 1))  # the rest is not read
    batch = {'x': jnp.asarray(x), 'num_known': jnp.full(n, count)}
    completed = jax.jit(family.ability(Extend).complete)(weights, batch, rng_of(n))
    check_frequencies(np.asarray(completed), name, (every_item()[:, :count] == prompt).all(1))


def check_frequencies(x, name, is_possible):
    """Compares samples x [n, 4] with p of the items that are possible, as far as 4 sigma."""
    p = np.where(is_possible, np.exp(by_value_of(name)(every_item()).sum(1)), 0)
    p, code = p / p.sum(), np.array([64, 16, 4, 1])
    drawn, counts = np.unique(x.astype(int) @ code, return_counts=True)
    expected = dict(zip((every_item().astype(int) @ code).tolist(), p, strict=True))
    frequencies = dict(zip(drawn.tolist(), counts / len(x), strict=True))
    assert set(frequencies) <= {item for item, share in expected.items() if share > 0}
    for item, share in expected.items():
        bound = 4 * np.sqrt(share * (1 - share) / len(x)) + 1e-3
        assert abs(frequencies.get(item, 0) - share) <= bound


@pytest.mark.parametrize('name', ['gru', pytest.param('transformer', marks=pytest.mark.slow)])
def test_the_loss_is_the_mean_over_the_tokens_of_items(name):
    """Padding does not count, and its logits are finite where no end is possible."""
    family, weights = family_of(name), weights_of(name)
    (turn,) = family.turns

    def loss(params):
        weights_now = weights._replace(params=params)
        return turn.loss(weights_now, {'x': jnp.asarray(TRAINING_ROWS)}, rng_of(3), 0, {})[0][
            'model'
        ]

    value, slopes = jax.jit(jax.value_and_grad(loss))(weights.params)
    nats = -by_value_of(name)(TRAINING_ROWS).sum()
    assert float(value) == pytest.approx(nats / (9 + 8), rel=1e-5)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(slopes)) > 1e-3


@pytest.mark.parametrize('name', ['gru', pytest.param('transformer', marks=pytest.mark.slow)])
def test_rows_without_items_have_a_loss_and_slopes_of_zero(name):
    (turn,), weights = family_of(name).turns, weights_of(name)
    batch = {'x': jnp.zeros((2, 9))}
    loss = lambda params: turn.loss(weights._replace(params=params), batch, rng_of(2), 0, {})
    value, slopes = jax.jit(jax.value_and_grad(lambda params: loss(params)[0]['model']))(
        weights.params
    )
    assert float(value) == 0 and all((leaf == 0).all() for leaf in jax.tree.leaves(slopes))


def test_sampling_ends_with_the_last_item():
    """No step is taken after all items have ended."""
    steps_taken = []
    parts = items.of_items(gru_parts(GRU(3, width=6, layers=1), SPEC))
    step_of_items = parts.steps.step

    def step(weights, memory, i, previous):
        jax.debug.callback(lambda i: steps_taken.append(int(i)), i)
        memory, logits = step_of_items(weights, memory, i, previous)
        return memory, jnp.where(i == 1, jnp.float32([0, -jnp.inf, -jnp.inf]), logits)

    parts = parts._replace(steps=parts.steps._replace(step=step))
    weights = jax.jit(parts.init)(jax.random.PRNGKey(1), {'x': TRAINING_ROWS})
    batch = {'x': jnp.zeros((5, 4)), 'num_known': jnp.zeros(5, int)}
    x = jax.jit(lambda b: items.completed_items(parts, weights, b, rng_of(5)))(batch)
    jax.effects_barrier()
    assert sorted(steps_taken) == [0, 1]
    assert (x[:, 0] > 0).all() and (x[:, 1:] == 0).all()


def test_a_model_of_items_says_what_its_value_is():
    described = {n: family_of(n).ability(LogProb).description for n in ('gru', 'markov')}
    assert described == {'gru': 'exact', 'markov': 'exact, given at most 2 characters before'}


def items_run(folder, name, family):
    """configs/NAME.py on packed rows of random items, with this family."""
    run = assembled(folder, name, 'debug')
    rng = np.random.default_rng(0)
    x = rng.choice([0, 1, 2], (96, 9), p=[0.5, 0.25, 0.25]).astype(np.uint8)
    x[:, ::4] = 0  # items of at most three symbols
    x[:40] = 0  # rows of many and of few tokens
    data = Dataset('mine', SPEC, {'train': {'x': x}}, 'random items')
    return run._replace(data=data, family=family)


@pytest.mark.slow
@pytest.mark.parametrize(('config', 'name'), [('char_lm', 'transformer'), ('char_gru', 'gru')])
def test_the_result_does_not_depend_on_the_number_of_devices(tmp_path, config, name):
    run = items_run(tmp_path, config, family_of(name))
    check_same_on_any_devices(steps_on(run, 1), steps_on(run, 8))
