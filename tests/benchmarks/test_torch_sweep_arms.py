"""PyTorch's VAE of a sweep is that of `configs/vae.py`."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from atelier.core import optimizers
from atelier.run import restore
from losses import elbo

torch = pytest.importorskip('torch')
from benchmarks import sweep_arms, torch_sweep_arms  # noqa: E402


def test_its_likelihood_is_ours():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 17, (5, 64)).astype(np.float32)
    x[0, :2] = 0, 16
    parameters = rng.normal(size=(5, 64, 6)).astype(np.float32)
    of_ours = map(jnp.asarray, (x, *np.split(parameters, 3, -1)))
    expected = elbo.discretized_logistic_mixture_log_prob(*of_ours, 17)
    log_prob = torch_sweep_arms.logistic_mixture_log_prob(
        torch.from_numpy(x), torch.from_numpy(parameters), 17
    )
    np.testing.assert_allclose(log_prob.sum(1), expected, rtol=1e-5)


@pytest.mark.slow
def test_its_losses_begin_as_ours_and_fall():
    config, arguments = 'configs/vae.py', ['--config.model.hidden_sizes=(32,)']
    ours = sweep_arms.make('loop', config, ['seed=0:1'], 20, arguments).call()
    theirs = torch_sweep_arms.make(config, ['seed=0:1'], 1, 20, arguments).call()
    assert ours.shape == theirs.shape == (1, 20)
    assert theirs[0, :5].mean() == pytest.approx(ours[0, :5].mean(), rel=0.05)
    assert theirs[0, -5:].mean() < 0.8 * theirs[0, 0]


def test_its_learning_rate_is_ours():
    (run,) = sweep_arms.members('configs/vae.py', ['seed=0:1'], [], pathlib.Path('unused'))
    for step in (0, 1, 700, 1499, 2000):
        expected = float(optimizers.learning_rate(run.config.hypers.to_dict(), step))
        rate = torch_sweep_arms.learning_rate(run.config.hypers, step)
        assert rate == pytest.approx(expected, rel=1e-3)


def test_it_has_the_parameters_of_our_model():
    (run,) = sweep_arms.members('configs/vae.py', ['seed=0:1'], [], pathlib.Path('unused'))
    training = torch_sweep_arms.training_of(run.config, (8, 8, 1), 17)
    ours = sum(leaf.size for leaf in jax.tree.leaves(restore.abstract_state(run).params))
    assert ours == sum(p.numel() for network in training.networks for p in network.parameters())
