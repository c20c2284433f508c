"""The causal transformer: whole-sequence and stepwise evaluation agree, and it is causal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import scattered

from atelier.core.randomness import rng_for
from models.nets.packed_rows import bounds
from models.nets.transformer import Transformer, empty_cache

SIZES = dict(vocab_size=5, length=7, width=8, blocks=2, heads=2)
KINDS = {
    'plain': {},
    'tied': dict(is_tied=True),
    'label': dict(num_classes=3),
    'rotary': dict(is_rotary=True),
}
LABEL = jnp.asarray([0, 2, 1])


def network_and_inputs(**options):
    """(network, weights without zero layers, tokens [3, 7], label or None)."""
    net = Transformer(**SIZES, **options)
    tokens = jnp.asarray(np.random.default_rng(1).integers(0, 5, (3, 7)), jnp.int32)
    label = LABEL if net.num_classes else None
    params = jax.jit(net.init)(jax.random.PRNGKey(0), tokens, label)['params']
    last = 'tokens' if net.is_tied else 'head'
    return net, scattered({**params, last: 20 * params[last]}), tokens, label


def keys(n=3, seed=0):
    return rng_for(jax.random.PRNGKey(seed), jnp.arange(n), n).keys


def stepwise_logits(net, params, tokens, label, length=None):
    """The logits of all positions, computed by `step`."""

    def step(carry, position):
        cache, before = carry
        weights = {'params': params}
        cache, logits = net.apply(weights, cache, before, position, label, method='step')
        return (cache, tokens[:, position]), logits

    first = empty_cache(net, len(tokens), length), tokens[:, -1]  # not read
    _, logits = jax.lax.scan(step, first, jnp.arange(tokens.shape[1]))
    return jnp.moveaxis(logits, 0, 1)


@pytest.mark.parametrize(
    'kind', [k if k == 'plain' else pytest.param(k, marks=pytest.mark.slow) for k in KINDS]
)
def test_stepwise_logits_are_those_of_the_whole_sequence(kind):
    net, params, tokens, label = network_and_inputs(**KINDS[kind])
    whole = jax.jit(net.apply)({'params': params}, tokens, label)
    assert whole.shape == (3, 7, 5) and np.ptp(whole) > 0.5
    steps = jax.jit(lambda *given: stepwise_logits(net, *given))(params, tokens, label)
    np.testing.assert_allclose(steps, whole, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_a_shorter_cache_is_of_a_shorter_sequence():
    net, params, tokens, label = network_and_inputs()
    whole = net.apply({'params': params}, tokens[:, :4])
    assert empty_cache(net, 3, 4)[0].keys.shape == (3, 2, 4, 4)
    np.testing.assert_allclose(
        stepwise_logits(net, params, tokens[:, :4], label, 4), whole, rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    'kind',
    [
        'plain',
        pytest.param('label', marks=pytest.mark.slow),
        pytest.param('rotary', marks=pytest.mark.slow),
    ],
)
def test_a_token_changes_later_logits_alone(kind):
    """Logits up to the token's own position stay bitwise equal; all later ones change."""
    net, params, tokens, label = network_and_inputs(**KINDS[kind])
    apply = jax.jit(lambda tokens: net.apply({'params': params}, tokens, label))
    logits = np.asarray(apply(tokens))
    for index in range(7):
        is_changed = np.asarray(apply(tokens.at[:, index].add(1) % 5)) != logits
        assert not is_changed[:, : index + 1].any()
        assert is_changed[:, index + 1 :].any(-1).all()


@pytest.mark.slow
def test_the_slopes_in_embedded_tokens_are_zero_before_them():
    """Each position has its own token, so that a row of the table belongs to one position."""
    net = Transformer(vocab_size=6, length=6, width=8, blocks=2, heads=2)
    tokens = jnp.arange(6)[None]
    params = scattered(jax.jit(net.init)(jax.random.PRNGKey(0), tokens)['params'])

    def logits(table):
        return net.apply({'params': {**params, 'tokens': table}}, tokens)[0]

    slopes = np.abs(np.asarray(jax.jit(jax.jacobian(logits))(params['tokens']))).max((1, 3))
    is_before = np.tri(6, k=-1, dtype=bool)
    assert (slopes[~is_before] == 0).all() and (slopes[is_before] > 0).all()


