"""KL warm-up and free nats."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from losses import kl_weights

pytestmark = pytest.mark.usefixtures('strict_promotion')

KL = jnp.asarray([[0.2, 3.0, 1.0], [0.4, 1.0, -5.0]])  # means 0.3, 2 and -2


@pytest.mark.parametrize('steps', [4, 4.0, jnp.float32(4)])
def test_the_weight_rises_in_equal_steps_and_stays(steps):
    warmup = jax.jit(kl_weights.warmup)
    weights = [warmup(jnp.int32(step), steps) for step in range(6)]
    np.testing.assert_allclose(weights, [0.25, 0.5, 0.75, 1, 1, 1], rtol=1e-6)


def test_without_warm_up_the_weight_is_one_at_once():
    for steps in (0, jnp.float32(0), 1):
        np.testing.assert_array_equal(jax.jit(kl_weights.warmup)(jnp.int32(0), steps), 1)


def test_a_group_is_charged_its_mean_or_its_free_nats():
    charged = jax.jit(kl_weights.free_nats)
    np.testing.assert_allclose(charged(KL, 1.0), [1, 2, 1], rtol=1e-6)
    np.testing.assert_allclose(charged(KL, 0.0), [0.3, 2, 0], rtol=1e-6)
    np.testing.assert_allclose(charged(KL, -jnp.inf), np.mean(KL, 0), rtol=1e-6)


def test_only_a_group_beyond_its_free_nats_is_pulled():
    slopes = jax.grad(lambda kl: jnp.sum(kl_weights.free_nats(kl, 1.0)))(KL)
    np.testing.assert_array_equal(slopes, [[0, 0.5, 0], [0, 0.5, 0]])


def test_an_example_is_not_clipped_by_itself():
    """With one KL below and one above the free nats, the threshold applies to their mean."""
    charged = kl_weights.free_nats(jnp.asarray([[0.0], [4.0]]), 1.5)
    np.testing.assert_array_equal(charged, [2.0])


@pytest.mark.parametrize(('kl', 'free'), [(KL[0], 1.0), (KL, jnp.ones(3))])
def test_other_shapes_are_refused(kl, free):
    with pytest.raises((ValueError, jaxtyping.TypeCheckError)):
        kl_weights.free_nats(kl, free)
