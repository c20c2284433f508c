"""The games of two players on a discriminator's logits, and the penalties on its slopes.

Each game is a pair of functions, per example: what the discriminator descends, given its logits of
real and of generated examples, and what the generator descends, given those of generated ones. A
logit is log D / (1 - D) where D is a probability, and the raw output of a critic. Nothing is
broadcast: arrays whose shapes do not fit raise ValueError.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Logits = Float[Array, 'batch']
Events = Float[Array, 'batch *event']


def minimax_discriminator(real: Logits, fake: Logits) -> Logits:
    """-log D(x) - log(1 - D(G(z))) in nats: minus the value of the game.

    Goodfellow et al. (2014), Generative Adversarial Nets, equation 1. Against densities p of the
    data and q of the generator the best discriminator is p / (p + q); for p = q the value of the
    game is -log 4.

    Raises:
        ValueError: if the shapes differ or are not (batch,).
    """
    _require_batches(real=real, fake=fake)
    return jax.nn.softplus(-real) + jax.nn.softplus(fake)


def minimax_generator(fake: Logits) -> Logits:
    """log(1 - D(G(z))) in nats: the part of the game's value that depends on the generator.

    Equation 1 of Goodfellow et al. (2014), the zero-sum game; it saturates where D is sure.

    Raises:
        ValueError: if the shape is not (batch,).
    """
    _require_batches(fake=fake)
    return -jax.nn.softplus(fake)


def non_saturating_generator(fake: Logits) -> Logits:
    """-log D(G(z)) in nats, with a slope where the discriminator is sure that it sees a fake.

    Goodfellow et al. (2014), section 3; its discriminator is `minimax_discriminator`.

    Raises:
        ValueError: if the shape is not (batch,).
    """
    _require_batches(fake=fake)
    return jax.nn.softplus(-fake)


def least_squares_discriminator(real: Logits, fake: Logits) -> Logits:
    """1/2 (D(x) - 1)^2 + 1/2 D(G(z))^2, D the raw output.

    Mao et al. (2017), Least Squares Generative Adversarial Networks, equation 9: a = 0, b = c = 1.

    Raises:
        ValueError: if the shapes differ or are not (batch,).
    """
    _require_batches(real=real, fake=fake)
    return 0.5 * jnp.square(real - 1) + 0.5 * jnp.square(fake)


def least_squares_generator(fake: Logits) -> Logits:
    """1/2 (D(G(z)) - 1)^2: equation 9 of Mao et al. (2017).

    Raises:
        ValueError: if the shape is not (batch,).
    """
    _require_batches(fake=fake)
    return 0.5 * jnp.square(fake - 1)


def hinge_discriminator(real: Logits, fake: Logits) -> Logits:
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z))), D the raw output.

    Lim and Ye (2017), Geometric GAN, equation 11; Miyato et al. (2018), Spectral Normalization for
    Generative Adversarial Networks, equation 16.

    Raises:
        ValueError: if the shapes differ or are not (batch,).
    """
    _require_batches(real=real, fake=fake)
    return jax.nn.relu(1 - real) + jax.nn.relu(1 + fake)


def wasserstein_discriminator(real: Logits, fake: Logits) -> Logits:
    """D(G(z)) - D(x): minus the Wasserstein-1 distance for the best critic D of slope 1.

    Arjovsky et al. (2017), Wasserstein GAN, equation 2 and Algorithm 1.

    Raises:
        ValueError: if the shapes differ or are not (batch,).
    """
    _require_batches(real=real, fake=fake)
    return fake - real


def wasserstein_generator(fake: Logits) -> Logits:
    """-D(G(z)): of the Wasserstein game and of the one with the hinge.

    Arjovsky et al. (2017), Algorithm 1; Miyato et al. (2018), equation 17.

    Raises:
        ValueError: if the shape is not (batch,).
    """
    _require_batches(fake=fake)
    return -fake


GAMES: dict[str, tuple[Callable, Callable]] = {  # (discriminator's, generator's)
    'minimax': (minimax_discriminator, minimax_generator),
    'non_saturating': (minimax_discriminator, non_saturating_generator),
    'least_squares': (least_squares_discriminator, least_squares_generator),
    'hinge': (hinge_discriminator, wasserstein_generator),
    'wasserstein': (wasserstein_discriminator, wasserstein_generator),
}


def slope_squared(discriminator: Callable[[Events], Logits], x: Events) -> Logits:
    """||dD(x)/dx||^2 of each example: twice R1 on real examples and twice R2 on generated ones.

    Mescheder et al. (2018), Which Training Methods for GANs do actually Converge?, equations 9 and
    10. `discriminator` treats each example on its own.

    Raises:
        ValueError: if the discriminator does not return (batch,).
    """
    logits, pull_back = jax.vjp(discriminator, x)
    if logits.shape != x.shape[:1]:
        raise ValueError(f'a discriminator of {x.shape} returned {logits.shape}')
    (slopes,) = pull_back(jnp.ones_like(logits))
    return jnp.sum(jnp.square(slopes), tuple(range(1, x.ndim)))


def gradient_penalty(
    discriminator: Callable[[Events], Logits], real: Events, fake: Events, place: Logits
) -> Logits:
    """(||dD/dx|| - 1)^2 where x = place real + (1 - place) fake, place uniform in [0, 1].

    Gulrajani et al. (2017), Improved Training of Wasserstein GANs, equation 3. Where D is flat the
    norm has no derivative: 0 is taken.

    Raises:
        ValueError: if the shapes do not fit, or as `slope_squared`.
    """
    if real.shape != fake.shape or place.shape != real.shape[:1]:
        raise ValueError(f'real {real.shape}, fake {fake.shape} and place {place.shape}')
    place = jnp.expand_dims(place, tuple(range(1, real.ndim)))
    squared = slope_squared(discriminator, place * real + (1 - place) * fake)
    is_flat = squared == 0
    norm = jnp.where(is_flat, 0.0, jnp.sqrt(jnp.where(is_flat, 1.0, squared)))
    return jnp.square(norm - 1)


def feature_matching(
    real: Float[Array, 'reals *features'], fake: Float[Array, 'fakes *features']
) -> Float[Array, '']:
    """||mean f(x) - mean f(G(z))||^2 over the whole batch, which it couples: gather it first.

    Salimans et al. (2016), Improved Techniques for Training GANs, section 3.1.

    Raises:
        ValueError: if the shapes of an example's features differ, or a batch is empty.
    """
    if real.shape[1:] != fake.shape[1:] or 0 in (len(real), len(fake)):
        raise ValueError(f'features of shape {real.shape} and {fake.shape}')
    return jnp.sum(jnp.square(jnp.mean(real, 0) - jnp.mean(fake, 0)))


def _require_batches(**logits: Array) -> None:
    shapes = {array.shape for array in logits.values()}
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        told = ', '.join(f'{name} {array.shape}' for name, array in logits.items())
        raise ValueError(f'expected logits of one shape (batch,): {told}')
