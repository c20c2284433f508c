"""Bayes' rule over any conditional likelihood, against a tabulated model's exact posterior."""

import jax
import jax.numpy as jnp
import numpy as np

from atelier.core.randomness import rng_for
from atelier.core.types import Weights
from atelier.data.dataset import Spec
from models.shared.bayes_classifier import classifier_by_bayes_rule

TABLE = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.3, 0.4], [0.25, 0.5, 0.25]])


def nats(weights, batch, rng):
    """log p(x | label) from a table, plus noise per example that is the same for all classes."""
    noise = jax.vmap(jax.random.normal)(rng.keys)
    return jnp.log(weights.params)[batch['label'], batch['x'].astype(int)] + noise


def posterior(spec):
    x = jnp.arange(3.0)
    rng = rng_for(jax.random.PRNGKey(0), jnp.arange(3), 3)
    logits = jax.jit(classifier_by_bayes_rule(nats, spec).logits)
    return jax.nn.softmax(logits(Weights(jnp.asarray(TABLE), {}), {'x': x}, rng))


def test_posteriors_are_those_of_the_table():
    expected = (TABLE / TABLE.sum(0)).T
    np.testing.assert_allclose(posterior(Spec((), 3, 4)), expected, rtol=1e-5)


def test_a_class_left_out_of_training_has_probability_zero():
    trained_table = np.where(np.arange(4)[:, None] == 2, 0, TABLE)
    probabilities = posterior(Spec((), 3, 4, left_out=(2,)))
    np.testing.assert_allclose(probabilities, (trained_table / trained_table.sum(0)).T, rtol=1e-5)
