"""Class-conditional families draw classes of training, and tell which they have drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import assembled, recipe_and_config

from atelier import checkout
from atelier.core.abilities import Sample
from atelier.core.randomness import rng_for
from atelier.data import dataset
from atelier.data.condition_splits import conditioned
from atelier.data.conditions.condition import KEY
from atelier.data.conditions.numbers import Numbers
from atelier.data.spec import Spec
from atelier.run import experiment, restore
from models.nets.conditioning import requested_features, requested_label

N = 32


def rng_of(seed):
    return rng_for(jax.random.PRNGKey(seed), np.arange(N), N)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31 - 1), left_out=st.sets(st.integers(0, 4), max_size=4))
def test_random_classes_are_those_of_training(seed, left_out):
    spec = Spec((3,), 2, 5, left_out=tuple(sorted(left_out)))
    labels = requested_label(rng_of(seed).keys, None, spec)
    assert {*labels.tolist()} <= {*spec.known_classes}
    one_hot = requested_features(rng_of(seed).keys, None, spec)
    np.testing.assert_array_equal(one_hot, np.eye(5)[labels])


def test_requested_classes_are_taken_and_a_prior_is_followed():
    spec, keys = Spec((3,), 2, 5), rng_of(0).keys
    wanted = jnp.arange(N) % 5
    np.testing.assert_array_equal(requested_label(keys, {'label': wanted}, spec), wanted)
    only = jnp.where(jnp.arange(5) == 3, 0.0, -jnp.inf)
    assert (requested_label(keys, None, spec, only) == 3).all()
    np.testing.assert_array_equal(requested_label(keys, {'label': wanted}, spec, only), wanted)


@pytest.mark.usefixtures('scattered_weights')
@pytest.mark.parametrize(
    ('name', 'changes'),
    [
        pytest.param('cvae', {}, marks=pytest.mark.slow),
        pytest.param('cgan', {}, marks=pytest.mark.slow),
        ('naive_bayes', {}),
        pytest.param('realnvp', dict(model__is_conditional=True), marks=pytest.mark.slow),
        pytest.param('diffusion', {}, marks=pytest.mark.slow),
        pytest.param('gated_pixelcnn', dict(model__is_conditional=True), marks=pytest.mark.slow),
    ],
)
def test_a_family_tells_the_classes_that_it_draws(tmp_path, name, changes):
    """Samples of no requested class are those of the classes that the family tells."""
    run = assembled(tmp_path, name, **changes)
    ability, weights = run.family.ability(Sample), restore.load(run).state.averaged_weights
    draw = jax.jit(ability.draw)
    labels = jax.jit(ability.labels)(weights, rng_of(1))
    assert len({*labels.tolist()}) > 3
    x = draw(weights, rng_of(1), None)
    np.testing.assert_allclose(draw(weights, rng_of(1), {'label': labels}), x, atol=1e-4)
    others = draw(weights, rng_of(1), {'label': (labels + 1) % 10})
    assert np.abs(others - x).max() > 0.01


@pytest.mark.usefixtures('scattered_weights')
@pytest.mark.parametrize(
    ('name', 'changes'),
    [
        ('cvae', {}),
        pytest.param('cgan', {}, marks=pytest.mark.slow),
        pytest.param('realnvp', dict(model__is_conditional=True), marks=pytest.mark.slow),
        pytest.param('diffusion', {}, marks=pytest.mark.slow),
    ],
)
def test_a_family_tells_the_conditions_that_it_draws(tmp_path, name, changes):
    """Those of training, if none is requested."""
    path, argument = f'{checkout.ROOT}/configs/{name}.py', 'digits,debug'
    read = lambda config: with_numbers(dataset.load(config))
    run = experiment.assemble(tmp_path, *recipe_and_config(argument, path, **changes), read=read)
    ability, weights = run.family.ability(Sample), restore.load(run).state.averaged_weights
    draw = jax.jit(ability.draw)
    rows = jax.jit(ability.conditions)(weights, rng_of(1))
    known = {*run.data.spec.condition.examples}
    assert {*map(tuple, rows.tolist())} <= known and len({*rows[:, 0].tolist()}) > 3
    x = draw(weights, rng_of(1), None)
    np.testing.assert_allclose(draw(weights, rng_of(1), {KEY: rows}), x, atol=1e-4)
    assert np.abs(draw(weights, rng_of(1), {KEY: rows[::-1]}) - x).max() > 0.01


def with_numbers(data):
    """The data with two numbers as the condition, which follow from the label."""
    numbers = lambda label: np.stack([label, label**2], 1).astype(np.float32)
    splits = {name: {**split, KEY: numbers(split['label'])} for name, split in data.splits.items()}
    spec = data.spec._replace(condition=Numbers(('label', 'square')))
    return conditioned(data._replace(splits=splits, spec=spec))


def test_a_family_without_classes_tells_none(vae):
    assert vae.family.ability(Sample).labels is None
    assert vae.family.ability(Sample).conditions is None
