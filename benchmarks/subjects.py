"""Models that `benchmarks.train_speed` measures: two VAEs and a GAN, on binary 28x28 images."""

import os
import pathlib
from typing import NamedTuple

import numpy as np

from atelier import checkout
from atelier.data import dataset, tfds_images
from atelier.run import experiment
from benchmarks.limits import Product

BATCH, VAE_LATENTS, GAN_LATENTS = 128, 20, 64
IMAGES = 60_000


class Subject(NamedTuple):
    """A model and its size.

    config: our config file.
    model: overrides of its config.model.
    products: matrix products of one step.
    loss: name of the reported loss.
    tolerance: relative, of the mean loss between seeds (`benchmarks.agreement`).
    relative_time: approximate duration of a step, relative to a step of the MLP.
    """

    config: str
    model: dict
    products: list[Product]
    loss: str = 'loss'
    tolerance: float = 0.01
    relative_time: int = 4


def _first(products: list[Product]) -> list[Product]:
    """Returns the products, the first without a gradient with respect to its input."""
    return [products[0]._replace(inputs=False), *products[1:]]


def _generator() -> list[Product]:
    sizes = (BATCH, GAN_LATENTS, 6272), (BATCH * 49, 128, 512), (BATCH * 196, 32, 16)
    return [Product(*size) for size in sizes]


def _discriminator(batch: int) -> list[Product]:
    sizes = (batch * 196, 16, 32), (batch * 49, 512, 128), (batch, 6272, 256), (batch, 256, 1)
    return [Product(*size) for size in sizes]


SUBJECTS = {
    'mlp': Subject(
        'configs/vae.py',
        dict(latent_dim=VAE_LATENTS, activation='relu', hidden_sizes=(400,)),
        _first(
            [
                Product(BATCH, 784, 400),
                Product(BATCH, 400, 2 * VAE_LATENTS),
                Product(BATCH, VAE_LATENTS, 400),
                Product(BATCH, 400, 784),
            ]
        ),
        relative_time=1,
    ),
    'conv': Subject(
        'configs/conv_vae.py',
        dict(
            latent_dim=VAE_LATENTS,
            activation='relu',
            hidden_sizes=(),
            channels=(32, 64),
            kernel_size=4,
        ),
        _first(
            [
                Product(BATCH * 196, 16, 32),
                Product(BATCH * 49, 512, 64),
                Product(BATCH, 3136, 2 * VAE_LATENTS),
                Product(BATCH, VAE_LATENTS, 3136),
                Product(BATCH * 49, 64, 512),
                Product(BATCH * 196, 32, 16),
            ]
        ),
    ),
    'dcgan': Subject(
        'configs/dcgan.py',
        dict(
            latent_dim=GAN_LATENTS,
            channels=(32, 128),
            discriminator_channels=(32, 128),
            discriminator_hidden_sizes=(256,),
            penalty='none',
        ),
        [
            # discriminator's turn: generate fakes, then judge real and fake examples
            *(layer._replace(inputs=False, weights=False) for layer in _generator()),
            *_first(_discriminator(2 * BATCH)),
            # generator's turn
            *_first(_generator()),
            *(layer._replace(weights=False) for layer in _discriminator(BATCH)),
        ],
        loss='loss_discriminator',
        tolerance=0.15,
        relative_time=16,
    ),
}


def run_of(subject: Subject, images: np.ndarray, precision: str) -> experiment.Run:
    """Returns the subject's run on binary images [n, 28, 28, 1]."""
    return run_on(
        images,
        subject.config,
        model=subject.model,
        train=dict(batch_size=BATCH, precision=precision),
        hypers=dict(decay_steps=0.0, weight_decay=0.0),
    )


def run_on(images: np.ndarray, config_path: str, **overrides: dict) -> experiment.Run:
    """Returns a run, never written to disk, on binary images [n, height, width, 1].

    overrides: new values of config fields, by section (model, train, ...).
    """
    config_file = checkout.config_file(config_path)
    config = config_file.config()
    with config.unlocked():
        config.update(overrides)
    spec = dataset.Spec(images.shape[1:], 2, None)
    data = dataset.Dataset('bits', spec, {'train': {'x': images}}, 'bits')
    family = config_file.build(config, spec)
    return experiment.Run(pathlib.Path('unused'), config_file, config, family, data)


def binary_images(data_dir: str) -> tuple[np.ndarray, str]:
    """Returns 60,000 binary images [n, 28, 28, 1], MNIST or random, and a description."""
    if not data_dir and not os.environ.get('TFDS_DATA_DIR'):
        return np.random.default_rng(0).integers(0, 2, (IMAGES, 28, 28, 1), np.uint8), 'random'
    x = np.asarray(tfds_images.load('mnist', data_dir).splits['train']['x'])
    return (x > 127).astype(np.uint8), 'MNIST, thresholded'
