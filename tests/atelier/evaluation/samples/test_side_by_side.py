"""Samples of runs side by side: read from their folders, grouped by data, checked before use."""

import numpy as np
import pytest
from PIL import Image
from support import assembled, make_run

from atelier.evaluation.samples import side_by_side
from atelier.evaluation.samples.saved_samples import NAME, read_samples, write_samples
from atelier.report.views.view import DATA
from atelier.run import run_folder


def folder_of(run, *arrays, are_means=False):
    """Writes the folder of a run that is not trained, with samples; returns (folder, record)."""
    run.folder.mkdir()
    run_folder.write_config(run, 1)
    if arrays:
        write_samples(run.folder, *arrays, are_means)
    return run.folder, run_folder.load(run.folder)


def events(spec, n, seed=0):
    random = np.random.default_rng(seed)
    shape = (n, *spec.event_shape)
    return random.normal(size=shape) if spec.levels is None else random.integers(0, 9, shape)


def test_samples_are_read_as_they_were_written(tmp_path):
    run = make_run(tmp_path / 'a')
    x, data = (events(run.data.spec, 5, seed) for seed in (1, 2))
    read = read_samples(*folder_of(run, x, data, are_means=True))
    np.testing.assert_array_equal(read.x, x)
    np.testing.assert_array_equal(read.data, data)
    assert read.are_means and read.spec == run.data.spec and read.data_name == 'digits'


def test_means_of_a_mode_are_shown_for_images(tmp_path):
    """A run of an earlier version has only what --mode=sample wrote."""
    run = make_run(tmp_path / 'a')
    folder, record = folder_of(run)
    assert read_samples(folder, record) is None
    x, mean = events(run.data.spec, 4, 1), events(run.data.spec, 4, 2)
    (folder / 'samples').mkdir()
    np.savez(folder / 'samples' / 'seed-0.npz', x=x, mean=mean)
    read = read_samples(folder, record)
    np.testing.assert_array_equal(read.x, mean)
    assert read.data is None and read.are_means


@pytest.mark.parametrize(
    'arrays',
    [
        dict(x=np.zeros((3, 8, 9, 1))),
        dict(x=np.full((3, 8, 8, 1), np.nan)),
        dict(x=np.array(['a'])),
        dict(y=np.zeros((3, 8, 8, 1))),
        None,
    ],
    ids=['shape', 'nan', 'text', 'name', 'damaged'],
)
def test_arrays_that_do_not_fit_are_left_out(tmp_path, caplog, arrays):
    folder, record = folder_of(make_run(tmp_path / 'a'))
    path = folder / 'samples' / NAME
    path.parent.mkdir()
    if arrays is None:
        path.write_bytes(b'PK damaged')
    else:
        np.savez(path, **arrays)
    assert read_samples(folder, record) is None
    assert f'{path} is left out' in caplog.text


def test_runs_on_the_same_data_share_a_picture(tmp_path, caplog):
    """Each other data set has its own; a run without samples is named with a command."""
    caplog.set_level('INFO', logger='atelier')
    digits, points = (
        make_run(tmp_path / 'digits').data.spec,
        assembled(tmp_path / 'm', 'vae', 'moons,debug').data.spec,
    )
    runs = {
        'a': folder_of(make_run(tmp_path / 'a'), events(digits, 40), events(digits, 40)),
        'b': folder_of(make_run(tmp_path / 'b', seed=3), events(digits, 40), None),
        'moons': folder_of(
            assembled(tmp_path / 'moons', 'vae', 'moons,debug'),
            events(points, 50),
            events(points, 50),
        ),
        'none': folder_of(make_run(tmp_path / 'none', seed=4)),
    }
    read = {name: read_samples(*each) for name, each in runs.items() if name != 'none'}
    assert [[*group] for group in side_by_side.by_data(read)] == [['a', 'b'], ['moons']]
    paths = side_by_side.save_samples(runs, tmp_path / 'out')
    assert [path.name for path in paths] == ['compare-samples.png', 'compare-samples-2.png']
    assert all(Image.open(path).width <= 1300 for path in paths)
    (tmp_path / 'out' / 'compare-samples-mine.png').write_bytes(b'of the user')
    side_by_side.save_samples({'a': runs['a']}, tmp_path / 'out')
    kept = sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert kept == ['compare-samples-mine.png', 'compare-samples.png']
    assert f'no picture has samples of none: --mode=sample --workdir={tmp_path}' in caplog.text


def test_data_come_first_and_a_run_may_have_its_name(tmp_path):
    run = make_run(tmp_path / 'a')
    x, data = (events(run.data.spec, 50, seed) for seed in (1, 2))
    read = read_samples(*folder_of(run, x, data))
    sets = side_by_side.sets_of({DATA: read, 'b': read._replace(data=None)})
    assert [*sets] == [DATA, 'run data', 'b']
    np.testing.assert_array_equal(sets[DATA], data[: side_by_side.NUM_IMAGES])


@pytest.mark.parametrize(
    'shape',
    [
        (2,),
        pytest.param((3,), marks=pytest.mark.slow),
        pytest.param((1,), marks=pytest.mark.slow),
        pytest.param((4,), marks=pytest.mark.slow),
        pytest.param((12,), marks=pytest.mark.slow),
        pytest.param((40, 1), marks=pytest.mark.slow),
        (8, 8, 1),
    ],
)
@pytest.mark.parametrize('num_runs', [pytest.param(2, marks=pytest.mark.slow), 9])
def test_every_kind_of_data_has_its_picture(tmp_path, shape, num_runs):
    """`legible_figures` checks that no text is cut or overlaps another."""
    run = make_run(tmp_path / 'a')
    spec = run.data.spec._replace(event_shape=shape, levels=None, num_classes=None)
    x = events(spec, 60)
    read = read_samples(*folder_of(run, events(run.data.spec, 2), None))
    read = read._replace(spec=spec, x=x, data=x)
    runs = {f'runs/a-long-name-of-a-run-{i}': read for i in range(num_runs)}
    parts = side_by_side.parts_of(runs)
    assert [name for part in parts for name in part] == [*runs]
    picture = side_by_side.picture_of(parts[-1], ' on arrays')
    assert picture.dtype == np.uint8 and picture.shape[1] <= 1400
