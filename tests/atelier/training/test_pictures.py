"""Pictures of training: which are drawn, what they show, and that they are complete."""

import threading

import jax
import numpy as np
import pytest
from PIL import Image
from support import assembled, board_pictures

import train_lib
from atelier.core.abilities import Sample
from atelier.core.randomness import Stream, key_for
from atelier.errors import UserError
from atelier.evaluation.samples.sampling import sampler, shows_means
from atelier.report import figures, image_grids
from atelier.report.metrics_log import MetricsLog
from atelier.report.views.view import DATA, View
from atelier.run import restore
from atelier.training import pictures
from atelier.training.drawing_thread import DrawingTime
from atelier.training.pictures import CompiledPictures, Pictures

ONE = jax.devices()[:1]
STEPS = dict(train__steps=20, train__evaluate_every=10, train__steps_per_dispatch=10)


class SlowView:
    """A view that records what it draws; `as_view` is not quick."""

    def __init__(self):
        self.sets, self.pairs, self.titles = [], [], []

    def as_view(self):
        unused = lambda *arguments: pytest.fail('not drawn in training')
        drawn = self.samples, self.draw_pairs, unused, unused
        return View('points', 'examples', False, True, *drawn)

    def samples(self, sets, spec, title):
        self.sets.append(sets)
        self.titles.append(title)
        assert threading.current_thread() is not threading.main_thread()
        assert all(isinstance(x, np.ndarray) for x in sets.values())  # on the host
        return np.full((20, 30, 3), 255, np.uint8)

    def draw_pairs(self, x, reconstruction, spec, title):
        self.pairs.append((x, reconstruction))
        self.titles.append(title)
        return np.zeros((20, 30, 3), np.uint8)


@pytest.fixture
def slow(monkeypatch):
    view = SlowView()
    monkeypatch.setattr(pictures, 'view_of', lambda spec: view.as_view())
    return view


def opened(run):
    """(Pictures, initial State, MetricsLog) of a run that is not trained."""
    run.folder.mkdir(parents=True, exist_ok=True)
    sample = sampler(run, ONE) if run.family.ability(Sample) else None
    metrics_log = MetricsLog(run.folder, 0, 32)
    drawer = Pictures(run, CompiledPictures(run, ONE, sample), metrics_log)
    return drawer, restore.initial_state(run), metrics_log


def names(run):
    return sorted(path.name for path in (run.folder / 'samples').iterdir())


def test_samples_are_means_from_the_noise_of_the_draws(tmp_path):
    """The grid is that of `Sample.mean`, and differs from that of the draws with the same key."""
    run = assembled(tmp_path / 'run', 'vae', model__observation='binomial')
    assert shows_means(run)
    drawer, state, metrics_log = opened(run)
    drawer.draw(state, 10)
    drawer.wait()
    metrics_log.close()
    shown = np.asarray(Image.open(run.folder / 'samples' / 'samples-0000010.png'))
    key, n = key_for(state.key, Stream.SAMPLE), run.config.eval.num_pictures
    grid = lambda x: image_grids.enlarged(image_grids.grid(x, run.data.spec))[..., 0]
    means, draws = (sampler(run, ONE, means=m)(state, key, n) for m in (True, False))
    np.testing.assert_array_equal(shown, grid(means))
    assert not np.array_equal(shown, grid(draws))
    assert names(run) == ['reconstructions-0000010.png', 'samples-0000010.png']


@pytest.mark.slow
def test_samples_of_points_are_draws_beside_the_data(tmp_path, slow):
    """A set of means would not have the distribution of the data."""
    run = assembled(tmp_path / 'run', 'ppca', 'grid,debug')
    assert not shows_means(run)
    drawer, state, metrics_log = opened(run)
    drawer.draw(state, 10)
    drawer.wait()
    metrics_log.close()
    (sets,) = slow.sets
    assert list(sets) == [DATA, 'samples']
    assert sets['samples'].shape == (pictures.MANY, 2)
    assert 0 < len(sets[DATA]) <= pictures.MANY
    draws = sampler(run, ONE)(state, key_for(state.key, Stream.SAMPLE), pictures.MANY)
    np.testing.assert_array_equal(sets['samples'], draws)
    ((x, reconstruction),) = slow.pairs
    assert x.shape == reconstruction.shape == (run.config.eval.num_pictures, 2)
    assert slow.titles == ['Samples at step 10', 'Reconstructions at step 10']


