"""Numbers are standardized by the training split, and requests of other numbers are refused."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.data.conditions.condition import of_training
from atelier.data.conditions.numbers import Numbers
from atelier.errors import UserError

VALUES = np.array([[0.0, 10.0], [1.0, 30.0], [2.0, 20.0]], np.float32)
AGE_AND_HEIGHT = of_training(Numbers(('age', 'height')), VALUES)


def test_features_have_mean_0_and_standard_deviation_1():
    features = np.asarray(AGE_AND_HEIGHT.features(VALUES))
    np.testing.assert_allclose(features.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(features.std(0), 1, atol=1e-6)
    assert AGE_AND_HEIGHT.num_features == 2


@settings(max_examples=50, deadline=None)
@given(st.tuples(*[st.floats(-1e30, 1e30)] * 2))
def test_a_request_has_the_numbers_that_its_text_has(numbers):
    assert AGE_AND_HEIGHT.parsed(','.join(map(repr, numbers))) == [*numbers]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('1', 'a condition has 2 values (age, height), but .1. has 1'),
        ('1,2,3', 'has 3'),
        ('1,tall', 'condition height=.tall.: give a number'),
        ('nan,1', 'condition age=.nan.: give a finite number'),
        ('1,inf', 'condition height=.inf.: give a finite number'),
        ('1,1e39', 'condition height=.1e39.: give a finite number, of at most 3.4e+38'),
        ('-4e38,1', 'condition age=.-4e38.: give a finite number'),
        ('1_0,1', 'condition age=.1_0.: give a number'),
        ('', 'has 1'),
    ],
)
def test_other_requests_are_refused_by_name(text, message):
    with pytest.raises(UserError, match=re.sub(r'([()+])', r'\\\1', message)):
        AGE_AND_HEIGHT.parsed(text)


def test_a_constant_column_is_refused_by_name():
    with pytest.raises(UserError, match='condition height is constant in the training split'):
        of_training(Numbers(('age', 'height')), VALUES * [1, 0])


@pytest.mark.parametrize(
    ('values', 'fault'),
    [
        (1.7e9 + np.arange(100.0), 'condition time varies by 28.9 around 1.7e.09, too little'),
        (1e-40 * np.arange(100.0), 'condition time varies by 2.89e-39, out of the range'),
        (np.array([0, 3e38]), 'condition time varies by 1.5e.38, out of the range of float32'),
    ],
)
def test_numbers_that_float32_does_not_tell_apart_are_refused(values, fault):
    with pytest.raises(UserError, match=fault):
        of_training(Numbers(('time',)), values[:, None])


def test_moments_and_examples_are_those_of_the_stored_values():
    exact = np.random.RandomState(0).rand(100, 2)
    stored = of_training(Numbers(('a', 'b')), exact.astype(np.float32))
    assert of_training(Numbers(('a', 'b')), exact) == stored


def test_a_description_names_the_numbers():
    assert AGE_AND_HEIGHT.described([0.25, 170.0]) == 'age 0.25, height 170'
