"""The mathematics in pictures of tables."""

import numpy as np
import pytest
from scipy import stats

from atelier.report.views import table_view
from atelier.report.views.view import DATA


def test_the_columns_that_differ_most_are_shown():
    x = np.random.RandomState(0).normal(size=(300, 20))
    other = x.copy()
    other[:, [4, 17]] += [[3.0, 1.0]]
    shown, what = table_view.most_different({DATA: x, 'samples': other})
    assert shown[:2] == [4, 17] and len(shown) == table_view.MAX_HISTOGRAMS
    assert what == 'the 9 columns that differ most'
    assert table_view.most_different({'samples': x})[0] == [*range(9)]


@pytest.mark.parametrize('decimals', [1, 8], ids=['ties', 'no ties'])
def test_the_distance_is_that_of_kolmogorov_and_smirnov(decimals):
    random = np.random.RandomState(0)
    a, b = random.normal(size=80).round(decimals), random.normal(0.3, 2, size=50).round(decimals)
    expected = stats.ks_2samp(a, b).statistic
    assert table_view.kolmogorov_smirnov(a, b) == pytest.approx(expected)


def test_correlations_are_those_of_finite_rows():
    x = np.random.RandomState(0).normal(size=(50, 3))
    broken = np.concatenate([x, [[np.nan, 0, 0]]])
    expected = stats.pearsonr(x[:, 0], x[:, 2]).statistic
    assert table_view.correlations(broken)[0, 2] == pytest.approx(expected)
    assert np.isnan(table_view.correlations(np.zeros((1, 2)))).all()
