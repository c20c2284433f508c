"""Recurrent encoder and decoder of items, texts that end (Bowman et al. 2016, section 2).

The encoder reads an item in both directions, up to its end. The decoder is a recurrent network that
gets the code z at every step, so that what it reads of the item need not carry z.
"""

import functools

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from atelier.core.types import Batch, Weights
from atelier.data.items import END_TOKEN
from atelier.data.spec import Spec
from models.autoregressive.autoregressive import AutoregressiveParts, Steps
from models.autoregressive.gru import Layer
from models.autoregressive.items import of_items
from models.autoregressive.language_model import text_parts
from models.nets.dtypes import sum_dtype

# Before training, embeddings have a deviation of 1 (Flax's: width^(-1/2)), and z is hardly noise:
# it has this log variance, and what it adds has a tenth of the deviation of the embeddings. A
# decoder would first learn to ignore a z that is noise as large as they are.
EMBEDDING = nn.initializers.normal(1.0)
FIRST_LOG_VAR = nn.initializers.constant(-3.0)
SMALL = nn.initializers.variance_scaling(0.01, 'fan_in', 'normal')

Tokens = Int[Array, 'batch length']
Memory = tuple[Float[Array, 'batch _'], ...]  # states of the layers, then what z adds to each sum


def item_lengths(x: Tokens) -> Int[Array, 'batch']:
    """Returns the number of tokens of the item in each row, up to and with its end."""
    is_end = x == END_TOKEN
    return jnp.where(jnp.any(is_end, 1), 1 + jnp.argmax(is_end, 1), x.shape[1])


def reversed_items(x: Tokens, lengths: Int[Array, 'batch']) -> Tokens:
    """Returns the tokens of each item in reverse order; the tokens after its end stay."""
    position = jnp.arange(x.shape[1])[None]
    mirrored = lengths[:, None] - 1 - position
    return jnp.take_along_axis(x, jnp.where(mirrored >= 0, mirrored, position), 1)


class Encoder(nn.Module):
    """Reads an item forwards and backwards; what follows its end has no effect.

    The output is a linear function of the largest value that each unit has on the item (Long et al.
    2019, Preventing Posterior Collapse in Sequence VAEs with Pooling), or of the last states.

    Attributes:
      vocab_size: size of the vocabulary.
      width: units of a layer in each direction, and dimension of the embedding.
      layers: number of layers in each direction.
      latent_dim: dimensions of z.
      is_pooled: whether units are pooled over the item; otherwise the last states are read.
      dtype: data type of the products.
    """

    vocab_size: int
    width: int
    layers: int
    latent_dim: int
    is_pooled: bool = True
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Tokens) -> Float[Array, 'batch two_latent']:
        """Returns mean and log variance of q(z | x), concatenated."""
        lengths = item_lengths(x)
        table = nn.Embed(self.vocab_size, self.width, embedding_init=EMBEDDING, name='table')
        summaries = []
        for direction, tokens in (('forward', x), ('backward', reversed_items(x, lengths))):
            units = table(tokens)
            for i in range(self.layers):
                layer = Layer(self.width, self.dtype, name=f'{direction}_{i}')
                units, _ = layer(units, jnp.zeros((len(x), self.width)))
            summaries.append(self._summary(units, lengths))
        both = jnp.concatenate(summaries, -1)
        output = functools.partial(nn.Dense, self.latent_dim, dtype=self.dtype)
        mean, log_var = output(name='mean'), output(bias_init=FIRST_LOG_VAR, name='log_var')
        return jnp.concatenate([mean(both), log_var(both)], -1).astype(sum_dtype(self.dtype))

    def _summary(self, units, lengths: Int[Array, 'batch']) -> Float[Array, 'batch width']:
        """Returns the largest value of each unit on the item, or its value at the item's end."""
        if self.is_pooled:
            is_read = jnp.arange(units.shape[1])[None] < lengths[:, None]
            return jnp.max(jnp.where(is_read[..., None], units, -jnp.inf), 1)
        return jnp.take_along_axis(units, lengths[:, None, None] - 1, 1)[:, 0]


