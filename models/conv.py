"""Convolutions and transposed convolutions, each as `lax` computes them and as one matrix product.

XLA's CPU backend is fast at convolutions of one layout alone. It brings others into it outside of
loops only, and training is a `scan`: with the layouts of the derivatives of `lax`'s convolutions, a
step of a small autoencoder takes more than ten times as long there as with the products below. On
GPU and TPU `lax` is the fast one.

The matrix form goes axis by axis, over blocks of `stride` positions: element i of the window that
starts at block b is position i % stride, its "phase", of block b + i // stride, so that whatever is
read or added for one i is one contiguous slice of one phase. `jnp.split` takes arrays apart because
its derivative is one concatenation; that of many slices is a sum of mostly zeros.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float

PerAxis = int | Sequence[int]  # one number for all spatial axes, or one for each
Padding = str | int | Sequence[int | Sequence[int]]
Input = Float[Array, 'batch *spatial channels']
Kernel = Float[Array, '*window group_channels features']
Output = Float[Array, 'batch *positions features']


class Window(NamedTuple):
    """One axis of a convolution; `before` and `after` pad the input, or crop it if negative."""

    size: int
    stride: int
    dilation: int
    before: int
    after: int


def conv_lax(
    x: Input, kernel: Kernel, strides: PerAxis, padding: Padding, dilation: PerAxis, groups: int
) -> Output:
    """What `nn.Conv` computes (the kernel is not flipped), over any number of axes; in float32.

    padding: 'SAME', 'VALID', 'CAUSAL' (one axis only, all of it before), a number for all sides, or
      for each axis a number or a pair; negative numbers crop.
    dilation: from one element of a window to the next.
    groups: each makes its part of the features from its part of the channels alone.

    Raises:
      ValueError: ranks or channels of input and kernel that do not match, groups that do not
        divide, an unknown padding, or a window larger than the padded input.
    """
    axes = _windows(x, kernel, strides, padding, dilation, groups)
    return _lax(x, kernel, axes, [axis.stride for axis in axes], [1] * len(axes), groups)


def conv_matmul(
    x: Input, kernel: Kernel, strides: PerAxis, padding: Padding, dilation: PerAxis, groups: int
) -> Output:
    """`conv_lax` as the product of all windows with the kernel, under `vmap` over kernels too.

    The windows are kept for the derivatives: without strides, as many times the memory of the input
    as a window has elements.
    """
    axes = _windows(x, kernel, strides, padding, dilation, groups)
    if groups > 1:
        apart = lambda a: a.reshape(*a.shape[:-1], groups, a.shape[-1] // groups)
        one = lambda x, kernel: conv_matmul(x, kernel, strides, padding, dilation, 1)
        y = jax.vmap(one, -2, -2)(apart(x), apart(kernel))
        return y.reshape(*y.shape[:-2], kernel.shape[-1])
    for number, axis in reversed(list(enumerate(axes, 1))):
        x = _gather(x, number, axis)  # the last first: channels become [*window, channels]
    return _product(x, kernel.reshape(-1, kernel.shape[-1]))


def conv_transpose_lax(
    x: Input, kernel: Kernel, strides: PerAxis, padding: Padding, dilation: PerAxis
) -> Output:
    """What `nn.ConvTranspose` computes: `conv_lax` of x with strides - 1 zeros between positions.

    padding: 'SAME' for spatial * strides positions, 'VALID' for all that a window reaches, or
      numbers as in `conv_lax`: of the input with its zeros, so that larger ones give more output.

    Raises:
      ValueError: as `conv_lax`.
    """
    axes = _windows(x, kernel, strides, padding, dilation, transposed=True)
    return _lax(x, kernel, axes, [1] * len(axes), [axis.stride for axis in axes])


def conv_transpose_matmul(
    x: Input, kernel: Kernel, strides: PerAxis, padding: Padding, dilation: PerAxis
) -> Output:
    """`conv_transpose_lax` as x times the kernel, each product added where its window lies."""
    axes = _windows(x, kernel, strides, padding, dilation, transposed=True)
    # Seen from the input, a window runs backwards.
    kernel = jnp.moveaxis(jnp.flip(kernel, tuple(range(len(axes)))), -2, 0)
    y = _product(x, kernel.reshape(x.shape[-1], -1))
    for number, axis in enumerate(axes, 1):
        y = _scatter(y, number, axis)
    return y


class _Layer(nn.Module):
    """What both layers share; parameters and their initial values are those of Flax's layers.

    Attributes:
      features: channels of the output.
      kernel_size: one number for each spatial axis.
      strides, padding, kernel_dilation: as the functions of this module take them.
      use_bias: whether to add one number to each feature.
      mask: multiplies the kernel, whose shape it has.
      dtype: of the products; parameters and outputs are float32.
      form: 'matmul', 'lax', or 'auto' for the faster one on JAX's default backend.
    """

    features: int
    kernel_size: tuple[int, ...]
    strides: PerAxis = 1
    padding: Padding = 'SAME'
    kernel_dilation: PerAxis = 1
    use_bias: bool = True
    mask: ArrayLike | None = None
    dtype: DTypeLike = jnp.float32
    form: str = 'auto'

    def _layer(self, x, forms: dict[str, Callable], inputs: int, *groups: int):
        form = self.form
        if form == 'auto':
            form = 'matmul' if jax.default_backend() == 'cpu' else 'lax'
        if form not in forms:
            raise ValueError(f'form={form!r}: choose auto, {" or ".join(forms)}')
        shape = (*self.kernel_size, inputs, self.features)
        kernel = self.param('kernel', nn.initializers.lecun_normal(), shape, jnp.float32)
        if self.mask is not None:
            if jnp.shape(self.mask) != shape:
                raise ValueError(f'mask of shape {jnp.shape(self.mask)} for a kernel of {shape}')
            kernel *= jnp.asarray(self.mask, jnp.float32)
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        window = self.strides, self.padding, self.kernel_dilation
        y = forms[form](x, kernel, *window, *groups)
        if self.use_bias:
            bias = self.param('bias', nn.initializers.zeros, (self.features,), jnp.float32)
            y += jnp.expand_dims(bias, tuple(range(y.ndim - 1)))
        return y


class Conv(_Layer):
    """`nn.Conv` in one of two forms; attributes: those of `_Layer`, and feature_group_count."""

    feature_group_count: int = 1

    @nn.compact
    def __call__(self, x: Input) -> Output:
        """Raises ValueError as `conv_lax`, for an unknown form and for a mask of another shape."""
        groups = self.feature_group_count
        forms = {'matmul': conv_matmul, 'lax': conv_lax}
        return self._layer(x, forms, x.shape[-1] // groups, groups)


class ConvTranspose(_Layer):
    """`nn.ConvTranspose` in one of two forms; attributes: those of `_Layer`."""

    @nn.compact
    def __call__(self, x: Input) -> Output:
        """Raises ValueError as `conv_lax`, for an unknown form and for a mask of another shape."""
        forms = {'matmul': conv_transpose_matmul, 'lax': conv_transpose_lax}
        return self._layer(x, forms, x.shape[-1])


def _lax(x, kernel, axes: list[Window], strides, input_dilation, groups: int = 1):
    """Rounded to x.dtype before it is float32, so that the derivatives have half precision too."""
    pads = [(axis.before, axis.after) for axis in axes]
    dilation = [axis.dilation for axis in axes]
    last = x.ndim - 1
    layout = (0, last, *range(1, last))
    layouts = lax.ConvDimensionNumbers(layout, (last, last - 1, *range(last - 1)), layout)
    y = lax.conv_general_dilated(
        x, kernel, strides, pads, input_dilation, dilation, layouts, groups
    )
    return y.astype(jnp.float32)


def _product(x, matrix):
    """x @ matrix, summed in float32; with more axes than two, XLA's CPU backend is half as fast."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])  # no -1: a batch may be empty
    y = lax.dot(rows, matrix, preferred_element_type=jnp.float32)
    return y.reshape(*x.shape[:-1], matrix.shape[-1])


