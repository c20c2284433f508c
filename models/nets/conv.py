"""Convolutions and transposed convolutions, each by `lax` and as one matrix product.

XLA's CPU backend is fast at convolutions in one layout only. It converts other layouts to that one,
but not inside loops, and training is a `scan`. The derivatives of `lax` convolutions have other
layouts, so that a training step of a small autoencoder on CPU takes more than ten times as long
with `lax` as with the products below. On GPU and TPU, `lax` is faster.

The matrix form works axis by axis on blocks of `stride` positions. Element i of the window that
starts at block b lies in block b + i // stride, at position i % stride, which is called its
"phase". So the elements i of all windows form one contiguous slice of one phase, which is read from
or added to. Arrays are divided by `jnp.split`, because its derivative is one concatenation, whereas
the derivative of many slices is a sum of arrays that are mostly zero. Arrays are joined by
`jnp.stack` on a new axis before the channels. Along the last axis, XLA's CPU backend first copies
each of them to memory, and takes four times as long.
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
from models.nets.dtypes import sum_dtype

Input = Float[Array, 'batch *spatial channels']
Kernel = Float[Array, '*window group_channels features']
Output = Float[Array, 'batch *positions features']


def conv_lax(
    x: Input, kernel: Kernel, strides: PerAxis, padding: Padding, dilation: PerAxis, groups: int
) -> Output:
    """Convolution as in `nn.Conv` (the kernel is not flipped), over any number of axes.

    The output is float32, or float64 if x is.

    padding: 'SAME', 'VALID', 'CAUSAL' (one axis only, all padding before it), an integer for all
      sides, or for each axis an integer or a pair; negative integers crop.
    dilation: distance between neighbouring elements of a window.
    groups: number of groups; each computes its part of the features from its part of the channels.

    Raises:
      ValueError: the ranks or channels of input and kernel do not match, the groups do not divide
        the channels or features, the padding is unknown, or a window is larger than the padded
        input.
    """
    axis_windows = windows(x, kernel, strides, padding, dilation, groups)
    strides = [w.stride for w in axis_windows]
    return _lax(x, kernel, axis_windows, strides, [1] * len(strides), groups)


def conv_matmul(
    x: Input, kernel: Kernel, strides: PerAxis, padding: Padding, dilation: PerAxis, groups: int
) -> Output:
    """`conv_lax` as one product of all windows and the kernel, also under `vmap` over kernels.

    The windows are stored for the derivatives. Without strides they take the memory of the input
    times the number of elements of a window. Along the last axis, the outputs of each block are
    stored and added up instead of the windows, if they have no more values than the windows and
    there is no dilation.
    """
    axis_windows = windows(x, kernel, strides, padding, dilation, groups)
    if groups > 1:
        split = lambda a: a.reshape(*a.shape[:-1], groups, a.shape[-1] // groups)
        one_group = lambda x, kernel: conv_matmul(x, kernel, strides, padding, dilation, 1)
        y = jax.vmap(one_group, -2, -2)(split(x), split(kernel))
        return y.reshape(*y.shape[:-2], kernel.shape[-1])
    if x.shape[1:-1] == kernel.shape[:-2] and not any(w.before or w.after for w in axis_windows):
        # One window covers all of x.
        x = x.reshape(len(x), *[1] * len(axis_windows), math.prod(x.shape[1:]))
        return _product(x, kernel.reshape(-1, kernel.shape[-1]))
    if _adding_is_smaller(kernel, axis_windows[-1]):
        return _add_along_last(x, kernel, axis_windows)
    x = _gather_all(x, axis_windows)
    return _product(x, kernel.reshape(-1, kernel.shape[-1]))


def conv_transpose_lax(
    x: Input, kernel: Kernel, strides: PerAxis, padding: Padding, dilation: PerAxis
) -> Output:
    """As `nn.ConvTranspose`: `conv_lax` of x with strides - 1 zeros between its positions.

    padding: 'SAME' for spatial * strides output positions, 'VALID' for all positions that a window
      reaches, or integers as in `conv_lax`. Integers pad x after the zeros are inserted, so larger
      integers give a larger output.

    Raises:
      ValueError: as in `conv_lax`.
    """
    axis_windows = windows(x, kernel, strides, padding, dilation, transposed=True)
    strides = [w.stride for w in axis_windows]
    return _lax(x, kernel, axis_windows, [1] * len(strides), strides)


def conv_transpose_matmul(
    x: Input, kernel: Kernel, strides: PerAxis, padding: Padding, dilation: PerAxis
) -> Output:
    """`conv_transpose_lax` as x times the kernel, each product added at its window's positions."""
    axis_windows = windows(x, kernel, strides, padding, dilation, transposed=True)
    # Seen from the input, a window runs backwards.
    kernel = jnp.moveaxis(jnp.flip(kernel, tuple(range(len(axis_windows)))), -2, 0)
    y = _product(x, kernel.reshape(x.shape[-1], -1))
    for axis, window in enumerate(axis_windows, 1):
        y = _scatter(y, axis, window)
    return y


