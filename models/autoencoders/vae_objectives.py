"""VAE objectives: the ELBO, plain or weighted, and multi-sample bounds."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from atelier.core.randomness import Rng, fold_in
from atelier.core.types import Batch
from atelier.errors import at_least
from losses import elbo, kl_weights
from losses.total_correlation import total_correlation
from models.autoencoders.collapse_advice import KL_ADVICE
from models.autoencoders.vae import (
    Objective,
    Posterior,
    VAENetworks,
    elbo_terms,
    log_likelihood,
    log_weight_and_likelihood,
    posterior,
    reparameterize,
)

Terms = dict[str, Float[Array, 'batch']]
SAMPLES_ADVICE = 'lower --config.hypers.learning_rate or --config.model.num_samples'


def one_sample(nets: VAENetworks, params, batch: Batch, rng: Rng):
    """Returns (q(z | x), one sample z per row, the terms of the ELBO)."""
    q = posterior(nets, params, batch)
    z = reparameterize(q, rng.keys)
    return q, z, elbo_terms(q, log_likelihood(nets, params, z, batch))


def _one_sample_terms(nets: VAENetworks, params, batch: Batch, rng: Rng) -> Terms:
    return one_sample(nets, params, batch, rng)[-1]


def evidence_bound() -> Objective:
    """The negative ELBO with a weighted KL.

    hypers: `beta`, the weight of the KL (Higgins et al. 2017); `kl_warmup_steps`, over which the
    weight rises to beta; `free_nats`, the KL of each latent dimension up to which its cost is
    constant (`losses.kl_weights`).
    """

    def loss(nets, params, batch, rng, step, hypers):
        q, _, terms = one_sample(nets, params, batch, rng)
        kl = weighted_kl(q, rng, step, hypers)
        return jnp.mean(terms['reconstruction_nats']) + kl, terms

    return Objective(loss, _one_sample_terms, KL_ADVICE.format('dimension'))


def weighted_kl(q: Posterior, rng: Rng, step, hypers) -> Float[Array, '']:
    """Returns the KL term of a loss in nats, with the hypers of `evidence_bound`."""
    weight = hypers['beta'] * kl_weights.warmup(step, hypers['kl_warmup_steps'])
    kl = rng.gather(elbo.kl_standard_normal_by_dim(*q))  # free nats need the global mean
    return weight * jnp.sum(kl_weights.free_nats(kl, hypers['free_nats']))


def total_correlation_bound() -> Objective:
    """beta-TC-VAE (Chen et al. 2018, equation 4, alpha = gamma = 1).

    The KL splits into mutual information, total correlation and dimension-wise KL to the prior. The
    hyper `beta` weights the total correlation: -ELBO + (beta - 1) * total correlation.
    """

    def loss(nets, params, batch, rng, step, hypers):
        del step
        q, z, terms = one_sample(nets, params, batch, rng)
        tc = total_correlation(z, *map(rng.gather, q))
        value = jnp.mean((hypers['beta'] - 1) * tc - terms['elbo_nats'])
        return value, {**terms, 'batch_total_correlation_nats': tc}

    return Objective(loss, _one_sample_terms, 'lower --config.hypers.beta')


def importance_weighted(num_samples: int) -> Objective:
    """The importance-weighted bound with k = num_samples (Burda et al. 2015, equation 8)."""
    at_least(1, 'model.num_samples', num_samples)

    def loss(nets, params, batch, rng, step, hypers):
        del step, hypers
        terms = metrics(nets, params, batch, rng)
        return -jnp.mean(terms['importance_weighted_bound_nats']), terms

    def metrics(nets, params, batch, rng):
        q = posterior(nets, params, batch)
        return _terms(q, *_log_weights(nets, params, _samples(q, rng, num_samples), batch, q))

    return Objective(loss, metrics, SAMPLES_ADVICE)


def doubly_reparameterized(num_samples: int) -> Objective:
    """The importance-weighted bound with DReG for the encoder (Tucker et al. 2019, equation 8).

    The encoder's gradient is sum_i w_i^2 (d(log p(x, z_i) - log q(z_i | x)) / dz_i) (dz_i / dphi),
    with normalized weights w. Its expectation is that of the plain gradient, but it lacks the
    zero-mean term that, with many samples, causes most of the plain gradient's noise. The decoder's
    gradient is the plain one.
    """

    def loss(nets, params, batch, rng, step, hypers):
        del step, hypers
        q = posterior(nets, params, batch)
        z, fixed_q = _samples(q, rng, num_samples), jax.lax.stop_gradient(q)
        log_weights_of = lambda z: _log_weights(nets, params, z, batch, fixed_q)
        log_weights, pull_back, likelihoods = jax.vjp(
            log_weights_of, jax.lax.stop_gradient(z), has_aux=True
        )
        normalized = jax.lax.stop_gradient(jax.nn.softmax(log_weights, axis=0))
        (slopes,) = jax.lax.stop_gradient(pull_back(jnp.square(normalized)))
        # The first sum has the decoder's gradient; the second, linear in z, has the encoder's.
        gradients = jnp.sum(normalized * log_weights, 0) + jnp.sum(slopes * z, (0, 2))
        terms = _terms(q, log_weights, likelihoods)
        bound = jax.lax.stop_gradient(terms['importance_weighted_bound_nats'])
        return -jnp.mean(bound + gradients - jax.lax.stop_gradient(gradients)), terms

    return Objective(loss, importance_weighted(num_samples).metrics, SAMPLES_ADVICE)


def _samples(q: Posterior, rng: Rng, num_samples: int) -> Float[Array, 'samples batch latent']:
    """Draws `num_samples` samples of z per row, each with its own key."""
    draw = lambda index: reparameterize(q, fold_in(rng.keys, index))
    return jax.vmap(draw)(jnp.arange(num_samples))


def _log_weights(nets: VAENetworks, params, z, batch, q):
    """Returns (log weights, log likelihoods), [samples, batch] each, all samples in one pass."""
    return jax.vmap(lambda sample: log_weight_and_likelihood(nets, params, sample, batch, q))(z)


def _terms(q: Posterior, log_weights, likelihoods) -> Terms:
    """The terms of the ELBO, averaged over the samples, and the bound from all samples."""
    bound = elbo.importance_weighted_bound(log_weights)
    return {**elbo_terms(q, jnp.mean(likelihoods, 0)), 'importance_weighted_bound_nats': bound}
