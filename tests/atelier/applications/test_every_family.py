"""Every application works as documented on every family with an encoder and a decoder."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from config_variants import with_own_build
from marks import exhaustive_but
from support import assembled, few_of_test

import train_lib
from atelier import applications
from atelier.applications import sample
from atelier.core.abilities import Inpaint, LogProb, Reconstruct, reconstruct_by_codes
from atelier.core.family import codes_of
from atelier.core.randomness import rng_for
from atelier.evaluation.codes.encoding import encoded, latents, split_codes
from atelier.run import restore
from docs import family_table

pytestmark = pytest.mark.usefixtures('one_device')

OPTIONS = {  # as small as possible, for speed
    'animate': dict(of='walk', frames=2, num_samples=1, num_codes=2),
    'anomaly': dict(num_images=2),
    'bound': dict(num_bins=2),
    'calibrate': dict(num_examples=10, num_samples=3, num_bins=2),
    'classify': {},
    'compress': {},
    'concept': dict(num_images=2, num_steps=2, num_codes=200),
    'denoise': dict(levels='0.3'),
    'embed': dict(num_codes=100),
    'inpaint': dict(num_images=2, num_completions=2, num_examples=4),
    'interpolate': dict(num_pairs=1, num_points=3),
    'latent_map': dict(num_points=2),
    'reconstruct': dict(num_images=4),
    'saliency': dict(num_images=2),
    'samplers': dict(samplers='ddim:2,heun:2', num_samples=2),
    'score': {},
    'structure': dict(num_images=2, num_codes=2),
    'trajectory': dict(num_samples=2, num_points=2),
    'traverse': dict(num_dims=2, num_points=2),
}
FORMATS = {'animate': '.gif', 'score': '.csv'}  # of the modes without a figure
OF_OTHERS = ('decompress', 'super_resolve', 'text')  # they need no encoder and decoder
QUICK = ('autoencoder',)
# other networks or losses of a family that is tested, with the same abilities
REPEATED = (
    *('beta_tc_vae', 'conv_autoencoder', 'conv_vae', 'denoising_autoencoder', 'dit', 'glow'),
    'iwae',
)
EXACT = ('realnvp', 'spline_flow', 'glow', 'maf', 'iaf')  # codes decode to the dequantised x
DENSITIES = ('ppca', *EXACT)  # densities cannot compress
OF_ITEMS = {'sequence_vae': 'lines,debug'}  # families of texts that end, and their data


def coded() -> list[str]:
    """Returns configs of families with codes, from the table in the docs, which is tested too."""
    text = family_table.written_table(family_table.PAGE.read_text())
    table = [line.split('|') for line in text.split('\n')]
    (column,) = {row.index(' `latent_map` ') for row in table if ' `latent_map` ' in row}
    rows = [row for row in table if len(row) > column and row[1].startswith(' `configs/')]
    return [
        pathlib.Path(row[1].strip(' `')).stem for row in rows if family_table.YES in row[column]
    ]


@pytest.fixture(scope='module')
def run_of(tmp_path_factory):
    """Returns the trained debug run of a config, with forty test examples."""

    def trained(name):
        argument = {**OF_ITEMS, 'text_to_image': 'debug'}.get(name, 'digits,debug')
        run = few_of_test(assembled(tmp_path_factory.mktemp(name), name, argument), 40)
        train_lib.train(run)
        return run

    return trained


def test_all_modes_and_families_are_covered():
    assert {*OPTIONS, *OF_OTHERS, 'sample'} == set(applications.names())
    assert {'vae', 'cvae', 'diffusion', 'conv_autoencoder', 'ladder_vae', 'vq_vae', 'vae_gan'} <= {
        *coded()
    }
    assert 'gan' not in coded()


@pytest.mark.parametrize(
    'name',
    exhaustive_but(
        ('cvae', 'diffusion', 'ppca', 'realnvp', 'vae', 'vq_vae'),
        (n for n in coded() if f'configs/{n}.py' in with_own_build() and n not in REPEATED),
        QUICK,
    ),
)
def test_every_application_works(name, run_of):
    run, results = run_of(name), {}
    for mode, options in OPTIONS.items():
        application = applications.load(mode)
        if not application.fits(run.family, run.data.spec):
            continue
        results[mode] = applications.perform(application, run, **options)
        suffixes = [file.suffix for file in (run.folder / 'applications').glob(f'{mode}*')]
        assert {'.npz', FORMATS.get(mode, '.png')} <= set(suffixes), mode
    assert sample.apply(run, num_samples=2).shape == (2, *run.data.spec.event_shape)
    assert {*results} >= {'anomaly', 'interpolate', 'latent_map'}
    if name not in OF_ITEMS:
        assert ('compress' in results) == (name not in DENSITIES)
    if name not in (*EXACT, *OF_ITEMS):
        assert {*results} >= {'denoise', 'inpaint'}
    if name in OF_ITEMS:
        _check_texts(run)
    _check(run, results)


def _check_texts(run):
    """Checks that decoded items are written as texts."""
    folder = run.folder / 'applications'
    for mode in ('interpolate', 'latent_map', 'traverse', 'concept'):
        (path,) = folder.glob(f'{mode}*.txt')
        stored = np.load(path.with_suffix('.npz'))
        written = path.read_text()
        assert all(text in written for text in stored['decoded_text'].ravel())
    assert (run.folder / 'samples' / 'seed-0.txt').read_text().count('\n') == 2


def _check(run, results):
    """Checks that path ends are reconstructions, and their codes equal those of `encode`.

    For dequantised data they agree only roughly: the noise depends on an example's index.
    """
    exact = dict(rtol=1e-4, atol=1e-4)
    near = dict(rtol=0, atol=0.2) if run.data.spec.dequantized_levels else exact
    state, split = restore.load(run).state, run.data.splits['test']
    codes, _ = encoded(run, state, split, jax.devices())
    z_1, _ = split_codes(run.family, codes)
    num_columns = codes.shape[1] - latents(run.family, codes).shape[1]
    assert num_columns == (run.data.spec.num_classes if codes_of(run.family).has_class else 0)
    np.testing.assert_allclose(results['latent_map']['codes'], z_1, **exact)
    paths = results['interpolate']
    (pair,), (straight, _) = paths['index'], paths['x'][0]
    knows_density = run.family.ability(LogProb) is not None
    is_flow = knows_density and run.data.spec.symbols is None
    if is_flow and run.family.ability(Inpaint) is None:  # decodes to dequantised x
        assert run.data.spec.dequantized_levels
        difference = straight[[0, -1]] - split['x'][pair]
        assert difference.min() > -1e-2 and difference.max() < 1 + 1e-2
        return
    np.testing.assert_allclose(paths['codes'][0, 0, [0, -1]], codes[pair], **near)
    arrays, ability = results.get('reconstruct'), run.family.ability(Reconstruct)
    if arrays is None:  # a diffusion model or a flow, whose codes decode to x
        arrays = {'index': pair[:0], 'reconstruction': straight[:0]}
        space = codes_of(run.family)
        ability = reconstruct_by_codes(space.encode, space.decode)
    index = np.concatenate([pair, arrays['index']])
    raw = {name: jnp.asarray(array[index]) for name, array in split.items()}
    rng = rng_for(jax.random.PRNGKey(0), jnp.arange(len(index)), len(index))
    batch = run.data.preprocess(raw, rng.keys)
    expected = ability.mean(state.averaged_weights, batch, rng)
    outputs = np.concatenate([straight[[0, -1]], arrays['reconstruction']])
    unit = float(np.ptp(run.data.spec.denormalize(np.array([0.0, 1.0]))))
    bounds = dict(rtol=1e-3, atol=1e-3) if near is exact else dict(rtol=0, atol=0.1 * unit)
    np.testing.assert_allclose(outputs, expected, **bounds)
