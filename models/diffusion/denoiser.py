"""The denoiser of a diffusion model: a network, and the meaning of its output at a noise level."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from atelier.core.types import Batch
from atelier.data.conditions.condition import KEY
from atelier.data.conditions.words import END
from atelier.data.dataset import Spec
from models.diffusion.process.predictions import Prediction
from models.diffusion.process.schedules import Schedule
from models.nets.conditioning import given_in

Events = Float[Array, 'batch *event']
Times = Float[Array, 'batch']
Condition = Int[Array, 'batch *tokens'] | Float[Array, 'batch *condition'] | None


class DenoiserNetworks(NamedTuple):
    """The parts of a diffusion model.

    network: (x [batch, *event], half log-SNR [batch], condition or None) -> [batch, *event]. The
      condition is the label [batch]; or, if the data have a condition, its features [batch,
      features + 1], the last of which is 1 if they are hidden; or the tokens [batch, length] of a
      caption. `null_like` returns the condition that stands for any.
    prediction: what the network's output means.
    spec: spec of the data.
    is_conditional: whether the network reads a condition.
    given: None, or (batch) -> an array [batch, *condition] that replaces the condition of the data.
    reads_words: whether the network reads the tokens of a caption instead of features.
    """

    network: nn.Module
    prediction: Prediction
    spec: Spec
    is_conditional: bool = False
    given: Callable | None = None
    reads_words: bool = False


def condition_of(nets: DenoiserNetworks, batch: Batch) -> Condition:
    """Returns the network's condition; labels left out of training become the null label."""
    if nets.given is not None:
        return nets.given(batch)
    if not nets.is_conditional:
        return None
    if nets.reads_words:
        return batch[KEY]
    given = given_in(batch, nets.spec)
    if nets.spec.condition is not None:
        return jnp.pad(given, ((0, 0), (0, 1)))
    novel = jnp.asarray(nets.spec.left_out, jnp.int32)
    return jnp.where(jnp.isin(given, novel), nets.spec.num_classes, given)


def null_like(nets: DenoiserNetworks, condition: Condition) -> Condition:
    """Returns the condition that stands for any, for each row of `condition`."""
    if nets.reads_words:
        return jnp.full_like(condition, END)
    if nets.spec.condition is None:
        return jnp.full_like(condition, nets.spec.num_classes)
    return jnp.zeros_like(condition).at[:, -1].set(1)


def with_some_hidden(
    nets: DenoiserNetworks, condition: Condition, is_hidden: Bool[Array, 'batch']
) -> Condition:
    """Returns the condition, the null condition where it is hidden (Ho and Salimans 2022)."""
    is_hidden = is_hidden.reshape(-1, *[1] * (condition.ndim - 1))
    return jnp.where(is_hidden, null_like(nets, condition), condition)


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
      label: condition of each row, if the network reads one: as `condition_of` returns it.
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
        both = jnp.concatenate([label, null_like(nets, label)])
        of_class, of_any = jnp.split(mean(twice(x_t), twice(t), both), 2)
        return of_any + guidance * (of_class - of_any)

    def clipped(x_t, t):
        return jnp.clip(guided(x_t, t), -1.0, 1.0)

    return clipped if clip and nets.spec.interval is not None else guided


def scales(schedule: Schedule, t: Times, x: Events) -> tuple[Array, Array]:
    """Returns (alpha, sigma) of each row, shaped to broadcast against x."""
    like = lambda values: jnp.expand_dims(values, tuple(range(1, x.ndim)))
    return like(schedule.alpha(t)), like(schedule.sigma(t))
