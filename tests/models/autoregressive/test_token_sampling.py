"""Temperature, top-k and nucleus sampling against plain numpy."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from atelier.data.dataset import Spec
from models.autoregressive.token_sampling import (
    SamplingOptions,
    keep_nucleus,
    keep_top_k,
    sampling_logits,
    tempered,
    with_sampling,
)
from models.shared.observations import categorical

SYMBOLS = 7
logits_of = st.lists(
    st.floats(-8, 8, width=32, allow_subnormal=False),
    min_size=SYMBOLS,
    max_size=SYMBOLS,
    unique=True,
).map(np.float32)


def softmax(logits):
    p = np.exp(np.float64(logits) - np.max(logits))
    return p / p.sum()


@given(logits_of, st.integers(1, SYMBOLS))
def test_top_k_keeps_the_k_likeliest_and_their_proportions(logits, k):
    kept_probs, probs = softmax(keep_top_k(jnp.asarray(logits), k)), softmax(logits)
    kept = np.argsort(-logits)[:k]
    expected = np.zeros(SYMBOLS)
    expected[kept] = probs[kept] / probs[kept].sum()
    np.testing.assert_allclose(kept_probs, expected, rtol=1e-4, atol=1e-12)


@given(logits_of, st.floats(0.01, 1.0))
def test_the_nucleus_is_the_smallest_set_of_enough_probability(logits, p):
    kept_probs, probs = softmax(keep_nucleus(jnp.asarray(logits), p)), softmax(logits)
    kept = kept_probs > 0
    mass = probs[kept].sum()
    assert mass >= p - 1e-6
    if kept.sum() > 1:  # dropping the least likely token falls below p
        assert mass - probs[kept].min() < p + 1e-6
    assert probs[kept].min() >= probs[~kept].max(initial=0)
    np.testing.assert_allclose(kept_probs[kept], probs[kept] / mass, rtol=1e-4)


@given(logits_of, st.floats(0.2, 5.0))
def test_temperature_is_a_power_of_the_probabilities(logits, temperature):
    probs = softmax(tempered(jnp.asarray(logits), temperature))
    expected = softmax(logits) ** (1 / temperature)
    np.testing.assert_allclose(probs, expected / expected.sum(), rtol=1e-3, atol=1e-9)


@given(logits_of)
def test_temperature_0_is_the_likeliest(logits):
    probs = softmax(tempered(jnp.asarray(logits), 0.0))
    np.testing.assert_array_equal(probs, np.arange(SYMBOLS) == np.argmax(logits))


def test_ties_keep_no_extra_symbols():
    logits = jnp.zeros((2, 4))
    assert np.isfinite(keep_top_k(logits, 2)).sum(-1).tolist() == [2, 2]
    assert np.isfinite(keep_nucleus(logits, 0.5)).sum(-1).tolist() == [2, 2]
    assert np.isfinite(tempered(logits, 0.0)).sum(-1).tolist() == [1, 1]


def test_nothing_is_left_out_by_default():
    logits = jnp.asarray([0.0, -50.0, 3.0])
    np.testing.assert_array_equal(sampling_logits(logits, SamplingOptions()), logits)
    assert np.isfinite(sampling_logits(logits, SamplingOptions(top_k=3, top_p=1.0))).all()


def test_with_draws_changes_samples_and_not_the_likelihood():
    spec = Spec((2,), 3, None, symbols='abc')
    plain = categorical(spec)
    observation = with_sampling(plain, SamplingOptions(top_k=1))
    logits = jax.random.normal(jax.random.PRNGKey(0), (5, 2, 3))
    x = observation.sample(jax.random.split(jax.random.PRNGKey(1), 5), logits)
    np.testing.assert_array_equal(x, np.argmax(logits, -1))
    np.testing.assert_array_equal(observation.log_prob(x, logits), plain.log_prob(x, logits))
