"""How codes and a number of their examples depend on each other, by linear regression."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

RIDGE = 1e-3  # of the mean variance of a dimension of the codes


class Regression(NamedTuple):
    """The direction in which codes change with a number, and the number as codes tell it.

    direction: [latent], the change of the mean code when the number rises by 1 (least squares).
      If the number is 0 or 1, it is the difference of the two mean codes.
    weights: [k], how the number is read from the first k dimensions of a code. They are those of a
      ridge regression, multiplied so that a step along the direction adds 1 to what is read.
    shrinkage: what the ridge regression predicts of such a step; it is near R^2.
    mean_code, mean: [k] and a number, the means of the examples.
    """

    direction: Float[np.ndarray, 'latent']
    weights: Float[np.ndarray, 'k']
    shrinkage: float
    mean_code: Float[np.ndarray, 'k']
    mean: float

    def read(self, codes: Float[np.ndarray, '*n latent']) -> Float[np.ndarray, '*n']:
        """Returns the number that is read from codes, without shrinking it to the mean."""
        return self.mean + (codes[..., : len(self.weights)] - self.mean_code) @ self.weights

    def predicted(self, codes: Float[np.ndarray, '*n latent']) -> Float[np.ndarray, '*n']:
        """Returns the ridge regression's prediction of the number."""
        return self.mean + self.shrinkage * (self.read(codes) - self.mean)


def regression_of(
    codes: Float[np.ndarray, 'n latent'], number: Float[np.ndarray, 'n'], num_read: int
) -> Regression:
    """Fits a number that is not constant.

    Args:
      codes: of the examples.
      number: of each example.
      num_read: dimensions k of a code from which the number is read.
    """
    mean_code, mean = codes.mean(0, np.float64), number.mean()
    codes, number = codes - mean_code, number - mean
    direction = number @ codes / (number @ number)
    weights = _ridge(codes[:, :num_read], number)
    shrinkage = float(weights @ direction[:num_read])
    weights = weights / shrinkage if shrinkage > 0 else weights
    return Regression(direction, weights, shrinkage, mean_code[:num_read], float(mean))


def _ridge(x: Float[np.ndarray, 'n k'], y: Float[np.ndarray, 'n']) -> Float[np.ndarray, 'k']:
    """Returns the weights of centred y on centred x, by the smaller of two equal systems."""
    n, k = x.shape
    penalty = (RIDGE * np.mean(x**2) or 1.0) * n
    if k <= n:
        return np.linalg.solve(x.T @ x + penalty * np.eye(k), x.T @ y)
    return x.T @ np.linalg.solve(x @ x.T + penalty * np.eye(n), y)


def r_squared(predicted: Float[np.ndarray, 'n'], number: Float[np.ndarray, 'n']) -> float | None:
    """Returns 1 - squared error / squared error of the mean; None of a constant number."""
    total = np.sum((number - number.mean()) ** 2) if len(number) else 0.0
    return float(1 - np.sum((number - predicted) ** 2) / total) if total > 0 else None


def correlation(a: Float[np.ndarray, 'n'], b: Float[np.ndarray, 'n']) -> float | None:
    """Returns the correlation of two numbers; None if one is constant."""
    if not len(a):
        return None
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else None


def slope(values: Float[np.ndarray, 'n s'], steps: Float[np.ndarray, 's']) -> float | None:
    """Returns the least-squares slope of values over steps; None of a single step."""
    centred = steps - steps.mean()
    scale = centred @ centred
    return float((values @ centred).mean() / scale) if scale > 0 else None
