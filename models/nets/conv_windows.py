"""The windows of a convolution along each axis: size, stride, dilation and padding."""

from collections.abc import Sequence
from typing import NamedTuple

from jax import lax

PerAxis = int | Sequence[int] | None  # a value for all spatial axes, or one per axis; None is 1
Padding = str | int | Sequence[int | Sequence[int]]


class Window(NamedTuple):
    """One axis of a convolution; `before` and `after` pad the input, or crop it if negative."""

    size: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def reach(self) -> int:
        """The distance from the first to the last element of a window."""
        return (self.size - 1) * self.dilation


def windows(x, kernel, strides, padding, dilation, groups=1, transposed=False) -> list[Window]:
    """Returns a `Window` for each spatial axis of x.

    Args:
      x: [batch, *spatial, channels]; only its shape is used.
      kernel: [*window, channels of a group, features]; only its shape is used.
      strides, padding, dilation, groups: as in `models.nets.conv.conv_lax`.
      transposed: whether strides - 1 zeros are inserted between the positions of x.

    Raises:
      ValueError: the arguments do not match, as described in `models.nets.conv.conv_lax`.
    """
    *sizes, inputs, features = kernel.shape
    if x.ndim != kernel.ndim:
        raise ValueError(f'a window of {len(sizes)} axes does not fit an input of shape {x.shape}')
    if x.shape[-1] != inputs * groups or features % groups:
        raise ValueError(
            f'{groups} groups do not fit an input of shape {x.shape} and a kernel of {kernel.shape}'
        )
    strides = _per_axis('strides', strides, len(sizes))
    dilation = _per_axis('dilation', dilation, len(sizes))
    lengths = x.shape[1:-1]
    if transposed:
        lengths = [(n - 1) * s + 1 for n, s in zip(lengths, strides, strict=True)]
    reaches = [(size - 1) * d for size, d in zip(sizes, dilation, strict=True)]
    pads = _pads(padding, lengths, reaches, strides, transposed)
    if any(n + sum(pad) <= r for n, pad, r in zip(lengths, pads, reaches, strict=True)):
        raise ValueError(
            f'a window of {sizes} is larger than the input of shape {x.shape} with {padding=}'
        )
    return [Window(*w, *pad) for *w, pad in zip(sizes, strides, dilation, pads, strict=True)]


def _per_axis(name: str, value: PerAxis, axes: int) -> tuple[int, ...]:
    value = 1 if value is None else value
    values = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(values) != axes or min(values, default=1) < 1:
        raise ValueError(f'{name}={value}: give a positive number, or one for each of {axes} axes')
    return values


def _pads(padding: Padding, lengths, reaches, strides, transposed: bool):
    """(before, after) for each axis; 'SAME' and 'VALID' as in `lax` and `lax.conv_transpose`."""
    both = list(zip(reaches, strides, strict=True))
    if padding == 'SAME' and transposed:
        return [(before := min(r, (r + s) // 2), r + s - 1 - before) for r, s in both]
    if padding == 'VALID' and transposed:
        return [(r, max(r, s - 1)) for r, s in both]
    if padding in ('SAME', 'VALID'):
        return lax.padtype_to_pads(lengths, [r + 1 for r in reaches], strides, padding)
    if padding == 'CAUSAL' and len(reaches) == 1 and not transposed:
        return [(reaches[0], 0)]
    pairs = [padding] * len(reaches) if isinstance(padding, int) else padding
    pairs = [(p, p) if isinstance(p, int) else p for p in pairs]
    if len(pairs) != len(reaches) or any(isinstance(p, str) or len(p) != 2 for p in pairs):
        raise ValueError(f'{padding=} does not fit {len(reaches)} axes')
    return pairs
