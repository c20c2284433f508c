"""Multi-scale flows of images: Dinh et al. (2017), section 3.6."""

import math
from collections.abc import Callable

import flax.linen as nn

from atelier.data.dataset import Spec
from atelier.errors import UserError
from models.flows.bijectors import Chain, FactoredOut, Reshaped

Shape = tuple[int, ...]
MakeScale = Callable[[Shape, bool], tuple[list[nn.Module], Shape]]


def in_scales(spec: Spec, num_scales: int, scale: MakeScale, max_scales: int) -> nn.Module:
    """Returns a bijector from images to vectors that factors out half at each scale but the last.

    Args:
      spec: spec of the data, which are images.
      num_scales: number of scales, at least 1.
      scale: (shape of x, whether it is the last scale) -> (layers of the scale, output shape).
      max_scales: the largest number of scales that the image allows.

    Raises:
      UserError: `num_scales` is not between 1 and `max_scales`.

    Example:
      >>> import jax
      >>> from models.flows.bijectors import Squeezed
      >>> squeeze = lambda shape, _: ([Squeezed()], (shape[0] // 2, shape[1] // 2, 4 * shape[2]))
      >>> flow = in_scales(Spec((4, 4), None, None), 2, squeeze, max_scales=2).bind({})
      >>> z, log_det = flow.forward_and_log_det(jax.numpy.ones((1, 4, 4)))
      >>> z.shape, log_det.item(), flow.inverse_and_log_det(z)[0].shape
      ((1, 16), 0.0, (1, 4, 4))
    """
    check_scales(spec, num_scales, max_scales)

    def from_scale(index: int, shape: Shape) -> nn.Module:
        is_last = index == num_scales
        layers, output_shape = scale(shape, is_last)
        if is_last:
            return Chain((*layers, Reshaped(output_shape, (math.prod(output_shape),))))
        *space, channels = output_shape
        rest = from_scale(index + 1, (*space, channels // 2))
        return Chain((*layers, FactoredOut(output_shape, rest)))

    shape = spec.image_shape
    return Chain((Reshaped(spec.event_shape, shape), from_scale(1, shape)))


def check_scales(spec: Spec, num_scales: int, max_scales: int) -> None:
    """Refuses more scales than the image allows.

    Raises:
      UserError: a setting is invalid; the message names its config field.
    """
    height, width, _ = spec.image_shape
    if not max_scales:
        raise UserError(
            f'config.data: {height} x {width} pixels cannot be halved: use configs/maf.py, or '
            'configs/realnvp.py with config.model.scales=1'
        )
    if not 1 <= num_scales <= max_scales:
        raise UserError(
            f'config.model.scales={num_scales}: must be from 1 to {max_scales} for images of '
            f'{height} x {width} pixels'
        )


def halvings(spec: Spec) -> int:
    """Returns how often height and width of an image can both be halved."""
    height, width, _ = spec.image_shape
    common_part = math.gcd(height, width)
    return (common_part & -common_part).bit_length() - 1


def as_vector(spec: Spec, layers: tuple[nn.Module, ...]) -> nn.Module:
    """Applies `layers` to events flattened to vectors.

    Example:
      >>> import jax.numpy as jnp
      >>> from models.flows.bijectors import Reversed
      >>> flow = as_vector(Spec((1, 3), None, None), (Reversed(),)).bind({})
      >>> z, log_det = flow.forward_and_log_det(jnp.asarray([[[1.0, 2.0, 3.0]]]))
      >>> print(z, log_det, flow.inverse_and_log_det(z)[0])
      [[3. 2. 1.]] [0.] [[[1. 2. 3.]]]
    """
    return Chain((Reshaped(spec.event_shape, (spec.num_dims,)), *layers))
