"""The arms of `benchmarks.precision_loss`, each in a process of its own."""

import contextlib
import pathlib
from typing import NamedTuple

import jax

from atelier import checkout
from atelier.core import devices as device_lib
from atelier.run import experiment
from benchmarks import precisions, training
from benchmarks.worker import Arm, main

_open = contextlib.ExitStack()  # data streams, until the process ends


class Family(NamedTuple):
    """A model that stands for its family.

    config: our config file.
    loss: name of the reported loss.
    tolerance: relative, of the mean loss (`benchmarks.agreement`).
    is_text: whether it is trained on text instead of images.
    """

    config: str
    loss: str = 'loss'
    tolerance: float = 0.02
    is_text: bool = False


FAMILIES = {
    'vae': Family('configs/vae.py'),
    'conv vae': Family('configs/conv_vae.py'),
    'gan': Family('configs/dcgan.py', 'loss_discriminator', 0.15),
    'flow': Family('configs/realnvp.py'),
    'transformer': Family('configs/char_lm.py', is_text=True),
    'pixelcnn': Family('configs/pixelcnn.py'),
    'diffusion': Family('configs/diffusion.py', tolerance=0.05),
    'classifier': Family('configs/classifier.py', tolerance=0.15),
}


def make(
    family: str, precision: str, steps: int, data: str, data_dir: str, text: str, debug: bool
) -> Arm:
    """Returns an arm that trains `steps` more steps a call, in one dispatch.

    Args:
      family: of FAMILIES.
      precision: of matrix products.
      steps: of a call.
      data: the images.
      data_dir: folder of the TFDS data sets.
      text: file; '': the data of the config.
      debug: whether the config is its debug variant.
    """
    device_lib.enable_compilation_cache()
    subject = FAMILIES[family]
    run = run_of(subject, precisions.set_products(precision), data, data_dir, text, debug)
    one, loss = jax.devices()[:1], subject.loss
    return Arm(training.trainer(_open, run, steps, steps, one, wait=False, loss=loss))


def run_of(
    family: Family, precision: str, data: str, data_dir: str, text: str, debug: bool
) -> experiment.Run:
    """Returns a run that is never written to disk; the arguments are those of `make`."""
    argument = [name for name in (data * (not family.is_text), 'debug' * debug) if name]
    path = ':'.join([family.config, ','.join(argument)]) if argument else family.config
    config_file = checkout.config_file(path)
    config = config_file.config()
    with config.unlocked():
        config.data.update(placement='device')
        if family.is_text and text:
            config.data.update(path=text, split_by='order')
        elif not family.is_text:
            config.data.update(data_dir=data_dir)
        config.train.update(precision=precision)
    return experiment.assemble(pathlib.Path('unused'), config_file, config)


if __name__ == '__main__':
    main(make)
