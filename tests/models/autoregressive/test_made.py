"""MADE and the fully visible belief network: their orders and masks.

test_autoregressive.py tests what all autoregressive models share.
"""

import jax
import numpy as np
import pytest
from support import assembled

from models.autoregressive.made import Orders, degrees_of

pytestmark = pytest.mark.usefixtures('quick_compilation')


def test_orders_and_masks_differ():
    degrees = degrees_of(jax.random.PRNGKey(0), 9, (20, 20), Orders(4, False))
    for layer in degrees.values():
        assert len(np.unique(np.asarray(layer), axis=0)) == 4
    raster = degrees_of(jax.random.PRNGKey(0), 9, (20, 20), Orders(4, True))
    np.testing.assert_array_equal(raster['0'], np.broadcast_to(np.arange(9), (4, 9)))
    assert len(np.unique(np.asarray(raster['1']), axis=0)) == 4
    assert raster['2'].min() >= raster['1'].min() and raster['2'].max() <= 7


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(model__num_orders=0), 'config.model.num_orders=0'),
        (dict(model__order='spiral'), 'config.model.order'),
        (dict(model__hidden_sizes=(0,)), 'config.model.hidden_sizes=0'),
        (dict(model__observation='gaussian'), '17 levels'),
    ],
)
def test_bad_settings_end_in_one_line(tmp_path, complaint, change, message):
    assert message in complaint(assembled, tmp_path, 'made', **change)
