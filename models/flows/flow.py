"""Normalizing flows: log p(x) = log N(f(x); 0, I) + log |det df/dx|, for any bijector f.

In a conditional flow (Winkler et al. 2019), f also depends on the class or another condition: a
code is z followed by the one-hot class, or by the features of the condition.
"""

import math

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.core import game
from atelier.core.abilities import Codes, LogProb
from atelier.core.family import Family, present
from atelier.core.randomness import fold_in, standard_normal
from atelier.core.types import Batch, Weights
from atelier.data.dataset import Spec
from atelier.errors import UserError, at_least
from models.flows.bijectors import FIXED, given
from models.nets.conditioning import (
    conditional_sample,
    features_in,
    is_on_class,
    with_requested,
)
from models.shared.bayes_classifier import classifier_by_bayes_rule

LABEL_DRAW = 1  # index folded into each row's key
CodeArray = Float[Array, 'batch dims']


def flow(
    bijector: nn.Module, spec: Spec, temperature: float = 1.0, is_conditional: bool = False
) -> Family:
    """Returns the family of one player, `model`, which minimizes -log p(x).

    Codes z = f(x) have the dimension of x; features of a condition follow z. The family has no
    reconstruction, since decoding a code returns x itself.

    Args:
      bijector: maps x [batch, *event], in the data's own units, to codes [batch, dims].
      spec: spec of the data.
      temperature: standard deviation of the codes of samples (Kingma and Dhariwal 2018, section 5);
        with 0 every sample is decoded from z = 0.
      is_conditional: whether the bijector takes features of the label, or of the data's condition.
    """

    if spec.levels is not None:
        raise UserError(
            f'the data have {spec.levels} discrete levels, but a flow needs real values: set '
            '--config.data.dequantize=uniform'
        )
    at_least(0, 'eval.sampler.temperature', temperature)

    def features_of(batch: Batch):
        return features_in(batch, spec) if is_conditional else None

    def apply(weights, x, condition, method):
        variables = {'params': weights.params['model'], FIXED: weights.extra['model']}
        return bijector.apply(variables, x, condition, method=method)

    def init(key, batch: Batch):
        inputs = batch['x'], features_of(batch)
        variables = bijector.init(key, *inputs, method='forward_and_log_det')
        params, fixed = variables.get('params', {}), variables.get(FIXED, {})
        return Weights({'model': params}, {'model': fixed})

    def nats(weights, batch, rng):
        del rng
        z, log_det = apply(weights, batch['x'], features_of(batch), 'forward_and_log_det')
        return standard_normal_log_prob(z) + log_det

    def loss(weights, batch, rng, step, hypers):
        del step, hypers
        return {'model': -jnp.mean(nats(weights, batch, rng))}, (weights.extra, {})

    def encode(weights, batch, rng):
        del rng
        features = features_of(batch)
        z, _ = apply(weights, batch['x'], features, 'forward_and_log_det')
        return jnp.concatenate([z, *given(features)], -1)

    def decode(weights, codes):
        """Decodes codes, clipped to the data's interval."""
        z, features = jnp.split(codes, [spec.num_dims], axis=-1)
        features = features if is_conditional else None
        x, _ = apply(weights, z, features, 'inverse_and_log_det')
        return x if spec.interval is None else jnp.clip(x, *spec.interval)

    def prior(weights, rng, condition=None):
        """Draws z and, if conditional, the requested or a random condition."""
        z = temperature * standard_normal(rng.keys, spec.num_dims)
        keys = fold_in(rng.keys, LABEL_DRAW)
        return with_requested(z, keys, condition, spec, is_conditional)

    def sample(weights, rng, condition):
        return decode(weights, prior(weights, rng, condition))

    has_class = is_on_class(spec, is_conditional)
    return Family(
        init=init,
        turns=(game.Turn(('model',), loss),),
        metrics=lambda *arguments: {'log_prob_nats': nats(*arguments)},
        abilities=present(
            conditional_sample(sample, LABEL_DRAW, spec, is_conditional),
            Codes(encode, decode, prior, dims=(spec.num_dims,), has_class=has_class),
            LogProb(nats, 'exact'),
            classifier_by_bayes_rule(nats, spec, is_conditional),
        ),
    )


def standard_normal_log_prob(z: CodeArray) -> Float[Array, 'batch']:
    """Returns log N(z; 0, I) in nats."""
    return -0.5 * (jnp.sum(jnp.square(z), -1) + z.shape[-1] * math.log(2 * math.pi))
