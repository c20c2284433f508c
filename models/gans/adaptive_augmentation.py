"""Adaptive discriminator augmentation (Karras et al. 2020, Training Generative Adversarial Networks
with Limited Data, arXiv:2006.06676).

The discriminator sees real and generated pictures only after random transformations. Each is
applied with a probability p, which grows while the discriminator is too sure of real pictures.
With p below 1, the distribution of pictures follows from that of transformed ones, so that a
generator learns the former (section 2.2). The paper finds that this holds in practice for p below
about 0.8, the largest p here.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from atelier.core.game import Hypers
from atelier.core.randomness import Rng, fold_in
from atelier.core.types import Tree
from atelier.data.augmentation import transformed
from atelier.data.augmentation_draws import Draws, Strengths
from atelier.data.augmentation_geometry import Fill
from atelier.data.augmentation_settings import SeenAugmented, flip_remarks, listed
from atelier.data.dataset import Spec

COLLECTION = 'augmentation'  # of the discriminator: p, and what decides its next value
UNIT = 1.0  # range of normalized levels, and standard deviation of normalized real values
INTERVAL = 4  # minibatches between two changes of p, as in section 3.1


class Adaptive(NamedTuple):
    """The transformations that a discriminator sees.

    strengths: the largest change by each transformation.
    fill: what lies outside a normalized picture, by channel; None: the picture, mirrored.
    blank: what is erased becomes this, of a normalized picture, by channel.
    image_shape: (height, width, channels).
    """

    strengths: Strengths
    fill: Fill
    blank: tuple[float, ...]
    image_shape: tuple[int, int, int]


def adaptive(strengths: Strengths, spec: Spec) -> Adaptive:
    """Returns the augmentation of normalized pictures, as `config.data.augment` has it by default.

    Outside is the background of the training pictures, if they have one. Without one, what is
    erased becomes the middle of the range, or the mean of real values.
    """
    middle = 0.0 if spec.interval is None else 0.5
    blank = spec.background or (middle,) * spec.image_shape[2]
    return Adaptive(strengths, spec.background, blank, spec.image_shape)


def seen_augmented(augment: Adaptive | None, spec: Spec) -> SeenAugmented | None:
    """Returns what training and evaluations say of it; None without a transformation."""
    if augment is None or augment.strengths == Strengths():
        return None
    transformations = ', '.join(listed(augment.strengths))
    return SeenAugmented(
        f'adaptive, of what the discriminator sees: {transformations}',
        tuple(flip_remarks(augment.strengths, spec, 'model.augment.flip=always')),
    )


def initial_collection() -> dict[str, Tree]:
    """Returns the collection of the discriminator before its first step, with p = 0."""
    return {
        'probability': jnp.zeros(()),
        'mean_sign': jnp.zeros(()),  # of the logits of real pictures, since p was last changed
        'minibatches': jnp.zeros((), jnp.int32),  # over which it is the mean
    }


def augmented(
    augment: Adaptive | None,
    collections: dict[str, Tree],
    x: Float[Array, 'batch *event'],
    keys: UInt32[Array, 'batch 2'],
    which: int,
) -> Float[Array, 'batch *event']:
    """Returns normalized pictures transformed with the current p; x itself if `augment` is None.

    `which` is folded into the keys.
    """
    if augment is None:
        return x
    draws = Draws(fold_in(keys, which), collections[COLLECTION]['probability'])
    images = x.reshape(-1, *augment.image_shape)
    moved = transformed(images, draws, augment.strengths, augment.fill, UNIT, augment.blank)
    return moved.reshape(x.shape)


def adapted(
    collections: dict[str, Tree],
    real_logits: Float[Array, 'packs'],
    boundary: float,
    rng: Rng,
    hypers: Hypers,
) -> dict[str, Tree]:
    """Returns the discriminator's collections after a minibatch, with the next p.

    r_t is the mean sign of the logits of real pictures, relative to the decision boundary, over
    `INTERVAL` minibatches (equation 1). If it is above hypers['augment_target'], p grows by the
    share of hypers['augment_examples'] that these minibatches are; else it falls as much. It stays
    between 0 and hypers['augment_limit'].
    """
    before = collections[COLLECTION]
    sign = jnp.mean(rng.gather(jnp.sign(real_logits - boundary)))
    minibatches = before['minibatches'] + 1
    mean_sign = before['mean_sign'] + (sign - before['mean_sign']) / minibatches
    is_due = minibatches >= INTERVAL
    change = INTERVAL * rng.batch_size / hypers['augment_examples']
    moved = before['probability'] + jnp.sign(mean_sign - hypers['augment_target']) * change
    limited = jnp.clip(moved, 0, hypers['augment_limit'])
    after = {
        'probability': jnp.where(is_due, limited, before['probability']),
        'mean_sign': jnp.where(is_due, 0.0, mean_sign),
        'minibatches': jnp.where(is_due, 0, minibatches),
    }
    return {**collections, COLLECTION: after}
