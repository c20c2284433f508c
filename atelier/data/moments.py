"""Mean and standard deviation of real-valued data."""

import numpy as np


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and standard deviation per column of a table, otherwise over all values."""
    columns = x if x.ndim == 2 else x.reshape(-1, 1)
    # the std of a constant is not exactly 0, because its mean is rounded
    is_constant = columns.min(0) == columns.max(0)
    std = np.where(is_constant, 0.0, columns.std(0, np.float64))
    return columns.mean(0, np.float64), std
