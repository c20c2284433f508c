"""The GAN family: each player's gradients and updates, device counts, packing and labels."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, check_same_on_any_devices, first_batch, steps_on

import train_lib
from atelier.core import optimizers, train_step
from atelier.core.abilities import Codes, Sample
from atelier.core.randomness import identity, rng_for
from atelier.data.dataset import Spec
from atelier.run import restore
from atelier.training import checks, validation
from losses import adversarial
from models.gans import networks
from models.gans import players as gan_players

QUICK = ('minimax',)


def make(folder, name='gan', **changes):
    """The debug digits GAN as a Run; keywords such as model__packing=2 override fields."""
    return assembled(folder, name, **changes)


def batch_of(run):
    return first_batch(run, run.config.train.batch_size)


def one_turn(run, turn_index, state=None):
    """The result of playing turn `turn_index` on the first examples."""
    state = state or restore.initial_state(run)
    size = run.config.train.batch_size
    rng = rng_for(jax.random.PRNGKey(1), jnp.arange(size), size)
    turn = run.family.turns[turn_index]
    return jax.jit(functools.partial(train_step.gradients_of_turn, turn))(
        state.weights, batch_of(run), rng, state.step, state.hypers
    )


@pytest.mark.parametrize(
    'loss',
    [g if g in QUICK else pytest.param(g, marks=pytest.mark.slow) for g in adversarial.GAMES],
)
def test_each_players_gradient_is_that_of_its_own_loss(tmp_path, loss):
    """Against both networks and losses written out without the family."""
    run = make(tmp_path, model__loss=loss, model__norm='none')
    state, size = restore.initial_state(run), run.config.train.batch_size
    key = jax.random.PRNGKey(1)
    keys = jax.vmap(lambda row: jax.random.fold_in(key, row))(jnp.arange(size))
    z = jax.vmap(lambda key: jax.random.normal(key, (run.config.model.latent_dim,)))(keys)
    dense = lambda p, x: x @ p['kernel'] + p['bias']

    def generated(p):
        body = p['body']
        return jax.nn.sigmoid(dense(body['Dense_1'], jax.nn.relu(dense(body['Dense_0'], z))))

    def judged(p, x):
        units = dense(p['body']['Dense_0'], x)
        return dense(p['Dense_0'], jnp.where(units > 0, units, 0.2 * units))[:, 0]

    real = batch_of(run)['x'].reshape(size, -1) / 16
    of_discriminator, of_generator = adversarial.GAMES[loss]
    g, d = state.params['generator'], state.params['discriminator']
    slopes = {
        'discriminator': jax.jit(
            jax.grad(lambda d: of_discriminator(judged(d, real), judged(d, generated(g))).mean())
        )(d),
        'generator': jax.jit(jax.grad(lambda g: of_generator(judged(d, generated(g))).mean()))(g),
    }
    for turn_index, player in enumerate(slopes):
        actual = one_turn(run, turn_index, state).gradients
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6),
            actual,
            {player: slopes[player]},
        )


def test_the_player_out_of_turn_is_bitwise_unchanged(tmp_path):
    """The other player's parameters, optimizer moments and collections stay bitwise equal."""
    run = make(tmp_path, model__discriminator_norm='spectral')
    state = restore.initial_state(run)
    batch, rows = batch_of(run), jnp.arange(run.config.train.batch_size)
    for turn_index, player in enumerate(('discriminator', 'generator')):
        turns = (run.family.turns[turn_index],)
        step = train_step.make_step(turns, optimizers.adam, len(rows), identity, identity)
        after, _ = jax.jit(step)(state, [batch], rows)
        other_player = {'generator': 'discriminator', 'discriminator': 'generator'}[player]
        pick = lambda s, player: (s.params[player], s.extra[player], s.opt[player])
        same = lambda a, b: np.array_equal(a, b)
        assert jax.tree.all(
            jax.tree.map(same, pick(after, other_player), pick(state, other_player))
        )
        is_unchanged = jax.tree.map(same, after.params[player], state.params[player])
        assert not any(jax.tree.leaves(is_unchanged))
        assert not jax.tree.all(jax.tree.map(same, after.extra[player], state.extra[player]))