class Decoder(nn.Module):
    """p(x | z) of items: layers of gated units over the tokens before, given z at every step.

    z is added, by a matrix each, to the embedding of every token that is read and to all logits:
    such skips keep the decoder from ignoring z (Dieng et al. 2019).

    Attributes:
      vocab_size: size of the vocabulary.
      width: units of a layer, and dimension of the embedding.
      layers: number of layers; the inputs of a layer are the states of the layer before.
      dtype: data type of the products.
    """

    vocab_size: int
    width: int
    layers: int
    dtype: DTypeLike = jnp.float32

    def setup(self):
        """Creates the layers; the embedding's last rows are the start and the dropped token."""
        self.table = nn.Embed(self.vocab_size + 2, self.width, embedding_init=EMBEDDING)
        options = dict(use_bias=False, kernel_init=SMALL, dtype=self.dtype)
        self.code = nn.Dense(self.width, **options)
        self.code_to_logits = nn.Dense(self.vocab_size, **options)
        self.stack = [Layer(self.width, self.dtype) for _ in range(self.layers)]
        self.head = nn.Dense(self.vocab_size, dtype=self.dtype)

    def __call__(
        self,
        z: Float[Array, 'batch latent'],
        x: Tokens,
        is_dropped: Bool[Array, 'batch length'] | None = None,
    ) -> Float[Array, 'batch length vocab']:
        """Returns the logits of each token given z and the tokens before it.

        Tokens of x that are dropped are predicted, but not read: a learned vector stands for each.
        """
        if is_dropped is not None:
            x = jnp.where(is_dropped, self.vocab_size + 1, x)
        previous = jnp.pad(x[:, :-1], ((0, 0), (1, 0)), constant_values=self.vocab_size)
        return self._advance(self.begin(z), previous)[1]

    def step(
        self, memory: Memory, previous: Int[Array, 'batch'], i: Int[Array, ''] | int
    ) -> tuple[Memory, Float[Array, 'batch vocab']]:
        """Reads token i - 1, `previous`; returns the new memory and the logits of token i."""
        previous = jnp.where(i > 0, previous, self.vocab_size)
        memory, logits = self._advance(memory, previous[:, None])
        return memory, logits[:, 0]

    def begin(self, z: Float[Array, 'batch latent']) -> Memory:
        """Returns the memory before the first token."""
        states = (jnp.zeros((len(z), self.width)),) * self.layers
        return (*states, self.code(z), self.code_to_logits(z))

    def _advance(self, memory: Memory, previous: Tokens):
        *states, to_inputs, to_logits = memory
        units, new_states = self.table(previous) + to_inputs[:, None], []
        for layer, state in zip(self.stack, states, strict=True):
            units, last = layer(units, state)
            new_states.append(last)
        logits = self.head(units) + to_logits[:, None]
        return (*new_states, to_inputs, to_logits), logits.astype(sum_dtype(self.dtype))


def decoder_parts(net: Decoder, latent_dim: int, spec: Spec) -> AutoregressiveParts:
    """Returns p(x | z) as the parts of an autoregressive model of items, one in a row.

    Its batches have 'z' [batch, latent]. 'is_dropped' [batch, *event], if a batch has it, marks the
    tokens that the network does not read.
    """

    def init(key, batch: Batch):
        z, x = jnp.zeros((1, latent_dim)), batch['x'][:1].astype(jnp.int32)
        return Weights({'model': net.init(key, z, x)['params']}, {'model': {}})

    def parameters(weights, batch: Batch, order_index):
        del order_index
        x, is_dropped = batch['x'].astype(jnp.int32), batch.get('is_dropped')
        return net.apply({'params': weights.params['model']}, batch['z'], x, is_dropped)

    def begin(weights, given: Batch, order_index):
        del order_index
        return net.apply({'params': weights.params['model']}, given['z'], method='begin')

    def step(weights, memory: Memory, i: Int[Array, ''], previous: Float[Array, 'batch']):
        variables, token = {'params': weights.params['model']}, previous.astype(jnp.int32)
        return net.apply(variables, memory, token, i, method='step')

    parts = text_parts(spec, init=init, parameters=parameters, steps=Steps(begin, step))
    return of_items(parts)
