"""The transformer over pixels; test_autoregressive.py tests what all families share."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, scattered

from atelier.core.abilities import LogProb
from atelier.core.randomness import rng_for
from atelier.data.dataset import Spec
from models.autoregressive.autoregressive import autoregressive
from models.autoregressive.causal_transformer import transformer_parts
from models.nets.transformer import Transformer

BITS = Spec((3, 3), 2, None)


def parts_of(spec=BITS, **options):
    sizes = dict(vocab_size=spec.levels, length=spec.num_dims, width=8, blocks=2, heads=2)
    return transformer_parts(Transformer(**sizes, **options), spec)


def weights_of(parts):
    """Weights without zero or near-zero layers, which would hide the rest."""
    batch = {'x': jnp.zeros((1, *parts.spec.event_shape)), 'label': jnp.zeros(1, int)}
    weights = jax.jit(parts.init)(jax.random.PRNGKey(3), batch)
    own = weights.params['model']
    return weights._replace(params={'model': scattered({**own, 'head': 20 * own['head']})})


def rng_of(n):
    return rng_for(jax.random.PRNGKey(0), jnp.arange(n), n)


@pytest.mark.slow
def test_a_pixel_changes_the_parameters_of_later_ones_alone():
    parts, x = parts_of(), jnp.asarray(np.random.default_rng(0).integers(0, 2, (1, 3, 3)) * 1.0)
    weights = weights_of(parts)
    parameters = jax.jit(lambda x: parts.parameters(weights, {'x': x}, 0).reshape(9, 2))
    for index in range(9):
        changed_x = x.at[0, index // 3, index % 3].set(1 - x[0, index // 3, index % 3])
        is_changed = np.asarray(parameters(changed_x) != parameters(x)).any(-1)
        np.testing.assert_array_equal(is_changed, np.arange(9) > index)


@pytest.mark.slow
def test_training_drops_and_the_likelihood_does_not():
    parts = parts_of(dropout=0.5)
    weights, batch = weights_of(parts), {'x': jnp.ones((4, 3, 3))}
    family, plain = autoregressive(parts), autoregressive(parts_of())
    loss = lambda f: float(f.turns[0].loss(weights, batch, rng_of(4), 0, {})[0]['model'])
    nats = lambda f: f.ability(LogProb).nats(weights, batch, rng_of(4))
    np.testing.assert_array_equal(nats(family), nats(plain))
    assert loss(plain) == pytest.approx(-float(np.mean(nats(plain))), rel=1e-5)
    assert abs(loss(family) - loss(plain)) > 1e-2


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(model__heads=3), 'config.model.heads=3'),
        (dict(model__blocks=0), 'config.model.blocks=0'),
        (dict(model__dropout=1.0), 'config.model.dropout=1.0'),
        (dict(data__dequantize='uniform'), 'levels'),
        (dict(argument='ring,debug', model__is_conditional=True), 'levels'),
    ],
)
def test_bad_settings_end_in_one_line(tmp_path, complaint, change, message):
    assert message in complaint(assembled, tmp_path, 'pixel_transformer', **change)