@pytest.mark.slow
def test_slow_pictures_are_left_out_but_for_the_last(tmp_path, slow, monkeypatch, caplog):
    """It is said once."""
    monkeypatch.setattr(DrawingTime, 'allows_one_more', lambda self: False)
    run = assembled(tmp_path / 'run', 'realnvp', 'moons,debug')
    drawer, state, metrics_log = opened(run)
    with caplog.at_level('INFO', logger='atelier'):
        for step in (10, 20):
            drawer.draw(state, step)
        drawer.draw(state, 30, is_last=True)
    drawer.wait()
    metrics_log.close()
    assert names(run) == ['samples-0000030.png', 'samples.npz']
    assert caplog.text.count('pictures of points take time') == 1
    (sets,) = slow.sets  # which `compare` shows
    saved = np.load(run.folder / 'samples' / 'samples.npz')
    np.testing.assert_array_equal(saved['x'], sets['samples'])
    np.testing.assert_array_equal(saved[DATA], sets[DATA])


def test_data_without_a_view_have_no_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, 'view_of', lambda spec: None)
    run = assembled(tmp_path / 'run', 'ppca', 'moons,debug')
    drawer, state, metrics_log = opened(run)
    drawer.draw(state, 10, is_last=True)
    drawer.wait()
    metrics_log.close()
    assert not (run.folder / 'samples').exists()


def test_training_does_not_wait_for_a_drawing(tmp_path, slow):
    """The next validation and the end of training do."""
    run = assembled(tmp_path / 'run', 'realnvp', 'moons,debug')
    may_go_on, draw = threading.Event(), slow.samples
    slow.samples = lambda *arguments: (may_go_on.wait(), draw(*arguments))[1]
    drawer, state, metrics_log = opened(run)
    drawer.draw(state, 10)
    drawer.wait(before=10)  # as before the checkpoint of the same step
    assert not (run.folder / 'samples').exists()
    threading.Timer(0.05, may_go_on.set).start()
    drawer.wait(before=20)  # as before the checkpoint of a later step
    assert names(run) == ['samples-0000010.png']
    drawer.close()
    metrics_log.close()


@pytest.mark.slow
def test_a_full_disk_ends_training_in_one_line(tmp_path, monkeypatch):
    run = assembled(tmp_path / 'run', 'vae', **STEPS)

    def fail(path, picture):
        raise UserError(f'cannot write {path}: No space left on device')

    monkeypatch.setattr(figures, 'save_picture', fail)
    with pytest.raises(UserError, match='cannot write .*/samples/samples-0000010.png: No space'):
        train_lib.train(run, ONE)


def test_the_last_pictures_exist_when_patience_ends_training(tmp_path, slow):
    stops = dict(train__best_metric='elbo_nats', train__patience=1, hypers__learning_rate=0.0)
    stops['hypers__learning_rate_end'] = 0.0
    run = assembled(tmp_path / 'run', 'vae', **{**STEPS, 'train__steps': 100}, **stops)
    state = train_lib.train(run, ONE)
    assert int(state.step) < 100
    assert f'samples-{int(state.step):07d}.png' in names(run)


@pytest.mark.slow
def test_pictures_that_a_kill_prevented_are_drawn_again(tmp_path):
    """Byte for byte, when the run continues from the step that had been saved."""
    run = assembled(tmp_path / 'run', 'vae', train__checkpoint_every=10, **STEPS)
    half = run._replace(config=type(run.config)(run.config.to_dict()).lock())
    with half.config.unlocked():
        half.config.train.steps = 10
    train_lib.train(half, ONE)
    assert not (run.folder / 'curves.png').exists()  # one or two points are no curve
    paths = [
        run.folder / 'samples' / f'{name}-0000010.png' for name in ('samples', 'reconstructions')
    ]
    expected = [path.read_bytes() for path in paths]
    paths[1].unlink()
    train_lib.train(run, ONE)
    assert [path.read_bytes() for path in paths] == expected
    assert 'samples-0000020.png' in names(run)
    assert not (run.folder / 'curves.png').exists()


def test_the_board_has_the_pictures(tmp_path):
    run = assembled(tmp_path / 'run', 'vae')
    drawer, state, metrics_log = opened(run)
    drawer.draw(state, 10)
    drawer.wait()
    metrics_log.close()
    found = board_pictures(run.folder / 'tensorboard')
    assert [(name, step) for name, step, _ in found] == [('samples', 10), ('reconstructions', 10)]
    for name, _, image in found:
        shown = Image.open(run.folder / 'samples' / f'{name}-0000010.png')
        np.testing.assert_array_equal(np.asarray(image), np.asarray(shown))


@pytest.mark.slow
def test_a_run_of_three_validations_has_its_curves(tmp_path):
    """They are drawn at the end."""
    run = assembled(tmp_path / 'run', 'vae', **{**STEPS, 'train__steps': 30})
    train_lib.train(run, ONE)
    assert np.asarray(Image.open(run.folder / 'curves.png')).shape[1] <= 1300
