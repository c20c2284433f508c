"""Mixtures fitted by expectation maximisation; if the label is the component, naive Bayes.

    p(x) = sum_k w_k p(x | k)

The likelihood, classification by Bayes' rule, and draws of the hidden part of an example given the
rest are exact.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from atelier.core.abilities import (
    Classify,
    Conditionals,
    Inpaint,
    LabelPrior,
    LogProb,
    PerExample,
    Sample,
)
from atelier.core.abilities import (
    Components as MixtureComponents,
)
from atelier.core.family import Family, present
from atelier.core.randomness import Rng, fold_in
from atelier.core.types import Batch
from atelier.data.dataset import Spec
from atelier.errors import at_least
from losses import elbo
from models.classical.components import TINY, Components
from models.classical.estimator import Estimator, fit_turn, initial_weights
from models.classical.kmeans import nearest_of
from models.nets.conditioning import requested_label

COMPONENT_DRAW, EXAMPLE_DRAW = 0, 1


class MixtureParts(NamedTuple):
    """The parts of a mixture.

    components: kind of the components.
    count: number of components.
    spec: spec of the data.
    is_labelled: whether the component is the label, and thus observed.
    pseudo_count: examples added to each component when its weight is estimated.
    forgetting: as in `models.classical.estimator.fit_turn`.
    lloyd_iterations: Lloyd iterations for the initial clusters of a mixture without labels.
    """

    components: Components
    count: int
    spec: Spec
    is_labelled: bool
    pseudo_count: float = 0.0
    forgetting: float = 0.0
    lloyd_iterations: int = 0


def mixture(parts: MixtureParts) -> Family:
    """Returns the family of one player, `model`, which is fitted without gradients."""
    at_least(1, 'model.num_components', parts.count)
    estimator = estimator_of(parts)

    def draw(weights, rng, condition):
        return sampled(parts, weights.params['model'], rng, condition)

    def labels(weights, rng):
        return component_of(parts, weights.params['model'], rng, None)

    def mean(weights, rng, condition):
        return sample_means(parts, weights.params['model'], rng, condition)

    def fill(weights, batch, rng):
        return inpainted(parts, weights.params['model'], batch, rng)

    def log_terms(weights, batch, rng):
        del rng
        return known(parts, log_joint(parts, weights.params['model'], batch['x']))

    def log_prior(weights):
        return log_prior_of(parts, weights.params['model'])

    def weights_and_means(weights):
        params = weights.params['model']
        means = parts.components.mean(params['components'], jnp.arange(parts.count))
        return jnp.exp(log_prior_of(parts, params)), unscaled(parts.spec, means)

    return Family(
        init=lambda key, batch: initial_weights(estimator, first_statistics(parts, key, batch)),
        turns=(fit_turn(estimator, parts.forgetting),),
        metrics=lambda weights, batch, rng: metrics_of(parts, weights.params['model'], batch),
        abilities=present(
            Sample(draw, parts.is_labelled, labels if parts.is_labelled else None, mean),
            Inpaint(fill),
            LogProb(log_prob_of(parts), 'exact'),
            conditionals(parts),
            MixtureComponents(log_terms, parts.is_labelled, weights_and_means),
            Classify(log_terms) if parts.is_labelled else None,
            LabelPrior(log_prior) if parts.is_labelled else None,
        ),
    )


def scaled(spec: Spec, x):
    """Returns x [batch, *event] as [batch, dims], the components' input: x itself if its values are
    discrete levels, else normalized x.
    """
    return (x if spec.levels is not None else spec.normalize(x)).reshape(len(x), -1)


def unscaled(spec: Spec, x):
    """The inverse of `scaled`."""
    x = x.reshape(len(x), *spec.event_shape)
    return x if spec.levels is not None else spec.denormalize(x)


def log_volume(spec: Spec):
    """Returns the log density of `scaled` x minus the log density of x, in nats."""
    if spec.levels is not None:
        return 0.0
    return jnp.sum(jnp.log(spec.affine(spec.event_shape)[1]))


def log_joint(parts: MixtureParts, params, x):
    """Returns log w_k + log p(x | k), [batch, K], in nats, for x in the data's units."""
    log_probs = parts.components.log_prob(params['components'], scaled(parts.spec, x))
    return params['log_weights'] + log_probs - log_volume(parts.spec)


def known(parts: MixtureParts, log_probs):
    """Returns log_probs [..., K], with -inf for classes without training examples."""
    return jnp.where(is_known_component(parts), log_probs, -jnp.inf)


def is_known_component(parts: MixtureParts) -> np.ndarray:
    """Returns whether each component [K] is a class with training examples, or is no class."""
    classes = np.arange(parts.count)
    return np.isin(classes, parts.spec.known_classes if parts.is_labelled else classes)


def log_prior_of(parts: MixtureParts, params):
    """Returns log p(label) [K], in nats."""
    return jax.nn.log_softmax(known(parts, params['log_weights']))


