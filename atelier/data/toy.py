"""Points in the plane from known densities: the usual first test of a generative model.

    python main.py --config=configs/vae.py:ring

| name | density |
|---|---|
| `ring` | 8 Gaussians on the unit circle, standard deviation 0.01 |
| `grid` | 25 Gaussians at {-4, -2, 0, 2, 4}^2, standard deviation 0.05 |
| `eight_gaussians` | 8 Gaussians on the circle of radius 4 / 1.414, std 0.5 / 1.414 |
| `moons` | two half circles with noise |
| `checkerboard` | uniform on 8 of the 16 squares of [-4, 4]^2 |

The first two are those of Srivastava et al. (2017), VEEGAN, and of Lin et al. (2018), PacGAN; the
others those of Grathwohl et al. (2019), FFJORD. The training split has 100,000 points, the
validation and test splits 10,000 each. The points are the same for every run. A label is the index
of the Gaussian, or of the moon.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from atelier.data.dataset import Dataset, Spec
from atelier.data.modes import Modes

SIZES = {'train': 100_000, 'valid': 10_000, 'test': 10_000}


NEAR = (
    3.0  # radius in standard deviations; holds 1 - exp(-4.5) = 98.89 % of a Gaussian in the plane
)


class Mixture(NamedTuple):
    """Equally likely isotropic Gaussians that share a standard deviation."""

    means: np.ndarray  # [modes, 2]
    std: float

    def draw(self, random: np.random.RandomState, n: int) -> dict[str, np.ndarray]:
        """Draws points, and the indices of their modes as labels."""
        label = random.randint(len(self.means), size=n)
        return {'x': self.means[label] + self.std * random.normal(size=(n, 2)), 'label': label}

    @property
    def modes(self) -> Modes:
        """One region per Gaussian, of radius `NEAR` standard deviations."""
        return Modes(self.means, NEAR * self.std, 2)

    def log_density(self, x: Float[Array, 'n 2']) -> Float[Array, 'n']:
        """Returns log p(x) in nats."""
        away = (x[:, None] - jnp.asarray(self.means, x.dtype)[None]) / self.std
        exponents = -0.5 * jnp.sum(jnp.square(away), -1)
        constant = math.log(len(self.means)) + math.log(2 * math.pi) + 2 * math.log(self.std)
        return jax.nn.logsumexp(exponents, axis=1) - constant


def _circle(radius: float) -> np.ndarray:
    angles = np.arange(8) * np.pi / 4
    return radius * np.stack([np.cos(angles), np.sin(angles)], 1)


_LINE = np.arange(-4.0, 5.0, 2.0)
MIXTURES = {
    'ring': Mixture(_circle(1.0), 0.01),
    'grid': Mixture(np.stack(np.meshgrid(_LINE, _LINE), -1).reshape(-1, 2), 0.05),
    'eight_gaussians': Mixture(_circle(4 / 1.414), 0.5 / 1.414),
}


def _moons(random: np.random.RandomState, n: int) -> dict[str, np.ndarray]:
    label = random.randint(2, size=n)
    angle = np.pi * random.uniform(size=n)
    upper = np.stack([np.cos(angle), np.sin(angle)], 1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], 1)
    x = np.where(label[:, None] == 0, upper, lower) + 0.1 * random.normal(size=(n, 2))
    return {'x': 2 * x + [-1.0, -0.2], 'label': label}


def _checkerboard(random: np.random.RandomState, n: int) -> dict[str, np.ndarray]:
    across = random.uniform(-2, 2, size=n)
    up = random.uniform(size=n) - 2 * random.randint(2, size=n) + np.floor(across) % 2
    return {'x': 2 * np.stack([across, up], 1)}


def _checkerboard_log_density(x: Float[Array, 'n 2']) -> Float[Array, 'n']:
    square = jnp.floor(x / 2)
    inside = jnp.all(jnp.abs(x) < 4, 1) & (jnp.sum(square, 1) % 2 == 0)
    return jnp.where(inside, -math.log(32), -jnp.inf)


_LOWER_LEFT_CORNERS = np.stack(
    np.meshgrid(np.arange(-4.0, 4.0, 2.0), np.arange(-4.0, 4.0, 2.0)), -1
)
_SQUARES = 1.0 + _LOWER_LEFT_CORNERS[_LOWER_LEFT_CORNERS.sum(-1) % 4 == 0]
MODES = {
    **{name: mixture.modes for name, mixture in MIXTURES.items()},
    'checkerboard': Modes(_SQUARES, 1.0, np.inf),
}
DRAWS: dict[str, Callable] = {
    **{name: mixture.draw for name, mixture in MIXTURES.items()},
    'moons': _moons,
    'checkerboard': _checkerboard,
}
LOG_DENSITIES: dict[str, Callable] = {  # [n, 2] -> [n] in nats; the moons' has no closed form
    **{name: mixture.log_density for name, mixture in MIXTURES.items()},
    'checkerboard': _checkerboard_log_density,
}


def load(name: str) -> Dataset:
    """Returns the points of density `name`."""
    splits = {}
    for seed, (split, size) in enumerate(SIZES.items()):
        arrays = DRAWS[name](np.random.RandomState(seed), size)  # NumPy guarantees its stream
        splits[split] = {'x': arrays['x'].astype(np.float32)}
        if 'label' in arrays:
            splits[split]['label'] = arrays['label'].astype(np.int32)
    label = splits['train'].get('label')
    spec = Spec((2,), None, None if label is None else int(label.max()) + 1)
    description = f'{name.replace("_", " ")}: points in the plane'
    return Dataset(name, spec, splits, description, modes=MODES.get(name))
