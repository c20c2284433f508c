"""MADE and the fully visible belief network: normalised, causal, and sampled as they say."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, check_same_on_any_devices, few_of_test, scattered, steps_on

import game
import states
import train_lib
from applications import inpaint, sample
from datasets.dataset import Spec
from evaluation import evaluate
from models.autoregressive import autoregressive
from models.made import MADE, Orders, degrees_of, made
from models.observations import observation_for

pytestmark = pytest.mark.usefixtures('quick_compilation')

BITS = Spec((3, 3), 2, None)
KINDS = {  # hidden sizes and orders
    'fvsbn': ((), Orders(1, True)),
    'raster': ((7, 6), Orders(1, True)),
    'random': ((8,), Orders(1, False)),
    'mixture': ((8,), Orders(3, False)),
}


def parts_of(name, spec=BITS):
    hidden, orders = KINDS[name]
    observation = observation_for('auto', spec, 2)
    return made(MADE(hidden, observation.size), orders, observation, spec)


def weights_of(parts, seed=3):
    batch = {'x': jnp.zeros((1, *parts.spec.event_shape))}
    params, extra = jax.jit(parts.init)(jax.random.PRNGKey(seed), batch)
    return scattered(params), extra


def draw_of(n):
    return game.draw_for(jax.random.PRNGKey(0), jnp.arange(n), n)


def every_image(levels=2, dims=9):
    return np.array([*itertools.product(range(levels), repeat=dims)], np.float32)


@pytest.mark.parametrize('name', KINDS)
def test_probabilities_of_all_images_sum_to_one(name):
    parts = parts_of(name)
    family, weights = autoregressive(parts), weights_of(parts)
    x = jnp.asarray(every_image().reshape(-1, 3, 3))
    nats = jax.jit(family.log_prob.nats)(*weights, {'x': x}, draw_of(512))
    np.testing.assert_allclose(np.exp(np.float64(nats)).sum(), 1.0, rtol=1e-5)
    assert np.ptp(nats) > 0.5  # and they are not all the same


def test_probabilities_of_levels_sum_to_one():
    parts = parts_of('raster', Spec((4,), 5, None))
    family, weights = autoregressive(parts), weights_of(parts)
    x = jnp.asarray(every_image(5, 4))
    nats = jax.jit(family.log_prob.nats)(*weights, {'x': x}, draw_of(625))
    np.testing.assert_allclose(np.exp(np.float64(nats)).sum(), 1.0, rtol=1e-5)


@pytest.mark.parametrize('name', KINDS)
def test_a_number_depends_on_those_before_it_alone(name):
    """The Jacobian is zero there, and nowhere where a direct connection leads."""
    parts = parts_of(name)
    params, extra = weights_of(parts)
    x = jax.random.normal(jax.random.PRNGKey(1), (1, 3, 3))
    for number, places in enumerate(np.asarray(parts.places(extra))):
        told = functools.partial(parts.parameters, params, extra, number=number)
        slopes = jax.jacobian(lambda x, told=told: told({'x': x})[0, ..., 0])(x)
        slopes = np.abs(np.asarray(slopes)).reshape(9, 9)
        is_before = places[None, :] < places[:, None]
        assert sorted(places) == list(range(9))
        assert (slopes[~is_before] == 0).all() and (slopes[is_before] > 0).all()


def test_orders_and_masks_differ():
    degrees = degrees_of(jax.random.PRNGKey(0), 9, (20, 20), Orders(4, False))
    for layer in degrees.values():
        assert len(np.unique(np.asarray(layer), axis=0)) == 4
    raster = degrees_of(jax.random.PRNGKey(0), 9, (20, 20), Orders(4, True))
    np.testing.assert_array_equal(raster['0'], np.broadcast_to(np.arange(9), (4, 9)))
    assert len(np.unique(np.asarray(raster['1']), axis=0)) == 4
    assert raster['2'].min() >= raster['1'].min() and raster['2'].max() <= 7


@pytest.mark.parametrize('name', ['raster', 'mixture'])
def test_samples_have_their_probabilities(name):
    """Of 2x2 images, all sixteen of them."""
    spec, n = Spec((2, 2), 2, None), 20_000
    parts = parts_of(name, spec)
    family, weights = autoregressive(parts), weights_of(parts)
    made_up = np.asarray(jax.jit(lambda *w: family.sample(*w, draw_of(n), None))(*weights))
    x = every_image(2, 4).reshape(-1, 2, 2)
    chance = np.exp(family.log_prob.nats(*weights, {'x': jnp.asarray(x)}, draw_of(16)))
    shares = [(made_up == one).all((1, 2)).mean() for one in x]
    np.testing.assert_allclose(shares, chance, atol=4 * np.sqrt(0.25 / n))


def test_what_comes_behind_is_drawn_given_what_comes_before():
    parts = parts_of('raster', Spec((2, 2), 2, None))
    family, weights, n = autoregressive(parts), weights_of(parts), 20_000
    known = jnp.asarray([[True, True], [False, False]])
    x = jnp.broadcast_to(
        jnp.where(known, jnp.asarray([[1.0, 0.0], [0.0, 0.0]]), jnp.nan), (n, 2, 2)
    )
    batch = {'x': x, 'known': jnp.broadcast_to(known, x.shape)}
    made_up = np.asarray(jax.jit(family.inpaint)(*weights, batch, draw_of(n)))
    assert (made_up[:, 0] == [1, 0]).all()
    every = np.array([[[1, 0], [a, b]] for a in (0, 1) for b in (0, 1)], np.float32)
    chance = np.exp(family.log_prob.nats(*weights, {'x': jnp.asarray(every)}, draw_of(4)))
    shares = [(made_up == one).all((1, 2)).mean() for one in every]
    np.testing.assert_allclose(shares, chance / chance.sum(), atol=4 * np.sqrt(0.25 / n))


@pytest.mark.slow
@pytest.mark.parametrize('change', [{}, dict(model__num_orders=3, model__order='random')])
def test_losses_do_not_depend_on_the_devices(tmp_path, change):
    run = assembled(tmp_path, 'made', **change)
    check_same_on_any_devices(*(steps_on(run, n, 5) for n in (1, 8)))


@pytest.mark.parametrize('name', [pytest.param('made', marks=pytest.mark.slow), 'fvsbn'])
def test_trained_evaluated_and_used(tmp_path, one_device, name):
    run = few_of_test(assembled(tmp_path, name), 40)
    train_lib.train(run)
    assert evaluate.evaluate(run)['log_prob'] == 'exact'
    x = sample.apply(run, num_samples=6)
    assert x.shape == (6, 8, 8, 1) and set(np.unique(x)) <= set(range(17))
    filled = inpaint.apply(run, mask='bottom', num_images=2, num_completions=2, num_examples=4)
    known = np.broadcast_to(filled['known'][:, None], filled['completions'].shape)
    whole = np.broadcast_to(filled['x'][:, None], known.shape)
    np.testing.assert_array_equal(filled['completions'][known], whole[known])
    assert states.load_state(run)[0].extra['model']['degrees']['0'].dtype == np.int32


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(model__num_orders=0), 'config.model.num_orders=0'),
        (dict(model__order='spiral'), 'config.model.order'),
        (dict(model__hidden_sizes=(0,)), 'config.model.hidden_sizes=0'),
        (dict(model__observation='gaussian'), '17 levels'),
    ],
)
def test_bad_settings_end_in_one_line(tmp_path, complaint, change, words):
    assert words in complaint(assembled, tmp_path, 'made', **change)
