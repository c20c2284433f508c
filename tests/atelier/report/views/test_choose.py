"""Every kind of data has its pictures."""

import numpy as np
import pytest
from marks import EXHAUSTIVE
from scipy import stats

from atelier.data.spec import Spec
from atelier.report import figures, image_grids
from atelier.report.views import drawing, signal_view
from atelier.report.views.choose import view_of
from atelier.report.views.view import DATA, Density

MAX_WIDTH = 1200  # pixels
SPECS = {
    'value': Spec((), None, 2),
    'level': Spec((1,), 12, None, column_names=('number of $x_',)),
    'point': Spec((2,), None, 2, class_names=('left', 'right')),
    'point in space': Spec((3,), None, None),
    'row': Spec((4,), None, 2, column_names=('sepal length (cm)', 'sepal width (cm)', '$c', '_d')),
    'long row': Spec((13,), None, 2),
    'binary row': Spec((50,), 2, None),
    'odd shape': Spec((3, 2, 2), None, None),
    'signal': Spec((64,), None, 2, draw_as='signals'),
    'signal of channels': Spec((64, 3), None, None),
    'signal of many channels': Spec((200, 12), None, None),
    'image': Spec((4, 4, 1), 17, 2),
    'item': Spec((12,), 5, 2, symbols='\0abcd'),
}
PLAIN = ('point', 'image')
each_kind = pytest.mark.parametrize(
    'name',
    [name if name in PLAIN else pytest.param(name, marks=pytest.mark.slow) for name in SPECS],
)


@pytest.fixture
def drawn(monkeypatch):
    """The figures that a test draws."""
    found, draw = [], figures.pixels

    def pixels(figure):
        found.append(figure)
        return draw(figure)

    monkeypatch.setattr(figures, 'pixels', pixels)
    return found


def events(spec, *shape, seed=0):
    random = np.random.RandomState(seed)
    if spec.levels is not None:
        return random.randint(spec.levels, size=(*shape, *spec.event_shape))
    return random.normal(size=(*shape, *spec.event_shape)).astype(np.float32)


def texts(figure) -> str:
    from matplotlib.text import Text

    return '\n'.join(text.get_text() for text in figure.findobj(Text))


def check(picture, name):
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[-1] in (1, 3)
    assert picture.std() > 0
    assert picture.shape[1] <= MAX_WIDTH, f'{name}: {picture.shape[1]} pixels wide'


@each_kind
def test_samples_stand_beside_data(name):
    spec = SPECS[name]
    sets = {DATA: events(spec, 60), 'samples': events(spec, 40, seed=1)}
    labels = None if spec.num_classes is None else {'samples': np.arange(40) % 2}
    check(view_of(spec).samples(sets, spec, 'Samples', labels), name)


@each_kind
@pytest.mark.parametrize('n', [1, pytest.param(20, marks=EXHAUSTIVE)])
def test_samples_may_be_alone(name, n):
    spec = SPECS[name]
    check(view_of(spec).samples({'samples': events(spec, n)}, spec, 'Samples'), name)


@each_kind
def test_all_other_pictures(name):
    spec = SPECS[name]
    view, x = view_of(spec), events(spec, 12)
    check(view.pairs(x, events(spec, 12, seed=1), spec, 'Test examples'), name)
    steps = events(spec, 4, 5)
    names = ['linear', 'spherical'] * 2
    check(view.rows(steps, spec, 'Paths', names, list('abcde'), events(spec, 30)), name)
    check(view.rows(steps[:1], spec, 'Path', ['linear'], list('abcde')), name)
    captions = [f'row {i}: {1 / (i + 3):.4g}' for i in range(12)]
    check(view.ranked(x, captions, spec, 'Most anomalous', events(spec, 30)), name)
    check(view.ranked(x[:1], captions[:1], spec, 'Most anomalous'), name)


@each_kind
@pytest.mark.parametrize('n', [1, pytest.param(3, marks=EXHAUSTIVE)])
def test_constant_data_and_values_that_are_not_finite(name, n, drawn):
    """Every picture is drawn, and its title says how many events are not finite."""
    spec = SPECS[name]
    view, x = view_of(spec), np.zeros((n, *spec.event_shape), np.float32)
    broken = x if spec.levels is not None else x + np.nan
    rows = np.stack([broken] * 3, 1)
    names, captions, columns = ['linear'] * n, ['row 1: 5'] * n, [*'abc']
    check(view.samples({DATA: x, 'samples': broken}, spec, 'Samples'), name)
    check(view.pairs(x, broken, spec, 'Test examples'), name)
    check(view.rows(rows, spec, 'Paths', names, columns, x), name)
    check(view.rows(rows, spec, 'Paths', names, columns), name)
    check(view.ranked(broken, captions, spec, 'Most anomalous', x), name)
    check(view.ranked(broken, captions, spec, 'Most anomalous'), name)
    found = [texts(figure).replace('\n', ' ') for figure in drawn]
    assert len(found) == 6
    assert all((f'(not finite: {n} of {n} ' in each) == (spec.levels is None) for each in found)


def test_images_without_numbers_are_grey():
    """The others keep their contrast, and nothing is cast that has no value."""
    spec = Spec((4, 4, 1), None, None)
    x = events(spec, 4)
    x[0] = np.nan
    grid = image_grids.grid(x, spec)
    assert (grid[1:5, 1:5] == round(255 * image_grids.GREY)).all()
    finite = image_grids.grid(x[1:], spec, columns=3)
    np.testing.assert_array_equal(grid[1:5, 6:10], finite[1:5, 1:5])


