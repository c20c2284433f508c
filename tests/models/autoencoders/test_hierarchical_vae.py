"""Hierarchical VAEs against a linear-Gaussian chain with known densities.

z_2 ~ N(0, I), z_1 = A z_2 + a + noise, x = B z_1 + b + noise. If A is diagonal and B has orthogonal
columns, every conditional of the posterior is a diagonal Gaussian with an affine mean.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from support import assembled, check_same_on_any_devices, steps_on

from atelier.core import train_step
from atelier.core.abilities import BoundTerms, Codes, LogProb, Reconstruct, Sample
from atelier.core.randomness import rng_for
from atelier.core.types import Weights
from atelier.data.dataset import Spec
from losses import elbo
from models.autoencoders.hierarchical_inference import (
    HierarchicalNetworks,
    apply_with,
    bottom_up,
    precision_weighted,
    sampling,
    top_down,
)
from models.autoencoders.hierarchical_networks import Rung
from models.autoencoders.hierarchical_vae import hierarchical_vae
from models.autoencoders.vae import Posterior as Gaussian
from models.nets import mlp
from models.shared import observations

pytestmark = pytest.mark.usefixtures('strict_promotion')

ORDERS = {'bottom_up': bottom_up, 'top_down': top_down}
both_orders = pytest.mark.parametrize(
    'order', ['top_down', pytest.param('bottom_up', marks=pytest.mark.slow)]
)
PLAIN = {'beta': 1.0, 'kl_warmup_steps': 0.0, 'free_nats': 0.0}

# The chain: z_2 has two dimensions, z_1 three, x five.
random = np.random.default_rng(0)
A = np.array([[0.9, 0], [0, -1.4], [0, 0]])
SPREAD = np.array([0.6, 0.5, 1.1])  # standard deviation of z_1 around A z_2 + a
B = np.linalg.qr(random.normal(size=(5, 3)))[0] * [1.5, 0.8, 1.2]
OFFSET_1, OFFSET_X = random.normal(size=3), random.normal(size=5)
NOISE = 0.7
OF_Z1 = A @ A.T + np.diag(SPREAD**2)  # covariance of z_1, diagonal
X = random.multivariate_normal(
    B @ OFFSET_1 + OFFSET_X, B @ OF_Z1 @ B.T + NOISE**2 * np.eye(5), size=6
)
MARGINAL = scipy.stats.multivariate_normal(
    B @ OFFSET_1 + OFFSET_X, B @ OF_Z1 @ B.T + NOISE**2 * np.eye(5)
)
NETS = HierarchicalNetworks(
    networks={
        'encoder_1': Rung((), 3),
        'encoder_2': Rung((), 2),
        'decoder_1': mlp.MLP((), (5, 1)),
        'decoder_2': mlp.MLP((), (6,)),
    },
    observation=observations.Observation(
        size=1,
        log_prob=lambda x, p: elbo.diagonal_gaussian_log_prob(
            x, p[..., 0], jnp.full(x.shape, 2 * np.log(NOISE))
        ),
        mean=lambda p: p[..., 0],
        sample=lambda keys, p: p[..., 0],  # no noise: returns the mean
    ),
    latent_dims=(3, 2),
    spec=Spec((5,), None, None),
)


def affine(matrix, offset, variance=None):
    """Dense layer: value -> matrix @ value + offset and, if given, a constant log variance."""
    if variance is not None:
        matrix = np.concatenate([matrix, np.zeros_like(matrix)])
        offset = np.concatenate([offset, np.log(variance)])
    return {'Dense_0': {'kernel': jnp.float32(matrix.T), 'bias': jnp.float32(offset)}}


def conditioned(matrix, offset, noise_variance, mean, variance):
    """(matrix, offset, variance) of z given y = matrix z + offset + noise, z ~ N(mean, variance).

    Checks that all covariances are diagonal.
    """
    precision = np.diag(1 / variance) + matrix.T @ np.diag(1 / noise_variance) @ matrix
    covariance = np.linalg.inv(precision)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-12)
    gain = covariance @ matrix.T @ np.diag(1 / noise_variance)
    return gain, covariance @ (mean / variance) - gain @ offset, np.diag(covariance)


@functools.cache
def exact_encoders(order):
    """(matrix, offset, variance) of each encoder that makes q the exact posterior."""
    noise = np.full(5, NOISE**2)
    ones, zeros = np.ones(2), np.zeros(2)
    if order == 'bottom_up':
        first = conditioned(B, OFFSET_X, noise, OFFSET_1, np.diag(OF_Z1))
        return first, conditioned(A, OFFSET_1, SPREAD**2, zeros, ones)
    # encoder_1 gives the likelihood of z_1 alone, as precision weighting adds p(z_1 | z_2);
    # encoder_2 gives q(z_2 | x).
    inverse = np.linalg.inv(B.T @ B)
    first = inverse @ B.T, -inverse @ B.T @ OFFSET_X, NOISE**2 * np.diag(inverse)
    # variance of encoder_1's estimate of z_1 around A z_2 + a
    estimate_variance = first[2] + SPREAD**2
    matrix, offset, variance = conditioned(A, OFFSET_1, estimate_variance, zeros, ones)
    return first, (matrix @ first[0], matrix @ first[1] + offset, variance)


def weights_of(order, shift=0.0, log_var_shift=0.0):
    """The chain's parameters, with shifts added to q's means and log variances."""
    model = {
        'decoder_1': affine(B, OFFSET_X),
        'decoder_2': affine(A, OFFSET_1, SPREAD**2),
    }
    for layer, (matrix, offset, variance) in enumerate(exact_encoders(order), 1):
        model[f'encoder_{layer}'] = {
            'MLP_0': affine(matrix, offset + shift, variance * np.exp(log_var_shift))
        }
    return Weights({'model': model}, {'model': {}})


def chain(order, k=1):
    return hierarchical_vae(NETS, ORDERS[order], k, importance_chunk=64)


def rng_of(n, seed=0):
    return rng_for(jax.random.PRNGKey(seed), jnp.arange(n), n)


def repeated(n, row=0):
    return {'x': jnp.tile(jnp.float32(X[row]), (n, 1))}


def check_mean(values, expected, most_error):
    """Checks the mean within five standard errors, and the standard error below `most_error`."""
    values = np.asarray(values, np.float64)
    error = values.std() / np.sqrt(len(values))
    assert error < most_error
    assert abs(values.mean() - expected) < 5 * error + 1e-5


# The bound and the estimate


@both_orders
def test_the_exact_posterior_makes_every_weight_the_evidence(order):
    log_prob = jax.jit(chain(order).ability(LogProb).nats)
    for seed in range(3):
        estimate = log_prob(weights_of(order), {'x': jnp.float32(X)}, rng_of(len(X), seed))
        np.testing.assert_allclose(estimate, MARGINAL.logpdf(X), rtol=1e-4)


@both_orders
def test_the_exact_posterior_makes_the_bound_tight(order):
    metrics = jax.jit(chain(order).metrics)
    values = metrics(weights_of(order), repeated(40_000), rng_of(40_000))
    check_mean(values['elbo_nats'], MARGINAL.logpdf(X[0]), most_error=0.02)


@both_orders
def test_the_bound_misses_by_the_divergence_of_a_wrong_posterior(order):
    """The gap is the KL of the joint Gaussians of (z_1, z_2), built in numpy."""
    metrics = jax.jit(chain(order).metrics)
    weights = weights_of(order, shift=0.3, log_var_shift=0.4)
    values = metrics(weights, repeated(60_000), rng_of(60_000))
    gap = divergence(joint(order, 0.3, 0.4), joint(order))
    assert gap > 0.3
    check_mean(values['elbo_nats'], MARGINAL.logpdf(X[0]) - gap, most_error=0.02)


def joint(order, shift=0.0, log_var_shift=0.0):
    """Mean and covariance of (z_1, z_2) under q, given X[0]."""
    (m1, o1, v1), (m2, o2, v2) = exact_encoders(order)
    v1, v2 = v1 * np.exp(log_var_shift), v2 * np.exp(log_var_shift)
    if order == 'bottom_up':
        first, link = m1 @ X[0] + o1 + shift, m2
        mean = np.concatenate([first, link @ first + o2 + shift])
        within, across = np.diag(v1), link @ np.diag(v1)
        return mean, np.block([[within, across.T], [across, across @ link.T + np.diag(v2)]])
    second = m2 @ X[0] + o2 + shift
    variance = 1 / (1 / v1 + SPREAD**-2)
    link = (variance / SPREAD**2)[:, None] * A
    constant = variance * ((m1 @ X[0] + o1 + shift) / v1 + OFFSET_1 / SPREAD**2)
    across = link @ np.diag(v2)
    within = across @ link.T + np.diag(variance)
    mean = np.concatenate([link @ second + constant, second])
    return mean, np.block([[within, across], [across.T, np.diag(v2)]])


def divergence(q, p):
    """KL(q || p) between full-covariance Gaussians."""
    (mean_q, covariance_q), (mean_p, covariance_p) = q, p
    inverse = np.linalg.inv(covariance_p)
    logdets = np.linalg.slogdet(covariance_p)[1] - np.linalg.slogdet(covariance_q)[1]
    return 0.5 * (
        np.trace(inverse @ covariance_q)
        + (mean_p - mean_q) @ inverse @ (mean_p - mean_q)
        - len(mean_q)
        + logdets
    )


@pytest.mark.slow
@pytest.mark.parametrize('order', ['top_down', pytest.param('bottom_up', marks=pytest.mark.slow)])
def test_the_estimate_rises_with_k_to_the_evidence(order):
    gaps, weights = [], weights_of(order, log_var_shift=0.7)
    for k, copies in ((1, 200), (8, 100), (256, 20)):
        x = np.tile(X, (copies, 1))
        nats = jax.jit(chain(order, k).ability(LogProb).nats)
        estimate = nats(weights, {'x': jnp.float32(x)}, rng_of(len(x)))
        gaps.append(np.mean(MARGINAL.logpdf(x) - estimate))
    assert gaps[0] > 0.3
    assert gaps[0] > gaps[1] > gaps[2] - 0.01
    assert abs(gaps[2]) < 0.02


# Layer by layer


@both_orders
def test_the_kl_of_each_layer_is_that_of_samples(order):
    """Each layer's log q - log p, averaged over numpy samples of the joint q."""
    weights = weights_of(order, shift=0.2, log_var_shift=0.5)
    values = jax.jit(chain(order).metrics)(weights, repeated(60_000), rng_of(60_000))
    mean, covariance = joint(order, 0.2, 0.5)
    z = np.random.default_rng(1).multivariate_normal(mean, covariance, size=400_000)
    below, above = z[:, :3], z[:, 3:]
    normal = lambda value, mean, variance: scipy.stats.norm.logpdf(
        value, mean, np.sqrt(variance)
    ).sum(-1)
    log_p = [normal(below, above @ A.T + OFFSET_1, SPREAD**2), normal(above, 0.0, np.ones(2))]
    # One layer's q is its marginal; the other's is its conditional on that layer.
    marginal = slice(0, 3) if order == 'bottom_up' else slice(3, 5)
    marginal_q = scipy.stats.multivariate_normal(mean[marginal], covariance[marginal, marginal])
    log_marginal = marginal_q.logpdf(z[:, marginal])
    log_conditional = scipy.stats.multivariate_normal(mean, covariance).logpdf(z) - log_marginal
    log_q = (
        [log_marginal, log_conditional] if order == 'bottom_up' else [log_conditional, log_marginal]
    )
    for layer in (1, 2):
        ratio = log_q[layer - 1] - log_p[layer - 1]
        error = ratio.std() / np.sqrt(len(ratio))
        family_kl = np.asarray(values[f'kl_z{layer}_nats'], np.float64)
        total_error = error + family_kl.std() / np.sqrt(len(family_kl))
        assert total_error < 0.03
        assert abs(family_kl.mean() - ratio.mean()) < 5 * total_error
    np.testing.assert_allclose(
        values['kl_nats'], values['kl_z1_nats'] + values['kl_z2_nats'], rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(
        values['elbo_nats'], -values['reconstruction_nats'] - values['kl_nats'], rtol=1e-5
    )


@pytest.mark.slow
@both_orders
def test_the_kl_of_dimensions_sums_to_that_of_each_layer(order):
    """Per example, with the same keys."""
    weights, batch, rng = weights_of(order, 0.2, 0.5), {'x': jnp.float32(X)}, rng_of(len(X))
    family = chain(order)
    kl = jax.jit(family.ability(Codes).kl)(weights, batch, rng)
    terms = jax.jit(family.metrics)(weights, batch, rng)
    assert kl.shape == (len(X), 5)
    for layer, part in ((1, kl[:, :3]), (2, kl[:, 3:])):
        np.testing.assert_allclose(part.sum(1), terms[f'kl_z{layer}_nats'], rtol=1e-4, atol=1e-5)


def test_means_below_a_layer_are_those_of_the_generative_model():
    """E[z_1 | z_2] = A z_2 + a in the chain; z_2 stays, and below layer 1 there is nothing."""
    codes = jnp.float32(np.random.default_rng(2).normal(size=(4, 5)))
    below = chain('top_down').ability(Codes).means_below
    moved = below(weights_of('top_down'), codes, 2)
    np.testing.assert_array_equal(moved[:, 3:], codes[:, 3:])
    expected = np.asarray(codes)[:, 3:] @ A.T + OFFSET_1
    np.testing.assert_allclose(moved[:, :3], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(below(weights_of('top_down'), codes, 1), codes)


@both_orders
def test_the_terms_of_the_bound_sum_to_it(order):
    """Per example and with the same keys, they are reconstruction and KL by layer."""
    weights, batch, rng = weights_of(order, 0.2, 0.5), {'x': jnp.float32(X)}, rng_of(len(X))
    family = chain(order)
    terms = family.ability(BoundTerms).nats(weights, batch, rng)  # jit would sort the names
    assert [*terms] == ['reconstruction_nats', 'kl_z1_nats', 'kl_z2_nats']
    reported = jax.jit(family.metrics)(weights, batch, rng)['elbo_nats']
    np.testing.assert_allclose(sum(terms.values()), -reported, rtol=1e-5)


def test_the_kl_of_a_ladder_has_no_noise_of_its_own_layer():
    """kl_z2 is the same for every draw, and kl_z1 depends on z_2 only."""
    apply = apply_with(NETS, weights_of('top_down', log_var_shift=0.5).params)
    x = repeated(64)['x']

    @jax.jit
    def layers(keys_1, keys_2):
        """The top-down pass with separate keys for each layer's noise."""
        samplers = {1: sampling(keys_1), 2: sampling(keys_2)}
        return top_down(NETS, apply, x, lambda layer, q: samplers[layer](layer, q))

    (bottom, top), (bottom_redrawn, top_kept), (_, top_redrawn) = (
        layers(rng_of(64, seed_1).keys, rng_of(64, seed_2).keys)
        for seed_1, seed_2 in [(0, 1), (5, 1), (0, 2)]
    )
    assert not np.allclose(bottom_redrawn.z, bottom.z)
    np.testing.assert_allclose(bottom_redrawn.kl_nats, bottom.kl_nats, rtol=1e-5)
    assert np.std(bottom.kl_nats) > 1e-2
    assert not np.allclose(top_redrawn.z, top.z)
    np.testing.assert_allclose(top_redrawn.kl_nats, top.kl_nats, rtol=1e-5)
    np.testing.assert_array_equal(top_kept.z, top.z)


def test_precision_weighting_is_the_product_of_densities():
    """Moments of the normalized product by quadrature, also with very unequal precisions."""
    first = np.array([[0.3, -2.0, 1.0], [0.5, -1.0, 4.0]])  # means and log variances
    second = np.array([[-1.0, 2.0, 3.0], [-0.7, -1.0, -3.0]])
    gaussian = lambda g: Gaussian(*jnp.float32(g)[:, None])
    weighted = jax.jit(precision_weighted)(gaussian(first), gaussian(second))
    z = np.linspace(-30, 30, 60_001)[:, None]
    density = lambda g: scipy.stats.norm.pdf(z, g[0], np.exp(g[1] / 2))
    product = density(first) * density(second)
    product /= np.trapezoid(product, z, axis=0)
    mean = np.trapezoid(product * z, z, axis=0)
    variance = np.trapezoid(product * (z - mean) ** 2, z, axis=0)
    np.testing.assert_allclose(weighted.mean[0], mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.exp(weighted.log_var[0]), variance, rtol=1e-5)


@pytest.mark.parametrize('extreme', [-100.0, 100.0])
def test_precision_weighting_survives_any_certainty(extreme):
    """Extreme with ordinary precision: mean, log variance and finite gradients."""
    weighted_with = lambda log_var: precision_weighted(
        Gaussian(jnp.ones((1, 1)), jnp.full((1, 1), log_var)),
        Gaussian(jnp.full((1, 1), 3.0), jnp.zeros((1, 1))),
    )
    weighted = weighted_with(extreme)
    np.testing.assert_allclose(weighted.mean, 1.0 if extreme < 0 else 3.0, rtol=1e-6)
    np.testing.assert_allclose(weighted.log_var, min(extreme, 0), atol=1e-6)
    slope = jax.grad(lambda v: jnp.sum(weighted_with(v).mean) + jnp.sum(weighted_with(v).log_var))(
        extreme
    )
    assert np.isfinite(slope)


# The loss


@functools.cache
def turn_of(order):
    """The chain's turn, jitted once for all hypers."""
    return jax.jit(functools.partial(train_step.gradients_of_turn, chain(order).turns[0]))


def slopes(order, **hypers):
    """(gradients, loss, mean metrics) of the chain with a wrong posterior, on all of X."""
    weights = weights_of(order, shift=0.2, log_var_shift=0.3)
    step = hypers.pop('step', 0)
    gradients, losses, _, metrics = turn_of(order)(
        weights, {'x': jnp.float32(X)}, rng_of(len(X)), step, {**PLAIN, **hypers}
    )
    return gradients['model'], float(losses['model']), jax.tree.map(np.mean, metrics)


@both_orders
def test_the_plain_loss_is_the_bound(order):
    _, loss, metrics = slopes(order)
    np.testing.assert_allclose(loss, -metrics['elbo_nats'], rtol=1e-6)


@both_orders
def test_beta_and_warm_up_scale_the_kl_of_the_loss_and_not_the_reported_bound(order):
    _, plain, metrics = slopes(order)
    for hypers, weight in [
        (dict(beta=3.0), 3.0),
        (dict(kl_warmup_steps=10.0), 0.1),
        (dict(kl_warmup_steps=10.0, step=4, beta=2.0), 1.0),
        (dict(kl_warmup_steps=10.0, step=30), 1.0),
    ]:
        _, loss, same = slopes(order, **hypers)
        np.testing.assert_allclose(
            loss, metrics['reconstruction_nats'] + weight * metrics['kl_nats'], rtol=1e-5
        )
        jax.tree.map(np.testing.assert_array_equal, same, metrics)


@both_orders
def test_free_nats_are_charged_and_have_no_gradient(order):
    """Below the threshold the gradient is that of the reconstruction term alone."""
    reconstruction_gradients, _, _ = slopes(order, beta=0.0)
    gradients, loss, metrics = slopes(order, free_nats=50.0)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5),
        gradients,
        reconstruction_gradients,
    )
    np.testing.assert_allclose(loss, metrics['reconstruction_nats'] + 2 * 50, rtol=1e-5)


