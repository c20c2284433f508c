"""Traversals of latent dimensions: their order, their values, and what stays where it is."""

import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, few_of_test, with_abilities

from atelier.applications import perform, traverse
from atelier.core.abilities import Codes, Sample, Tokens
from atelier.core.randomness import standard_normal
from atelier.data.conditions.labels import Labels
from atelier.evaluation.latents.information import kl_per_dimension

pytestmark = pytest.mark.usefixtures('untrained')

SCALES = jnp.array([1.0, 3.0, 2.0])


def three_pixels(weights, codes):
    """The code stands in the first three pixels; all others are 0."""
    return jnp.pad(codes, ((0, 0), (0, 61))).reshape(-1, 8, 8, 1)


def first_pixels(batch):
    return batch['x'].reshape(-1, 64)[:, 18:21]  # in the first rows of digits, all pixels vary


def posterior(weights, batch, rng):
    mean = first_pixels(batch) / 16 * SCALES
    return mean, jnp.full_like(mean, -1.0)


ENCODED = Codes(lambda weights, batch, rng: first_pixels(batch), three_pixels)


def test_rows_are_in_the_order_of_the_kl_to_the_prior(vae):
    run = with_abilities(vae, ENCODED._replace(posterior=posterior))
    arrays = traverse.apply(run, num_dims=2, num_points=5, index=4)
    x = run.data.splits['test']['x'].reshape(-1, 64)[:, 18:21].astype(np.float64)
    kl = kl_per_dimension(x / 16 * np.asarray(SCALES), np.full(x.shape, -1.0))
    np.testing.assert_allclose(arrays['kl_nats'], kl, rtol=1e-5)
    np.testing.assert_array_equal(arrays['dimension'], np.argsort(-kl)[:2])
    np.testing.assert_array_equal(arrays['values'], [np.linspace(-3, 3, 5)] * 2)


def test_only_one_dimension_of_the_example_moves(vae):
    run = with_abilities(vae, ENCODED._replace(posterior=posterior))
    arrays = traverse.apply(run, num_dims=3, num_points=4, index=7)
    held = run.data.splits['test']['x'][7].reshape(64)[18:21]
    np.testing.assert_array_equal(arrays['held'], held)
    np.testing.assert_array_equal(arrays['index'], [7])
    for row, dimension in enumerate(arrays['dimension']):
        expected = np.tile(held.astype(np.float32), (4, 1))
        expected[:, dimension] = np.linspace(-3, 3, 4)
        np.testing.assert_array_equal(arrays['codes'][row], expected)
        np.testing.assert_array_equal(arrays['x'][row].reshape(4, 64)[:, :3], expected)
    stored = np.load(
        run.folder / 'applications' / 'traverse-seed-0-num_dims-3-num_points-4-index-7.npz'
    )
    assert set(stored) == set(arrays)


def test_without_a_posterior_the_test_codes_give_order_and_values(vae):
    """The order is that of variances; the values are quantiles from 1 % to 99 %."""
    run = with_abilities(vae, ENCODED)
    arrays = traverse.apply(run, num_points=3, held='mean')
    codes = run.data.splits['test']['x'].reshape(-1, 64)[:, 18:21].astype(np.float64)
    np.testing.assert_allclose(arrays['code_variance'], codes.var(0), rtol=1e-5)
    order = np.argsort(-codes.var(0))
    np.testing.assert_array_equal(arrays['dimension'], order)
    expected = np.quantile(codes, [0.01, 0.5, 0.99], axis=0).T[order]
    np.testing.assert_allclose(arrays['values'], expected, rtol=1e-5)
    np.testing.assert_allclose(arrays['held'], codes.mean(0), rtol=1e-5)
    assert 'index' not in arrays


def test_without_an_encoder_the_change_of_x_gives_the_order(vae):
    """x = 1, 3 and 2 times the code: the variances of x are as 1, 9 and 4."""
    run = with_abilities(
        vae,
        Codes(
            decode=lambda weights, codes: three_pixels(weights, codes * SCALES),
            prior=lambda weights, rng: standard_normal(rng.keys, 3),
        ),
    )
    assert traverse.APPLICATION.why_read(run) == ''
    arrays = traverse.apply(run, num_points=9, seed=3)
    np.testing.assert_array_equal(arrays['dimension'], [1, 2, 0])
    ratios = arrays['x_variance'] / arrays['x_variance'][0]
    np.testing.assert_allclose(ratios, [1, 9, 4], rtol=0.3)
    assert np.all(np.diff(arrays['values']) > 0)
    np.testing.assert_allclose(arrays['values'][:, [0, -1]], [[-2.33, 2.33]] * 3, atol=0.4)


KL = jnp.array([0.25, 0.5, 2.0, 1.0, 0.125])
UP = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]])  # E[z_1 | z_2] = UP z_2


def means_below(weights, codes, layer):
    """Of two layers, z_1 of three dimensions and z_2 of two."""
    if layer == 1:
        return codes
    return jnp.concatenate([codes[:, 3:] @ jnp.float32(UP.T), codes[:, 3:]], -1)


@pytest.fixture
def layered(vae):
    """A model of two stochastic layers, whose codes are five pixels; x shows z_1."""
    codes = Codes(
        encode=lambda weights, batch, rng: batch['x'].reshape(-1, 64)[:, 18:23],
        decode=lambda weights, codes: three_pixels(weights, codes[:, :3]),
        dims=(3, 2),
        kl=lambda weights, batch, rng: jnp.tile(KL, (len(batch['x']), 1)),
        means_below=means_below,
    )
    return with_abilities(vae, codes)


