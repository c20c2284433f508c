"""The layers of a hierarchical VAE: their networks, inference, and the generative model.

Inference has one of two orders, which are functions `(nets, apply, x, pick) -> layers`: `bottom_up`
(Burda et al. 2015) and `top_down` (Sonderby et al. 2016).
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt32

from atelier.core.randomness import fold_in
from atelier.data.dataset import Spec
from losses import elbo
from models.autoencoders.vae import Posterior as Gaussian
from models.autoencoders.vae import reparameterize
from models.shared.observations import Observation

Apply = Callable[[str, Array], Array]  # (network name, input) -> output
Pick = Callable[[int, Gaussian], Array]  # (layer, q) -> z: a sample or the mean of q


class HierarchicalNetworks(NamedTuple):
    """The components of a hierarchical VAE of L = len(latent_dims) layers, numbered up from x.

    networks: {name: network}. `encoder_1` takes x, and `encoder_i`, i = 2..L, takes z or the
      features of layer i - 1. Each encoder returns (features [batch, units], concatenated mean and
      log variance [batch, 2 * latent_dims[i - 1]]). `decoder_1` maps z_1 to the parameters of p(x |
      z_1), [batch, *event, observation.size]. `decoder_i`, i = 2..L, maps z_i to the parameters of
      p(z_i-1 | z_i), [batch, 2 * latent_dims[i - 2]].
    observation: p(x | z_1).
    latent_dims: dimensions of z_1, ..., z_L.
    spec: spec of the data; encoder_1 takes x normalized with it.
    """

    networks: dict[str, nn.Module]
    observation: Observation
    latent_dims: tuple[int, ...]
    spec: Spec


class InferredLayer(NamedTuple):
    """Inference result for one z_i; q and p are conditioned on the inferred z of other layers.

    kl_by_dimension: the terms of kl_nats.
    """

    q: Gaussian
    p: Gaussian
    z: Float[Array, 'batch latent']
    kl_nats: Float[Array, 'batch']
    kl_by_dimension: Float[Array, 'batch latent']


def apply_with(nets: HierarchicalNetworks, params) -> Apply:
    """Returns a function that applies a network, given by name, with these parameters."""
    return lambda name, inputs: nets.networks[name].apply({'params': params['model'][name]}, inputs)


def sampling(keys: UInt32[Array, 'batch 2']) -> Pick:
    """Returns a function that draws z ~ q, with a separate key for each row and layer."""
    return lambda layer, q: reparameterize(q, fold_in(keys, layer))


def gaussian_of(output: Float[Array, 'batch twice']) -> Gaussian:
    """Splits a network's output into mean and log variance."""
    return Gaussian(*jnp.split(output, 2, axis=-1))


def generative(nets: HierarchicalNetworks, apply: Apply, layer: int, above, batch: int) -> Gaussian:
    """p(z_layer | z_layer+1 = above), or for the top layer p(z_L) = N(0, I) with `batch` rows."""
    if layer < len(nets.latent_dims):
        return gaussian_of(apply(f'decoder_{layer + 1}', above))
    zeros = jnp.zeros((batch, nets.latent_dims[-1]))
    return Gaussian(zeros, zeros)


def precision_weighted(a: Gaussian, b: Gaussian) -> Gaussian:
    """The normalized product of two Gaussian densities (Sonderby et al. 2016).

    Precisions add up, and the means are weighted by precision. No division is needed, because a's
    fraction of the precision is sigmoid(b.log_var - a.log_var).
    """
    share = jax.nn.sigmoid(b.log_var - a.log_var)
    return Gaussian(
        mean=share * a.mean + (1 - share) * b.mean,
        log_var=-jnp.logaddexp(-a.log_var, -b.log_var),
    )


def log_ratio(q: Gaussian, p: Gaussian, z) -> Float[Array, 'batch']:
    """log q(z) - log p(z), which for z ~ q is a one-sample estimate of KL(q || p)."""
    return elbo.diagonal_gaussian_log_prob(z, *q) - elbo.diagonal_gaussian_log_prob(z, *p)