class _Layer(nn.Module):
    """Base of both layers; parameters and their initial values are those of Flax's layers.

    Attributes:
      features: channels of the output.
      kernel_size: window size along each spatial axis.
      strides, padding, kernel_dilation: as in the functions of this module.
      use_bias: whether to add a bias to each feature.
      mask: array of the kernel's shape that multiplies the kernel.
      dtype: data type of the products. Parameters are float32, and so are outputs unless dtype is
        float64.
      kernel_init: initializer of the kernel.
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
        windowing = self.strides, self.padding, self.kernel_dilation
        y = forms[form](x, kernel, *windowing, *groups)
        if self.use_bias:
            bias = self.param('bias', nn.initializers.zeros, (self.features,), jnp.float32)
            y += jnp.expand_dims(bias, tuple(range(y.ndim - 1))).astype(y.dtype)
        return y


class Conv(_Layer):
    """`nn.Conv` in one of two forms, with the attributes of `_Layer`, and feature_group_count."""

    feature_group_count: int = 1

    @nn.compact
    def __call__(self, x: Input) -> Output:
        """Raises ValueError like `conv_lax`, and for an unknown form or a mask of another shape."""
        groups = self.feature_group_count
        forms = {'matmul': conv_matmul, 'lax': conv_lax}
        return self._layer(x, forms, x.shape[-1] // groups, groups)


class ConvTranspose(_Layer):
    """`nn.ConvTranspose` in one of two forms, with the attributes of `_Layer`."""

    @nn.compact
    def __call__(self, x: Input) -> Output:
        """Raises ValueError like `conv_lax`, and for an unknown form or a mask of another shape."""
        forms = {'matmul': conv_transpose_matmul, 'lax': conv_transpose_lax}
        return self._layer(x, forms, x.shape[-1])


def _lax(x, kernel, axis_windows: list[Window], strides, input_dilation, groups: int = 1):
    """Rounds to x.dtype before converting to float32, so that derivatives use x.dtype too."""
    pads = [(window.before, window.after) for window in axis_windows]
    dilation = [window.dilation for window in axis_windows]
    last = x.ndim - 1
    layout = (0, last, *range(1, last))
    layouts = lax.ConvDimensionNumbers(layout, (last, last - 1, *range(last - 1)), layout)
    y = lax.conv_general_dilated(
        x, kernel, strides, pads, input_dilation, dilation, layouts, groups
    )
    return y.astype(sum_dtype(x.dtype))


def _product(x, matrix):
    """x @ matrix on two axes; with more axes, XLA's CPU backend is half as fast."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])  # no -1: a batch may be empty
    y = lax.dot(rows, matrix, preferred_element_type=sum_dtype(x.dtype))
    return y.reshape(*x.shape[:-1], matrix.shape[-1])


def _adding_is_smaller(kernel, window: Window) -> bool:
    """Whether the outputs of a window's blocks have at most as many values as the window."""
    inputs, features = kernel.shape[-2:]
    return window.dilation == 1 and window.size * inputs >= _blocks_of_window(window) * features


def _blocks_of_window(window: Window) -> int:
    """The number of blocks that a window spans; with dilation it may skip some of them."""
    return window.reach // window.stride + 1


