"""Our arm of `benchmarks.text_speed`, and the sizes and data that both sides have."""

import contextlib
import pathlib
from typing import NamedTuple

import jax
import numpy as np

from atelier import checkout
from atelier.core import devices as device_lib
from atelier.core.types import num_parameters
from atelier.run import experiment, restore
from benchmarks import precisions, training
from benchmarks.worker import Arm, main

RATE, LAST_RATE, WARM_UP, DECAY = 1e-3, 1e-4, 100, 5000  # learning rate, and steps of its schedule
CLIP, WEIGHT_DECAY, BETA2 = 1.0, 0.1, 0.99
_open = contextlib.ExitStack()  # data streams, until the process ends


class Size(NamedTuple):
    """Size of a character transformer, with a learned table of positions.

    context: characters of a window.
    blocks, heads, width: of the transformer.
    dropout: fraction of the embedded characters and of each branch's output that is dropped.
    batch: windows per step.
    """

    context: int
    blocks: int
    heads: int
    width: int
    dropout: float
    batch: int


SIZES = {
    'tiny': Size(32, 2, 2, 64, 0.0, 16),
    'nanogpt': Size(256, 6, 6, 384, 0.2, 64),  # nanoGPT's setting of Shakespeare for a GPU
}


def run_of(size: Size, path: str, precision: str) -> experiment.Run:
    """Returns the run of `configs/char_lm.py` in this size; nothing is written to disk."""
    config_file = checkout.config_file('configs/char_lm.py')
    config = config_file.config()
    model = dict(size._asdict(), is_rotary=False, embedding_deviation=0.02)
    context, batch = model.pop('context'), model.pop('batch')
    with config.unlocked():
        config.data.update(path=path, split_by='order', context=context, placement='device')
        config.model.update(model)
        config.train.update(batch_size=batch, optimizer='adam', precision=precision)
        config.hypers.update(
            learning_rate=RATE,
            learning_rate_end=LAST_RATE,
            warmup_steps=float(WARM_UP),
            decay_steps=float(DECAY),
            clip_norm=CLIP,
            weight_decay=WEIGHT_DECAY,
            adam_beta2=BETA2,
        )
    return experiment.assemble(pathlib.Path('unused'), config_file, config)


def make(size: str, precision: str, path: str, steps: int, length: int) -> Arm:
    """Returns an arm that trains `steps` steps a call, `length` of them per dispatch."""
    device_lib.enable_compilation_cache()
    run = run_of(SIZES[size], path, precisions.set_products(precision))
    train = training.trainer(_open, run, length, steps, jax.devices()[:1], wait=False)
    return Arm(train, dict(parameters=num_parameters(restore.initial_state(run).params)))


def text_of(run: experiment.Run) -> np.ndarray:
    """Returns the characters [n] of the training part, whose windows are the examples."""
    windows = run.data.splits['train']['x']
    return np.concatenate([windows[:, 0], windows[-1, 1:]])


if __name__ == '__main__':
    main(make)