def test_there_is_no_bias_before_a_batch_norm(tmp_path):
    run = make(
        tmp_path, model__discriminator_norm='batch', model__discriminator_hidden_sizes=(8, 8, 8)
    )
    params = restore.initial_state(run).params
    layers = {player: params[player]['body'] for player in params}
    biased = {
        player: {name for name, layer in body.items() if 'bias' in layer and 'kernel' in layer}
        for player, body in layers.items()
    }
    assert biased == {'generator': {'Dense_1'}, 'discriminator': {'Dense_0', 'Dense_2'}}
    for body in layers.values():
        assert set(body['BatchNorm_0']) == {'scale', 'bias'}


@pytest.mark.slow
def test_the_first_layer_keeps_a_pattern_common_to_the_batch(tmp_path):
    """Batch norm on the first layer would remove a pattern added to the whole batch."""
    run = make(
        tmp_path, model__discriminator_norm='batch', model__discriminator_hidden_sizes=(8, 8, 8)
    )
    state, batch = restore.initial_state(run), batch_of(run)
    rng = rng_for(jax.random.PRNGKey(1), jnp.arange(len(batch['x'])), len(batch['x']))
    pattern = 16 * jax.random.uniform(jax.random.PRNGKey(2), (8, 8, 1))
    loss = lambda x: train_step.gradients_of_turn(
        run.family.turns[0], state.weights, {'x': x}, rng, state.step, state.hypers
    ).losses['discriminator']
    assert abs(loss(batch['x']) - loss(batch['x'] + pattern)) > 1e-3


@pytest.mark.slow
def test_convolutions_before_a_batch_norm_have_no_bias(tmp_path):
    """Convolutions have no bias, except last layers and the discriminator's first (no norm)."""
    run = make(tmp_path, 'dcgan', model__penalty='none', model__discriminator_norm='batch')
    params = restore.initial_state(run).params
    biased = {
        player: {name for name, layer in params[player]['body'].items() if 'bias' in layer}
        for player in params
    }
    norms = {f'BatchNorm_{index}' for index in range(2)}
    assert biased['generator'] - norms == {'ConvTranspose_1'}
    assert biased['discriminator'] - norms == {'Conv_0'}
    assert set(params['generator']['body']['MLP_0']['Dense_0']) == {'kernel'}
    assert set(params['discriminator']['body']['MLP_0']['Dense_0']) == {'kernel', 'bias'}


