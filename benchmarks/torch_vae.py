"""Two VAEs in idiomatic PyTorch, only for `benchmarks.train_speed`."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from benchmarks.torch_training import Training, as_flax, in_precision

WIDTH, CHANNELS, SIDE = 400, (32, 64), 7


def mlp(latent_dim: int) -> tuple[nn.Module, nn.Module]:
    """Returns (encoder -> mean and log variance, decoder -> logits) for [batch, 1, 28, 28]."""
    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(784, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2 * latent_dim)
    )
    decoder = nn.Sequential(
        nn.Linear(latent_dim, WIDTH),
        nn.ReLU(),
        nn.Linear(WIDTH, 784),
        nn.Unflatten(1, (1, 28, 28)),
    )
    return encoder, decoder


def conv(latent_dim: int) -> tuple[nn.Module, nn.Module]:
    """Returns the same as `mlp`, with stride-2 convolutions."""
    first, second = CHANNELS
    inner = second * SIDE * SIDE
    encoder = nn.Sequential(
        nn.Conv2d(1, first, 4, 2, 1),
        nn.ReLU(),
        nn.Conv2d(first, second, 4, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(inner, 2 * latent_dim),
    )
    decoder = nn.Sequential(
        nn.Linear(latent_dim, inner),
        nn.Unflatten(1, (second, SIDE, SIDE)),
        nn.ReLU(),
        nn.ConvTranspose2d(second, first, 4, 2, 1),
        nn.ReLU(),
        nn.ConvTranspose2d(first, 1, 4, 2, 1),
    )
    return encoder, decoder


def training_of(
    networks: Callable, latent_dim: int, adam: Callable, transform: Callable, precision: str
) -> Training:
    """Returns a training of these networks, whose step returns the loss.

    Args:
      networks: `mlp` or `conv`.
      latent_dim: dimensions of z.
      adam: (parameters, learning rate) -> optimizer.
      transform: applied to the loss as a function of x, for example `torch.compile`.
      precision: of matrix products.
    """
    torch.manual_seed(0)
    encoder, decoder = as_flax(*networks(latent_dim))
    optimizer = adam([*encoder.parameters(), *decoder.parameters()], 1e-3)

    @transform
    def loss_of(x: torch.Tensor) -> torch.Tensor:
        with in_precision(precision):
            mean, log_var = encoder(x).float().chunk(2, 1)
            z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
            logits = decoder(z).float()
        reconstruction = functional.binary_cross_entropy_with_logits(logits, x, reduction='sum')
        kl = 0.5 * torch.sum(mean**2 + torch.exp(log_var) - 1 - log_var)
        return (reconstruction + kl) / len(x)

    def step(x: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(x)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return Training(step, (encoder, decoder), (optimizer,))