def _gather(x, number: int, axis: Window):
    """[.., length, .., channels] -> [.., starts, .., size * channels]: windows along one axis."""
    reach = (axis.size - 1) * axis.dilation
    starts = (x.shape[number] + axis.before + axis.after - reach - 1) // axis.stride + 1
    blocks = starts + reach // axis.stride
    x = _pad(x, number, axis.before, blocks * axis.stride)
    x = x.reshape(*x.shape[:number], blocks, axis.stride, *x.shape[number + 1 :])
    phases = [phase.squeeze(number + 1) for phase in jnp.split(x, axis.stride, number + 1)]
    places = [divmod(i * axis.dilation, axis.stride) for i in range(axis.size)]
    slices = [lax.slice_in_dim(phases[p], b, b + starts, axis=number) for b, p in places]
    return jnp.concatenate(slices, -1)


def _scatter(y, number: int, axis: Window):
    """[.., starts, .., size * features] -> [.., length, .., features]: windows added up.

    The transpose of `_gather`, but for the padding, which is that of the transposed convolution.
    """
    starts = y.shape[number]
    reach = (axis.size - 1) * axis.dilation
    blocks = starts + reach // axis.stride
    parts = jnp.split(y, axis.size, -1)
    phases = [_pad(jnp.zeros_like(parts[0]), number, 0, blocks)] * axis.stride
    for i, part in enumerate(parts):
        block, phase = divmod(i * axis.dilation, axis.stride)
        phases[phase] += _pad(part, number, block, blocks)
    y = jnp.stack(phases, number + 1)
    y = y.reshape(*y.shape[:number], blocks * axis.stride, *y.shape[number + 2 :])
    length = (starts - 1) * axis.stride + 1 + axis.before + axis.after - reach
    return _pad(y, number, axis.before - reach, length)


