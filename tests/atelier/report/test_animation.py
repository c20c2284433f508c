"""Animations: what was written, read back by Pillow, and what ffmpeg is given."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from atelier.report import animation

GREY = [np.full((12, 16, 1), 20 * i, np.uint8) for i in range(5)]
COLOURED = [np.full((12, 16, 3), (250 - 40 * i, 10, 40 * i), np.uint8) for i in range(5)]


@pytest.fixture
def no_ffmpeg(monkeypatch, tmp_path):
    monkeypatch.setenv('PATH', str(tmp_path))


def read(path):
    """Returns the frames [frames, height, width, 3], their milliseconds and the number of loops."""
    with Image.open(path) as image:
        frames, durations = [], []
        for i in range(image.n_frames):
            image.seek(i)
            durations.append(image.info['duration'])
            frames.append(np.asarray(image.convert('RGB')))
        return np.stack(frames).astype(int), durations, image.info['loop']


@pytest.mark.parametrize(('frames', 'tolerance'), [(GREY, 2), (COLOURED, 8)])
def test_a_gif_has_every_frame_and_repeats(tmp_path, no_ffmpeg, frames, tolerance):
    """The frames have their colours, their order and their times, and the last one stands."""
    paths = animation.save(tmp_path / 'a.npz', frames, frames_per_second=10, hold=1.0)
    assert paths == [tmp_path / 'a.gif']
    written, durations, loop = read(paths[0])
    assert (durations, loop) == ([100, 100, 100, 100, 1000], 0)  # 0: for ever
    expected = np.stack([np.broadcast_to(frame, (12, 16, 3)) for frame in frames]).astype(int)
    assert abs(written - expected).max() <= tolerance


def test_white_stays_white_among_many_colours(tmp_path, no_ffmpeg):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    noise[:10], noise[10:20] = 255, 0
    animation.save(tmp_path / 'a.gif', [noise, noise[::-1]], 5)
    written, _, _ = read(tmp_path / 'a.gif')
    assert (written[0, :10] == 255).all() and (written[0, 10:20] == 0).all()


def test_a_large_gif_has_fewer_colours(tmp_path, monkeypatch, no_ffmpeg):
    frames = [np.arange(256, dtype=np.uint8).reshape(16, 16, 1)] * 2
    animation.save(tmp_path / 'a.gif', frames, 5)
    monkeypatch.setattr(animation, 'LARGE', 100)
    animation.save(tmp_path / 'b.gif', frames, 5)
    numbers = [len(np.unique(read(tmp_path / name)[0])) for name in ('a.gif', 'b.gif')]
    assert numbers == [64, 24]


def test_smaller_frames_stand_in_the_middle_of_white(tmp_path, no_ffmpeg):
    animation.save(tmp_path / 'a.gif', [GREY[0], np.zeros((8, 10, 1), np.uint8)], 5)
    written, _, _ = read(tmp_path / 'a.gif')
    is_dark = written[1, ..., 0] == 0
    assert is_dark.sum() == 8 * 10 and is_dark[2:10, 3:13].all()
    assert (written[1][~is_dark] == 255).all()


def test_large_pictures_are_reduced():
    """No side is longer than 1,200 pixels, and many frames have fewer pixels together."""
    large = np.zeros((300, 2400, 3), np.uint8)
    assert animation.reduced(large).shape == (150, 1200, 3)
    many = animation.reduced(np.zeros((1000, 1000, 1), np.uint8), 300)
    assert 300 * many.shape[0] * many.shape[1] <= animation.MAX_PIXELS
    assert animation.reduced(GREY[0]) is GREY[0]


@pytest.mark.parametrize(
    ('n', 'most', 'indices'),
    [(5, 9, [0, 1, 2, 3, 4]), (9, 3, [0, 4, 8]), (1, 4, [0]), (7, 7, [*range(7)])],
)
def test_frames_are_chosen_evenly(n, most, indices):
    assert animation.evenly(n, most) == indices


def test_a_caption_is_drawn_and_never_cut():
    """The picture stays as it is; a long text makes it wider."""
    picture = np.full((12, 60, 3), 9, np.uint8)
    short = animation.captioned(picture, '1')
    assert (short[:12] == picture).all() and (short[12:] < 100).any()
    wide = animation.captioned(COLOURED[0], 'step 1,000 of 2,000')
    assert wide.shape[1] > 100
    margin = animation.MARGIN - 1
    assert (wide[12:, :margin] == 255).all() and (wide[12:, -margin:] == 255).all()
    above = animation.captioned(picture, '1', is_above=True)
    assert (above[-12:] == picture).all()


def test_pictures_side_by_side_keep_their_pixels():
    both = animation.beside([GREY[0], COLOURED[1][:6]])
    assert both.shape == (12, 16 + 2 * animation.MARGIN + 16, 3)
    assert (both[:, :16] == GREY[0]).all() and (both[3:9, -16:] == COLOURED[1][:6]).all()


def fake_ffmpeg(folder, body):
    """A program `ffmpeg` in `folder` that runs this Python."""
    folder.mkdir()
    program = folder / 'ffmpeg'
    program.write_text(f'#!{sys.executable}\nimport sys\n{body}\n')
    program.chmod(0o755)
    return folder


def test_ffmpeg_gets_every_pixel_by_a_pipe(tmp_path, monkeypatch):
    """The frames are raw pixels of even sizes; nothing comes from a shell or a file of frames."""
    body = (
        'frames = sys.stdin.buffer.read()\n'
        "size = sys.argv[sys.argv.index('-video_size') + 1]\n"
        "open(sys.argv[-1], 'wb').write(size.encode() + b' ' + str(len(frames)).encode())"
    )
    monkeypatch.setenv('PATH', str(fake_ffmpeg(tmp_path / 'bin', body)))
    frames = [np.zeros((5, 7, 3), np.uint8)] * 3
    paths = animation.save(tmp_path / 'a.npz', frames, 10)
    assert paths[1:] == [tmp_path / 'a.mp4']
    num_held = 14  # of 1.5 seconds at 10 frames a second, the first is the last frame itself
    assert paths[1].read_text() == f'8x6 {(3 + num_held) * 6 * 8 * 3}'


def test_a_real_ffmpeg_makes_an_mp4_that_plays(tmp_path):
    """Decoded again, it has the frames, in the format that every player knows."""
    program = animation.ffmpeg()
    if program is None:
        pytest.skip('there is no ffmpeg on the PATH')
    frames = np.full((6, 61, 83, 3), 255, np.uint8)
    for i, frame in enumerate(frames):
        frame[10:40, 10 * i : 10 * i + 30] = 0, 114, 178  # blue of the figures
    path = animation.save(tmp_path / 'a.npz', [*frames], 10, hold=0.5)[1]
    options = ['-loglevel', 'error', '-i', str(path), '-f', 'rawvideo', '-pix_fmt', 'rgb24', '-']
    raw = subprocess.run([program, *options], capture_output=True, check=True).stdout
    decoded = np.frombuffer(raw, np.uint8).reshape(-1, 62, 84, 3).astype(int)
    assert len(decoded) == 6 + 4  # the last frame stands for half a second
    error = np.abs(decoded[:6, :61, :83] - frames)
    assert error.mean() < 3 and (error[:, 14:36, :4] < 12).all()
    inside = [decoded[i, 15:35, 10 * i + 5 : 10 * i + 25] for i in range(6)]
    assert np.abs(np.mean(inside, (0, 1, 2)) - (0, 114, 178)).max() < 4
    shown = subprocess.run([program, '-i', str(path)], capture_output=True, text=True).stderr
    assert 'h264' in shown and 'yuv420p(tv, bt709' in shown and '84x62' in shown


def test_an_ffmpeg_that_fails_leaves_the_gif(tmp_path, monkeypatch, caplog):
    body = "sys.exit('Unknown encoder')"
    monkeypatch.setenv('PATH', str(fake_ffmpeg(tmp_path / 'bin', body)))
    assert animation.save(tmp_path / 'a.npz', GREY, 10) == [tmp_path / 'a.gif']
    assert 'no MP4' in caplog.text and 'Unknown encoder' in caplog.text


def test_an_ffmpeg_in_the_current_folder_is_not_started(tmp_path, monkeypatch, caplog):
    """A relative folder of the PATH may be the folder of a run from a stranger."""
    caplog.set_level('INFO')
    fake_ffmpeg(tmp_path / 'bin', "sys.exit('started')")
    monkeypatch.chdir(tmp_path / 'bin')
    monkeypatch.setenv('PATH', ':.')
    assert animation.ffmpeg() is None
    animation.save(tmp_path / 'a.npz', GREY, 10)
    assert 'no MP4: there is no ffmpeg on the PATH' in caplog.text
