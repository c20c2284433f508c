"""GAN losses on a discriminator's logits, and penalties on its input gradient.

Each game is a pair of per-example losses: the discriminator's, given its logits of real and of
generated examples, and the generator's, given the logits of generated examples. The logit of a
probability D is log(D / (1 - D)); a critic's raw output is a logit too. Nothing is broadcast:
mismatched shapes raise ValueError.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Logits = Float[Array, 'batch']
Events = Float[Array, 'batch *event']


def minimax_discriminator(real: Logits, fake: Logits) -> Logits:
    """-log D(x) - log(1 - D(G(z))) in nats: minus the value of the game.

    Goodfellow et al. (2014), Generative Adversarial Nets, equation 1. For data density p and
    generator density q, the optimal discriminator is p / (p + q); at p = q the value of the game
    is -log 4.

    Raises:
        ValueError: if the shapes differ or are not (batch,).

    Example:
        >>> round(minimax_discriminator(jnp.zeros(1), jnp.zeros(1)).item(), 3)  # log 4
        1.386
    """
    _require_batches(real=real, fake=fake)
    return jax.nn.softplus(-real) + jax.nn.softplus(fake)


def minimax_generator(fake: Logits) -> Logits:
    """log(1 - D(G(z))) in nats: the part of the game's value that depends on the generator.

    This is the zero-sum game of Goodfellow et al. (2014), equation 1. The gradient vanishes where D
    confidently rejects a sample.

    Raises:
        ValueError: if the shape is not (batch,).

    Example:
        >>> round(minimax_generator(jnp.zeros(1)).item(), 3)  # D = 1/2
        -0.693
    """
    _require_batches(fake=fake)
    return -jax.nn.softplus(fake)


def non_saturating_generator(fake: Logits) -> Logits:
    """-log D(G(z)) in nats: the gradient does not vanish where D confidently rejects a sample.

    Goodfellow et al. (2014), section 3; its discriminator is `minimax_discriminator`.

    Raises:
        ValueError: if the shape is not (batch,).

    Example:
        >>> round(non_saturating_generator(jnp.asarray([-20.0])).item(), 3)  # D = e^-20
        20.0
    """
    _require_batches(fake=fake)
    return jax.nn.softplus(-fake)


def least_squares_discriminator(real: Logits, fake: Logits) -> Logits:
    """1/2 (D(x) - 1)^2 + 1/2 D(G(z))^2, where D is the raw output.

    Mao et al. (2017), Least Squares Generative Adversarial Networks, equation 9: a = 0, b = c = 1.

    Raises:
        ValueError: if the shapes differ or are not (batch,).

    Example:
        >>> print(least_squares_discriminator(jnp.asarray([0.0]), jnp.asarray([2.0])))
        [2.5]
    """
    _require_batches(real=real, fake=fake)
    return 0.5 * jnp.square(real - 1) + 0.5 * jnp.square(fake)


def least_squares_generator(fake: Logits) -> Logits:
    """1/2 (D(G(z)) - 1)^2: equation 9 of Mao et al. (2017).

    Raises:
        ValueError: if the shape is not (batch,).

    Example:
        >>> print(least_squares_generator(jnp.asarray([3.0])))
        [2.]
    """
    _require_batches(fake=fake)
    return 0.5 * jnp.square(fake - 1)


def hinge_discriminator(real: Logits, fake: Logits) -> Logits:
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z))), where D is the raw output.

    Lim and Ye (2017), Geometric GAN, equation 11; Miyato et al. (2018), Spectral Normalization for
    Generative Adversarial Networks, equation 16.

    Raises:
        ValueError: if the shapes differ or are not (batch,).

    Example:
        >>> print(hinge_discriminator(jnp.asarray([2.0]), jnp.asarray([0.5])))
        [1.5]
    """
    _require_batches(real=real, fake=fake)
    return jax.nn.relu(1 - real) + jax.nn.relu(1 + fake)


def wasserstein_discriminator(real: Logits, fake: Logits) -> Logits:
    """D(G(z)) - D(x): on average minus the Wasserstein-1 distance, for the best 1-Lipschitz critic.

    Arjovsky et al. (2017), Wasserstein GAN, equation 2 and Algorithm 1.

    Raises:
        ValueError: if the shapes differ or are not (batch,).

    Example:
        >>> print(wasserstein_discriminator(jnp.asarray([3.0]), jnp.asarray([1.0])))
        [-2.]
    """
    _require_batches(real=real, fake=fake)
    return fake - real


