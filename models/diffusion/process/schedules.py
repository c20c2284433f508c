"""Noise schedules: how x becomes noise, x_t = alpha(t) x + sigma(t) eps, from t = 0 to t = 1.

A schedule says log alpha, log sigma and when a half log-SNR is reached; all else follows.
Which process it is (variance preserving, exploding, the straight lines of flow matching) is a
property of the two functions and of nothing else. All of them keep the precision of their argument.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float

Times = Float[Array, '*times']


class Schedule(NamedTuple):
    """q(x_t | x) = N(alpha(t) x, sigma(t)^2 I), elementwise in t.

    log_alpha, log_sigma: of t in [0, 1].
    time: the t at which log(alpha / sigma) has a value: the inverse of `half_log_snr`.
    first: the earliest t that sampling goes to, where there is still noise.
    last: the latest, where x_t is told from noise no more.
    num_steps: of a process that is defined at k / num_steps alone; None: at every time.
    """

    log_alpha: Callable[[Times], Times]
    log_sigma: Callable[[Times], Times]
    time: Callable[[Times], Times]
    first: float = 1e-3
    last: float = 1.0
    num_steps: int | None = None

    def alpha(self, t: Times) -> Times:
        """The scale of x in x_t."""
        return jnp.exp(self.log_alpha(t))

    def sigma(self, t: Times) -> Times:
        """The deviation of the noise in x_t."""
        return jnp.exp(self.log_sigma(t))

    def half_log_snr(self, t: Times) -> Times:
        """log(alpha / sigma): lambda in Lu et al. (2022a); it falls as t grows."""
        return self.log_alpha(t) - self.log_sigma(t)

    def last_std(self, dtype: DTypeLike) -> Float[Array, '']:
        """The deviation that x_t begins with in sampling: that at `last` of x of deviation 1."""
        return self.size(jnp.asarray(self.last, dtype))

    def size(self, t: Times) -> Times:
        """The deviation of x_t where that of x is 1; 1 where the variance is preserved."""
        return jnp.exp(self.log_size(t))

    def log_size(self, t: Times) -> Times:
        """Its logarithm."""
        return 0.5 * jnp.logaddexp(2 * self.log_alpha(t), 2 * self.log_sigma(t))

    def of_unit_size(self) -> 'Schedule':
        """That of x_t / size(t), which preserves the variance and has the same half log-SNR."""
        return self._replace(
            log_alpha=lambda t: self.log_alpha(t) - self.log_size(t),
            log_sigma=lambda t: self.log_sigma(t) - self.log_size(t),
        )

    def added_variance(self, t: Times, s: Times) -> Times:
        """Of x_t given x_s, s < t: sigma^2_(t|s) of Kingma et al. (2021), appendix A."""
        kept = self.alpha(t) / self.alpha(s) * self.sigma(s)
        return jnp.maximum(self.sigma(t) ** 2 - kept**2, 0.0)

    def rates(self, t: Times) -> tuple[Times, Times]:
        """The derivatives of alpha and sigma by t."""
        ones = jnp.ones_like(t)
        return jax.jvp(self.alpha, (t,), (ones,))[1], jax.jvp(self.sigma, (t,), (ones,))[1]


def variance_preserving(log_alpha: Callable, time_of_log_alpha: Callable, **ends) -> Schedule:
    """alpha^2 + sigma^2 = 1."""
    return Schedule(
        log_alpha,
        lambda t: 0.5 * jnp.log(-jnp.expm1(2 * log_alpha(t))),
        lambda half_log_snr: time_of_log_alpha(-0.5 * jnp.logaddexp(0.0, -2 * half_log_snr)),
        **ends,
    )


def linear(beta_min: float = 0.1, beta_max: float = 20.0) -> Schedule:
    """beta(t) = beta_min + t (beta_max - beta_min): Song et al. (2021), appendix B, VP SDE."""

    def log_alpha(t):
        return -0.25 * t**2 * (beta_max - beta_min) - 0.5 * t * beta_min

    def time(log_alpha):
        """The positive root of log_alpha's parabola, without a difference of near numbers."""
        root = jnp.sqrt(beta_min**2 - 4 * (beta_max - beta_min) * log_alpha)
        return -4 * log_alpha / (beta_min + root)

    return variance_preserving(log_alpha, time)


