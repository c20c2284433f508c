"""Attention: all forms agree, with their gradients; masked keys have no influence."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.nn import dot_product_attention

from models.nets import attention

MASKS = {
    'all keys': {},
    'causal': dict(is_causal=True),
    'padding': dict(num_visible=jnp.asarray([5, 1, 3])),
    'causal and padding': dict(is_causal=True, num_visible=jnp.asarray([5, 1, 3])),
}
SEGMENTS = jnp.asarray([[1, 1, 2, 2, 2], [1, 2, 3, 4, 5], [1, 1, 1, 1, 1]])
SEGMENTED = {
    'segments': dict(segments=SEGMENTS),
    'causal and segments': dict(is_causal=True, segments=SEGMENTS),
}


def heads(dtype=jnp.float32):
    """Queries, keys and values [3, 5, 2, 8]."""
    keys = jax.random.split(jax.random.PRNGKey(0), 3)
    return [2 * jax.random.normal(key, (3, 5, 2, 8), dtype) for key in keys]


def plain(queries, keys, values, is_causal=False, num_visible=None, segments=None):
    """The definition, one query at a time, in NumPy."""
    mixed = np.zeros(queries.shape)
    for b, q, h in np.ndindex(queries.shape[:3]):
        count = keys.shape[1] if num_visible is None else int(num_visible[b])
        count = min(count, q + 1) if is_causal else count
        read = np.arange(count)
        read = read if segments is None else read[np.asarray(segments[b, :count] == segments[b, q])]
        scores = keys[b, read, h] @ queries[b, q, h] / np.sqrt(queries.shape[-1])
        weights = np.exp(scores - scores.max())
        mixed[b, q, h] = weights / weights.sum() @ values[b, read, h]
    return mixed


@pytest.fixture
def on_a_card(monkeypatch):
    """Lets the form of cuDNN be chosen, computed by JAX's other form; lists what was asked for."""
    asked = []

    def with_xla(*heads, implementation, **options):
        asked.append(implementation)
        return dot_product_attention(*heads, implementation='xla', **options)

    monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')
    monkeypatch.setattr(jax.nn, 'dot_product_attention', with_xla)
    return asked


@pytest.mark.parametrize('mask', MASKS | SEGMENTED)
def test_attention_is_its_definition(mask):
    inputs, options = heads(), (MASKS | SEGMENTED)[mask]
    expected = plain(*(np.asarray(x, np.float64) for x in inputs), **options)
    actual = jax.jit(functools.partial(attention.attention, **options))(*inputs)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_cudnn_is_not_asked_for_segments(on_a_card):
    low = heads(jnp.bfloat16)
    mixed = attention.attention(*low, is_causal=True, segments=SEGMENTS)
    stored = attention.attention(*(x.astype(jnp.float32) for x in low), True, segments=SEGMENTS)
    assert not on_a_card
    np.testing.assert_allclose(mixed.astype(jnp.float32), stored, rtol=0.05, atol=0.05)


@pytest.mark.parametrize('mask', MASKS)
def test_both_forms_and_their_gradients_agree(on_a_card, mask):
    low = heads(jnp.bfloat16)

    def value_and_slopes(inputs):
        total = lambda *x: jnp.sum(jnp.sin(attention.attention(*x, **MASKS[mask])), dtype='float32')
        mixed = attention.attention(*inputs, **MASKS[mask])
        return mixed, jax.grad(total, (0, 1, 2))(*inputs)

    of_cudnn = value_and_slopes(low)
    assert set(on_a_card) == {'cudnn'}
    stored = value_and_slopes([x.astype(jnp.float32) for x in low])  # not for cuDNN
    assert of_cudnn[0].dtype == jnp.bfloat16 and stored[0].dtype == jnp.float32
    close = functools.partial(np.testing.assert_allclose, rtol=0.05, atol=0.05)
    jax.tree.map(lambda a, b: close(a.astype(np.float32), b), of_cudnn, stored)


@pytest.mark.parametrize(
    ('dtype', 'size', 'tokens'), [('float32', 8, 5), ('bfloat16', 12, 5), ('bfloat16', 8, 1)]
)
def test_cudnn_is_not_asked_for_what_it_cannot(on_a_card, dtype, size, tokens):
    x = jnp.ones((2, tokens, 1, size), dtype)
    assert attention.attention(x, x, x).dtype == dtype and not on_a_card


def test_a_refusal_of_cudnn_leads_to_the_other_form(monkeypatch):
    monkeypatch.setattr(jax, 'default_backend', lambda: 'gpu')  # without cuDNN
    low = heads(jnp.bfloat16)
    with pytest.warns(UserWarning, match='without cuDNN'):
        mixed = attention.attention(*low, is_causal=True)
    expected = attention.with_scores(*low, is_causal=True, num_visible=None)
    np.testing.assert_array_equal(mixed, expected)


def test_the_scores_of_low_precision_are_float32():
    low = heads(jnp.bfloat16)
    jaxpr = jax.make_jaxpr(attention.attention)(*low)
    scores = [e.outvars[0].aval for e in jaxpr.eqns if e.primitive.name == 'dot_general'][0]
    assert scores.dtype == jnp.float32


def test_masked_keys_and_values_do_not_matter():
    queries, keys, values = heads()
    change = lambda x: x.at[:, 2:].set(1e6)
    inputs = queries, change(keys), change(values)
    for options in (dict(num_visible=jnp.int32(2)), dict(num_visible=jnp.full(3, 2))):
        mixed = attention.attention(queries, keys, values, **options)
        np.testing.assert_array_equal(attention.attention(*inputs, **options), mixed)
    causal = attention.attention(queries, keys, values, is_causal=True)[:, :2]
    changed = attention.attention(*inputs, is_causal=True)[:, :2]
    np.testing.assert_array_equal(changed, causal)


def test_a_mask_of_flax_is_refused():
    with pytest.raises(ValueError, match='takes no mask'):
        attention.for_flax(*heads(), mask=jnp.ones((3, 2, 5, 5), bool))
