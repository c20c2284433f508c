"""The latent plane, principal components of the codes, and the grid."""

import jax
import numpy as np
import pytest
from scipy.stats import norm
from support import assembled, with_abilities

from atelier import door
from atelier.applications import _latent_grid_figure, latent_map, perform
from atelier.core.abilities import Codes, Sample
from atelier.data.conditions.labels import Labels
from atelier.data.spec import Spec
from atelier.report.views.choose import view_of
from atelier.run import restore

pytestmark = pytest.mark.usefixtures('untrained')


@pytest.fixture(scope='module')
def vae(tmp_path_factory):
    """A VAE with two-dimensional codes."""
    return assembled(tmp_path_factory.mktemp('vae'), 'vae')


def first_pixels(n):
    """Returns `Codes` that encode to the first n pixels; the decoder sets the other pixels to 0."""
    rest = 64 - n

    def decode(weights, codes):
        return jax.numpy.pad(codes, ((0, 0), (0, rest))).reshape(-1, 8, 8, 1)

    encode = lambda weights, batch, rng: batch['x'].reshape(-1, 64)[:, :n]
    return Codes(encode, decode)


def of_codes(run, codes, **abilities):
    """Returns `run` with these test codes [n, latent], and fields of `Codes` from `abilities`."""
    x = np.zeros((len(codes), 64), np.uint8)
    x[:, : codes.shape[1]] = codes
    split = {'x': x.reshape(-1, 8, 8, 1)}
    ability = first_pixels(codes.shape[1])._replace(**abilities)
    return with_abilities(run, ability, splits={**run.data.splits, 'test': split})


def test_codes_of_two_dimensions_are_the_plane(vae):
    arrays = latent_map.apply(vae, num_points=3)
    trained = door.TrainedRun(vae, restore.initial_state(vae), '')
    codes = door.over_split(trained, vae.family.ability(Codes).encode, 'test')
    stored = np.load(vae.folder / 'applications' / 'latent_map-num_points-3.npz')
    np.testing.assert_array_equal(stored['codes'], codes)
    np.testing.assert_array_equal(stored['plane'], codes)
    np.testing.assert_array_equal(stored['label'], vae.data.splits['test']['label'])
    np.testing.assert_allclose(stored['shares'].sum(), 1)
    assert arrays['x'].shape == (3, 3, 8, 8, 1)
    assert (vae.folder / 'applications' / 'latent_map-num_points-3.png').stat().st_size > 5000


@pytest.mark.slow
def test_the_grid_lies_at_the_quantiles_of_the_prior(vae):
    arrays = latent_map.apply(vae, num_points=4)
    quantiles = norm.ppf([1 / 8, 3 / 8, 5 / 8, 7 / 8])
    np.testing.assert_allclose([arrays['u'], arrays['v']], [quantiles, quantiles], rtol=1e-5)
    state = restore.initial_state(vae)
    codes = np.asarray([[u, v] for v in quantiles for u in quantiles], np.float32)
    x = vae.family.ability(Codes).decode(state.averaged_weights, jax.numpy.asarray(codes))
    np.testing.assert_allclose(arrays['x'], np.reshape(x, (4, 4, 8, 8, 1)), rtol=1e-3, atol=1e-4)


def test_with_more_dimensions_the_grid_lies_at_the_prior_quantiles_along_the_axes(vae, caplog):
    """With a `posterior` the prior is N(0, I), whatever the codes: the grid has its quantiles."""
    codes = np.random.RandomState(0).randint(0, 17, (40, 3))
    run = of_codes(vae, codes, posterior=vae.family.ability(Codes).posterior)
    with caplog.at_level('INFO', logger='atelier'):
        arrays = latent_map.apply(run, num_points=5)
    assert 'grid points at quantiles of the N(0, I) prior' in caplog.text
    drawn = np.random.RandomState(1).normal(size=(200_000, 3))
    projected = (drawn - arrays['origin']) @ arrays['axes'].T
    expected = np.quantile(projected, [0.1, 0.3, 0.5, 0.7, 0.9], axis=0).T
    np.testing.assert_allclose([arrays['u'], arrays['v']], expected, atol=0.02)


@pytest.mark.slow
def test_another_prior_gives_the_quantiles_of_its_codes(vae, caplog):
    """Codes are uniform in [3, 5] along one axis and 0 or 1 along the other."""

    def prior(weights, rng):
        uniform = jax.vmap(lambda key: jax.random.uniform(key, (2,)))(rng.keys)
        return jax.numpy.stack([3 + 2 * uniform[:, 0], (uniform[:, 1] < 0.5) * 1.0], 1)

    codes = np.random.RandomState(0).randint(0, 17, (30, 2))
    with caplog.at_level('INFO', logger='atelier'):
        arrays = latent_map.apply(of_codes(vae, codes, prior=prior), num_points=4)
    assert 'grid points at quantiles of 10,000 codes of the prior' in caplog.text
    np.testing.assert_allclose(arrays['u'], 3 + 2 * np.array([1, 3, 5, 7]) / 8, atol=0.05)
    np.testing.assert_array_equal(arrays['v'], [0, 0, 1, 1])
    repeated = latent_map.apply(of_codes(vae, codes, prior=prior), num_points=4)
    np.testing.assert_array_equal(repeated['u'], arrays['u'])


