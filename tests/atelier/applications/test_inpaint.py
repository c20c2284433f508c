"""Masks, and completions with a known error."""

import csv
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from support import assembled, few_of_test, replaced

from atelier.applications import inpaint, perform
from atelier.applications._masks import hidden_parts
from atelier.core.abilities import Inpaint
from atelier.core.randomness import standard_normal
from atelier.data.dataset import Spec

pytestmark = pytest.mark.usefixtures('untrained')

IMAGE = Spec((6, 8, 1), 17, None)


def grey(weights, batch, rng):
    return jnp.where(batch['known'], batch['x'], 8.0)


def filling(run, fill=grey, x=None):
    """Returns `run` with this `Inpaint` and, if x is given, these test images."""
    splits = run.data.splits if x is None else {**run.data.splits, 'test': {'x': x}}
    family = replaced(run.family, Inpaint(fill))
    return run._replace(family=family, data=run.data._replace(splits=splits))


def recorded(run, name='left', changed=''):
    path = run.folder / 'applications' / f'inpaint-{name}-seed-0{changed}.json'
    return json.loads(path.read_text())


# Masks


@pytest.mark.parametrize(
    ('mask', 'rows', 'columns'),
    [
        ('left', slice(None), slice(4)),
        ('right', slice(None), slice(4, None)),
        ('top', slice(3), slice(None)),
        ('bottom', slice(3, None), slice(None)),
        ('centre', slice(2, 4), slice(2, 6)),
    ],
)
def test_parts_of_an_image(mask, rows, columns):
    hidden = hidden_parts(IMAGE, mask, 0.5, 3, 0)
    expected = np.zeros((3, 6, 8, 1), bool)
    expected[:, rows, columns] = True
    np.testing.assert_array_equal(hidden, expected)


def test_random_masks_hide_their_share_by_seed_and_example():
    """Images hide all channels of a pixel; tables hide single values."""
    colours = Spec((4, 5, 3), 17, None)
    many, few, other = (hidden_parts(colours, 'random', 0.3, *a) for a in ((9, 1), (4, 1), (9, 2)))
    assert many.shape == (9, 4, 5, 3) and np.all(many.sum((1, 2, 3)) == 3 * 6)
    assert np.all(many == many[..., :1])
    np.testing.assert_array_equal(many[:4], few)
    assert len(np.unique(many, axis=0)) == 9 and not np.array_equal(many, other)
    table = hidden_parts(Spec((2,), None, None), 'random', 0.01, 50, 0)
    assert np.all(table.sum(1) == 1) and 10 < table[:, 0].sum() < 40


def test_a_mask_file(tmp_path):
    one = np.random.default_rng(0).random((6, 8)) < 0.4
    for name, array in (('flat', one), ('whole', one[..., None].astype(np.float64))):
        np.save(tmp_path / f'{name}.npy', array)
        hidden = hidden_parts(IMAGE, f'{tmp_path}/{name}.npy', 0.5, 2, 0)
        np.testing.assert_array_equal(hidden, np.broadcast_to(one[..., None], (2, 6, 8, 1)))


@pytest.mark.parametrize(
    ('array', 'message'),
    [
        (np.ones((3, 4), bool), 'has the shape (3, 4), and an example has (6, 8, 1)'),
        (np.full((6, 8), 0.5), 'give true or 1 where it hides'),
        (np.zeros((6, 8), bool), 'hides nothing'),
        (np.ones((6, 8), bool), 'hides everything'),
        (b'no array', 'is not an .npy'),
        (None, 'mask.npy: there is no such file'),
    ],
)
def test_a_bad_mask_file_raises_one_line(tmp_path, complaint, array, message):
    path = tmp_path / 'mask.npy'
    if isinstance(array, bytes):
        path.write_bytes(array)
    elif array is not None:
        np.save(path, array)
    line = complaint(hidden_parts, IMAGE, str(path), 0.5, 2, 0)
    assert message in line and str(path) in line


# Completions


