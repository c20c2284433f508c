"""The same VAEs as a PyTorch user writes them, for `benchmarks.train_speed` alone."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

WIDTH, CHANNELS, SIDE = 400, (32, 64), 7


def networks(kind: str, latent_dim: int) -> tuple[nn.Module, nn.Module]:
    """Encoder to mean and log variance, and decoder to logits, of pictures [batch, 1, 28, 28]."""
    if kind == 'mlp':
        encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(784, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 2 * latent_dim)
        )
        decoder = nn.Sequential(
            nn.Linear(latent_dim, WIDTH),
            nn.ReLU(),
            nn.Linear(WIDTH, 784),
            nn.Unflatten(1, (1, 28, 28)),
        )
    else:
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
    for parameter in [*encoder.parameters(), *decoder.parameters()]:  # as Flax begins
        if parameter.ndim > 1:
            fan_in = parameter[0].numel()
            nn.init.trunc_normal_(parameter, std=fan_in**-0.5, a=-2 * fan_in**-0.5)
        else:
            nn.init.zeros_(parameter)
    return encoder, decoder


def trainer(
    kind: str,
    images: np.ndarray,
    latent_dim: int,
    batch_size: int,
    fused: bool = False,
    graphed: bool = False,
) -> Callable[[int], np.ndarray]:
    """Returns train(steps) -> the loss of each, [steps]; it goes on where it stopped.

    Args:
      kind: 'mlp' or 'conv'.
      images: of bits, [n, 28, 28, 1]; they lie in the device's memory as float32.
      latent_dim: of z.
      batch_size: of a step, drawn from a permutation as long as it lasts.
      fused: Adam's update as one kernel.
      graphed: the whole step as one CUDA graph.
    """
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    torch.manual_seed(0)
    data = torch.from_numpy(images.reshape(-1, 1, 28, 28).astype(np.float32)).to(device)
    encoder, decoder = (network.to(device) for network in networks(kind, latent_dim))
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, 1e-3, fused=fused or None, capturable=graphed)

    def step(x: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        mean, log_var = encoder(x).chunk(2, 1)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        reconstruction = functional.binary_cross_entropy_with_logits(decoder(z), x, reduction='sum')
        kl = 0.5 * torch.sum(mean**2 + torch.exp(log_var) - 1 - log_var)
        loss = (reconstruction + kl) / len(x)
        loss.backward()
        optimizer.step()
        return loss.detach()

    run = _graph(step, data[:batch_size]) if graphed else step
    order = iter(())

    def batch() -> torch.Tensor:
        nonlocal order
        indices = next(order, None)
        if indices is None:
            whole = len(data) // batch_size * batch_size
            order = iter(torch.randperm(len(data), device=device)[:whole].split(batch_size))
            indices = next(order)
        return data[indices]

    def train(steps: int) -> np.ndarray:
        losses = [run(batch()).clone() for _ in range(steps)]
        return torch.stack(losses).cpu().numpy()  # waits for all of them

    return train


def _graph(step: Callable, example: torch.Tensor) -> Callable:
    """`step` captured once and replayed (PyTorch's notes on CUDA graphs, whole-network capture)."""
    x = example.clone()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step(x)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step(x)

    def replay(batch: torch.Tensor) -> torch.Tensor:
        x.copy_(batch)
        graph.replay()
        return loss

    return replay
