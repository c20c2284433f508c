"""The generated shapes: every combination once; size, position and rotation as labelled."""

import itertools

import numpy as np
import pytest
from support import assembled, first_batch

from atelier.data import shapes
from atelier.data.dataset import Spec


@pytest.fixture(scope='module')
def data():
    return shapes.load()


@pytest.fixture(scope='module')
def whole(data):
    """Returns all images [n, 16, 16], scaled to white = 1, and their factors."""
    parts = [data.splits[name] for name in ('train', 'valid', 'test')]
    x, factors = (np.concatenate([part[name] for part in parts]) for name in ('x', 'factors'))
    return x[..., 0] / 16, factors


def test_every_combination_of_factors_occurs_once_and_no_two_images_are_equal(whole):
    x, factors = whole
    counts = 3, 8, 8, 4, 8
    assert sorted(map(tuple, factors.tolist())) == list(itertools.product(*map(range, counts)))
    assert len(np.unique(x.reshape(len(x), -1), axis=0)) == len(x)


def test_the_data_never_change(data):
    """Other images or another order would make results incomparable with earlier ones."""
    assert {name: data.size(name) for name in data.splits} == shapes.SIZES
    assert data.spec == Spec((16, 16, 1), 17, 3)
    assert data.fingerprint()['test'] == '1536 examples, checksum 40556573'
    assert data.splits['train']['x'].dtype == np.uint8


def test_splits_are_fair_samples(data):
    for split in data.splits.values():
        np.testing.assert_array_equal(split['label'], split['factors'][:, 0])
        for column in split['factors'].T:
            share = np.bincount(column) / len(column)
            assert np.abs(share * len(share) - 1).max() < 0.3


def test_areas_follow_from_kind_and_size(whole):
    """Within two percent, averaged over rotations."""
    x, factors = whole
    per_square = np.array([2, np.pi / 2, 3 * np.sqrt(3) / 4])  # in units of circumradius squared
    for kind, size in itertools.product(range(3), range(4)):
        chosen = (factors[:, 0] == kind) & (factors[:, 3] == size)
        area = per_square[kind] * shapes.RADII[size] ** 2
        assert x[chosen].sum((1, 2)).mean() == pytest.approx(area, rel=0.02)


def test_the_centre_of_mass_follows_the_position_factors(whole):
    x, factors = whole
    mass, middles = x.sum((1, 2)), np.arange(16) + 0.5
    across, down = x.sum(1) @ middles / mass, x.sum(2) @ middles / mass
    np.testing.assert_allclose(across, shapes.CENTRES[factors[:, 1]], atol=0.2)
    np.testing.assert_allclose(down, shapes.CENTRES[factors[:, 2]], atol=0.2)


def test_ellipses_are_turned_by_the_rotation(whole):
    """Measures the angle by second moments, of large ellipses only because pixels are coarse."""
    x, factors = whole
    chosen = (factors[:, 0] == 1) & (factors[:, 3] == 3)
    x, factors = x[chosen], factors[chosen]
    middles = np.arange(16) + 0.5
    u, v = (middles - shapes.CENTRES[factors[:, k], None] for k in (1, 2))
    moment = lambda a, b: np.einsum('nyx,nx,ny->n', x, a, b)
    ones = np.ones_like(u)
    angle = 0.5 * np.arctan2(2 * moment(u, v), moment(u**2, ones) - moment(ones, v**2))
    away = angle - shapes.ANGLES[factors[:, 4]]
    assert np.abs((away + np.pi / 2) % np.pi - np.pi / 2).max() < np.deg2rad(4)


def test_a_batch_contains_the_factors_as_numbers(tmp_path):
    run = assembled(tmp_path, 'vae', 'shapes,debug')
    batch = first_batch(run, 5)
    assert {name: str(values.dtype) for name, values in batch.items()} == {
        'x': 'float32',
        'label': 'int32',
        'factors': 'int32',
    }
    assert run.data.factor_names == ('kind', 'x', 'y', 'size', 'rotation')
    np.testing.assert_array_equal(batch['factors'], run.data.splits['train']['factors'][:5])
