"""A diffusion model in idiomatic PyTorch, only for `benchmarks.diffusion_speed`.

v prediction (Salimans and Ho 2022, appendix D) on the cosine schedule (Nichol and Dhariwal 2021,
equation 17), and DDIM without noise (Song, Meng and Ermon 2021, equation 12).
"""

import itertools
import math
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.torch_training import Training, in_precision

FIRST, LAST, OFFSET, DATA_STD = 1e-3, 0.9946, 0.008, 0.5


def alpha_and_sigma(t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns alpha and sigma of the cosine schedule in t's shape: float32, computed in float64."""
    angle = lambda t: 0.5 * math.pi * (t + OFFSET) / (1 + OFFSET)
    alpha = torch.cos(angle(t.double())) / math.cos(angle(0.0))
    return alpha.float(), torch.sqrt(1 - alpha**2).float()


def output_of(network: nn.Module, x: torch.Tensor, alpha, sigma) -> torch.Tensor:
    """Scales x [batch, 1, height, width] to unit variance; returns the network's output for it."""
    size = torch.sqrt((alpha * DATA_STD) ** 2 + sigma**2)
    return network(x / size[:, None, None, None], torch.log(alpha / sigma))


class InPrecision(nn.Module):
    """A network in this precision of its products, with outputs in float32."""

    def __init__(self, network: nn.Module, precision: str):
        super().__init__()
        self.network, self.precision = network, precision

    def forward(self, x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """Returns a float32 tensor of the shape of `x`."""
        with in_precision(self.precision):
            return self.network(x, level).float()


def flop_of(training: Training, batch: torch.Tensor) -> int:
    """Returns the FLOP of one step's products, forward and backward, two per multiplication."""
    with FlopCounterMode(display=False) as counter:
        training.step(batch)
    return counter.get_total_flops()


def training_of(network: nn.Module, adam: Callable) -> Training:
    """Returns a training on binary images [batch, 1, height, width].

    Args:
      network: (x [batch, 1, height, width], half log-SNR [batch]) -> v.
      adam: (parameters, learning rate) -> optimizer.
    """
    optimizer = adam(network.parameters(), 1e-3)

    def step(x: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        x = 2 * x - 1
        offsets = torch.arange(len(x), device=x.device) / len(x)
        u = (torch.rand((), device=x.device) + offsets) % 1
        alpha, sigma = alpha_and_sigma(FIRST + u * (LAST - FIRST))
        a, s = alpha[:, None, None, None], sigma[:, None, None, None]
        eps = torch.randn_like(x)
        output = output_of(network, a * x + s * eps, alpha, sigma)
        loss = (a * eps - s * x - output).square().mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return Training(step, (network,), (optimizer,))


@torch.no_grad()
def sample(network: nn.Module, noise: torch.Tensor, evaluations: int) -> torch.Tensor:
    """Maps N(0, 1) noise [batch, 1, height, width] to x in [-1, 1], predicted at the first time."""
    like = lambda values: values[:, None, None, None]

    def mean(x, alpha, sigma):
        output = output_of(network, x, alpha, sigma)
        return (like(alpha) * x - like(sigma) * output).clamp(-1, 1)

    times = torch.linspace(LAST, FIRST, evaluations, device=noise.device)
    scales = [alpha_and_sigma(t.expand(len(noise))) for t in times]
    x = noise
    for (alpha, sigma), (next_alpha, next_sigma) in itertools.pairwise(scales):
        x_0 = mean(x, alpha, sigma)
        x = like(next_alpha) * x_0 + like(next_sigma) * (x - like(alpha) * x_0) / like(sigma)
    return mean(x, *scales[-1])
