"""The game: gradients, turns, freezing and averages against explicit derivatives and closed forms.

Toy families with several players stand in for the GAN and the VAE-GAN.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.core import game, train_step
from atelier.core.family import Family
from atelier.core.randomness import Stream, identity, key_for, rng_for
from atelier.core.types import Weights

pytestmark = pytest.mark.usefixtures('strict_promotion')

HYPERS = {'ema_half_life': jnp.float32(0.0), 'rate': jnp.float32(0.1)}


def sgd(player, hypers, step):
    del player, step
    return optax.sgd(hypers['rate'])


def start(params, **hypers):
    """A State of toy parameters."""
    key = jax.random.PRNGKey(0)
    return train_step.init_state(toy_family(params), sgd, key, {}, {**HYPERS, **hypers})


def toy_family(params, turns=()):
    weights = Weights(params, {player: {} for player in params})
    return Family(lambda key, batch: weights, turns, lambda weights, batch, rng: {})


def step_of(*turns, batch_size=1):
    return jax.jit(
        train_step.make_step(turns, sgd, batch_size, identity, identity),
        static_argnums=(),
    )


def toy_losses(params, batch):
    """Losses in which every player's parameters occur in every player's loss."""
    x = batch['x']
    hidden = jnp.tanh(x @ params['encoder']['w'])
    decoded = hidden @ params['decoder']['w']
    score = jnp.tanh(decoded @ params['discriminator']['w'])
    return {
        'encoder': jnp.mean((decoded - x) ** 2) + 0.3 * jnp.mean(score),
        'decoder': jnp.mean(jnp.abs(decoded - x)) - jnp.mean(score),
        'discriminator': jnp.mean(jax.nn.softplus(score)) + 0.1 * jnp.mean(hidden**2),
    }


def toy_turn(players, batch=0):
    def loss(weights, batch, rng, step, hypers):
        losses = toy_losses(weights.params, batch)
        return {player: losses[player] for player in players}, (weights.extra, {})

    return game.Turn(players, loss, batch)


@pytest.fixture
def toy():
    keys = jax.random.split(jax.random.PRNGKey(1), 4)
    params = {
        'encoder': {'w': jax.random.normal(keys[0], (4, 3))},
        'decoder': {'w': jax.random.normal(keys[1], (3, 4))},
        'discriminator': {'w': jax.random.normal(keys[2], (4, 1))},
    }
    return params, {'x': jax.random.normal(keys[3], (8, 4))}


PLAYERS = ('encoder', 'decoder', 'discriminator')


@pytest.mark.parametrize(
    'players',
    [
        pytest.param(PLAYERS[:1], marks=pytest.mark.slow),
        pytest.param(PLAYERS[1:], marks=pytest.mark.slow),
        PLAYERS,
    ],
)
def test_each_player_gets_the_gradient_of_its_own_loss(toy, players):
    params, batch = toy
    rng = rng_for(jax.random.PRNGKey(0), jnp.arange(8), 8)
    gradients_of_turn = lambda weights: train_step.gradients_of_turn(
        toy_turn(players), weights, batch, rng, 0, {}
    )
    gradients, losses, _, _ = jax.jit(gradients_of_turn)(Weights(params, {}))
    assert set(gradients) == set(losses) == set(players)
    for player in players:

        def own(tree, player=player):
            return toy_losses({**params, player: tree}, batch)[player]

        value, gradient = jax.value_and_grad(own)(params[player])
        np.testing.assert_allclose(losses[player], value, rtol=1e-6)
        np.testing.assert_allclose(gradients[player]['w'], gradient['w'], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize('mover', PLAYERS)
def test_players_without_a_turn_do_not_move(toy, mover):
    params, batch = toy
    before = start(params)
    after, _ = step_of(toy_turn((mover,)), batch_size=8)(before, [batch], jnp.arange(8))
    for player in PLAYERS:
        same = np.array_equal(after.params[player]['w'], before.params[player]['w'])
        assert same == (player != mover)


def test_turns_move_one_after_another(toy):
    """The second turn uses the parameters updated by the first: alternating, not simultaneous."""
    params, batch = toy
    turns = toy_turn(('discriminator',)), toy_turn(('decoder',))
    both, _ = step_of(*turns, batch_size=8)(start(params), [batch], jnp.arange(8))
    first, _ = step_of(turns[0], batch_size=8)(start(params), [batch], jnp.arange(8))
    second, _ = step_of(turns[1], batch_size=8)(start(first.params), [batch], jnp.arange(8))
    for player in PLAYERS:
        np.testing.assert_allclose(both.params[player]['w'], second.params[player]['w'], rtol=1e-6)


def bilinear(alternating):
    """min over x, max over y of x * y: the eigenvalues are known."""

    def loss(players):
        def f(weights, batch, rng, step, hypers):
            value = weights.params['x'] * weights.params['y']
            return {p: value if p == 'x' else -value for p in players}, (weights.extra, {})

        return game.Turn(players, f)

    return (loss(('x',)), loss(('y',))) if alternating else (loss(('x', 'y')),)


@pytest.mark.parametrize('alternating', [False, True])
def test_bilinear_game_follows_its_closed_form(alternating):
    rate, steps = 0.1, 25
    state = start({'x': jnp.float32(1.0), 'y': jnp.float32(0.5)}, rate=jnp.float32(rate))
    step = step_of(*bilinear(alternating))
    for _ in range(steps):
        state, report = step(state, [{}], jnp.arange(1))
    if alternating:  # y uses the updated x
        matrix = np.array([[1, -rate], [rate, 1 - rate**2]])
    else:
        matrix = np.array([[1, -rate], [rate, 1]])
    expected = np.linalg.matrix_power(matrix, steps) @ [1.0, 0.5]
    np.testing.assert_allclose([state.params['x'], state.params['y']], expected, rtol=1e-5)
    assert {'loss_x', 'loss_y', 'gradient_norm_x', 'gradient_norm_y'} <= set(report)


def quadratic_turn(curvature):
    def loss(weights, batch, rng, step, hypers):
        return {'model': 0.5 * curvature * weights.params['model'] ** 2}, (weights.extra, {})

    return game.Turn(('model',), loss)


@settings(max_examples=15, deadline=None)
@given(curvature=st.floats(0.1, 3.0), rate=st.floats(0.01, 0.5))
def test_quadratic_by_gradient_descent_follows_its_closed_form(curvature, rate):
    state = start({'model': jnp.float32(2.0)}, rate=jnp.float32(rate))
    step = train_step.make_step((quadratic_turn(curvature),), sgd, 1, identity, identity)
    state, report = jax.lax.scan(lambda s, _: step(s, [{}], jnp.arange(1)), state, length=10)
    path = 2.0 * (1 - rate * curvature) ** np.arange(11)
    np.testing.assert_allclose(state.params['model'], path[-1], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(report['loss'], 0.5 * curvature * path[:-1] ** 2, 1e-3, 1e-6)
    np.testing.assert_allclose(report['gradient_norm'], abs(curvature * path[:-1]), 1e-3, 1e-6)
    assert int(state.step) == 10


@settings(max_examples=20, deadline=None)
@given(half_life=st.floats(1.0, 1e6), batch_size=st.integers(1, 512))
def test_moving_average_has_its_declared_half_life(half_life, batch_size):
    """Averaging a constant c from 0 gives c * (1 - 2^(-examples / half-life))."""
    average = jnp.float32(0.0)
    for _ in range(20):
        average = train_step.moving_average(average, jnp.float32(3.0), half_life, batch_size)
    expected = 3.0 * -np.expm1(-np.log(2) * 20 * batch_size / half_life)
    np.testing.assert_allclose(average, expected, rtol=1e-4)


def test_half_life_zero_is_the_plain_weights():
    assert train_step.moving_average(jnp.float32(7.0), jnp.float32(3.0), 0.0, 10) == 3.0


def test_the_step_averages_the_weights_once(toy):
    params, batch = toy
    state = start(params, ema_half_life=jnp.float32(8.0))  # one batch of 8: weight 1/2
    state, _ = step_of(toy_turn(PLAYERS), batch_size=8)(state, [batch], jnp.arange(8))
    for player in PLAYERS:
        middle = (params[player]['w'] + state.params[player]['w']) / 2
        np.testing.assert_allclose(state.ema[player]['w'], middle, rtol=1e-6)


def test_a_turn_reads_the_minibatch_it_names():
    def turn(player, batch):
        def loss(weights, batch, rng, step, hypers):
            return {player: weights.params[player] * batch['x'][0]}, (weights.extra, {})

        return game.Turn((player,), loss, batch)

    turns = turn('critic', 0), turn('critic', 1), turn('generator', 1)
    state = start({'critic': jnp.float32(0.0), 'generator': jnp.float32(0.0)})
    batches = [{'x': jnp.float32([1.0])}, {'x': jnp.float32([10.0])}]
    state, _ = step_of(*turns)(state, batches, jnp.arange(1))
    np.testing.assert_allclose(state.params['critic'], -0.1 * 11.0, rtol=1e-6)
    np.testing.assert_allclose(state.params['generator'], -0.1 * 10.0, rtol=1e-6)


def test_turns_of_one_step_draw_different_noise_and_steps_too():
    def loss(weights, batch, rng, step, hypers):
        noise = jax.vmap(jax.random.normal)(rng.keys)
        return {'model': weights.params['model'] * noise.mean()}, (weights.extra, {'noise': noise})

    def run(turns):
        step = step_of(*turns, batch_size=4)
        state, noise_values = start({'model': jnp.float32(0.0)}), []
        for _ in range(2):
            state, report = step(state, [{}], jnp.arange(4))
            noise_values.append(float(report['noise']))
        return noise_values

    turn = game.Turn(('model',), loss)
    one, two = run((turn,)), run((turn, turn))
    assert one[0] != one[1]
    assert two[0] != one[0]  # the report averages both turns, and the second has other random draws


def test_random_keys_belong_to_global_rows():
    key = jax.random.PRNGKey(5)
    whole = rng_for(key, jnp.arange(8), 8)
    half = rng_for(key, jnp.arange(4, 8), 8)
    np.testing.assert_array_equal(whole.keys[4:], half.keys)
    np.testing.assert_array_equal(whole.shared_key, half.shared_key)
    everything = np.concatenate([whole.keys, whole.shared_key[None]])
    assert len(np.unique(everything, axis=0)) == 9


def test_keys_differ_by_stream_and_path():
    key = jax.random.PRNGKey(0)
    paths = [(p, *path) for p in Stream for path in ((), (0,), (1,), (0, 1), (1, 0))]
    keys = [tuple(map(int, key_for(key, *path))) for path in paths]
    assert len(set(keys)) == len(keys)


SPOILERS = {
    'loss is nan': lambda x: x * jnp.nan,
    'loss is infinite': lambda x: x + jnp.inf,
    'gradient alone is infinite': lambda x: jnp.sqrt(x - jax.lax.stop_gradient(x)),
}


@pytest.mark.parametrize('spoiler', SPOILERS)
def test_a_non_finite_step_freezes_the_state(spoiler):
    """From step 3 on every leaf stays the same, `step` included; the report names the step."""

    def loss(weights, batch, rng, step, hypers):
        healthy = lambda x: 0.5 * (x - 1.0) ** 2
        value = jax.lax.cond(step >= 3, SPOILERS[spoiler], healthy, weights.params['model'])
        return {'model': value}, ({'model': {'count': weights.extra['model']['count'] + 1}}, {})

    turn = game.Turn(('model',), loss)
    state = start({'model': jnp.float32(0.0)})
    state = state.replace(extra={'model': {'count': jnp.int32(0)}})
    step = train_step.make_step((turn,), sgd, 1, identity, identity)
    run = jax.jit(
        lambda s, n: jax.lax.scan(lambda s, _: step(s, [{}], jnp.arange(1)), s, length=n),
        static_argnums=1,
    )
    good, _ = run(state, 3)
    frozen, report = run(state, 10)
    np.testing.assert_array_equal(report['finite'], np.arange(10) < 3)
    jax.tree.map(np.testing.assert_array_equal, frozen, good)
    assert int(frozen.step) == 3


def test_losses_of_other_players_are_refused(toy):
    params, batch = toy
    wrong = toy_turn(('encoder',))._replace(players=('encoder', 'decoder'))
    with pytest.raises(ValueError, match='decoder'):
        step_of(wrong)(start(params), [batch], jnp.arange(8))


def to_mean(offset=0.0, when=None):
    """Sets 'centre' to the mean of the minibatch over all devices."""

    def fit(weights, batch, rng, step, hypers):
        del step, hypers
        whole = rng.gather(batch['x'])
        loss = jnp.mean(jnp.abs(batch['x'] - weights.params['centre']['w'][None]))
        moved = {'centre': {'w': jnp.mean(whole, 0) + offset}}
        return {'centre': loss}, (moved, weights.extra, {'size': jnp.abs(batch['x']).sum(-1)})

    return game.Fit(('centre',), fit, when=when)


def test_a_fit_replaces_its_players_and_leaves_the_others(toy):
    params, batch = toy
    params = {**params, 'centre': {'w': jnp.zeros(4)}}
    turns = to_mean(), toy_turn(('encoder',))
    state = train_step.init_state(toy_family(params, turns), sgd, jax.random.PRNGKey(0), {}, HYPERS)
    assert set(state.opt) == {*PLAYERS}  # a fit has no optimizer state
    new, report = step_of(*turns, batch_size=8)(state, [batch], jnp.arange(8))
    np.testing.assert_allclose(new.params['centre']['w'], batch['x'].mean(0), rtol=1e-6)
    assert report['loss_centre'] == pytest.approx(float(jnp.abs(batch['x']).mean()), rel=1e-6)
    assert report['size'] == pytest.approx(float(jnp.abs(batch['x']).sum(-1).mean()), rel=1e-6)
    assert 'gradient_norm_centre' not in report
    alone, _ = step_of(turns[1], batch_size=8)(start(params), [batch], jnp.arange(8))
    np.testing.assert_array_equal(new.params['encoder']['w'], alone.params['encoder']['w'])
    np.testing.assert_array_equal(new.params['decoder']['w'], params['decoder']['w'])


def test_a_fit_can_be_delayed():
    state = start({'centre': {'w': jnp.zeros(4)}})
    step = step_of(to_mean(when=lambda hypers, step: step == 1))
    batch = {'x': jnp.ones((1, 4))}
    first, _ = step(state, [batch], jnp.arange(1))
    second, _ = step(first, [batch], jnp.arange(1))
    np.testing.assert_array_equal(first.params['centre']['w'], jnp.zeros(4))
    np.testing.assert_array_equal(second.params['centre']['w'], jnp.ones(4))


def test_a_fit_that_is_not_finite_freezes_the_state():
    """The state freezes at that step, although the loss of the previous parameters is finite."""
    state = start({'centre': {'w': jnp.zeros(4)}})
    new, report = step_of(to_mean(offset=jnp.nan))(state, [{'x': jnp.ones((1, 4))}], jnp.arange(1))
    assert not report['finite'] and np.isfinite(report['loss_centre'])
    jax.tree.map(np.testing.assert_array_equal, new, state)
