"""losses/adversarial.py against closed forms, quadrature and the theorems of the papers."""

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from losses import adversarial
from losses.adversarial import GAMES

pytestmark = pytest.mark.usefixtures('strict_promotion')

LOGITS = st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=4)
log_sigmoid = scipy.special.log_expit

FORMULAS = {  # (discriminator loss, generator loss), in float64
    'minimax': (lambda r, f: -log_sigmoid(r) - log_sigmoid(-f), lambda f: log_sigmoid(-f)),
    'non_saturating': (lambda r, f: -log_sigmoid(r) - log_sigmoid(-f), lambda f: -log_sigmoid(f)),
    'least_squares': (lambda r, f: ((r - 1) ** 2 + f**2) / 2, lambda f: (f - 1) ** 2 / 2),
    'hinge': (lambda r, f: np.maximum(0, 1 - r) + np.maximum(0, 1 + f), lambda f: -f),
    'wasserstein': (lambda r, f: f - r, lambda f: -f),
}


def arrays(*values):
    return [jnp.asarray(value, jnp.float32) for value in values]


@pytest.mark.parametrize('name', GAMES)
@settings(max_examples=20)
@given(logits=LOGITS)
def test_the_games_are_their_formulas(name, logits):
    fake, real = np.asarray(logits), np.asarray(logits[::-1]) / 2 + 1
    for loss, formula, values in zip(
        GAMES[name], FORMULAS[name], ((real, fake), (fake,)), strict=True
    ):
        actual = jax.jit(loss)(*arrays(*values))
        np.testing.assert_allclose(actual, formula(*values), rtol=1e-5, atol=1e-6)


def test_a_discriminator_that_knows_nothing_has_the_value_minus_log_4():
    half = jnp.zeros(3)  # D = 1/2
    value = -adversarial.minimax_discriminator(half, half)
    np.testing.assert_allclose(value, -np.log(4), rtol=1e-6)


def test_the_minimax_game_is_zero_sum():
    """The generator's gradient is the negative of the discriminator's."""
    x, noise = jax.random.normal(jax.random.PRNGKey(0), (2, 5))
    logit = lambda x: 3 * x - x**2
    fake = lambda theta: logit(theta * noise + 1)
    ours = jax.grad(lambda theta: adversarial.minimax_generator(fake(theta)).sum())(0.7)
    theirs = jax.grad(lambda theta: adversarial.minimax_discriminator(logit(x), fake(theta)).sum())(
        0.7
    )
    np.testing.assert_allclose(ours, -theirs, rtol=1e-6)


def test_both_generators_of_goodfellow_go_the_same_way_and_only_one_saturates():
    slope = lambda loss: float(jax.grad(lambda f: loss(f).sum())(jnp.full(1, -20.0))[0])
    saturated = slope(adversarial.minimax_generator)
    alive = slope(adversarial.non_saturating_generator)
    assert -1e-8 < saturated < 0
    assert alive == pytest.approx(-1)


@pytest.fixture(scope='module')
def densities():
    """Grid points, the grid spacing and two normalized densities p and q on the grid."""
    points, weights = np.linspace(-12, 12, 4001, retstep=True)
    p = scipy.stats.norm(-0.5, 1).pdf(points)
    q = scipy.stats.norm(1, 1.5).pdf(points)
    return points, weights, p, q


def test_the_best_discriminator_is_p_over_p_plus_q(densities):
    """A stationary point, a minimum, and the value -log 4 + 2 JSD (Goodfellow, theorem 1)."""
    points, width, p, q = densities
    real_part, fake_part = arrays(p * width, q * width)

    @jax.jit
    def loss(logits):
        """E_p[-log D] + E_q[-log (1 - D)]; extreme logits zero the other term of each call."""
        extreme = jnp.full_like(logits, 1e4)
        real = adversarial.minimax_discriminator(logits, -extreme)
        fake = adversarial.minimax_discriminator(extreme, logits)
        return jnp.sum(real_part * real + fake_part * fake)

    best = jnp.asarray(np.log(p / q), jnp.float32)
    assert np.abs(jax.grad(loss)(best)).max() < 1e-8
    for bump in (0.3, -0.3):
        assert loss(best + bump * jnp.cos(jnp.arange(len(points)))) > loss(best) + 1e-3
    mixture = (p + q) / 2
    jsd = (
        0.5
        * width
        * np.sum(scipy.special.rel_entr(p, mixture) + scipy.special.rel_entr(q, mixture))
    )
    np.testing.assert_allclose(-loss(best), -np.log(4) + 2 * jsd, rtol=1e-5)


