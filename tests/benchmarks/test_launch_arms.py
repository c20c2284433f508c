"""Variants of a training change its program and not its losses."""

import jax
import jax.numpy as jnp
import numpy as np

from atelier.core import optimizers
from benchmarks import launch_arms, variants

HYPERS = dict(
    learning_rate=0.1,
    learning_rate_end=0.0,
    warmup_steps=0.0,
    decay_steps=0.0,
    clip_norm=1.0,
    weight_decay=0.01,
    adam_beta1=0.9,
    adam_beta2=0.99,
    adam_eps=1e-8,
)


def test_a_flat_update_is_the_update():
    """With one array of moments for all parameters, and with Adam, clipping and decay."""
    rng = np.random.default_rng(0)
    params = {'a': jnp.asarray(rng.normal(size=(3, 2))), 'b': jnp.asarray(rng.normal(size=4))}
    gradients = jax.tree.map(lambda x: 3 * x, params)
    flat = launch_arms.flattened(optimizers.adam)(None)
    rules = [rule('model', HYPERS, 0) for rule in (optimizers.adam, flat)]
    updates = []
    for rule in rules:
        state = rule.init(params)
        for _ in range(2):
            update, state = rule.update(gradients, state, params)
        updates.append(update)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), *updates)
    sizes = [leaf.size for leaf in jax.tree.leaves(rules[1].init(params))]
    assert sorted(sizes) == [1, 10, 10]


def test_every_variant_is_known_to_its_arm_and_only_a_gpu_has_flags_of_xla():
    for name, variant in variants.VARIANTS.items():
        assert set(variant.settings) <= {'unroll', 'command_buffers', 'is_flat'}, name
        assert all(flag.startswith('--xla_gpu_') for flag in variant.xla), name
    assert variants.VARIANTS[variants.AS_IT_IS] == variants.Variant()
