"""The numbers of an augmentation: each belongs to its example and its name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from augmenting import keys_of

from atelier.data.augmentation_draws import CHANCES, PARAMETERS, Draws, Strengths
from atelier.errors import UserError


@jax.jit
def numbers(keys, probability):
    """All numbers [names, n], what is applied [names, n], what is flipped, factors of 0.25."""
    draws = Draws(keys, probability)
    return (
        jnp.stack([draws.uniform(name) for name in PARAMETERS]),
        jnp.stack([draws.applies(name) for name in CHANCES]),
        draws.is_flipped(),
        draws.factor('scale', 0.25),
    )


def test_numbers_are_uniform_and_all_different():
    values, *_ = numbers(keys_of(1000), 1.0)
    assert len(np.unique(values)) > 0.999 * values.size
    np.testing.assert_allclose(values.mean(1), 0.5, atol=0.04)
    assert np.abs(np.corrcoef(values) - np.eye(len(values))).max() < 0.15


@pytest.mark.parametrize('probability', [0.0, 0.3, 1.0])
def test_a_transformation_is_applied_with_its_probability(probability):
    _, applies, is_flipped, factor = map(np.asarray, numbers(keys_of(1000), probability))
    atol = 0.06 if 0 < probability < 1 else 0
    np.testing.assert_allclose(applies.mean(1), probability, atol=atol)
    np.testing.assert_allclose(is_flipped.mean(), probability / 2, atol=0.06)
    is_scaled = applies[CHANCES.index('scale')]
    assert (factor[~is_scaled] == 1).all()
    if probability:
        assert 0.8 <= factor.min() < 0.82 and 1.22 < factor.max() <= 1.25
        np.testing.assert_allclose(np.log(factor[is_scaled]).mean(), 0, atol=0.02)


@pytest.mark.parametrize(
    ('field', 'value', 'reason'),
    [
        ('shift', -0.1, 'at least 0'),
        ('shift', 1.5, 'a whole number of pixels'),
        ('shift', float('nan'), 'a finite number'),
        ('rotate', 181.0, 'at most 180'),
        ('crop', 0.95, 'at most 0.9'),
        ('brightness', 1.1, 'at most 1'),
        ('cutout', -1.0, 'at least 0'),
        ('hue', 200.0, 'at most 180'),
    ],
)
def test_a_strength_out_of_range_is_named(field, value, reason):
    with pytest.raises(UserError, match=f'config.data.augment.{field}=.*{reason}'):
        Strengths(**{field: value}).check('data.augment')
