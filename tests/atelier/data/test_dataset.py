"""`Spec`, and data preprocessed by the settings of a config.

Tests the round trip of `Spec.normalize` for each kind, and binarised and dequantised data sets.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.data import dataset
from atelier.data.dataset import Dataset, Spec, binarized, dequantized
from configs.shared import common

LEVELS = 17
SHAPE = (3, 2)


@pytest.fixture(autouse=True)
def quick(quick_compilation, strict_promotion):
    """Reduces compilation time."""


def source(levels=LEVELS):
    """Returns a small data set whose arrays are read-only, like memory maps."""
    splits = {}
    for seed, (name, n) in enumerate({'train': 50, 'valid': 30, 'test': 20}.items()):
        x = np.random.RandomState(seed).randint(0, LEVELS, (n, *SHAPE)).astype(np.uint8)
        x.setflags(write=False)
        splits[name] = {'x': x, 'label': np.arange(n, dtype=np.int32)}
    return Dataset('tiny', Spec(SHAPE, levels, 50), splits, 'tiny, 3x2 with 17 levels')


def keys(n, seed):
    return jax.random.split(jax.random.PRNGKey(seed), n)


def preprocessed(data, split, seed):
    """Returns x of a whole split, preprocessed as for a model."""
    raw = {name: jnp.asarray(array) for name, array in data.splits[split].items()}
    batch = data.preprocess(raw, keys(data.size(split), seed))
    assert {name: value.dtype for name, value in batch.items()} == {
        'x': jnp.float32,
        'label': jnp.int32,
    }
    np.testing.assert_array_equal(batch['label'], data.splits[split]['label'])
    return np.asarray(batch['x'])


# Spec


def test_a_spec_is_shown_in_a_line():
    """Long vocabularies and moments are cut."""
    assert repr(Spec(SHAPE, 17, None)) == 'Spec(event_shape=(3, 2), levels=17, num_classes=None)'
    long = Spec((9,), 9000, None, mean=(0.5,) * 900, std=(2.0,) * 900, symbols='ab\n' * 3000)
    assert len(repr(long)) < 300 and 'mean=(0.5' in repr(long)


def test_discrete_data_lie_in_0_to_1():
    spec = Spec((8, 8, 1), 17, 10)
    assert (spec.interval, spec.num_dims, spec.has_bits_per_dim) == ((0, 16), 64, True)
    np.testing.assert_allclose(spec.normalize(jnp.asarray([0.0, 4, 16])), [0, 0.25, 1])


def test_dequantised_data_lie_in_0_to_1():
    spec = Spec((), None, None, dequantized_levels=256)
    assert (spec.interval, spec.num_dims, spec.has_bits_per_dim) == ((0, 256), 1, True)
    np.testing.assert_allclose(spec.normalize(jnp.asarray([0.0, 64, 255])), [0, 0.25, 255 / 256])


def test_real_data_have_mean_0_and_deviation_1():
    x = np.random.RandomState(0).normal(-7, 3, 1000).astype(np.float32)
    spec = Spec((), None, None, mean=float(x.mean()), std=float(x.std()))
    assert (spec.interval, spec.has_bits_per_dim) == (None, False)
    normalized = np.asarray(spec.normalize(jnp.asarray(x)))
    assert normalized.mean() == pytest.approx(0, abs=1e-5)
    assert normalized.std() == pytest.approx(1, abs=1e-5)


def test_a_table_has_mean_0_and_deviation_1_in_each_column():
    x = np.random.RandomState(0).normal([-7, 0, 1e4], [3, 0.1, 50], (1000, 3)).astype(np.float32)
    mean, std = (tuple(m.tolist()) for m in (x.mean(0), x.std(0)))
    normalized = np.asarray(Spec((3,), None, None, mean=mean, std=std).normalize(jnp.asarray(x)))
    np.testing.assert_allclose(normalized.mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(normalized.std(0), 1, rtol=1e-3)


def specs():
    many = st.integers(2, 2**16)
    real = st.floats(0.01, 100)
    return st.one_of(
        st.builds(lambda levels: Spec(SHAPE, levels, None), many),
        st.builds(lambda levels: Spec(SHAPE, None, None, dequantized_levels=levels), many),
        st.builds(
            lambda mean, std: Spec(SHAPE, None, None, mean=mean, std=std),
            st.floats(-100, 100),
            real,
        ),
    )


@settings(max_examples=40)
@given(spec=specs(), fractions=st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_denormalize_is_the_inverse_of_normalize(spec, fractions):
    low, high = spec.interval or (spec.mean - 4 * spec.std, spec.mean + 4 * spec.std)
    x = low + np.asarray(fractions) * (high - low)
    normalized = np.asarray(spec.normalize(jnp.asarray(x, jnp.float32)))
    back = np.asarray(spec.denormalize(jnp.asarray(normalized)))
    assert normalized.dtype == back.dtype == np.float32
    precision = 4 * 2.0**-23 * max(abs(low), abs(high))  # float32 rounding at the scale of x
    np.testing.assert_allclose(back, x, rtol=0, atol=precision)
    if spec.interval:
        assert np.all((normalized >= 0) & (normalized <= 1))


@settings(max_examples=20)
@given(spec=specs())
def test_scale_is_the_derivative_of_denormalize(spec):
    with jax.numpy_dtype_promotion('standard'):
        scale = float(spec.affine(())[1])
        assert float(jax.grad(spec.denormalize)(0.5)) == pytest.approx(scale, rel=1e-6)


# Binarised


def test_the_default_settings_leave_data_unchanged():
    data = source()
    assert binarized(data, 'none') is data
    assert dequantized(data, 'none') is data
    np.testing.assert_array_equal(preprocessed(data, 'train', 0), data.splits['train']['x'])


def test_stochastic_training_data_are_drawn_anew_for_each_key():
    data = binarized(source(), 'stochastic')
    assert data.spec == source().spec._replace(levels=2)
    assert 'binarised: stochastic' in data.description
    draws = np.stack([preprocessed(data, 'train', seed) for seed in range(200)])
    assert np.unique(draws).tolist() == [0, 1]
    chance = source().splits['train']['x'] / (LEVELS - 1)
    error = np.sqrt(chance * (1 - chance) / len(draws))
    assert np.all(np.abs(draws.mean(axis=0) - chance) <= 5 * error)
    assert len(np.unique(draws.reshape(200, -1), axis=0)) == 200


@pytest.mark.parametrize('split', ['valid', 'test'])
def test_evaluation_data_are_the_same_at_every_load_and_key(split):
    first, second = binarized(source(), 'stochastic'), binarized(source(), 'stochastic')
    expected = preprocessed(first, split, 0)
    assert np.unique(expected).tolist() == [0, 1]
    for data, seed in ((first, 1), (second, 0), (second, 2)):
        np.testing.assert_array_equal(preprocessed(data, split, seed), expected)
    grey = source().splits[split]['x']
    np.testing.assert_array_equal(expected[grey == 0], 0)
    np.testing.assert_array_equal(expected[grey == LEVELS - 1], 1)
    assert expected.mean() == pytest.approx(grey.mean() / (LEVELS - 1), abs=0.2)


@pytest.mark.parametrize('split', ['train', 'valid', 'test'])
def test_threshold_does_not_depend_on_the_key(split):
    data = binarized(source(), 'threshold')
    assert data.spec.levels == 2
    for seed in (0, 1):
        np.testing.assert_array_equal(
            preprocessed(data, split, seed), source().splits[split]['x'] > 8
        )


def test_binary_data_are_unchanged_by_binarisation():
    bits = source()._replace(spec=Spec(SHAPE, 2, 50))
    bits.splits['test']['x'] = bits.splits['test']['x'] % 2
    for binarize in ('threshold', 'stochastic'):
        x = preprocessed(binarized(bits, binarize), 'test', 0)
        np.testing.assert_array_equal(x, bits.splits['test']['x'])


# Dequantised


@pytest.mark.parametrize('split', ['train', 'valid', 'test'])
def test_dequantised_data_have_their_levels_as_integer_parts(split):
    data = dequantized(source(), 'uniform')
    assert data.spec == Spec(SHAPE, None, 50, dequantized_levels=LEVELS)
    assert data.spec.has_bits_per_dim
    assert 'dequantised: uniform' in data.description
    x, other = preprocessed(data, split, 0), preprocessed(data, split, 1)
    np.testing.assert_array_equal(np.floor(x), source().splits[split]['x'])
    assert np.all(x != other)
    assert np.all((x >= 0) & (x < LEVELS))


def test_binarised_and_then_dequantised():
    data = dequantized(binarized(source(), 'stochastic'), 'uniform')
    assert data.spec == Spec(SHAPE, None, 50, dequantized_levels=2)
    first, second = (preprocessed(data, 'test', seed) for seed in (0, 1))
    np.testing.assert_array_equal(np.floor(first), np.floor(second))
    assert np.all(first != second)


def test_dequantisation_noise_is_independent_of_the_bit():
    """Otherwise x + u gives no bound on the log-likelihood: u must be uniform given each bit."""
    half = source(levels=9)
    half.splits['train']['x'] = np.full((5000, 4), 4, np.uint8)
    half.splits['train']['label'] = np.arange(5000)
    x = preprocessed(dequantized(binarized(half, 'stochastic'), 'uniform'), 'train', 0)
    for bit in (0, 1):
        noise = x[np.floor(x) == bit] - bit
        assert len(noise) > 9000
        assert abs(noise.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / len(noise))


# Loading, and data that cannot be loaded


@pytest.mark.parametrize('change', [binarized, dequantized])
def test_real_data_have_no_levels_to_change(complaint, change):
    method = {binarized: 'threshold', dequantized: 'uniform'}[change]
    line = complaint(change, source(levels=None), method)
    assert f'={method!r}: tiny is real-valued' in line


def test_data_are_dequantised_once(complaint):
    assert 'real-valued' in complaint(dequantized, dequantized(source(), 'uniform'), 'uniform')
    assert 'real-valued' in complaint(binarized, dequantized(source(), 'uniform'), 'stochastic')


def with_data(**changes):
    config = common.common_config()
    config.data.update(**changes)
    return config


def test_the_config_chooses_the_preprocessing():
    data = dataset.load(with_data(name='digits', binarize='threshold', dequantize='uniform'))
    assert (data.spec.levels, data.spec.dequantized_levels) == (None, 2)
    x = preprocessed(data, 'test', 0)
    np.testing.assert_array_equal(np.floor(x), dataset.load(with_data()).splits['test']['x'] > 8)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(binarize='stochastc'), "config.data.binarize is 'stochastc'"),
        (dict(dequantize='unifrom'), "config.data.dequantize is 'unifrom'"),
        (dict(path='x.npz'), "config.data.path='x.npz': digits does not read it: omit it"),
        (dict(image_shape=(8, 8, 1)), 'config.data.image_shape=(8, 8, 1): digits does not read it'),
        (
            dict(name='arrays', data_dir='here'),
            "config.data.data_dir='here': arrays does not read it",
        ),
        (dict(name='omniglot', path='here'), "config.data.path='here': omniglot does not read it"),
        (dict(num_valid=3), 'config.data.num_valid=3'),
    ],
)
def test_invalid_settings_are_refused(complaint, changes, message):
    assert message in complaint(dataset.load, with_data(**changes))