@both_orders
def test_each_layer_has_free_nats_of_its_own(order):
    """With free nats between the layers' KLs, the larger KL is charged in full."""
    _, plain, metrics = slopes(order)
    layers = sorted([metrics['kl_z1_nats'], metrics['kl_z2_nats']])
    free = float(np.mean(layers))
    assert layers[0] < free - 0.05
    _, loss, same = slopes(order, free_nats=free)
    np.testing.assert_allclose(loss - plain, free - layers[0], rtol=1e-4)
    jax.tree.map(np.testing.assert_array_equal, same, metrics)


def test_negative_kl_terms_count_without_free_nats():
    """z_2 copies z_1 in both q and p: the layers' terms are far from zero and cancel."""
    weights = weights_of('bottom_up')
    narrow, link = np.full(3, 1e-4), np.eye(3, 2)
    weights.params['model'] |= {
        'encoder_1': {'MLP_0': affine(np.zeros((3, 5)), np.zeros(3), np.array([1, 1, 1e-4]))},
        'encoder_2': {'MLP_0': affine(link.T, np.zeros(2), narrow[:2])},
        'decoder_2': affine(link, np.zeros(3), narrow),
    }
    loss = jax.jit(chain('bottom_up').turns[0].loss)
    losses, (_, metrics) = loss(weights, repeated(500), rng_of(500), 0, PLAIN)
    assert np.mean(metrics['kl_z1_nats']) < -1
    assert abs(np.mean(metrics['kl_nats'])) < 0.3
    np.testing.assert_allclose(losses['model'], -np.mean(metrics['elbo_nats']), rtol=1e-5)


