"""Super-resolution by diffusion: samples of x given its low resolution (Saharia et al. 2022, SR3).

This is the diffusion model of `models.diffusion.diffusion`, except for the network's condition.
"""

import re

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.core.abilities import SuperResolve
from atelier.core.family import Family
from atelier.data.low_resolution import enlarged, reduced
from models.diffusion.denoiser import DenoiserNetworks, as_data, to_process
from models.diffusion.diffusion import METRIC_TIMES, Likelihood, Process, diffusion, schedule_of
from models.diffusion.sampling import Sampling, sampled


class SeesLow(nn.Module):
    """A denoising network that reads the enlarged low-resolution image as channels beside x_t.

    Attributes:
      body: (maps, half log-SNR, None) -> maps of the same shape [batch, height, width, channels].
      factor: factor by which the sides of the low-resolution image are shorter.
    """

    body: nn.Module
    factor: int

    @nn.compact
    def __call__(
        self,
        x_t: Float[Array, 'batch *event'],
        half_log_snr: Float[Array, 'batch'],
        low: Float[Array, 'batch *low'],
    ) -> Float[Array, 'batch *event']:
        """Returns the body's output for the channels of x_t, in the shape of x_t."""
        as_maps = lambda a: a.reshape(*x_t.shape[:3], -1)
        maps = as_maps(x_t)
        both = jnp.concatenate([maps, as_maps(enlarged(low, self.factor))], -1)
        output = self.body(both, half_log_snr, None)  # with as many channels as `both`
        return output[..., : maps.shape[-1]].reshape(x_t.shape)


def super_resolution(
    nets: DenoiserNetworks, process: Process, sampling: Sampling, factor: int
) -> Family:
    """Returns the family of `diffusion` for x given the means of factor x factor pixels.

    The family has no likelihood of x, and no samples without a low-resolution image. The terms of
    its bound are for log p(x | low), and have '_given_low' in their names.
    """
    spec = nets.spec
    nets = nets._replace(
        network=SeesLow(nets.network, factor),
        given=lambda batch: to_process(spec, reduced(batch['x'], factor)),
    )
    likelihood = Likelihood('bound', METRIC_TIMES, ode_steps=1, ode_probes=0)
    base = diffusion(nets, process, sampling, likelihood)

    def metrics(weights, batch, rng):
        terms = base.metrics(weights, batch, rng)
        return {re.sub('_(nats|bits_per_dim)$', r'_given_low_\1', k): v for k, v in terms.items()}

    def enlarge(weights, batch, rng):
        low, schedule = to_process(spec, batch['low']), schedule_of(process, weights.params)
        _, end = sampled(nets, schedule, sampling, weights.params['model'], rng, low)
        return as_data(spec, end.mean)

    return Family(base.init, base.turns, metrics, (SuperResolve(enlarge, factor),))
