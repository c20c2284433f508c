"""The layout of codes with several parts; evaluations never treat the class as a latent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, with_abilities

from atelier.applications import compress, concept, embed, interpolate, latent_map
from atelier.core.abilities import Codes, Sample
from atelier.core.family import Family
from atelier.evaluation.codes.encoding import decoded, encoded, latents, split_codes, tokens
from atelier.evaluation.latents.continuity import continuity
from atelier.evaluation.latents.diagnostics import latent_diagnostics
from atelier.evaluation.latents.report import show_latents
from atelier.run import restore

pytestmark = pytest.mark.usefixtures('untrained')
ONE = jax.devices()[:1]
Z, CLASSES = 3, 10


@pytest.fixture(scope='module')
def conditional(vae):
    """z is three pixels. The decoder restores them and writes the class into the last pixel."""

    def encode(weights, batch, rng):
        z = batch['x'].reshape(-1, 64)[:, 2 : 2 + Z]
        return jnp.concatenate([z, jax.nn.one_hot(batch['label'], CLASSES)], 1)

    def decode(weights, codes):
        z, label = codes[:, :Z], codes[:, Z:] @ jnp.arange(CLASSES, dtype=jnp.float32)
        x = jnp.zeros((len(codes), 64)).at[:, 2 : 2 + Z].set(z)
        return x.at[:, -1].set(label).reshape(-1, 8, 8, 1)

    codes = Codes(encode=encode, decode=decode, dims=(Z,), has_class=True)
    return with_abilities(vae, codes, Sample(None, True))


def coded(run):
    state, split = restore.initial_state(run), run.data.splits['test']
    return state, encoded(run, state, split, ONE)[0]


def test_a_conditional_code_is_the_posteriors_mean_and_the_class(tmp_path):
    run = assembled(tmp_path, 'cvae')
    state, codes = coded(run)
    z, label = split_codes(run.family, codes)
    np.testing.assert_array_equal(label, np.eye(10)[run.data.splits['test']['label']])
    np.testing.assert_array_equal(latents(run.family, codes), z)
    assert z.shape[1] == run.config.model.latent_dim
    assert latent_diagnostics(run, state, ONE)['latent_dim'] == z.shape[1]


@pytest.mark.slow
def test_the_decoder_of_a_hierarchy_reads_only_the_first_layer(tmp_path, caplog):
    run = assembled(tmp_path, 'hierarchical_vae')
    state, codes = coded(run)
    z_1, above = split_codes(run.family, codes)
    assert (z_1.shape[1], above.shape[1]) == tuple(run.config.model.latent_dims)
    np.testing.assert_array_equal(latents(run.family, codes), codes)
    other = np.concatenate([z_1, above + 1], 1)
    np.testing.assert_array_equal(*(decoded(run, state, part, ONE) for part in (codes, other)))
    diagnostics = latent_diagnostics(run, state, ONE)
    is_active = codes.var(0) > 0.01
    active_units = [is_active[: z_1.shape[1]].sum(), is_active[z_1.shape[1] :].sum()]
    assert diagnostics['active_units_by_layer'] == active_units
    with caplog.at_level('INFO', logger='atelier'):
        show_latents(diagnostics)
    assert f'z_1: {active_units[0]} of 4, z_2: {active_units[1]} of 2' in caplog.text


@pytest.mark.slow
def test_codebook_indices_are_counted_and_cost_their_logarithm(tmp_path, caplog):
    """`encode` returns the codebook vectors of the tokens; perplexity is computed by hand."""
    run = assembled(tmp_path, 'vq_vae')
    state, codes = coded(run)
    indices = tokens(run, state, run.data.splits['test'], ONE)
    embedding = np.asarray(state.extra['model']['codebook']['embedding'])
    np.testing.assert_allclose(codes, embedding[indices].reshape(codes.shape), rtol=1e-6)
    diagnostics = latent_diagnostics(run, state, ONE)
    p = np.unique(indices, return_counts=True)[1] / indices.size
    assert diagnostics['perplexity'] == pytest.approx(np.exp(-np.sum(p * np.log(p))))
    assert (diagnostics['codes_used'], diagnostics['codebook_size']) == (len(p), 8)
    assert 'continuity' not in diagnostics
    with caplog.at_level('INFO', logger='atelier'):
        show_latents(diagnostics)
        arrays = compress.apply(run, quality_step=40)
    assert f'of 8 codes, {len(p)} of them used' in caplog.text
    assert arrays['token_bytes'] == indices.shape[1] * 3 / 8
    assert arrays['token_error'] == pytest.approx(arrays['code_error_unrounded'][-1], rel=1e-3)


@pytest.mark.slow
def test_continuity_and_compression_do_not_change_the_class(conditional):
    """The decoder keeps z: an image moves as far as z does, and three components lose nothing."""
    state, codes = coded(conditional)
    moved = continuity(conditional, state, codes, ONE)
    x = np.float32(conditional.data.splits['test']['x']) / 16
    spread = np.sqrt((codes[:, :Z].var(0).sum() / 16**2) / x.reshape(-1, 64).var(0).sum())
    np.testing.assert_allclose(moved, 0.05 * spread, rtol=0.02)
    arrays = compress.apply(conditional, quality_step=40)
    assert arrays['dims'].tolist() == [1, 2, 3]
    rows = conditional.data.splits['test']['x'].reshape(-1, 64).astype(float)
    lost = np.delete(rows, range(2, 2 + Z), 1)
    lost[:, -1] -= conditional.data.splits['test']['label']
    expected = 0.5 * np.sum((lost / 16) ** 2, 1).mean()
    np.testing.assert_allclose(arrays['code_error_unrounded'][-1], expected, rtol=1e-4)


def test_a_latent_map_is_decoded_for_the_given_class(conditional, vae, complaint):
    arrays = latent_map.apply(conditional, num_points=3, label=7)
    assert arrays['codes'].shape == (447, Z)
    np.testing.assert_array_equal(arrays['x'][..., -1, -1, 0], 7)
    assert (conditional.folder / 'applications' / 'latent_map-of-7-num_points-3.npz').exists()
    assert 'give classes of 0..9' in complaint(latent_map.apply, conditional, label=10)
    spec = conditional.data.spec._replace(left_out=(7,))
    without = conditional._replace(data=conditional.data._replace(spec=spec))
    assert 'training never saw the class 7' in complaint(latent_map.apply, without, label=7)
    assert 'this model is not class-conditional' in complaint(latent_map.apply, vae, label=1)


@pytest.mark.slow
def test_paths_between_classes_are_straight_and_attributes_keep_the_class(conditional):
    arrays = interpolate.apply(conditional, num_pairs=2, num_points=3)
    straight, arc = arrays['codes'][:, 0, 1], arrays['codes'][:, 1, 1]
    np.testing.assert_allclose(arc[:, Z:], straight[:, Z:])
    np.testing.assert_allclose(straight[:, Z:].sum(1), 1)
    a, b = (arrays['codes'][0, 0, i, :Z].astype(float) for i in (0, -1))
    np.testing.assert_allclose(arc[0, :Z], interpolate.spherical(a, b, np.array([0.5]))[0], 1e-5)
    options = dict(num_images=1, num_steps=3, num_codes=200)
    stays = concept.apply(conditional, attribute='intensity', **options)
    assert np.any(stays['direction'][:Z] != 0)
    np.testing.assert_array_equal(stays['direction'][Z:], 0)
    leads = concept.apply(conditional, source=2, target=5, **options)
    np.testing.assert_allclose(leads['direction'][Z:], np.eye(10)[5] - np.eye(10)[2])


def test_embeddings_leave_out_the_class_part_of_a_code(conditional):
    arrays = embed.apply(conditional, num_codes=200)
    assert arrays['test_codes'].shape == (447, Z)


def test_a_code_without_parts_is_all_latent(vae):
    codes = np.zeros((4, 5), np.float32)
    z, rest = split_codes(Family(len, (), len), codes)
    assert (z.shape, rest.shape) == ((4, 5), (4, 0))
    np.testing.assert_array_equal(latents(vae.family, codes), codes)
