"""Modes draw data that are not images, beside the data of the run if these are there."""

import numpy as np
import pytest
from figure_checks import text_boxes
from support import assembled, begin

from atelier.applications import _pictures, anomaly, interpolate, sample, trajectory, traverse
from atelier.report import figures
from atelier.run import restore, run_folder

pytestmark = pytest.mark.usefixtures('scattered_weights')


@pytest.fixture
def drawn(monkeypatch):
    """The texts of each figure that a test draws."""
    found, draw = [], figures.pixels

    def pixels(figure):
        found.append('\n'.join(text for text, _ in text_boxes(figure)))
        return draw(figure)

    monkeypatch.setattr(figures, 'pixels', pixels)
    return found


def own(tmp_path, name, shape, **changes):
    """A run on labelled real values of this shape, with the path of its data."""
    random = np.random.RandomState(0)
    x, label = random.normal(size=(80, *shape)), np.arange(80) % 2
    names = np.array(['left', 'right'])
    np.savez(tmp_path / 'x.npz', x=x, label=label, class_names=names)
    path = str(tmp_path / 'x.npz')
    return assembled(tmp_path / 'run', name, 'arrays,debug', data__path=path, **changes)


def opened(tmp_path, *arguments, **changes):
    """`own`, with a folder for results."""
    run = own(tmp_path, *arguments, **changes)
    run.folder.mkdir()
    return run


def test_samples_stand_beside_data_with_their_classes_and_p_of_x(tmp_path, drawn):
    run = opened(tmp_path, 'naive_bayes', (2,))
    x = sample.apply(run, labels='right,left')
    assert x.shape == (_pictures.MANY, 2)
    found = drawn[0].replace('\n(', ' (')  # a caption with many numbers has two lines
    for text in ('data (', 'samples (1,000 points', 'p(x), exact', 'left', 'right'):
        assert text in found
    assert (run.folder / 'samples' / 'seed-0-labels-right-left.png').is_file()


def test_data_that_are_gone_are_left_out(tmp_path, drawn, caplog):
    run = own(tmp_path, 'mixture', (1,))
    trained = restore.load(run)
    begin(run)
    (tmp_path / 'x.npz').unlink()
    without = trained._replace(run=run_folder.reopen(run.folder, reads=None))
    with caplog.at_level('INFO', 'atelier'):
        _pictures.of_samples(without, np.zeros((9, 1)), 'Samples')
    assert 'the figure is without data: ' in caplog.text
    (found,) = drawn
    assert 'component 1' in found and 'data' not in found.split('\n')


def test_data_beside_samples_are_test_examples_of_trained_classes(tmp_path):
    run = own(tmp_path, 'mixture', (2,), data__without_classes=('right',))
    x, label = _pictures.test_data(restore.load(run))
    split = run.data.splits['test']
    assert {*label.tolist()} == {0} and (split['label'] == 1).any()
    expected = split['x'][split['label'] == 0]
    np.testing.assert_array_equal(np.sort(x, 0), np.sort(expected, 0))


@pytest.mark.slow
@pytest.mark.parametrize(
    'shape', [pytest.param((2,), marks=pytest.mark.slow), (1,)], ids=['points', 'values']
)
def test_a_trajectory_has_paths_among_data(tmp_path, drawn, shape):
    run = opened(tmp_path, 'diffusion', shape, model__network='mlp')
    arrays = trajectory.apply(run, num_points=3)
    assert arrays['x_t'].shape == (trajectory.MANY, 3, *shape)
    (found,) = drawn
    assert 'From noise to samples' in found and 'data' in found
    assert ('estimate of x' if shape == (2,) else trajectory.STEP) in found


@pytest.mark.slow
def test_paths_between_codes_and_unusual_rows_of_a_table(tmp_path, drawn):
    run = opened(tmp_path, 'vae', (4,))
    interpolate.apply(run, num_pairs=1)
    assert 'linear' in drawn[0] and 'column 3' in drawn[0]
    arrays = anomaly.apply(run, num_images=2)
    row = arrays['row'][arrays['index'][0]]
    assert f'row {row}: ' in drawn[-1] and '2 most anomalous test examples' in drawn[-1]


def test_a_traversal_of_points_lies_among_data(tmp_path, drawn):
    run = opened(tmp_path, 'vae', (2,), data__held_out_share=0.3)
    traverse.apply(run, num_dims=1, num_points=3)
    (found,) = drawn
    assert 'data' in found.split('\n') and 'nats' in found


@pytest.mark.slow
def test_a_signal_with_one_channel_is_no_image(tmp_path, drawn):
    """Its shape [length, 1] is that of an image, too."""
    run = opened(tmp_path, 'vae', (16, 1), data__held_out_share=0.3)
    anomaly.apply(run, num_images=3)
    interpolate.apply(run, num_pairs=2, num_points=3)
    scores, most, paths = drawn
    assert 'Scores' in scores and '3 most anomalous test examples' in most
    assert 'middle 90 % of the data' in most
    assert 'Paths between codes of test examples' in paths and 'channel' not in paths
    assert not [*run.folder.glob('applications/*-maps.png')]


def test_numbers_of_samples_follow_from_the_size_of_events(vae, tmp_path):
    spec = vae.data.spec
    assert _pictures.usual_number(spec) == _pictures.FEW
    table = spec._replace(event_shape=(16,))
    assert _pictures.usual_number(table) == _pictures.MANY
    assert _pictures.usual_number(table._replace(event_shape=(17,))) == _pictures.FEW
    assert _pictures.usual_number(table._replace(levels=2, symbols='ab')) == _pictures.FEW
