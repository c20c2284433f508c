"""Simulators with known posteriors: x are a simulator's parameters, the condition is its data.

    python main.py --config=configs/posterior.py:two_moons_posterior

| name | parameters | data |
|---|---|---|
| `gaussian_linear` | 3, from N(0, I) | 4: a matrix times the parameters, plus noise |
| `two_moons_posterior` | 2, uniform on [-1, 1]^2 | 2: a point on a crescent that they shift |

A model of x given the condition is then the posterior p(parameters | data), for any data: inference
by simulation. The posterior of `gaussian_linear` is Gaussian. That of `two_moons_posterior`
(Greenberg et al. 2019, Automatic posterior transformation, appendix) has two thin crescents,
because the data depend on the absolute value of the sum of the parameters. The training split has
100,000 pairs, the validation and test splits 10,000 each. The pairs are the same for every run.
"""

import math
import statistics
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from atelier.data.conditions.condition import KEY
from atelier.data.conditions.numbers import Numbers
from atelier.data.dataset import Dataset, Spec

SIZES = {'train': 100_000, 'valid': 10_000, 'test': 10_000}
Parameters = Float[np.ndarray, 'n parameters']
Data = Float[np.ndarray, 'n data']
Pairs = tuple[Parameters, Data]

MATRIX = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -0.5], [0.5, 0.0, 1.0], [1.0, -1.0, 0.5]])
NOISE = 0.5  # standard deviation
RADIUS, WIDTH, AHEAD = 0.1, 0.01, 0.25  # of a crescent: mean and std of its radius, its centre
NUM_RADII, NUM_ANGLES = 64, 512  # of the quadrature over a crescent, equally likely


def _gaussian_linear(random: np.random.RandomState, n: int) -> Pairs:
    theta = random.normal(size=(n, 3))
    return theta, theta @ MATRIX.T + NOISE * random.normal(size=(n, 4))


def gaussian_linear_posterior(
    data: Data,
) -> tuple[Float[np.ndarray, 'n 3'], Float[np.ndarray, '3 3']]:
    """Returns the means, and the covariance that they share, of p(parameters | data).

    Example:
      >>> mean, covariance = gaussian_linear_posterior(np.zeros((1, 4)))
      >>> mean.tolist(), covariance.round(3).diagonal().tolist()
      ([[0.0, 0.0, 0.0]], [0.13, 0.13, 0.231])
    """
    covariance = np.linalg.inv(np.eye(3) + MATRIX.T @ MATRIX / NOISE**2)
    return data @ MATRIX @ covariance / NOISE**2, covariance


def _gaussian_linear_log_posterior(theta: Parameters, data: Data) -> Float[np.ndarray, 'n']:
    mean, covariance = gaussian_linear_posterior(data)
    away = np.linalg.solve(np.linalg.cholesky(covariance), (theta - mean).T)
    _, log_det = np.linalg.slogdet(2 * math.pi * covariance)
    return -0.5 * (np.square(away).sum(0) + log_det)


def _two_moons(random: np.random.RandomState, n: int) -> Pairs:
    theta = random.uniform(-1, 1, size=(n, 2))
    angle = random.uniform(-math.pi / 2, math.pi / 2, size=n)
    radius = RADIUS + WIDTH * random.normal(size=n)
    crescent = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    across, along = _turned(theta)
    return theta, crescent + np.stack([AHEAD - np.abs(across), along], 1)


def _turned(theta: Parameters) -> tuple[np.ndarray, np.ndarray]:
    """Returns (theta_1 + theta_2, theta_2 - theta_1) / sqrt(2), each [n]."""
    first, second = theta.T
    return (first + second) / math.sqrt(2), (second - first) / math.sqrt(2)


def two_moons_log_joint(theta: Parameters, data: Data) -> Float[np.ndarray, 'n']:
    """Returns log p(parameters) + log p(data | parameters) in nats.

    A point (r cos a, r sin a) of the crescent has the density N(r; RADIUS, WIDTH^2) / (pi r).
    """
    across, along = _turned(theta)
    point = data - np.stack([AHEAD - np.abs(across), along], 1)
    radius = np.maximum(np.hypot(*point.T), np.finfo(float).tiny)
    log_likelihood = -0.5 * np.square((radius - RADIUS) / WIDTH) - np.log(math.pi * radius)
    log_likelihood -= math.log(WIDTH * math.sqrt(2 * math.pi))
    is_possible = (point[:, 0] > 0) & (np.abs(theta).max(1) <= 1)
    return np.where(is_possible, log_likelihood - math.log(4), -np.inf)


def _two_moons_log_posterior(theta: Parameters, data: Data) -> Float[np.ndarray, 'n']:
    return two_moons_log_joint(theta, data) - np.log(two_moons_evidence(data))


def two_moons_evidence(data: Data) -> Float[np.ndarray, 'n']:
    """Returns p(data): an integral over the crescent, which two parameters fold to the same point.

    Each point of the crescent fits the parameters whose turned coordinates are +-(point + AHEAD -
    data) across and data - point along, if they are in the prior's square, turned on its corner.
    """
    middles = lambda n: (np.arange(n) + 0.5) / n
    radius = [statistics.NormalDist(RADIUS, WIDTH).inv_cdf(p) for p in middles(NUM_RADII)]
    angle = (middles(NUM_ANGLES) - 0.5) * math.pi
    x, y = np.outer(radius, np.cos(angle)), np.outer(radius, np.sin(angle))

    def share_inside(first: float, second: float) -> float:
        across, along = x + AHEAD - first, np.abs(second - y)
        return np.mean((across >= 0) & (across + along <= math.sqrt(2)))

    return np.array([share_inside(*row) for row in data.tolist()]) / 2


DRAWS: dict[str, Callable[[np.random.RandomState, int], Pairs]] = {
    'gaussian_linear': _gaussian_linear,
    'two_moons_posterior': _two_moons,
}
LOG_POSTERIORS: dict[str, Callable] = {  # ([n, parameters], [n, data]) -> log density [n] in nats
    'gaussian_linear': _gaussian_linear_log_posterior,
    'two_moons_posterior': _two_moons_log_posterior,
}


def load(name: str) -> Dataset:
    """Returns the parameters of simulator `name` as x, and its data as the condition."""
    splits = {}
    for seed, (split, size) in enumerate(SIZES.items()):
        theta, data = DRAWS[name](np.random.RandomState(seed), size)  # NumPy guarantees its stream
        splits[split] = {'x': theta.astype(np.float32), KEY: data.astype(np.float32)}
    names = tuple(f'parameter {i}' for i in range(1, theta.shape[1] + 1))
    condition = Numbers(tuple(f'data {i}' for i in range(1, data.shape[1] + 1)))
    spec = Spec(theta.shape[1:], None, None, column_names=names, condition=condition)
    description = f'{name.replace("_", " ")}: parameters of a simulator, given its data'
    return Dataset(name, spec, splits, description)
