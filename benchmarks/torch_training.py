"""Training as a PyTorch user writes it, around any step, for benchmarks alone."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

Step = Callable[[torch.Tensor], torch.Tensor]  # [batch, 1, height, width] -> the loss, all moved


torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # as ours


def device() -> str:
    """Where everything lies."""
    return 'cuda' if torch.cuda.is_available() else 'cpu'


def as_flax(*networks: nn.Module) -> list[nn.Module]:
    """The networks on the device, their weights drawn as Flax draws them."""
    for network in networks:
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) or not hasattr(layer, 'weight'):
                continue
            is_transposed = isinstance(layer, nn.ConvTranspose2d)
            window = layer.weight[:, 0] if is_transposed else layer.weight[0]
            scale = window.numel() ** -0.5
            nn.init.trunc_normal_(layer.weight, std=scale, a=-2 * scale, b=2 * scale)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return [network.to(device()) for network in networks]


def trainer(
    step: Step, images: np.ndarray, batch_size: int, graphed: bool = False
) -> Callable[[int], np.ndarray]:
    """Returns train(steps) -> the loss of each, [steps]; it goes on where it stopped.

    Args:
      step: one step of training.
      images: of bits, [n, height, width, 1]; they lie in the device's memory as float32.
      batch_size: of a step, drawn from a permutation as long as it lasts.
      graphed: the whole step as one CUDA graph.
    """
    data = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32)).to(device())
    run = _graph(step, data[:batch_size]) if graphed else step
    order = iter(())

    def batch() -> torch.Tensor:
        nonlocal order
        indices = next(order, None)
        if indices is None:
            whole = len(data) // batch_size * batch_size
            order = iter(torch.randperm(len(data), device=device())[:whole].split(batch_size))
            indices = next(order)
        return data[indices]

    def train(steps: int) -> np.ndarray:
        losses = [run(batch()).clone() for _ in range(steps)]
        return torch.stack(losses).cpu().numpy()  # waits for all of them

    return train


def _graph(step: Step, example: torch.Tensor) -> Step:
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
