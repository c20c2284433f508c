"""Titles say how many events are not finite."""

import numpy as np
import pytest

from atelier.report.views.gaps import noting_gaps, num_gaps
from atelier.report.views.view import DATA


@pytest.mark.parametrize('shape', [(), (3,), (2, 2, 1)])
def test_events_with_a_value_that_is_not_finite_are_counted(shape):
    x = np.zeros((6, *shape))
    assert num_gaps(x) == num_gaps(x.astype(np.uint8)) == 0
    x[1], x[4] = np.nan, np.inf
    assert num_gaps(x) == 2


def test_a_title_names_the_sets_with_gaps():
    x = np.zeros((1500, 2))
    broken = x + np.nan
    title = noting_gaps('Samples', {DATA: x, 'samples': broken})
    assert title == 'Samples (not finite: 1,500 of 1,500 samples)'
    assert noting_gaps('Samples', {DATA: x}) == 'Samples'
    assert noting_gaps('', {DATA: broken}) == ''
