"""The transformer over pixels: normalised, causal, and what is kept of a sample changes nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, check_same_on_any_devices, few_of_test, scattered, steps_on

import game
import train_lib
from applications import inpaint, sample
from datasets.dataset import Spec
from evaluation import evaluate
from models.autoregressive import autoregressive
from models.transformer import Transformer
from models.transformer_parts import transformer_parts

pytestmark = pytest.mark.usefixtures('quick_compilation')

BITS = Spec((3, 3), 2, None)


def parts_of(spec=BITS, **options):
    sizes = dict(symbols=spec.levels, length=spec.num_dims, width=8, blocks=2, heads=2)
    return transformer_parts(Transformer(**sizes, **options), spec)


def weights_of(parts):
    """Of which nothing is so small that it hides the rest."""
    batch = {'x': jnp.zeros((1, *parts.spec.event_shape)), 'label': jnp.zeros(1, int)}
    params, extra = jax.jit(parts.init)(jax.random.PRNGKey(3), batch)
    tables = {name: 20 * a for name, a in params['model'].items() if not isinstance(a, dict)}
    return {'model': scattered({**params['model'], **tables})}, extra


def draw_of(n):
    return game.draw_for(jax.random.PRNGKey(0), jnp.arange(n), n)


def every_image(levels, dims):
    return np.stack(np.meshgrid(*[np.arange(levels)] * dims), -1).reshape(-1, dims) * 1.0


def test_probabilities_of_all_images_sum_to_one_given_each_label():
    parts = parts_of(BITS._replace(num_classes=3), num_classes=3)
    x = jnp.asarray(every_image(2, 9).reshape(-1, 3, 3))
    weights, nats_of = weights_of(parts), jax.jit(autoregressive(parts).log_prob.nats)
    every = []
    for label in range(3):
        batch = {'x': x, 'label': jnp.full(512, label)}
        every.append(np.float64(nats_of(*weights, batch, draw_of(512))))
        np.testing.assert_allclose(np.exp(every[-1]).sum(), 1.0, rtol=1e-5)
        assert np.ptp(every[-1]) > 0.5
    assert np.ptp(every, axis=0).max() > 0.1


def test_probabilities_of_all_levels_of_channels_sum_to_one():
    parts = parts_of(Spec((2, 1, 2), 4, None))
    x = jnp.asarray(every_image(4, 4).reshape(-1, 2, 1, 2))
    nats = jax.jit(autoregressive(parts).log_prob.nats)(*weights_of(parts), {'x': x}, draw_of(256))
    np.testing.assert_allclose(np.exp(np.float64(nats)).sum(), 1.0, rtol=1e-5)


def test_a_pixel_moves_the_parameters_behind_it_alone():
    parts, x = parts_of(), jnp.asarray(np.random.default_rng(0).integers(0, 2, (1, 3, 3)) * 1.0)
    weights = weights_of(parts)
    told = jax.jit(lambda x: parts.parameters(*weights, {'x': x}, 0).reshape(9, 2))
    for place in range(9):
        other = x.at[0, place // 3, place % 3].set(1 - x[0, place // 3, place % 3])
        moved = np.asarray(told(other) != told(x)).any(-1)
        np.testing.assert_array_equal(moved, np.arange(9) > place)


def test_samples_are_those_of_the_whole_network():
    """In float64, by the same keys; filled-in images too."""
    with jax.enable_x64():
        parts = parts_of(Spec((4, 3), 5, 3), num_classes=3, dtype=jnp.float64)
        weights, n = weights_of(parts), 12
        x = jax.random.randint(jax.random.PRNGKey(1), (n, 4, 3), 0, 5).astype(jnp.float32)
        known = jax.random.bernoulli(jax.random.PRNGKey(2), 0.4, x.shape)
        batch = {'x': x, 'known': known, 'label': jnp.arange(n) % 3}
        made = []
        for one in (parts, parts._replace(steps=None)):
            family = autoregressive(one)
            drawn = jax.jit(lambda *w, f=family: f.sample(*w, draw_of(n), None))(*weights)
            filled = jax.jit(lambda *w, f=family: f.inpaint(*w, batch, draw_of(n)))(*weights)
            made.append((np.asarray(drawn), np.asarray(filled)))
    np.testing.assert_array_equal(*(drawn for drawn, _ in made))
    np.testing.assert_array_equal(*(filled for _, filled in made))
    assert (made[0][1][known] == np.asarray(x)[known]).all()
    assert len(np.unique(made[0][0])) == 5 and len(np.unique(made[0][0], axis=0)) == n


def test_training_drops_and_the_likelihood_does_not():
    parts = parts_of(dropout=0.5)
    weights, batch = weights_of(parts), {'x': jnp.ones((4, 3, 3))}
    family, plain = autoregressive(parts), autoregressive(parts_of())
    loss = lambda f: float(f.turns[0].loss(*weights, batch, draw_of(4), 0, {})[0]['model'])
    nats = lambda f: f.log_prob.nats(*weights, batch, draw_of(4))
    np.testing.assert_array_equal(nats(family), nats(plain))
    assert loss(plain) == pytest.approx(-float(np.mean(nats(plain))), rel=1e-5)
    assert abs(loss(family) - loss(plain)) > 1e-2


@pytest.mark.slow
@pytest.mark.parametrize('change', [{}, dict(model__is_conditional=True, model__is_tied=True)])
def test_losses_do_not_depend_on_the_devices(tmp_path, change):
    run = assembled(tmp_path, 'pixel_transformer', **change)
    check_same_on_any_devices(*(steps_on(run, n, 5) for n in (1, 8)))


def test_trained_evaluated_and_used(tmp_path, one_device):
    changes = dict(model__is_conditional=True, train__steps=4, train__steps_per_dispatch=2)
    changes |= dict(train__evaluate_every=4, train__checkpoint_every=4)
    run = few_of_test(assembled(tmp_path, 'pixel_transformer', **changes), 40)
    train_lib.train(run)
    assert evaluate.evaluate(run)['log_prob'] == 'exact, given the label'
    x = sample.apply(run, num_samples=6, labels='0,1')
    assert x.shape == (6, 8, 8, 1) and set(np.unique(x)) <= set(range(17))
    filled = inpaint.apply(run, mask='bottom', num_images=2, num_completions=2, num_examples=4)
    known = np.broadcast_to(filled['known'][:, None], filled['completions'].shape)
    whole = np.broadcast_to(filled['x'][:, None], known.shape)
    np.testing.assert_array_equal(filled['completions'][known], whole[known])


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (dict(model__heads=3), 'config.model.heads=3'),
        (dict(model__blocks=0), 'config.model.blocks=0'),
        (dict(model__dropout=1.0), 'config.model.dropout=1.0'),
        (dict(data__dequantize='uniform'), 'levels'),
        (dict(argument='ring,debug', model__is_conditional=True), 'levels'),
    ],
)
def test_bad_settings_end_in_one_line(tmp_path, complaint, change, words):
    assert words in complaint(assembled, tmp_path, 'pixel_transformer', **change)
