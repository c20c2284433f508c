"""Normalizing flows: log p(x) = log N(f(x); 0, I) + log |det df/dx|, of any bijector f."""

import math

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.core import game
from atelier.core.family import Family, LogProb
from atelier.core.randomness import standard_normal
from atelier.core.types import Batch
from atelier.data.dataset import Spec
from models.flows.bijectors import FIXED

Codes = Float[Array, 'batch dims']


def flow(bijector: nn.Module, spec: Spec, temperature: float = 1.0) -> Family:
    """A game of one player, `model`, which descends -log p(x).

    Codes are z = f(x), as long as x. There is no reconstruction: what is encoded and decoded again
    is x.

    Args:
      bijector: of x [batch, *event], in the data's own units, to codes [batch, dims].
      spec: of the data.
      temperature: deviation of the codes of samples (Kingma and Dhariwal 2018, section 5); with 0
        all are the mode of the codes.
    """

    def apply(params, extra, x, method):
        variables = {'params': params['model'], FIXED: extra['model']}
        return bijector.apply(variables, x, method=method)

    def init(key, batch: Batch):
        variables = bijector.init(key, batch['x'], method='forward_and_log_det')
        return {'model': variables.get('params', {})}, {'model': variables.get(FIXED, {})}

    def nats(params, extra, batch, draw):
        del draw
        z, log_det = apply(params, extra, batch['x'], 'forward_and_log_det')
        return standard_normal_log_prob(z) + log_det

    def loss(params, extra, batch, draw, step, hypers):
        del step, hypers
        return {'model': -jnp.mean(nats(params, extra, batch, draw))}, (extra, {})

    def encode(params, extra, batch, draw):
        del draw
        return apply(params, extra, batch['x'], 'forward_and_log_det')[0]

    def decode(params, extra, codes):
        """No further than the data go."""
        x, _ = apply(params, extra, codes, 'inverse_and_log_det')
        return x if spec.interval is None else jnp.clip(x, *spec.interval)

    def prior(params, extra, draw):
        del params, extra
        return temperature * standard_normal(draw.keys, spec.num_dims)

    def sample(params, extra, draw, condition):
        del condition
        return decode(params, extra, prior(params, extra, draw))

    return Family(
        init=init,
        turns=(game.Turn(('model',), loss),),
        metrics=lambda *arguments: {'log_prob_nats': nats(*arguments)},
        sample=sample,
        prior=prior,
        encode=encode,
        decode=decode,
        latent_dims=(spec.num_dims,),
        log_prob=LogProb(nats, 'exact'),
    )


def standard_normal_log_prob(z: Codes) -> Float[Array, 'batch']:
    """log N(z; 0, I), nats."""
    return -0.5 * (jnp.sum(jnp.square(z), -1) + z.shape[-1] * math.log(2 * math.pi))
