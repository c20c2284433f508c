"""Information in posteriors against closed forms, quadrature and the KL in the losses."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from atelier.evaluation.latents import information
from losses import elbo


def linear_gaussian(n, seed, latent=2, slope_squared=0.6, variance=0.5):
    """Returns means and log variances of N(slope x, variance) for x ~ N(0, I), and noise."""
    random = np.random.RandomState(seed)
    mean = math.sqrt(slope_squared) * random.normal(size=(n, latent))
    return mean, np.full((n, latent), math.log(variance)), random.normal(size=(n, latent))


INFORMATION = math.log(1 + 0.6 / 0.5)  # of linear_gaussian: two dimensions, half each
MARGINAL = 1.1 - 1 - math.log(1.1)  # the aggregate posterior of linear_gaussian is N(0, 1.1 I)


@pytest.mark.parametrize('n', [500, 4000])
def test_a_linear_gaussian_model_has_closed_forms(n):
    """Both terms agree within five standard errors, which shrink with n."""
    estimate = information.information(*linear_gaussian(n, seed=n))
    assert estimate.standard_error < 1.2 / math.sqrt(n)
    assert abs(estimate.mutual_information - INFORMATION) < 5 * estimate.standard_error
    assert abs(estimate.marginal_kl - MARGINAL) < 5 * estimate.marginal_standard_error
    assert estimate.limit == math.log(n)


def test_the_errors_are_the_spread_over_draws_of_the_examples():
    """For both terms, with KLs that vary strongly between examples."""
    estimates = [information.information(*linear_gaussian(200, seed=seed)) for seed in range(200)]
    for part, error in (
        ('mutual_information', 'standard_error'),
        ('marginal_kl', 'marginal_standard_error'),
    ):
        spread = np.std([getattr(each, part) for each in estimates])
        claimed = np.mean([getattr(each, error) for each in estimates])
        assert 0.8 < claimed / spread < 1.25


def test_few_examples_give_a_lower_bound():
    """The mean over draws of four examples is far below the truth, that of sixteen less far."""
    means = []
    for n in (4, 16):
        values = [
            information.information(*linear_gaussian(n, seed)).mutual_information
            for seed in range(400)
        ]
        assert np.mean(values) + 3 * np.std(values) / 20 < INFORMATION
        means.append(np.mean(values))
    assert means[0] < means[1]


def test_mutual_information_is_unbiased_for_uniform_examples():
    """Unbiased if x is uniform over three examples: the mixture's entropy is integrated."""
    mean, deviation = np.array([[-1.0], [0.2], [1.5]]), np.array([[0.5], [0.3], [1.2]])
    parts = [stats.norm(m, s) for m, s in zip(mean[:, 0], deviation[:, 0], strict=True)]
    density = lambda z: np.mean([part.pdf(z) for part in parts])
    mixture = integrate.quad(lambda z: -density(z) * math.log(density(z)), -15, 15, limit=200)[0]
    truth = mixture - np.mean([part.entropy() for part in parts])
    random, log_var = np.random.RandomState(0), 2 * np.log(deviation)
    values = [
        information.information(mean, log_var, random.normal(size=(3, 1))).mutual_information
        for _ in range(2000)
    ]
    assert abs(np.mean(values) - truth) < 4 * np.std(values) / math.sqrt(len(values))
    assert max(values) <= math.log(3)


def test_mutual_information_is_zero_for_equal_posteriors_and_maximal_for_distant_ones():
    _, log_var, noise = linear_gaussian(300, 0)
    log_var -= 1
    same = information.information(np.full_like(noise, 0.7), log_var, noise)
    assert same.mutual_information == pytest.approx(0, abs=1e-12)
    kl = 2 * 0.5 * (0.5 / math.e + 0.49 - 1 - math.log(0.5 / math.e))
    assert same.marginal_kl == pytest.approx(kl)
    far = np.arange(600.0).reshape(300, 2) * 10
    apart = information.information(far, log_var, noise)
    assert apart.mutual_information == pytest.approx(math.log(300), abs=1e-7)
    assert apart.mutual_information <= apart.limit


@pytest.mark.parametrize('latent', [1, 3])
def test_blocks_make_no_difference(monkeypatch, latent):
    """The estimate equals the sum over all pairs."""
    mean, log_var, noise = linear_gaussian(50, 3, latent)
    log_var = log_var + np.random.RandomState(1).normal(size=log_var.shape)
    monkeypatch.setattr(information, 'BLOCK', 50 * 7)
    z = mean + np.exp(log_var / 2) * noise
    own = stats.norm(mean[None], np.exp(log_var / 2)[None]).logpdf(z[:, None]).sum(-1)
    ratios = np.diag(own) - (np.logaddexp.reduce(own, axis=1) - math.log(50))
    estimate = information.information(mean, log_var, noise)
    assert estimate.mutual_information == pytest.approx(ratios.mean(), rel=1e-9)
    assert estimate.standard_error == pytest.approx(ratios.std(ddof=1) / math.sqrt(50), rel=1e-6)


def test_dimensions_add_up_to_the_kl_of_the_losses():
    mean, log_var, _ = linear_gaussian(40, 0, latent=5)
    mean, log_var = mean.astype(np.float32), (log_var + mean).astype(np.float32)
    kl = information.kl_per_dimension(mean, log_var)
    assert kl.shape == (5,)
    whole = elbo.kl_standard_normal(jnp.asarray(mean), jnp.asarray(log_var))
    assert kl.sum() == pytest.approx(np.mean(np.asarray(whole)), rel=1e-5)
    one = elbo.kl_standard_normal(jnp.asarray(mean[:, 2:3]), jnp.asarray(log_var[:, 2:3]))
    assert kl[2] == pytest.approx(np.mean(np.asarray(one)), rel=1e-5)


def test_active_units_vary_over_examples():
    """Variances just below and just above 0.01, and a constant mean far from 0."""
    swing = np.tile([-1.0, 1.0], 50)
    mean = np.stack([0.0999 * swing, 0.1001 * swing, np.full(100, 3.0)], 1)
    assert information.active_units(mean).tolist() == [False, True, False]
