"""A causal transformer over levels: pixels as in Image GPT (Chen et al. 2020), or text tokens.

The dimensions of the flat x form the sequence, with the channels of a pixel side by side. Each
dimension is categorical over all levels, given the dimensions before it; of items
(`atelier.data.items`), given those before it in its item.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from atelier.core.types import Batch, Weights
from atelier.data.dataset import Spec
from atelier.data.items import are_items
from models.autoregressive.autoregressive import AutoregressiveParts, Steps, natural_order
from models.nets.conditioning import Given, given_in
from models.nets.packed_rows import bounds
from models.nets.transformer import Transformer, empty_cache
from models.shared.observations import categorical


def transformer_parts(net: Transformer, spec: Spec) -> AutoregressiveParts:
    """Returns the parts of `net` for `autoregressive`.

    `net` needs as many symbols as x has levels, and the length of the flat x. With classes or
    features it models p(x | label) or p(x | condition).
    """

    def label_of(batch: Batch) -> Given | None:
        return given_in(batch, spec) if net.num_classes else None

    def tokens_of(x: Float[Array, 'batch *event']) -> Int[Array, 'batch dims']:
        return x.reshape(len(x), -1).astype(jnp.int32)

    def parameters(weights, batch: Batch, order_index, keys=None):
        del order_index
        x, variables = batch['x'], {'params': weights.params['model']}
        tokens = tokens_of(x)
        of_items = bounds(tokens) if are_items(spec) else None
        return net.apply(variables, tokens, label_of(batch), keys, of_items).reshape(*x.shape, -1)

    def init(key, batch: Batch):
        example = {name: array[:1] for name, array in batch.items()}
        variables = net.init(key, tokens_of(example['x']), label_of(example))
        return Weights({'model': variables['params']}, {'model': {}})

    def begin(weights, given: Batch, order_index):
        del order_index
        return empty_cache(net, len(given['x'])), label_of(given)

    def step(weights, memory, i: Int[Array, ''], previous: Float[Array, 'batch']):
        (cache, label), variables = memory, {'params': weights.params['model']}
        token = previous.astype(jnp.int32)
        cache, logits = net.apply(variables, cache, token, i, label, method='step')
        return (cache, label), logits

    return AutoregressiveParts(
        init=init,
        parameters=parameters,
        positions=natural_order(spec),
        observation=categorical(spec),
        spec=spec,
        steps=Steps(begin, step),
        is_conditional=bool(net.num_classes),
        in_training=parameters if net.dropout else None,
    )
