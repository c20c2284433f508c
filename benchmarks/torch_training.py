"""A training loop in idiomatic PyTorch, around any step, only for benchmarks."""

import contextlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

TRUNCATED_STD = 0.87962566103423978  # standard deviation of N(0, 1) truncated at -2 and 2
WARM_UP = 3  # eager steps before a capture, as PyTorch's notes on CUDA graphs have it


class Training(NamedTuple):
    """A training and all that it changes.

    step: [batch, 1, height, width] -> loss; trains.
    networks: the modules that it trains.
    optimizers: their optimizers.
    """

    step: Callable[[torch.Tensor], torch.Tensor]
    networks: Sequence[nn.Module]
    optimizers: Sequence[torch.optim.Optimizer]


def device() -> str:
    """Returns the device of all tensors."""
    return 'cuda' if torch.cuda.is_available() else 'cpu'


def described() -> dict[str, str]:
    """Returns PyTorch's version and the device it runs on."""
    hardware = (
        torch.cuda.get_device_name() if device() == 'cuda' else f'{torch.get_num_threads()} threads'
    )
    return dict(torch=torch.__version__, device=hardware)


def set_precision(name: str) -> None:
    """Sets the precision of float32 products: 'tf32', otherwise full float32 (as in `precisions`).

    bfloat16 is chosen by `in_precision`; the products that autocast leaves in float32 stay full.
    """
    is_tf32 = name == 'tf32'
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = is_tf32


def in_precision(name: str) -> contextlib.AbstractContextManager:
    """Returns the context of a forward pass in this precision."""
    return torch.autocast(device(), torch.bfloat16, enabled=name == 'bfloat16', cache_enabled=False)


def as_flax(*networks: nn.Module) -> list[nn.Module]:
    """Returns the networks on the device, with weights initialized as in Flax."""
    for network in networks:
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) or not hasattr(layer, 'weight'):
                continue
            is_transposed = isinstance(layer, nn.ConvTranspose2d)
            window = layer.weight[:, 0] if is_transposed else layer.weight[0]
            scale = window.numel() ** -0.5 / TRUNCATED_STD
            nn.init.trunc_normal_(layer.weight, std=scale, a=-2 * scale, b=2 * scale)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return [network.to(device()) for network in networks]


def trainer(
    training: Training, images: np.ndarray, batch_size: int, graphed: bool = False
) -> Callable[[int], np.ndarray]:
    """Returns train(steps) -> losses [steps], which continues where the last call stopped.

    Args:
      training: what is trained.
      images: binary, [n, height, width, 1]; they are kept on the device as float32.
      batch_size: examples per step, taken from a permutation until it is used up.
      graphed: whether the whole step is one CUDA graph.
    """
    data = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32)).to(device())
    run = Replay(training, data[:batch_size]) if graphed else training.step
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
        losses = [run(batch()) for _ in range(steps)]
        return torch.stack(losses).cpu().numpy()  # waits for all of them

    return train


class Replay:
    """A step that is captured once as a CUDA graph, and replayed.

    As in PyTorch's notes on CUDA graphs (whole-network capture): the step warms up on a side
    stream, and the gradients are None before the capture. The generator of random numbers is
    registered by `torch.cuda.graph`. Weights and optimizer start from their initial values again.

    A graph knows only the addresses of the weights and of the optimizer's state. The object keeps
    `training`, because otherwise they would be freed with the step, and the graph would train in
    memory that other tensors use by then.
    """

    def __init__(self, training: Training, example: torch.Tensor):
        """Captures the step on batches of the shape of `example`."""
        self.training, self.x = training, example.clone()
        initial = [
            {name: value.clone() for name, value in network.state_dict().items()}
            for network in training.networks
        ]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                training.step(self.x)
        torch.cuda.current_stream().wait_stream(stream)
        for optimizer in training.optimizers:
            optimizer.zero_grad(set_to_none=True)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.loss = training.step(self.x)
        self._restore(initial)

    def _restore(self, initial: list[dict[str, torch.Tensor]]) -> None:
        """Writes the initial values into the tensors that the graph reads."""
        for network, values in zip(self.training.networks, initial, strict=True):
            network.load_state_dict(values)  # copies in place
        for optimizer in self.training.optimizers:
            for state in optimizer.state.values():
                for value in state.values():
                    value.zero_()

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """Trains on a batch; returns the loss in memory of its own."""
        self.x.copy_(batch)
        self.graph.replay()
        return self.loss.clone()
