"""Batch and group norm against Flax, batch norm over devices, spectral norm against numpy."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from atelier.core import devices as device_lib
from atelier.core.randomness import identity
from models.nets.norms import BatchNorm, GroupNorm, spectral_normalize, spectral_vectors

pytestmark = pytest.mark.usefixtures('strict_promotion')


def normal(seed, *shape):
    return jax.random.normal(jax.random.PRNGKey(seed), shape)


@pytest.fixture
def variables():
    scale, bias = 1 + 0.3 * normal(1, 3), normal(2, 3)
    stats = {'mean': normal(3, 3), 'var': 1 + jnp.abs(normal(4, 3))}
    return {'params': {'scale': scale, 'bias': bias}, 'batch_stats': stats}


@pytest.mark.parametrize('shape', [(8, 3), (8, 5, 3), (4, 5, 6, 3)])
@pytest.mark.parametrize('train', [True, False])
def test_batch_norm_is_flaxs(variables, shape, train):
    """Outputs, running moments and gradients match."""
    x, cotangent = 2 + 3 * normal(0, *shape), normal(5, *shape)
    ours = BatchNorm(train, identity, momentum=0.9, epsilon=1e-5)
    theirs = nn.BatchNorm(not train, momentum=0.9, epsilon=1e-5, use_fast_variance=False)
    results = []
    for layer in (ours, theirs):

        def apply(params, x, layer=layer):
            whole = {**variables, 'params': params}
            y, after = layer.apply(whole, x, mutable=['batch_stats'])
            return jnp.sum(y * cotangent), (y, after)

        with jax.numpy_rank_promotion('allow'):
            results.append(
                jax.jit(jax.value_and_grad(apply, (0, 1), has_aux=True))(variables['params'], x)
            )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), *results)


@pytest.mark.parametrize(('shape', 'groups'), [((3, 4, 5, 6), 2), ((3, 4, 6), 6), ((3, 8), 1)])
def test_group_norm_is_flaxs(shape, groups):
    """Initial parameters, outputs and gradients match."""
    x, cotangent = 2 + 3 * normal(0, *shape), normal(5, *shape)
    params = {'scale': 1 + 0.3 * normal(1, shape[-1]), 'bias': normal(2, shape[-1])}
    results = []
    for layer in (GroupNorm(groups), nn.GroupNorm(groups)):
        apply = lambda p, x, layer=layer: jnp.sum(layer.apply({'params': p}, x) * cotangent)
        with jax.numpy_rank_promotion('raise' if isinstance(layer, GroupNorm) else 'allow'):
            initial = jax.jit(layer.init)(jax.random.PRNGKey(0), x)
            results.append((initial, jax.jit(jax.value_and_grad(apply, (0, 1)))(params, x)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), *results)


def test_group_norm_in_double_precision_is_its_definition():
    """Against two-pass numpy; a group of equal values gives the bias."""
    with jax.enable_x64(True):
        x = np.random.default_rng(0).normal(3.0, 2.0, (2, 3, 4, 6))
        x[0, ..., :3] = 7.0
        params = {'scale': np.arange(1.0, 7.0), 'bias': np.linspace(-1.0, 1.0, 6)}
        actual = jax.jit(GroupNorm(2, epsilon=1e-6).apply)({'params': params}, jnp.asarray(x))
        assert actual.dtype == jnp.float64
    grouped = x.reshape(2, 12, 2, 3)
    mean, var = (f(grouped, axis=(1, 3), keepdims=True) for f in (np.mean, np.var))
    expected = ((grouped - mean) / np.sqrt(var + 1e-6)).reshape(x.shape)
    np.testing.assert_allclose(actual, expected * params['scale'] + params['bias'], atol=1e-8)


def test_groups_that_do_not_divide_the_channels_are_refused():
    with pytest.raises(ValueError, match='4 groups do not divide 6 channels'):
        GroupNorm(4).init(jax.random.PRNGKey(0), jnp.ones((2, 3, 6)))


@pytest.mark.slow
def test_the_batch_is_that_of_all_devices(variables):
    """Eight devices give the same outputs, moments and gradients as one."""
    x, cotangent = 1 + normal(0, 16, 4, 3), normal(5, 16, 4, 3)

    def terms(params, x, cotangent, gather):
        layer = BatchNorm(True, gather)
        y, after = layer.apply({**variables, 'params': params}, x, mutable=['batch_stats'])
        return jnp.mean(jnp.sum(y * cotangent, (1, 2))), (y, after)

    def on_device(params, x, cotangent):
        slope, aux = jax.grad(terms, has_aux=True)(params, x, cotangent, device_lib.gather)
        return device_lib.mean(slope), device_lib.gather(aux[0]), aux[1]

    slope, (y, after) = jax.grad(terms, has_aux=True)(variables['params'], x, cotangent, identity)
    parts = [array.reshape(8, 2, 4, 3) for array in (x, cotangent)]
    actual = device_lib.over_devices(on_device, (None, 0, 0), devices=jax.devices())(
        device_lib.place(variables['params'], jax.devices()), *parts
    )
    expected = (slope, y, after)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), actual, expected
    )


def test_initialization_leaves_the_running_moments_alone():
    started = BatchNorm(True, identity).init(jax.random.PRNGKey(0), 5 + normal(0, 8, 2))
    assert np.all(started['batch_stats']['mean'] == 0)
    assert np.all(started['batch_stats']['var'] == 1)


# Spectral


def kernels():
    return {
        'dense': {'kernel': normal(0, 6, 4), 'bias': normal(1, 4)},
        'conv': {'kernel': normal(2, 3, 3, 2, 5)},
        'embed': {'embedding': normal(3, 7, 4)},
    }


def largest_singular_value(kernel):
    return np.linalg.svd(np.asarray(kernel).reshape(-1, kernel.shape[-1]), compute_uv=False)[0]


@pytest.mark.slow
def test_spectral_normalization_gives_kernels_norm_one():
    params = kernels()
    vectors = spectral_vectors(params, jax.random.PRNGKey(9))
    step = jax.jit(functools.partial(spectral_normalize, steps=3))
    for _ in range(40):
        normalized, vectors = step(params, vectors)
    for name, part in (('dense', 'kernel'), ('conv', 'kernel'), ('embed', 'embedding')):
        assert largest_singular_value(normalized[name][part]) == pytest.approx(1, rel=1e-4)
        expected = params[name][part] / largest_singular_value(params[name][part])
        np.testing.assert_allclose(normalized[name][part], expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(normalized['dense']['bias'], params['dense']['bias'])


def test_the_gradient_goes_through_the_norm_and_not_through_the_vectors():
    """Miyato et al. (2018), equation 12: a step along the kernel itself changes nothing."""
    params = {'kernel': normal(0, 6, 4)}
    vectors = spectral_vectors(params, jax.random.PRNGKey(9))
    for _ in range(60):
        _, vectors = spectral_normalize(params, vectors)
    weight = normal(5, 6, 4)
    slope = jax.grad(lambda p: jnp.sum(weight * spectral_normalize(p, vectors)[0]['kernel']))(
        params
    )
    assert abs(float(jnp.sum(slope['kernel'] * params['kernel']))) < 1e-4
    sigma = largest_singular_value(params['kernel'])
    u, _, v = np.linalg.svd(np.asarray(params['kernel']))
    along = np.sum(np.asarray(weight) * np.asarray(params['kernel'])) / sigma
    expected = (np.asarray(weight) - along * np.outer(u[:, 0], v[0])) / sigma
    np.testing.assert_allclose(slope['kernel'], expected, rtol=1e-3, atol=1e-4)


def test_one_iteration_per_call_tracks_a_changing_kernel():
    """As in training, one power iteration per call tracks the norm without converging."""
    params = {'kernel': normal(0, 20, 10)}
    vectors = spectral_vectors(params, jax.random.PRNGKey(9))
    for step in range(100):
        params = {'kernel': params['kernel'] + 0.01 * normal(step + 10, 20, 10)}
        normalized, vectors = spectral_normalize(params, vectors)
    assert largest_singular_value(normalized['kernel']) == pytest.approx(1, rel=0.05)
