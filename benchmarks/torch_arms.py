"""PyTorch's arms of `benchmarks.train_speed`; imported only if PyTorch is installed."""

import functools
from collections.abc import Callable

import numpy as np
import torch

from benchmarks import subjects, torch_gan, torch_vae
from benchmarks.torch_training import device, trainer

_VAE, _GAN = subjects.VAE_LATENTS, subjects.GAN_LATENTS
STEPS = {
    'mlp': functools.partial(torch_vae.step_of, torch_vae.mlp, _VAE),
    'conv': functools.partial(torch_vae.step_of, torch_vae.conv, _VAE),
    'dcgan': functools.partial(torch_gan.step_of, _GAN),
}
BETA1 = {'dcgan': 0.5}


def described() -> str:
    """Returns PyTorch's version and the device it runs on."""
    hardware = 'CUDA' if device() == 'cuda' else f'{torch.get_num_threads()} threads'
    return f'PyTorch {torch.__version__}, {hardware}'


def arms(name: str, images: np.ndarray, compiled: bool) -> dict[str, Callable[[int], np.ndarray]]:
    """Returns train(steps) -> losses [steps] for each of PyTorch's ways to run a step, by name.

    Args:
      name: of the subject.
      images: binary, [n, 28, 28, 1].
      compiled: whether to add torch.compile.
    """

    def arm(transform: Callable = lambda loss: loss, graphed: bool = False, **options) -> Callable:
        betas = (BETA1.get(name, 0.9), 0.999)
        adam = functools.partial(torch.optim.Adam, betas=betas, capturable=graphed, **options)
        return trainer(STEPS[name](adam, transform), images, subjects.BATCH, graphed)

    arms_by_name = {'PyTorch eager': arm(), 'PyTorch eager, fused Adam': arm(fused=True)}
    if compiled:
        arms_by_name['torch.compile, fused Adam'] = arm(torch.compile, fused=True)
    if device() == 'cuda':
        arms_by_name['PyTorch, CUDA graph'] = arm(graphed=True)
    return arms_by_name
