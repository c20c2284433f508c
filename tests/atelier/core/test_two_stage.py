"""A child that models the codes of a parent: closed forms, fillings and codes in two parts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from support import replaced, without

from atelier.core.abilities import (
    BoundTerms,
    Codes,
    Conditionals,
    Inpaint,
    LogProb,
    Reconstruct,
    Sample,
    Tokens,
)
from atelier.core.code_likelihood import CodeLikelihood, TwoPartCode
from atelier.core.code_space import KINDS, code_space
from atelier.core.family import Family
from atelier.core.randomness import rng_for
from atelier.core.stages import Stages, merged, of_child, of_parent
from atelier.core.two_stage import composed
from atelier.core.types import Weights
from atelier.data.dataset import Spec
from atelier.errors import UserError
from models.classical.ppca import PPCAParts, ppca

DIMS, LATENT = 3, 2
SPEC = Spec((DIMS,), None, None)
LOADINGS = np.array([[1.0, 0.5], [-2.0, 0.25], [0.0, 0.0]])  # of orthogonal columns
PARENT = {'mean': np.array([1.0, -2.0, 0.5]), 'noise_variance': 0.3, 'loadings': LOADINGS}
X = np.array([0.3, -1.0, 2.0])


def rng_of(n):
    return rng_for(jax.random.PRNGKey(0), jnp.arange(n), n)


def weights_of(tree):
    return Weights({'model': jax.tree.map(jnp.asarray, tree)}, {'model': {}})


def never(*arguments):
    raise AssertionError('this test does not use it')


def family_of(*abilities):
    """A family that is used, and neither trained nor measured."""
    return Family(never, (), lambda weights, batch, rng: {}, abilities)


def gaussian_child():
    """z ~ N(mean, diag(variance)), whose parameters are those of the player `model`."""

    def nats(weights, batch, rng):
        params = weights.params['model']
        square = (batch['x'] - params['mean']) ** 2 / params['variance']
        return -0.5 * jnp.sum(square + jnp.log(2 * np.pi * params['variance']), axis=1)

    def draw(weights, rng, condition):
        params = weights.params['model']
        noise = jax.vmap(lambda key: jax.random.normal(key, (LATENT,)))(rng.keys)
        return params['mean'] + jnp.sqrt(params['variance']) * noise

    return family_of(LogProb(nats, 'exact'), Sample(draw))


def two_stage(child, parent, kind='auto', shape=(LATENT,)):
    space = code_space(parent, kind, 'RUN')._replace(shape=shape)
    return composed(Stages(child, parent, space, jnp.zeros_like))


def linear_gaussian(mean, variance, kind='auto'):
    """(family, weights): probabilistic PCA, and a Gaussian of its codes."""
    family = two_stage(gaussian_child(), ppca(PPCAParts(LATENT, SPEC, 1e-6, 1.0)), kind)
    child = weights_of({'mean': np.asarray(mean), 'variance': np.asarray(variance)})
    return family, merged(child, weights_of(PARENT))


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


# Closed forms


def posterior():
    """Mean and variance [latent] of p(z | X) under N(0, I): section 3.2 of Tipping and Bishop."""
    total = (LOADINGS**2).sum(0) + PARENT['noise_variance']
    return (X - PARENT['mean']) @ LOADINGS / total, PARENT['noise_variance'] / total


def test_with_the_prior_of_the_parent_every_draw_gives_the_likelihood():
    """The posterior is exact, so the bound has no gap, whatever z is drawn."""
    family, weights = linear_gaussian([0.0, 0.0], [1.0, 1.0])
    x = np.random.default_rng(0).normal(size=(5, DIMS))
    nats = jax.jit(family.ability(LogProb).nats)(weights, {'x': jnp.asarray(x)}, rng_of(5))
    covariance = LOADINGS @ LOADINGS.T + PARENT['noise_variance'] * np.eye(DIMS)
    expected = scipy.stats.multivariate_normal(PARENT['mean'], covariance).logpdf(x)
    np.testing.assert_allclose(nats, expected, rtol=1e-9)
    assert family.ability(LogProb).kind == 'lower bound'
    assert family.ability(LogProb).budget == '1 draw of the codes'


def test_the_bound_of_another_gaussian_is_its_closed_form():
    """log p(X) - KL(q, N(mean, variance)) + KL(q, N(0, I)), on average over draws of z."""
    mean, variance, n = np.array([0.5, -1.0]), np.array([2.0, 0.5]), 40_000
    family, weights = linear_gaussian(mean, variance)
    batch = {'x': jnp.broadcast_to(X, (n, DIMS))}
    nats = jax.jit(family.ability(LogProb).nats)(weights, batch, rng_of(n))
    q_mean, q_variance = posterior()

    def kl(m, v):
        return 0.5 * np.sum((q_variance + (q_mean - m) ** 2) / v - 1 + np.log(v / q_variance))

    covariance = LOADINGS @ LOADINGS.T + PARENT['noise_variance'] * np.eye(DIMS)
    exact = scipy.stats.multivariate_normal(PARENT['mean'], covariance).logpdf(X)
    expected = exact - kl(mean, variance) + kl(np.zeros(2), np.ones(2))
    error = np.std(nats) / np.sqrt(n)
    assert error < 0.01
    assert abs(np.mean(nats) - expected) < 4 * error


def test_terms_and_metrics_add_up_to_the_bound():
    """With the parent's own metrics under other names."""
    family, weights = linear_gaussian([0.5, -1.0], [2.0, 0.5])
    arguments = weights, {'x': jnp.asarray(X[None])}, rng_of(1)
    functions = family.ability(LogProb).nats, family.metrics, family.ability(BoundTerms).nats
    nats, metrics, terms = jax.jit(lambda *given: [f(*given) for f in functions])(*arguments)
    assert {*metrics} == {'parent_log_prob_nats', 'code_nats', 'rest_nats', 'elbo_nats'}
    np.testing.assert_allclose(metrics['elbo_nats'], nats, rtol=1e-12)
    np.testing.assert_allclose(-sum(terms.values()), nats, rtol=1e-12)


