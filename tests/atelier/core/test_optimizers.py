"""Optimizers: scheduled learning rates, Adam as in optax, and Muon.

Muon updates dense kernels by orthogonal matrices with the RMS of Adam's updates; Nadam updates
all other parameters.
"""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from atelier.core import optimizers
from configs.shared import common

HYPERS = {**common.common_config().hypers, 'learning_rate': 1e-2}
SCHEDULED = {
    **common.common_config().hypers,
    'learning_rate': 1e-2,
    'learning_rate_end': 1e-3,
    'warmup_steps': 10.0,
    'decay_steps': 110.0,
}
SHAPES = {
    'dense': {'kernel': (24, 40), 'bias': (40,)},
    'tall': {'kernel': (40, 8)},
    'stacked': {'kernel': (4, 16, 16), 'bias': (4, 16)},
    'conv': {'kernel': (3, 3, 4, 8), 'bias': (8,)},
    'embedding': (30, 24),
}
is_shape = lambda x: isinstance(x, tuple)


# Schedules that cannot be


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(warmup_steps=200.0), r'warmup_steps=200 is not below .*decay_steps=110'),
        (dict(warmup_steps=110.0), r'warmup_steps=110 is not below'),
        (dict(learning_rate=5e-4), r'learning_rate_end=0.001 is above .*learning_rate=0.0005'),
        (dict(learning_rate_critic=0.0), r'learning_rate_end=0.001 is above .*rate_critic=0:'),
        (dict(learning_rate=-1e-3), r'hypers.learning_rate=-0.001'),
        (dict(adam_beta1=1.0), r'hypers.adam_beta1=1.0: .* below 1'),
        (dict(adam_beta2_critic=1.5), r'hypers.adam_beta2_critic=1.5: .* below 1'),
        (dict(warmup_steps=-1.0), r'hypers.warmup_steps=-1.0'),
        (dict(milestone_factor=-0.5), r'hypers.milestone_factor=-0.5'),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(complaint, changes, message):
    line = complaint(lambda: optimizers.check_hypers({**SCHEDULED, **changes}))
    assert re.search(message, line), line


@pytest.mark.parametrize(
    'hypers',
    [
        SCHEDULED,
        {**SCHEDULED, 'warmup_steps': 200.0, 'decay_steps': 0.0},
        {**SCHEDULED, 'learning_rate': 0.0, 'decay_steps': 0.0},
        {**SCHEDULED, 'adam_beta1': 0.0},
        {'ema_half_life': 0.0},
        {},
    ],
)
def test_other_schedules_are_accepted(hypers):
    optimizers.check_hypers(hypers)


# Learning rates and Adam


def rate(step, player='model', **changes):
    return float(optimizers.learning_rate({**SCHEDULED, **changes}, step, player))


def test_the_rate_warms_up_and_then_follows_half_a_cosine():
    for step in range(10):
        np.testing.assert_allclose(rate(step), 1e-2 * (step + 1) / 10, rtol=1e-5)
    np.testing.assert_allclose(rate(10), 1e-2, rtol=1e-5)
    np.testing.assert_allclose(rate(60), (1e-2 + 1e-3) / 2, rtol=1e-5)
    for step in (110, 500):
        np.testing.assert_allclose(rate(step), 1e-3, rtol=1e-5)


def test_the_rate_agrees_with_optax():
    theirs = optax.warmup_cosine_decay_schedule(0.0, 1e-2, 10, 110, 1e-3)
    for step in range(10, 150, 7):
        np.testing.assert_allclose(rate(step), theirs(step), rtol=1e-5)


def test_the_rate_falls_at_each_milestone():
    falls = dict(milestone_1=100.0, milestone_2=150.0, milestone_factor=0.5, decay_steps=0.0)
    falls['warmup_steps'] = 10.0
    rates = [rate(step, **falls) for step in (4, 99, 100, 149, 150, 10**6)]
    np.testing.assert_allclose(rates, [5e-3, 1e-2, 5e-3, 5e-3, 2.5e-3, 2.5e-3], rtol=1e-6)


def test_decay_may_be_off_and_one_player_may_have_its_own_rate():
    assert rate(10_000, decay_steps=0.0) == pytest.approx(1e-2)
    own = dict(learning_rate_critic=5e-2, decay_steps=0.0)
    assert rate(100, 'critic', **own) == pytest.approx(5e-2)
    assert rate(100, 'generator', **own) == pytest.approx(1e-2)


def test_any_hyper_of_adam_may_be_set_for_one_player():
    hypers = {**SCHEDULED, 'adam_beta1_critic': 0.0, 'decay_steps': 0.0, 'warmup_steps': 0.0}
    params = {'w': jnp.zeros(())}

    def second_move(player):
        rule = optimizers.adam(player, hypers, 0)
        state = rule.init(params)
        for gradient in (1.0, -1.0):
            update, state = rule.update({'w': jnp.float32(gradient)}, state, params)
        return float(update['w'])

    np.testing.assert_allclose(second_move('critic'), 1e-2, rtol=1e-5)  # no momentum
    assert second_move('generator') < 1e-3


