"""Normalisation of activations by the batch or by groups, and of kernels by a singular value.

Two of them keep what they remember outside of the parameters. A batch is the global one: what
devices hold of it is brought together by `gather` (`Rng.gather`), so that the device count makes no
difference.
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
    """Each channel less its mean and over its deviation, then scaled and shifted.

    Ioffe and Szegedy (2015), Algorithm 1; the running moments, for Algorithm 2, are the collection
    `batch_stats`. A layer before it needs no bias: the mean takes it away.

    Attributes:
      train: whether by the moments of the batch, which move the running ones, or by those.
      gather: concatenates over devices.
      momentum: share of the old running moments that an update keeps.
      epsilon: added to the variance.
    """

    train: bool
    gather: Callable
    momentum: float = 0.9
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: Float[Array, 'batch *event']) -> Float[Array, 'batch *event']:
        """The last axis are the channels."""
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
    """Each group of neighbouring channels less its mean and over its deviation, in each example.

    Wu and He (2018); then each channel is scaled and shifted. What Flax's computes, in about half
    the time on a CPU: places are summed before the channels of a group, and all that is left for
    every number is one product and one sum.

    Attributes:
      groups: how many, of equally many channels.
      epsilon: added to the variance.
    """

    groups: int
    epsilon: float = 1e-6

    @nn.compact
    def __call__(self, x: Float[Array, 'batch *event']) -> Float[Array, 'batch *event']:
        """The last axis are the channels.

        Raises:
          ValueError: the groups do not divide the channels.
        """
        channels = x.shape[-1]
        if channels % self.groups:
            raise ValueError(f'{self.groups} groups of {channels} channels')
        scale = self.param('scale', nn.initializers.ones, (channels,), jnp.float32)
        bias = self.param('bias', nn.initializers.zeros, (channels,), jnp.float32)
        places = x.reshape(len(x), math.prod(x.shape[1:-1]), channels)
        apart = (len(x), self.groups, channels // self.groups)
        numbers = places.shape[1] * apart[2]
        moment = lambda a: jnp.sum(jnp.sum(a, 1).reshape(apart), 2, keepdims=True) / numbers
        mean = moment(places)
        var = jnp.maximum(moment(jnp.square(places)) - jnp.square(mean), 0.0)
        factor = jax.lax.rsqrt(var + self.epsilon) * scale.reshape(1, *apart[1:])
        shift = bias.reshape(1, *apart[1:]) - mean * factor
        along = lambda a: a.reshape(len(x), 1, channels)
        return (places * along(factor) + along(shift)).reshape(x.shape)


def _mean(x: Float[Array, 'batch *event'], gather: Callable) -> Float[Array, 'channels']:
    """Of each channel over the global batch; all devices hold equally much of it."""
    local = jnp.mean(x, tuple(range(x.ndim - 1)))
    return jnp.mean(gather(local[None]), 0)


def spectral_vectors(params: Tree, key) -> Tree:
    """A unit vector [features] for each kernel of `params`, where `spectral_normalize` starts.

    The table of class vectors is a kernel too: that of a map of one-hot labels.
    """
    number = itertools.count()

    def start(path, leaf):
        if not _is_kernel(path):
            return None
        vector = jax.random.normal(jax.random.fold_in(key, next(number)), leaf.shape[-1:])
        return vector / jnp.linalg.norm(vector)

    return jax.tree_util.tree_map_with_path(start, params)


def spectral_normalize(params: Tree, vectors: Tree, steps: int = 1) -> tuple[Tree, Tree]:
    """(kernels of `params` over their largest singular value, vectors after `steps` iterations).

    Miyato et al. (2018), Algorithm 1: power iteration from the vectors of the call before; a kernel
    is the matrix [all other axes, features]. The vectors are constants for the derivatives.
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
