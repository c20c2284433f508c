"""The VAE of PyTorch that stands beside ours: what it trains and what its ELBO is."""

import numpy as np
import pytest

from benchmarks.outcome import Outcome

torch = pytest.importorskip('torch')
from benchmarks import torch_elbo  # noqa: E402

IMAGES = np.random.RandomState(0).randint(0, 2, (64, 28, 28, 1)).astype(np.uint8)


def test_training_lowers_the_bound_of_what_it_is_trained_on():
    means = []
    for steps in (0, 60):
        training, done = torch_elbo.trained(IMAGES, steps, 16, 3, Outcome('torch_elbo'))
        found = torch_elbo.tested(training, IMAGES)
        assert done == steps and found['-ELBO'].shape == found['KL'].shape == (64,)
        assert (found['KL'] >= 0).all() and (found['-ELBO'] > found['KL']).all()
        means.append(found['-ELBO'].mean())
    assert means[1] < means[0]


def test_the_bound_of_networks_that_output_zero_is_known(monkeypatch):
    """Its posterior is the prior, and each pixel costs one bit."""
    training, _ = torch_elbo.trained(IMAGES, 0, 16, 3, Outcome('torch_elbo'))
    for network in training.networks:
        for parameter in network.parameters():
            torch.nn.init.zeros_(parameter)
    monkeypatch.setattr(torch_elbo, 'PART', 48)
    found = torch_elbo.tested(training, IMAGES)
    np.testing.assert_allclose(found['KL'], 0, atol=1e-6)
    np.testing.assert_allclose(found['-ELBO'], 784 * np.log(2), rtol=1e-5)


def test_no_step_begins_after_the_time():
    assert torch_elbo.trained(IMAGES, 9, 16, 3, Outcome('torch_elbo', 1e-9))[1] == 0
