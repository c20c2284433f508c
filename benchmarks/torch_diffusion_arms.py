"""PyTorch's arms of `benchmarks.diffusion_speed`, each in a process of its own.

JAX computes the initial weights there on the CPU (`workers.TORCH`), so that both sides have them.
"""

import functools

import numpy as np
import torch

from benchmarks import torch_diffusion, torch_training, torch_unet
from benchmarks.diffusion_runs import (
    ATTENTION,
    BLOCKS,
    EVALUATIONS,
    SIZES,
    bits,
    brightness,
    initial_weights,
    perturbed,
    run_of,
)
from benchmarks.worker import Arm, main

WAYS = {  # options of Adam
    'PyTorch eager': {},
    'PyTorch eager, fused Adam': dict(fused=True),
    'PyTorch, CUDA graph': dict(fused=True, capturable=True),
}


def make_training(name: str, way: str, precision: str, data_dir: str, steps: int) -> Arm:
    """Returns an arm that trains a size one of `WAYS`, `steps` steps a call.

    Facts: its number of parameters, and the FLOP of a step's products if it is eager.
    """
    size, images = SIZES[name], bits(SIZES[name], data_dir)
    params = initial_weights(run_of(size, images, 'float32'))
    torch.manual_seed(0)
    adam = functools.partial(torch.optim.Adam, **WAYS[way])
    training = torch_diffusion.training_of(network(name, precision, params), adam)
    train = torch_training.trainer(training, images, size.batch, way == 'PyTorch, CUDA graph')
    facts = torch_training.described()
    facts['parameters'] = sum(p.numel() for p in training.networks[0].parameters())
    if way == 'PyTorch eager':
        counted = torch_diffusion.training_of(network(name, precision, params), adam)
        batch = torch.rand((size.batch, 1, size.side, size.side), device=torch_training.device())
        facts['flop'] = torch_diffusion.flop_of(counted, batch)
    return Arm(functools.partial(train, steps), facts)


def make_sampling(name: str, precision: str, data_dir: str) -> Arm:
    """Returns an arm that draws a batch, and whose losses are the brightness of the samples."""
    size = SIZES[name]
    params = initial_weights(run_of(size, bits(size, data_dir), 'float32'))
    sampled, device = network(name, precision, perturbed(params)), torch_training.device()
    torch.manual_seed(0)

    def sample() -> np.ndarray:
        noise = torch.randn((size.batch, 1, size.side, size.side), device=device)
        x = torch_diffusion.sample(sampled, noise, EVALUATIONS)
        return brightness(((x + 1) / 2).round().cpu().numpy())

    return Arm(sample)


def network(name: str, precision: str, params: dict) -> torch.nn.Module:
    """Returns the U-Net of a size with these weights."""
    torch_training.set_precision(precision)
    unet = torch_unet.UNet(SIZES[name].channels, BLOCKS, ATTENTION)
    torch_unet.load(unet, params)
    return torch_diffusion.InPrecision(unet, precision).to(torch_training.device())


if __name__ == '__main__':
    main(make_training, make_sampling)
