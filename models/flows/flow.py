"""Normalizing flows: log p(x) = log N(f(x); 0, I) + log |det df/dx|, for any bijector f."""

import math

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.core import game
from atelier.core.abilities import Codes, LogProb, Sample
from atelier.core.family import Family
from atelier.core.randomness import standard_normal
from atelier.core.types import Batch, Weights
from atelier.data.dataset import Spec
from atelier.errors import UserError, at_least
from models.flows.bijectors import FIXED

CodeArray = Float[Array, 'batch dims']


def flow(bijector: nn.Module, spec: Spec, temperature: float = 1.0) -> Family:
    """Returns the family of one player, `model`, which minimizes -log p(x).

    Codes z = f(x) have the dimension of x. The family has no reconstruction, since decoding a code
    returns x itself.

    Args:
      bijector: maps x [batch, *event], in the data's own units, to codes [batch, dims].
      spec: spec of the data.
      temperature: standard deviation of the codes of samples (Kingma and Dhariwal 2018, section 5);
        with 0 every sample is decoded from z = 0.
    """

    if spec.levels is not None:
        raise UserError(
            f'the data have {spec.levels} discrete levels, but a flow needs real values: set '
            '--config.data.dequantize=uniform'
        )
    at_least(0, 'eval.sampler.temperature', temperature)

    def apply(weights, x, method):
        variables = {'params': weights.params['model'], FIXED: weights.extra['model']}
        return bijector.apply(variables, x, method=method)

    def init(key, batch: Batch):
        variables = bijector.init(key, batch['x'], method='forward_and_log_det')
        params, fixed = variables.get('params', {}), variables.get(FIXED, {})
        return Weights({'model': params}, {'model': fixed})

    def nats(weights, batch, rng):
        del rng
        z, log_det = apply(weights, batch['x'], 'forward_and_log_det')
        return standard_normal_log_prob(z) + log_det

    def loss(weights, batch, rng, step, hypers):
        del step, hypers
        return {'model': -jnp.mean(nats(weights, batch, rng))}, (weights.extra, {})

    def encode(weights, batch, rng):
        del rng
        return apply(weights, batch['x'], 'forward_and_log_det')[0]

    def decode(weights, codes):
        """Decodes codes, clipped to the data's interval."""
        x, _ = apply(weights, codes, 'inverse_and_log_det')
        return x if spec.interval is None else jnp.clip(x, *spec.interval)

    def prior(weights, rng):
        return temperature * standard_normal(rng.keys, spec.num_dims)

    def sample(weights, rng, condition):
        del condition
        return decode(weights, prior(weights, rng))

    return Family(
        init=init,
        turns=(game.Turn(('model',), loss),),
        metrics=lambda *arguments: {'log_prob_nats': nats(*arguments)},
        abilities=(
            Sample(sample),
            Codes(encode, decode, prior, dims=(spec.num_dims,)),
            LogProb(nats, 'exact'),
        ),
    )


def standard_normal_log_prob(z: CodeArray) -> Float[Array, 'batch']:
    """Returns log N(z; 0, I) in nats."""
    return -0.5 * (jnp.sum(jnp.square(z), -1) + z.shape[-1] * math.log(2 * math.pi))