def wasserstein_generator(fake: Logits) -> Logits:
    """-D(G(z)): the generator's loss of the Wasserstein and hinge games.

    Arjovsky et al. (2017), Algorithm 1; Miyato et al. (2018), equation 17.

    Raises:
        ValueError: if the shape is not (batch,).

    Example:
        >>> print(wasserstein_generator(jnp.asarray([3.0])))
        [-3.]
    """
    _require_batches(fake=fake)
    return -fake


GAMES: dict[str, tuple[Callable, Callable]] = {  # (discriminator loss, generator loss)
    'minimax': (minimax_discriminator, minimax_generator),
    'non_saturating': (minimax_discriminator, non_saturating_generator),
    'least_squares': (least_squares_discriminator, least_squares_generator),
    'hinge': (hinge_discriminator, wasserstein_generator),
    'wasserstein': (wasserstein_discriminator, wasserstein_generator),
}


def slope_squared(discriminator: Callable[[Events], Logits], x: Events) -> Logits:
    """||dD(x)/dx||^2 of each example: twice R1 on real examples, twice R2 on generated ones.

    Mescheder et al. (2018), Which Training Methods for GANs do actually Converge?, equations 9 and
    10. `discriminator` has to score each example independently of the others.

    Raises:
        ValueError: if the discriminator does not return (batch,).

    Example:
        >>> discriminator = lambda x: 0.5 * jnp.sum(x**2, 1)  # dD/dx = x
        >>> print(slope_squared(discriminator, jnp.asarray([[3.0, 4.0]])))
        [25.]
    """
    logits, pull_back = jax.vjp(discriminator, x)
    if logits.shape != x.shape[:1]:
        raise ValueError(
            f'the discriminator returned shape {logits.shape} for x of shape {x.shape}: it has to '
            'return one logit for each example.'
        )
    (slopes,) = pull_back(jnp.ones_like(logits))
    return jnp.sum(jnp.square(slopes), tuple(range(1, x.ndim)))


def gradient_penalty(
    discriminator: Callable[[Events], Logits], real: Events, fake: Events, fraction: Logits
) -> Logits:
    """(||dD/dx|| - 1)^2 at x = u real + (1 - u) fake, for a `fraction` u uniform in [0, 1].

    Gulrajani et al. (2017), Improved Training of Wasserstein GANs, equation 3. Where D is flat, the
    norm is not differentiable, and 0 is used as its derivative.

    Raises:
        ValueError: if the shapes do not match, or the discriminator does not return (batch,).

    Example:
        >>> discriminator = lambda x: 3 * x[:, 0] + 4 * x[:, 1]  # of slope 5 everywhere
        >>> real, fake = jnp.ones((1, 2)), jnp.zeros((1, 2))
        >>> round(gradient_penalty(discriminator, real, fake, jnp.asarray([0.5])).item(), 3)
        16.0
    """
    if real.shape != fake.shape or fraction.shape != real.shape[:1]:
        raise ValueError(
            f'real has shape {real.shape}, fake {fake.shape} and fraction {fraction.shape}: '
            'give real and fake of one shape, and a fraction for each example.'
        )
    fraction = jnp.expand_dims(fraction, tuple(range(1, real.ndim)))
    squared = slope_squared(discriminator, fraction * real + (1 - fraction) * fake)
    is_flat = squared == 0
    norm = jnp.where(is_flat, 0.0, jnp.sqrt(jnp.where(is_flat, 1.0, squared)))
    return jnp.square(norm - 1)


def feature_matching(
    real: Float[Array, 'reals *features'], fake: Float[Array, 'fakes *features']
) -> Float[Array, '']:
    """||mean f(x) - mean f(G(z))||^2, with means over the whole batch.

    Salimans et al. (2016), Improved Techniques for Training GANs, section 3.1. The means are over
    the global batch, so gather the features of all devices first.

    Raises:
        ValueError: if the shapes of an example's features differ, or a batch is empty.

    Example:
        >>> real, fake = jnp.asarray([[0.0], [2.0]]), jnp.asarray([[4.0]])  # means 1 and 4
        >>> print(feature_matching(real, fake))
        9.0
    """
    if real.shape[1:] != fake.shape[1:] or 0 in (len(real), len(fake)):
        raise ValueError(
            f'features per example differ, or a batch is empty: {real.shape}, {fake.shape}'
        )
    return jnp.sum(jnp.square(jnp.mean(real, 0) - jnp.mean(fake, 0)))


def _require_batches(**logits: Array) -> None:
    shapes = {array.shape for array in logits.values()}
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        description = ', '.join(f'{name} {array.shape}' for name, array in logits.items())
        raise ValueError(f'logits need one shape (batch,): {description}')
