"""The posterior that is learned from pairs of a simulator is the known one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from marks import EXHAUSTIVE
from support import assembled, few_of_test

import train_lib
from atelier.core.abilities import Classify, LogProb, Sample
from atelier.data.conditions.condition import KEY
from atelier.data.simulators import LOG_POSTERIORS, gaussian_linear_posterior
from atelier.evaluation.samples.sampling import sampler
from atelier.run import restore
from atelier.run.over_examples import over_examples

N = 2000
SIZES = dict(train__batch_size=512, train__steps_per_dispatch=100, hypers__ema_half_life=0.0)


def trained(folder, data, steps, **changes):
    """The posterior config of `data`, trained for a few steps."""
    every = dict(train__steps=steps, train__evaluate_every=steps, train__checkpoint_every=steps)
    settings = {**SIZES, **every, 'hypers__decay_steps': float(steps), **changes}
    run = few_of_test(assembled(folder, 'posterior', f'{data},debug', **settings), N)
    train_lib.train(run, jax.devices()[:1])
    return restore.load(run)


def excess_nats(of, data):
    """Mean and standard error of log p - log q over test examples, p being the known posterior."""
    run, split = of.run, of.run.data.splits['test']
    nats = over_examples(run.family.ability(LogProb).nats, run.data, 500, of.devices)
    known = LOG_POSTERIORS[data](*(split[name].astype(float) for name in ('x', KEY)))
    excess = known - nats(of.state, jax.random.PRNGKey(0), split, N)
    return excess.mean(), excess.std() / np.sqrt(N)


def samples_given(of, row, n):
    given = np.tile(np.float32(row), (n, 1))
    return sampler(of.run, of.devices)(of.state, jax.random.PRNGKey(1), n, given)


@pytest.mark.slow
def test_the_posterior_of_the_linear_simulator_is_found(tmp_path, one_device):
    shape = dict(model__transform='affine', model__hidden_sizes=(32,), model__steps=2)
    of = trained(tmp_path / 'run', 'gaussian_linear', 800, **shape, hypers__learning_rate=3e-3)
    excess, error = excess_nats(of, 'gaussian_linear')
    assert -3 * error < excess < 0.05
    for row in ([0.0, 0.0, 0.0, 0.0], [1.0, -0.5, 1.5, 2.0]):
        x = samples_given(of, row, 4000)
        mean, covariance = gaussian_linear_posterior(np.array([row]))
        std = np.sqrt(np.diag(covariance))
        np.testing.assert_allclose(x.mean(0), mean[0], atol=0.2 * std.max())
        np.testing.assert_allclose(np.cov(x.T), covariance, atol=0.25 * covariance.max())
    ability = of.run.family.ability(Sample)
    assert ability.reads_condition and of.run.family.ability(Classify) is None


@pytest.mark.parametrize('data', [pytest.param('two_moons_posterior', marks=EXHAUSTIVE)])
def test_both_modes_of_the_posterior_of_the_moons_are_found(tmp_path, one_device, data):
    shape = dict(model__hidden_sizes=(64, 64), model__steps=4, model__bins=8)
    of = trained(tmp_path / 'run', data, 1000, **shape)
    excess, error = excess_nats(of, data)
    assert -3 * error < excess < 1.0
    x = samples_given(of, [-0.2, 0.1], 2000)
    share = np.mean(x.sum(1) > 0)
    assert 0.35 < share < 0.65
    away = np.abs(np.abs(x.sum(1)) / np.sqrt(2) - 0.5)  # the crescents' middles are 0.45 to 0.55
    assert np.mean(away < 0.15) > 0.9


def test_the_config_is_conditional_on_any_data(tmp_path, complaint):
    run = assembled(tmp_path, 'posterior', 'debug')
    assert run.data.name == 'gaussian_linear' and run.config.model.is_conditional
    assert jnp.shape(run.data.splits['train'][KEY]) == (100_000, 4)
    line = complaint(assembled, tmp_path, 'posterior', 'checkerboard,debug')
    assert line.endswith('checkerboard has no labels and no condition')
