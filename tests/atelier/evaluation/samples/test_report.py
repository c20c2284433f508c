"""Metrics of samples in words."""

import pytest

from atelier.evaluation.samples.report import memorisation_warning, show_samples, texts_of


def judged(samples, floor, n=500):
    values = {'memorisation_rate': {'samples': samples, 'floor': floor}}
    return memorisation_warning({'num_samples': n, 'values': values})


@pytest.mark.parametrize(
    'samples, floor, n',
    [(0.01, 0.01, 500), (0.025, 0.01, 5000), (0.05, 0.02, 500), (0.04, 0.0, 50), (0.0, 0.0, 500)],
)
def test_a_rate_near_that_of_real_data_needs_no_words(samples, floor, n):
    assert judged(samples, floor, n) is None


@pytest.mark.parametrize('samples, floor, n', [(1.0, 0.01, 20), (0.1, 0.0, 500), (1.0, 0.3, 500)])
def test_a_rate_far_above_that_of_real_data_is_said(samples, floor, n):
    sentence = judged(samples, floor, n)
    assert f'{100 * samples:.1f} % of the samples' in sentence
    assert 'the model copies training examples' in sentence


@pytest.mark.parametrize('samples, floor', [(None, None), (None, 0.01), (1.0, None)])
def test_a_rate_that_cannot_be_told_is_said(samples, floor):
    assert 'cannot be told' in judged(samples, floor)


def test_nothing_is_said_without_a_rate():
    assert memorisation_warning({}) is None
    assert memorisation_warning({'values': {'modes': {'samples': 3, 'floor': 4}}}) is None


def test_standard_errors_stand_beside_their_values(caplog):
    values = {
        'kernel_distance': {'samples': 0.012345, 'floor': -0.00054321},
        'kernel_distance_standard_error': {'samples': 0.0012, 'floor': 0.00021},
        'num_classes': {'samples': 10, 'floor': 9},
        'confidence': {'samples': None, 'floor': 0.987654},
    }
    assert texts_of(values) == {
        'kernel_distance': ('0.0123 +- 0.0012', '-0.00054 +- 0.00021'),
        'num_classes': ('10', '9'),
        'confidence': ('-', '0.9877'),
    }
    with caplog.at_level('INFO', logger='atelier'):
        show_samples({'num_samples': 4, 'features': None, 'values': values})
    assert '4 samples, compared with as many real examples' in caplog.text
    assert 'standard_error' not in caplog.text
