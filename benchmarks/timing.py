"""Timing of all benchmarks: the compared variants (arms) alternate, so load affects all alike."""

import math
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np


def alternate(
    arms: Mapping[str, Callable[[], None]], repeats: int, seconds: float = math.inf
) -> dict[str, np.ndarray]:
    """Calls each arm once to warm up, then all in turn; returns seconds [repeats] of each arm.

    Args:
      arms: functions of no arguments, by name.
      repeats: number of calls of each arm that are timed.
      seconds: time limit. No call begins after it, or if the arm's last repeat took longer than
        what is left. All arms then have as many repeats as the one with the fewest, and an arm
        without any is left out.
    """
    clocked = {name: lambda limit, arm=arm: _seconds_of(arm) for name, arm in arms.items()}
    return alternate_clocked(clocked, repeats, seconds)


def alternate_clocked(
    arms: Mapping[str, Callable[[float], float]], repeats: int, seconds: float = math.inf
) -> dict[str, np.ndarray]:
    """As `alternate`, of arms that take the seconds left and return those that their call took.

    An arm that raises TimeoutError has not finished in the time left. It is not called again.
    """
    end, times, gone = time.monotonic() + seconds, {name: [] for name in arms}, set()
    for repeat in range(repeats + 1):
        for name, arm in arms.items():
            left = end - time.monotonic()
            if name in gone or left <= 0 or (times[name] and times[name][-1] > left):
                continue
            try:
                took = arm(left)
            except TimeoutError:
                gone.add(name)
            else:
                times[name] += [took] if repeat else []  # the first call may compile
    measured = {name: values for name, values in times.items() if values}
    count = min(map(len, measured.values()), default=0)
    return {name: np.asarray(values[:count]) for name, values in measured.items()}


def _seconds_of(arm: Callable[[], None]) -> float:
    start = time.perf_counter()
    arm()
    return time.perf_counter() - start


def spread(values: np.ndarray, digits: int = 2) -> str:
    """Returns 'median (lowest to highest)'."""
    median, low, high = median_and_range(values)
    return f'{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})'


def median_and_range(values: Sequence[float]) -> tuple[float, float, float]:
    """Returns median, lowest and highest value."""
    return float(np.median(values)), float(np.min(values)), float(np.max(values))
