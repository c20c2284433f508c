"""Super-resolution: known PSNR, the model's inputs, and its random draws."""

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

pytestmark = pytest.mark.usefixtures('untrained')


@pytest.fixture
def no_figure(monkeypatch):
    """Disables figures, which take seconds per test."""
    monkeypatch.setattr(super_resolve, '_save_figure', lambda *arguments: None)


def able(run, enlarge, x=None, spec=None, factor=2):
    """Returns `run` with this `SuperResolve` and, if x is given, these test images."""
    splits = run.data.splits if x is None else {**run.data.splits, 'test': {'x': x}}
    changed = with_abilities(run, SuperResolve(enlarge, factor), splits=splits)
    return changed._replace(data=changed.data._replace(spec=spec or run.data.spec))


def repeat(weights, batch, rng):
    """Repeats pixels; asserts that the batch holds only `low`."""
    assert set(batch) == {'low'}
    return enlarged(batch['low'], 2, 'nearest')


def recorded(run, changed=''):
    path = run.folder / 'applications' / f'super_resolve-seed-0{changed}.json'
    return json.loads(path.read_text())


def test_a_model_that_repeats_pixels_equals_nearest(vae):
    """The method is deterministic and perfectly consistent."""
    arrays = super_resolve.apply(able(vae, repeat), num_images=5)
    assert not [name for name in arrays if name.startswith('model_mean')]
    for name in ('psnr_db', 'ssim', 'consistency_db'):
        np.testing.assert_array_equal(arrays[f'model_{name}'], arrays[f'nearest_{name}'])
    x = vae.data.splits['test']['x'][arrays['index']].astype(np.float64)
    repeated = np.repeat(np.repeat(reduced(x, 2), 2, 1), 2, 2)
    squares = np.mean(((x - repeated) / 16) ** 2, (1, 2, 3))
    np.testing.assert_allclose(arrays['model_psnr_db'], -10 * np.log10(squares), rtol=1e-5)
    np.testing.assert_array_equal(arrays['low'], reduced(x[:5], 2))
    np.testing.assert_array_equal(arrays['model'], repeated[:5])
    results = recorded(vae)
    assert (results['factor'], results['num_examples'], results['num_samples']) == (2, 447, 1)
    model, bicubic = (results['methods'][name] for name in ('model', 'bicubic'))
    assert model == results['methods']['nearest'] and model['consistency_db'] is None
    gain = model['psnr_db']['mean'] - bicubic['psnr_db']['mean']
    np.testing.assert_allclose(model['gain_psnr_db']['mean'], gain, rtol=1e-5)
    assert {path.suffix for path in (vae.folder / 'applications').glob('super_resolve*')} == {
        '.csv',
        '.npz',
        '.json',
        '.png',
    }


def noisy(weights, batch, rng):
    """Returns grey images with noise of 2 levels."""
    noise = standard_normal(rng.keys, 8, 8, 1)
    return enlarged(batch['low'], 2, 'nearest') + 2 * noise


def test_the_mean_of_samples_and_of_blocks(vae, no_figure):
    """Averaging k samples divides the squared noise by k; averaging blocks of four pixels, by 4."""
    run = able(vae, noisy, np.full((300, 8, 8, 1), 8, np.uint8))
    arrays = super_resolve.apply(run, num_samples=5)
    mean_square = lambda name: np.mean(10 ** (-arrays[name] / 10))
    one = (2 / 16) ** 2
    near = lambda name, expected: np.testing.assert_allclose(mean_square(name), expected, rtol=0.1)
    near('model_psnr_db', one)
    near('model_mean_psnr_db', one / 5)
    near('model_consistency_db', one / 4)
    near('model_mean_consistency_db', one / 20)
    results = recorded(run, '-num_samples-5')
    assert results['num_samples'] == 5
    row, exact = (results['methods'][name] for name in ('model_mean', 'nearest'))
    np.testing.assert_allclose(10 ** (-row['consistency_db'] / 10), one / 20, rtol=0.1)
    assert (row['num_exact'], exact['num_exact']) == (0, 300)
    assert results['methods']['bicubic']['num_exact'] == 300  # up to rounding
    assert exact['consistency_db'] is None
    assert 'psnr_db' in row and 'psnr_db' not in exact
    assert 'gain_psnr_db' not in row  # bicubic is exact: no gain over it


def test_samples_depend_on_seed_and_index_alone(vae, no_figure):
    """They do not depend on the batch size, or on the number of samples and examples."""
    grey = np.full((30, 8, 8, 1), 8, np.uint8)
    full = super_resolve.apply(able(vae, noisy, grey), num_images=30, num_samples=2)
    small_batches = able(assembled(vae.folder, 'vae', eval__batch_size=4), noisy, grey)
    few = super_resolve.apply(small_batches, num_images=30, num_examples=7, num_samples=1)
    np.testing.assert_array_equal(few['index'], full['index'][:7])
    np.testing.assert_allclose(few['model'], full['model'][:7], rtol=1e-6)
    other = super_resolve.apply(able(vae, noisy, grey), num_images=30, num_samples=2, seed=1)
    assert np.all(np.any(other['model'] != full['model'], (1, 2, 3)))
    assert len(np.unique(full['model'][:, 0, 0, 0])) == 30


def test_real_valued_images_of_any_number_of_channels_are_measured(vae):
    """The scale is that of the training split; data that are not images have no SSIM."""
    spec, random = Spec((4, 4, 2), None, None), np.random.default_rng(0)
    x = random.uniform(-1, 1, (20, 4, 4, 2)).astype(np.float32)
    wrong = lambda weights, batch, rng: 0.5 + repeat(weights, batch, rng)
    x = np.repeat(np.repeat(reduced(x, 2), 2, 1), 2, 2)
    run = able(vae, wrong, x, spec)
    edges = np.stack([np.full((4, 4, 2), -2.0), np.full((4, 4, 2), 3.0)]).astype(np.float32)
    splits = {**run.data.splits, 'train': {'x': edges}}
    run = run._replace(data=run.data._replace(splits=splits))
    arrays = super_resolve.apply(run)
    np.testing.assert_allclose(arrays['model_psnr_db'], 20 * np.log10(5 / 0.5), atol=1e-3)
    np.testing.assert_allclose(arrays['model_consistency_db'], 20, atol=1e-3)
    assert 'model_ssim' not in arrays


@pytest.mark.slow
@pytest.mark.parametrize(
    'name',
    ['super_resolution_regressor', pytest.param('super_resolution', marks=pytest.mark.slow)],
)
def test_a_model_sees_nothing_of_the_original(tmp_path, monkeypatch, name, no_figure):
    """Two splits with equal low-resolution images give bitwise equal results."""
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
    turned_run = run._replace(data=run.data._replace(splits={**run.data.splits, 'test': other}))
    one, two = (super_resolve.apply(r, num_samples=2, num_images=12) for r in (run, turned_run))
    assert np.any(one['x'] != two['x'])
    np.testing.assert_array_equal(one['low'], two['low'])
    np.testing.assert_array_equal(one['model'], two['model'])
    assert np.any(one['model'] != one['bicubic'])
    assert ('model_mean' in one) == (name == 'super_resolution')


def test_bad_input_raises_one_line(vae, complaint):
    run = able(vae, repeat)
    for name in ('num_examples', 'num_samples', 'num_images'):
        assert f'--{name}=0' in complaint(super_resolve.apply, run, **{name: 0})
    assert '--seed=-1' in complaint(super_resolve.apply, run, seed=-1)
    line = complaint(perform, super_resolve.APPLICATION, vae)
    assert 'has no super-resolution; modes' in line
