"""Precisions of an arm: which a machine has, and what JAX and the config are told."""

import jax
import pytest

from benchmarks import precisions


@pytest.fixture
def backend(monkeypatch):
    """A function that pretends that JAX runs on this kind of device."""
    return lambda kind: monkeypatch.setattr(jax, 'default_backend', lambda: kind)


def test_tf32_is_only_on_a_gpu(backend):
    backend('cpu')
    assert precisions.chosen([]) == ['float32']
    assert precisions.chosen(['tf32', 'bfloat16']) == ['bfloat16']
    backend('gpu')
    assert precisions.chosen([]) == ['float32', 'tf32', 'bfloat16']
    assert precisions.chosen(['tf32']) == ['tf32']


@pytest.mark.parametrize('name', precisions.NAMES)
def test_products_and_config_have_the_precision(name):
    before = jax.config.jax_default_matmul_precision
    try:
        of_config = precisions.set_products(name)
        expected = 'tensorfloat32' if name == 'tf32' else 'float32'
        assert jax.config.jax_default_matmul_precision == expected
    finally:
        jax.config.update('jax_default_matmul_precision', before)
    assert of_config == ('full_float32' if name == 'float32' else name)


def test_only_precisions_other_than_float32_are_named():
    assert precisions.named('scanned', 'float32') == 'scanned'
    assert precisions.named('scanned', 'tf32') == 'scanned, tf32'
