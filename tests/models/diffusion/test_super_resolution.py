"""Super-resolution of Gaussian pixels with known conditional mean, and least squares."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled, check_same_on_any_devices, first_batch, scattered, steps_on

import train_lib
from atelier.applications import super_resolve
from atelier.core.abilities import LogProb, Sample, SuperResolve
from atelier.core.randomness import rng_for
from atelier.data.dataset import Spec
from atelier.data.low_resolution import enlarged, reduced
from models.diffusion.denoiser import DenoiserNetworks
from models.diffusion.diffusion import Process
from models.diffusion.process import predictions, samplers, schedules, time_grids, time_sampling
from models.diffusion.sampling import Sampling
from models.diffusion.super_resolution import super_resolution
from models.supervised.super_resolution_regressor import RegressorParts, Residual, regressor

slow = lambda *values: [pytest.param(value, marks=pytest.mark.slow) for value in values]

STD = 0.6  # of each of four independent pixels; their mean is given
BOTH = ('super_resolution', 'super_resolution_regressor')


bicubic = jax.jit(lambda low: enlarged(low, 2))


def rng_of(n, seed=0):
    return rng_for(jax.random.PRNGKey(seed), jnp.arange(n), n)


# The diffusion model


class Exact(nn.Module):
    """Network computing E[x | x_t, mean of x] of the variance-preserving process."""

    @nn.compact
    def __call__(self, both, half_log_snr, label):
        assert label is None
        self.param('unused', nn.initializers.zeros, ())
        share = lambda sign: jax.nn.sigmoid(sign * 2 * half_log_snr)[:, None, None, None]
        alpha, variance = jnp.sqrt(share(1)), share(-1)
        x_t, low = jnp.split(both, 2, -1)
        gain = alpha * STD**2 / (alpha**2 * STD**2 + variance)
        deviation = x_t - jnp.mean(x_t, (1, 2, 3), keepdims=True)
        mean = low + gain * deviation
        return jnp.concatenate([mean, jnp.full_like(mean, jnp.nan)], -1)


def exact_family():
    spec, schedule = Spec((2, 2, 1), None, None), schedules.linear()
    nets = DenoiserNetworks(Exact(), predictions.X, spec)
    sampling = Sampling(samplers.dpm_solver_pp_2m, time_grids.uniform_half_log_snr, 30, 1.0, False)
    return super_resolution(nets, Process(schedule, None, time_sampling.uniform), sampling, 2)


def test_samples_are_of_the_conditional_gaussian():
    """Four pixels given their mean m follow N(m, STD^2 (I - 1/4)); each sample has mean m."""
    n, ours = 2000, exact_family()
    weights = jax.jit(ours.init)(jax.random.PRNGKey(0), {'x': jnp.ones((1, 2, 2, 1))})
    low = jnp.linspace(-1.0, 1.0, n).reshape(-1, 1, 1, 1)
    x = jax.jit(ours.ability(SuperResolve).enlarge)(weights, {'low': low}, rng_of(n))
    np.testing.assert_allclose(reduced(x, 2), low, atol=1e-3)
    deviations = np.reshape(x - low, (n, 4))
    expected = STD**2 * (np.eye(4) - 0.25)
    np.testing.assert_allclose(
        deviations.T @ deviations / n, expected, atol=6 * STD**2 / n**0.5 + 0.005
    )
    np.testing.assert_allclose(deviations.mean(0), 0, atol=4 * STD / n**0.5 + 0.005)


@pytest.mark.slow
def test_the_best_network_has_the_smallest_loss():
    """The posterior variance of three free pixels of four, by quadrature over the times."""
    n, ours = 4096, exact_family()
    x = jnp.asarray(STD * np.random.default_rng(0).normal(size=(n, 2, 2, 1)), jnp.float32)
    weights = jax.jit(ours.init)(jax.random.PRNGKey(0), {'x': x})
    losses, _ = jax.jit(ours.turns[0].loss)(weights, {'x': x}, rng_of(n), 0, {})
    schedule = schedules.linear()
    t = time_sampling.uniform(schedule, (jnp.arange(10_000) + 0.5) / 10_000)
    variance, signal = schedule.sigma(t) ** 2, (schedule.alpha(t) * STD) ** 2
    posterior_variance = np.mean(np.float64(STD**2 * variance / (signal + variance)))
    np.testing.assert_allclose(losses['model'], 3 / 4 * posterior_variance, rtol=0.05)


def test_its_bound_is_of_x_given_the_low_resolution():
    ours = exact_family()
    batch = {'x': jnp.ones((3, 2, 2, 1))}
    weights = jax.jit(ours.init)(jax.random.PRNGKey(0), batch)
    terms = jax.jit(ours.metrics)(weights, batch, rng_of(3))
    assert {*terms} == {
        f'{name}_given_low_nats' for name in ('elbo', 'prior', 'reconstruction', 'diffusion')
    }
    total = sum(v for name, v in terms.items() if not name.startswith('elbo'))
    np.testing.assert_allclose(terms['elbo_given_low_nats'], -total, rtol=1e-5)
    assert ours.ability(LogProb) is ours.ability(Sample) is None


# The regressor


def smooth_images(n):
    """n smooth images of 8x6 pixels, with correlated neighbours."""
    noise = np.random.default_rng(0).normal(size=(n, 10, 8, 1))
    return np.float32(sum(noise[:, i : i + 8, j : j + 6] for i in range(3) for j in range(3)) / 3)


@pytest.mark.slow
def test_least_squares_minimizes_the_regressors_loss():
    """A regressor without hidden layers is bicubic plus a 3x3 filter and a constant."""
    x, spec = smooth_images(40), Spec((8, 6, 1), None, None, mean=0.5, std=2.0)
    ours = regressor(RegressorParts(Residual(2, ()), spec, 2))
    weights = jax.jit(ours.init)(jax.random.PRNGKey(0), {'x': jnp.asarray(x)})
    low = reduced(x, 2)
    unit, base = (x - 0.5) / 2, (np.asarray(bicubic(low)) - 0.5) / 2
    padded = np.pad(base[..., 0], [(0, 0), (1, 1), (1, 1)])
    shifts = [padded[:, i : i + 8, j : j + 6].ravel() for i in range(3) for j in range(3)]
    design = np.stack([*shifts, np.ones_like(shifts[0])], 1).astype(np.float64)
    best, *_ = np.linalg.lstsq(design, (unit - base).ravel().astype(np.float64))
    layer = {'kernel': best[:9].reshape(3, 3, 1, 1), 'bias': best[9:]}
    solved = jax.tree.map(jnp.float32, {'model': {'Conv_0': layer}})
    assert jax.tree.map(jnp.shape, solved) == jax.tree.map(jnp.shape, weights.params)

    def loss(params):
        changed_weights = weights._replace(params=params)
        losses, _ = ours.turns[0].loss(changed_weights, {'x': jnp.asarray(x)}, rng_of(40), 0, {})
        return losses['model']

    value_and_slope = jax.jit(jax.value_and_grad(loss))
    start, slope_of_start = value_and_slope(weights.params)
    value, slope = value_and_slope(solved)
    residual = (unit - base).ravel() - design @ best
    np.testing.assert_allclose(value, 0.5 * residual @ residual / 40, rtol=1e-4)
    assert value < 0.97 * start
    steepest = max(np.abs(leaf).max() for leaf in jax.tree.leaves(slope_of_start))
    assert all(np.all(np.abs(leaf) < 1e-4 * steepest) for leaf in jax.tree.leaves(slope))
    enlargement = jax.jit(ours.ability(SuperResolve).enlarge)(
        weights._replace(params=solved), {'low': low}, rng_of(40)
    )
    expected = 0.5 + 2 * (base.ravel() + design @ best).reshape(x.shape)
    np.testing.assert_allclose(enlargement, expected, atol=1e-4)


@pytest.mark.parametrize('shape', [(4, 6), *slow((4, 6, 3))])
def test_it_begins_with_the_bicubic_image(shape):
    """The initial output is the bicubic image, clipped to the known range."""
    x = np.float32(np.random.default_rng(0).integers(0, 16, (5, *shape)))
    ours = regressor(RegressorParts(Residual(2, (4, 4)), Spec(shape, 16, None), 2))
    weights = jax.jit(ours.init)(jax.random.PRNGKey(0), {'x': x})
    low = reduced(x, 2)
    enlargement = jax.jit(ours.ability(SuperResolve).enlarge)(weights, {'low': low}, rng_of(5))
    np.testing.assert_allclose(enlargement, np.clip(bicubic(low), 0, 15), atol=1e-4)


@pytest.mark.slow
def test_training_brings_it_far_above_bicubic(tmp_path, one_device):
    hypers = dict(hypers__decay_steps=200.0, hypers__ema_half_life=0.0)
    changes = dict(train__steps=200, model__channels=(32, 32))
    run = assembled(tmp_path, BOTH[1], 'digits,debug', **changes, **hypers)
    train_lib.train(run)
    results = super_resolve.apply(run, num_images=1)
    assert np.mean(results['model_psnr_db'] - results['bicubic_psnr_db']) > 1.5
    assert np.mean(results['model_consistency_db'] - results['bicubic_consistency_db']) > 3.0


# Guarantees of both models


@pytest.mark.parametrize('network', [BOTH[1], *slow(BOTH[0], 'unet')])
def test_an_enlargement_depends_on_its_image_and_on_its_key(tmp_path, network):
    """Each row depends on its own image only, and on its key in the model that samples."""
    changes = {'model__network': 'unet'} if network == 'unet' else {}
    run = assembled(tmp_path, BOTH[0] if changes else network, **changes)
    batch = first_batch(run, 6)
    weights = jax.jit(run.family.init)(jax.random.PRNGKey(0), batch)
    enlarge = jax.jit(run.family.ability(SuperResolve).enlarge)
    weights = weights._replace(params=scattered(weights.params))
    low = reduced(batch['x'], 2)
    x = enlarge(weights, {'low': low}, rng_of(6))
    assert x.shape == batch['x'].shape and x.min() >= 0 and x.max() <= 16
    changed_x = enlarge(weights, {'low': low.at[0].set(16.0)}, rng_of(6))
    assert np.any(changed_x[0] != x[0])
    np.testing.assert_array_equal(changed_x[1:], x[1:])
    redrawn = enlarge(weights, {'low': low}, rng_of(6, seed=1))
    assert np.any(redrawn != x) == (network != BOTH[1])


@pytest.mark.slow
@pytest.mark.parametrize('name', BOTH)
def test_losses_do_not_depend_on_the_devices(tmp_path, name):
    run = assembled(tmp_path, name)
    check_same_on_any_devices(*(steps_on(run, n, 5) for n in (1, 8)))


@pytest.mark.parametrize('name', BOTH)
@pytest.mark.parametrize(
    ('argument', 'factor', 'message'),
    [
        ('digits,debug', 3, 'factor=3 does not divide the 8x8 pixels of digits: 2, 4, 8 would'),
        ('digits,debug', 1, 'config.model.factor=1'),
        ('moons,debug', 2, 'moons are no images'),
    ],
)
def test_bad_factors_end_in_one_line(tmp_path, complaint, name, argument, factor, message):
    assert message in complaint(assembled, tmp_path, name, argument, model__factor=factor)
