"""Paths between codes: closed forms, end points, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, with_abilities

from atelier.applications import interpolate, perform, sample
from atelier.core.abilities import Codes
from atelier.run import restore

pytestmark = pytest.mark.usefixtures('untrained')

T = np.linspace(0, 1, 7)


def test_an_arc_turns_evenly_and_keeps_the_length():
    """Returns codes of length 3, 50 degrees apart, in five dimensions."""
    random = np.random.RandomState(0)
    u, v = np.linalg.qr(random.normal(size=(5, 2)))[0].T
    at = lambda angle: 3 * (np.cos(angle) * u + np.sin(angle) * v)
    angle = np.deg2rad(50)
    path = interpolate.spherical(at(0), at(angle), T)
    np.testing.assert_allclose(path, [at(t * angle) for t in T], atol=1e-12)


def test_codes_of_different_lengths():
    """At a right angle, the path is cos(w) a + sin(w) b."""
    a, b = np.array([2.0, 0, 0]), np.array([0, 5.0, 0])
    path = interpolate.spherical(a, b, T)
    quarter = T * np.pi / 2
    expected = np.stack([2 * np.cos(quarter), 5 * np.sin(quarter), 0 * T], 1)
    np.testing.assert_allclose(path, expected, atol=1e-12)


@pytest.mark.parametrize('factor', [1.0, 2.5, -1.0, 0.0])
def test_parallel_codes_have_a_straight_path(factor):
    a = np.array([1.0, 2.0, -1.0])
    path = interpolate.spherical(a, factor * a, T)
    np.testing.assert_array_equal(path, interpolate.linear(a, factor * a, T))
    assert np.all(np.isfinite(path))


def test_a_small_angle_is_exact():
    """The cosine of this small angle rounds to 1."""
    a, b = np.array([1.0, 0.0]), np.array([1.0, 3e-6])
    path = interpolate.spherical(a, b, T)
    np.testing.assert_allclose(path, interpolate.linear(a, b, T), atol=1e-11)
    assert not np.array_equal(path, interpolate.linear(a, b, T))


def test_the_ends_are_reconstructions_of_test_images(vae):
    arrays = interpolate.apply(vae, num_pairs=3, num_points=4, seed=2)
    assert arrays['x'].shape == (3, 2, 4, 8, 8, 1)
    state = restore.initial_state(vae)
    x = vae.data.splits['test']['x'][arrays['index']].astype(np.float32)
    np.testing.assert_array_equal(arrays['ends'], x)
    batch = {'x': jnp.asarray(x.reshape(-1, 8, 8, 1))}
    codes = vae.family.ability(Codes).encode(state.averaged_weights, batch, None)
    decoded = vae.family.ability(Codes).decode(state.averaged_weights, codes)
    decoded = np.asarray(decoded).reshape(x.shape)
    for path in range(2):
        np.testing.assert_allclose(arrays['x'][:, path, [0, -1]], decoded, rtol=1e-4, atol=1e-4)
    stored = np.load(vae.folder / 'applications' / 'interpolate-seed-2-num_points-4.npz')
    assert set(stored) == set(arrays)
    np.testing.assert_array_equal(stored['x'], arrays['x'])
    assert (
        vae.folder / 'applications' / 'interpolate-seed-2-num_points-4.png'
    ).stat().st_size > 1000
    fewer = interpolate.apply(vae, num_pairs=2, num_points=4, seed=2)
    np.testing.assert_array_equal(fewer['index'], arrays['index'][:2])
    assert len(np.unique(arrays['index'])) == 6


def test_without_an_encoder_the_ends_are_samples(gan):
    arrays = interpolate.apply(gan, num_pairs=2, num_points=3, seed=5)
    samples = sample.apply(gan, 4, seed=5).reshape(2, 2, 8, 8, 1)
    for path in range(2):
        np.testing.assert_allclose(arrays['x'][:, path, [0, -1]], samples, rtol=1e-4, atol=1e-4)
    assert set(arrays) == {'codes', 'x'}


def test_points_have_arrays_and_a_figure(tmp_path):
    run = assembled(tmp_path, 'gan', 'ring,debug')
    plain = with_abilities(
        run,
        Codes(
            decode=lambda weights, codes: 2 * codes,
            prior=lambda weights, rng: jax.vmap(lambda k: jax.random.normal(k, (2,)))(rng.keys),
        ),
    )
    arrays = interpolate.apply(plain, num_pairs=1)
    np.testing.assert_allclose(arrays['x'], 2 * arrays['codes'])
    names = {path.name for path in (tmp_path / 'applications').iterdir()}
    assert names == {'interpolate-seed-0.npz', 'interpolate-seed-0.png'}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_points=1), '--num_points=1: it must be at least 2'),
        (dict(num_pairs=0), '--num_pairs=0: it must be at least 1'),
        (dict(seed=-1), '--seed=-1'),
        (dict(num_pairs=224), 'has 447 examples, fewer than 448: --num_pairs=224'),
    ],
)
def test_bad_options_raise_one_line(vae, complaint, options, message):
    assert message in complaint(interpolate.apply, vae, **options)


def test_a_missing_ability_is_named(tmp_path, vae, complaint):
    line = complaint(perform, interpolate.APPLICATION, assembled(tmp_path, 'classifier'))
    assert 'has no decoder; modes that fit it: ' in line
    neither = with_abilities(vae, Codes(decode=vae.family.ability(Codes).decode))
    assert 'has no encoder or prior' in complaint(perform, interpolate.APPLICATION, neither)
