"""Denoising: known gains, reproducible noise, and a trained model."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, few_of_test, make_run, replaced, with_abilities

import train_lib
from atelier.applications import denoise, perform
from atelier.core.abilities import Denoise, Reconstruct
from atelier.core.randomness import rng_for
from atelier.data.dataset import Spec
from atelier.run import restore

pytestmark = pytest.mark.usefixtures('untrained')

LOAD = restore.load  # the original, before the fixture `untrained` patches it


def identity(weights, batch, rng):
    return batch['x']


def of_test(run, x, spec=None, reconstruct=identity, **more):
    """Returns `run` with test images x and this `reconstruct`."""
    changed = with_abilities(
        run, Reconstruct(reconstruct), splits={**run.data.splits, 'test': {'x': x, **more}}
    )
    return changed._replace(data=changed.data._replace(spec=spec or run.data.spec))


def recorded(run, noise, levels):
    name = f'denoise-{noise}-seed-0-levels-{levels}.json'
    path = run.folder / 'applications' / name
    return json.loads(path.read_text())['levels']


@pytest.mark.parametrize(
    'noise',
    [
        'gaussian',
        pytest.param('masking', marks=pytest.mark.slow),
        pytest.param('salt_and_pepper', marks=pytest.mark.slow),
    ],
)
def test_shrinking_the_noise_gains_a_known_psnr(vae, noise):
    """Reducing the noise to a quarter gains 20 log10(4) dB, for every kind of noise."""
    nearer = lambda weights, batch, rng: 8 + (batch['x'] - 8) / 4
    run = of_test(vae, np.full((30, 8, 8, 1), 8, np.uint8), reconstruct=nearer)
    arrays = denoise.apply(run, noise=noise, levels='0.2,0.7')
    gain = arrays['denoised_psnr_db'] - arrays['noisy_psnr_db']
    np.testing.assert_allclose(gain, 20 * np.log10(4), atol=1e-4)
    for row in recorded(run, noise, '0.2,0.7'):
        np.testing.assert_allclose(row['gain_psnr_db']['mean'], 20 * np.log10(4), atol=1e-4)
        assert row['num_changed'] == 30
    np.testing.assert_allclose(arrays['denoised'], 8 + (arrays['noisy'] - 8) / 4, rtol=1e-6)
    assert np.all(arrays['denoised_ssim'] > arrays['noisy_ssim'])


def test_the_best_linear_denoiser_of_a_gaussian(vae):
    """For standard normal x, noisy / (1 + s^2) has error s^2 / (1 + s^2) instead of s^2."""
    random, spec = np.random.RandomState(0), Spec((2000,), None, None)
    x, s = random.normal(size=(20, 2000)).astype(np.float32), 0.8
    train = {'x': np.stack([np.full(2000, -4.0), np.full(2000, 4.0)])}
    run = of_test(vae, x, spec, lambda weights, batch, rng: batch['x'] / (1 + s**2))
    run = run._replace(data=run.data._replace(splits={**run.data.splits, 'train': train}))
    arrays = denoise.apply(run, levels=str(s), num_images=2)
    mean = lambda name: arrays[name].mean()
    np.testing.assert_allclose(mean('noisy_psnr_db'), 20 * np.log10(8 / s), atol=0.1)
    gain_db = 10 * np.log10(1 + s**2)
    np.testing.assert_allclose(mean('denoised_psnr_db') - mean('noisy_psnr_db'), gain_db, atol=0.1)
    assert np.abs(arrays['noisy']).max() > 4  # no clipping without a known range
    assert 'noisy_ssim' not in arrays


@pytest.mark.slow
def test_columns_of_a_table_have_equal_weight(vae):
    """Columns in units of 0.001 and 1000: noise and PSNR use the normalized scale."""
    random = np.random.RandomState(0)
    x = random.uniform(-1, 1, (40, 2)).astype(np.float32)
    scaled = x * np.float32([1e-3, 1e3])
    both = []
    for table in (x, scaled):
        spec = Spec((2,), None, None, std=tuple(map(float, table.std(0))))
        run = of_test(vae, table, spec)
        run = run._replace(
            data=run.data._replace(splits={'train': {'x': table}, 'test': {'x': table}})
        )
        both.append(denoise.apply(run, noise='salt_and_pepper', levels='0.5', num_images=40))
    plain, stretched = both
    np.testing.assert_allclose(plain['noisy_psnr_db'], stretched['noisy_psnr_db'], rtol=1e-4)
    noisy = stretched['noisy'][0]
    hit = ~np.isclose(noisy, stretched['x'], rtol=1e-4)
    extremes = [scaled.min(0), scaled.max(0)]
    nearest = np.min([np.abs(noisy / edge - 1) for edge in extremes], 0)
    assert np.all(nearest[hit] < 1e-4) and 0.3 < hit.mean() < 0.7


@pytest.mark.slow
def test_noise_depends_on_seed_level_and_example_alone(vae):
    """The noise does not depend on other levels, the batch size or the size of the split."""
    grey = np.full((40, 8, 8, 1), 8, np.uint8)
    in_order = lambda arrays, level: arrays['noisy'][level][np.argsort(arrays['index'])]
    full = denoise.apply(of_test(vae, grey), levels='0.2,0.1', num_images=40)
    small_run = of_test(assembled(vae.folder, 'vae', eval__batch_size=5), grey[:12])
    small_split = denoise.apply(small_run, levels='0.1', num_images=12)
    np.testing.assert_allclose(in_order(small_split, 0), in_order(full, 1)[:12], atol=1e-5)
    other = denoise.apply(of_test(vae, grey), levels='0.1', num_images=40, seed=1)
    draws = [in_order(full, 0), in_order(full, 1), in_order(other, 0)]
    draws += [draws[0][::-1]]  # noise of other examples
    correlation = np.corrcoef(np.reshape(draws, (4, -1)))
    np.testing.assert_allclose(correlation, np.eye(4), atol=0.1)


def test_noisy_values_are_clipped_to_the_range(vae):
    arrays = denoise.apply(of_test(vae, vae.data.splits['test']['x']), levels='2', num_images=50)
    assert arrays['noisy'].min() == 0 and arrays['noisy'].max() == 16
    assert np.any(arrays['noisy'] % 1 != 0)  # values between the levels


def test_unchanged_examples_are_left_out_of_the_means(vae):
    """Masking leaves zeros unchanged: only the white images have a finite PSNR."""
    x = np.zeros((6, 8, 8, 1), np.uint8)
    x[::2] = 16
    run = of_test(vae, x, reconstruct=lambda weights, batch, rng: 0 * batch['x'] + 8)
    arrays = denoise.apply(run, noise='masking', levels='1')
    (row,) = recorded(run, 'masking', '1')
    assert row['num_changed'] == 3
    np.testing.assert_allclose(row['noisy_psnr_db']['mean'], 0, atol=1e-6)
    np.testing.assert_allclose(row['denoised_psnr_db']['mean'], 20 * np.log10(2), rtol=1e-6)
    assert np.isinf(arrays['noisy_psnr_db'][0, 1::2]).all()


@pytest.mark.slow
def test_labels_go_with_their_examples(vae):
    def by_label(weights, batch, rng):
        return jnp.ones_like(batch['x']) * batch['label'][:, None, None, None]

    run = vae._replace(family=replaced(vae.family, Reconstruct(by_label)))
    arrays = denoise.apply(run, levels='0.1', num_images=9)
    label = vae.data.splits['test']['label'][arrays['index']]
    assert arrays['denoised'][0, :, 0, 0, 0].tolist() == label.tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ('name', 'data'),
    [('vae', 'digits'), ('vae_gan', 'digits'), ('vae', 'ring')],
)
def test_families_that_reconstruct(tmp_path, name, data):
    """`denoised` is the (untrained) reconstruction of the noisy examples."""
    run = few_of_test(assembled(tmp_path, name, f'{data},debug'), 20)
    arrays = denoise.apply(run, levels='0.5', num_images=20)
    state = restore.initial_state(run)
    rng = rng_for(state.key, jnp.arange(20), 20)
    batch = {'x': jnp.asarray(arrays['noisy'][0])}
    expected = jax.jit(run.family.ability(Reconstruct).mean)(state.averaged_weights, batch, rng)
    np.testing.assert_allclose(arrays['denoised'][0], expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(arrays['x'], run.data.splits['test']['x'][arrays['index']])
    assert arrays['noisy_psnr_db'].shape == (1, 20)
    suffixes = {path.suffix for path in (tmp_path / 'applications').iterdir()}
    assert suffixes == {'.npz', '.json', '.csv', '.png'}
    assert ('noisy_ssim' in arrays) == (data == 'digits')


@pytest.mark.slow
def test_a_trained_vae_removes_noise(tmp_path, monkeypatch):
    """After a few seconds of training on digits, stronger noise gives a larger gain."""
    settings = dict(steps=300, evaluate_every=300, checkpoint_every=300)
    run = make_run(tmp_path, 'digits', **{f'train__{k}': v for k, v in settings.items()})
    train_lib.train(run, jax.devices())
    monkeypatch.setattr(restore, 'load', LOAD)
    denoise.apply(run, levels='0.3,0.5')
    first, second = (row['gain_psnr_db'] for row in recorded(run, 'gaussian', '0.3,0.5'))
    assert first['mean'] > 5 * first['standard_error'] > 0
    assert second['mean'] > first['mean'] + 1


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(noise='grain'), '--noise=grain: choose one of gaussian, masking, salt_and_pepper'),
        (dict(noise='gausian'), "(did you mean 'gaussian'?)"),
        (dict(levels='0.1,x'), '--levels=0.1,x: give numbers'),
        (dict(levels=''), '--levels=: give numbers'),
        (dict(levels='0'), '--levels=0: each has to be above 0'),
        (dict(levels='nan'), '--levels=nan: each has to be above 0'),
        (dict(levels='1.5', noise='masking'), 'at most 1'),
        (dict(num_images=0), '--num_images=0'),
        (dict(seed=-1), '--seed=-1'),
    ],
)
def test_bad_options_raise_one_line(vae, complaint, options, message):
    assert message in complaint(denoise.apply, vae, **options)


def test_a_missing_ability_is_named(tmp_path, complaint):
    line = complaint(perform, denoise.APPLICATION, assembled(tmp_path, 'gan'))
    assert 'has no reconstruction or denoiser; modes that fit it: ' in line


def test_a_denoiser_gets_the_level_and_unclipped_values(vae):
    """Again the optimal Gaussian denoiser, now given s, with values outside the range."""
    random, s = np.random.RandomState(0), 0.8
    x = random.randint(0, 17, size=(20, 8, 8, 1)).astype(np.uint8)
    batches = []

    def denoised(weights, batch, rng):
        jax.debug.callback(lambda a: batches.append(np.asarray(a)), batch['x'])
        return 8 + (batch['x'] - 8) / (1 + batch['noise_std'][:, None, None, None] ** 2)

    run = of_test(vae, x)
    run = with_abilities(run, Denoise(denoised, 1.0))
    arrays = denoise.apply(run, levels=str(s), num_images=20)
    jax.effects_barrier()
    inputs = np.concatenate(batches)
    assert inputs.min() < -1 and inputs.max() > 17
    assert arrays['noisy'].min() == 0 and arrays['noisy'].max() == 16
    by_model = 8 + (inputs[: len(x)] - 8) / (1 + s**2)
    order = [
        np.abs(by_model - one).reshape(len(x), -1).max(1).argmin() for one in arrays['denoised'][0]
    ]
    np.testing.assert_allclose(arrays['denoised'][0], by_model[order], atol=1e-4)


def test_a_denoiser_refuses_other_noise(vae, complaint):
    run = with_abilities(vae, Denoise(identity, 1.0))
    assert 'removes only gaussian noise' in complaint(denoise.apply, run, noise='masking')
    assert '3 is more noise than' in complaint(denoise.apply, run, levels='0.5,3')
