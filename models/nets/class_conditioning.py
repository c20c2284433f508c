"""Classes as families that sample by class see them: one-hot, at the end of a code."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

from atelier.core.types import Batch
from atelier.data.dataset import Spec


def asked_for(
    keys: UInt32[Array, 'batch 2'], condition: Batch | None, spec: Spec
) -> Float[Array, 'batch classes']:
    """`label_asked_for`, one-hot."""
    return jax.nn.one_hot(label_asked_for(keys, condition, spec), spec.num_classes)


def label_asked_for(
    keys: UInt32[Array, 'batch 2'], condition: Batch | None, spec: Spec
) -> Int[Array, 'batch']:
    """The classes of a condition; without one, any that training sees, by each key."""
    label = (condition or {}).get('label')
    if label is None:
        known = jnp.asarray(spec.known_classes)
        label = known[jax.vmap(lambda key: jax.random.randint(key, (), 0, len(known)))(keys)]
    return label


class WithLabel(nn.Module):
    """A network of events that sees their class as well: a picture of its own added to them.

    For a first layer W that is W x + W E y: what it would make of x and the one-hot y side by side,
    whatever the layer is.

    Attributes:
      body: [batch, *event] -> [batch, *output].
      num_classes: of the label.
    """

    body: nn.Module
    num_classes: int

    @nn.compact
    def __call__(
        self, x: Float[Array, 'batch *event'], label: Int[Array, 'batch']
    ) -> Float[Array, 'batch *output']:
        """Returns the body's output."""
        picture = nn.Embed(self.num_classes, x[0].size, embedding_init=nn.initializers.zeros)(label)
        return self.body(x + picture.reshape(x.shape))