def estimated(metrics):
    """The Gaussian child, whose `LogProb` is an estimate 1 nat above; with these metrics."""
    child = gaussian_child()
    exact = child.ability(LogProb).nats
    estimate = LogProb(lambda *given: exact(*given) + 1.0, 'estimate', 'k = 9')
    return dataclasses.replace(replaced(child, estimate), metrics=metrics)


@pytest.mark.parametrize('has_elbo', [True, False])
def test_an_estimate_is_no_elbo(has_elbo):
    """The metric is the bound with the child's own ELBO, and is left out if it has none."""
    own = lambda weights, batch, rng: {'elbo_nats': -2.0 * jnp.sum(batch['x'] ** 2, axis=1)}
    child = estimated(own if has_elbo else lambda *given: {})
    family = two_stage(child, ppca(PPCAParts(LATENT, SPEC, 1e-6, 1.0)))
    _, weights = linear_gaussian([0.5, -1.0], [2.0, 0.5])
    batch, rng = {'x': jnp.asarray(X[None])}, rng_of(1)
    functions = family.ability(LogProb).nats, family.metrics
    nats, metrics = jax.jit(lambda *given: [f(*given) for f in functions])(weights, batch, rng)
    np.testing.assert_allclose(nats, -metrics['code_nats'] - metrics['rest_nats'], rtol=1e-12)
    assert ('elbo_nats' in metrics) == has_elbo
    if has_elbo:
        bound = metrics['elbo_nats'] + metrics['rest_nats']  # the child's, of the same draw of z
        space = code_space(ppca(PPCAParts(LATENT, SPEC, 1e-6, 1.0)), 'auto', 'RUN')
        drawn, _ = space.draw(of_parent(weights), batch, rng)
        np.testing.assert_allclose(bound, -2 * jnp.sum(drawn**2, axis=1), rtol=1e-9)


def test_samples_have_the_moments_of_the_two_stages():
    """x = W z + mean + noise with z of the child; `mean` leaves the noise of x out."""
    mean, variance, n = np.array([0.5, -1.0]), np.array([2.0, 0.5]), 20_000
    family, weights = linear_gaussian(mean, variance)
    sample = family.ability(Sample)
    both = jax.jit(lambda *given: (sample.draw(*given, None), sample.mean(*given, None)))
    x, means = map(np.asarray, both(weights, rng_of(n)))
    covariance = LOADINGS @ np.diag(variance) @ LOADINGS.T
    expected = LOADINGS @ mean + PARENT['mean']
    noise = PARENT['noise_variance'] * np.eye(DIMS)
    np.testing.assert_allclose(np.mean(x, 0), expected, atol=0.1)
    np.testing.assert_allclose(np.cov(x.T), covariance + noise, atol=0.3)
    np.testing.assert_allclose(np.cov(means.T), covariance, atol=0.3)
    assert abs(np.mean((x - means) ** 2) - PARENT['noise_variance']) < 0.01


