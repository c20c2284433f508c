"""Data preprocessed by the settings of a config: binarised and dequantised."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from atelier.data import dataset
from atelier.data.dataset import Dataset, Spec, binarized, dequantized
from configs.shared import common

LEVELS = 17
SHAPE = (3, 2)


@pytest.fixture(autouse=True)
def quick(strict_promotion):
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