def test_known_values_stay_and_hidden_values_are_not_given_to_the_model(vae):
    def add_label(weights, batch, rng):
        label = batch['label'][:, None, None, None]
        return jnp.where(batch['known'], batch['x'], batch['x'] + label)

    run = filling(vae, add_label)
    arrays = inpaint.apply(run, mask='right', num_images=6, num_completions=2, num_examples=50)
    split, index = run.data.splits['test'], arrays['index']
    assert len({*index}) == 6 and index.max() >= 50  # from the whole split
    np.testing.assert_array_equal(arrays['x'], split['x'][index])
    for completion in np.swapaxes(arrays['completions'], 0, 1):
        np.testing.assert_array_equal(completion[:, :, :4], split['x'][index][:, :, :4])
        expected = np.broadcast_to(split['label'][index][:, None, None, None], (6, 8, 4, 1))
        np.testing.assert_array_equal(completion[:, :, 4:], expected)  # hidden input is 0
    assert not arrays['known'][:, :, 4:].any() and arrays['known'][:, :, :4].all()
    name = 'inpaint-right-seed-0-num_completions-2-num_examples-50.npz'
    stored = np.load(run.folder / 'applications' / name)
    assert {*stored} == {*arrays}
    assert arrays['completion_psnr_db'].shape == (50, 2)
    path = run.folder / 'applications' / name.replace('.npz', '.csv')
    table = [*csv.DictReader(path.open())]
    assert len(table) == 50 and len({row['row'] for row in table}) == 50
    labels = split['label'][[int(row['row']) for row in table]]
    assert [int(row['label']) for row in table] == labels.tolist()
    measured = [[float(row[f'completion_psnr_db_{i}'] or 'inf') for i in range(2)] for row in table]
    np.testing.assert_allclose(measured, arrays['completion_psnr_db'], rtol=1e-6)


def test_errors_are_measured_on_the_hidden_part(vae):
    """White and black images filled with grey: the error in the hidden part is half the range."""
    x = np.zeros((30, 8, 8, 1), np.uint8)
    x[::2] = 16
    run = filling(vae, x=x)
    arrays = inpaint.apply(run, num_completions=1)
    np.testing.assert_allclose(arrays['completion_psnr_db'], 20 * np.log10(2))
    np.testing.assert_allclose(arrays['completions_mean_psnr_db'], 20 * np.log10(2))
    results = recorded(run, changed='-num_completions-1')
    assert results['completion']['rmse'] == 8.0
    assert (results['num_examples'], results['hidden_share']) == (30, 0.5)
    mean = run.data.splits['train']['x'].mean(0)[:, :4] / 16
    error = 0.5 * (np.mean(mean**2) + np.mean((1 - mean) ** 2))
    psnr_db = results['training_mean']['psnr_db']['mean']
    np.testing.assert_allclose(psnr_db, -10 * np.log10(error), rtol=1e-5)
    assert results['completion']['ssim']['mean'] < 1


@pytest.mark.slow
def test_the_mean_of_completions_and_the_spread_of_the_psnr(vae):
    """Errors of +-0.1 of the range: averaging 16 completions divides the squared error by 16."""

    def noisy(weights, batch, rng):
        signs = jax.vmap(lambda key: jax.random.rademacher(key, (8, 8, 1), jnp.float32))(rng.keys)
        return jnp.where(batch['known'], batch['x'], 8 + 1.6 * signs)

    run = filling(vae, noisy, x=np.full((40, 8, 8, 1), 8, np.uint8))
    arrays = inpaint.apply(run, num_completions=16, num_images=40)
    np.testing.assert_allclose(arrays['completion_psnr_db'], 20.0, rtol=1e-5)
    results = recorded(run, changed='-num_completions-16')
    np.testing.assert_allclose(results['completion']['psnr_db']['mean'], 20.0, rtol=1e-5)
    mean_psnr = results['completions_mean']['psnr_db']
    assert abs(mean_psnr['mean'] - 20 - 10 * np.log10(16)) < 4 * mean_psnr['standard_error'] < 1
    small = inpaint.apply(run, num_completions=2, num_images=40, num_examples=7)
    same = [arrays['index'].tolist().index(i) for i in small['index']]
    same_completions = arrays['completions'][same, :2]  # depends only on seed, completion, index
    np.testing.assert_array_equal(small['completions'], same_completions)
    other = inpaint.apply(run, num_completions=2, num_images=40, num_examples=7, seed=1)
    assert not np.array_equal(other['completions'], small['completions'])
    every = inpaint.apply(run, num_completions=1, num_images=40, num_examples=0)
    assert {*every['index']} == {*range(40)}


