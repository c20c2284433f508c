"""Batch norm and group norm of activations, and spectral norm of kernels.

Batch norm and spectral norm keep their state outside of the parameters. Batch statistics are those
of the global batch, because `gather` (`Rng.gather`) combines the statistics of all devices. The
number of devices therefore makes no difference.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Tree = Any


class BatchNorm(nn.Module):
    """Batch normalisation: standardises each channel, then scales and shifts it.

    Ioffe and Szegedy (2015), Algorithm 1; the running moments of Algorithm 2 are the collection
    `batch_stats`. As in Flax, the running variance is that of Algorithm 1, which divides by the m
    values of a channel in a batch; Algorithm 2 has it m / (m - 1) times as large. The layer before
    it needs no bias, because subtracting the mean would remove it.

    Attributes:
      train: whether to use the moments of the batch, and update the running moments with them;
        otherwise the running moments are used.
      gather: concatenates an array over devices.
      momentum: fraction of the old running moments that an update keeps.
      epsilon: value added to the variance.
    """

    train: bool
    gather: Callable
    momentum: float = 0.9
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: Float[Array, 'batch *event']) -> Float[Array, 'batch *event']:
        """Normalises x, whose last axis is the channels."""
        channels = x.shape[-1:]
        scale = self.param('scale', nn.initializers.ones, channels, jnp.float32)
        bias = self.param('bias', nn.initializers.zeros, channels, jnp.float32)
        running_mean = self.variable('batch_stats', 'mean', jnp.zeros, channels, jnp.float32)
        running_var = self.variable('batch_stats', 'var', jnp.ones, channels, jnp.float32)
        along = lambda vector: jnp.expand_dims(vector, tuple(range(x.ndim - 1)))
        if self.train:
            mean = _mean(x, self.gather)
            var = _mean(jnp.square(x - along(mean)), self.gather)
            if self.is_mutable_collection('batch_stats') and not self.is_initializing():
                keep = self.momentum
                running_mean.value = keep * running_mean.value + (1 - keep) * mean
                running_var.value = keep * running_var.value + (1 - keep) * var
        else:
            mean, var = running_mean.value, running_var.value
        return (x - along(mean)) * along(scale * jax.lax.rsqrt(var + self.epsilon)) + along(bias)


class GroupNorm(nn.Module):
    """Group normalisation: standardises each group of neighbouring channels in each example.

    Wu and He (2018); then each channel is scaled and shifted. It computes the same as Flax's
    GroupNorm in about half the time on a CPU. It sums over positions before the channels of a
    group, and it normalizes, scales and shifts each value by one multiplication and one addition.

    Attributes:
      groups: number of groups, all with equally many channels.
      epsilon: value added to the variance.
    """

    groups: int
    epsilon: float = 1e-6

    @nn.compact
    def __call__(self, x: Float[Array, 'batch *event']) -> Float[Array, 'batch *event']:
        """Normalises x, whose last axis is the channels.

        Raises:
          ValueError: the groups do not divide the channels.
        """
        channels = x.shape[-1]
        if channels % self.groups:
            raise ValueError(f'{self.groups} groups do not divide {channels} channels')
        scale = self.param('scale', nn.initializers.ones, (channels,), jnp.float32)
        bias = self.param('bias', nn.initializers.zeros, (channels,), jnp.float32)
        flat = x.reshape(len(x), math.prod(x.shape[1:-1]), channels)
        group_shape = (len(x), self.groups, channels // self.groups)
        group_size = flat.shape[1] * group_shape[2]
        moment = lambda a: (
            jnp.sum(jnp.sum(a, 1).reshape(group_shape), 2, keepdims=True) / group_size
        )
        mean = moment(flat)
        var = jnp.maximum(moment(jnp.square(flat)) - jnp.square(mean), 0.0)
        factor = jax.lax.rsqrt(var + self.epsilon) * scale.reshape(1, *group_shape[1:])
        shift = bias.reshape(1, *group_shape[1:]) - mean * factor
        along = lambda a: a.reshape(len(x), 1, channels)
        return (flat * along(factor) + along(shift)).reshape(x.shape)


def _mean(x: Float[Array, 'batch *event'], gather: Callable) -> Float[Array, 'channels']:
    """Returns each channel's mean over the global batch; all devices have equally many examples."""
    local = jnp.mean(x, tuple(range(x.ndim - 1)))
    return jnp.mean(gather(local[None]), 0)


def spectral_vectors(params: Tree, key) -> Tree:
    """Random unit vectors [features] for each kernel, for the first call of `spectral_normalize`.

    A class embedding table counts as a kernel, because it is a linear map of one-hot labels.
    """
    indices = itertools.count()

    def start(path, leaf):
        if not _is_kernel(path):
            return None
        vector = jax.random.normal(jax.random.fold_in(key, next(indices)), leaf.shape[-1:])
        return vector / jnp.linalg.norm(vector)

    return jax.tree_util.tree_map_with_path(start, params)


def spectral_normalize(params: Tree, vectors: Tree, steps: int = 1) -> tuple[Tree, Tree]:
    """Returns `params` with each kernel divided by its largest singular value, and updated vectors.

    Miyato et al. (2018), Algorithm 1: `steps` power iterations from the vectors of the previous
    call. A kernel is read as a matrix [all other axes, features]. The derivatives treat the vectors
    as constants.
    """

    def normalize(leaf, vector):
        if vector is None:
            return leaf, None
        matrix = leaf.reshape(-1, leaf.shape[-1])
        fixed = jax.lax.stop_gradient(matrix)
        for _ in range(steps):
            left = _unit(fixed @ vector)
            vector = _unit(fixed.T @ left)
        left = _unit(fixed @ vector)
        return leaf / jnp.dot(left, matrix @ vector), vector

    is_none = lambda x: x is None
    leaves, structure = jax.tree.flatten(params)
    starts = jax.tree.leaves(vectors, is_leaf=is_none)
    pairs = [normalize(leaf, start) for leaf, start in zip(leaves, starts, strict=True)]
    after = jax.tree.unflatten(jax.tree.structure(vectors, is_leaf=is_none), [v for _, v in pairs])
    return jax.tree.unflatten(structure, [leaf for leaf, _ in pairs]), after


def _unit(vector: Float[Array, 'n']) -> Float[Array, 'n']:
    return vector / jnp.maximum(jnp.linalg.norm(vector), 1e-12)


def _is_kernel(path) -> bool:
    return getattr(path[-1], 'key', None) in ('kernel', 'embedding')