# Samples and codes


def test_the_prior_is_sampled_from_the_top_layer_down():
    """Prior codes have the moments of (z_1, z_2) under the generative chain."""
    weights = weights_of('top_down')
    codes = np.asarray(
        jax.jit(chain('top_down').ability(Codes).prior)(weights, rng_of(60_000)), np.float64
    )
    link = np.block([[OF_Z1, A], [A.T, np.eye(2)]])
    np.testing.assert_allclose(codes.mean(0), [*OFFSET_1, 0, 0], atol=0.04)
    np.testing.assert_allclose(np.cov(codes.T), link, atol=0.06)


@both_orders
def test_samples_are_decoded_from_the_prior(order):
    family, weights = chain(order), weights_of(order)
    codes, samples, decoded = jax.jit(
        lambda rng: (
            (codes := family.ability(Codes).prior(weights, rng)),
            family.ability(Sample).draw(weights, rng, None),
            family.ability(Codes).decode(weights, codes),
        )
    )(rng_of(7))
    np.testing.assert_allclose(samples, decoded, rtol=1e-5)
    mean = np.asarray(codes)[:, :3] @ B.T + OFFSET_X
    np.testing.assert_allclose(samples, mean, rtol=1e-3, atol=1e-4)
    assert len(np.unique(samples[:, 0])) == 7


