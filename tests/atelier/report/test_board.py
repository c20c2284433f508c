"""TensorBoard's files: points, pictures of a bounded size, and a full disk."""

import errno
import os

import numpy as np
import pytest
from support import board_events, board_pictures

from atelier.report import board
from atelier.report.board import Board


def test_points_have_names_values_and_steps(tmp_path):
    """A file that continues a run hides the steps after the one from which it continues."""
    for first, value in ((1, 2.5), (7, -1.0)):
        events = Board(tmp_path / 'b', first)
        events.add_scalar('train/loss', value, first)
        events.close()
    found = board_events(tmp_path / 'b')
    points = [(e.step, v.tag, v.simple_value) for e in found for v in e.summary.value]
    assert sorted(points) == [(1, 'train/loss', 2.5), (7, 'train/loss', -1.0)]
    starts = [e.step for e in found if e.HasField('session_log')]
    assert sorted(starts) == [1, 7]


@pytest.mark.parametrize('shape', [(30, 5000, 3), (3000, 40, 1), (1, 1, 1)])
def test_a_large_picture_is_reduced(tmp_path, shape):
    events = Board(tmp_path / 'b', 1)
    events.add_picture('samples', np.full(shape, 77, np.uint8), 5)
    events.close()
    ((name, step, image),) = board_pictures(tmp_path / 'b')
    assert (name, step) == ('samples', 5)
    assert max(image.size) <= board.MAX_SIDE
    ratio = shape[1] / shape[0]
    assert image.width / image.height == pytest.approx(ratio, rel=0.2)
    assert np.asarray(image).min() == np.asarray(image).max() == 77


def test_a_picture_of_many_bytes_is_reduced(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    events = Board(tmp_path / 'b', 1)
    events.add_picture('samples', noise, 1)
    events.close()
    (path,) = (tmp_path / 'b').iterdir()
    assert path.stat().st_size < 1.1 * board.MAX_BYTES
    ((_, _, image),) = board_pictures(tmp_path / 'b')
    assert 200 <= image.width < 600


def test_a_full_disk_is_an_error_where_it_is_written(tmp_path):
    """No thread waits, and none dies with a traceback."""
    events = Board(tmp_path / 'b', 1)
    full = os.open('/dev/full', os.O_WRONLY)
    os.dup2(full, events._events._py_recordio_writer._writer.fileno())
    os.close(full)
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    with pytest.raises(OSError) as error:
        for step in range(20):
            events.add_picture('samples', noise, step)
    assert error.value.errno == errno.ENOSPC


def test_the_command_quotes_the_folder(tmp_path):
    assert board.command(tmp_path / 'a b') == f"tensorboard --logdir='{tmp_path}/a b'"
