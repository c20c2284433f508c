"""Patches: squares of an image become single positions with more channels, and back."""

import itertools

import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.errors import UserError, at_least

Maps = Float[Array, 'batch *maps']
Patches = Float[Array, 'batch *patches']


def check_patch(patch: int, space: tuple[int, ...]) -> None:
    """Rejects patches smaller than one position or larger than an image.

    Raises:
      UserError: a setting is invalid; the message names its config field.
    """
    at_least(1, 'model.patch', patch)
    if patch > min(space, default=1):
        raise UserError(
            f'config.model.patch={patch}: must not exceed any side of an example, {space}'
        )


def to_patches(maps: Maps, patch: int) -> Patches:
    """Moves squares with sides of `patch` positions into channels; zeros pad each axis at the end.

    Args:
      maps: [batch, *space, channels].
      patch: positions of one patch along each axis of space.

    Returns:
      [batch, *counts, patch**axes * channels], where `counts` are the patches along each axis.
    """
    space = maps.shape[1:-1]
    counts = _counts(space, patch)
    padding = [(0, n * patch - length) for n, length in zip(counts, space, strict=True)]
    padded = jnp.pad(maps, [(0, 0), *padding, (0, 0)])
    sides = itertools.chain.from_iterable((n, patch) for n in counts)
    split = padded.reshape(len(maps), *sides, maps.shape[-1])
    return split.transpose(_order(len(space))).reshape(len(maps), *counts, -1)


def from_patches(patches: Patches, space: tuple[int, ...], patch: int) -> Maps:
    """The inverse of `to_patches` for maps of this `space`."""
    counts, axes = _counts(space, patch), len(space)
    split = patches.reshape(len(patches), *counts, *[patch] * axes, -1)
    order = _order(axes)
    joined = split.transpose([order.index(axis) for axis in range(len(order))])
    maps = joined.reshape(len(patches), *[n * patch for n in counts], split.shape[-1])
    return maps[(slice(None), *(slice(length) for length in space))]


def _counts(space: tuple[int, ...], patch: int) -> list[int]:
    return [-(-length // patch) for length in space]


def _order(axes: int) -> list[int]:
    """Permutation of [batch, n_1, patch, n_2, patch, ..., channels]: all n before all patch."""
    return [0, *range(1, 2 * axes, 2), *range(2, 2 * axes + 1, 2), 2 * axes + 1]