@pytest.mark.parametrize('kind', ['plain', pytest.param('rotary', marks=pytest.mark.slow)])
def test_sequences_of_a_packed_row_have_the_logits_that_they_have_alone(kind):
    """The row is longer than the net's length; each sequence begins with the start vector."""
    net, params, _, _ = network_and_inputs(**KINDS[kind])
    sequences = [[3, 1, 0], [2, 0], [4, 4, 1, 3, 2, 1, 0]]
    row = jnp.asarray([sum(sequences, []) + [0, 0]])
    apply = jax.jit(net.apply)
    packed = apply({'params': params}, row, bounds=bounds(row))[0]
    end = 0
    for sequence in sequences:
        alone = apply({'params': params}, jnp.asarray([sequence]))[0]
        start, end = end, end + len(sequence)
        np.testing.assert_allclose(packed[start:end], alone, rtol=1e-5, atol=1e-5)


def test_the_label_moves_every_logit():
    net, params, tokens, _ = network_and_inputs(num_classes=3)
    apply = jax.jit(net.apply)
    logits_0, logits_1 = (apply({'params': params}, tokens, jnp.full(3, label)) for label in (0, 1))
    assert (np.abs(logits_0 - logits_1).max(-1) > 1e-4).all()


def test_dropout_belongs_to_the_example_and_to_training():
    net, params, tokens, _ = network_and_inputs(dropout=0.5)
    apply = jax.jit(lambda tokens, keys: net.apply({'params': params}, tokens, keys=keys))
    whole, own = jax.jit(net.apply)({'params': params}, tokens), keys()
    plain = jax.jit(Transformer(**SIZES).apply)({'params': params}, tokens)
    np.testing.assert_array_equal(whole, plain)  # no keys, no dropout
    train = apply(tokens, own)
    assert (np.abs(train - whole).max((1, 2)) > 1e-2).all()
    np.testing.assert_allclose(apply(tokens[1:], own[1:]), train[1:], rtol=1e-5, atol=1e-5)
    assert np.abs(apply(tokens, keys(seed=1)) - train).max() > 1e-2


@pytest.mark.slow
def test_residual_kernels_start_small():
    """Residual kernels start smaller by a factor sqrt(2 * blocks)."""
    net = Transformer(vocab_size=5, length=7, width=64, blocks=2, heads=2)
    params = jax.jit(net.init)(jax.random.PRNGKey(0), jnp.zeros((1, 7), int))['params']
    for block in (params['layers_0'], params['layers_1']):
        assert np.std(block['add_0']['kernel']) == pytest.approx(0.125 / 2, rel=0.05)
        assert np.std(block['attention']['kernel']) == pytest.approx(0.125, rel=0.05)


@pytest.mark.slow
def test_low_precision_is_of_the_products_alone():
    net, params, tokens, _ = network_and_inputs()
    low = Transformer(**SIZES, dtype=jnp.bfloat16)
    whole, rounded = (jax.jit(n.apply)({'params': params}, tokens) for n in (net, low))
    assert rounded.dtype == jnp.float32 and empty_cache(low, 1)[0].keys.dtype == jnp.bfloat16
    assert 0 < np.abs(rounded - whole).max() < 0.1 * np.abs(whole).max()
    steps = jax.jit(lambda *given: stepwise_logits(low, *given, None))(params, tokens)
    np.testing.assert_allclose(steps, rounded, atol=0.05 * np.abs(whole).max())


@pytest.mark.slow
def test_high_precision_is_of_everything():
    with jax.enable_x64():
        net, params, tokens, _ = network_and_inputs(dtype=jnp.float64)
        whole = jax.jit(net.apply)({'params': params}, tokens)
        steps = jax.jit(lambda *given: stepwise_logits(net, *given, None))(params, tokens)
        assert whole.dtype == steps.dtype == jnp.float64
        np.testing.assert_allclose(steps, whole, rtol=1e-12, atol=1e-12)
