"""Timing of all benchmarks: the compared variants (arms) alternate, so load affects all alike."""

import time
from collections.abc import Callable

import numpy as np


def alternate(arms: dict[str, Callable[[], None]], repeats: int) -> dict[str, np.ndarray]:
    """Calls each arm once to warm up, then all in turn; returns seconds [repeats] of each arm."""
    for arm in arms.values():
        arm()
    seconds = {name: [] for name in arms}
    for _ in range(repeats):
        for name, arm in arms.items():
            start = time.perf_counter()
            arm()
            seconds[name].append(time.perf_counter() - start)
    return {name: np.asarray(values) for name, values in seconds.items()}


def keeping(arm: Callable[[], np.ndarray], losses: list) -> Callable[[], None]:
    """Returns a function that calls `arm` and appends its mean loss to `losses`."""
    return lambda: losses.append(float(np.mean(arm())))


def spread(values: np.ndarray, digits: int = 2) -> str:
    """Returns 'median (lowest to highest)'."""
    low, middle, high = np.min(values), np.median(values), np.max(values)
    return f'{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})'
