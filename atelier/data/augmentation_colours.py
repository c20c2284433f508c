"""Changes the colours of pictures, and erases squares of them.

Where nothing is applied, a picture is returned bit for bit.
"""

import math

import jax.numpy as jnp

from atelier.data.augmentation_draws import Draws, Images, Strengths

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R 601-2)


def recoloured(x: Images, draws: Draws, strengths: Strengths, unit: float) -> Images:
    """Changes contrast, brightness, saturation and hue; `unit` is the range of x."""
    over_pixels = lambda value: value[:, None, None, None]
    if strengths.contrast:
        factor = over_pixels(draws.factor('contrast', strengths.contrast))
        x = factor * x + (1 - factor) * jnp.mean(x, (1, 2, 3), keepdims=True)
    if strengths.brightness:
        added = draws.signed('brightness') * (strengths.brightness * unit)
        x = x + over_pixels(draws.if_applied('brightness', added))
    if strengths.saturation:
        factor = over_pixels(draws.factor('saturation', strengths.saturation))
        x = factor * x + (1 - factor) * jnp.sum(x * jnp.asarray(LUMA), -1, keepdims=True)
    if strengths.hue:
        x = _with_hue(x, draws, strengths.hue)
    return x


def _with_hue(x: Images, draws: Draws, degrees: float) -> Images:
    """Rotates colours about the axis of greys, by Rodrigues' formula."""
    angle = draws.if_applied('hue', draws.signed('hue') * math.radians(degrees))[:, None, None]
    cos, sin = jnp.cos(angle), jnp.sin(angle) / math.sqrt(3)
    red, green, blue = (x[..., channel] for channel in range(3))
    along = (1 - cos) * (red + green + blue) / 3
    return jnp.stack(
        [
            cos * red + along + sin * (blue - green),
            cos * green + along + sin * (red - blue),
            cos * blue + along + sin * (green - red),
        ],
        -1,
    )


def cut_out(
    x: Images, draws: Draws, strengths: Strengths, value: float | tuple[float, ...]
) -> Images:
    """Erases a square around a random position, by `value`, which may have one for each channel."""
    if not strengths.cutout:
        return x
    is_near = []
    for name, side in zip(('cutout_y', 'cutout_x'), x.shape[1:3], strict=True):
        centre = draws.uniform(name)[:, None] * side
        is_near.append(jnp.abs(jnp.arange(side) + 0.5 - centre) < strengths.cutout * side / 2)
    is_erased = is_near[0][:, :, None] & is_near[1][:, None, :]
    is_erased &= draws.applies('cutout')[:, None, None]
    return jnp.where(is_erased[..., None], jnp.asarray(value, x.dtype), x)