@pytest.mark.slow
def test_a_perfect_completion_has_no_finite_psnr(vae):
    run = filling(vae, x=np.full((5, 8, 8, 1), 8, np.uint8))
    assert np.isinf(inpaint.apply(run)['completion_psnr_db']).all()
    assert recorded(run)['completion']['psnr_db'] == {'mean': None, 'standard_error': None}
    assert recorded(run)['completion']['rmse'] == 0.0


def test_the_figure_has_rows_known_completions_and_truth(vae):
    run = filling(vae, x=np.full((4, 8, 8, 1), 16, np.uint8))
    black = lambda weights, batch, rng: jnp.where(batch['known'], batch['x'], 0.0)
    inpaint.apply(run._replace(family=replaced(run.family, Inpaint(black))), num_completions=2)
    path = run.folder / 'applications' / 'inpaint-left-seed-0-num_completions-2.png'
    image = Image.open(path).convert('L')
    shades = np.asarray(image).astype(int)
    column = shades[:, np.flatnonzero((shades == 0).sum(0) > 60)[-1]]  # through hidden halves
    runs = column[np.flatnonzero(np.diff(column, prepend=-1))]
    assert [shade for shade in runs if shade in (0, 255)] == [255, 0, 0, 255, 255]


@pytest.mark.slow
def test_points_have_a_figure_and_no_rmse(tmp_path):
    run = few_of_test(assembled(tmp_path, 'vae', 'ring,debug'), 20)
    arrays = inpaint.apply(run, mask='random', num_images=20, num_completions=2)
    assert arrays['completions'].shape == (20, 2, 2)
    known = arrays['known'][:, None].repeat(2, 1)
    x = arrays['x'][:, None].repeat(2, 1)
    np.testing.assert_array_equal(arrays['completions'][known], x[known])
    assert np.all(arrays['known'].sum(1) == 1)
    suffixes = {path.suffix for path in (tmp_path / 'applications').iterdir()}
    assert suffixes == {'.npz', '.json', '.csv', '.png'}
    assert {'psnr_db'} == {*recorded(run, 'random-0.5', '-num_completions-2')['completion']}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            dict(mask='lft'),
            '--mask=lft: choose one of left, right, top, bottom, centre, random, or a FILE.npy of '
            "your own (did you mean 'left'?)",
        ),
        (dict(mask='random', share=0.0), '--share=0: it has to lie between 0 and 1'),
        (dict(mask='random', share=1.5), '--share=1.5'),
        (dict(num_images=0), '--num_images=0'),
        (dict(num_completions=0), '--num_completions=0'),
        (dict(num_examples=-1), '--num_examples=-1'),
        (dict(seed=-1), '--seed=-1'),
    ],
)
def test_bad_options_raise_one_line(vae, complaint, options, message):
    assert message in complaint(inpaint.apply, vae, **options)


def test_half_masks_need_images(tmp_path, complaint):
    line = complaint(inpaint.apply, assembled(tmp_path, 'vae', 'ring,debug'), mask='left')
    assert line.startswith('--mask=left needs images') and 'choose random, or a FILE.npy' in line


def test_a_missing_ability_is_named(gan, complaint):
    assert 'has no inpainting; modes that fit it: ' in complaint(perform, inpaint.APPLICATION, gan)


def test_example_keys_differ_between_completions(vae):
    def draw(weights, batch, rng):
        return jnp.where(batch['known'], batch['x'], standard_normal(rng.keys, 8, 8, 1))

    arrays = inpaint.apply(filling(vae, draw), num_images=5, num_completions=3, num_examples=5)
    draws = arrays['completions'][~np.broadcast_to(arrays['known'][:, None], (5, 3, 8, 8, 1))]
    assert len(np.unique(draws)) == draws.size
