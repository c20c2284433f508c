"""MADE and the fully visible belief network: their orders and masks.

test_autoregressive.py tests what all autoregressive models share.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled

from models.autoregressive.made import MADE, Orders, degrees_of


def test_orders_and_masks_differ():
    degrees = degrees_of(jax.random.PRNGKey(0), 9, (20, 20), Orders(4, False))
    for layer in degrees.values():
        assert len(np.unique(np.asarray(layer), axis=0)) == 4
    raster = degrees_of(jax.random.PRNGKey(0), 9, (20, 20), Orders(4, True))
    np.testing.assert_array_equal(raster['0'], np.broadcast_to(np.arange(9), (4, 9)))
    assert len(np.unique(np.asarray(raster['1']), axis=0)) == 4
    assert raster['2'].min() >= raster['1'].min() and raster['2'].max() <= 7


def test_without_a_direct_connection_outputs_depend_on_earlier_inputs_through_hidden_units():
    """The derivatives are strictly triangular, of rank at most the number of hidden units."""
    dims, network = 6, MADE((2,), 1, activation=jnp.tanh, is_direct=False)
    key = jax.random.PRNGKey(1)
    degrees = tuple(of[0] for of in degrees_of(key, dims, (2,), Orders(1, True)).values())
    x = jax.random.normal(key, (1, dims))
    variables = network.init(key, x, degrees)
    assert set(variables['params']) == {'MaskedDense_0', 'last'}
    assert set(variables['params']['last']) == {'kernel', 'bias'}
    slopes = jax.jacobian(lambda x: network.apply(variables, x[None], degrees)[0, :, 0])(x[0])
    np.testing.assert_array_equal(np.triu(slopes), 0)
    assert 1 <= np.linalg.matrix_rank(slopes) <= 2


def test_each_output_may_depend_on_the_condition_and_none_on_later_inputs():
    dims, network = 4, MADE((6,), 1, activation=jnp.tanh)
    key = jax.random.PRNGKey(1)
    degrees = tuple(of[0] for of in degrees_of(key, dims, (6,), Orders(1, True)).values())
    x, condition = jax.random.normal(key, (1, dims)), jnp.asarray([[0.3, -1.0]])
    variables = network.init(key, x, degrees, condition)
    of = lambda x, c: network.apply(variables, x[None], degrees, c[None])[0, :, 0]
    by_x, by_condition = jax.jacobian(of, (0, 1))(x[0], condition[0])
    np.testing.assert_array_equal(np.triu(by_x), 0)
    assert (np.abs(by_condition) > 0).all()
    first = jax.hessian(lambda c: of(x[0], c)[0])(condition[0])
    assert np.abs(first).max() > 1e-3, 'the first output is linear in the condition'


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(model__is_direct=False, model__hidden_sizes=()), 'needs config.model.hidden_sizes'),
        (dict(model__num_orders=0), 'config.model.num_orders=0'),
        (dict(model__order='spiral'), 'config.model.order'),
        (dict(model__hidden_sizes=(0,)), 'config.model.hidden_sizes=0'),
        (dict(model__observation='gaussian'), '17 levels'),
    ],
)
def test_bad_settings_end_in_one_line(tmp_path, complaint, change, message):
    assert message in complaint(assembled, tmp_path, 'made', **change)
