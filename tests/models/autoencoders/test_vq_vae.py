"""The VQ-VAE: where gradients flow, one codebook on all devices, consistent abilities."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, check_same_on_any_devices, first_batch, steps_on

from atelier import checkout
from atelier.core import train_step
from atelier.core.abilities import Classify, Codes, LogProb, Reconstruct, Sample
from atelier.core.randomness import rng_for
from atelier.core.types import Weights
from atelier.data.dataset import Spec
from atelier.run import restore
from models.autoencoders.vq_vae import (
    COLLAPSED,
    VQVAENetworks,
    adviser,
    codebook_of,
    forward,
    vq_vae,
)
from models.nets import mlp
from models.shared import observations

N, HYPERS = 8, dict(beta=0.7, codebook_decay=0.9, restart_below=0.1)
SPEC = Spec((5,), 2, None)
NETS = VQVAENetworks(
    encoder=mlp.MLP((7,), (3, 2), jnp.tanh),
    decoder=mlp.MLP((7,), (5, 1), jnp.tanh),
    observation=observations.bernoulli(SPEC),
    map_shape=(3, 2),
    num_codes=6,
    spec=SPEC,
)
FAMILY = vq_vae(NETS)
BATCH = {'x': jnp.asarray(np.random.default_rng(0).integers(0, 2, (N, 5)), jnp.float32)}
DRAW = rng_for(jax.random.PRNGKey(1), jnp.arange(N), N)


def make(folder, argument='digits,debug', **changes):
    return assembled(folder, 'vq_vae', argument, **changes)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return make(tmp_path_factory.mktemp('run'))


@pytest.fixture(scope='module')
def weights():
    return jax.jit(FAMILY.init)(jax.random.PRNGKey(0), BATCH)


gradients_of_turn = jax.jit(functools.partial(train_step.gradients_of_turn, FAMILY.turns[0]))


def gradients_of(weights, **hypers):
    played = gradients_of_turn(weights, BATCH, DRAW, 0, {**HYPERS, **hypers})
    return played.gradients['model']


def assert_close(trees, **tolerance):
    close = lambda a, b: np.testing.assert_allclose(a, b, **tolerance)
    jax.tree.map(close, *trees)


# Gradients


def by_hand(weights):
    """(encoder vectors, their VJP, quantised vectors, loss(decoder params, vectors))."""
    params, codebook = weights.params['model'], codebook_of(weights.extra)
    encode = lambda p: NETS.encoder.apply({'params': p}, NETS.spec.normalize(BATCH['x']))
    vectors, pull_back = jax.vjp(encode, params['encoder'])
    distances = np.square(np.asarray(vectors)[:, :, None] - np.asarray(codebook.embedding)).sum(-1)
    quantized = codebook.embedding[distances.argmin(-1)]

    def loss(p, z):
        output = NETS.decoder.apply({'params': p}, z)
        return -jnp.mean(NETS.observation.log_prob(BATCH['x'], output))

    return vectors, pull_back, quantized, loss


@pytest.mark.slow
def test_the_encoder_gets_the_decoders_gradient_at_the_quantized(weights):
    _, pull_back, quantized, loss = by_hand(weights)
    decoder_gradient, input_gradient = jax.grad(loss, (0, 1))(
        weights.params['model']['decoder'], quantized
    )
    expected = {'encoder': pull_back(input_gradient)[0], 'decoder': decoder_gradient}
    assert_close((gradients_of(weights, beta=0.0), expected), rtol=1e-4, atol=1e-6)
    assert np.abs(expected['encoder']['Dense_0']['kernel']).max() > 1e-3


def test_the_commitment_moves_the_encoder_alone(weights):
    vectors, pull_back, quantized, _ = by_hand(weights)
    without_commitment, gradients = gradients_of(weights, beta=0.0), gradients_of(weights)
    assert_close((gradients['decoder'], without_commitment['decoder']), rtol=1e-6)
    # the mean is over N examples and 3 positions
    (encoder_gradient,) = pull_back(0.7 * 2 * (vectors - quantized) / (3 * N))
    difference = jax.tree.map(jnp.subtract, gradients['encoder'], without_commitment['encoder'])
    assert_close((difference, encoder_gradient), rtol=1e-3, atol=1e-6)
    assert np.abs(encoder_gradient['Dense_0']['kernel']).max() > 1e-3


def test_the_loss_has_no_slope_in_the_codebook(weights):
    loss = lambda extra: FAMILY.turns[0].loss(
        weights._replace(extra=extra), BATCH, DRAW, 0, HYPERS
    )[0]['model']
    slope = jax.jit(jax.grad(loss))(weights.extra)
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(slope))


# Metrics


def test_terms_are_those_of_the_definition(weights):
    """Metrics for a codebook with counts 1, 2, ..., 6."""
    codebook = {**weights.extra['model']['codebook'], 'counts': jnp.arange(1.0, 7.0)}
    weights = Weights(weights.params, {'model': {'codebook': codebook}})
    values = FAMILY.metrics(weights, BATCH, DRAW)
    assert {value.shape for value in values.values()} == {(N,)}
    vectors, _, quantized, loss = by_hand(weights)
    mean = np.mean(values['reconstruction_nats'])
    np.testing.assert_allclose(mean, loss(weights.params['model']['decoder'], quantized), rtol=1e-5)
    codes = forward(NETS, weights.params, codebook_of(weights.extra), BATCH['x']).codes
    expected = -np.log((np.asarray(codes) + 1) / 21).sum(1)
    np.testing.assert_allclose(values['code_nats'], expected, rtol=1e-4)
    expected = np.square(vectors - quantized).sum(-1).mean(-1)
    np.testing.assert_allclose(values['quantization_error'], expected, rtol=1e-4)


@pytest.mark.slow
def test_perplexity_is_of_the_batch(weights):
    _, (_, report) = FAMILY.turns[0].loss(weights, BATCH, DRAW, 0, HYPERS)
    codes = np.asarray(forward(NETS, weights.params, codebook_of(weights.extra), BATCH['x']).codes)
    shares = np.bincount(codes.ravel(), minlength=6) / codes.size
    entropy = -np.sum(shares[shares > 0] * np.log(shares[shares > 0]))
    np.testing.assert_allclose(report['perplexity'], np.exp(entropy), rtol=1e-5)


# Devices and training


@pytest.mark.slow
def test_the_device_count_makes_no_difference(tmp_path):
    """With code restarts below uniform usage, where half of the codes restart."""
    run = make(tmp_path, hypers__restart_below=1.0)
    one, many = steps_on(run, 1, 5), steps_on(run, 8, 5)
    check_same_on_any_devices(one, many)
    even = run.config.train.batch_size * 4 / run.config.model.num_codes
    counts = [codebook_of(steps[-1][0].extra).counts for steps in (one, many)]
    assert np.sum(counts[0] == even) == np.sum(counts[1] == even) > 0


@pytest.mark.slow
def test_training_lowers_the_loss_and_comes_to_use_the_codebook(tmp_path):
    run = make(tmp_path, hypers__decay_steps=0.0, hypers__codebook_decay=0.9)
    steps = steps_on(run, 1, 150)
    loss, perplexity = ([report[name] for _, report in steps] for name in ('loss', 'perplexity'))
    assert loss[-1] < 0.9 * loss[0]
    assert perplexity[-1] > max(4, min(perplexity[:60]))  # of 8 codes; at first it falls


# Abilities


@pytest.mark.slow
def test_reconstructions_are_decoded_codes_and_codes_are_of_the_codebook(run):
    state, batch = restore.initial_state(run), first_batch(run, 5)
    weights, family = state.weights, run.family
    decode = jax.jit(family.ability(Codes).decode)
    codes = jax.jit(family.ability(Codes).encode)(weights, batch, DRAW)
    assert codes.shape == (5, 2 * 2 * 4)
    x = jax.jit(family.ability(Reconstruct).mean)(weights, batch, DRAW)
    assert x.shape == batch['x'].shape
    np.testing.assert_array_equal(x, decode(weights, codes))
    rows = {tuple(row) for row in np.asarray(codebook_of(state.extra).embedding)}
    assert all(tuple(vector) in rows for vector in np.asarray(codes).reshape(-1, 4))
    near = codes + 1e-3 * np.abs(codes).min()  # is quantised back to `codes`
    np.testing.assert_array_equal(decode(weights, near), x)
    assert all(family.ability(kind) is None for kind in (Sample, LogProb, Classify))
    assert family.ability(Codes).prior is family.ability(Codes).posterior is None


CHANNELS, SHAPES, LEVELS = ((3, 4), (3,), ()), ((9, 6, 3), (7, 10), (11,)), (2, 5, None)
KINDS = [  # fast tests cover all pairs of values, slow ones all triples
    pytest.param(channels, shape, levels, marks=[] if (i + j + k) % 3 == 0 else [pytest.mark.slow])
    for i, channels in enumerate(CHANNELS)
    for j, shape in enumerate(SHAPES)
    for k, levels in enumerate(LEVELS)
]


@pytest.mark.parametrize(('channels', 'shape', 'levels'), KINDS)
def test_any_kind_of_data(channels, shape, levels):
    config_file = checkout.ConfigFile('configs/vq_vae.py', 'debug')
    config = config_file.config()
    config.model.channels = channels
    family = config_file.module().build(config, Spec(shape, levels, None))
    batch = {'x': jnp.zeros((8, *shape))}

    def decoded_and_metrics(key):
        weights, rng = jax.jit(family.init)(key, batch), rng_for(key, jnp.arange(8), 8)
        x = family.ability(Codes).decode(weights, family.ability(Codes).encode(weights, batch, rng))
        return x, family.metrics(weights, batch, rng)

    x, metrics = jax.eval_shape(decoded_and_metrics, jax.random.PRNGKey(0))
    assert x.shape == (8, *shape)
    assert {value.shape for value in metrics.values()} == {(8,)}


# Advice and mistakes


def test_a_collapse_needs_two_validations_of_low_perplexity():
    advise, rows_of = adviser(50), lambda *values: [{'train/perplexity': v} for v in values]
    few, many = COLLAPSED * 50 - 1, COLLAPSED * 50 + 1
    assert advise(rows_of(few)) == advise(rows_of(few, many)) == advise(rows_of(many, few)) == {}
    assert advise([{'code_nats': 1.0}, *rows_of(few)]) == {}  # no training metrics
    (advice,) = advise(rows_of(many, few, few)).values()
    assert 'the perplexity of the 50 codes is 4.0' in advice
    config = checkout.ConfigFile('configs/vq_vae.py', None).config()
    assert 'raise --config.hypers.restart_below' in advice
    assert 'lower --config.model.num_codes' in advice
    assert config.hypers.restart_below >= 0
    assert config.model.num_codes > 1


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(model__num_codes=0), 'model.num_codes'),
        (dict(hypers__codebook_decay=1.5), 'hypers.codebook_decay=1.5: give the fraction'),
        (dict(hypers__beta=-1.0), 'hypers.beta'),
        (dict(model__codebook_dim=0), 'model.codebook_dim'),
        (dict(hypers__ema_half_life=100.0), 'averaged networks do not fit the codebook'),
        (dict(model__channels=(4, 0)), 'model.channels'),
        (dict(model__block_channels=(0,)), 'model.block_channels'),
        (dict(model__channels=(), model__num_positions=0), 'model.num_positions'),
        (dict(model__channels=(), model__hidden_sizes=(0,)), 'model.hidden_sizes'),
    ],
)
def test_bad_settings_end_in_one_line(tmp_path, complaint, changes, message):
    assert message in complaint(make, tmp_path, **changes)


def test_scalars_need_networks_without_convolutions(complaint):
    config_file = checkout.ConfigFile('configs/vq_vae.py', 'debug')
    build = config_file.module().build
    assert '--config.model.channels="()"' in complaint(
        build, config_file.config(), Spec((), None, None)
    )
