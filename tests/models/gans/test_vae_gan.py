"""The VAE-GAN against a second implementation of Algorithm 1 of Larsen et al. (2016)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, check_same_on_any_devices, first_batch, steps_on

from atelier.core import train_step
from atelier.core.abilities import Codes, Reconstruct, Sample
from atelier.core.randomness import fold_in, identity, rng_for
from atelier.data.dataset import Spec
from atelier.run import restore
from models.gans import networks, players, vae_gan
from models.nets import mlp

N = 16
HYPERS = dict(gamma=0.3, beta=0.7)


def make(folder, **changes):
    return assembled(folder, 'vae_gan', **changes)


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return make(tmp_path_factory.mktemp('run'))


SPEC = Spec((3,), 17, None)
PLAYERS = vae_gan.Players(  # no norms: outputs depend on the parameters only
    encoder=lambda train, gather: mlp.MLP((8,), (4,), jnp.tanh),
    nets=players.GANNetworks(
        generator=lambda train, gather: networks.Generator(mlp.MLP((8,), (3,), jnp.tanh), True),
        discriminator=lambda train, gather: networks.Discriminator(
            mlp.MLP((8,), (5,), jnp.tanh), jnp.tanh
        ),
        latent_dim=2,
        spec=SPEC,
    ),
    decoder_loss=vae_gan.LOSSES['minimax'],
)
FAMILY = vae_gan.vae_gan(PLAYERS)
BATCH = {'x': jnp.asarray(np.random.default_rng(0).integers(0, 17, (N, 3)), jnp.float32)}


def algorithm_1(params, x, keys):
    """{player: its loss} as in the paper's Algorithm 1, computed from probabilities."""
    nets, normal = PLAYERS.nets, lambda key: jax.random.normal(key, (2,))
    apply = lambda make, player, *inputs: make(True, identity).apply(
        {'params': params[player]}, *inputs
    )
    normalized_x = nets.spec.normalize(x)
    mean, log_var = jnp.split(apply(PLAYERS.encoder, 'encoder', normalized_x), 2, -1)
    z = mean + jnp.exp(log_var / 2) * jax.vmap(normal)(fold_in(keys, 0))
    z_p = jax.vmap(normal)(fold_in(keys, 1))
    l_prior = jnp.mean(0.5 * jnp.sum(jnp.exp(log_var) + mean**2 - 1 - log_var, -1))
    dec = lambda z: apply(nets.generator, 'decoder', z, None)
    dis = lambda x: apply(nets.discriminator, 'discriminator', x, None)
    (real, layer), (rec, layer_rec), (fake, _) = dis(normalized_x), dis(dec(z)), dis(dec(z_p))
    constant = 0.5 * layer.shape[1] * jnp.log(2 * jnp.pi)
    l_llike = jnp.mean(0.5 * jnp.sum((layer - layer_rec) ** 2, -1)) + constant
    d = jax.nn.sigmoid
    l_gan = jnp.mean(jnp.log(d(real)) + jnp.log(1 - d(rec)) + jnp.log(1 - d(fake)))
    of_decoder = jnp.mean(jnp.log(1 - d(rec)) + jnp.log(1 - d(fake)))  # L_GAN up to a constant
    return {
        'encoder': HYPERS['beta'] * l_prior + l_llike,
        'decoder': HYPERS['gamma'] * l_llike + of_decoder,
        'discriminator': -l_gan,
    }


def played(hypers):
    weights = jax.jit(FAMILY.init)(jax.random.PRNGKey(0), BATCH)
    rng = rng_for(jax.random.PRNGKey(1), jnp.arange(N), N)
    hypers = jax.tree.map(jnp.float32, hypers)
    turn = train_step.gradients_of_turn(FAMILY.turns[0], weights, BATCH, rng, 0, hypers)
    return weights.params, rng, turn.gradients, turn.losses


@pytest.mark.slow
def test_losses_and_gradients_are_those_of_algorithm_1():
    params, rng, gradients, losses = played(HYPERS)
    expected = algorithm_1(params, BATCH['x'], rng.keys)
    for player in expected:
        np.testing.assert_allclose(losses[player], expected[player], rtol=1e-5)
        loss = lambda p, player=player: algorithm_1({**params, player: p}, BATCH['x'], rng.keys)[
            player
        ]
        slope = jax.grad(loss)(params[player])
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6),
            gradients[player],
            slope,
        )


@pytest.mark.slow
def test_gamma_changes_the_decoders_gradient_alone():
    slopes = [played({**HYPERS, 'gamma': gamma})[2] for gamma in (0.0, 5.0)]
    same = lambda player: jax.tree.all(jax.tree.map(np.array_equal, *(s[player] for s in slopes)))
    assert [same(player) for player in ('encoder', 'decoder', 'discriminator')] == [1, 0, 1]


def test_there_is_one_turn_of_three_players(run):
    (turn,) = run.family.turns
    assert turn.players == ('encoder', 'decoder', 'discriminator')
    assert set(restore.initial_state(run).params) == set(turn.players)


@pytest.mark.slow
def test_abilities_fit_each_other(run):
    state, batch = restore.initial_state(run), first_batch(run, 5)
    weights, rng = state.weights, rng_for(state.key, jnp.arange(5), 5)
    codes, family = run.family.ability(Codes).encode(weights, batch, rng), run.family
    assert (
        codes.shape
        == family.ability(Codes).prior(weights, rng).shape
        == (5, run.config.model.latent_dim)
    )
    np.testing.assert_array_equal(
        family.ability(Reconstruct).mean(weights, batch, rng),
        family.ability(Codes).decode(weights, codes),
    )
    np.testing.assert_array_equal(
        family.ability(Sample).draw(weights, rng, None),
        family.ability(Codes).decode(weights, family.ability(Codes).prior(weights, rng)),
    )
    x = np.asarray(family.ability(Sample).draw(weights, rng, None))
    assert x.shape == batch['x'].shape
    assert x.min() >= 0
    assert x.max() <= 16
    values = family.metrics(weights, batch, rng)
    assert {v.shape for v in values.values()} == {(5,)}


@pytest.mark.slow
def test_batch_norm_leaves_the_device_count_without_effect(tmp_path):
    """First-step gradients agree to 1e-5, ten losses to 1e-4; all collections change."""
    run = make(tmp_path, model__discriminator_norm='batch', model__activation='silu')
    one, many = steps_on(run, 1), steps_on(run, 8)
    check_same_on_any_devices(one, many)
    moved = jax.tree.map(np.array_equal, one[-1][0].extra, restore.initial_state(run).extra)
    assert not any(jax.tree.leaves(moved))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(model__loss='hinge'), "choose one of 'minimax', 'non_saturating'"),
        (dict(model__norm='spectral'), 'model.norm'),
        (dict(model__channels=()), 'model.channels'),
        (dict(data__name='moons', model__latent_dim=0), 'model.latent_dim'),
    ],
)
def test_bad_settings_end_in_one_line(tmp_path, complaint, changes, message):
    assert message in complaint(make, tmp_path, **changes)