SETTINGS = {
    'convolutions, batch norm of both, packs': dict(
        name='dcgan',
        model__penalty='none',
        model__discriminator_norm='batch',
        model__packing=2,
    ),
    'packs of two': dict(model__packing=2),
    'gradient penalty, critic twice': dict(
        model__loss='wasserstein',
        model__penalty='gradient_penalty',
        model__discriminator_turns=2,
        model__norm='none',
        model__discriminator_activation='silu',  # other slopes jump, so that rounding would matter
    ),
    'features matched': dict(model__feature_matching=True),
    'labels, spectral': dict(
        model__conditioning='projection', model__discriminator_norm='spectral'
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize('name', SETTINGS)
def test_the_device_count_makes_no_difference(tmp_path, name):
    """First-step gradients agree to 1e-5, the losses of ten steps to 1e-4."""
    run = make(tmp_path, **SETTINGS[name])
    check_same_on_any_devices(steps_on(run, 1), steps_on(run, 8))


def test_critics_have_minibatches_of_their_own(tmp_path):
    run = make(tmp_path, model__discriminator_turns=3, model__generator_turns=2)
    assert [turn.batch_index for turn in run.family.turns] == [0, 1, 2, 2, 2]
    players = [turn.players for turn in run.family.turns]
    assert players == [('discriminator',)] * 3 + [('generator',)] * 2


@pytest.mark.slow
def test_players_that_alternate_stand_still_in_turn(tmp_path):
    run = make(
        tmp_path,
        model__alternating=True,
        hypers__discriminator_steps=2.0,
        hypers__generator_steps=3.0,
    )
    state, batch = restore.initial_state(run), batch_of(run)
    rows = jnp.arange(len(batch['x']))
    step = jax.jit(
        train_step.make_step(run.family.turns, optimizers.adam, len(rows), identity, identity)
    )
    moved = []
    for _ in range(7):
        after, _ = step(state, [batch], rows)
        same = jax.tree.map(np.array_equal, (after.params, after.opt), (state.params, state.opt))
        moved.append(
            [p[0] for p in sorted(state.params) if not jax.tree.all((same[0][p], same[1][p]))]
        )
        state = after
    assert moved == [['d'], ['d'], ['g'], ['g'], ['g'], ['d'], ['d']]


# Packing


def test_neighbours_become_channels():
    x = jnp.arange(12.0).reshape(4, 3)
    packed = networks.pack(x, 2)
    assert packed.shape == (2, 3, 2)
    np.testing.assert_array_equal(packed[1, :, 0], x[2])
    np.testing.assert_array_equal(packed[1, :, 1], x[3])
    assert networks.pack(x, 1) is x


@pytest.mark.slow
def test_a_pack_is_judged_at_once(tmp_path):
    """A discriminator with packing 2 takes two images and gives one verdict per pair."""
    run = make(tmp_path, model__packing=2, train__batch_size=48)
    params = restore.initial_state(run).params['discriminator']
    assert params['body']['Dense_0']['kernel'].shape[0] == 2 * 64
    assert one_turn(run, 0).metrics['accuracy_real'].shape == (24,)


# Labels and samples


@pytest.mark.slow
def test_samples_have_the_given_class(tmp_path):
    """With the same key, samples change exactly where their labels do, even without training."""
    run = make(tmp_path, model__conditioning='embedding')
    state = restore.initial_state(run)
    rng = rng_for(jax.random.PRNGKey(3), jnp.arange(4), 4)
    draw = jax.jit(run.family.ability(Sample).draw)
    sample = lambda label: draw(state.weights, rng, {'label': jnp.asarray(label)})
    first, repeated, relabelled = sample([1, 1, 2, 3]), sample([1, 1, 2, 3]), sample([1, 2, 2, 3])
    np.testing.assert_array_equal(first, repeated)
    changed = np.any(np.asarray(first != relabelled), axis=(1, 2, 3))
    assert changed.tolist() == [False, True, False, False]
    unconditional = draw(state.weights, rng, None)
    assert unconditional.shape == (4, 8, 8, 1)


@pytest.mark.parametrize('bounded', [True, False])
def test_samples_are_in_the_units_of_the_data(bounded):
    spec = Spec((3,), 17, None) if bounded else Spec((3,), None, None, mean=5.0, std=2.0)
    nets = gan_players.GANNetworks(
        generator=lambda train, gather: networks.Generator(Constant((3,)), bounded),
        discriminator=None,
        latent_dim=2,
        spec=spec,
    )
    x, _ = gan_players.generate(nets, {}, {}, jnp.zeros((4, 2)), None, False, identity)
    expected = 16 / (1 + np.exp(-0.5)) if bounded else 5 + 2 * 0.5
    np.testing.assert_allclose(spec.denormalize(x), np.full((4, 3), expected), rtol=1e-5)


def test_samples_are_decoded_prior_codes(tmp_path):
    run = make(tmp_path)
    state = restore.initial_state(run)
    weights, rng = state.weights, rng_for(state.key, jnp.arange(4), 4)
    codes = run.family.ability(Codes).prior(weights, rng)
    assert codes.shape == (4, run.config.model.latent_dim)
    np.testing.assert_array_equal(
        run.family.ability(Codes).decode(weights, codes),
        run.family.ability(Sample).draw(weights, rng, None),
    )


class Constant(nn.Module):
    shape: tuple

    def __call__(self, z):
        return jnp.full((len(z), *self.shape), 0.5)


# Invalid combinations


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(model__packing=5), 'config.model.packing=5 does not divide config.train.batch_size'),
        (dict(model__loss='minmax'), "did you mean 'minimax'"),
        (dict(model__discriminator_norm='batch'), 'discriminator_hidden_sizes three sizes or more'),
        (dict(model__penalty='r1', model__packing=2), 'judges each example on its own'),
        (
            dict(
                model__penalty='r1',
                model__discriminator_norm='batch',
                model__discriminator_hidden_sizes=(8, 8, 8),
            ),
            'on its own',
        ),
        (dict(model__conditioning='projection', model__packing=2), 'different labels'),
        (dict(model__conditioning='projection', data__name='checkerboard'), 'has no labels'),
        (dict(model__discriminator_hidden_sizes=()), 'discriminator_hidden_sizes'),
        (dict(hypers__generator_steps=0.0), 'hypers.generator_steps'),
    ],
)
def test_bad_settings_end_in_one_line(tmp_path, complaint, changes, message):
    assert message in complaint(make, tmp_path, **changes)


