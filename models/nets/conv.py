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

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float

from models.nets.conv_windows import Padding, PerAxis, Window, windows

Input = Float[Array, 'batch *spatial channels']
Kernel = Float[Array, '*window group_channels features']
Output = Float[Array, 'batch *positions features']


def conv_lax(
    x: Input, kernel: Kernel, strides: PerAxis, padding: Padding, dilation: PerAxis, groups: int
) -> Output:
    """What `nn.Conv` computes (the kernel is not flipped), over any number of axes.

    In float32, or in float64 if x is.

    padding: 'SAME', 'VALID', 'CAUSAL' (one axis only, all of it before), a number for all sides, or
      for each axis a number or a pair; negative numbers crop.
    dilation: from one element of a window to the next.
    groups: each makes its part of the features from its part of the channels alone.

    Raises:
      ValueError: ranks or channels of input and kernel that do not match, groups that do not
        divide, an unknown padding, or a window larger than the padded input.
    """
    axes = windows(x, kernel, strides, padding, dilation, groups)
    return _lax(x, kernel, axes, [axis.stride for axis in axes], [1] * len(axes), groups)


def conv_matmul(
    x: Input, kernel: Kernel, strides: PerAxis, padding: Padding, dilation: PerAxis, groups: int
) -> Output:
    """`conv_lax` as the product of all windows with the kernel, under `vmap` over kernels too.

    The windows are kept for the derivatives: without strides, as many times the memory of the input
    as a window has elements. Along the last axis it is the outputs of the elements that are kept
    and added up instead, where those are fewer numbers.
    """
    axes = windows(x, kernel, strides, padding, dilation, groups)
    if groups > 1:
        apart = lambda a: a.reshape(*a.shape[:-1], groups, a.shape[-1] // groups)
        one = lambda x, kernel: conv_matmul(x, kernel, strides, padding, dilation, 1)
        y = jax.vmap(one, -2, -2)(apart(x), apart(kernel))
        return y.reshape(*y.shape[:-2], kernel.shape[-1])
    if x.shape[1:-1] == kernel.shape[:-2] and not any(w.before or w.after for w in axes):
        x = x.reshape(len(x), *[1] * len(axes), math.prod(x.shape[1:]))  # one window, all of x
        return _product(x, kernel.reshape(-1, kernel.shape[-1]))
    if _adding_is_smaller(kernel, axes[-1]):
        return _add_along_last(x, kernel, axes)
    x = _gather_all(x, axes)
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
    axes = windows(x, kernel, strides, padding, dilation, transposed=True)
    return _lax(x, kernel, axes, [1] * len(axes), [axis.stride for axis in axes])


def conv_transpose_matmul(
    x: Input, kernel: Kernel, strides: PerAxis, padding: Padding, dilation: PerAxis
) -> Output:
    """`conv_transpose_lax` as x times the kernel, each product added where its window lies."""
    axes = windows(x, kernel, strides, padding, dilation, transposed=True)
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
      dtype: of the products; parameters are float32, and outputs but of float64.
      kernel_init: of the kernel.
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
    kernel_init: Callable = nn.initializers.lecun_normal()
    form: str = 'auto'

    def _layer(self, x, forms: dict[str, Callable], inputs: int, *groups: int):
        form = self.form
        if form == 'auto':
            form = 'matmul' if jax.default_backend() == 'cpu' else 'lax'
        if form not in forms:
            raise ValueError(f'form={form!r}: choose auto, {" or ".join(forms)}')
        shape = (*self.kernel_size, inputs, self.features)
        kernel = self.param('kernel', self.kernel_init, shape, jnp.float32)
        if self.mask is not None:
            if jnp.shape(self.mask) != shape:
                raise ValueError(f'mask of shape {jnp.shape(self.mask)} for a kernel of {shape}')
            kernel *= jnp.asarray(self.mask, jnp.float32)
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        window = self.strides, self.padding, self.kernel_dilation
        y = forms[form](x, kernel, *window, *groups)
        if self.use_bias:
            bias = self.param('bias', nn.initializers.zeros, (self.features,), jnp.float32)
            y += jnp.expand_dims(bias, tuple(range(y.ndim - 1))).astype(y.dtype)
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
    return y.astype(_of_sums(x))


def _of_sums(x):
    """The dtype of sums of products."""
    return jnp.float64 if x.dtype == jnp.float64 else jnp.float32


def _product(x, matrix):
    """x @ matrix; with more axes than two, XLA's CPU backend is half as fast."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])  # no -1: a batch may be empty
    y = lax.dot(rows, matrix, preferred_element_type=_of_sums(x))
    return y.reshape(*x.shape[:-1], matrix.shape[-1])


def _adding_is_smaller(kernel, axis: Window) -> bool:
    """Whether a position has fewer outputs of blocks than inputs of a window, along this axis."""
    inputs, features = kernel.shape[-2:]
    return axis.dilation == 1 and axis.size * inputs >= _blocks_of_window(axis) * features


def _blocks_of_window(axis: Window) -> int:
    """How many blocks a window reaches into; with dilation it may leave some of them out."""
    return axis.reach // axis.stride + 1


def _add_along_last(x, kernel, axes: list[Window]):
    """The convolution as outputs of blocks of the last axis, added up over those of a window.

    Blocks that are padding alone are left out of the product: of a 3x3 convolution of 4x4 pixels
    that is a third of it.
    """
    *first, axis = axes
    number, count, features = len(axes), _blocks_of_window(axis), kernel.shape[-1]
    starts, padding = _starts(x, number, axis), max(axis.before, 0) // axis.stride
    before = axis.before - padding * axis.stride
    blocks = -(-(x.shape[number] + before) // axis.stride)
    blocks = max(0, min(blocks, starts + count - 1 - padding))
    x = _pad(x, number, before, blocks * axis.stride)
    x = x.reshape(*x.shape[:number], blocks, axis.stride * x.shape[-1])
    x = _gather_all(x, first)  # channels: [*first, phases, inputs]
    kernel = _pad(kernel, number - 1, 0, count * axis.stride)
    apart = *kernel.shape[: number - 1], count, axis.stride, *kernel.shape[number:]
    kernel = jnp.moveaxis(kernel.reshape(apart), number - 1, -2)
    y = _product(x, kernel.reshape(x.shape[-1], count * features))
    parts = enumerate(jnp.split(y, count, -1))
    return sum(_pad(part, number, padding - b, starts) for b, part in parts)


def _gather_all(x, axes: Sequence[Window]):
    """[batch, *lengths, .., channels] -> [batch, *starts, .., prod(sizes) * channels]."""
    for number, axis in reversed(list(enumerate(axes, 1))):
        x = _gather(x, number, axis)  # the last first: channels become [*window, channels]
    return x


def _starts(x, number: int, axis: Window) -> int:
    """How many windows start along this axis."""
    return (x.shape[number] + axis.before + axis.after - axis.reach - 1) // axis.stride + 1


def _blocks(x, number: int, axis: Window):
    """([.., length, ..] -> [.., blocks, stride, ..], how many windows start along this axis)."""
    starts = _starts(x, number, axis)
    blocks = starts + _blocks_of_window(axis) - 1
    x = _pad(x, number, axis.before, blocks * axis.stride)
    return x.reshape(*x.shape[:number], blocks, axis.stride, *x.shape[number + 1 :]), starts


def _gather(x, number: int, axis: Window):
    """[.., length, .., channels] -> [.., starts, .., size * channels]: windows along one axis."""
    x, starts = _blocks(x, number, axis)
    phases = [phase.squeeze(number + 1) for phase in jnp.split(x, axis.stride, number + 1)]
    places = [divmod(i * axis.dilation, axis.stride) for i in range(axis.size)]
    slices = [lax.slice_in_dim(phases[p], b, b + starts, axis=number) for b, p in places]
    return jnp.concatenate(slices, -1)


def _scatter(y, number: int, axis: Window):
    """[.., starts, .., size * features] -> [.., length, .., features]: windows added up.

    The transpose of `_gather`, but for the padding, which is that of the transposed convolution.
    """
    starts = y.shape[number]
    blocks = starts + _blocks_of_window(axis) - 1
    parts = jnp.split(y, axis.size, -1)
    phases = [_pad(jnp.zeros_like(parts[0]), number, 0, blocks)] * axis.stride
    for i, part in enumerate(parts):
        block, phase = divmod(i * axis.dilation, axis.stride)
        phases[phase] += _pad(part, number, block, blocks)
    y = jnp.stack(phases, number + 1)
    y = y.reshape(*y.shape[:number], blocks * axis.stride, *y.shape[number + 2 :])
    length = (starts - 1) * axis.stride + 1 + axis.before + axis.after - axis.reach
    return _pad(y, number, axis.before - axis.reach, length)


def _pad(x, number: int, before: int, length: int):
    """Zeros before and, up to `length`, after; negative numbers crop, unlike those of `jnp.pad`."""
    config = [(0, 0, 0)] * x.ndim
    config[number] = (before, length - before - x.shape[number], 0)
    return lax.pad(x, jnp.zeros((), x.dtype), config)
