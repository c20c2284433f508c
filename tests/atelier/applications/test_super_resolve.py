"""Enlargements whose PSNR is known, what the ability is shown, and where its draws come from."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, few_of_test, with_abilities

from atelier.applications import perform, super_resolve
from atelier.core.abilities import SuperResolve
from atelier.core.randomness import standard_normal
from atelier.data.dataset import Spec
from atelier.data.low_resolution import enlarged, reduced
from atelier.run import restore

pytestmark = pytest.mark.usefixtures('quick_compilation', 'untrained')


@pytest.fixture
def no_picture(monkeypatch):
    """Seconds of each test."""
    monkeypatch.setattr(super_resolve, '_draw', lambda *arguments: None)


def able(run, enlarge, x=None, spec=None, factor=2):
    """A run whose model enlarges like this, and perhaps other test images."""
    splits = run.data.splits if x is None else {**run.data.splits, 'test': {'x': x}}
    made = with_abilities(run, SuperResolve(enlarge, factor), splits=splits)
    return made._replace(data=made.data._replace(spec=spec or run.data.spec))


def repeat(weights, batch, rng):
    """Sees what is given and nothing else."""
    assert set(batch) == {'low'}
    return enlarged(batch['low'], 2, 'nearest')


def recorded(run, seed=0):
    path = run.folder / 'applications' / f'super_resolve-seed-{seed}.json'
    return json.loads(path.read_text())


def test_a_model_that_repeats_pixels_is_nearest(vae):
    """It draws nothing, and is as consistent as can be."""
    found = super_resolve.apply(able(vae, repeat), num_images=5)
    assert not [name for name in found if name.startswith('model_mean')]
    for name in ('psnr_db', 'ssim', 'consistency_db'):
        np.testing.assert_array_equal(found[f'model_{name}'], found[f'nearest_{name}'])
    x = vae.data.splits['test']['x'][found['index']].astype(np.float64)
    again = np.repeat(np.repeat(reduced(x, 2), 2, 1), 2, 2)
    squares = np.mean(((x - again) / 16) ** 2, (1, 2, 3))
    np.testing.assert_allclose(found['model_psnr_db'], -10 * np.log10(squares), rtol=1e-5)
    np.testing.assert_array_equal(found['low'], reduced(x[:5], 2))
    np.testing.assert_array_equal(found['model'], again[:5])
    numbers = recorded(vae)
    assert (numbers['factor'], numbers['num_examples'], numbers['num_samples']) == (2, 447, 1)
    ours, bicubic = (numbers['methods'][name] for name in ('model', 'bicubic'))
    assert ours == numbers['methods']['nearest'] and ours['consistency_db'] is None
    gain = ours['psnr_db']['mean'] - bicubic['psnr_db']['mean']
    np.testing.assert_allclose(ours['gain_psnr_db']['mean'], gain, rtol=1e-5)
    assert {path.suffix for path in (vae.folder / 'applications').glob('super_resolve*')} == {
        '.npz',
        '.json',
        '.png',
    }


def noisy(weights, batch, rng):
    """Grey with noise of 2 levels."""
    noise = standard_normal(rng.keys, 8, 8, 1)
    return enlarged(batch['low'], 2, 'nearest') + 2 * noise


def test_the_mean_of_samples_and_of_blocks(vae, no_picture):
    """Independent noise: k samples have 1/k of its square, blocks of four pixels 1/4."""
    run = able(vae, noisy, np.full((300, 8, 8, 1), 8, np.uint8))
    found = super_resolve.apply(run, num_samples=5)
    mean_square = lambda name: np.mean(10 ** (-found[name] / 10))
    one = (2 / 16) ** 2
    near = lambda name, want: np.testing.assert_allclose(mean_square(name), want, rtol=0.1)
    near('model_psnr_db', one)
    near('model_mean_psnr_db', one / 5)
    near('model_consistency_db', one / 4)
    near('model_mean_consistency_db', one / 20)
    numbers = recorded(run)
    assert numbers['num_samples'] == 5
    row, exact = (numbers['methods'][name] for name in ('model_mean', 'nearest'))
    np.testing.assert_allclose(10 ** (-row['consistency_db'] / 10), one / 20, rtol=0.1)
    assert (row['num_exact'], exact['num_exact']) == (0, 300)
    assert numbers['methods']['bicubic']['num_exact'] == 300  # but for rounding
    assert exact['consistency_db'] is None
    assert 'psnr_db' in row and 'psnr_db' not in exact
    assert 'gain_psnr_db' not in row  # over bicubic, which is exact


def test_a_sample_is_an_address(vae, no_picture):
    """Of the seed and the place in the order: neither the batch size nor how many are asked for."""
    grey = np.full((30, 8, 8, 1), 8, np.uint8)
    whole = super_resolve.apply(able(vae, noisy, grey), num_images=30, num_samples=2)
    small = able(assembled(vae.folder, 'vae', eval__batch_size=4), noisy, grey)
    few = super_resolve.apply(small, num_images=30, num_examples=7, num_samples=1)
    np.testing.assert_array_equal(few['index'], whole['index'][:7])
    np.testing.assert_allclose(few['model'], whole['model'][:7], rtol=1e-6)
    other = super_resolve.apply(able(vae, noisy, grey), num_images=30, num_samples=2, seed=1)
    assert np.all(np.any(other['model'] != whole['model'], (1, 2, 3)))
    assert len(np.unique(whole['model'][:, 0, 0, 0])) == 30


def test_images_of_real_values_and_any_number_of_channels(vae):
    """The scale is that of the training split; without a picture there is no SSIM."""
    spec, random = Spec((4, 4, 2), None, None), np.random.default_rng(0)
    x = random.uniform(-1, 1, (20, 4, 4, 2)).astype(np.float32)
    wrong = lambda weights, batch, rng: 0.5 + repeat(weights, batch, rng)
    x = np.repeat(np.repeat(reduced(x, 2), 2, 1), 2, 2)
    run = able(vae, wrong, x, spec)
    edges = np.stack([np.full((4, 4, 2), -2.0), np.full((4, 4, 2), 3.0)]).astype(np.float32)
    splits = {**run.data.splits, 'train': {'x': edges}}
    run = run._replace(data=run.data._replace(splits=splits))
    found = super_resolve.apply(run)
    np.testing.assert_allclose(found['model_psnr_db'], 20 * np.log10(5 / 0.5), atol=1e-3)
    np.testing.assert_allclose(found['model_consistency_db'], 20, atol=1e-3)
    assert 'model_ssim' not in found


@pytest.mark.parametrize(
    'name',
    ['super_resolution_regressor', pytest.param('super_resolution', marks=pytest.mark.slow)],
)
def test_a_model_sees_nothing_of_the_original(tmp_path, monkeypatch, name, no_picture):
    """Two splits with the same low-resolution images, enlarged bitwise the same way."""
    run = few_of_test(assembled(tmp_path, name), 12)
    state = restore.initial_state(run)
    moved = jax.tree.map(
        lambda p: p + 0.1 * jnp.cos(jnp.arange(p.size)).reshape(p.shape), state.ema
    )
    monkeypatch.setattr(
        restore, 'load', lambda run: restore.TrainedRun(run, state.replace(ema=moved), 'weights')
    )
    x = run.data.splits['test']['x']
    turned = x.reshape(-1, 4, 2, 4, 2)[:, :, ::-1, :, ::-1].reshape(x.shape)
    other = {'x': turned, 'label': run.data.splits['test']['label'][::-1]}
    again = run._replace(data=run.data._replace(splits={**run.data.splits, 'test': other}))
    one, two = (super_resolve.apply(r, num_samples=2, num_images=12) for r in (run, again))
    assert np.any(one['x'] != two['x'])
    np.testing.assert_array_equal(one['low'], two['low'])
    np.testing.assert_array_equal(one['model'], two['model'])
    assert np.any(one['model'] != one['bicubic'])
    assert ('model_mean' in one) == (name == 'super_resolution')


def test_what_cannot_be_is_one_line(vae, complaint):
    run = able(vae, repeat)
    for name in ('num_examples', 'num_samples', 'num_images'):
        assert f'--{name}=0' in complaint(super_resolve.apply, run, **{name: 0})
    assert '--seed=-1' in complaint(super_resolve.apply, run, seed=-1)
    line = complaint(perform, super_resolve.APPLICATION, vae)
    assert 'lacks super_resolve: --mode=super_resolve needs super_resolve' in line
