"""Metrics of samples in words."""

import pytest

from atelier.evaluation.samples.report import (
    columns_of,
    heading_of,
    memorisation_warning,
    reasons_of,
    show_samples,
    texts_of,
)


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


def test_one_gaussian_is_a_third_column(caplog):
    values = {
        'coverage': {'samples': 0.75, 'floor': 1.0, 'one_gaussian': 0.5},
        'memorisation_rate': {'samples': 0.01, 'floor': 0.01},
    }
    assert columns_of({}) == ('samples', 'floor')
    assert columns_of(values) == ('samples', 'floor', 'one_gaussian')
    assert texts_of(values) == {
        'coverage': ('0.7500', '1.000', '0.5000'),
        'memorisation_rate': ('0.01000', '0.01000', '-'),
    }
    with caplog.at_level('INFO', logger='atelier'):
        show_samples({'num_samples': 4, 'features': None, 'values': values})
    assert caplog.messages[1].split()[-5:] == ['real:', '1.000', 'one', 'Gaussian:', '0.5000']
    assert caplog.messages[2].split()[-2:] == ['real:', '0.01000']


def test_what_was_not_measured_has_a_reason_and_no_number(caplog):
    values = {
        'unique': {'samples': 0.5, 'floor': 1.0},
        'valid': {'samples': None, 'floor': None, 'not measured': 'RDKit is not installed'},
    }
    assert texts_of(values)['valid'] == ('not measured', 'not measured')
    assert reasons_of(values) == ['valid: not measured: RDKit is not installed']
    samples = {'num_samples': 4, 'features': None, 'compared_by': 'string', 'values': values}
    with caplog.at_level('INFO', logger='atelier'):
        show_samples(samples)
    assert '4 samples, compared with as many real examples; items compared by string' in caplog.text
    assert caplog.messages[-1].strip() == 'valid: not measured: RDKit is not installed'
    assert sum('valid' in message for message in caplog.messages) == 1


def test_the_heading_says_what_judged_the_samples_and_shortens_what_a_file_claims():
    judged = {'num_samples': 4, 'compared_by': 'string', 'validity': 'own.py:f', 'values': {}}
    assert heading_of(judged).endswith('; items compared by string; valid by own.py:f')
    assert len(heading_of({**judged, 'compared_by': 'x' * 10_000, 'validity': ['y'] * 999})) < 400
    assert heading_of({'num_samples': None, 'features': 'f'}).endswith('examples, in features of f')