def estimator_of(parts: MixtureParts) -> Estimator:
    """Returns an iteration of EM; if the components are observed (labels), one is enough."""

    def statistics(weights, batch):
        joint = log_joint(parts, weights.params['model'], batch['x'])
        if parts.is_labelled:
            shares = jax.nn.one_hot(batch['label'], parts.count, dtype=joint.dtype)
            nats = -jnp.sum(shares * joint, -1)
        else:
            shares, nats = jax.nn.softmax(joint), -jax.nn.logsumexp(joint, -1)
        return parts.components.statistics(scaled(parts.spec, batch['x']), shares), nats

    is_known = is_known_component(parts)

    def maximize(stats):
        counts = jnp.where(is_known, stats['count'] + parts.pseudo_count, 0.0)
        weights = jnp.maximum(counts / counts.sum(), TINY)
        components = parts.components.maximize(stats)
        return {'components': components, 'log_weights': jnp.log(weights)}, {}

    return Estimator(statistics, parts.components.pooled, maximize)


def first_statistics(parts: MixtureParts, key, batch: Batch):
    """Returns the statistics of the first minibatch's clusters, or of its labels."""
    x = scaled(parts.spec, batch['x'])
    if parts.is_labelled:
        weights = jax.nn.one_hot(batch['label'], parts.count, dtype=x.dtype)
    else:
        weights = nearest_of(key, x, parts.count, parts.lloyd_iterations)
    return parts.components.statistics(x, weights)


def log_prob_of(parts: MixtureParts) -> PerExample:
    """Returns log p(x), or log p(x | label) if the label is observed."""

    def nats(weights, batch, rng):
        del rng
        joint = log_joint(parts, weights.params['model'], batch['x'])
        if not parts.is_labelled:
            return jax.nn.logsumexp(joint, -1)
        given = joint - weights.params['model']['log_weights']
        return jnp.take_along_axis(given, batch['label'][:, None], -1)[:, 0]

    return nats


def conditionals(parts: MixtureParts) -> Conditionals | None:
    """Returns p(x_i | earlier x), or p(x_i | earlier x, label), if the values are discrete levels;
    None if they are real.

    The memory is log p(k, x_<i) [batch, K].
    """
    levels_of = parts.components.levels_of
    if levels_of is None:
        return None

    def begin(weights, given: Batch):
        if parts.is_labelled:
            return jnp.log(jax.nn.one_hot(given['label'], parts.count))
        log_weights = weights.params['model']['log_weights']
        return jnp.broadcast_to(log_weights, (len(given['x']), parts.count))

    def step(weights, memory, i: Int[Array, ''], before: Float[Array, 'batch']):
        params = weights.params['model']['components']
        log_probs = levels_of(params, jnp.maximum(i - 1, 0))[:, before.astype(jnp.int32)].T
        memory = memory + jnp.where(i > 0, log_probs, 0.0)
        probs = jnp.exp(levels_of(params, i))
        return memory, jnp.log(jnp.matmul(jax.nn.softmax(memory), probs, precision='highest'))

    order = lambda weights: jnp.arange(parts.spec.num_dims, dtype=jnp.int32)
    return Conditionals(order, begin, step)


def metrics_of(parts: MixtureParts, params, batch: Batch) -> dict[str, jax.Array]:
    """Returns log p(x) of each example and, with labels, metrics of p(label | x)."""
    joint = log_joint(parts, params, batch['x'])
    possible = known(parts, joint)
    terms = {'log_prob_nats': jax.nn.logsumexp(possible, -1)}
    if not parts.is_labelled:
        return terms
    is_correct = jnp.argmax(possible, -1) == batch['label']
    return {
        **terms,
        'accuracy': is_correct.astype(jnp.float32),
        'cross_entropy_nats': -elbo.categorical_log_prob(batch['label'], possible),
    }


def sampled(parts: MixtureParts, params, rng: Rng, condition: Batch | None):
    """Draws a component by its weight, or takes the requested class, and then draws x from it."""
    component = component_of(parts, params, rng, condition)
    example_keys = fold_in(rng.keys, EXAMPLE_DRAW)
    return unscaled(
        parts.spec, parts.components.sample(example_keys, params['components'], component)
    )


def component_of(
    parts: MixtureParts, params, rng: Rng, condition: Batch | None
) -> Int[Array, 'batch']:
    """Returns the component of each sample: the requested class, or one drawn by its weight."""
    keys = fold_in(rng.keys, COMPONENT_DRAW)
    if parts.is_labelled:
        return requested_label(keys, condition, parts.spec, log_prior_of(parts, params))
    return jax.vmap(lambda key: jax.random.categorical(key, params['log_weights']))(keys)


def sample_means(parts: MixtureParts, params, rng: Rng, condition: Batch | None):
    """Returns the mean of x given the component from which `sampled` draws with the same rng."""
    component = component_of(parts, params, rng, condition)
    return unscaled(parts.spec, parts.components.mean(params['components'], component))


def inpainted(parts: MixtureParts, params, batch: Batch, rng: Rng):
    """Returns x with the hidden part drawn from p(hidden | known), or p(hidden | known, label)."""
    known = batch['known'].astype(bool).reshape(len(batch['x']), -1)
    x = jnp.where(known, scaled(parts.spec, batch['x']), 0.0)
    components = parts.components
    if parts.is_labelled:
        component = batch['label']
    else:
        logits = params['log_weights'] + components.log_prob(params['components'], x, known)
        component_keys = fold_in(rng.keys, COMPONENT_DRAW)
        component = jax.vmap(jax.random.categorical)(component_keys, logits)
    example_keys = fold_in(rng.keys, EXAMPLE_DRAW)
    filled = unscaled(
        parts.spec, components.fill(example_keys, params['components'], component, x, known)
    )
    return jnp.where(batch['known'].astype(bool), batch['x'], filled)  # known values are bit-exact
