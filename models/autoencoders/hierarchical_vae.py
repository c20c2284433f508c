"""VAEs with several stochastic layers: the bottom-up VAE (Burda et al. 2015) and the ladder VAE.

Both have the same networks and the generative model p(x | z_1) p(z_1 | z_2) ... p(z_L), where every
p(z_i | z_i+1) is a diagonal Gaussian and p(z_L) = N(0, I). They differ in the order of inference,
which is a function `(nets, apply, x, pick) -> layers`. An encoder layer passes its sample to the
next layer in `bottom_up`, and its features in `top_down` (Sonderby et al. 2016).
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from atelier.core import game
from atelier.core.abilities import Codes, LogProb, Sample, reconstruct_by_codes
from atelier.core.family import Family
from atelier.core.randomness import fold_in
from atelier.core.types import Batch, Weights
from atelier.data.dataset import Spec
from losses import elbo, kl_weights
from models.autoencoders.collapse_advice import KL_ADVICE, adviser
from models.autoencoders.vae import Posterior as Gaussian
from models.autoencoders.vae import bound_of_samples, check_estimate, reparameterize
from models.shared.observations import Observation
from models.shared.reconstruction_inpainting import by_reconstruction

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
    """Inference result for one z_i; q and p are conditioned on the inferred z of other layers."""

    q: Gaussian
    p: Gaussian
    z: Float[Array, 'batch latent']
    kl_nats: Float[Array, 'batch']


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
        kl = elbo.kl_diagonal_gaussians(*q, *p) if is_top else log_ratio(q, p, z)
        layers.append(InferredLayer(q, p, z, kl))
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
        layers.append(InferredLayer(q, p, above, elbo.kl_diagonal_gaussians(*q, *p)))
    return layers[::-1]


def elbo_terms(nets: HierarchicalNetworks, infer: Callable, params, x, keys) -> dict[str, Array]:
    """The terms of the bound at one sample of all layers, [batch] each, in nats.

    `elbo_nats` is the unweighted evidence lower bound, whatever the KL weight in the loss;
    `kl_nats` is the sum of `kl_z1_nats`, `kl_z2_nats`, ...
    """
    apply = apply_with(nets, params)
    layers = infer(nets, apply, x, sampling(keys))
    log_likelihood = nets.observation.log_prob(x, apply('decoder_1', layers[0].z))
    kl = sum(layer.kl_nats for layer in layers)
    return {
        'elbo_nats': log_likelihood - kl,
        'reconstruction_nats': -log_likelihood,
        'kl_nats': kl,
        **{f'kl_z{index}_nats': layer.kl_nats for index, layer in enumerate(layers, 1)},
    }


def importance_weighted_log_prob(
    nets: HierarchicalNetworks, infer: Callable, params, x, keys, num_samples: int, chunk: int
) -> Float[Array, 'batch']:
    """Estimates log p(x) in nats with k = num_samples: Burda et al. (2015), equation 8."""
    apply = apply_with(nets, params)

    def log_weights(index):
        """log p(x, z_1, ..., z_L) - log q(z_1, ..., z_L | x)."""
        layers = infer(nets, apply, x, sampling(fold_in(keys, index)))
        weights = nets.observation.log_prob(x, apply('decoder_1', layers[0].z))
        for layer in layers:
            weights -= log_ratio(layer.q, layer.p, layer.z)
        return weights

    return bound_of_samples(log_weights, num_samples, chunk)


def initialize(nets: HierarchicalNetworks, infer: Callable, key, batch: Batch) -> Weights:
    """Initializes each network on the input that it gets during inference and decoding."""
    params = {}

    def initialize_network(name: str, inputs):
        network_key = jax.random.fold_in(key, list(nets.networks).index(name))
        output, variables = nets.networks[name].init_with_output(network_key, inputs)
        params[name] = variables['params']
        return output

    layers = infer(nets, initialize_network, batch['x'][:1], lambda layer, q: q.mean)
    initialize_network('decoder_1', layers[0].z)
    return Weights({'model': params}, {'model': {}})


def prior(
    nets: HierarchicalNetworks, params, keys: UInt32[Array, 'batch 2']
) -> Float[Array, 'batch latents']:
    """Draws z_L ~ p(z_L), then each layer given the one above; concatenates z_1, ..., z_L."""
    apply, pick, z = apply_with(nets, params), sampling(keys), []
    for layer in range(len(nets.latent_dims), 0, -1):
        z.append(pick(layer, generative(nets, apply, layer, z[-1] if z else None, len(keys))))
    return jnp.concatenate(z[::-1], -1)


def hierarchical_vae(
    nets: HierarchicalNetworks, infer: Callable, num_importance_samples: int, importance_chunk: int
) -> Family:
    """The hierarchical VAE as a game of one player, `model`; `infer` is `bottom_up` or `top_down`.

    Codes concatenate the z of all layers, z_1 first; `decode` needs only z_1. `encode` returns the
    means of q, each given the means of the layers that it depends on.

    hypers: `beta`, the weight of the KL; `kl_warmup_steps`, over which the weight rises to beta;
    `free_nats`: a layer whose KL is below this value has a constant cost (0: no such floor).
    """
    check_estimate(num_importance_samples, importance_chunk)

    def loss(weights, batch, rng, step, hypers):
        terms = elbo_terms(nets, infer, weights.params, batch['x'], rng.keys)
        kl = [terms[f'kl_z{layer}_nats'] for layer in range(1, len(nets.latent_dims) + 1)]
        # Without free nats there is no floor, because a term may be negative (see `bottom_up`).
        floor = jnp.where(hypers['free_nats'] > 0, hypers['free_nats'], -jnp.inf)
        charged = kl_weights.free_nats(rng.gather(jnp.stack(kl, -1)), floor)
        weight = hypers['beta'] * kl_weights.warmup(step, hypers['kl_warmup_steps'])
        total = jnp.mean(terms['reconstruction_nats']) + weight * jnp.sum(charged)
        return {'model': total}, (weights.extra, terms)

    def encode(weights, batch, rng):
        layers = infer(nets, apply_with(nets, weights.params), batch['x'], lambda layer, q: q.mean)
        return jnp.concatenate([layer.z for layer in layers], -1)

    def parameters(params, codes):
        """The parameters of p(x | z_1)."""
        return apply_with(nets, params)('decoder_1', codes[:, : nets.latent_dims[0]])

    def decode(weights, codes):
        return nets.observation.mean(parameters(weights.params, codes))

    def draw_z_1(weights, batch, rng):
        return infer(nets, apply_with(nets, weights.params), batch['x'], sampling(rng.keys))[0].z

    def sample(weights, rng, condition):
        x_parameters = parameters(weights.params, prior(nets, weights.params, rng.keys))
        return nets.observation.sample(fold_in(rng.keys, 0), x_parameters)  # layer keys start at 1

    def log_prob(weights, batch, rng):
        return importance_weighted_log_prob(
            nets,
            infer,
            weights.params,
            batch['x'],
            rng.keys,
            num_importance_samples,
            importance_chunk,
        )

    advise = adviser(KL_ADVICE.format('stochastic layer'), len(nets.latent_dims))
    return Family(
        init=lambda key, batch: initialize(nets, infer, key, batch),
        turns=(game.Turn(('model',), loss, advise=advise),),
        metrics=lambda weights, batch, rng: elbo_terms(
            nets, infer, weights.params, batch['x'], rng.keys
        ),
        abilities=(
            Sample(sample),
            Codes(
                encode,
                decode,
                prior=lambda weights, rng: prior(nets, weights.params, rng.keys),
                dims=nets.latent_dims,
            ),
            reconstruct_by_codes(encode, decode),
            by_reconstruction(nets.spec, draw_z_1, decode),
            LogProb(log_prob, 'estimate', f'k = {num_importance_samples}'),
        ),
    )
