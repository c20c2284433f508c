"""Class labels in class-conditional families: one-hot in a code, or embedded in the input."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

from atelier.core.randomness import Rng, fold_in
from atelier.core.types import Batch, Weights
from atelier.data.dataset import Spec


def requested_class(
    keys: UInt32[Array, 'batch 2'], condition: Batch | None, spec: Spec
) -> Float[Array, 'batch classes']:
    """Returns `requested_label`, one-hot."""
    return jax.nn.one_hot(requested_label(keys, condition, spec), spec.num_classes)


def requested_label(
    keys: UInt32[Array, 'batch 2'],
    condition: Batch | None,
    spec: Spec,
    log_prior: Float[Array, 'classes'] | None = None,
) -> Int[Array, 'batch']:
    """Returns the condition's labels; if there are none, a random training class for each key.

    `log_prior` is log p(label) of a model that has it; None: training classes are equally likely.
    """
    label = (condition or {}).get('label')
    if label is None and log_prior is not None:
        return jax.vmap(lambda key: jax.random.categorical(key, log_prior))(keys)
    if label is None:
        classes = jnp.asarray(spec.known_classes)
        label = classes[jax.vmap(lambda key: jax.random.randint(key, (), 0, len(classes)))(keys)]
    return label


def random_labels(
    stream: int, spec: Spec, is_conditional: bool
) -> Callable[[Weights, Rng], Int[Array, 'local']] | None:
    """Returns `Sample.labels` of a family that draws classes with the keys of this stream.

    That is, of a family whose `Sample.draw` calls `requested_label(fold_in(rng.keys, stream), ...)`
    without a `log_prior`. None if the family is not conditional.
    """
    if not is_conditional:
        return None
    return lambda weights, rng: requested_label(fold_in(rng.keys, stream), None, spec)


class WithLabel(nn.Module):
    """A network that also takes the class label, and adds a learned per-class image to its input.

    A linear first layer W then computes W x + W E y for the images E and the one-hot y, as it could
    from x and y concatenated. The added image works with any kind of layer.

    Attributes:
      body: [batch, *event] -> [batch, *output].
      num_classes: number of classes of the label.
    """

    body: nn.Module
    num_classes: int

    @nn.compact
    def __call__(
        self, x: Float[Array, 'batch *event'], label: Int[Array, 'batch']
    ) -> Float[Array, 'batch *output']:
        """Returns the body's output."""
        image = nn.Embed(self.num_classes, x[0].size, embedding_init=nn.initializers.zeros)(label)
        return self.body(x + image.reshape(x.shape))
