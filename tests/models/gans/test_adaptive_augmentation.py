"""Adaptive augmentation: p follows the discriminator, and is a part of the State."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import resuming
from augmenting import keys_of
from support import assembled, check_same_on_any_devices, first_batch, steps_on

from atelier.core import train_step
from atelier.core.randomness import rng_for
from atelier.data.borders import with_background
from atelier.data.dataset import Spec
from atelier.errors import UserError
from atelier.run import restore
from configs.shared.adaptive_augmentation import adaptive_of
from models.gans import adaptive_augmentation as ada

HYPERS = {
    'augment_target': jnp.float32(0.6),
    'augment_examples': jnp.float32(1000),
    'augment_limit': jnp.float32(0.8),
}
SIZE = 48
STEP = ada.INTERVAL * SIZE / 1000  # of p
CHANGES = (  # p, shares of real pictures beyond the boundary in minibatches, the next p
    (0.3, (1.0,) * ada.INTERVAL, 0.3 + STEP),  # r = 1
    (0.3, (1.0,) * (ada.INTERVAL - 1), 0.3),  # not yet
    (0.3, (1.0,) * (2 * ada.INTERVAL), 0.3 + 2 * STEP),
    (0.3, (0.75,) * ada.INTERVAL, 0.3 - STEP),  # r = 0.5
    (0.3, (1.0, 1.0, 1.0, 0.5), 0.3 + STEP),  # r = 0.75
    (0.3, (1.0, 1.0, 0.5, 0.5), 0.3 - STEP),  # r = 0.5
    (0.75, (1.0,) * ada.INTERVAL, 0.8),
    (0.05, (0.0,) * ada.INTERVAL, 0.0),
)


@pytest.mark.parametrize('boundary', [0.0, 0.5])
def test_the_probability_follows_the_mean_sign_of_real_logits(boundary):
    rng = rng_for(jax.random.PRNGKey(0), jnp.arange(SIZE), SIZE)
    adapted = jax.jit(lambda state, logits: ada.adapted(state, logits, boundary, rng, HYPERS))
    for p, shares, expected in CHANGES:
        state = {ada.COLLECTION: {**ada.initial_collection(), 'probability': jnp.float32(p)}}
        for share in shares:
            is_beyond = np.arange(SIZE) < share * SIZE
            state = adapted(state, np.float32(boundary) + np.where(is_beyond, 0.1, -5.0))
        after = state[ada.COLLECTION]['probability']
        assert after == pytest.approx(expected, abs=1e-6), (p, shares)


def with_probability(run, p):
    """The initial State with this p."""
    state = restore.initial_state(run)
    discriminator = dict(state.extra['discriminator'])
    discriminator[ada.COLLECTION] = {
        **discriminator[ada.COLLECTION],
        'probability': jnp.float32(p),
    }
    return state.replace(extra={**state.extra, 'discriminator': discriminator})


def gradients(run, state, turn_index):
    """The gradients of one turn."""
    size = run.config.train.batch_size
    rng = rng_for(jax.random.PRNGKey(1), jnp.arange(size), size)
    turn = run.family.turns[turn_index]
    batch = first_batch(run, size)
    play = jax.jit(
        lambda state: train_step.gradients_of_turn(
            turn, state.weights, batch, rng, state.step, state.hypers
        )
    )
    return [jax.device_get(play(each)) for each in state]


@pytest.mark.parametrize('turn_index', [0, 1])
def test_gradients_through_transformed_pictures(tmp_path, turn_index):
    """Finite and other than without transformations; with p = 0 those of the plain GAN."""
    run, plain = assembled(tmp_path, 'ada_gan'), assembled(tmp_path, 'gan')
    never, often = gradients(run, [with_probability(run, p) for p in (0.0, 0.8)], turn_index)
    (expected,) = gradients(plain, [restore.initial_state(plain)], turn_index)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    jax.tree.map(close, never.gradients, expected.gradients)
    for slopes, others in zip(
        jax.tree.leaves(often.gradients), jax.tree.leaves(never.gradients), strict=True
    ):
        assert np.isfinite(slopes).all()
        assert np.abs(slopes).max() > 0 and not np.allclose(slopes, others, rtol=1e-2)
    if turn_index == 0:
        assert often.metrics['augment_probability'] == np.float32(0.8)
        assert often.extra['discriminator'][ada.COLLECTION]['minibatches'] == 1


ADAPTING = dict(hypers__augment_examples=600.0, hypers__augment_target=0.0)


@pytest.mark.slow
def test_a_stopped_run_ends_with_the_same_probability(tmp_path):
    """Bit for bit, as all of its State."""
    settings = {**resuming.SETTINGS, **ADAPTING, 'train__best_metric': 'accuracy_real'}
    whole, parts = (assembled(tmp_path / name, 'ada_gan', **settings) for name in ('a', 'b'))
    resuming.train(whole)
    for stop in (15, None):
        resuming.train(parts, stop)
    one, other = resuming.outcome(whole), resuming.outcome(parts)
    resuming.assert_same(one, other)
    assert one[0].extra['discriminator'][ada.COLLECTION]['probability'] > 0
    assert any(row.get('train/augment_probability', 0) > 0 for row in one[3])


@pytest.mark.slow
def test_the_device_count_makes_no_difference(tmp_path):
    run = assembled(tmp_path, 'ada_gan', **ADAPTING)
    one, many = steps_on(run, 1), steps_on(run, 8)
    check_same_on_any_devices(one, many)
    assert one[-1][1]['augment_probability'] > 0


def test_flips_are_left_out_for_chiral_data(gan):
    config = assembled(gan.folder, 'ada_gan').config.copy_and_resolve_references()
    photos = Spec((8, 8, 3), 256, None, chiral=False)
    assert adaptive_of(config, photos).strengths.flip
    assert not adaptive_of(config, photos._replace(chiral=True)).strengths.flip
    config.model.augment.flip = 'always'
    assert adaptive_of(config, photos._replace(chiral=True)).strengths.flip
    config.model.augment.flip = 'never'
    assert not adaptive_of(config, photos).strengths.flip


def on_white(levels=None):
    """Grey pictures of shape [8, 8] with a white border, as stored values; real ones without."""
    x = np.full((48, 8, 8, 1), 3.0)
    x[:, 2:6, 2:6] = np.random.default_rng(0).integers(1, 3, (48, 4, 4, 1))
    return x.astype(np.uint8) if levels else (x * 10 + 5).astype(np.float32)


def transformed(config, spec, x):
    """Stored pictures as the discriminator sees them with p = 1, in the units of x."""
    collections = {ada.COLLECTION: {'probability': jnp.float32(1)}}
    apply = jax.jit(ada.augmented, static_argnums=(0, 4))
    seen = apply(adaptive_of(config, spec), collections, spec.normalize(x), keys_of(len(x)), 0)
    return np.asarray(spec.denormalize(seen))


def with_strengths(config, **strengths):
    config = config.copy_and_resolve_references()
    names = 'shift', 'rotate', 'scale', 'brightness', 'contrast', 'cutout'
    config.model.augment.update({**dict.fromkeys(names, 0.0), 'flip': 'never', **strengths})
    return config


def test_outside_is_the_background_and_without_one_the_picture_mirrored(gan):
    config = with_strengths(assembled(gan.folder, 'ada_gan').config, shift=3.0)
    grey, x = Spec((8, 8, 1), 4, None), on_white(levels=4)
    white = with_background(grey, x, 4)
    assert {*np.unique(transformed(config, white, x))} == {1, 2, 3}, 'nothing is black, as no x is'
    assert adaptive_of(config, white).fill == adaptive_of(config, white).blank == (1.0,)
    assert adaptive_of(config, grey).fill is None and adaptive_of(config, grey).blank == (0.5,)


def test_real_values_are_measured_in_standard_deviations(gan):
    """They have no range and no background: x from outside is mirrored, what is erased the mean."""
    config, x = assembled(gan.folder, 'ada_gan').config, on_white()
    real = Spec((8, 8, 1), None, None, mean=float(x.mean()), std=float(x.std()))
    assert with_background(real, x, None) == real
    moved = transformed(with_strengths(config, shift=3.0), real, x)
    assert np.isclose(moved[..., None], np.unique(x), atol=1e-4).any(-1).all(), 'values of x only'
    erased = transformed(with_strengths(config, cutout=0.5), real, x)
    changed = ~np.isclose(erased, x, atol=1e-4)
    assert changed.any() and np.allclose(erased[changed], x.mean(), atol=1e-3)
    brighter = transformed(with_strengths(config, brightness=0.5), real, x)
    added = (brighter - x).mean((1, 2, 3)) / x.std()
    assert 0.4 < np.abs(added).max() <= 0.5 + 1e-4


def test_the_data_say_what_is_outside(tmp_path):
    """The background reaches the discriminator of a run on grey pictures on white."""
    x, settings = 85 * on_white(levels=4), dict(data__path=str(tmp_path / 'x.npz'))
    np.savez(tmp_path / 'x.npz', x_train=x, x_valid=x[:8], x_test=x[:8])
    run = assembled(tmp_path / 'run', 'ada_gan', 'arrays,debug', **settings)
    assert run.data.spec.background == (1.0,)
    assert adaptive_of(run.config, run.data.spec).fill == (1.0,)


@pytest.mark.parametrize(
    ('argument', 'changes', 'reason'),
    [
        ('ring,debug', {}, 'config.model.augment: ring has no pictures'),
        ('debug', dict(model__loss='wasserstein'), "loss='wasserstein' has no decision boundary"),
        ('debug', dict(model__augment__shift=-1.0), 'config.model.augment.shift=-1'),
        ('debug', dict(model__augment__flip='yes'), "config.model.augment.flip is 'yes'"),
        ('debug', dict(hypers__augment_examples=0.0), 'config.hypers.augment_examples=0'),
        ('debug', dict(hypers__augment_examples=0.9), 'config.hypers.augment_examples=0.9'),
        ('debug', dict(hypers__augment_limit=1.0), 'config.hypers.augment_limit=1: .* below 1,'),
        ('debug', dict(hypers__augment_limit=1.5), 'config.hypers.augment_limit=1.5'),
        ('debug', dict(hypers__augment_limit=-0.1), 'config.hypers.augment_limit=-0.1'),
        ('debug', dict(hypers__augment_limit=float('nan')), 'config.hypers.augment_limit=nan'),
        ('debug', dict(hypers__augment_target=1.1), 'config.hypers.augment_target=1.1'),
        ('debug', dict(hypers__augment_target=-0.1), 'config.hypers.augment_target=-0.1'),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, argument, changes, reason):
    with pytest.raises(UserError, match=reason):
        assembled(tmp_path, 'ada_gan', argument, **changes)


def test_the_ends_of_the_ranges_are_taken(tmp_path):
    ends = dict(hypers__augment_examples=1.0, hypers__augment_limit=0.0, hypers__augment_target=1.0)
    assembled(tmp_path / 'a', 'ada_gan', **ends)
    highest = dict(hypers__augment_limit=0.99, hypers__augment_target=0.0)
    assembled(tmp_path / 'b', 'ada_gan', **highest)


def test_fields_of_the_collection_are_arrays_of_the_state(tmp_path):
    state = restore.initial_state(assembled(tmp_path, 'ada_gan'))
    collection = state.extra['discriminator'][ada.COLLECTION]
    assert {name: leaf.dtype.name for name, leaf in collection.items()} == {
        'probability': 'float32',
        'mean_sign': 'float32',
        'minibatches': 'int32',
    }
