"""Noise schedules: x_t = alpha(t) x + sigma(t) eps, from data at t = 0 to noise at t = 1.

A schedule defines log alpha, log sigma and the inverse of the half log-SNR, from which everything
else is computed. alpha and sigma determine the kind of process (variance preserving, exploding, the
straight lines of flow matching). All functions keep the precision of their argument.
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

    log_alpha, log_sigma: functions of t in [0, 1].
    time: the inverse of `half_log_snr`: log(alpha / sigma) -> t.
    first: the earliest t of sampling, where some noise remains.
    last: the latest t, where x_t is indistinguishable from noise.
    num_steps: number of steps of a process defined only at k / num_steps; None if time is
      continuous.
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
        """The standard deviation of the noise in x_t."""
        return jnp.exp(self.log_sigma(t))

    def half_log_snr(self, t: Times) -> Times:
        """log(alpha / sigma), lambda in Lu et al. (2022a); it decreases in t."""
        return self.log_alpha(t) - self.log_sigma(t)

    def last_std(self, dtype: DTypeLike) -> Float[Array, '']:
        """The standard deviation of sampling's initial x_t: `size` at the time `last`."""
        return self.size(jnp.asarray(self.last, dtype))

    def size(self, t: Times) -> Times:
        """The standard deviation of x_t for x of unit variance; 1 if the variance is preserved."""
        return jnp.exp(self.log_size(t))

    def log_size(self, t: Times) -> Times:
        """The logarithm of `size`."""
        return 0.5 * jnp.logaddexp(2 * self.log_alpha(t), 2 * self.log_sigma(t))

    def of_unit_size(self) -> 'Schedule':
        """Returns the schedule of x_t / size(t), variance preserving with the same half log-SNR."""
        return self._replace(
            log_alpha=lambda t: self.log_alpha(t) - self.log_size(t),
            log_sigma=lambda t: self.log_sigma(t) - self.log_size(t),
        )

    def added_variance(self, t: Times, s: Times) -> Times:
        """Variance of x_t given x_s, s < t: sigma^2_(t|s) of Kingma et al. (2021), appendix A."""
        kept = self.alpha(t) / self.alpha(s) * self.sigma(s)
        return jnp.maximum(self.sigma(t) ** 2 - kept**2, 0.0)

    def rates(self, t: Times) -> tuple[Times, Times]:
        """The derivatives of alpha and sigma with respect to t."""
        ones = jnp.ones_like(t)
        return jax.jvp(self.alpha, (t,), (ones,))[1], jax.jvp(self.sigma, (t,), (ones,))[1]


def variance_preserving(log_alpha: Callable, time_of_log_alpha: Callable, **ends) -> Schedule:
    """Returns the schedule with alpha^2 + sigma^2 = 1."""
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
        """The positive root of log_alpha's parabola, computed without cancellation."""
        root = jnp.sqrt(beta_min**2 - 4 * (beta_max - beta_min) * log_alpha)
        return -4 * log_alpha / (beta_min + root)

    return variance_preserving(log_alpha, time)


def cosine(offset: float = 0.008) -> Schedule:
    """alpha = cos(pi/2 (t + s) / (1 + s)) over its value at t = 0, with s = `offset`: Nichol and
    Dhariwal (2021), equation 17.

    The schedule ends shortly before t = 1, because alpha is 0 at t = 1.
    """
    rate = 0.5 * math.pi / (1 + offset)
    start = rate * offset  # the angle at t = 0

    def log_alpha(t):
        """log(cos(start + rate t) / cos(start)), computed without cancellation."""
        drop = 2 * jnp.sin(start + 0.5 * rate * t) * jnp.sin(0.5 * rate * t)
        return jnp.log1p(-drop / math.cos(start))

    def time(log_alpha):
        drop = math.sin(0.5 * start) ** 2 - 0.5 * math.cos(start) * jnp.expm1(log_alpha)
        return (2 * jnp.arcsin(jnp.sqrt(drop)) - start) / rate

    return variance_preserving(log_alpha, time, last=0.9946)  # as Lu et al. (2022a), appendix D.2


