"""A family's conditionals multiply to its p(x), over all small images.

Also tests the per-dimension p(x | z) of VAEs.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, first_batch, scattered

from atelier.core.abilities import BitsBack, Codes, Conditionals, LogProb
from atelier.core.family import Family, is_class_conditional
from atelier.core.randomness import rng_for, standard_normal
from atelier.data.dataset import Spec
from models.autoregressive.autoregressive import autoregressive
from models.autoregressive.made import MADE, Orders, made_parts
from models.classical import chow_liu_tree, mixture
from models.classical.components import categorical
from models.shared.observations import observation_for

SLOW = pytest.mark.slow
BITS, LEVELS = Spec((3, 3), 2, 3), Spec((2, 2, 1), 5, 3)
MADES = {  # hidden sizes, orders, observation
    'fvsbn': ((), Orders(1, True), 'auto'),
    'made': ((7, 6), Orders(1, True), 'binomial'),
    'random order': ((8,), Orders(1, False), 'auto'),
    'categorical': ((8,), Orders(1, False), 'categorical'),
}
OTHERS = {
    'mixture': lambda spec: mixture.mixture(
        mixture.MixtureParts(categorical(spec.levels, 0.5), 4, spec, False, lloyd_iterations=1)
    ),
    'naive bayes': lambda spec: mixture.mixture(
        mixture.MixtureParts(categorical(spec.levels, 0.5), 3, spec, True, pseudo_count=1.0)
    ),
    'tree': lambda spec: chow_liu_tree.chow_liu(chow_liu_tree.ChowLiuParts(spec, 1.0, 1.0)),
}


def family_of(name, spec) -> Family:
    if name in OTHERS:
        return OTHERS[name](spec)
    hidden, orders, kind = MADES[name]
    observation = observation_for(kind, spec, 2)
    return autoregressive(made_parts(MADE(hidden, observation.size), orders, observation, spec))


def weights_of(name, family, spec):
    random = np.random.RandomState(0)
    x = random.randint(0, spec.levels, (40, *spec.event_shape)).astype(np.float32)
    x = np.sort(x, axis=1)  # makes dimensions dependent
    batch = {'x': jnp.asarray(x), 'label': jnp.asarray(random.randint(0, 3, 40))}
    weights = jax.jit(family.init)(jax.random.PRNGKey(3), batch)
    return weights if name in OTHERS else weights._replace(params=scattered(weights.params))


def every_example(spec):
    x = np.array([*itertools.product(range(spec.levels), repeat=spec.num_dims)], np.float32)
    labels = np.arange(len(x)) % 3
    return {'x': jnp.asarray(x.reshape(-1, *spec.event_shape)), 'label': jnp.asarray(labels)}


def tables(family, weights, batch):
    """log p of each level of each dimension, [n, dims, levels], in the order of x."""
    chain, x = family.ability(Conditionals), np.asarray(batch['x']).reshape(len(batch['x']), -1)
    batch_without_x = {**batch, 'x': jnp.full_like(batch['x'], 0.0)}
    memory = jax.jit(chain.begin)(weights, batch_without_x)
    step, order = jax.jit(chain.step), np.asarray(chain.order(weights))
    assert sorted(order) == list(range(x.shape[1]))
    log_probs, before = [None] * x.shape[1], np.zeros(len(x), np.float32)
    for i, dim in enumerate(order):
        memory, log_probs[dim] = step(weights, memory, np.int32(i), before)
        before = x[:, dim]
    return np.stack(log_probs, 1)


@pytest.mark.parametrize(
    ('name', 'spec'),
    [
        ('fvsbn', BITS),
        *(pytest.param(n, LEVELS, marks=SLOW) for n in ('random order', 'made', 'categorical')),
        *((name, BITS) for name in OTHERS),
        *(pytest.param(n, LEVELS, marks=SLOW) for n in OTHERS),
    ],
)
def test_conditionals_multiply_to_the_probability(name, spec):
    family, batch = family_of(name, spec), every_example(spec)
    weights = weights_of(name, family, spec)
    log_probs = tables(family, weights, batch)
    assert log_probs.shape == (len(batch['x']), spec.num_dims, spec.levels)
    np.testing.assert_allclose(np.exp(np.float64(log_probs)).sum(-1), 1.0, rtol=1e-5)
    x = np.asarray(batch['x']).reshape(len(log_probs), -1, 1).astype(int)
    nats = np.take_along_axis(log_probs, x, -1)[..., 0].sum(1)
    rng = rng_for(jax.random.PRNGKey(0), jnp.arange(len(x)), len(x))
    expected = jax.jit(family.ability(LogProb).nats)(weights, batch, rng)
    np.testing.assert_allclose(nats, expected, rtol=1e-4, atol=1e-4)
    assert np.ptp(nats) > 0.5


def test_mixtures_of_orders_and_densities_have_no_conditionals(tmp_path):
    """Mixtures of orders and densities lack the ability."""
    order_mixture = assembled(tmp_path, 'made', model__num_orders=2)
    assert order_mixture.family.ability(Conditionals) is None
    assert order_mixture.family.ability(LogProb) is not None
    for name, argument in (('mixture', 'ring,debug'), ('fvsbn', 'ring,debug')):
        assert assembled(tmp_path, name, argument).family.ability(Conditionals) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'observation'),
    [
        pytest.param('vae', 'categorical', marks=SLOW),
        ('cvae', 'auto'),
        pytest.param('conv_vae', 'auto', marks=SLOW),
    ],
)
def test_level_log_probs_given_a_code_are_those_of_the_bound(tmp_path, name, observation):
    """At the bound's own z, level probabilities are normalised and their mean is the decoding."""
    run = assembled(tmp_path, name, model__observation=observation)
    batch, family = first_batch(run, 5), run.family
    weights = jax.jit(family.init)(jax.random.PRNGKey(0), batch)
    weights = weights._replace(params=scattered(weights.params))
    rng = rng_for(jax.random.PRNGKey(1), jnp.arange(5), 5)
    q = jax.jit(family.ability(Codes).posterior)(weights, batch, rng)
    z = q[0] + jnp.exp(0.5 * q[1]) * standard_normal(rng.keys, q[0].shape[1])
    condition = {'label': batch['label']} if is_class_conditional(family) else {}
    log_probs = np.float64(jax.jit(family.ability(BitsBack).level_log_probs)(weights, z, condition))
    assert log_probs.shape == (5, 64, 17)
    np.testing.assert_allclose(np.exp(log_probs).sum(-1), 1.0, rtol=1e-5)
    x = np.asarray(batch['x']).reshape(5, 64, 1).astype(int)
    nats = np.take_along_axis(log_probs, x, -1).sum((1, 2))
    expected = jax.jit(family.metrics)(weights, batch, rng)['reconstruction_nats']
    np.testing.assert_allclose(-nats, expected, rtol=1e-4)
    if observation == 'categorical':
        mean = family.ability(Codes).decode(weights, z).reshape(5, 64)
        np.testing.assert_allclose(np.exp(log_probs) @ np.arange(17), mean, rtol=1e-4)


def test_densities_and_hierarchical_vaes_have_no_bits_back(tmp_path):
    """Densities and models with several latent layers lack `BitsBack`."""
    for name, argument in (('vae', 'ring,debug'), ('hierarchical_vae', 'digits,debug')):
        assert assembled(tmp_path, name, argument).family.ability(BitsBack) is None