@both_orders
def test_codes_are_the_means_of_the_exact_posterior(order):
    """In a linear chain, propagating means from layer to layer gives the means of the joint."""
    codes = jax.jit(chain(order).ability(Codes).encode)(
        weights_of(order), {'x': jnp.float32(X[:1])}, rng_of(1)
    )
    np.testing.assert_allclose(codes[0], joint(order)[0], rtol=1e-4, atol=1e-5)
    for other_order in ORDERS:
        np.testing.assert_allclose(joint(order)[0], joint(other_order)[0], atol=1e-9)


def any_family(order, dims, k=4):
    spec = Spec((4, 3, 2), 5, None)
    observation = observations.categorical(spec)
    below = [(*spec.event_shape, observation.size), *((2 * dim,) for dim in dims)]
    networks = {}
    for layer, dim in enumerate(dims, 1):
        networks[f'encoder_{layer}'] = Rung((8, 7 - layer), dim)
        networks[f'decoder_{layer}'] = mlp.MLP((8,), below[layer - 1], nn.tanh)
    nets = HierarchicalNetworks(networks, observation, dims, spec)
    return spec, hierarchical_vae(nets, ORDERS[order], k, importance_chunk=2)


@pytest.mark.slow
@both_orders
def test_every_ability_of_three_layers(order):
    """Outputs have the declared shapes, and each row depends only on its own key and data."""
    spec, family = any_family(order, dims=(4, 1, 3))
    x = jnp.floor(5 * jax.random.uniform(jax.random.PRNGKey(2), (6, *spec.event_shape)))
    weights = jax.jit(family.init)(jax.random.PRNGKey(0), {'x': x})

    @jax.jit
    def everything(batch, rng):
        return {
            'metrics': family.metrics(weights, batch, rng),
            'codes': family.ability(Codes).encode(weights, batch, rng),
            'prior': family.ability(Codes).prior(weights, rng),
            'reconstruction': family.ability(Reconstruct).mean(weights, batch, rng),
            'decoded': family.ability(Codes).decode(
                weights, family.ability(Codes).encode(weights, batch, rng)
            ),
            'samples': family.ability(Sample).draw(weights, rng, None),
            'nats': family.ability(LogProb).nats(weights, batch, rng),
        }

    outputs = everything({'x': x}, rng_of(6))
    assert {v.shape for v in outputs['metrics'].values()} == {(6,)} == {outputs['nats'].shape}
    assert {name for name in outputs['metrics'] if name.startswith('kl_z')} == {
        f'kl_z{layer}_nats' for layer in (1, 2, 3)
    }
    assert outputs['codes'].shape == outputs['prior'].shape == (6, 8)
    assert outputs['samples'].shape == outputs['reconstruction'].shape == x.shape
    np.testing.assert_array_equal(outputs['reconstruction'], outputs['decoded'])
    assert set(np.unique(outputs['samples'])) <= set(range(spec.levels))
    assert np.all(np.isfinite(outputs['nats']))
    assert family.ability(LogProb).description == 'estimate, k = 4'
    # no layer's q is compared with N(0, I) alone
    assert family.ability(Codes).posterior is None
    order = jnp.asarray([4, 0, 5, 1, 3, 2])
    permuted = everything({'x': x[order]}, rng_for(jax.random.PRNGKey(0), order, 6))
    close = lambda a, b: np.testing.assert_allclose(a[order], b, rtol=1e-4, atol=1e-4)
    jax.tree.map(close, outputs, permuted)
    assert len(np.unique(outputs['prior'], axis=0)) == 6


