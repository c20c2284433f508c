"""Drawings in a thread: their order, their errors, and the time that they may take."""

import threading

import pytest

from atelier.errors import UserError
from atelier.training.drawing_thread import (
    FIRST_SECONDS,
    LATER_SECONDS,
    MOST_SECONDS,
    MOST_SHARE,
    DrawingThread,
    DrawingTime,
)

WARN = DrawingThread._warn  # the fixture `drawn_pictures` replaces it


def fail(error):
    raise error


def test_drawings_keep_their_order_and_do_not_block_the_caller():
    thread, may_go_on, drawn = DrawingThread(), threading.Event(), []
    ended = [thread.start(lambda: (may_go_on.wait(), drawn.append(0)))]
    ended += [thread.start(lambda i=i: drawn.append(i)) for i in (1, 2)]
    assert drawn == [] and not ended[0].is_set()
    may_go_on.set()
    for each in ended:
        assert each.wait(10)
    assert drawn == [0, 1, 2]
    assert thread.start(lambda: drawn.append(3)).wait(10)  # after the thread has ended
    assert drawn[-1] == 3


def test_a_full_disk_is_raised_once_where_training_looks():
    thread = DrawingThread()
    assert thread.start(lambda: fail(UserError('cannot write x'))).wait(10)
    with pytest.raises(UserError, match='cannot write x'):
        thread.check()
    thread.check()


def test_any_other_error_is_a_warning_once_and_later_pictures_are_drawn(monkeypatch, caplog):
    monkeypatch.setattr(DrawingThread, '_warn', WARN)
    thread, drawn = DrawingThread(), []
    for _ in range(3):
        assert thread.start(lambda: fail(ValueError('axis limits cannot be NaN\nmore'))).wait(10)
    assert thread.start(lambda: drawn.append(1)).wait(10)
    thread.check()
    assert drawn == [1]
    (record,) = caplog.records
    assert 'ValueError: axis limits cannot be NaN (' in record.getMessage()
    assert 'test_drawing_thread.py:' in record.getMessage()


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


def drawings(seconds, every, cost):
    """(number of drawings, their seconds) of a training with a validation every `every` seconds."""
    clock, count, spent = Clock(), 0, 0.0
    time = DrawingTime(clock)
    for i in range(1, round(seconds / every) + 1):
        clock.seconds = i * every
        is_last = i == round(seconds / every)
        if is_last or time.allows_one_more():
            cost_of_this = cost + (0.5 if count == 0 else 0.0)  # the first one imports
            time.add(cost_of_this)
            count, spent = count + 1, spent + cost_of_this
    return count, spent


@pytest.mark.parametrize('every', [1.0, 7.0])
def test_pictures_of_a_short_training_take_little_time(every):
    """At least those of the first and the last validation are drawn."""
    count, spent = drawings(70, every, cost=0.4)
    assert count >= 2
    assert spent <= MOST_SECONDS


@pytest.mark.parametrize('cost', [0.05, 0.4, 3.0])
def test_pictures_of_a_long_training_take_a_small_share_of_it(cost):
    count, spent = drawings(3600, 10.0, cost)
    assert spent <= MOST_SHARE * 3600
    assert count >= min(360, int(0.8 * MOST_SHARE * 3600 / cost))


def test_the_first_drawing_fits_into_a_short_training():
    assert FIRST_SECONDS + LATER_SECONDS <= MOST_SECONDS
