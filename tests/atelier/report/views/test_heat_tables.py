"""Heat maps of tables show the columns that matter."""

import numpy as np
import pytest

from atelier.data.spec import Spec
from atelier.report import figures
from atelier.report.views import heat_tables


def test_columns_that_change_most_are_shown_in_their_order():
    x = np.zeros((2, 5, 40))
    x[0, :, 31], x[1, :, 7], x[:, 2, 12] = np.arange(5), np.arange(5), np.nan
    x[:, :, 3] = 100.0  # it is large, and does not change
    assert heat_tables.most_changed(x, 3) == [7, 12, 31]


@pytest.mark.parametrize('d', [20, 40])
def test_the_title_says_which_columns_are_shown(monkeypatch, d):
    titles, names = [], []

    def pixels(figure):
        titles.append(figure.get_suptitle().replace('\n', ' '))
        names.extend(label.get_text() for label in figure.axes[0].get_yticklabels())
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr(figures, 'pixels', pixels)
    x = np.zeros((8, 5, d))
    x[..., -1] = np.arange(5)
    heat_tables.rows(x, Spec((d,), None, None), 'Paths', ['linear'] * 8, [*'01234'])
    which = ': the 20 columns of 40 that change most' if d == 40 else ''
    assert titles == [f'Paths{which} (the first 4 of 8)']
    assert len(names) == 20 and names[-1] == f'column {d - 1}'
