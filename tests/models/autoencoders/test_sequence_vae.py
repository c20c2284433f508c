"""The sequence VAE against sums over all items and integrals over z, and what it may not read."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from support import assembled, check_same_on_any_devices, scattered, steps_on

from atelier.core import train_step
from atelier.core.abilities import BoundTerms, Codes, LogProb, Reconstruct, Sample
from atelier.core.randomness import rng_for
from atelier.data import text
from atelier.data.spec import Spec
from atelier.errors import UserError
from losses.elbo import kl_standard_normal_by_dim
from models.autoencoders.sequence_networks import Decoder, Encoder, decoder_parts
from models.autoencoders.sequence_vae import (
    SequenceNetworks,
    dropped_tokens,
    log_likelihood,
    sequence_vae,
)
from models.autoregressive.language_model import ONLY_ORDER
from models.autoregressive.token_sampling import SamplingOptions

SYMBOLS, MAX_LENGTH = '\0ab', 3
HYPERS = dict(beta=1.0, kl_warmup_steps=0.0, free_nats=0.0, word_dropout=0.0)
SAMPLES = 64


def networks(latent_dim, max_length=MAX_LENGTH, width=6):
    spec = Spec((max_length + 1,), len(SYMBOLS), None, symbols=SYMBOLS)
    encoder = Encoder(len(SYMBOLS), width, 1, latent_dim)
    decoder = Decoder(len(SYMBOLS), width, 1)
    return SequenceNetworks(encoder, decoder_parts(decoder, latent_dim, spec), latent_dim)


def family_of(nets, num_samples=SAMPLES):
    return sequence_vae(nets, SamplingOptions(), num_samples, importance_chunk=500)


def weights_of(nets, scale=2.0):
    """Random weights, so large that z and the tokens before matter."""
    weights = jax.jit(family_of(nets).init)(jax.random.PRNGKey(2), {'x': every_item()})
    return weights._replace(params=jax.tree.map(lambda p: scale * p, scattered(weights.params)))


def near_the_prior(weights):
    """The weights with a smaller output of the encoder."""
    model = weights.params['model']
    heads = {
        name: jax.tree.map(lambda p: 0.1 * p, model['encoder'][name])
        for name in ('mean', 'log_var')
    }
    model = {**model, 'encoder': {**model['encoder'], **heads}}
    return weights._replace(params={'model': model})


def every_item(max_length=MAX_LENGTH):
    """All items over the alphabet, one a row."""
    rows = [
        [*item, *[0] * (max_length + 1 - length)]
        for length in range(1, max_length + 1)
        for item in itertools.product(range(1, len(SYMBOLS)), repeat=length)
    ]
    return jnp.asarray(rows, jnp.float32)


def rng_of(n, seed=0):
    return rng_for(jax.random.PRNGKey(seed), jnp.arange(n), n)


def grid(latent_dim):
    """Nodes [n, latent_dim] and log weights [n] of the trapezoidal rule under N(0, I)."""
    axis = np.linspace(-7, 7, 141 if latent_dim == 1 else 41)
    z = np.stack(np.meshgrid(*[axis] * latent_dim), -1).reshape(-1, latent_dim)
    cell = latent_dim * np.log(axis[1] - axis[0])
    log_density = -0.5 * (z**2).sum(1) - 0.5 * latent_dim * np.log(2 * np.pi)
    return jnp.float32(z), log_density + cell


def exact_log_prob(nets, weights, x):
    """log p(x) of each row by integration over z, float64 [n]."""
    z, log_weights = grid(nets.latent_dim)

    @jax.jit
    def given(z):
        tiled = jnp.broadcast_to(z, (len(x), nets.latent_dim))
        return log_likelihood(nets, weights, tiled, {'x': x})

    by_code = np.asarray(jax.lax.map(given, z), np.float64)
    return np.logaddexp.reduce(by_code + log_weights[:, None])


@pytest.fixture(scope='module', params=[1, pytest.param(2, marks=pytest.mark.slow)])
def model(request):
    """(networks, weights, all items, their exact log p)."""
    nets = networks(request.param)
    weights, x = weights_of(nets), every_item()
    return nets, weights, x, exact_log_prob(nets, weights, x)


def test_probabilities_of_all_items_sum_to_one(model):
    nets, weights, x, log_prob = model
    np.testing.assert_allclose(np.exp(log_prob).sum(), 1.0, rtol=1e-5)
    codes = lambda z: jnp.full((len(x), nets.latent_dim), z)
    log_p = jax.jit(lambda z: log_likelihood(nets, weights, codes(z), {'x': x}))
    at = [log_p(z) for z in (-1.0, 1.0)]
    assert np.abs(at[1] - at[0]).max() > 0.2  # z matters


@pytest.mark.slow
def test_the_estimate_is_the_integral_over_z(model):
    """Many importance samples give log p(x); one gives the bound, which is below by the KL."""
    nets, weights, x, log_prob = model
    weights, repeats = near_the_prior(weights), 40  # a posterior too narrow has rare, large weights
    batch, rng = {'x': jnp.tile(x, (repeats, 1))}, rng_of(repeats * len(x))
    many = jax.jit(family_of(nets, 20_000).ability(LogProb).nats)(weights, {'x': x}, rng_of(len(x)))
    np.testing.assert_allclose(many, log_prob, atol=0.05)
    bound = jax.jit(family_of(nets).metrics)(weights, batch, rng)['elbo_nats']
    bound = np.asarray(bound, np.float64).reshape(repeats, len(x))
    error = bound.std(0, ddof=1) / np.sqrt(repeats)
    assert (bound.mean(0) < log_prob + 4 * error).all()
    assert bound.mean() < log_prob.mean() - 0.01  # this posterior is not the exact one


def test_the_terms_of_the_bound_sum_to_it(model):
    nets, weights, x, _ = model
    family, rng = family_of(nets), rng_of(len(x))
    terms = jax.jit(family.ability(BoundTerms).nats)(weights, {'x': x}, rng)
    elbo = jax.jit(family.metrics)(weights, {'x': x}, rng)['elbo_nats']
    np.testing.assert_allclose(-sum(terms.values()), elbo, rtol=1e-6)
    assert family.ability(LogProb).description == f'estimate, k = {SAMPLES}'


def test_samples_follow_the_integral_over_z(model):
    nets, weights, x, log_prob = model
    n = 20_000
    draws = jax.jit(lambda rng: family_of(nets).ability(Sample).draw(weights, rng, None))(rng_of(n))
    place = len(SYMBOLS) ** np.arange(MAX_LENGTH + 1)
    number, known = np.asarray(draws, int) @ place, np.asarray(x, int) @ place
    is_item = number[:, None] == known
    assert is_item.any(1).all()  # every sample is an item with its padding
    frequencies = is_item.mean(0)
    np.testing.assert_allclose(frequencies, np.exp(log_prob), atol=4 * np.sqrt(0.25 / n))


def test_codes_decode_to_the_likeliest_next_tokens(model):
    nets, weights, _, _ = model
    z = jnp.linspace(-2, 2, 5 * nets.latent_dim).reshape(5, nets.latent_dim)
    x = jax.jit(family_of(nets).ability(Codes).decode)(weights, z)
    params = weights._replace(params={'model': weights.params['model']['decoder']})
    logits = np.asarray(jax.jit(nets.decoder.parameters)(params, {'x': x, 'z': z}, ONLY_ORDER))
    for row, row_logits in zip(np.asarray(x, int), logits, strict=True):
        length = 1 + int(np.argmax(row == 0))
        np.testing.assert_array_equal(row[:length], row_logits[:length].argmax(-1))
        assert not row[length:].any()


@pytest.mark.parametrize('is_pooled', [pytest.param(True, marks=pytest.mark.slow), False])
def test_what_follows_the_end_has_no_effect(is_pooled):
    """Neither on the posterior nor, where the end is not forced, on p(x | z)."""
    nets = networks(2, max_length=8)
    nets = nets._replace(encoder=nets.encoder.clone(is_pooled=is_pooled))
    weights, x = weights_of(nets), every_item()
    z = jnp.linspace(-1, 1, 2 * len(x)).reshape(-1, 2)
    posterior = jax.jit(family_of(nets).ability(Codes).posterior)
    wider = lambda filler: jnp.pad(x, ((0, 0), (0, 5)), constant_values=filler)
    of_rows = [posterior(weights, {'x': rows}, rng_of(len(x))) for rows in (x, wider(0), wider(2))]
    for other in of_rows[1:]:
        np.testing.assert_allclose(other.mean, of_rows[0].mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(other.log_var, of_rows[0].log_var, rtol=1e-5, atol=1e-6)
    assert np.ptp(of_rows[0].mean, axis=0).min() > 0.1
    log_p = jax.jit(lambda rows: log_likelihood(nets, weights, z, {'x': rows}))
    given = [log_p(rows) for rows in (x, wider(0))]
    np.testing.assert_allclose(given[1], given[0], rtol=1e-5)


def test_the_encoder_reads_every_token():
    """A change of any token of an item changes its posterior, and so does its length."""
    nets = networks(2)
    posterior = jax.jit(family_of(nets).ability(Codes).posterior)
    mean = posterior(weights_of(nets), {'x': every_item()}, rng_of(14)).mean
    distances = np.abs(np.asarray(mean)[:, None] - np.asarray(mean)).max(-1)
    assert (distances[~np.eye(len(mean), dtype=bool)] > 1e-4).all()


# Word dropout and free nats


def test_tokens_are_dropped_at_the_rate_but_never_an_end():
    x = jnp.tile(every_item(), (500, 1))
    dropped = np.asarray(dropped_tokens(x, rng_of(len(x)).keys, 0.3))
    assert not dropped[np.asarray(x) == 0].any()
    assert abs(dropped[np.asarray(x) > 0].mean() - 0.3) < 0.02
    other = np.asarray(dropped_tokens(x[100:], rng_of(len(x)).keys[100:], 0.3))
    np.testing.assert_array_equal(other, dropped[100:])  # each row has its own key
    assert dropped_tokens(x, rng_of(len(x)).keys, 1.0)[np.asarray(x) > 0].all()


@pytest.mark.slow
def test_a_dropped_token_is_predicted_but_not_read():
    nets, x = networks(1), jnp.asarray([[1.0, 1, 1, 0], [2, 1, 1, 0]])
    weights, z = weights_of(nets), jnp.zeros((2, 1))
    params = weights._replace(params={'model': weights.params['model']['decoder']})

    def logits(first_is_dropped):
        is_dropped = jnp.zeros(x.shape, bool).at[:, 0].set(first_is_dropped)
        batch = {'x': x, 'z': z, 'is_dropped': is_dropped}
        return np.asarray(jax.jit(nets.decoder.parameters)(params, batch, ONLY_ORDER))

    read, unread = logits(False), logits(True)
    assert np.abs(read[0, 1] - read[1, 1])[1:].max() > 1e-3
    np.testing.assert_allclose(unread[0, :3], unread[1, :3], rtol=1e-6)
    np.testing.assert_allclose(unread[:, 0], read[:, 0], rtol=1e-6)  # the start is always read


def losses_of(nets, weights, x, **hypers):
    (turn,) = family_of(nets).turns
    loss = jax.jit(lambda h: turn.loss(weights, {'x': x}, rng_of(len(x)), 0, h))
    losses, (_, terms) = loss({**HYPERS, **hypers})
    return float(losses['model']), jax.tree.map(np.asarray, terms)


@pytest.mark.slow
def test_training_without_dropout_is_the_negative_bound():
    """With the keys of an evaluation; dropped tokens change the loss, and no evaluation."""
    nets, x = networks(2), every_item()
    weights = weights_of(nets)
    bound = jax.jit(family_of(nets).metrics)(weights, {'x': x}, rng_of(len(x)))['elbo_nats']
    np.testing.assert_allclose(losses_of(nets, weights, x)[0], -bound.mean(), rtol=1e-5)
    assert abs(losses_of(nets, weights, x, word_dropout=0.8)[0] + bound.mean()) > 0.01


def test_free_nats_and_the_weight_of_the_kl():
    nets, x = networks(2), every_item()
    weights = weights_of(nets)
    q = jax.jit(family_of(nets).ability(Codes).posterior)(weights, {'x': x}, rng_of(len(x)))
    kl = np.asarray(kl_standard_normal_by_dim(*q)).mean(0)
    _, terms = losses_of(nets, weights, x)
    reconstruction, free = terms['reconstruction_nats'].mean(), float(kl.mean())
    expected = reconstruction + np.maximum(kl, free).sum()
    np.testing.assert_allclose(losses_of(nets, weights, x, free_nats=free)[0], expected, rtol=1e-5)
    assert expected > reconstruction + kl.sum() + 1e-3
    warming, _ = losses_of(nets, weights, x, kl_warmup_steps=10.0)
    np.testing.assert_allclose(warming, reconstruction + 0.1 * kl.sum(), rtol=1e-5)


# Training


@pytest.mark.slow
def test_a_trained_model_reconstructs_items():
    """Codes carry the whole item, and decode to it."""
    nets = networks(2, width=16)
    x, family, optimizer = every_item(), family_of(nets), optax.adam(0.02)
    weights = jax.jit(family.init)(jax.random.PRNGKey(0), {'x': x})
    hypers = {**HYPERS, 'beta': 0.02, 'word_dropout': 0.3}

    def step(carry, index):
        params, state = carry
        loss = lambda p: family.turns[0].loss(
            weights._replace(params=p), {'x': x}, rng_of(len(x), index), index, hypers
        )[0]['model']
        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return (optax.apply_updates(params, updates), state), None

    start = weights.params, optimizer.init(weights.params)
    (params, _), _ = jax.jit(lambda s: jax.lax.scan(step, s, jnp.arange(500)))(start)
    reconstruct = jax.jit(family.ability(Reconstruct).mean)
    again = reconstruct(weights._replace(params=params), {'x': x}, rng_of(len(x)))
    items, decoded = text.decode(np.asarray(x), SYMBOLS), text.decode(np.asarray(again), SYMBOLS)
    assert sum(a == b for a, b in zip(items, decoded, strict=True)) >= 12


@pytest.mark.slow
def test_gradients_are_finite_at_the_longest_item():
    """There all tokens but one are impossible, with logits of -inf."""
    nets, x = networks(2), every_item()[-2:]
    (turn,) = family_of(nets).turns
    hypers = jax.tree.map(jnp.asarray, HYPERS)
    gradients = jax.jit(functools.partial(train_step.gradients_of_turn, turn))(
        weights_of(nets), {'x': x}, rng_of(2), 0, hypers
    )
    leaves = jax.tree.leaves(gradients.gradients['model'])
    assert all(np.isfinite(leaf).all() for leaf in leaves)
    assert all(np.any(leaf) for leaf in leaves)


@pytest.mark.slow
def test_eight_devices_train_as_one(tmp_path):
    run = assembled(tmp_path, 'sequence_vae', 'debug', hypers__free_nats=0.1)
    check_same_on_any_devices(steps_on(run, 1), steps_on(run, 8))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(data__is_packed=True), 'data.is_packed=False'),
        (dict(data__name='digits'), 'digits'),
        (dict(hypers__word_dropout=1.5), 'hypers.word_dropout=1.5'),
        (dict(model__latent_dim=0), 'model.latent_dim=0'),
        (dict(model__layers=0), 'model.layers=0'),
        (dict(model__encoder_width=0), 'model.encoder_width=0'),
        (dict(eval__num_importance_samples=0), 'eval.num_importance_samples=0'),
    ],
)
def test_unfit_data_and_settings_are_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        assembled(tmp_path, 'sequence_vae', 'debug', **changes)