def test_codes_of_another_prior_are_projected_to_the_plane(vae):
    """The prior has a single code: both quantiles are its coordinates."""
    codes = np.random.RandomState(0).randint(0, 17, (40, 3))
    point = np.array([5.0, -2.0, 1.0])
    prior = lambda weights, rng: jax.numpy.tile(point, (len(rng.keys), 1))
    arrays = latent_map.apply(of_codes(vae, codes, prior=prior), num_points=2)
    u, v = arrays['axes'] @ (point - arrays['origin'])
    np.testing.assert_allclose([arrays['u'], arrays['v']], [[u, u], [v, v]], rtol=1e-5)


def test_without_a_prior_the_grid_spans_the_codes(vae):
    codes = np.random.RandomState(0).randint(0, 17, (30, 2))
    arrays = latent_map.apply(of_codes(vae, codes), num_points=3)
    low, high = codes.min(0), codes.max(0)
    np.testing.assert_allclose(arrays['u'], [low[0], (low[0] + high[0]) / 2, high[0]])
    np.testing.assert_allclose(arrays['v'], [low[1], (low[1] + high[1]) / 2, high[1]])
    corners = arrays['x'].reshape(3, 3, 64)[..., :2]
    np.testing.assert_allclose(corners[0, 2], [high[0], low[1]])  # v along the first axis
    np.testing.assert_allclose(corners[2, 0], [low[0], high[1]])


