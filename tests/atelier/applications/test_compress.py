"""Rate-distortion: a linear model equals PCA, quantization to bytes, and JPEG."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.decomposition import PCA
from support import assembled, with_abilities

from atelier.applications import _rate_distortion, compress, perform, reconstruct
from atelier.core.abilities import Codes

pytestmark = pytest.mark.usefixtures('untrained')

LATENT = 6


@pytest.fixture(scope='module')
def linear(vae):
    """Codes are the first principal components of the training digits, rotated and shifted."""
    train = vae.data.splits['train']['x'].reshape(-1, 64) / 16
    pca = PCA(LATENT).fit(train)
    mix = np.random.RandomState(0).normal(size=(LATENT, LATENT))
    mix = np.linalg.qr(mix)[0]  # rotates codes and keeps their length
    to_codes, shift = pca.components_.T @ mix, pca.mean_ - 3 * pca.components_[0]

    def encode(weights, batch, rng):
        return (batch['x'].reshape(-1, 64) / 16 - shift) @ jnp.asarray(to_codes, jnp.float32)

    def decode(weights, codes):
        x = codes @ jnp.asarray(to_codes.T, jnp.float32) + shift
        return 16 * jnp.clip(x, 0, 1).reshape(-1, 8, 8, 1)

    return with_abilities(vae, Codes(encode=encode, decode=decode)), pca


def test_component_counts_double_up_to_all():
    assert _rate_distortion.component_counts(1) == [1]
    assert _rate_distortion.component_counts(2) == [1, 2]
    assert _rate_distortion.component_counts(16) == [1, 2, 4, 8, 16]
    assert _rate_distortion.component_counts(20) == [1, 2, 4, 8, 16, 20]


def test_a_linear_model_is_pca(linear):
    """Unquantized, both curves equal scikit-learn's PCA; rounding to bytes costs little here."""
    run, _ = linear
    arrays = compress.apply(run, quality_step=30)
    train, test = (run.data.splits[s]['x'].reshape(-1, 64) / 16 for s in ('train', 'test'))
    expected = []
    for k in arrays['dims']:
        pca = PCA(k).fit(train)
        reconstruction = np.clip(pca.inverse_transform(pca.transform(test)), 0, 1)
        expected.append(0.5 * np.sum((test - reconstruction) ** 2, 1).mean())
    assert arrays['dims'].tolist() == [1, 2, 4, 6]
    np.testing.assert_allclose(arrays['pca_error_unrounded'], expected, rtol=1e-4)
    np.testing.assert_allclose(arrays['code_error_unrounded'], expected, rtol=1e-4)
    np.testing.assert_allclose(arrays['code_error'], arrays['pca_error'], rtol=1e-3)
    cost = arrays['code_error'] - arrays['code_error_unrounded']
    assert np.all(np.abs(cost) < 0.01 * arrays['code_error'])
    assert np.any(np.abs(cost) > 1e-7 * arrays['code_error'])


def test_codes_are_rounded_to_the_nearest_of_256_values():
    random = np.random.RandomState(0)
    low, high = np.array([-2.0, 5.0, 1.0]), np.array([3.0, 9.0, 1.0])
    rows = np.concatenate([random.uniform(-4, 11, (500, 3)), [low, high]])
    rounded = _rate_distortion.quantized(rows, low, high)
    for column in range(2):
        grid = np.linspace(low[column], high[column], 256)
        nearest = grid[np.abs(rows[:, [column]] - grid).argmin(1)]
        np.testing.assert_allclose(rounded[:, column], nearest, atol=1e-9)
    assert len(np.unique(rounded[:, 0].round(9))) <= 256
    np.testing.assert_allclose(rounded[-2:], [low, high])


def test_rounding_uses_the_extremes_of_the_training_split(vae):
    """Training codes are 0 and 255 / 16: test codes round to multiples of 1 / 16 in that range."""
    encode = lambda weights, batch, rng: batch['x'].reshape(-1, 64)[:, :1] / 16

    def decode(weights, codes):
        return jnp.broadcast_to(codes[:, :, None, None], (len(codes), 8, 8, 1))

    flat = lambda *levels: {
        'x': np.broadcast_to(np.reshape(levels, (-1, 1, 1, 1)), (len(levels), 8, 8, 1))
    }
    splits = {'train': flat(0.0, 255.0), 'test': flat(10.4, 99.6, 300.0)}
    run = with_abilities(vae, Codes(encode=encode, decode=decode), splits=splits)
    run = run._replace(data=run.data._replace(spec=run.data.spec._replace(levels=None)))
    arrays = compress.apply(run)
    back = np.array([10, 100, 255]) / 16
    expected = 0.5 * 64 * (back - [10.4, 99.6, 300.0]) ** 2
    np.testing.assert_allclose(arrays['code_error'], [expected.mean()], rtol=1e-5)
    assert 'jpeg_error' not in arrays  # no value range, so no grey levels


