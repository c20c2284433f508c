"""AUROC against scikit-learn, with ties; its standard error against repeated draws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, rankdata
from sklearn.metrics import roc_auc_score

from atelier.evaluation.examples.auroc import auroc, midranks

FEW_VALUES = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=30)  # many ties
ANY = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


@given(pair=st.one_of(st.tuples(FEW_VALUES, FEW_VALUES), st.tuples(ANY, ANY)))
def test_auroc_equals_scikit_learns(pair):
    positive, negative = map(np.asarray, pair)
    truth = np.repeat([1, 0], [len(positive), len(negative)])
    expected = roc_auc_score(truth, np.concatenate([positive, negative]))
    assert auroc(positive, negative).value == pytest.approx(expected, abs=1e-12)


@given(scores=st.one_of(FEW_VALUES, ANY))
def test_midranks_equal_scipys(scores):
    np.testing.assert_array_equal(midranks(np.asarray(scores)), rankdata(scores))


@given(positive=FEW_VALUES, negative=FEW_VALUES)
def test_auroc_with_exchanged_classes_is_one_minus_it(positive, negative):
    one, exchanged = (
        auroc(*map(np.asarray, p)) for p in ((positive, negative), (negative, positive))
    )
    assert one.value + exchanged.value == pytest.approx(1)
    assert one.standard_error == pytest.approx(exchanged.standard_error)


def test_the_standard_error_is_that_of_repeated_draws():
    """Two normals at distance 1: AUROC is Phi(1 / sqrt 2); its spread is over 2,000 draws."""
    random = np.random.RandomState(0)
    results = [auroc(1 + random.normal(size=40), random.normal(size=70)) for _ in range(2000)]
    values, errors = np.asarray(results).T
    spread = values.std(ddof=1)
    assert values.mean() == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=5 * spread / np.sqrt(2000))
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(spread, rel=0.08)


def test_infinite_scores_have_a_rank():
    result = auroc(np.asarray([np.inf, 3.0]), np.asarray([1.0, 2.0]))
    assert result == (1.0, 0.0)


def test_one_example_has_no_standard_error():
    assert auroc(np.asarray([2.0]), np.asarray([1.0, 3.0])) == (0.5, None)


@pytest.mark.parametrize(('positive', 'negative'), [([], [1.0]), ([1.0], []), ([np.nan], [1.0])])
def test_missing_and_nan_scores_are_refused(positive, negative):
    with pytest.raises(ValueError, match='AUROC needs scores of both kinds'):
        auroc(np.asarray(positive), np.asarray(negative))
