"""Arms alternate until the time is up; no test here measures time."""

import numpy as np
import pytest

from benchmarks import timing


@pytest.fixture
def clock(monkeypatch):
    """A clock that only the arms move: clock.now."""

    class Clock:
        now = 0.0

    monkeypatch.setattr(timing.time, 'monotonic', lambda: Clock.now)
    monkeypatch.setattr(timing.time, 'perf_counter', lambda: Clock.now)
    return Clock


def arms_of(clock, **durations):
    """Arms that take these seconds, and the list of their calls."""
    calls = []

    def arm(name):
        def call():
            calls.append(name)
            clock.now += durations[name]

        return call

    return {name: arm(name) for name in durations}, calls


def test_all_arms_warm_up_and_alternate(clock):
    arms, calls = arms_of(clock, a=1.0, b=2.0)
    seconds = timing.alternate(arms, 2)
    assert calls == ['a', 'b'] * 3
    np.testing.assert_allclose(seconds['a'], [1, 1])
    np.testing.assert_allclose(seconds['b'], [2, 2])


def test_no_call_begins_that_would_end_after_the_limit(clock):
    arms, calls = arms_of(clock, a=1.0, b=2.0)
    seconds = timing.alternate(arms, 100, 7.5)
    assert calls == ['a', 'b', 'a', 'b', 'a']
    assert clock.now <= 7.5
    assert {name: len(times) for name, times in seconds.items()} == {'a': 1, 'b': 1}


def test_an_arm_without_a_repeat_is_left_out(clock):
    arms, _ = arms_of(clock, a=1.0, slow=9.0)
    assert [*timing.alternate(arms, 3, 10.5)] == ['a']
    assert timing.alternate(arms, 3, 0.0) == {}


def test_a_first_call_that_compiles_does_not_predict_the_others(clock):
    durations = iter([50.0, 1.0, 1.0])

    def compiled():
        clock.now += next(durations)

    seconds = timing.alternate({'compiled': compiled}, 2, 60.0)
    np.testing.assert_allclose(seconds['compiled'], [1, 1])


def test_an_arm_that_does_not_finish_is_not_called_again():
    calls = []

    def never(left):
        calls.append(left)
        raise TimeoutError

    seconds = timing.alternate_clocked({'a': lambda left: 1.0, 'never': never}, 3)
    assert len(calls) == 1
    assert {name: len(times) for name, times in seconds.items()} == {'a': 3}
