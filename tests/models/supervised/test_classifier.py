"""The classifier: random shifts, dropout, training, and rejected settings."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, first_batch

import train_lib
from atelier.core import train_step
from atelier.core.abilities import Classify, Codes
from atelier.core.randomness import rng_for
from atelier.evaluation import evaluate
from models.nets.dropout import dropout
from models.supervised import classifier


def keys(n, seed=0):
    return rng_for(jax.random.PRNGKey(seed), jnp.arange(n), n).keys


def make(folder, argument='digits,debug', **changes):
    return assembled(folder, 'classifier', argument, **changes)


@pytest.mark.parametrize('shape', [(6, 5), (6, 5, 2)])
def test_images_move_by_every_offset_and_zeros_come_in(shape):
    image = jnp.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    n = 400
    moved = np.asarray(classifier.shifted(jnp.stack([image] * n), keys(n), 1))
    padded = np.pad(image, [(1, 1), (1, 1)] + [(0, 0)] * (len(shape) - 2))
    shifted_images = {
        (i, j): padded[i : i + shape[0], j : j + shape[1]] for i in range(3) for j in range(3)
    }
    offsets = [
        next(
            offset
            for offset, expected in shifted_images.items()
            if np.array_equal(expected, moved_image)
        )
        for moved_image in moved
    ]
    assert set(offsets) == set(shifted_images)
    assert min(map(offsets.count, shifted_images)) > n / 9 / 2


def test_a_shift_of_zero_changes_nothing():
    x = jnp.ones((3, 4, 4, 1))
    assert classifier.shifted(x, keys(3), 0) is x


def test_dropping_keeps_the_mean():
    features = jnp.ones((500, 20)) * 3
    dropped = np.asarray(dropout(features, keys(500), 0.25))
    assert set(np.unique(dropped)) == {0.0, 4.0}
    assert dropped.mean() == pytest.approx(3, abs=0.1)
    assert np.mean(dropped == 0) == pytest.approx(0.25, abs=0.02)


@pytest.mark.slow
def test_evaluation_drops_and_moves_nothing(tmp_path):
    """Evaluation gives the same values for any noise, while training losses differ."""
    run = make(tmp_path, model__dropout=0.5)
    weights = jax.jit(run.family.init)(jax.random.PRNGKey(0), batch := first_batch(run, 10))
    metrics = [
        run.family.metrics(weights, batch, rng_for(key, jnp.arange(10), 10))
        for key in jax.random.split(jax.random.PRNGKey(1), 2)
    ]
    jax.tree.map(np.testing.assert_array_equal, *metrics)
    (turn,) = run.family.turns
    losses = [
        train_step.gradients_of_turn(
            turn, weights, batch, rng_for(key, jnp.arange(10), 10), 0, {}
        ).losses['model']
        for key in jax.random.split(jax.random.PRNGKey(1), 2)
    ]
    assert losses[0] != losses[1]


def test_metrics_are_those_of_the_logits(tmp_path):
    run = make(tmp_path)
    batch = first_batch(run, 30)
    weights = jax.jit(run.family.init)(jax.random.PRNGKey(0), batch)
    rng = rng_for(jax.random.PRNGKey(1), jnp.arange(30), 30)
    logits_of = jax.jit(run.family.ability(Classify).logits)
    logits = np.asarray(logits_of(weights, batch, rng), np.float64)
    label = np.asarray(batch['label'])
    metrics = jax.jit(run.family.metrics)(weights, batch, rng)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -np.log(probabilities[np.arange(30), label])
    np.testing.assert_allclose(metrics['cross_entropy_nats'], expected, rtol=1e-5)
    np.testing.assert_array_equal(metrics['accuracy'], logits.argmax(1) == label)
    encoded = jax.eval_shape(run.family.ability(Codes).encode, weights, batch, rng)
    assert encoded.shape == (30, 16)


@pytest.mark.slow
def test_feature_maps_and_their_logits_are_those_of_the_whole_network(tmp_path):
    """The maps are the last convolution's output: nonnegative, 2x2 after two strides of 2."""
    run = make(tmp_path, model__channels=(4, 5))
    batch = first_batch(run, 6)
    weights = jax.jit(run.family.init)(jax.random.PRNGKey(0), batch)
    rng = rng_for(jax.random.PRNGKey(1), jnp.arange(6), 6)
    maps = run.family.ability(Classify).feature_maps.maps(weights, batch, rng)
    assert maps.shape == (6, 2, 2, 5)
    assert np.all(maps >= 0)
    assert np.any(maps > 0)
    np.testing.assert_allclose(
        run.family.ability(Classify).feature_maps.logits(weights, maps),
        run.family.ability(Classify).logits(weights, batch, rng),
        rtol=1e-6,
    )
    changed = run.family.ability(Classify).feature_maps.logits(weights, 2 * maps)
    assert not np.allclose(changed, run.family.ability(Classify).logits(weights, batch, rng))


def test_the_names_of_its_parameters_stay(tmp_path):
    """Checkpoints rely on these names; values recorded in evaluation are no weights."""
    run = make(tmp_path, model__channels=(4, 4))
    weights = jax.jit(run.family.init)(jax.random.PRNGKey(0), first_batch(run, 6))
    assert set(weights.extra['model']) == {'batch_stats'}
    assert set(weights.params['model']) == {'Dense_0', 'body'}
    assert set(weights.params['model']['body']) == {'BatchNorm_0', 'Conv_0', 'Conv_1', 'MLP_0'}


@pytest.mark.slow
def test_it_learns_the_digits(tmp_path):
    hypers = dict(hypers__learning_rate=0.01, hypers__decay_steps=0.0, hypers__ema_half_life=0.0)
    run = make(tmp_path, train__steps=200, **hypers)
    train_lib.train(run, jax.devices()[:1])
    values = evaluate.evaluate(run, jax.devices()[:1])['values']
    assert values['accuracy']['mean'] > 0.7


@pytest.mark.parametrize(
    ('argument', 'changes', 'message'),
    [
        ('checkerboard,debug', {}, 'no labels'),
        ('ring,debug', {}, 'the examples are not images'),
        ('digits,debug', dict(model__dropout=1.0), 'config.model.dropout'),
        ('digits,debug', dict(model__hidden_sizes=()), 'config.model.hidden_sizes'),
        ('digits,debug', dict(model__shift=-1), 'config.model.shift'),
    ],
)
def test_bad_settings_end_in_one_line(tmp_path, complaint, argument, changes, message):
    assert message in complaint(make, tmp_path, argument, **changes)


def test_points_are_classified_without_convolutions(tmp_path):
    run = make(tmp_path, 'ring,debug', model__channels=(), model__shift=0)
    batch = first_batch(run, 5)
    weights = jax.jit(run.family.init)(jax.random.PRNGKey(0), batch)
    rng = rng_for(jax.random.PRNGKey(1), jnp.arange(5), 5)
    assert run.family.ability(Classify).logits(weights, batch, rng).shape == (5, 8)
    assert run.family.ability(Classify).feature_maps is None