def test_an_upper_layer_moves_the_means_below_it(layered):
    """Rows of both layers are in the order of their KL."""
    arrays = traverse.apply(layered, num_dims=9, num_points=3, index=5)
    np.testing.assert_array_equal(arrays['dimension'], [2, 3, 1, 0, 4])
    np.testing.assert_array_equal(arrays['layer'], [1, 2, 1, 1, 2])
    np.testing.assert_allclose(arrays['kl_nats'], KL)
    held = layered.data.splits['test']['x'][5].reshape(64)[18:23].astype(np.float32)
    for row, dimension in enumerate(arrays['dimension']):
        expected = np.tile(held, (3, 1))
        expected[:, dimension] = arrays['values'][row]
        if arrays['layer'][row] == 2:
            expected[:, :3] = expected[:, 3:] @ UP.T
        np.testing.assert_allclose(arrays['codes'][row], expected, rtol=1e-5)
        x = arrays['x'][row].reshape(3, 64)[:, :3]
        np.testing.assert_allclose(x, expected[:, :3], rtol=1e-5)


def test_rows_are_named_by_layer_and_nats(layered, monkeypatch):
    named = {}

    def rows(x, spec, title, row_names, column_names, among):
        assert among is None  # images hide data behind them
        named.update(title=title, rows=row_names, columns=column_names)
        return np.zeros((4, 4, 1), np.uint8)

    view = traverse.view_of(layered.data.spec)._replace(rows=rows)
    monkeypatch.setattr(traverse, 'view_of', lambda spec: view)
    traverse.apply(layered, num_dims=3, num_points=3, index=5)
    assert named['rows'] == ['z1[2]  2.00 nats', 'z2[0]  1.00 nats', 'z1[1]  0.50 nats']
    assert named['columns'] == ['1 %', '50 %', '99 %']
    assert named['title'] == (
        'Latent dimensions by mean KL to the prior, moved over quantiles of test codes; the others '
        'at the code of test example 5'
    )


@pytest.mark.slow
def test_a_conditional_model_decodes_one_class(tmp_path):
    run = few_of_test(assembled(tmp_path, 'cvae'), 20)
    size = run.family.ability(Codes).dims[0]
    classes = lambda arrays: arrays['codes'][..., size:]
    own = traverse.apply(run, num_dims=2, num_points=2, index=3)
    label = run.data.splits['test']['label'][3]
    assert np.all(classes(own) == np.eye(10)[label])
    other = traverse.apply(run, num_dims=2, num_points=2, index=3, label=8)
    assert np.all(classes(other) == np.eye(10)[8])
    assert own['dimension'].max() < size and len(own['kl_nats']) == size
    mean = traverse.apply(run, num_dims=2, num_points=3, held='mean', label=1)
    np.testing.assert_array_equal(mean['held'], np.eye(size + 10)[size + 1])
    (picture,) = (tmp_path / 'applications').glob('traverse-seed-0*-held-mean-label-1.png')
    assert picture.stat().st_size > 1000


def test_a_mean_has_a_condition_of_training(vae):
    condition = Labels(('hair',), (('brown', 'blond'),), ((1,), (0,)))
    data = vae.data._replace(spec=vae.data.spec._replace(condition=condition))
    abilities = ENCODED._replace(dims=(1,)), Sample(None, reads_condition=True)
    run = with_abilities(vae._replace(data=data), *abilities)
    held = traverse.apply(run, num_points=3, held='mean')['held']
    np.testing.assert_array_equal(held[1:], [0, 1])


def test_codes_without_a_class_have_none_to_hold(vae, complaint):
    """Of a class-conditional model of the codes of another run."""
    encode = lambda weights, batch, rng: first_pixels(batch)
    run = with_abilities(vae, Codes(encode, three_pixels), Sample(None, True))
    arrays = traverse.apply(run, num_dims=2, num_points=2, index=3)
    assert arrays['held'].shape == (3,)
    assert 'hold no class, give no --label' in complaint(traverse.apply, run, label=3)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_dims=0), '--num_dims=0: it must be at least 1'),
        (dict(num_points=1), '--num_points=1: it must be at least 2'),
        (dict(index=447), 'there is no --index=447'),
        (dict(index=3, held='mean'), '--index=3: no example is encoded'),
        (dict(held='prior'), '--held=prior'),
        (dict(label=3), '--label=3: this model is not class-conditional'),
        (dict(seed=-1), '--seed=-1'),
    ],
)
def test_bad_options_raise_one_line(vae, complaint, options, message):
    assert message in complaint(traverse.apply, vae, **options)


def test_models_without_such_dimensions_are_refused(tmp_path, vae, complaint):
    line = complaint(perform, traverse.APPLICATION, assembled(tmp_path, 'classifier'))
    assert 'has no decoder; modes that fit it: ' in line
    tokens = Tokens(lambda weights, batch, rng: jnp.zeros((len(batch['x']), 3), jnp.int32), 4)
    run = with_abilities(vae, ENCODED._replace(tokens=tokens))
    assert 'codes from a codebook' in complaint(perform, traverse.APPLICATION, run)
