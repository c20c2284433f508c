"""Curves of a page: bounded, and plain numbers."""

import json

import numpy as np

from atelier.report.page.charts import Chart, Line, for_script, means_of, places, points_of_each


def curve(n, value=lambda x: x):
    steps = np.arange(1, n + 1, dtype=np.float64)
    return np.stack([steps, value(steps)], axis=1)


def test_a_long_curve_is_shown_by_means_of_neighbours():
    points = means_of(curve(1000), 100)
    assert points.shape == (100, 2)
    np.testing.assert_array_equal(points[:, 0], np.arange(10, 1001, 10))
    np.testing.assert_allclose(points[:, 1], np.arange(10, 1001, 10) - 4.5)
    np.testing.assert_allclose(points[:, 1].mean(), curve(1000)[:, 1].mean())


def test_a_short_curve_is_shown_as_it_is():
    np.testing.assert_array_equal(means_of(curve(7), 100), curve(7))


def test_values_that_are_not_finite_are_left_out_of_means():
    points = curve(40)
    points[:10, 1] = np.nan
    points[10, 1] = np.inf
    means = means_of(points, 4)
    assert np.isnan(means[0, 1])
    np.testing.assert_allclose(means[1:, 1], [16.0, 25.5, 35.5])


def test_what_the_script_reads_is_json_with_null_for_what_is_not_finite():
    points = np.array([[1.0, 0.1 + 0.2], [2.0, np.nan], [3.0, np.inf]])
    line = Line('a' * 1000, points, is_pale=True, colour=19)
    (chart,) = for_script([Chart('loss\n<b>', (line,))], 1000)
    assert json.loads(json.dumps(chart, allow_nan=False)) == chart
    (read,) = chart['lines']
    assert read['x'] == [1, 2, 3] and read['y'] == [0.3, None, None]
    assert (read['colour'], read['dash'], read['pale']) == (3, 2, True)
    assert len(read['name']) <= 60
    assert chart['title'] == 'loss\\n<b>'


def test_the_points_of_all_lines_together_are_bounded():
    lines = tuple(Line(str(j), curve(20_000)) for j in range(24))
    charts = [Chart(str(i), lines) for i in range(10)]
    assert points_of_each(charts, 24_000) == 100
    numbers = sum(len(line['x']) for chart in for_script(charts, 24_000) for line in chart['lines'])
    assert numbers <= 24_000
    assert points_of_each(charts[:1], 10**9) == 400


def test_each_chart_has_a_place():
    made = places([Chart('<b>', ()), Chart('loss', ())])
    assert made.count('data-chart=') == 2
    assert '&lt;b&gt;' in made and '<b>' not in made


def test_a_curve_without_a_finite_value_has_words_in_its_place():
    """The indices of the others stay those of the charts that the script reads."""
    never = np.array([[1.0, np.nan], [2.0, np.inf]])
    charts = [
        Chart('ratio', (Line('training', never), Line('validation', never))),
        Chart('loss', (Line('first run', never), Line('second run', curve(3)))),
    ]
    made = places(charts)
    assert 'data-chart="0"' not in made and 'data-chart="1"' in made
    for name in ('training', 'validation', 'first run'):
        assert f'{name}: no value is finite' in made
    assert 'second run: ' not in made
