"""Language models: normalised, causal, and stepwise sampling agrees with the whole network."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from marks import exhaustive_but
from support import assembled, check_same_on_any_devices, scattered, steps_on

from atelier.core.abilities import Extend, LogProb, Sample
from atelier.core.randomness import rng_for
from atelier.data.dataset import Spec
from atelier.errors import UserError
from models.autoregressive.causal_transformer import transformer_parts
from models.autoregressive.gru import GRU, Layer, gru_parts
from models.autoregressive.language_model import (
    ONLY_ORDER,
    language_model,
    log_softmax_at,
    scored_log_prob,
)
from models.autoregressive.token_sampling import SamplingOptions
from models.nets.transformer import Transformer

ABC = Spec((4,), 3, None, symbols='abc')
NETS = {
    'transformer': transformer_parts(Transformer(3, 4, width=8, blocks=2, heads=2), ABC),
    'gru': gru_parts(GRU(3, width=6, layers=2), ABC),
}
every_net = pytest.mark.parametrize(  # the transformer has its own tests as well
    'name', ['gru', pytest.param('transformer', marks=pytest.mark.slow)]
)


def rng_of(n):
    return rng_for(jax.random.PRNGKey(0), jnp.arange(n), n)


@functools.cache
def weights_of(name):
    weights = jax.jit(NETS[name].init)(jax.random.PRNGKey(1), {'x': jnp.zeros((1, 4))})
    return weights._replace(params=jax.tree.map(lambda p: 3 * p, scattered(weights.params)))


def logits_of(name):
    """The function x -> logits of the whole network, jitted."""
    parameters, weights = NETS[name].parameters, weights_of(name)
    return jax.jit(lambda x: parameters(weights, {'x': x}, ONLY_ORDER))


def every_text(length=4):
    return np.array([*itertools.product(range(3), repeat=length)], np.float32)


@pytest.mark.slow
@every_net
def test_the_nats_of_a_token_depend_on_it_and_those_before(name):
    """They sum to the likelihood, and a changed token changes only its own and later ones."""
    family, weights = language_model(NETS[name], SamplingOptions()), weights_of(name)
    log_prob, rng = family.ability(LogProb), rng_of(2)
    batch = {'x': jnp.array([[0.0, 1, 2, 1], [0, 1, 0, 1]]), 'num_scored': jnp.array([3, 3])}
    by_token = np.asarray(jax.jit(log_prob.by_value)(weights, batch, rng))
    nats = jax.jit(log_prob.nats)(weights, batch, rng)
    np.testing.assert_allclose(by_token.sum(1), nats, rtol=1e-5)
    assert (by_token[:, 0] == 0).all() and (by_token[:, 1:] < 0).all()
    np.testing.assert_allclose(by_token[0, :2], by_token[1, :2], rtol=1e-5)
    assert (abs(by_token[0, 2:] - by_token[1, 2:]) > 1e-4).all()


@every_net
def test_probabilities_of_all_texts_sum_to_one(name):
    family, x = language_model(NETS[name], SamplingOptions()), jnp.asarray(every_text())
    nats = jax.jit(family.ability(LogProb).nats)(weights_of(name), {'x': x}, rng_of(81))
    np.testing.assert_allclose(np.exp(np.float64(nats)).sum(), 1.0, rtol=1e-5)
    assert np.ptp(nats) > 0.5
    assert family.ability(LogProb).description == 'exact, given at most 3 characters before'


@every_net
def test_logits_depend_on_earlier_symbols_alone(name):
    """Changing a token changes exactly the logits after it."""
    logits, x = logits_of(name), jnp.zeros((1, 4))
    for index in range(4):
        is_changed = np.any(logits(x) != logits(x.at[0, index].set(2)), axis=-1)[0]
        np.testing.assert_array_equal(is_changed, np.arange(4) > index)


@every_net
def test_stepwise_logits_are_those_of_the_whole_network(name):
    weights, steps = weights_of(name), NETS[name].steps
    x = jnp.asarray(every_text()[::7])
    before = jnp.pad(x[:, :-1], ((0, 0), (1, 0)), constant_values=1).T  # the first row is not read

    @jax.jit
    def one_by_one(weights):
        step = lambda memory, at: steps.step(weights, memory, *at)
        begun = steps.begin(weights, {'x': x}, ONLY_ORDER)
        return jax.lax.scan(step, begun, (jnp.arange(4), before))[1]

    stepwise_logits = jnp.moveaxis(one_by_one(weights), 0, 1)
    np.testing.assert_allclose(stepwise_logits, logits_of(name)(x), rtol=1e-4, atol=1e-5)


def test_a_gru_layer_is_that_of_the_paper():
    """Against a numpy loop of Cho et al. (2014), equations 5 to 8."""
    layer, rng = Layer(3), np.random.default_rng(0)
    x, h = jnp.asarray(rng.normal(size=(2, 5, 4)), jnp.float32), jnp.zeros((2, 3))
    params = scattered(jax.jit(layer.init)(jax.random.PRNGKey(0), x, h)['params'])
    states, last_state = jax.jit(layer.apply)({'params': params}, x, h)
    x, h = np.asarray(x), np.asarray(h)
    sigmoid = lambda a: 1 / (1 + np.exp(-a))
    w_z, w_r, w = np.split(np.asarray(params['inputs']['kernel']), 3, -1)
    b_z, b_r, b = np.split(np.asarray(params['inputs']['bias']), 3)
    u_z, u_r = np.split(np.asarray(params['gates']), 2, -1)
    for i in range(5):
        z, r = sigmoid(x[:, i] @ w_z + b_z + h @ u_z), sigmoid(x[:, i] @ w_r + b_r + h @ u_r)
        h = z * h + (1 - z) * np.tanh(x[:, i] @ w + b + (r * h) @ params['state'])
        np.testing.assert_allclose(states[:, i], h, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(states[:, -1], last_state)


def test_only_scored_symbols_count():
    log_probs = jnp.asarray([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    batch = {'num_scored': jnp.asarray([3, 1])}
    assert scored_log_prob(log_probs, batch).tolist() == [7, 32]
    assert scored_log_prob(log_probs, {}).tolist() == [7, 56]


def test_log_probs_of_symbols():
    logits = jnp.asarray([[[1.0, 2.0, 1000.0], [0.0, 0.0, 0.0]]])
    log_probs = log_softmax_at(logits, jnp.asarray([[2.0, 1.0]]))
    np.testing.assert_allclose(log_probs, [[0.0, -np.log(3)]], rtol=1e-6)


@pytest.mark.parametrize('count', [0, 2])
def test_completions_follow_the_known_beginning(count):
    """Completions follow the probabilities of all texts with the known beginning."""
    name, n = 'gru', 20_000
    family, weights = language_model(NETS[name], SamplingOptions()), weights_of(name)
    x = np.tile(np.float32([2, 1, 0, 0]), (n, 1))
    batch = {'x': jnp.asarray(x), 'num_known': jnp.full(n, count)}
    completions = np.asarray(
        jax.jit(family.ability(Extend).complete)(weights, batch, rng_of(n)), int
    )
    np.testing.assert_array_equal(completions[:, :count], x[:, :count])
    all_texts = every_text()
    nats = jax.jit(family.ability(LogProb).nats)
    p = np.exp(nats(weights, {'x': jnp.asarray(all_texts)}, rng_of(81)))
    np.testing.assert_allclose(p.sum(), 1.0, rtol=1e-5)
    p = np.where((all_texts[:, :count] == x[0, :count]).all(1), p, 0)
    frequencies = np.bincount(completions @ [27, 9, 3, 1], minlength=81) / n
    np.testing.assert_allclose(frequencies, p / p.sum(), atol=4 * np.sqrt(0.25 / n))


@every_net
def test_at_temperature_0_each_symbol_is_the_likeliest(name):
    family, weights = language_model(NETS[name], SamplingOptions(temperature=0.0)), weights_of(name)
    samples = jax.jit(lambda w, d: family.ability(Sample).draw(w, d, None))(weights, rng_of(2))
    np.testing.assert_array_equal(samples, np.argmax(logits_of(name)(samples), -1))


@pytest.mark.slow
def test_dropout_is_for_training_alone():
    net = Transformer(3, 4, width=8, blocks=1, heads=2, dropout=0.5)
    family, x = (
        language_model(transformer_parts(net, ABC), SamplingOptions()),
        jnp.asarray(every_text(4)[:8]),
    )
    weights = jax.jit(family.init)(jax.random.PRNGKey(0), {'x': x})
    weights = weights._replace(params=scattered(weights.params))
    nats = jax.jit(family.ability(LogProb).nats)(weights, {'x': x}, rng_of(8))
    (turn,) = family.turns
    loss = jax.jit(lambda rng: turn.loss(weights, {'x': x}, rng, 0, {})[0]['model'])
    other_rng = rng_for(jax.random.PRNGKey(5), jnp.arange(8), 8)
    losses = [float(loss(rng)) for rng in (rng_of(8), other_rng)]
    assert len({*losses, -float(nats.mean()) / 4}) == 3


@pytest.mark.parametrize(
    ('config', 'changes', 'message'),
    [
        ('char_lm', dict(data__name='digits'), 'digits is not a text'),
        ('char_gru', dict(data__name='ring'), 'ring is not a text'),
        ('char_lm', dict(model__heads=3), 'heads=3 do not divide config.model.width=16'),
        ('char_lm', dict(model__dropout=1.0), 'model.dropout=1.0'),
        ('char_gru', dict(model__layers=0), 'model.layers=0'),
        ('char_lm', dict(eval__sampler__temperature=-1.0), 'sampler.temperature=-1'),
        ('char_lm', dict(eval__sampler__top_p=0.0), 'sampler.top_p=0.0'),
        ('vae', dict(data__name='text'), 'text needs config.data.context'),
    ],
)
def test_unfit_data_and_settings_are_refused(tmp_path, config, changes, message):
    with pytest.raises(UserError, match=message):
        assembled(tmp_path, config, 'debug', **changes)


@pytest.mark.parametrize('config', exhaustive_but(('char_gru',), ['char_lm', 'char_gru']))
def test_the_result_does_not_depend_on_the_number_of_devices(tmp_path, config):
    run = assembled(tmp_path, config, 'debug')
    check_same_on_any_devices(steps_on(run, 1), steps_on(run, 8))
