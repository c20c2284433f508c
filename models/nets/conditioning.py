"""What conditional networks read: a label, or the features of another condition.

A network reads either through a table of vectors, one for each class or feature: a label selects a
vector, and features weight a sum of them (`embedded`). A label is thus the same as its one-hot
features.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

from atelier.core.abilities import Sample
from atelier.core.randomness import Rng, fold_in
from atelier.core.types import Batch, Weights
from atelier.data.conditions.condition import KEY
from atelier.data.dataset import Spec

Given = Int[Array, 'batch'] | Float[Array, 'batch given']  # a label, or features of a condition


def num_vectors(spec: Spec) -> int:
    """Returns the number of vectors in a network's table; 0 if the data have no condition.

    The condition of the data, if they have one, takes the place of their labels.
    """
    return (spec.num_classes or 0) if spec.condition is None else spec.condition.num_features


def is_on_class(spec: Spec, is_conditional: bool) -> bool:
    """Whether a conditional family of these data is conditional on their class."""
    return is_conditional and spec.condition is None


def given_in(batch: Batch, spec: Spec) -> Given:
    """Returns the label of each example of a batch, or the features of its condition."""
    return batch['label'] if spec.condition is None else spec.condition.features(batch[KEY])


def requested(keys: UInt32[Array, 'batch 2'], condition: Batch | None, spec: Spec) -> Batch:
    """Returns what samples are requested to be conditional on: the labels, or the condition.

    Without a request, each key draws a class of training, or a condition that the spec has as an
    example of those of training.
    """
    if spec.condition is None:
        return {'label': requested_label(keys, condition, spec)}
    if condition is not None and KEY in condition:
        return {KEY: condition[KEY]}
    examples = jnp.asarray(spec.condition.examples)
    index = jax.vmap(lambda key: jax.random.randint(key, (), 0, len(examples)))(keys)
    return {KEY: examples[index]}


def requested_features(
    keys: UInt32[Array, 'batch 2'], condition: Batch | None, spec: Spec
) -> Float[Array, 'batch features']:
    """Returns the features of `requested`; those of a label are one-hot."""
    return features_in(requested(keys, condition, spec), spec)


def features_in(batch: Batch, spec: Spec) -> Float[Array, 'batch features']:
    """Returns `given_in` as features; a label becomes one-hot."""
    given = given_in(batch, spec)
    return jax.nn.one_hot(given, spec.num_classes) if spec.condition is None else given


def with_requested(
    z: Float[Array, 'batch latent'],
    keys: UInt32[Array, 'batch 2'],
    condition: Batch | None,
    spec: Spec,
    is_conditional: bool,
) -> Float[Array, 'batch codes']:
    """Returns codes: z, followed by `requested_features` in a conditional family."""
    if not is_conditional:
        return z
    return jnp.concatenate([z, requested_features(keys, condition, spec)], -1)


def embedded(table: Float[Array, 'vectors dims'], given: Given) -> Float[Array, 'batch dims']:
    """Returns the table's vector of each label, or the sum of its vectors weighted by features."""
    is_label = jnp.issubdtype(given.dtype, jnp.integer)
    return jnp.take(table, given, axis=0) if is_label else given @ table


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


def conditional_sample(
    draw: Callable, stream: int, spec: Spec, is_conditional: bool, mean: Callable | None = None
) -> Sample:
    """Returns the ability of a family that draws `requested` with the keys of this stream.

    Args:
      draw: as in `Sample`; it calls `requested(fold_in(rng.keys, stream), condition, spec)`.
      stream: index folded into the keys.
      spec: of the data.
      is_conditional: whether the family is conditional.
      mean: as in `Sample`.
    """
    if not is_conditional:
        return Sample(draw, mean=mean)

    def conditions(weights: Weights, rng: Rng) -> Array:
        return requested(fold_in(rng.keys, stream), None, spec)[KEY]

    if spec.condition is not None:
        return Sample(draw, mean=mean, reads_condition=True, conditions=conditions)

    def labels(weights: Weights, rng: Rng) -> Int[Array, 'local']:
        return requested_label(fold_in(rng.keys, stream), None, spec)

    return Sample(draw, True, labels, mean)


class WithLabel(nn.Module):
    """A network that also takes a label or features, and adds a learned image to its input.

    A linear first layer W then computes W x + W E y for the images E and the one-hot y, as it could
    from x and y concatenated. The added image works with any kind of layer.

    Attributes:
      body: [batch, *event] -> [batch, *output].
      num_classes: number of classes of the label, or of features.
    """

    body: nn.Module
    num_classes: int

    @nn.compact
    def __call__(self, x: Float[Array, 'batch *event'], label: Given) -> Float[Array, '...']:
        """Returns the body's output [batch, *output]."""
        table = nn.Embed(self.num_classes, x[0].size, embedding_init=nn.initializers.zeros)
        return self.body(x + embedded(table.embedding, label).reshape(x.shape))
