"""Prediction kinds: all convert to the same x, and their errors scale as `scale` says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.diffusion.process.predictions import PREDICTIONS, preconditioned

KINDS = {**PREDICTIONS, 'edm': preconditioned(0.5)}
angles = st.floats(0.02, 1.55)  # alpha = cos, sigma = sin
values = st.floats(-10, 10)


@pytest.fixture(autouse=True, scope='module')
def float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize('name', KINDS)
@given(x=values, eps=values, angle=angles)
def test_x_follows_from_the_target(name, x, eps, angle):
    alpha, sigma = np.cos(angle), np.sin(angle)
    kind = KINDS[name]
    target = kind.target(x, eps, alpha, sigma)
    np.testing.assert_allclose(
        kind.to_x(alpha * x + sigma * eps, target, alpha, sigma), x, atol=1e-9
    )


@pytest.mark.parametrize('name', KINDS)
@given(x_t=values, output=values, angle=angles)
def test_scale_is_the_slope_of_x_in_the_output(name, x_t, output, angle):
    alpha, sigma = jnp.cos(angle), jnp.sin(angle)
    slope = jax.grad(lambda output: KINDS[name].to_x(x_t, output, alpha, sigma))(output)
    np.testing.assert_allclose(abs(slope), KINDS[name].scale(alpha, sigma), rtol=1e-9)


@given(x_t=values, eps=values, angle=angles)
def test_kinds_convert_into_one_another(x_t, eps, angle):
    """Every kind's target converts back to the same x."""
    alpha, sigma = np.cos(angle), np.sin(angle)
    x = KINDS['eps'].to_x(x_t, eps, alpha, sigma)
    for kind in KINDS.values():
        converted = kind.to_x(x_t, kind.target(x, eps, alpha, sigma), alpha, sigma)
        np.testing.assert_allclose(converted, x, rtol=1e-9, atol=1e-9)


def test_the_preconditioned_output_has_unit_size():
    """Karras et al. (2022), appendix B.6; at any noise level, for data with std 0.5."""
    random = np.random.default_rng(0)
    x, eps = 0.5 * random.normal(size=200_000), random.normal(size=200_000)
    for angle in (0.1, 0.8, 1.5):
        target = KINDS['edm'].target(x, eps, np.cos(angle), np.sin(angle))
        assert abs(target.std() - 1.0) < 0.01
