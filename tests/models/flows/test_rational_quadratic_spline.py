"""Rational-quadratic splines: monotonicity, inverse and log slopes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.flows import rational_quadratic_spline as rq

pytestmark = pytest.mark.usefixtures('strict_promotion')

BINS, BOUND, N = 5, 3.0, 16


def spline_terms(raw, x):
    """Knots, values, inverses and slopes of one spline at the N points x."""
    knots = rq.knots_of(raw, BINS, BOUND)
    tiled_knots = rq.Knots(*(jnp.broadcast_to(part, (N, *part.shape)) for part in knots))
    y, log_slope = rq.forward(x, tiled_knots)
    back, log_back = rq.inverse(y, tiled_knots)
    slope = jax.jvp(lambda x: rq.forward(x, tiled_knots)[0], (x,), (jnp.ones_like(x),))[1]
    slope_back = jax.jvp(lambda y: rq.inverse(y, tiled_knots)[0], (y,), (jnp.ones_like(y),))[1]
    return dict(
        knots=knots._asdict(),
        y=y,
        log_slope=log_slope,
        back=back,
        log_back=log_back,
        slope=slope,
        slope_back=slope_back,
    )


def spline_terms_in_float64(raw, x):
    with jax.enable_x64(True):
        values = jitted(jnp.asarray(raw, jnp.float64), jnp.asarray(x, jnp.float64))
        return jax.tree.map(np.asarray, values)


@pytest.fixture(autouse=True, scope='module')
def compiled():
    global jitted
    jitted = jax.jit(spline_terms)


SPLINES = arrays(np.float64, rq.num_parameters(BINS), elements=st.floats(-6, 6))


@settings(max_examples=60)
@given(raw=SPLINES, x=arrays(np.float64, N, elements=st.floats(-5, 5)))
def test_splines_increase_invert_and_have_the_reported_slopes(raw, x):
    """Holds within the bound and in the tails."""
    x = np.sort(x)
    terms = spline_terms_in_float64(raw, x)
    assert (np.diff(terms['y'])[np.diff(x) > 1e-6] > 0).all()
    np.testing.assert_allclose(terms['back'], x, atol=1e-6)
    np.testing.assert_allclose(np.exp(terms['log_slope']), terms['slope'], rtol=1e-6)
    np.testing.assert_allclose(np.exp(terms['log_back']), terms['slope_back'], rtol=1e-4)
    np.testing.assert_allclose(terms['log_back'], -terms['log_slope'], atol=1e-4)
    is_tail = np.abs(x) >= BOUND
    np.testing.assert_array_equal(terms['y'][is_tail], x[is_tail])
    assert (terms['log_slope'][is_tail] == 0).all()


@settings(max_examples=30)
@given(raw=SPLINES)
def test_splines_pass_through_their_knots_with_their_slopes(raw):
    """Checks both sides of each knot, including those where the tails begin."""
    knots = spline_terms_in_float64(raw, np.zeros(N))['knots']
    assert (np.diff(knots['x']) > 0).all() and (np.diff(knots['y']) > 0).all()
    assert (knots['slope'] > 0).all() and (knots['slope'][[0, -1]] == 1).all()
    for name in ('x', 'y'):
        np.testing.assert_array_equal(knots[name][[0, -1]], [-BOUND, BOUND])
    narrowest = np.diff(knots['x']).min()
    for side in (-1e-8, 0.0, 1e-8):
        x = np.zeros(N)
        x[: BINS + 1] = knots['x'] + side * narrowest
        terms = spline_terms_in_float64(raw, x)
        np.testing.assert_allclose(terms['y'][: BINS + 1], knots['y'], atol=1e-5)
        slopes = np.exp(terms['log_slope'][: BINS + 1])
        np.testing.assert_allclose(slopes, knots['slope'], rtol=1e-2)


def test_zeros_are_the_identity():
    x = np.linspace(-4, 4, N)
    terms = spline_terms_in_float64(np.zeros(rq.num_parameters(BINS)), x)
    np.testing.assert_allclose(terms['y'], x, atol=1e-12)
    np.testing.assert_allclose(terms['log_slope'], 0, atol=1e-12)


def test_gradients_are_finite_in_float32_however_extreme():
    """Gradients in the parameters and in x, at knots, in tails and with the narrowest bins."""
    x = jnp.asarray([-1e6, -3.0, -2.9999998, -1e-7, 0.0, 2.9999998, 3.0, 1e6])
    count = rq.num_parameters(BINS)
    for size in (0.0, 1e4):
        signs = jnp.where(jnp.arange(len(x) * count) % 3 == 0, 1.0, -1.0)
        raw = size * signs.reshape(len(x), count)
        for move in (rq.forward, rq.inverse):

            def total(raw, x, move=move):
                y, log_slope = move(x, rq.knots_of(raw, BINS, BOUND))
                return y.sum() + log_slope.sum()

            value, slopes = jax.jit(jax.value_and_grad(total, (0, 1)))(raw, x)
            assert all(np.isfinite(leaf).all() for leaf in (value, *slopes))


def test_parameters_that_do_not_fit_the_bins_are_refused():
    with pytest.raises(ValueError, match='13 parameters do not fit 5 bins, which need 14'):
        rq.knots_of(jnp.zeros(13), BINS, BOUND)
