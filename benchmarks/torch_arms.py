"""PyTorch's arms of `benchmarks.train_speed`, each in a process of its own."""

import functools

import torch

from benchmarks import subjects, torch_gan, torch_training, torch_vae
from benchmarks.worker import Arm, main

_VAE, _GAN = subjects.VAE_LATENTS, subjects.GAN_LATENTS
TRAININGS = {
    'mlp': functools.partial(torch_vae.training_of, torch_vae.mlp, _VAE),
    'conv': functools.partial(torch_vae.training_of, torch_vae.conv, _VAE),
    'dcgan': functools.partial(torch_gan.training_of, _GAN),
}
BETA1 = {'dcgan': 0.5}
WAYS = {  # options of Adam; both of the last two are one kernel for all parameters
    'PyTorch eager': {},
    'PyTorch eager, fused Adam': dict(fused=True),
    'torch.compile, fused Adam': dict(fused=True),
    'PyTorch, CUDA graph': dict(fused=True, capturable=True),
}


def make(name: str, way: str, precision: str, data_dir: str, steps: int) -> Arm:
    """Returns an arm that trains a subject one of `WAYS`, `steps` steps a call."""
    torch_training.set_precision(precision)
    images, _ = subjects.binary_images(data_dir)
    return Arm(
        functools.partial(trainer(name, way, precision, images), steps),
        torch_training.described(),
    )


def trainer(name: str, way: str, precision: str, images):
    """Returns train(steps) -> losses [steps] on binary images [n, 28, 28, 1]."""
    betas = (BETA1.get(name, 0.9), 0.999)
    adam = functools.partial(torch.optim.Adam, betas=betas, **WAYS[way])
    transform = torch.compile if way.startswith('torch.compile') else lambda loss: loss
    training = TRAININGS[name](adam, transform, precision)
    return torch_training.trainer(training, images, subjects.BATCH, way == 'PyTorch, CUDA graph')


if __name__ == '__main__':
    main(make)