def test_packs_must_divide_a_devices_share_of_the_batch(tmp_path, complaint):
    """Packs of four divide 48 examples but not a device's 6; refused before writing a folder."""
    run = make(tmp_path / 'run', model__packing=4)
    message = complaint(train_lib.train, run, jax.devices())
    assert 'needs 4 consecutive examples on one device' in message
    assert 'a device has 6 examples' in message
    assert not run.folder.exists()


def test_with_packing_the_best_checkpoint_can_be_chosen_by_coverage(tmp_path):
    run = make(tmp_path, model__packing=4, train__best_metric='coverage')
    assert list(validation.metric_names(run)) == ['coverage']
    checks.check_training(run, num_devices=1)


@pytest.mark.parametrize(
    ('loss', 'expected'), [('least_squares', [1, 0]), ('hinge', [1, 0]), ('non_saturating', [1, 0])]
)
def test_verdicts_change_at_the_decision_boundary(loss, expected):
    """Least squares decides at 1/2, between its targets 0 and 1; the other games at 0."""
    boundary = 0.5 if loss == 'least_squares' else 0.0
    logits = jnp.array([boundary + 0.1, boundary - 0.1])
    metrics = gan_players.discriminator_metrics(loss, logits, logits[::-1])
    assert metrics['accuracy_real'].tolist() == expected
    assert metrics['accuracy_fake'].tolist() == expected


def test_a_critic_has_a_difference_and_no_verdict():
    metrics = gan_players.discriminator_metrics('wasserstein', jnp.array([3.0]), jnp.array([1.0]))
    assert {name: value.tolist() for name, value in metrics.items()} == {'critic_difference': [2.0]}


@pytest.mark.slow
def test_a_path_leads_from_class_to_class(tmp_path):
    """The ends are the classes' samples; the midpoint averages both codes and class vectors."""
    run = make(tmp_path, model__conditioning='projection')
    state = restore.initial_state(run)
    weights, rng = state.weights, rng_for(state.key, jnp.arange(2), 2)
    condition = {'label': jnp.array([3, 7])}
    codes = run.family.ability(Codes).prior(weights, rng, condition)
    assert codes.shape == (2, run.config.model.latent_dim + 10)
    samples = run.family.ability(Sample).draw(weights, rng, condition)
    np.testing.assert_allclose(run.family.ability(Codes).decode(weights, codes), samples, rtol=1e-6)
    halfway = run.family.ability(Codes).decode(weights, codes.mean(0, keepdims=True))
    assert not np.allclose(halfway, samples[:1])