def _add_along_last(x, kernel, axis_windows: list[Window]):
    """Computes outputs of each block along the last axis, and adds those of each window's blocks.

    Blocks that are all padding are left out of the product. For a 3x3 convolution of 4x4 pixels
    they would be a third of it.
    """
    *first, window = axis_windows
    axis, count, features = len(axis_windows), _blocks_of_window(window), kernel.shape[-1]
    starts, padding = _num_windows(x, axis, window), max(window.before, 0) // window.stride
    before = window.before - padding * window.stride
    blocks = -(-(x.shape[axis] + before) // window.stride)
    blocks = max(0, min(blocks, starts + count - 1 - padding))
    x = _pad(x, axis, before, blocks * window.stride)
    x = x.reshape(*x.shape[:axis], blocks, window.stride * x.shape[-1])
    x = _gather_all(x, first)  # channels: [*first, phases, inputs]
    kernel = _pad(kernel, axis - 1, 0, count * window.stride)
    shape = *kernel.shape[: axis - 1], count, window.stride, *kernel.shape[axis:]
    kernel = jnp.moveaxis(kernel.reshape(shape), axis - 1, -2)
    y = _product(x, kernel.reshape(x.shape[-1], count * features))
    parts = enumerate(_parts(y, count))
    return sum(_pad(part, axis, padding - b, starts) for b, part in parts)


def _gather_all(x, axis_windows: Sequence[Window]):
    """[batch, *lengths, .., channels] -> [batch, *starts, .., prod(sizes) * channels]."""
    for axis, window in reversed(list(enumerate(axis_windows, 1))):
        x = _gather(x, axis, window)  # last axis first: channels become [*window, channels]
    return x


def _num_windows(x, axis: int, window: Window) -> int:
    """The number of windows along this axis."""
    return (x.shape[axis] + window.before + window.after - window.reach - 1) // window.stride + 1


def _blocks(x, axis: int, window: Window):
    """Returns ([.., length, ..] -> [.., blocks, stride, ..], number of windows along this axis)."""
    starts = _num_windows(x, axis, window)
    blocks = starts + _blocks_of_window(window) - 1
    x = _pad(x, axis, window.before, blocks * window.stride)
    return x.reshape(*x.shape[:axis], blocks, window.stride, *x.shape[axis + 1 :]), starts


def _gather(x, axis: int, window: Window):
    """[.., length, .., channels] -> [.., starts, .., size * channels]: windows along one axis."""
    x, starts = _blocks(x, axis, window)
    phases = [phase.squeeze(axis + 1) for phase in jnp.split(x, window.stride, axis + 1)]
    offsets = [divmod(i * window.dilation, window.stride) for i in range(window.size)]
    slices = [lax.slice_in_dim(phases[p], b, b + starts, axis=axis) for b, p in offsets]
    x = jnp.stack(slices, -2)
    return x.reshape(*x.shape[:-2], x.shape[-2] * x.shape[-1])


def _scatter(y, axis: int, window: Window):
    """[.., starts, .., size * features] -> [.., length, .., features]: adds up windows.

    The transpose of `_gather`, except for the padding, which is that of the transposed convolution.
    """
    starts = y.shape[axis]
    blocks = starts + _blocks_of_window(window) - 1
    parts = _parts(y, window.size)
    phases = [_pad(jnp.zeros_like(parts[0]), axis, 0, blocks)] * window.stride
    for i, part in enumerate(parts):
        block, phase = divmod(i * window.dilation, window.stride)
        phases[phase] += _pad(part, axis, block, blocks)
    y = jnp.stack(phases, axis + 1)
    y = y.reshape(*y.shape[:axis], blocks * window.stride, *y.shape[axis + 2 :])
    length = (starts - 1) * window.stride + 1 + window.before + window.after - window.reach
    return _pad(y, axis, window.before - window.reach, length)


def _parts(y, count: int) -> list:
    """[.., count * channels] -> `count` arrays [.., channels]."""
    y = y.reshape(*y.shape[:-1], count, y.shape[-1] // count)
    return [part.squeeze(-2) for part in jnp.split(y, count, -2)]


def _pad(x, axis: int, before: int, length: int):
    """Pads with `before` zeros, then to `length`; negative padding crops, unlike in `jnp.pad`."""
    config = [(0, 0, 0)] * x.ndim
    config[axis] = (before, length - before - x.shape[axis], 0)
    return lax.pad(x, jnp.zeros((), x.dtype), config)
