"""Animations of a run: which frames, in which order, and refusals."""

import numpy as np
import pytest
from PIL import Image
from support import assembled

from atelier.applications import _frames, animate, interpolate, perform, sample
from atelier.data.spec import Spec

pytestmark = pytest.mark.usefixtures('untrained')


@pytest.fixture(autouse=True)
def no_ffmpeg(monkeypatch):
    monkeypatch.setenv('PATH', '')


def saved(run, steps, kind='samples', size=(6, 9)):
    """Writes the pictures of a training, whose grey is a tenth of their step."""
    folder = run.folder / 'samples'
    folder.mkdir(exist_ok=True, parents=True)
    for step in steps:
        picture = np.full(size, step // 10, np.uint8)
        Image.fromarray(picture).save(folder / f'{kind}-{step:07d}.png')


def frames_of(path):
    with Image.open(path) as image:
        frames = []
        for i in range(image.n_frames):
            image.seek(i)
            frames.append(np.asarray(image.convert('L')))
        return np.stack(frames)


def run_in(tmp_path, vae):
    return vae._replace(folder=tmp_path)


def test_training_shows_the_saved_pictures_by_step(tmp_path, vae, caplog):
    """The frames are those of evenly chosen steps in order of their numbers."""
    caplog.set_level('INFO')
    run = run_in(tmp_path, vae)
    saved(run, range(100, 1000, 100))
    saved(run, [50], 'reconstructions')
    (tmp_path / 'samples' / 'seed-0.png').write_bytes(b'of another command')
    arrays = animate.apply(run, frames=3)
    np.testing.assert_array_equal(arrays['step'], [100, 500, 900])
    assert '3 of 9 pictures that training saved' in caplog.text
    path = tmp_path / 'applications' / 'animate-training-frames-3.gif'
    frames = frames_of(path)
    middle = frames.shape[2] // 2
    np.testing.assert_allclose(frames[:, 3, middle], [10, 50, 90], atol=2)
    np.testing.assert_array_equal(np.load(path.with_suffix('.npz'))['step'], [100, 500, 900])


def test_without_samples_training_shows_reconstructions(tmp_path, vae):
    run = run_in(tmp_path, vae)
    saved(run, [20, 10], 'reconstructions')
    np.testing.assert_array_equal(animate.apply(run)['step'], [10, 20])


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'%!PS-Adobe-3.0 EPSF-3.0\n', 'is not an image in a known format'),
        (b'\x89PNG\r\n\x1a\n' + bytes(40), 'samples-0000020.png'),
    ],
)
def test_a_file_that_is_no_picture_is_refused(tmp_path, vae, complaint, content, message):
    """Files of a stranger's run are read with the reader of pictures, in fixed formats only."""
    run = run_in(tmp_path, vae)
    saved(run, [10])
    (tmp_path / 'samples' / 'samples-0000020.png').write_bytes(content)
    assert message in complaint(animate.apply, run)


def test_one_picture_is_not_enough(tmp_path, vae, complaint):
    run = run_in(tmp_path, vae)
    saved(run, [10])
    line = complaint(animate.apply, run)
    assert 'has 1 picture that training saved' in line and '--config.train.evaluate_every' in line


def test_a_walk_visits_its_codes_and_is_closed():
    """A walk on a circle through four points turns evenly and ends a step before its start."""
    angles = np.arange(4) * np.pi / 2
    stops = np.stack([np.cos(angles), np.sin(angles)], -1)
    codes = animate.closed(np.stack([stops, 2 * stops]), 12, dims=2)
    turned = np.arange(12) * np.pi / 6
    expected = np.stack([np.cos(turned), np.sin(turned)], -1)
    np.testing.assert_allclose(codes, [expected, 2 * expected], atol=1e-6)


@pytest.mark.parametrize('degrees', [30, 90, 179])
def test_an_arc_turns_and_grows_evenly(degrees):
    """Nearly opposite codes of different lengths stay between their lengths."""
    angle, t = np.deg2rad(degrees), np.linspace(0, 1, 7)
    points = animate.arc(np.array([2.0, 0]), 5 * np.array([np.cos(angle), np.sin(angle)]), t)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 2 + 3 * t, rtol=1e-9)
    turned = np.arctan2(points[:, 1], points[:, 0])
    np.testing.assert_allclose(turned, t * angle, atol=1e-9)


def test_from_the_origin_an_arc_is_a_line():
    t = np.linspace(0, 1, 3)
    np.testing.assert_allclose(animate.arc(np.zeros(2), np.ones(2), t), t[:, None] * np.ones(2))


def test_the_class_at_the_end_of_a_code_changes_linearly():
    stops = np.array([[[1.0, 0, 1, 0], [0, 1, 0, 1]]])
    codes = animate.closed(stops, 8, dims=2)[0]
    np.testing.assert_allclose(codes[:, 2], [1, 0.75, 0.5, 0.25, 0, 0.25, 0.5, 0.75])
    np.testing.assert_allclose((codes[:, :2] ** 2).sum(1), 1, atol=1e-6)


