"""A discriminative classifier p(label | x), trained by maximum likelihood.

Samples are compared with data in the features that the classifier's penultimate layer outputs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from atelier.core import game
from atelier.core.abilities import Classify, Codes, FeatureMaps
from atelier.core.family import Family
from atelier.core.randomness import fold_in, identity
from atelier.core.types import Weights
from atelier.data.dataset import Spec
from atelier.errors import UserError, at_least, share
from losses import elbo
from models.nets.dropout import dropout


class Network(nn.Module):
    """Features, and logits that are affine in them.

    Attributes:
      body: [batch, *event] -> [batch, features], before their activation.
      activation: activation of the features.
      num_classes: number of classes.
    """

    body: nn.Module
    activation: Callable
    num_classes: int

    @nn.compact
    def __call__(
        self, x: Float[Array, 'batch *event'], keep: Callable | None, are_maps: bool = False
    ) -> tuple[Float[Array, 'batch classes'], Float[Array, 'batch features']]:
        """Returns (logits, features); `keep` transforms the features before the logit layer.

        If `are_maps`, x is the intermediate `maps` of a convolutional body.
        """
        features = self.activation(self.body(x, are_maps) if are_maps else self.body(x))
        kept = features if keep is None else keep(features)
        return nn.Dense(self.num_classes)(kept), features


class ClassifierParts(NamedTuple):
    """The components of a classifier.

    network: (train, gather) -> Network.
    spec: spec of the data; the network takes x normalized with it.
    dropout: fraction of the features that training drops (Srivastava et al. 2014).
    shift: maximum shift of images in training, in pixels, in each direction.
    has_maps: whether the network's body is a `ConvEncoder`.
    classes: the classes that can be predicted; all others have probability 0. None: all can.
    """

    network: Callable[[bool, Callable], nn.Module]
    spec: Spec
    dropout: float
    shift: int
    has_maps: bool = False
    classes: tuple[int, ...] | None = None


def shifted(
    x: Float[Array, 'batch height width *channels'], keys: UInt32[Array, 'batch 2'], max_shift: int
) -> Float[Array, 'batch height width *channels']:
    """Shifts each image at random by up to `max_shift` pixels along both axes; fills with zeros."""
    if max_shift == 0:
        return x
    rest = [(0, 0)] * (x.ndim - 3)

    def move(image, key):
        start = jax.random.randint(key, (2,), 0, 2 * max_shift + 1)
        padded = jnp.pad(image, [(max_shift, max_shift), (max_shift, max_shift), *rest])
        zeros = [jnp.zeros((), start.dtype)] * len(rest)
        return jax.lax.dynamic_slice(padded, (start[0], start[1], *zeros), image.shape)

    return jax.vmap(move)(x, keys)


def variables_of(weights: Weights) -> dict[str, Any]:
    """The network's variables, in Flax's form."""
    return {'params': weights.params['model'], **weights.extra['model']}


def predictable(
    parts: ClassifierParts, logits: Float[Array, 'batch classes']
) -> Float[Array, 'batch classes']:
    """Returns the logits, with -inf for the classes that cannot be predicted."""
    if parts.classes is None:
        return logits
    return jnp.where(np.isin(np.arange(logits.shape[-1]), parts.classes), logits, -jnp.inf)


def feature_maps(parts: ClassifierParts) -> FeatureMaps:
    """The evaluation network, split at the maps of its last convolution."""
    network = parts.network(False, identity)

    def maps(weights, batch, rng):
        x = parts.spec.normalize(batch['x'])
        _, kept = network.apply(variables_of(weights), x, None, mutable='intermediates')
        return kept['intermediates']['body']['maps'][0]

    def logits(weights, maps):
        output, _ = network.apply(variables_of(weights), maps, None, are_maps=True)
        return predictable(parts, output)

    return FeatureMaps(maps, logits)


def check(parts: ClassifierParts) -> None:
    """Rejects an invalid dropout or shift, and shifts or convolutions of data other than images.

    Raises:
      UserError: a setting is invalid; the message names its config field.
    """
    at_least(0, 'model.shift', parts.shift)
    share('model.dropout', parts.dropout, below_one=True)
    if len(parts.spec.event_shape) < 2 and (parts.has_maps or parts.shift):
        raise UserError(
            'config.data: the examples are not images: give --config.model.channels="()" '
            '--config.model.shift=0'
        )


def classifier(parts: ClassifierParts) -> Family:
    """The classifier as a game of one player, `model`; `encode` returns the features."""
    check(parts)

    def outputs(weights, x, train=False, gather=identity, keep=None):
        network, collections = parts.network(train, gather), list(weights.extra['model'])
        x = parts.spec.normalize(x)
        variables = variables_of(weights)
        (logits, features), after = network.apply(variables, x, keep, mutable=collections)
        return (predictable(parts, logits), features), after

    def loss(weights, batch, rng, step, hypers):
        del step, hypers
        shift_keys, dropout_keys = (fold_in(rng.keys, stream) for stream in (0, 1))
        x = shifted(batch['x'], shift_keys, parts.shift)
        keep = (lambda f: dropout(f, dropout_keys, parts.dropout)) if parts.dropout else None
        (logits, _), after = outputs(weights, x, True, rng.gather, keep)
        terms = terms_of(logits, batch['label'])
        return {'model': jnp.mean(terms['cross_entropy_nats'])}, ({'model': after}, terms)

    def terms_of(logits, label):
        is_correct = jnp.argmax(logits, -1) == label
        return {
            'cross_entropy_nats': -elbo.categorical_log_prob(label, logits),
            'accuracy': is_correct.astype(jnp.float32),
        }

    def init(key, batch):
        variables = parts.network(True, identity).init(key, batch['x'][:1], None)
        params = variables.pop('params')
        return Weights({'model': params}, {'model': variables})

    return Family(
        init=init,
        turns=(game.Turn(('model',), loss),),
        metrics=lambda weights, batch, rng: terms_of(
            outputs(weights, batch['x'])[0][0], batch['label']
        ),
        abilities=(
            Codes(encode=lambda weights, batch, rng: outputs(weights, batch['x'])[0][1]),
            Classify(
                logits=lambda weights, batch, rng: outputs(weights, batch['x'])[0][0],
                feature_maps=feature_maps(parts) if parts.has_maps else None,
            ),
        ),
    )