def test_the_codes_are_the_parents_and_their_prior_is_the_child():
    """The child has no encoder. Its prior is not N(0, I), so there is no posterior under that."""
    family, weights = linear_gaussian([0.5, -1.0], [2.0, 0.5])
    codes, batch = family.ability(Codes), {'x': jnp.asarray(X[None])}

    @jax.jit
    def results(weights, batch, rng):
        decoded = codes.decode(weights, codes.prior(weights, rng))
        means = family.ability(Sample).mean(weights, rng, None)
        return codes.encode(weights, batch, rng), decoded, means

    encoded, decoded, means = results(weights, batch, rng_of(1))
    np.testing.assert_allclose(encoded[0], posterior()[0])
    np.testing.assert_allclose(decoded, means)
    assert codes.posterior is None
    assert family.ability(Reconstruct) is not None


def test_a_child_with_an_encoder_gives_codes_of_codes():
    """Encoding goes through both encoders, decoding through both decoders."""
    half = Codes(lambda w, batch, rng: batch['x'] / 2, lambda w, codes: 2 * codes)
    child = replaced(gaussian_child(), half)
    family = two_stage(child, ppca(PPCAParts(LATENT, SPEC, 1e-6, 1.0)))
    _, weights = linear_gaussian([0.0, 0.0], [1.0, 1.0])
    batch, rng = {'x': jnp.asarray(X[None])}, rng_of(1)

    @jax.jit
    def results(weights, batch, rng):
        codes = family.ability(Codes).encode(weights, batch, rng)
        mean = family.ability(Reconstruct).mean(weights, batch, rng)
        return codes, family.ability(Codes).decode(weights, codes), mean

    codes, x, mean = results(weights, batch, rng)
    np.testing.assert_allclose(codes[0], posterior()[0] / 2)
    np.testing.assert_allclose(x, mean)


def test_means_have_no_likelihood():
    """A function of x has no density under which an integral over z would be bounded."""
    family, weights = linear_gaussian([0.5, -1.0], [2.0, 0.5], kind='means')
    assert family.ability(LogProb) is None
    arguments = weights, {'x': jnp.asarray(X[None])}, rng_of(1)
    metrics = jax.eval_shape(family.metrics, *arguments)
    assert {*metrics} == {'parent_log_prob_nats', 'code_nats'}


def test_weights_of_both_are_found_again():
    _, weights = linear_gaussian([0.0, 0.0], [1.0, 1.0])
    assert {*of_child(weights).params['model']} == {'mean', 'variance'}
    assert {*of_parent(weights).params['model']} == {*PARENT}


# Tokens: a parent that rounds the mean of each block of 2x2 pixels, and draws pixels around it


SIZE, SIDE = 3, 4  # of the codebook, of an image
PRIOR = np.log([0.5, 0.3, 0.2])


def one_hot(levels):
    return jax.nn.one_hot(levels.astype(jnp.int32), SIZE)