def test_a_walk_joins_codes_of_test_images(tmp_path, vae):
    """The codes are those of --mode=interpolate with the same seed."""
    run = run_in(tmp_path, vae)
    options = dict(of='walk', frames=6, num_samples=2, num_codes=2, seed=3)
    arrays = perform(animate.APPLICATION, run, **options)
    assert arrays['x'].shape == (2, 6, 8, 8, 1)
    pairs = interpolate.apply(run, num_pairs=2, num_points=2, seed=3)
    ends = pairs['codes'][:, 1]
    np.testing.assert_allclose(arrays['codes'][:, [0, 3]], ends, rtol=1e-5, atol=1e-5)
    names = {path.name for path in (tmp_path / 'applications').glob('animate*')}
    name = 'animate-walk-seed-3-frames-6-num_codes-2'
    assert names == {f'{name}.gif', f'{name}.npz'}
    assert len(frames_of(tmp_path / 'applications' / f'{name}.gif')) == 6


@pytest.mark.slow
def test_without_an_encoder_a_walk_starts_at_samples(tmp_path, gan):
    run = gan._replace(folder=tmp_path)
    arrays = animate.apply(run, of='walk', frames=4, num_samples=2, num_codes=2, seed=5)
    samples = sample.apply(run, 4, seed=5).reshape(2, 2, 8, 8, 1)
    np.testing.assert_allclose(arrays['x'][:, [0, 2]], samples, rtol=1e-4, atol=1e-4)
    assert animate.reads(run, of='walk') == ''


@pytest.mark.slow
def test_a_trajectory_ends_at_the_samples(tmp_path):
    run = assembled(tmp_path, 'diffusion', 'moons,debug', model__network='mlp')
    arrays = animate.apply(run, of='trajectory', frames=3, num_samples=5, seed=2)
    np.testing.assert_array_equal(arrays['step'], [1, 3, 4])
    samples = sample.apply(run, num_samples=5, seed=2)
    np.testing.assert_allclose(arrays['x'][:, -1], samples, atol=1e-4)
    frames = frames_of(tmp_path / 'applications' / 'animate-trajectory-seed-2-frames-3.gif')
    assert len(frames) == 3


def test_points_move_between_axes_that_stay():
    """Of a cloud that moves, only the points and the caption change."""
    x = np.random.default_rng(0).normal(size=(40, 1, 2))
    moved = np.concatenate([x, x + 3], axis=1)
    first, last = _frames.pictures({'a': moved, 'b': moved}, Spec((2,), None, None), ['1', '1'])
    assert first.shape == last.shape
    changes = (first != last).any(-1)
    ink = (first < 255).any(-1)
    assert changes.any() and not changes[:60].any()  # the caption is the same
    assert not changes[-60:].any() and ink[-60:].any()  # the labels of the axes


def test_frames_of_images_have_one_scale_of_grey():
    """Real-valued images that become brighter do so in the frames too."""
    x = np.stack([np.zeros((2, 2)), np.full((2, 2), 5.0), np.full((2, 2), 10.0)])[None]
    frames = _frames.pictures({'': x}, Spec((2, 2), None, None), ['', '', ''])
    size = (frames[0].shape[0] - animate.animation.TEXT_SIZE) // 2
    assert [frame[size, size].tolist()[0] for frame in frames] == [0, 128, 255]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(of='film'), '--of=film: choose one of training, trajectory, walk'),
        (dict(of='trajectory'), 'has no sampling trajectory: choose --of=training or --of=walk'),
        (dict(frames=1), '--frames=1: it must be at least 2'),
        (dict(frames=301), '--frames=301: it must be at most 300'),
        (dict(frames_per_second=51), 'it must be at most 50'),
        (dict(of='walk', num_codes=1), '--num_codes=1: it must be at least 2'),
        (dict(of='walk', num_samples=200), 'has 447 examples, fewer than 800'),
        (dict(seed=-1), '--seed=-1'),
        (dict(labels='1'), '--labels=1: the model of'),
    ],
)
def test_bad_options_raise_one_line(vae, complaint, options, message):
    assert message in complaint(animate.apply, vae, **options)


def test_labels_are_of_a_trajectory(tmp_path, complaint):
    run = assembled(tmp_path, 'cvae')
    saved(run, [10, 20])
    assert animate.apply(run)['step'].tolist() == [10, 20]
    line = complaint(animate.apply, run, labels='1')
    assert line == '--labels=1: only --of=trajectory draws samples: leave it out'


def test_texts_and_classifiers_are_refused(tmp_path, complaint):
    text = assembled(tmp_path, 'markov', 'text,debug')
    assert 'its samples are texts' in complaint(perform, animate.APPLICATION, text)
    classifier = assembled(tmp_path, 'classifier')
    line = complaint(perform, animate.APPLICATION, classifier)
    assert 'has no sampler or reconstruction or sampling trajectory or decoder' in line


@pytest.mark.parametrize(
    'shape',
    [
        (1,),
        pytest.param((5,), marks=pytest.mark.slow),
        pytest.param((30, 1), marks=pytest.mark.slow),
    ],
)
def test_values_tables_and_signals_have_frames(shape):
    x = np.random.default_rng(0).normal(size=(20, 2, *shape))
    frames = _frames.pictures({'': x}, Spec(shape, None, None), ['step 1', 'step 2'])
    assert len(frames) == 2 and all(frame.ndim == 3 for frame in frames)
