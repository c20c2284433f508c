"""Toy densities: integrals, published entropies, and points in the right regions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from atelier.data import toy
from atelier.data.dataset import POINTS
from atelier.data.toy import DRAWS, LOG_DENSITIES, MIXTURES, SIZES

ENTROPY_NATS = {  # closed forms; the third, with overlapping Gaussians, by Monte Carlo
    'ring': np.log(8) + 1 + np.log(2 * np.pi) + 2 * np.log(0.01),
    'grid': np.log(25) + 1 + np.log(2 * np.pi) + 2 * np.log(0.05),
    'eight_gaussians': 2.833,
    'checkerboard': np.log(32),
}


@pytest.fixture(scope='module')
def loaded():
    return {name: toy.load(name) for name in DRAWS}


def test_every_density_can_be_named():
    assert set(POINTS) == set(DRAWS)


@pytest.mark.parametrize('name', DRAWS)
def test_points_are_the_same_for_every_run(loaded, name):
    data = loaded[name]
    repeated = toy.load(name)
    assert data.fingerprint() == repeated.fingerprint()
    assert {split: data.size(split) for split in data.splits} == SIZES
    x = np.concatenate([part['x'] for part in data.splits.values()])
    assert x.dtype == np.float32
    assert len(np.unique(x, axis=0)) > 0.99 * len(x)  # splits share no points


@pytest.mark.parametrize('name', LOG_DENSITIES)
def test_the_density_of_the_points_is_that_of_the_entropy(loaded, name):
    """E[-log p(x)] over test points equals the entropy within five standard errors."""
    log_density = np.asarray(jax.jit(LOG_DENSITIES[name])(loaded[name].splits['test']['x']))
    error = log_density.std() / np.sqrt(len(log_density))
    assert abs(-log_density.mean() - ENTROPY_NATS[name]) < 5 * error + 2e-3


@pytest.mark.parametrize('name', LOG_DENSITIES)
def test_the_density_integrates_to_one(name):
    """By importance sampling from a wider density around the same centres."""
    random = np.random.RandomState(5)
    centres = MIXTURES[name].means if name in MIXTURES else np.zeros((1, 2))
    width = 2 * MIXTURES[name].std if name in MIXTURES else 4.0
    x = centres[random.randint(len(centres), size=40_000)] + width * random.normal(size=(40_000, 2))
    proposal = np.mean([scipy.stats.norm(c, width).pdf(x).prod(1) for c in centres], axis=0)
    weights = np.exp(LOG_DENSITIES[name](jnp.asarray(x, jnp.float32))) / proposal
    assert abs(weights.mean() - 1) < 5 * weights.std() / np.sqrt(len(x)) + 1e-3


@pytest.mark.parametrize('name', MIXTURES)
def test_labels_are_the_nearest_modes(loaded, name):
    train, means = loaded[name].splits['train'], MIXTURES[name].means
    nearest = np.linalg.norm(train['x'][:1000, None] - means, axis=-1).argmin(1)
    assert np.mean(nearest == train['label'][:1000]) > 0.98
    shares = np.bincount(train['label'], minlength=len(means)) / SIZES['train']
    np.testing.assert_allclose(shares, 1 / len(means), atol=0.005)
    assert loaded[name].spec.num_classes == len(means)


def test_moons_are_two_half_circles(loaded):
    train = loaded['moons'].splits['train']
    for label, centre in enumerate([[-1.0, -0.2], [1.0, 0.8]]):
        radius = np.linalg.norm(train['x'][train['label'] == label] - centre, axis=1)
        assert radius.mean() == pytest.approx(2.0, abs=0.02)
        assert radius.std() == pytest.approx(0.2, abs=0.01)


def test_the_checkerboard_has_no_labels_and_half_the_squares(loaded):
    train = loaded['checkerboard'].splits['train']
    assert set(train) == {'x'}
    squares, counts = np.unique(np.floor(train['x'] / 2), axis=0, return_counts=True)
    assert len(squares) == 8
    np.testing.assert_allclose(counts / SIZES['train'], 1 / 8, atol=0.006)
