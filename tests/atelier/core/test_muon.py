"""Muon: dense kernels move by orthogonal matrices, as far as Adam moves them; all else by Nadam."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from atelier.core import optimizers
from configs.shared import common

pytestmark = pytest.mark.usefixtures('quick_compilation')

HYPERS = {**common.common_config().hypers, 'learning_rate': 1e-2}
SHAPES = {
    'dense': {'kernel': (24, 40), 'bias': (40,)},
    'tall': {'kernel': (40, 8)},
    'stacked': {'kernel': (4, 16, 16), 'bias': (4, 16)},
    'conv': {'kernel': (3, 3, 4, 8), 'bias': (8,)},
    'embedding': (30, 24),
}
is_shape = lambda x: isinstance(x, tuple)


def draws(seed: int) -> dict:
    random = np.random.default_rng(seed)
    one = lambda shape: jnp.asarray(random.normal(size=shape), jnp.float32)
    return jax.tree.map(one, SHAPES, is_leaf=is_shape)


def moved(optimizer, gradients: list[dict], params: dict, **changes) -> dict:
    """The last update, under jit with traced hypers."""
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
    """-U V^T of U S V^T; five steps of Newton and Schulz leave singular values of 0.7 to 1.2."""
    gradient = draws(0)
    left, _, right = np.linalg.svd(matrix(gradient, layer), full_matrices=False)
    update = matrix(moved(optimizers.muon, [gradient], draws(1)), layer)
    scale = 1e-2 * optimizers.RMS * np.sqrt(max(update.shape))
    inner = -left.T @ update @ right.T / scale  # in the gradient's own directions
    assert np.all((np.diag(inner) > 0.6) & (np.diag(inner) < 1.3))
    np.testing.assert_allclose(inner - np.diag(np.diag(inner)), 0, atol=1e-3)


def test_a_kernel_moves_about_as_far_as_by_adam():
    gradients = [draws(seed) for seed in range(20)]
    update = matrix(moved(optimizers.muon, gradients, draws(99)), 'dense')
    rms = np.sqrt(np.mean(update**2)) / 1e-2
    assert 0.5 * optimizers.RMS < rms < 1.5 * optimizers.RMS


def test_all_else_moves_as_by_nadam():
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


def test_its_weight_decay_is_that_of_adam():
    """Without gradients nothing else moves."""
    params, still = draws(0), jax.tree.map(jnp.zeros_like, draws(0))
    update = moved(optimizers.muon, [still], params, weight_decay=0.5)
    expected = jax.tree.map(lambda x: -1e-2 * 0.5 * x, params)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5), update, expected)