# The configs

QUICK = {'model__observation': 'binomial'}  # a logistic mixture takes longer to compile


@pytest.mark.slow
def test_gradients_do_not_depend_on_the_number_of_devices(tmp_path):
    """Holds also if some devices' mean KL is below the free nats and others' is above."""
    changes = dict(hypers__free_nats=0.4, hypers__kl_warmup_steps=0.0)
    run = assembled(tmp_path, 'ladder_vae', **QUICK, **changes)
    with jax.numpy_dtype_promotion('standard'):  # optax
        one, many = steps_on(run, 1, 2), steps_on(run, 8, 2)
    check_same_on_any_devices(one, many)
    first = one[0][1]
    layers = [first['kl_z1_nats'], first['kl_z2_nats']]
    assert min(layers) < 0.4 < max(layers), layers


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(model__latent_dims=(4,)), 'give two stochastic layers or more'),
        (dict(model__hidden_sizes=(16, 8, 4)), 'one size for each stochastic layer'),
        (dict(model__latent_dims=(4, 0)), 'model.latent_dims'),
        (dict(model__hidden_layers=0), 'model.hidden_layers'),
        (dict(model__inference='topdown'), "did you mean 'top_down'"),
    ],
)
def test_bad_settings_end_in_one_line(tmp_path, complaint, changes, message):
    assert message in complaint(assembled, tmp_path, 'hierarchical_vae', **changes)


def test_the_papers_sizes(tmp_path):
    """784-200-200-z_1(100)-100-100-z_2(50) and back: kernel shapes of all layers."""
    from configs import hierarchical_vae as config_file

    config = config_file.get_config('mnist')
    family = config_file.build(config, Spec((28, 28, 1), 2, 10))
    shapes = jax.eval_shape(family.init, jax.random.PRNGKey(0), {'x': jnp.zeros((1, 28, 28, 1))})
    kernels = {
        name: [leaf.shape for leaf in jax.tree.leaves(tree) if len(leaf.shape) == 2]
        for name, tree in shapes.params['model'].items()
    }
    assert kernels == {
        'encoder_1': [(784, 200), (200, 200), (200, 200)],  # mean and log variance of 100
        'encoder_2': [(100, 100), (100, 100), (100, 100)],  # of 50
        'decoder_2': [(50, 100), (100, 100), (100, 200)],
        'decoder_1': [(100, 200), (200, 200), (200, 784)],
    }
