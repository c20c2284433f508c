"""A training loop in idiomatic PyTorch, around any step, only for benchmarks."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

Step = Callable[[torch.Tensor], torch.Tensor]  # [batch, 1, height, width] -> loss; trains


torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # as in Atelier's


def device() -> str:
    """Returns the device of all tensors."""
    return 'cuda' if torch.cuda.is_available() else 'cpu'


def as_flax(*networks: nn.Module) -> list[nn.Module]:
    """Returns the networks on the device, with weights initialized as in Flax."""
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
    """Returns train(steps) -> losses [steps], which continues where the last call stopped.

    Args:
      step: one step of training.
      images: binary, [n, height, width, 1]; they are kept on the device as float32.
      batch_size: examples per step, taken from a permutation until it is used up.
      graphed: whether the whole step is one CUDA graph.
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
    """Captures `step` once and replays it (PyTorch's CUDA graph notes, whole-network capture)."""
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
