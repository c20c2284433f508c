"""Our arms of `benchmarks.train_speed` and its lower bounds, each in a process of its own."""

import contextlib
import math

import jax

from atelier.core import devices as device_lib
from atelier.run import restore
from benchmarks import limits, precisions, training
from benchmarks.subjects import SUBJECTS, binary_images, run_of
from benchmarks.worker import Arm, main

_open = contextlib.ExitStack()  # data streams, until the process ends


def make(name: str, length: int, precision: str, data_dir: str, steps: int) -> Arm:
    """Returns an arm that trains a subject `steps` steps a call, `length` of them per dispatch."""
    device_lib.enable_compilation_cache()
    train_precision, subject = precisions.set_products(precision), SUBJECTS[name]
    images, description = binary_images(data_dir)
    run, length = run_of(subject, images, train_precision), math.gcd(length, steps)
    one = jax.devices()[:1]
    train = training.trainer(_open, run, length, steps, one, wait=False, loss=subject.loss)
    return Arm(train, dict(data=f'{description}, {len(images)} images'))


def make_limit(name: str, limit: str, steps: int, data_dir: str) -> Arm:
    """Returns the arm 'products' or 'copying' of a subject; facts: the amount of a call.

    That is FLOP for products, bytes for copying.
    """
    precisions.set_products('float32')
    subject = SUBJECTS[name]
    if limit == 'products':
        call, amount = limits.products(subject.products, steps), limits.flop(subject.products)
    else:
        images, _ = binary_images(data_dir)
        params = restore.initial_state(run_of(subject, images, 'float32')).params
        count = sum(x.size for x in jax.tree.leaves(params))
        call, amount = limits.copying(count, steps), limits.copied_bytes(count)

    def measure() -> None:
        call()  # its arrays are no losses

    return Arm(measure, dict(amount=steps * amount))


if __name__ == '__main__':
    main(make, make_limit)
