"""Types that the whole engine shares: pytrees, batches, optimizers."""

from typing import Any, Protocol

import optax
from jaxtyping import Array

Tree = Any  # a pytree of arrays; fields of pytrees are not checked, for JAX fills them with others
# 'x': the events, as the data set's Spec says; 'label' and 'factors' where there are any
Batch = dict[str, Array]


class Optimizer(Protocol):
    """Builds the update rule of one player inside the training step, from traced scalars."""

    def __call__(
        self, player: str, hypers: dict[str, Array], step: Array
    ) -> optax.GradientTransformation:
        """The rule of `player` at `step`."""
        ...
