"""VAEs with several stochastic layers: the bottom-up VAE (Burda et al. 2015) and the ladder VAE.

Both have the same networks and the generative model p(x | z_1) p(z_1 | z_2) ... p(z_L), where every
p(z_i | z_i+1) is a diagonal Gaussian and p(z_L) = N(0, I). They differ in the order of inference,
which is a function of `models.autoencoders.hierarchical_inference`. An encoder layer passes its
sample to the next layer in `bottom_up`, and its features in `top_down` (Sonderby et al. 2016).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.core import game
from atelier.core.abilities import BoundTerms, Codes, PerExample, Sample, reconstruct_by_codes
from atelier.core.family import Family
from atelier.core.randomness import fold_in
from atelier.core.types import Batch, Weights
from losses import kl_weights
from models.autoencoders.collapse_advice import KL_ADVICE, adviser
from models.autoencoders.hierarchical_inference import (
    HierarchicalNetworks,
    apply_with,
    log_ratio,
    means_below,
    prior,
    sampling,
)
from models.autoencoders.importance import bound_of_samples, check_estimate, importance_estimate
from models.shared.reconstruction_inpainting import by_reconstruction


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

    def kl(weights, batch, rng):
        layers = infer(nets, apply_with(nets, weights.params), batch['x'], sampling(rng.keys))
        return jnp.concatenate([layer.kl_by_dimension for layer in layers], -1)

    def draw_z_1(weights, batch, rng):
        return infer(nets, apply_with(nets, weights.params), batch['x'], sampling(rng.keys))[0].z

    def sample(weights, rng, condition):
        x_parameters = parameters(weights.params, prior(nets, weights.params, rng.keys))
        return nets.observation.sample(fold_in(rng.keys, 0), x_parameters)  # layer keys start at 1

    def sample_mean(weights, rng, condition):
        del condition
        return decode(weights, prior(nets, weights.params, rng.keys))

    def nats_of(k: int) -> PerExample:
        return lambda weights, batch, rng: importance_weighted_log_prob(
            nets, infer, weights.params, batch['x'], rng.keys, k, importance_chunk
        )

    def bound_nats(weights, batch, rng):
        terms = elbo_terms(nets, infer, weights.params, batch['x'], rng.keys)
        names = [f'kl_z{layer}_nats' for layer in range(1, len(nets.latent_dims) + 1)]
        return {name: terms[name] for name in ('reconstruction_nats', *names)}

    advise = adviser(KL_ADVICE.format('stochastic layer'), len(nets.latent_dims))
    return Family(
        init=lambda key, batch: initialize(nets, infer, key, batch),
        turns=(game.Turn(('model',), loss, advise=advise),),
        metrics=lambda weights, batch, rng: elbo_terms(
            nets, infer, weights.params, batch['x'], rng.keys
        ),
        abilities=(
            Sample(sample, mean=sample_mean),
            Codes(
                encode,
                decode,
                prior=lambda weights, rng: prior(nets, weights.params, rng.keys),
                dims=nets.latent_dims,
                kl=kl,
                means_below=lambda weights, *arguments: means_below(
                    nets, weights.params, *arguments
                ),
            ),
            reconstruct_by_codes(encode, decode),
            by_reconstruction(nets.spec, draw_z_1, decode),
            importance_estimate(nats_of, num_importance_samples),
            BoundTerms(bound_nats),
        ),
    )