def test_the_best_discriminator_of_least_squares_is_p_over_p_plus_q(densities):
    """Mao et al. (2017), equation 10 with a = 0, b = 1, for the raw output."""
    _, _, p, q = densities
    real_part, fake_part = arrays(p, q)
    best = real_part / (real_part + fake_part)

    def loss(output):  # 1/2 (1 - 1)^2 = 1/2 0^2 = 0: the other term vanishes here too
        real = adversarial.least_squares_discriminator(output, jnp.zeros_like(output))
        fake = adversarial.least_squares_discriminator(jnp.ones_like(output), output)
        return jnp.sum(real_part * real + fake_part * fake)

    assert np.abs(jax.grad(loss)(best)).max() < 1e-6


def test_the_wasserstein_critic_reaches_the_distance_of_two_shifted_sets():
    """The optimal 1-Lipschitz critic here is D(x) = x."""
    fake = np.random.default_rng(0).normal(size=50)
    real = fake[::-1] + 3
    distance = scipy.stats.wasserstein_distance(real, fake)
    losses = adversarial.wasserstein_discriminator(*arrays(real, fake))
    np.testing.assert_allclose(-losses.mean(), distance, rtol=1e-5)


# Penalties

SLOPE = np.array([[0.3, -1.2], [0.5, 2.0]])


def linear(x):
    return jnp.einsum('nij,ij->n', x, jnp.asarray(SLOPE, jnp.float32)) + 7


def quadratic(x):
    return 0.5 * jnp.einsum('nij,ij->n', jnp.square(x), jnp.asarray(SLOPE, jnp.float32))


def random_events(seed, n=4):
    return jax.random.normal(jax.random.PRNGKey(seed), (n, 2, 2))


def test_the_slope_of_a_linear_discriminator_is_its_weight():
    squared = adversarial.slope_squared(linear, random_events(0))
    np.testing.assert_allclose(squared, np.full(4, (SLOPE**2).sum()), rtol=1e-6)


def test_the_slope_of_a_quadratic_discriminator():
    x = random_events(0)
    squared = jax.jit(adversarial.slope_squared, static_argnums=0)(quadratic, x)
    np.testing.assert_allclose(squared, ((np.asarray(x) * SLOPE) ** 2).sum((1, 2)), rtol=1e-5)


@settings(max_examples=20)
@given(fraction=st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4))
def test_the_gradient_penalty_is_taken_between_real_and_fake(fraction):
    real, fake, fraction = (
        np.asarray(random_events(0)),
        np.asarray(random_events(1)),
        np.float32(fraction),
    )
    between = fraction[:, None, None] * real + (1 - fraction[:, None, None]) * fake
    norm = np.sqrt(((between * SLOPE) ** 2).sum((1, 2)))
    actual = adversarial.gradient_penalty(quadratic, *arrays(real, fake, fraction))
    np.testing.assert_allclose(actual, (norm - 1) ** 2, rtol=1e-4, atol=1e-5)


def test_the_gradient_of_the_penalty_of_a_linear_critic():
    """The second-order gradient d/dw (||w|| - 1)^2 = 2 (||w|| - 1) w / ||w||."""

    @jax.jit
    @jax.grad
    def penalty_gradient(w):
        critic = lambda x: jnp.einsum('nij,ij->n', x, w)
        return adversarial.gradient_penalty(
            critic, random_events(0), random_events(1), jnp.full(4, 0.4)
        ).mean()

    norm = np.sqrt((SLOPE**2).sum())
    actual = penalty_gradient(jnp.asarray(SLOPE, jnp.float32))
    np.testing.assert_allclose(actual, 2 * (norm - 1) * SLOPE / norm, rtol=1e-5)
    # a critic flat everywhere gives 0, not NaN
    assert np.all(penalty_gradient(jnp.zeros((2, 2))) == 0)


def test_r1_pulls_a_linear_discriminator_to_zero():
    r1 = lambda w: (
        0.5
        * adversarial.slope_squared(
            lambda x: jnp.einsum('nij,ij->n', x, w), random_events(0)
        ).mean()
    )
    w = jnp.asarray(SLOPE, jnp.float32)
    np.testing.assert_allclose(jax.grad(r1)(w), SLOPE, rtol=1e-5)


def test_feature_matching_is_the_distance_of_the_means():
    real, fake = random_events(0, 5), random_events(1, 7)
    expected = ((np.asarray(real).mean(0) - np.asarray(fake).mean(0)) ** 2).sum()
    np.testing.assert_allclose(adversarial.feature_matching(real, fake), expected, rtol=1e-5)
    assert adversarial.feature_matching(real, real[::-1]) == pytest.approx(0, abs=1e-12)


def test_unfit_shapes_are_refused():
    per_pixel = lambda x: x[:, 0]
    with pytest.raises(ValueError, match='returned'):
        adversarial.slope_squared(per_pixel, random_events(0))
    with pytest.raises((ValueError, jaxtyping.TypeCheckError), match='features'):
        adversarial.feature_matching(jnp.ones((2, 3)), jnp.ones((2, 1)))