def cosine(offset: float = 0.008) -> Schedule:
    """alpha = cos(pi/2 (t + s) / (1 + s)) over its value at 0: Nichol and Dhariwal (2021), eq. 17.

    It ends a little before t = 1, where alpha is 0.
    """
    rate = 0.5 * math.pi / (1 + offset)
    start = rate * offset  # the angle at t = 0

    def log_alpha(t):
        """log(cos(start + rate t) / cos(start)), without a difference of near numbers."""
        fallen = 2 * jnp.sin(start + 0.5 * rate * t) * jnp.sin(0.5 * rate * t)
        return jnp.log1p(-fallen / math.cos(start))

    def time(log_alpha):
        fallen = math.sin(0.5 * start) ** 2 - 0.5 * math.cos(start) * jnp.expm1(log_alpha)
        return (2 * jnp.arcsin(jnp.sqrt(fallen)) - start) / rate

    return variance_preserving(log_alpha, time, last=0.9946)  # as Lu et al. (2022a), appendix D.2


def of_half_log_snr(half_log_snr: Callable, time: Callable) -> Schedule:
    """The variance-preserving process with a given log(alpha / sigma), from t = 0 to 1."""
    return Schedule(
        lambda t: -0.5 * jax.nn.softplus(-2 * half_log_snr(t)),
        lambda t: -0.5 * jax.nn.softplus(2 * half_log_snr(t)),
        time,
        first=0.0,
    )


def log_linear(high: float = 6.65, low: float = -2.5) -> Schedule:
    """log(alpha / sigma) falls from `high` to `low` in a line.

    By default between the ends of Kingma et al. (2021), appendix B, where a learned one begins.
    """
    return of_half_log_snr(
        lambda t: high + t * (low - high), lambda half_log_snr: (high - half_log_snr) / (high - low)
    )


def straight() -> Schedule:
    """x_t = (1 - t) x + t eps: rectified flow (Liu et al. 2023), conditional optimal transport.

    Lipman et al. (2023), equation 22, with sigma_min = 0 and t from data to noise.
    """
    return Schedule(
        lambda t: jnp.log1p(-t),
        jnp.log,
        lambda half_log_snr: jax.nn.sigmoid(-half_log_snr),
        last=1.0 - 1e-3,  # where x cannot be told: later ones cost steps of the half log-SNR
    )


def exploding(sigma_min: float = 0.002, sigma_max: float = 80.0) -> Schedule:
    """alpha = 1, sigma linear in t: Karras et al. (2022), section 3, time scaled to [0, 1]."""
    return Schedule(
        jnp.zeros_like,
        lambda t: jnp.log(t * sigma_max),
        lambda half_log_snr: jnp.exp(-half_log_snr) / sigma_max,
        first=sigma_min / sigma_max,
    )


def discrete(num_steps: int = 1000, beta_first: float = 1e-4, beta_last: float = 0.02) -> Schedule:
    """The process of Ho et al. (2020), section 4: `of_betas` that grow in a line."""
    return of_betas(np.linspace(beta_first, beta_last, num_steps))


def discrete_cosine(num_steps: int = 1000, offset: float = 0.008) -> Schedule:
    """`cosine` in steps, no beta above 0.999: Nichol and Dhariwal (2021), section 3.2."""
    places = np.linspace(0.0, 1.0, num_steps + 1)
    squares = np.cos(0.5 * math.pi * (places + offset) / (1 + offset)) ** 2  # up to a factor
    return of_betas(np.minimum(1 - squares[1:] / squares[:-1], 0.999))


def of_betas(betas: Float[np.ndarray, 'steps']) -> Schedule:
    """Step k, which adds noise of variance betas[k - 1], lies at t = k / steps.

    Between two steps log alpha is linear: Lu et al. (2022a), appendix D.2.
    """
    num_steps = len(betas)
    table = np.concatenate([[0.0], 0.5 * np.cumsum(np.log1p(-betas))])
    places = np.linspace(0.0, 1.0, num_steps + 1)

    def log_alpha(t):
        return jnp.interp(t, places.astype(t.dtype), table.astype(t.dtype))

    def time(log_alpha):
        falling = table[::-1].astype(log_alpha.dtype)
        return jnp.interp(log_alpha, falling, places[::-1].astype(log_alpha.dtype))

    return variance_preserving(log_alpha, time, first=1.0 / num_steps, num_steps=num_steps)
