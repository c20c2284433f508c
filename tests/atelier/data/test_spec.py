"""What a model knows about its data: scales, sizes, classes and names."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.data.spec import Spec

SHAPE = (3, 2)


@pytest.fixture(autouse=True)
def quick(strict_promotion):
    """Reduces compilation time."""


# Scales


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


@pytest.mark.parametrize(
    ('shape', 'num_dims', 'image_shape'),
    [
        ((), 1, None),
        ((5,), 5, None),
        ((4, 5), 20, (4, 5, 1)),
        ((4, 5, 3), 60, (4, 5, 3)),
        ((2, 4, 5, 3), 120, None),
    ],
)
def test_sizes_follow_from_the_shape(shape, num_dims, image_shape):
    spec = Spec(shape, 256, None)
    assert type(spec.num_dims) is int and spec.num_dims == num_dims
    assert spec.image_shape == image_shape


@settings(max_examples=30)
@given(levels=st.integers(2, 2**16), shape=st.lists(st.integers(1, 9), max_size=3))
def test_a_uniform_model_has_log2_levels_bits_per_dim(levels, shape):
    """And a density of dequantised data that is 1 / levels everywhere has as many."""
    nats = math.prod(shape) * math.log(levels)
    for spec in (
        Spec(tuple(shape), levels, None),
        Spec(tuple(shape), None, None, dequantized_levels=levels),
    ):
        assert spec.has_bits_per_dim
        assert spec.bits_per_dim(np.array([nats])) == pytest.approx(math.log2(levels))
    assert not Spec(tuple(shape), None, None).has_bits_per_dim


# Classes


@settings(max_examples=50)
@given(num_classes=st.integers(0, 20), left_out=st.sets(st.integers(0, 19)))
def test_known_and_left_out_classes_are_all_classes(num_classes, left_out):
    left_out = tuple(sorted(label for label in left_out if label < num_classes))
    known = Spec(SHAPE, 2, num_classes, left_out=left_out).known_classes
    assert sorted((*known, *left_out)) == list(range(num_classes))
    assert list(known) == sorted(known)


def test_without_labels_there_are_no_classes():
    assert Spec(SHAPE, 2, None).known_classes == ()


def test_classes_are_called_by_their_names_or_numbers():
    """A label that has no name, such as one of other data, is a number."""
    spec = Spec(SHAPE, 2, 2, class_names=('cat', 'dog'))
    assert [spec.class_name(label) for label in (0, 1, 2, -1)] == ['cat', 'dog', '2', '-1']
    assert Spec(SHAPE, 2, 2).class_name(1) == '1'


@settings(max_examples=100)
@given(name=st.text(min_size=1, max_size=20))
def test_a_name_cannot_forge_a_line_of_the_log(name):
    shown = Spec(SHAPE, 2, 1, class_names=(name,)).class_name(0)
    assert len(shown.splitlines()) == 1 and all(c.isprintable() or c.isspace() for c in shown)
    assert not set(shown) & set('\n\r\t\x1b\x00')
    if name.isascii() and name.isprintable():
        assert shown == name


# The text that runs are compared by


def test_the_format_is_that_of_earlier_runs():
    """Records hold it: other words would make old runs look like runs on other data."""
    assert Spec((8, 8, 1), 17, 10).format == (
        'event_shape (8, 8, 1), levels 17, num_classes 10, dequantized_levels None, mean 0.0, '
        'std 1.0'
    )
    assert Spec((64,), 3, None, symbols='a\né').format == (
        'event_shape (64,), levels 3, num_classes None, dequantized_levels None, mean 0.0, '
        r"std 1.0, symbols 'a\n\xe9'"
    )


def test_moments_names_and_classes_left_out_are_no_part_of_the_format():
    """What is known from the training data alone changes no data."""
    spec = Spec((3,), None, 3)
    same = spec._replace(mean=(1.0, 2.0, 3.0), std=0.5, left_out=(1,), class_names=('a', 'b', 'c'))
    assert same.format == spec.format
    others = [
        spec._replace(event_shape=(4,)),
        spec._replace(levels=2),
        spec._replace(num_classes=4),
        spec._replace(dequantized_levels=4),
        spec._replace(symbols='abc'),
    ]
    assert len({spec.format, *(other.format for other in others)}) == 6
