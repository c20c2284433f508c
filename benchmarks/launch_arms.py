"""The arms of `benchmarks.launch_variants`, each in a process of its own."""

import contextlib

import jax
import optax

from atelier.core import devices as device_lib
from atelier.core import optimizers
from atelier.core.types import Optimizer
from benchmarks import precisions, training
from benchmarks.subjects import SUBJECTS, binary_images, run_of
from benchmarks.worker import Arm, main

_open = contextlib.ExitStack()  # data streams, until the process ends


def make(
    name: str, precision: str, data_dir: str, steps: int, unroll: int = 1, is_flat: bool = False
) -> Arm:
    """Returns an arm that trains a subject, `steps` steps in one dispatch.

    Args:
      name: of the subject.
      precision: of matrix products.
      data_dir: folder of the TFDS data sets.
      steps: of a call.
      unroll: steps that the scan of the dispatch repeats in each of its iterations.
      is_flat: whether all parameters of a player are updated as one array.
    """
    device_lib.enable_compilation_cache()
    run = run_of(SUBJECTS[name], binary_images(data_dir)[0], precisions.set_products(precision))
    if is_flat:
        optimizers.chosen = flattened(optimizers.chosen(run.config))
    one, loss = jax.devices()[:1], SUBJECTS[name].loss
    train = training.trainer(_open, run, steps, steps, one, wait=False, loss=loss)

    def first_unrolled():
        with unrolled(unroll):
            return train()

    return Arm(first_unrolled)


def flattened(rule: Optimizer):
    """Returns `optimizers.chosen` for a rule that gets one array of all parameters of a player."""
    return lambda config: lambda *arguments: optax.flatten(rule(*arguments))


@contextlib.contextmanager
def unrolled(count: int):
    """Unrolls the first scan that is traced, the one of the dispatch; none after the first call."""
    scan = jax.lax.scan

    def first(*arguments, **options):
        jax.lax.scan = scan
        return scan(*arguments, unroll=count, **options)

    jax.lax.scan = first if count > 1 else scan
    try:
        yield
    finally:
        jax.lax.scan = scan


if __name__ == '__main__':
    main(make)
