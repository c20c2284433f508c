"""Moves the pixels of pictures: all transformations as one affine map, and one resampling.

Coordinates are (row, column) in pixels, counted from the centre of the first pixel. A map gives
for each output pixel the position in the input that it shows.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from atelier.data.augmentation_draws import Draws, Images, Strengths

Positions = Float[Array, 'batch height width']
Fill = tuple[float, ...] | None  # of each channel, outside the picture; None: it is mirrored


def moved(x: Images, draws: Draws, strengths: Strengths, fill: Fill) -> Images:
    """Flips, scales, crops, rotates and shifts pictures, in this order, by one resampling.

    Where nothing is applied, a picture is returned bit for bit.
    """
    if not strengths.moves_pixels:
        return x
    rows, columns = source_positions(draws, strengths, x.shape[1:3])
    return resampled(x, rows, columns, fill, strengths.interpolates)


def source_positions(
    draws: Draws, strengths: Strengths, shape: tuple[int, int]
) -> tuple[Positions, Positions]:
    """Returns the row and the column of the input that each pixel of the output shows."""
    height, width = shape
    middle = (height - 1) / 2, (width - 1) / 2
    down = jnp.arange(height)[:, None] - middle[0]
    across = jnp.arange(width)[None, :] - middle[1]
    down_by, across_by = (_shift(draws, strengths, *pair) for pair in zip('yx', shape, strict=True))
    down, across = down - down_by[:, None, None], across - across_by[:, None, None]
    if strengths.rotate:
        angle = draws.signed('rotate') * math.radians(strengths.rotate)
        angle = draws.if_applied('rotate', angle)[:, None, None]
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        down, across = cos * down + sin * across, cos * across - sin * down
    if strengths.scale:
        factor = draws.factor('scale', strengths.scale)[:, None, None]
        down, across = down / factor, across / factor
    if strengths.crop:
        kept = 1 - draws.if_applied('crop', strengths.crop * draws.uniform('crop'))
        offsets = (draws.signed(f'crop_{axis}') * (1 - kept) for axis in 'yx')
        down, across = (
            kept[:, None, None] * position + (offset * half)[:, None, None]
            for position, offset, half in zip((down, across), offsets, middle, strict=True)
        )
    if strengths.flip:
        across = jnp.where(draws.is_flipped()[:, None, None], -across, across)
    batch_shape = (len(down_by), height, width)
    rows, columns = down + middle[0], across + middle[1]
    return jnp.broadcast_to(rows, batch_shape), jnp.broadcast_to(columns, batch_shape)


def _shift(draws: Draws, strengths: Strengths, axis: str, side: int) -> Float[Array, 'batch']:
    """Returns how far the content moves along an axis, in pixels."""
    name, most = f'shift_{axis}', strengths.shift
    if most < 1:
        return draws.if_applied('shift', draws.signed(name) * (most * side))
    steps = 2 * int(most)
    whole = jnp.minimum(jnp.floor(draws.uniform(name) * (steps + 1)), steps) - int(most)
    return draws.if_applied('shift', whole)


def resampled(
    x: Images, rows: Positions, columns: Positions, fill: Fill, interpolates: bool = True
) -> Images:
    """Returns x at these positions by bilinear interpolation; at whole ones without `interpolates`.

    Outside the picture, x is `fill` or, if that is None, mirrored about the centres of its border
    pixels. At whole positions inside, the values of x are returned bit for bit.
    """
    height, width = x.shape[1:3]
    if fill is None:
        rows, columns = _mirrored(rows, height), _mirrored(columns, width)
    first_row, first_column = jnp.floor(rows), jnp.floor(columns)
    top, left = first_row.astype(jnp.int32), first_column.astype(jnp.int32)
    if not interpolates:
        return _at(x, top, left, fill)
    down, right = (rows - first_row)[..., None], (columns - first_column)[..., None]
    upper = (1 - right) * _at(x, top, left, fill) + right * _at(x, top, left + 1, fill)
    lower = (1 - right) * _at(x, top + 1, left, fill) + right * _at(x, top + 1, left + 1, fill)
    return (1 - down) * upper + down * lower


def _mirrored(position: Positions, side: int) -> Positions:
    """Returns positions in [0, side - 1], mirrored about both ends as often as needed."""
    last = side - 1
    if last == 0:
        return jnp.zeros_like(position)
    is_inside = (position >= 0) & (position <= last)
    folded = last - jnp.abs(jnp.mod(position, 2 * last) - last)
    return jnp.where(is_inside, position, folded)


def _at(
    x: Images,
    row: Int[Array, 'batch height width'],
    column: Int[Array, 'batch height width'],
    fill: Fill,
) -> Images:
    """Returns the pixels at whole positions; outside the picture `fill`, or the nearest pixel."""
    batch, height, width, channels = x.shape
    inside_row, inside_column = jnp.clip(row, 0, height - 1), jnp.clip(column, 0, width - 1)
    first = jnp.arange(batch)[:, None, None] * (height * width)
    flat = x.reshape(-1, channels)
    pixels = flat.at[first + inside_row * width + inside_column].get(mode='promise_in_bounds')
    if fill is None:
        return pixels
    is_inside = (row == inside_row) & (column == inside_column)
    return jnp.where(is_inside[..., None], pixels, jnp.asarray(fill, x.dtype))