@pytest.mark.slow
def test_all_components_are_the_reconstruction(vae):
    """With all components, unrounded, the debug VAE's codes give its reconstruction."""
    arrays = compress.apply(vae, quality_step=50)
    reconstruct.apply(vae)
    path = vae.folder / 'applications' / 'reconstruct-seed-0.json'
    expected = json.loads(path.read_text())['half_squared_error']['mean']
    np.testing.assert_allclose(arrays['code_error_unrounded'][-1], expected, rtol=1e-4)
    stored = np.load(vae.folder / 'applications' / 'compress-quality_step-50.npz')
    assert set(stored) == set(arrays)
    assert (vae.folder / 'applications' / 'compress-quality_step-50.png').stat().st_size > 5000


def test_jpeg_has_the_best_quality_that_fits(linear):
    run, _ = linear
    arrays = compress.apply(run, quality_step=10)
    size, error = arrays['jpeg_bytes'], arrays['jpeg_error']
    assert arrays['jpeg_quality'].tolist() == list(range(1, 96, 10))
    for k, j in zip(arrays['dims'], arrays['best_jpeg'], strict=True):
        fits = np.flatnonzero(size <= k)
        assert (j == -1) == (len(fits) == 0)
        assert j == -1 or (j in fits and error[j] == error[fits].min())
    assert -1 in arrays['best_jpeg'] and arrays['best_jpeg'][-1] >= 0
    assert error[-1] < 0.01 < error[0]  # on the model's scale
    path = run.folder / 'applications' / 'compress-quality_step-10.json'
    rows = json.loads(path.read_text())['rows']
    assert [row['bytes'] for row in rows] == arrays['dims'].tolist()
    assert rows[0]['jpeg'] is None and rows[-1]['jpeg']['bytes'] <= rows[-1]['bytes']
    assert rows[1]['code_error'] == arrays['code_error'][1]


@pytest.mark.slow
def test_black_and_white_and_colours_have_a_jpeg(vae):
    """Levels 0 and 1 become 0 and 255, which JPEG almost preserves."""
    first = lambda weights, batch, rng: batch['x'].reshape(len(batch['x']), -1)[:, :1]
    for levels, channels in ((2, 1), (256, 3)):
        decode = lambda weights, codes, c=channels: jnp.zeros((len(codes), 8, 8, c))
        ramp = np.linspace(0, levels - 1, 8).round().astype(np.uint8)
        x = np.broadcast_to(ramp[:, None, None], (3, 8, 8, channels))
        run = with_abilities(
            vae, Codes(encode=first, decode=decode), splits={'train': {'x': x}, 'test': {'x': x}}
        )
        spec = run.data.spec._replace(levels=levels, event_shape=(8, 8, channels))
        arrays = compress.apply(run._replace(data=run.data._replace(spec=spec)), quality_step=94)
        assert arrays['jpeg_quality'].tolist() == [1, 95] * (1 + (channels == 3))
        assert arrays['jpeg_is_subsampled'].tolist() == [False, False, True, True][: 1 + channels]
        half_square = 0.5 * np.sum((x[0] / (levels - 1)) ** 2)
        assert arrays['jpeg_error'][1] < 0.001 * half_square
        np.testing.assert_allclose(arrays['code_error'], [half_square], rtol=1e-5)


@pytest.mark.parametrize(
    ('name', 'data'), [pytest.param('vae_gan', 'digits', marks=pytest.mark.slow), ('vae', 'ring')]
)
def test_other_families_and_data_are_compressed(tmp_path, name, data):
    run = assembled(tmp_path, name, f'{data},debug')
    short = {s: {n: a[:40] for n, a in part.items()} for s, part in run.data.splits.items()}
    run = run._replace(data=run.data._replace(splits=short))
    arrays = compress.apply(run, quality_step=50)
    assert ('jpeg_error' in arrays) == (data == 'digits')
    np.testing.assert_array_less(np.diff(arrays['pca_error_unrounded']), 0)
    if data == 'ring':  # as many components as columns
        np.testing.assert_allclose(arrays['pca_error_unrounded'][-1], 0, atol=1e-10)


def test_bad_input_raises_one_line(tmp_path, vae, complaint):
    for step in (0, 96):
        assert f'--quality_step={step}' in complaint(compress.apply, vae, quality_step=step)
    reasons = {
        ('gan', 'digits'): 'no likelihood to code by, and it has no encode',
        ('classifier', 'digits'): 'no likelihood to code by, and it has no decode',
        ('mixture', 'ring'): 'the model has a density of real values',
        ('realnvp', 'digits'): 'the model has a density of real values',
        ('ppca', 'digits'): 'the model has a density of real values',
    }
    for (name, data), message in reasons.items():
        run = assembled(tmp_path, name, f'{data},debug')
        assert message in complaint(perform, compress.APPLICATION, run)
    several_orders = assembled(tmp_path, 'made', model__num_orders=2)
    assert 'several orders' in complaint(perform, compress.APPLICATION, several_orders)
