"""The denoiser of a diffusion model: a network, and the meaning of its output at a noise level."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from atelier.data.dataset import Spec
from models.diffusion.process.predictions import Prediction
from models.diffusion.process.schedules import Schedule

Events = Float[Array, 'batch *event']
Times = Float[Array, 'batch']
Labels = Int[Array, 'batch'] | None
Condition = Labels | Float[Array, 'batch *condition']


class DenoiserNetworks(NamedTuple):
    """The parts of a diffusion model.

    network: (x [batch, *event], half log-SNR [batch], label [batch] or None) -> [batch, *event];
      label `spec.num_classes` is the null label, which stands for any class.
    prediction: what the network's output means.
    spec: spec of the data.
    is_conditional: whether the network reads the label.
    given: None, or (batch) -> a condition [batch, *condition] that replaces the label.
    """

    network: nn.Module
    prediction: Prediction
    spec: Spec
    is_conditional: bool = False
    given: Callable | None = None


def data_std(spec: Spec) -> float:
    """Returns x's approximate standard deviation on the process scale.

    It is 0.5 if the data's interval is known, as Karras et al. (2022) assume for images.
    """
    return 1.0 if spec.interval is None else 0.5


def process_per_normalized(spec: Spec) -> float:
    """Returns how many units of the process scale make one unit of the normalized scale."""
    return 1.0 if spec.interval is None else 2.0


def to_process(spec: Spec, x: Array) -> Array:
    """Returns x on the process scale: [-1, 1] if its interval is known, else unit variance."""
    normalized = spec.normalize(x)
    return normalized if spec.interval is None else 2.0 * normalized - 1.0


def from_process(spec: Spec, x: Array) -> Array:
    """The inverse of `to_process`."""
    return spec.denormalize(x if spec.interval is None else 0.5 * (x + 1.0))


def in_interval(spec: Spec, x: Array) -> Array:
    """`from_process`, clipped to the data's interval."""
    return from_process(spec, x if spec.interval is None else jnp.clip(x, -1.0, 1.0))


def as_data(spec: Spec, x: Array) -> Array:
    """`in_interval`, rounded to the nearest level if the data are discrete."""
    x = in_interval(spec, x)
    return x if spec.levels is None else jnp.round(x)


def output_of(
    nets: DenoiserNetworks, schedule: Schedule, weights, x_t: Events, t: Times, condition: Condition
) -> Events:
    """Returns the network's output for the half log-SNR, the condition and x_t, scaled to unit
    variance.
    """
    alpha, sigma = scales(schedule, t, x_t)
    size = jnp.sqrt((alpha * data_std(nets.spec)) ** 2 + sigma**2)
    level = schedule.half_log_snr(t)
    return nets.network.apply({'params': weights}, x_t / size, level, condition)


def denoiser(
    nets: DenoiserNetworks,
    schedule: Schedule,
    weights,
    label: Condition = None,
    guidance: float = 1.0,
    clip: bool = False,
) -> Callable[[Events, Times], Events]:
    """Returns (x_t, t) -> the mean of x given x_t, the `denoiser` argument of samplers.

    Args:
      nets: the networks.
      schedule: schedule of the process.
      weights: parameters of the network.
      label: label of each row if the network reads labels (`spec.num_classes` is the null label),
        or the condition from `nets.given`.
      guidance: w in null + w (class - null), which replaces the class-conditional mean `class`;
        `null` is the mean given the null label. This is equation 6 of Ho and Salimans (2022), whose
        w is this w minus 1. 1 turns guidance off and halves the cost.
      clip: keeps the mean in [-1, 1] if the data's interval is known.
    """

    def mean(x_t, t, label):
        output = output_of(nets, schedule, weights, x_t, t, label)
        return nets.prediction.to_x(x_t, output, *scales(schedule, t, x_t))

    def guided(x_t, t):
        if label is None or guidance == 1.0:
            return mean(x_t, t, label)
        twice = lambda a: jnp.concatenate([a, a])
        labels = jnp.concatenate([label, jnp.full_like(label, nets.spec.num_classes)])
        of_class, of_any = jnp.split(mean(twice(x_t), twice(t), labels), 2)
        return of_any + guidance * (of_class - of_any)

    def clipped(x_t, t):
        return jnp.clip(guided(x_t, t), -1.0, 1.0)

    return clipped if clip and nets.spec.interval is not None else guided


def scales(schedule: Schedule, t: Times, x: Events) -> tuple[Array, Array]:
    """Returns (alpha, sigma) of each row, shaped to broadcast against x."""
    like = lambda values: jnp.expand_dims(values, tuple(range(1, x.ndim)))
    return like(schedule.alpha(t)), like(schedule.sigma(t))