def pixel_log_probs(tokens):
    """log p(level) [local, pixels, 3]: an image pixel has its block's token with 80 %."""
    blocks = tokens.reshape(-1, SIDE // 2, SIDE // 2)
    pixels = jnp.repeat(jnp.repeat(blocks, 2, 1), 2, 2).reshape(len(tokens), -1)
    return jnp.log(jnp.where(one_hot(pixels) > 0, 0.8, 0.1))


def rounding_parent():
    def indices(weights, batch, rng):
        x = batch['x'].reshape(-1, SIDE // 2, 2, SIDE // 2, 2)
        return jnp.round(x.mean((2, 4))).astype(jnp.int32).reshape(len(x), -1)

    vectors = lambda weights, tokens: tokens / 2
    tokens_of = lambda codes: jnp.round(2 * codes).astype(jnp.int32)
    encode = lambda *arguments: vectors(None, indices(*arguments))

    def decode(weights, codes):
        probs = jnp.exp(pixel_log_probs(tokens_of(codes)))
        return (probs @ jnp.arange(SIZE)).reshape(-1, SIDE, SIDE, 1)

    def level_log_probs(weights, codes, given):
        return pixel_log_probs(tokens_of(codes))

    def nats(weights, codes, batch):
        levels = one_hot(batch['x'].reshape(len(codes), -1))
        return jnp.sum(level_log_probs(weights, codes, batch) * levels, (1, 2))

    return family_of(
        Codes(encode, decode, tokens=Tokens(indices, SIZE, (2, 2), vectors)),
        CodeLikelihood(nats, never, level_log_probs),
    )


def independent_child():
    """Tokens are independent; hidden ones are filled in with token 2."""

    def nats(weights, batch, rng):
        tokens = batch['x'].reshape(len(batch['x']), -1).astype(jnp.int32)
        return jnp.asarray(PRIOR)[tokens].sum(1)

    def begin(weights, given):
        assert given['x'].shape[1:] == (2, 2, 1)
        return given['x'].reshape(len(given['x']), -1).shape[0]

    def step(weights, memory, i, previous):
        return memory, jnp.broadcast_to(jnp.asarray(PRIOR), (len(previous), SIZE))

    fill = lambda weights, batch, rng: jnp.where(batch['known'], batch['x'], 2.0)
    conditionals = Conditionals(lambda weights: jnp.arange(4), begin, step)
    return family_of(LogProb(nats, 'exact'), conditionals, Inpaint(fill))


def of_tokens():
    family = two_stage(independent_child(), rounding_parent(), shape=(2, 2, 1))
    return family, Weights({}, {})


def images(n):
    return np.random.default_rng(0).integers(0, SIZE, (n, SIDE, SIDE, 1)).astype(float)


def test_the_two_parts_have_the_length_of_the_likelihood():
    """The tokens by the chain rule, then each pixel given them."""
    family, weights = of_tokens()
    n, code = 6, family.ability(TwoPartCode)

    @jax.jit
    def lengths(batch, rng):
        tokens = code.tokens(weights, batch, rng)
        memory, previous, nats = code.conditionals.begin(weights, batch), jnp.zeros(n), 0.0
        for i in code.conditionals.order(weights):
            memory, log_probs = code.conditionals.step(weights, memory, i, previous)
            previous = tokens[:, i]
            nats += log_probs[jnp.arange(n), previous]
        pixels = code.level_log_probs(weights, tokens, batch)
        nats += jnp.sum(pixels * one_hot(batch['x'].reshape(n, -1)), (1, 2))
        return nats, family.ability(LogProb).nats(weights, batch, rng)

    np.testing.assert_allclose(*lengths({'x': jnp.asarray(images(n))}, rng_of(n)), rtol=1e-12)
    assert (code.size, code.map_shape) == (SIZE, (2, 2, 1))


def test_the_bound_of_tokens_is_below_the_likelihood():
    """p(x) by enumeration of all tokens, which others than those of x contribute to."""
    family, weights = of_tokens()
    x, tokens = images(4), np.array([*np.ndindex(*(SIZE,) * 4)])
    pixels = np.asarray(jax.jit(pixel_log_probs)(jnp.asarray(tokens)))
    levels = x.reshape(4, 1, -1, 1).astype(int)
    given = np.take_along_axis(pixels[None], levels, 3).sum((2, 3))
    exact = scipy.special.logsumexp(PRIOR[tokens].sum(1) + given, axis=1)
    nats = jax.jit(family.ability(LogProb).nats)(weights, {'x': jnp.asarray(x)}, rng_of(4))
    assert np.all(nats <= exact)
    assert np.all(np.isfinite(nats))


def test_only_positions_with_a_hidden_pixel_are_filled_in():
    """Known pixels stay as they are; hidden ones are never read."""
    family, weights = of_tokens()
    x, known = np.zeros((1, SIDE, SIDE, 1)), np.ones((1, SIDE, SIDE, 1), bool)
    known[0, 1, 2] = False  # in the block at the top right
    fill = jax.jit(family.ability(Inpaint).fill)
    filled = [
        fill(weights, jax.tree.map(jnp.asarray, {'x': hidden, 'known': known}), rng_of(1))
        for hidden in (x, np.where(known, x, np.nan))
    ]
    top = 0.1 + 2 * 0.8  # the mean of a pixel whose token is 2
    np.testing.assert_allclose(filled[0][0, 1, 2, 0], top)
    np.testing.assert_array_equal(np.delete(filled[0].ravel(), 6), 0.0)
    np.testing.assert_array_equal(filled[1], filled[0])


def test_without_a_likelihood_there_are_samples_but_no_bound():
    """As for a plain autoencoder."""
    parent = without(ppca(PPCAParts(LATENT, SPEC, 1e-6, 1.0)), CodeLikelihood)
    family = two_stage(gaussian_child(), parent)
    assert family.ability(LogProb) is None
    assert family.ability(Sample).mean is None


# What is refused


@pytest.mark.parametrize('kind', [*KINDS[1:], 'vectors'])
def test_codes_that_the_parent_lacks_are_refused(kind):
    """Each message names what there is instead."""
    parent = ppca(PPCAParts(LATENT, SPEC, 1e-6, 1.0))
    if kind in ('draws', 'means'):
        assert code_space(parent, kind, 'RUN').kind == kind
        return
    with pytest.raises(UserError, match='draws.*means'):
        code_space(parent, kind, 'RUN')


def test_parents_without_an_encoder_or_with_classes_are_refused():
    with pytest.raises(UserError, match='RUN has no codes to model'):
        code_space(gaussian_child(), 'auto', 'RUN')
    by_class = replaced(rounding_parent(), Sample(never, is_class_conditional=True))
    with pytest.raises(UserError, match='RUN is conditional'):
        code_space(by_class, 'auto', 'RUN')