def by_dimension(divergence: Callable, *arrays) -> Float[Array, 'batch latent']:
    """The terms of a divergence that sums over dimensions: each dimension becomes a row."""
    rows = jax.tree.map(lambda array: array.reshape(-1, 1), arrays)
    return divergence(*rows).reshape(jax.tree.leaves(arrays)[0].shape)


def closed_form(q: Gaussian, p: Gaussian) -> Float[Array, 'batch']:
    """KL(q || p) in nats."""
    return elbo.kl_diagonal_gaussians(*q, *p)


def bottom_up(nets: HierarchicalNetworks, apply: Apply, x, pick: Pick) -> list[InferredLayer]:
    """q(z_1 | x) q(z_2 | z_1) ... q(z_L | z_L-1): Burda et al. 2015, equation 2.

    Only the top layer's KL has a closed form. Below it, z_i+1 is drawn given z_i, so p(z_i | z_i+1)
    has to be evaluated at that same z_i. The one-sample log q - log p of these layers has the right
    expectation, but it can be negative, so it is not a KL divergence itself.
    """
    below, inferred = nets.spec.normalize(x), []
    for layer in range(1, len(nets.latent_dims) + 1):
        q = gaussian_of(apply(f'encoder_{layer}', below)[1])
        below = pick(layer, q)
        inferred.append((q, below))
    layers = []
    for layer, (q, z) in enumerate(inferred, 1):
        is_top = layer == len(inferred)
        p = generative(nets, apply, layer, None if is_top else inferred[layer][1], len(x))
        divergence, arrays = (closed_form, (q, p)) if is_top else (log_ratio, (q, p, z))
        terms = by_dimension(divergence, *arrays)
        layers.append(InferredLayer(q, p, z, divergence(*arrays), terms))
    return layers


def top_down(nets: HierarchicalNetworks, apply: Apply, x, pick: Pick) -> list[InferredLayer]:
    """q(z_L | x) ... q(z_1 | z_2, x): a deterministic pass up, then sampling from z_L down.

    Each q(z_i | z_i+1, x) is the precision-weighted product of the encoder's Gaussian for z_i and
    p(z_i | z_i+1). Both use the same z_i+1, so every KL has a closed form given the layer above.
    The log variance is an affine map of the features, whereas the paper's variance is the softplus
    of one. Batch norm, which the paper uses throughout, is omitted.
    """
    below, evidence = nets.spec.normalize(x), []
    for layer in range(1, len(nets.latent_dims) + 1):
        below, output = apply(f'encoder_{layer}', below)
        evidence.append(gaussian_of(output))
    above, layers = None, []
    for layer in range(len(evidence), 0, -1):
        p = generative(nets, apply, layer, above, len(x))
        q = evidence[layer - 1]
        if above is not None:
            q = precision_weighted(q, p)
        above = pick(layer, q)
        terms = by_dimension(closed_form, q, p)
        layers.append(InferredLayer(q, p, above, closed_form(q, p), terms))
    return layers[::-1]


def prior(
    nets: HierarchicalNetworks, params, keys: UInt32[Array, 'batch 2']
) -> Float[Array, 'batch latents']:
    """Draws z_L ~ p(z_L), then each layer given the one above; concatenates z_1, ..., z_L."""
    apply, pick, z = apply_with(nets, params), sampling(keys), []
    for layer in range(len(nets.latent_dims), 0, -1):
        z.append(pick(layer, generative(nets, apply, layer, z[-1] if z else None, len(keys))))
    return jnp.concatenate(z[::-1], -1)


def means_below(nets: HierarchicalNetworks, params, codes, layer: int):
    """Codes whose z_layer-1, ..., z_1 are the means of p(z_i | z_i+1), from z_layer down."""
    z = jnp.split(codes, np.cumsum(nets.latent_dims)[:-1], axis=-1)
    for i in range(layer - 1, 0, -1):
        z[i - 1] = generative(nets, apply_with(nets, params), i, z[i], len(codes)).mean
    return jnp.concatenate(z, -1)
