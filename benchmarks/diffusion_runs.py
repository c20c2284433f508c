"""The models that `benchmarks.diffusion_speed` measures: sizes, data, runs and weights."""

from typing import NamedTuple

import jax
import numpy as np

from atelier.core.types import Tree
from atelier.data import digits
from atelier.run import experiment, restore
from benchmarks.subjects import binary_images, run_on

BLOCKS, ATTENTION, EVALUATIONS = 2, (1,), 20
NOISE = 0.05  # standard deviation of what is added to initial weights before sampling
TOLERANCE = 0.05  # of the mean loss, relative: between seeds it differs by a few hundredths


class Size(NamedTuple):
    """Size of a model and its data.

    side: pixels per side.
    channels: channels of each resolution.
    batch: examples per step.
    relative_time: approximate duration of a step, relative to a step on 8x8 images.
    """

    side: int
    channels: tuple[int, ...]
    batch: int
    relative_time: int = 1

    @property
    def map_shape(self) -> tuple[int, int, int]:
        """Shape of a map of codes of these images: a quarter of each side, and four channels."""
        return self.side // 4, self.side // 4, 4


MEASURED = {'digits': Size(8, (32, 64), 96), 'mnist': Size(28, (32, 64, 64), 64, 10)}
SIZES = {**MEASURED, 'tiny': Size(8, (8, 16), 8)}  # to see that all arms run


def bits(size: Size, data_dir: str) -> np.ndarray:
    """Returns images [n, side, side, 1] of 0 and 1."""
    if size.side == 28:
        return binary_images(data_dir)[0]
    return (digits.load().splits['train']['x'] > digits.LEVELS // 2).astype(np.uint8)


def run_of(size: Size, images: np.ndarray, precision: str) -> experiment.Run:
    """Returns a run without labels, warm-up, clipping and decay, which PyTorch's loop lacks."""
    network = dict(network='unet', channels=size.channels, blocks=BLOCKS, attention=ATTENTION)
    return run_on(
        images,
        'configs/diffusion.py',
        model=dict(is_conditional=False, schedule='cosine', prediction='v', **network),
        train=dict(batch_size=size.batch, precision=precision),
        hypers=dict(decay_steps=0.0, warmup_steps=0.0, clip_norm=0.0),
        eval=dict(
            batch_size=size.batch,
            sampler=dict(name='ddim', eta=0.0, grid='time', steps=EVALUATIONS),
        ),
    )


def initial_weights(run: experiment.Run) -> Tree:
    """Returns the initial weights of the network, the same in every process."""
    return jax.tree.map(np.asarray, restore.initial_state(run).params['model'])


def perturbed(params: Tree) -> Tree:
    """Returns the weights with noise, the same in every process.

    The initial network outputs 0, so that samples would not depend on it.
    """
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: np.float32(x + NOISE * rng.standard_normal(x.shape)), params)


def brightness(x: np.ndarray) -> np.ndarray:
    """Returns the mean pixel [n] of samples [n, ...], by which those of two programs agree."""
    return x.reshape(len(x), -1).mean(1)