def of_half_log_snr(half_log_snr: Callable, time: Callable) -> Schedule:
    """Returns the variance-preserving process with a given log(alpha / sigma), from t = 0 to 1."""
    return Schedule(
        lambda t: -0.5 * jax.nn.softplus(-2 * half_log_snr(t)),
        lambda t: -0.5 * jax.nn.softplus(2 * half_log_snr(t)),
        time,
        first=0.0,
    )


def log_linear(high: float = 6.65, low: float = -2.5) -> Schedule:
    """log(alpha / sigma) falls linearly from `high` to `low`.

    The default ends are the initial ends of the learned schedule of Kingma et al. (2021), appendix
    B.
    """
    return of_half_log_snr(
        lambda t: high + t * (low - high), lambda half_log_snr: (high - half_log_snr) / (high - low)
    )


def with_more_noise(schedule: Schedule, factor: float) -> Schedule:
    """Returns a schedule whose sigma / alpha is `factor` times as large at each time.

    More noise suits larger pictures, because neighbouring pixels say the same: Hoogeboom et al.
    (2023), section 3.1, whose factor is that of the side lengths. The schedule has to preserve the
    variance, in continuous time.
    """
    shift = math.log(factor)
    shifted = of_half_log_snr(
        lambda t: schedule.half_log_snr(t) - shift,
        lambda half_log_snr: schedule.time(half_log_snr + shift),
    )
    return shifted._replace(first=schedule.first, last=schedule.last)


def straight() -> Schedule:
    """x_t = (1 - t) x + t eps: rectified flow (Liu et al. 2023), conditional optimal transport.

    Lipman et al. (2023), equation 22, with sigma_min = 0 and with t running from data to noise.
    """
    return Schedule(
        lambda t: jnp.log1p(-t),
        jnp.log,
        lambda half_log_snr: jax.nn.sigmoid(-half_log_snr),
        last=1.0 - 1e-3,  # only noise is left later: steps in half log-SNR would be wasted there
    )


def exploding(sigma_min: float = 0.002, sigma_max: float = 80.0) -> Schedule:
    """alpha = 1, sigma linear in t: Karras et al. (2022), section 3, with time scaled to [0, 1]."""
    return Schedule(
        jnp.zeros_like,
        lambda t: jnp.log(t * sigma_max),
        lambda half_log_snr: jnp.exp(-half_log_snr) / sigma_max,
        first=sigma_min / sigma_max,
    )


def discrete(num_steps: int = 1000, beta_first: float = 1e-4, beta_last: float = 0.02) -> Schedule:
    """The process of Ho et al. (2020), section 4: `of_betas` with linearly increasing betas."""
    return of_betas(np.linspace(beta_first, beta_last, num_steps))


def discrete_cosine(num_steps: int = 1000, offset: float = 0.008) -> Schedule:
    """`cosine` in discrete steps, betas at most 0.999: Nichol and Dhariwal (2021), section 3.2."""
    times = np.linspace(0.0, 1.0, num_steps + 1)
    squares = np.cos(0.5 * math.pi * (times + offset) / (1 + offset)) ** 2  # up to a factor
    return of_betas(np.minimum(1 - squares[1:] / squares[:-1], 0.999))


def of_betas(betas: Float[np.ndarray, 'steps']) -> Schedule:
    """Returns the schedule whose step k, at t = k / steps, adds noise of variance betas[k - 1].

    Between two steps log alpha is linear: Lu et al. (2022a), appendix D.2.
    """
    num_steps = len(betas)
    table = np.concatenate([[0.0], 0.5 * np.cumsum(np.log1p(-betas))])
    times = np.linspace(0.0, 1.0, num_steps + 1)

    def log_alpha(t):
        return jnp.interp(t, times.astype(t.dtype), table.astype(t.dtype))

    def time(log_alpha):
        falling = table[::-1].astype(log_alpha.dtype)
        return jnp.interp(log_alpha, falling, times[::-1].astype(log_alpha.dtype))

    return variance_preserving(log_alpha, time, first=1.0 / num_steps, num_steps=num_steps)