def _pad(x, number: int, before: int, length: int):
    """Zeros before and, up to `length`, after; negative numbers crop, unlike those of `jnp.pad`."""
    config = [(0, 0, 0)] * x.ndim
    config[number] = (before, length - before - x.shape[number], 0)
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def _windows(x, kernel, strides, padding, dilation, groups=1, transposed=False) -> list[Window]:
    """One for each spatial axis; refuses what does not fit together."""
    *sizes, inputs, features = kernel.shape
    if x.ndim != kernel.ndim:
        raise ValueError(f'a window of {len(sizes)} axes for an input of shape {x.shape}')
    if x.shape[-1] != inputs * groups or features % groups:
        raise ValueError(f'{groups} groups: input of shape {x.shape}, kernel of {kernel.shape}')
    strides = _per_axis('strides', strides, len(sizes))
    dilation = _per_axis('dilation', dilation, len(sizes))
    lengths = x.shape[1:-1]
    if transposed:
        lengths = [(n - 1) * s + 1 for n, s in zip(lengths, strides, strict=True)]
    reaches = [(size - 1) * d for size, d in zip(sizes, dilation, strict=True)]
    pads = _pads(padding, lengths, reaches, strides, transposed)
    if any(n + sum(pad) <= r for n, pad, r in zip(lengths, pads, reaches, strict=True)):
        raise ValueError(f'a window of {sizes} in an input of shape {x.shape}: {padding=}')
    return [Window(*w, *pad) for *w, pad in zip(sizes, strides, dilation, pads, strict=True)]


def _per_axis(name: str, value: PerAxis, axes: int) -> tuple[int, ...]:
    values = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(values) != axes or min(values, default=1) < 1:
        raise ValueError(f'{name}={value}: give a positive number, or one for each of {axes} axes')
    return values


def _pads(padding: Padding, lengths, reaches, strides, transposed: bool):
    """(before, after) for each axis; 'SAME' and 'VALID' as `lax` and `lax.conv_transpose` do."""
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
        raise ValueError(f'{padding=} for {len(reaches)} axes')
    return pairs