@pytest.mark.parametrize('clip_norm', [0.0, 0.1, 100.0])
def test_adam_is_optax_adamw_with_clipping(clip_norm):
    """Under jit, with traced hypers, over ten steps."""
    hypers = {**SCHEDULED, 'decay_steps': 0.0, 'warmup_steps': 0.0, 'weight_decay': 0.1}
    hypers = {name: jnp.float32(v) for name, v in {**hypers, 'clip_norm': clip_norm}.items()}
    clip = optax.clip_by_global_norm(clip_norm) if clip_norm else optax.identity()
    theirs = optax.chain(clip, optax.adamw(1e-2, weight_decay=0.1))
    ours = optimizers.adam('model', hypers, 0)
    params = same = {'w': jnp.array([1.0, -2.0, 3.0])}
    state, their_state = ours.init(params), theirs.init(params)

    @jax.jit
    def move(hypers, gradient, state, params, step):
        rule = optimizers.adam('model', hypers, step)
        update, state = rule.update(gradient, state, params)
        return optax.apply_updates(params, update), state

    for step in range(10):
        gradient = {'w': jnp.sin(jnp.arange(3.0) + step)}
        params, state = move(hypers, gradient, state, params, step)
        update, their_state = theirs.update(gradient, their_state, same)
        same = optax.apply_updates(same, update)
        np.testing.assert_allclose(params['w'], same['w'], rtol=1e-5)


# Muon


def draws(seed: int) -> dict:
    random = np.random.default_rng(seed)
    one = lambda shape: jnp.asarray(random.normal(size=shape), jnp.float32)
    return jax.tree.map(one, SHAPES, is_leaf=is_shape)


def moved(optimizer, gradients: list[dict], params: dict, **changes) -> dict:
    """Returns the last update, computed under jit with traced hypers."""
    hypers = {name: jnp.float32(v) for name, v in {**HYPERS, **changes}.items()}

    @jax.jit
    def move(hypers, gradient, state, params, step):
        update, state = optimizer('model', hypers, step).update(gradient, state, params)
        return update, state, optax.apply_updates(params, update)

    state = jax.jit(lambda params: optimizer('model', hypers, 0).init(params))(params)
    for step, gradient in enumerate(gradients):
        update, state, params = move(hypers, gradient, state, params, step)
    return update


def matrix(update: dict, layer: str) -> np.ndarray:
    return np.asarray(update[layer]['kernel'], np.float64)


@pytest.mark.parametrize('layer', ['dense', 'tall'])
def test_a_kernel_moves_by_the_orthogonal_factor_of_its_gradient(layer):
    """The update for a gradient U S V^T is about -U V^T.

    Five Newton-Schulz iterations leave singular values of 0.7 to 1.2.
    """
    gradient = draws(0)
    left, _, right = np.linalg.svd(matrix(gradient, layer), full_matrices=False)
    update = matrix(moved(optimizers.muon, [gradient], draws(1)), layer)
    scale = 1e-2 * optimizers.RMS * np.sqrt(max(update.shape))
    inner = -left.T @ update @ right.T / scale  # in the basis of the gradient's singular vectors
    assert np.all((np.diag(inner) > 0.6) & (np.diag(inner) < 1.3))
    np.testing.assert_allclose(inner - np.diag(np.diag(inner)), 0, atol=1e-3)


def test_a_kernel_moves_about_as_far_as_by_adam():
    gradients = [draws(seed) for seed in range(20)]
    update = matrix(moved(optimizers.muon, gradients, draws(99)), 'dense')
    rms = np.sqrt(np.mean(update**2)) / 1e-2
    assert 0.5 * optimizers.RMS < rms < 1.5 * optimizers.RMS


@pytest.mark.slow
def test_other_parameters_move_as_by_nadam():
    gradients = [draws(seed) for seed in range(3)]
    ours = moved(optimizers.muon, gradients, draws(99), weight_decay=0.1, clip_norm=1.0)
    rule = optax.chain(
        optax.clip_by_global_norm(1.0), optax.adamw(1e-2, weight_decay=0.1, nesterov=True)
    )
    theirs = moved(lambda *_: rule, gradients, draws(99))
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7)
    for name in ('embedding', 'stacked', 'conv'):
        jax.tree.map(close, ours[name], theirs[name])
    close(ours['dense']['bias'], theirs['dense']['bias'])
    assert not np.allclose(ours['dense']['kernel'], theirs['dense']['kernel'], rtol=0.1)


def test_weight_decay_of_muon_equals_that_of_adam():
    """With zero gradients only the weight decay changes the parameters."""
    params, still = draws(0), jax.tree.map(jnp.zeros_like, draws(0))
    update = moved(optimizers.muon, [still], params, weight_decay=0.5)
    expected = jax.tree.map(lambda x: -1e-2 * 0.5 * x, params)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5), update, expected)
