"""A convolutional GAN in idiomatic PyTorch, only for `benchmarks.train_speed`."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from benchmarks.torch_training import Training, as_flax, in_precision

CHANNELS, FEATURES, SIDE = (32, 128), 256, 7
Loss = Callable[[torch.Tensor], torch.Tensor]


def networks(latent_dim: int) -> tuple[nn.Module, nn.Module]:
    """Returns a generator of images [batch, 1, 28, 28] in [0, 1], and a discriminator -> logits."""
    first, second = CHANNELS
    inner = second * SIDE * SIDE
    generator = nn.Sequential(
        nn.Linear(latent_dim, inner, bias=False),
        nn.Unflatten(1, (second, SIDE, SIDE)),
        nn.BatchNorm2d(second),
        nn.ReLU(),
        nn.ConvTranspose2d(second, first, 4, 2, 1, bias=False),
        nn.BatchNorm2d(first),
        nn.ReLU(),
        nn.ConvTranspose2d(first, 1, 4, 2, 1),
        nn.Sigmoid(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, first, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(first, second, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(inner, FEATURES),
        nn.LeakyReLU(0.2),
        nn.Linear(FEATURES, 1),
        nn.Flatten(0),
    )
    return generator, discriminator


def losses_of(
    generator: nn.Module, discriminator: nn.Module, latent_dim: int, precision: str
) -> tuple[Loss, Loss]:
    """Returns the losses of discriminator and generator as functions of x, each with new fakes."""

    def fake_like(x: torch.Tensor) -> torch.Tensor:
        return generator(torch.randn(len(x), latent_dim, device=x.device)).float()

    def discriminator_loss(x: torch.Tensor) -> torch.Tensor:
        with in_precision(precision):
            with torch.no_grad():
                fake = fake_like(x)
            real_logits, fake_logits = discriminator(x).float(), discriminator(fake).float()
        return torch.mean(functional.softplus(-real_logits) + functional.softplus(fake_logits))

    def generator_loss(x: torch.Tensor) -> torch.Tensor:
        with in_precision(precision):
            logits = discriminator(fake_like(x)).float()
        return torch.mean(functional.softplus(-logits))

    return discriminator_loss, generator_loss


def training_of(latent_dim: int, adam: Callable, transform: Callable, precision: str) -> Training:
    """Returns a training of both players in the non-saturating game.

    Args:
      latent_dim: dimensions of z.
      adam: (parameters, learning rate) -> optimizer.
      transform: applied to each loss as a function of x, for example `torch.compile`.
      precision: of matrix products.

    Returns:
      A training whose step returns the discriminator's loss.
    """
    torch.manual_seed(0)
    generator, discriminator = as_flax(*networks(latent_dim))
    generator_optimizer = adam(generator.parameters(), 1e-3)
    discriminator_optimizer = adam(discriminator.parameters(), 1e-3)
    losses = losses_of(generator, discriminator, latent_dim, precision)
    discriminator_loss, generator_loss = map(transform, losses)

    def step(x: torch.Tensor) -> torch.Tensor:
        discriminator_optimizer.zero_grad(set_to_none=True)
        loss = discriminator_loss(x)
        loss.backward()
        discriminator_optimizer.step()
        generator_optimizer.zero_grad(set_to_none=True)
        discriminator.requires_grad_(False)  # its gradients are not needed here
        generator_loss(x).backward()
        discriminator.requires_grad_(True)
        generator_optimizer.step()
        return loss.detach()

    optimizers = (discriminator_optimizer, generator_optimizer)
    return Training(step, (generator, discriminator), optimizers)