def test_classes_have_names_and_colours(drawn):
    spec = SPECS['point']
    x = np.repeat([[-1.0, 0.0], [1.0, 0.0]], 40, 0) + 0.1 * events(spec, 80)
    labels = {'samples': np.repeat([0, 1], 40)}
    picture = view_of(spec).samples({'samples': x}, spec, 'Samples by class', labels)
    (figure,) = drawn
    assert {'left', 'right'} <= {*texts(figure).split('\n')}
    assert 'samples (80 points' in texts(figure)
    from matplotlib.colors import to_rgb

    for colour in figures.COLOURS[:2]:
        shown = 0.75 * np.array(to_rgb(colour)) + 0.25  # points are slightly transparent
        near = np.abs(picture / 255 - shown).max(-1) < 0.05
        assert near.sum() > 50


def test_an_untrusted_name_is_text_and_short(drawn):
    spec = Spec((4,), None, None, column_names=('a$b$c', '\x1b[2J' * 30, '_hidden', 'd' * 200))
    view_of(spec).samples({'samples': events(spec, 9)}, spec, '$x$' * 200)
    assert r'a\$b\$c' in texts(drawn[0]) and '\x1b' not in texts(drawn[0])
    assert max(map(len, texts(drawn[0]).split('\n'))) < 120


def test_samples_outside_the_frame_are_counted(drawn):
    spec = SPECS['point']
    x = events(spec, 500)
    samples = np.concatenate([x[:300], [[1e6, 0.0], [np.nan, 0.0]]])
    view_of(spec).samples({DATA: x, 'samples': samples}, spec, 'Samples')
    assert 'samples (302 points, 2 outside)' in texts(drawn[0])
    (low, high) = drawing.frame({DATA: x, 'samples': samples})
    assert np.all(high < 10) and np.all(low > -10)


def test_the_density_and_its_kind_are_drawn(drawn):
    spec, x = SPECS['point'], np.linspace(-3, 3, 30)
    p = np.exp(-0.5 * (x**2 + x[:, None] ** 2)) / (2 * np.pi)
    density = Density((x, x), p, 'lower bound, k = 500')
    view_of(spec).samples({'samples': events(spec, 50)}, spec, 'Samples', None, density)
    assert 'p(x), lower bound, k = 500' in texts(drawn[0])


@pytest.mark.parametrize('n', [2, 20])
def test_components_are_drawn_below_their_sum(drawn, n):
    spec, x = SPECS['value'], np.linspace(-3, 3, 50)
    terms = {f'component {i}': stats.norm.pdf(x) / n for i in range(n)}
    density = Density((x,), stats.norm.pdf(x), 'exact', terms)
    view_of(spec).samples({DATA: events(spec, 50)}, spec, 'Values', None, density)
    expected = {'component 0', 'component 1'} if n == 2 else {'20 components, weighted'}
    assert {*expected, 'p(x), exact', 'data'} <= {*texts(drawn[0]).split('\n')}
    axis = drawn[0].axes[0]
    heights = [line.get_ydata() for line in axis.get_lines()]
    np.testing.assert_allclose(sum(heights[:-1]), heights[-1])


def test_a_table_of_values_shows_the_unusual_columns(drawn):
    spec = SPECS['long row']
    among = events(spec, 200)
    x = among[:3].copy()
    x[:, 11] = 1234.0
    view_of(spec).ranked(x, ['row 1: 5', 'row 2: 4', 'row 3: 3'], spec, 'Most anomalous', among)
    found = texts(drawn[0])
    assert 'column 11' in found and found.count('1234') == 3 and 'row 2: 4' in found
    assert '6 most unusual columns of 13' in found.replace('\n', ' ')


def test_what_is_left_out_is_said(drawn):
    spec = SPECS['signal of many channels']
    view_of(spec).samples({'samples': events(spec, 3)}, spec, 'Samples')
    said = texts(drawn[0]).replace('\n', ' ')
    assert f'the first {signal_view.MAX_CHANNELS} channels of 12' in said
    view_of(SPECS['long row']).samples(
        {DATA: events(SPECS['long row'], 9), 'samples': events(SPECS['long row'], 9, seed=1)},
        SPECS['long row'],
        'Samples',
    )
    assert 'the 9 columns that differ most of 13' in texts(drawn[1]).replace('\n', ' ')


def test_only_images_are_quick():
    """Training draws them at each validation."""
    assert [name for name, spec in SPECS.items() if view_of(spec).is_quick] == ['image']


@pytest.mark.parametrize('shape', [(1, 1, 1), (1, 9, 1), (9, 1, 3)])
def test_images_of_one_row_or_column_are_drawn(shape):
    spec = Spec(shape, 256, None)
    x = events(spec, 4)
    view = view_of(spec)
    check(view.ranked(x, ['score 1'] * 4, spec, 'title'), 'ranked')
    check(view.samples({'samples': x}, spec, 'title'), 'samples')
    check(view.rows(x[None], spec, 'title', ['a'], [*'1234']), 'rows')


def test_many_components_of_levels_are_not_drawn(drawn):
    """Their marks would be those of p(x); levels outside the range have no place."""
    spec, levels = Spec((1,), 12, None), np.arange(12.0)
    terms = {f'component {i + 1}': np.full(12, 1 / 240) for i in range(20)}
    density = Density((levels,), np.full(12, 1 / 12), 'exact', terms)
    view_of(spec).samples({DATA: events(spec, 60)}, spec, 'title', None, density)
    (figure,) = drawn
    assert 'components' not in texts(figure) and 'p(x), exact' in texts(figure)
    assert figure.axes[0].get_xlim() == (-0.5, 11.5)