def test_codes_in_a_plane_are_restored_from_it(vae, caplog):
    """Codes origin + a u + b v: nothing is lost, and the axis of larger variance comes first."""
    random = np.random.RandomState(1)
    wide, narrow = random.randint(-4, 5, (2, 40)) * [[1], [1]]
    u, v = np.array([1, 1, 0, 0]), np.array([0, 0, 0, 1])
    codes = np.array([8, 8, 3, 8]) + wide[:, None] * u + (narrow // 2)[:, None] * v
    with caplog.at_level('INFO', logger='atelier'):
        arrays = latent_map.apply(of_codes(vae, codes), num_points=2)
    assert '2 principal components of 4 dimensions' in caplog.text
    np.testing.assert_allclose(arrays['shares'].sum(), 1)
    np.testing.assert_allclose(arrays['axes'] @ arrays['axes'].T, np.eye(2), atol=1e-12)
    restored = arrays['origin'] + arrays['plane'] @ arrays['axes']
    np.testing.assert_allclose(restored, codes, atol=1e-6)
    np.testing.assert_allclose(arrays['origin'], codes.mean(0))
    assert arrays['plane'][:, 0].var() > arrays['plane'][:, 1].var()
    in_the_plane = arrays['x'].reshape(4, 64)[:, :4] - arrays['origin']
    off = in_the_plane - in_the_plane @ arrays['axes'].T @ arrays['axes']
    np.testing.assert_allclose(off, 0, atol=1e-5)


@pytest.mark.parametrize('dims', [(), (2,)])
def test_codes_without_a_class_are_mapped_for_none(vae, complaint, dims):
    """Of a class-conditional model of the codes of another run. A left-out class is no default."""
    codes = np.random.RandomState(0).randint(0, 17, (30, 2))
    run = with_abilities(
        of_codes(vae, codes),
        first_pixels(2)._replace(dims=dims),
        Sample(None, True),
        splits=of_codes(vae, codes).data.splits,
    )
    run = run._replace(data=run.data._replace(spec=run.data.spec._replace(left_out=(0,))))
    arrays = latent_map.apply(run, num_points=3)
    np.testing.assert_allclose(arrays['x'].reshape(9, 64)[[0, 8], :2], [codes.min(0), codes.max(0)])
    assert (run.folder / 'applications' / 'latent_map-num_points-3.npz').exists()
    assert 'hold no class, give no --label' in complaint(latent_map.apply, run, label=3)


def test_codes_of_one_dimension_lie_on_a_line(vae):
    codes = np.arange(10)[:, None]
    arrays = latent_map.apply(of_codes(vae, codes), num_points=3)
    np.testing.assert_array_equal(arrays['plane'], np.pad(codes, ((0, 0), (0, 1))))
    np.testing.assert_allclose(arrays['u'], [0, 4.5, 9])


def test_names_of_classes_are_shortened_and_no_formulas(vae, tmp_path):
    """The texts fit the figure, which is checked whenever one is drawn."""
    random = np.random.RandomState(0)
    names = ('$\\frac{1}{$', 'long ' * 30, '_c')
    spec = vae.data.spec._replace(num_classes=3, class_names=names)
    run = vae._replace(data=vae.data._replace(spec=spec))
    arrays = {
        'codes': random.normal(size=(30, 2)),
        'plane': random.normal(size=(30, 2)),
        'label': np.arange(30) % 3,
        'x': random.randint(17, size=(4, 4, 8, 8, 1)),
        'u': np.arange(4.0),
        'v': np.arange(4.0),
    }
    title, path = 'Codes of digits\n2 dimensions, plotted directly', tmp_path / 'a.png'
    latent_map._save_figure(run, arrays, title, f'as class {names[0]}', path)
    assert path.stat().st_size > 1000


def test_bad_input_raises_one_line(vae, complaint, tmp_path):
    assert '--num_points=0' in complaint(latent_map.apply, vae, num_points=0)
    few = of_codes(vae, np.ones((1, 2), int))
    assert 'has 1 example, fewer than 2' in complaint(latent_map.apply, few)
    for name, missing in (('gan', 'has no encoder'), ('classifier', 'no decoder')):
        line = complaint(perform, latent_map.APPLICATION, assembled(tmp_path, name))
        assert f'{missing}; modes that fit it: ' in line


@pytest.mark.parametrize(
    'shape',
    [(2,), (5,), (40, 2)]
    + [pytest.param(each, marks=pytest.mark.slow) for each in ((1,), (3,), (12,), (40, 1))],
)
def test_the_decoded_grid_of_other_data_has_a_figure(shape):
    """`legible_figures` checks that no text is cut or overlaps another."""
    random = np.random.default_rng(0)
    u, v = np.linspace(-2, 2, 5), np.linspace(-2, 2, 6)
    x = random.normal(size=(6, 5, *shape))
    grid = _latent_grid_figure.Grid(u, v, x, ('dimension 1', 'dimension 2'), 'Decoded')
    spec = Spec(shape, None, None)
    picture = _latent_grid_figure.picture(
        view_of(spec), grid, spec, random.normal(size=(9, *shape))
    )
    assert picture.dtype == np.uint8 and picture.shape[1] <= 1300


def test_columns_are_maps_over_the_plane(monkeypatch):
    """The values stand at their coordinates; columns that change most are shown."""
    drawn = []
    white = np.full((4, 4, 3), 255, np.uint8)
    pixels = lambda figure: (drawn.append(figure), white)[1]
    monkeypatch.setattr(_latent_grid_figure.figures, 'pixels', pixels)
    monkeypatch.setattr(_latent_grid_figure, 'MAX_COLUMNS', 1)
    u, v = np.array([0.0, 1.0]), np.array([0.0, 2.0, 4.0])
    x = np.zeros((3, 2, 4))
    x[..., 2] = [[1, 2], [3, 4], [5, 6]]
    spec = Spec((4,), None, None, column_names=('a', 'b', 'c', 'd'))
    grid = _latent_grid_figure.Grid(u, v, x, ('dimension 1', 'dimension 2'), 'Decoded')
    _latent_grid_figure.picture(view_of(spec), grid, spec)
    (figure,) = drawn
    assert figure.axes[0].get_title() == 'c'
    np.testing.assert_array_equal(figure.axes[0].collections[0].get_array(), x[..., 2])
    assert 'the 1 column of 4' in figure.get_suptitle().replace('\n', ' ')


@pytest.mark.slow
def test_a_grid_of_points_is_drawn_among_data(tmp_path):
    run = assembled(tmp_path, 'vae', 'moons,debug')
    latent_map.apply(run, num_points=3)
    path = run.folder / 'applications' / 'latent_map-num_points-3-grid.png'
    assert path.stat().st_size > 5000


def test_codes_that_end_in_a_condition_get_one_of_training(vae):
    """The grid of a conditional model is not decoded for features that no condition has."""
    condition = Labels(('hair',), (('brown', 'blond'),), ((1,), (0,)))
    data = vae.data._replace(spec=vae.data.spec._replace(condition=condition))
    run = with_abilities(
        vae._replace(data=data), first_pixels(4), Sample(None, reads_condition=True)
    )
    grid = np.ones((2, 3, 2))
    full = latent_map._full_codes(run, grid, 3, 0)
    np.testing.assert_array_equal(full, np.broadcast_to([1, 1, 0, 0, 1], (2, 3, 5)))
    assert latent_map._grid_position(run).endswith(', given hair blond')
