"""A recurrent network of gated units (GRU; Cho et al. 2014, equations 5 to 8) over tokens.

    z = sigmoid(W_z x + U_z h)            update gate: how much of h stays
    r = sigmoid(W_r x + U_r h)            reset gate: how much of h is read
    h <- z h + (1 - z) tanh(W x + U (r h))

Token i is predicted from the state after the tokens before it. A learned start token comes before
the first one. In packed rows (`models.nets.packed_rows`) every item begins with the initial state
and the start token.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from atelier.core.types import Batch, Weights
from atelier.data.dataset import Spec
from atelier.data.items import are_items
from atelier.errors import MAX_UNROLLED, check_sizes
from models.autoregressive.autoregressive import AutoregressiveParts, Steps
from models.autoregressive.language_model import text_parts
from models.nets.dtypes import sum_dtype
from models.nets.packed_rows import bounds

Begins = Bool[Array, 'batch length'] | None  # the places where an item begins; None: one text
States = tuple[Float[Array, 'batch width'], ...]  # one per layer


class Layer(nn.Module):
    """One layer of gated units.

    Attributes:
      width: number of units.
      dtype: data type of the products; states and parameters are float32.
    """

    width: int
    dtype: DTypeLike = jnp.float32

    def setup(self):
        """Creates one matrix for everything computed from the input, and two for the state."""
        shape = self.width, self.width
        self.inputs = nn.Dense(3 * self.width, dtype=self.dtype)
        square = nn.initializers.orthogonal()
        self.gates = self.param('gates', square, (self.width, 2 * self.width), jnp.float32)
        self.state = self.param('state', square, shape, jnp.float32)

    def __call__(
        self,
        x: Float[Array, 'batch length features'],
        h: Float[Array, 'batch width'],
        begins: Begins = None,
    ) -> tuple[Float[Array, 'batch length width'], Float[Array, 'batch width']]:
        """Returns the states after each input, starting from h, and the last state.

        Where an item begins, the state before the input is 0.
        """
        gates, state = self.gates.astype(self.dtype), self.state.astype(self.dtype)

        def step(h, inputs):
            if begins is not None:
                inputs, is_first = inputs
                h = jnp.where(is_first[:, None], 0.0, h)
            of_gates, of_state = jnp.split(inputs, [2 * self.width], -1)
            both = nn.sigmoid(of_gates + (h.astype(self.dtype) @ gates).astype(h.dtype))
            z, r = jnp.split(both, 2, -1)
            new = jnp.tanh(of_state + ((r * h).astype(self.dtype) @ state).astype(h.dtype))
            h = z * h + (1 - z) * new
            return h, h

        inputs = jnp.moveaxis(self.inputs(x).astype(h.dtype), 1, 0)
        inputs = inputs if begins is None else (inputs, begins.T)
        last, states = jax.lax.scan(step, h, inputs)
        return jnp.moveaxis(states, 0, 1), last


class GRU(nn.Module):
    """Layers of gated units over embedded tokens.

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

    def __post_init__(self):
        """Refuses invalid sizes."""
        super().__post_init__()
        check_sizes(self, 'width')
        check_sizes(self, 'layers', most=MAX_UNROLLED)

    def setup(self):
        """Creates embedding, layers and head; the embedding's last row is the start token."""
        self.table = nn.Embed(self.vocab_size + 1, self.width)
        self.stack = [Layer(self.width, self.dtype) for _ in range(self.layers)]
        self.head = nn.Dense(self.vocab_size, dtype=self.dtype)

    def __call__(
        self, x: Int[Array, 'batch length'], begins: Begins = None
    ) -> Float[Array, 'batch length vocab']:
        """Returns the logits of each token given the ones before it; the last token is not read.

        With `begins`, given the ones before it in its item.
        """
        previous = jnp.pad(x[:, :-1], ((0, 0), (1, 0)), constant_values=self.vocab_size)
        if begins is not None:
            previous = jnp.where(begins, self.vocab_size, previous)
        return self._advance(self.initial_states(len(x)), previous, begins)[1]

    def step(
        self, states: States, previous: Int[Array, 'batch'], i: Int[Array, ''] | int
    ) -> tuple[States, Float[Array, 'batch vocab']]:
        """Reads token i - 1, `previous`; returns the new states and the logits of token i."""
        previous = jnp.where(i > 0, previous, self.vocab_size)
        states, logits = self._advance(states, previous[:, None])
        return states, logits[:, 0]

    def initial_states(self, batch_size: int) -> States:
        """Returns the states before the first token."""
        return tuple(jnp.zeros((batch_size, self.width)) for _ in range(self.layers))

    def _advance(self, states: States, previous: Int[Array, 'batch length'], begins: Begins = None):
        units, new_states = self.table(previous), []
        for layer, state in zip(self.stack, states, strict=True):
            units, last = layer(units, state, begins)
            new_states.append(last)
        logits = self.head(units).astype(sum_dtype(self.dtype))
        return tuple(new_states), logits


def gru_parts(net: GRU, spec: Spec) -> AutoregressiveParts:
    """Returns the parts of `net` for `autoregressive`, with its states cached."""

    def init(key, batch: Batch):
        variables = net.init(key, batch['x'][:1].astype(jnp.int32))
        return Weights({'model': variables['params']}, {'model': {}})

    def parameters(weights, batch: Batch, order_index):
        del order_index
        x = batch['x'].astype(jnp.int32)
        begins = bounds(x).begins if are_items(spec) else None
        return net.apply({'params': weights.params['model']}, x, begins)

    def begin(weights, given: Batch, order_index):
        del order_index
        return net.initial_states(len(given['x']))

    def step(weights, states: States, i: Int[Array, ''], previous: Float[Array, 'batch']):
        variables, token = {'params': weights.params['model']}, previous.astype(jnp.int32)
        return net.apply(variables, states, token, i, method='step')

    return text_parts(spec, init=init, parameters=parameters, steps=Steps(begin, step))
