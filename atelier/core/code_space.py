"""The codes of a trained model, the parent, as the data of another one, the child.

| kind | x of the child |
|---|---|
| `tokens` | the indices in the parent's codebook: whole numbers below its size |
| `draws` | a draw from the parent's q(z given x), another one at each showing |
| `means` | what the parent's encoder returns |
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Num

from atelier.core.abilities import Codes
from atelier.core.family import Family, codes_of, is_class_conditional, reads_condition
from atelier.core.randomness import Rng, fold_in, standard_normal
from atelier.core.types import Batch, Weights
from atelier.errors import UserError, choose

AUTO, TOKENS, DRAWS, MEANS = KINDS = ('auto', 'tokens', 'draws', 'means')
# folded into each row's key: another one than those of the small numbers that families fold in
CODE_DRAW = 1_000_003


class CodeSpace(NamedTuple):
    """How the codes of a parent are the x of a child.

    kind: TOKENS, DRAWS or MEANS.
    codes: those of the parent.
    shape: event shape of the child's x; None: that of a flat code, whose length is not known yet.
    """

    kind: str
    codes: Codes
    shape: tuple[int, ...] | None

    @property
    def levels(self) -> int | None:
        """Number of values that x can take; None for real values."""
        return self.codes.tokens.size if self.kind == TOKENS else None

    @property
    def positions(self) -> tuple[int, int] | None:
        """Rows and columns of the map of codes; None if the codes are no map of two axes."""
        codes = self.codes
        axes = codes.tokens.map_shape if self.kind == TOKENS else codes.map_shape[:-1]
        return axes if len(axes) == 2 else None

    def encode(self, weights: Weights, batch: Batch, rng: Rng) -> tuple[Array, Array | None]:
        """Returns x of the child [local, codes] and, of draws, its standard deviation.

        Args:
          weights: of the parent.
          batch: examples of the parent's data.
          rng: of an encoder with random draws.
        """
        if self.kind == TOKENS:
            return self.codes.tokens.indices(weights, batch, rng), None
        if self.kind == MEANS:
            return self.codes.encode(weights, batch, rng), None
        mean, log_var = self.codes.posterior(weights, batch, rng)
        return mean, jnp.exp(0.5 * log_var)

    def draw(self, weights: Weights, batch: Batch, rng: Rng) -> tuple[Array, Array]:
        """Returns x of the child [local, codes], and log q(x of the child | x) [local] in nats.

        Tokens and means are functions of x: their log q is 0.
        """
        x, deviation = self.encode(weights, batch, rng)
        if deviation is None:
            return x, jnp.zeros(len(x))
        noise = standard_normal(fold_in(rng.keys, CODE_DRAW), x.shape[1])
        nats = -0.5 * noise**2 - jnp.log(deviation) - 0.5 * np.log(2 * np.pi)
        return x + deviation * noise, jnp.sum(nats, axis=1)

    def as_event(self, x: Num[Array, 'local codes']) -> Float[Array, 'local *event']:
        """Returns x of the child in its event shape, as numbers that a model reads."""
        x = x.astype(jnp.float32) if self.kind == TOKENS else x
        return x if self.shape is None else x.reshape(len(x), *self.shape)

    def as_codes(self, weights: Weights, x: Float[Array, 'local *event']) -> Array:
        """Returns the codes [local, latent] that the parent decodes, of x of the child.

        Values between two tokens are rounded, and values outside the codebook are clipped.
        """
        flat = x.reshape(len(x), -1)
        if self.kind != TOKENS:
            return flat
        tokens = self.codes.tokens
        return tokens.vectors(weights, nearest_tokens(flat, tokens.size))


def nearest_tokens(x: Float[Array, '*shape'], size: int) -> Array:
    """Rounds values to the nearest index of a codebook of this size, int32."""
    return jnp.clip(jnp.round(x), 0, size - 1).astype(jnp.int32)


def code_space(parent: Family, kind: str, name: str) -> CodeSpace:
    """Returns the space of the parent's codes.

    Args:
      parent: the parent's family.
      kind: one of `KINDS`, `config.data.codes`. 'auto': tokens of a codebook, else draws if there
        is a posterior, else means.
      name: of the parent, for messages.

    Raises:
      UserError: the family has no codes of this kind, or they do not determine x without a class.
    """
    codes = codes_of(parent)
    choose('data.codes', kind, dict.fromkeys(KINDS))
    if (is_class_conditional(parent) or reads_condition(parent)) and codes.encode is not None:
        raise UserError(
            f'{name} is conditional, so its codes do not hold the class or condition: train one '
            'without them there, and give the model of its codes config.model.is_conditional'
        )
    tokens = codes.tokens if codes.tokens is not None and codes.tokens.vectors else None
    has = {
        TOKENS: tokens is not None,
        DRAWS: codes.posterior is not None and codes.decode is not None,
        MEANS: codes.encode is not None and codes.decode is not None,
    }
    possible = [each for each in (TOKENS, DRAWS, MEANS) if has[each]]
    if not possible:
        raise UserError(
            f'{name} has no codes to model: it needs an encoder and a decoder, as '
            'configs/vq_vae.py, configs/conv_vae.py and configs/autoencoder.py have'
        )
    kind = possible[0] if kind == AUTO else kind
    if kind not in possible:
        raise UserError(
            f'config.data.codes={kind!r}: {name} has no such codes; it has {", ".join(possible)}'
        )
    return CodeSpace(kind, codes, _shape(codes, kind))


def _shape(codes: Codes, kind: str) -> tuple[int, ...] | None:
    if kind != TOKENS:
        return codes.map_shape or None
    axes = codes.tokens.map_shape
    return (*axes, 1) if len(axes) == 2 else None  # an image of one channel


def known_positions(
    known: Bool[Array, 'local *event'], positions: tuple[int, int]
) -> Float[Array, 'local rows columns']:
    """Returns 1 for each position of a map of codes whose block of x is known everywhere, else 0.

    Row i of x belongs to row floor(i rows / height) of the map, and likewise for columns.
    """
    height, width = known.shape[1:3]
    unknown = 1.0 - known.astype(jnp.float32).reshape(len(known), height, width, -1).min(axis=-1)
    by_row = _members(positions[0], height)
    by_column = _members(positions[1], width)
    count = jnp.einsum('ph,nhw,qw->npq', by_row, unknown, by_column)
    return (count < 0.5).astype(jnp.float32)


def _members(count: int, size: int) -> Float[np.ndarray, 'count size']:
    """Returns 1 where an index below `size` belongs to one of `count` equal blocks, else 0."""
    return (np.arange(size) * count // size == np.arange(count)[:, None]).astype(np.float32)
