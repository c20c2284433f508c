"""Reconstructions, their errors, and the selected examples."""

import csv
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from support import assembled, few_of_test, with_abilities

from atelier.applications import denoise, perform, reconstruct
from atelier.core.abilities import Codes, Reconstruct
from atelier.core.randomness import rng_for, standard_normal
from atelier.run import restore

pytestmark = pytest.mark.usefixtures('untrained')


def test_reconstructions_are_those_of_the_family(vae):
    arrays = reconstruct.apply(vae, num_images=5, seed=3)
    state, split = restore.initial_state(vae), vae.data.splits['test']
    x = jnp.asarray(split['x'][arrays['index']], jnp.float32)
    np.testing.assert_array_equal(arrays['x'], x)
    rng = rng_for(state.key, jnp.arange(5), 5)
    codes = jax.jit(vae.family.ability(Codes).encode)(state.averaged_weights, {'x': x}, rng)
    decoded = jax.jit(vae.family.ability(Codes).decode)(state.averaged_weights, codes)
    np.testing.assert_allclose(arrays['reconstruction'], decoded, rtol=1e-4, atol=1e-4)
    folder = vae.folder / 'applications'
    stored = np.load(folder / 'reconstruct-seed-3.npz')
    source = {'file', 'row', 'label', 'index'}
    assert set(stored) == set(arrays) == source | {'x', 'reconstruction', 'half_squared_error'}
    np.testing.assert_array_equal(stored['reconstruction'], arrays['reconstruction'])
    assert len(np.unique(arrays['index'])) == 5
    fewer = reconstruct.apply(vae, num_images=2, seed=3)
    np.testing.assert_array_equal(fewer['index'], arrays['index'][:2])


def test_the_error_is_on_the_normalized_scale(vae):
    """Every value is 4 of 16 too large: the error is 1/2 * 64 * (1/4)^2, over the whole split."""
    run = with_abilities(vae, Reconstruct(lambda weights, batch, rng: batch['x'] + 4))
    arrays = reconstruct.apply(run, num_images=3)
    np.testing.assert_allclose(arrays['half_squared_error'], 2)
    results = json.loads((run.folder / 'applications' / 'reconstruct-seed-0.json').read_text())
    assert results['num_examples'] == 447
    assert results['half_squared_error'] == {'mean': 2.0, 'standard_error': 0.0}
    assert results['weights'] == 'first weights'


@pytest.mark.slow
def test_the_error_of_each_example_is_a_table(vae):
    rows = lambda name: [*csv.DictReader((vae.folder / 'applications' / name).open())]
    arrays = reconstruct.apply(vae, num_images=3, seed=7)
    table = rows('reconstruct-seed-7.csv')
    assert len(table) == vae.data.size('test')
    chosen = [table[i] for i in arrays['index']]
    assert [int(row['row']) for row in chosen] == arrays['row'].tolist()
    assert [int(row['label']) for row in chosen] == arrays['label'].tolist()
    errors = [float(row['half_squared_error']) for row in chosen]
    np.testing.assert_allclose(errors, arrays['half_squared_error'], rtol=1e-6)

    arrays = denoise.apply(vae, levels='0.1,0.5', num_images=2)
    table = rows('denoise-gaussian-seed-0-levels-0.1,0.5.csv')
    for i, level in enumerate(('0.1', '0.5')):
        column = [float(row[f'denoised_ssim_{level}']) for row in table]
        np.testing.assert_allclose(column, arrays['denoised_ssim'][i], rtol=1e-6)


@pytest.mark.slow
def test_draws_depend_on_the_position_in_the_split(vae):
    """A stochastic reconstruction does not depend on which examples are selected."""

    def draw_one(weights, batch, rng):
        return batch['x'] + standard_normal(rng.keys, 8, 8, 1)

    run = with_abilities(vae, Reconstruct(draw_one))
    every, some = (reconstruct.apply(run, num_images=n, seed=1) for n in (447, 9))
    np.testing.assert_array_equal(some['reconstruction'], every['reconstruction'][:9])
    assert sorted(every['index']) == list(range(447))


def test_originals_are_shown_above_reconstructions(vae):
    """Further pairs of rows follow below the first; the largest level is white."""
    run = with_abilities(vae, Reconstruct(lambda weights, batch, rng: 16 + 0 * batch['x']))
    black = {'x': np.zeros((20, 8, 8, 1), np.uint8)}
    run = run._replace(data=run.data._replace(splits={**run.data.splits, 'test': black}))
    reconstruct.apply(run, num_images=18)
    figure = Image.open(run.folder / 'applications' / 'reconstruct-seed-0.png').convert('L')
    shades = np.asarray(figure)[:, -40]  # a line through the last column
    runs = shades[np.flatnonzero(np.diff(shades.astype(int), prepend=-1))]
    only = [shade for shade in runs if shade in (0, 255)]
    assert [s for s, before in zip(only, [None, *only], strict=False) if s != before] == [
        255,  # background
        0,
        255,
        0,
        255,  # background: the last row is not full
    ]


@pytest.mark.parametrize(
    ('name', 'data'), [pytest.param('vae_gan', 'digits', marks=pytest.mark.slow), ('vae', 'ring')]
)
def test_families_with_an_encoder(tmp_path, name, data):
    run = few_of_test(assembled(tmp_path, name, f'{data},debug'), 20)
    arrays = reconstruct.apply(run, num_images=4)
    assert arrays['reconstruction'].shape == (4, *run.data.spec.event_shape)
    suffixes = {path.suffix for path in (tmp_path / 'applications').iterdir()}
    assert suffixes == {'.npz', '.json', '.csv', '.png'}


def test_bad_input_raises_one_line(tmp_path, vae, complaint):
    assert '--num_images=0' in complaint(reconstruct.apply, vae, num_images=0)
    assert '--seed=-1' in complaint(reconstruct.apply, vae, seed=-1)
    line = complaint(perform, reconstruct.APPLICATION, assembled(tmp_path, 'gan'))
    assert 'has no reconstruction; modes' in line
