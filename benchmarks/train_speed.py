"""Time of a training step of two VAEs and a GAN, compared with PyTorch and with lower bounds.

    pip install -r requirements-bench.txt
    python -m benchmarks.train_speed --data_dir=TFDS_FOLDER

Every arm has batch size 128, Adam, all cores, and binary images in memory before the clock starts.
It reads its losses at the end of each repeat. Our arms do what a run does, including shuffle and
report; they scan many steps in a call, or take one call per step as PyTorch does. Without a TFDS
folder the images are random. float32 products have full precision, on a GPU too. The lower bounds
are the times of a step's matrix products, and of these followed by copying its State
(`benchmarks.limits`). A step can overlap the two. Both GANs draw new fakes for each player
(Goodfellow et al. 2014, Algorithm 1).
"""

import collections
import contextlib
import functools
import math

import jax
import numpy as np
from absl import app, flags

from atelier.core import devices as device_lib
from atelier.run import restore
from benchmarks import limits
from benchmarks.subjects import BATCH, IMAGES, SUBJECTS, binary_images, run_of
from benchmarks.timing import alternate, keeping, spread
from benchmarks.training import trainer

LIMITS = ('products', 'copying')

flags.DEFINE_multi_enum('models', list(SUBJECTS), list(SUBJECTS), 'models to measure')
flags.DEFINE_integer('steps', 400, 'steps per repeat of the MLP; the others take fewer')
flags.DEFINE_integer('repeats', 7, 'repeats of each arm')
flags.DEFINE_string('data_dir', '', 'folder of the TFDS data sets')
flags.DEFINE_bool('compiled', False, 'also measure torch.compile, which needs a C++ compiler')


def arms_of(stack: contextlib.ExitStack, name: str, images: np.ndarray, steps: int) -> dict:
    """Returns Atelier's variants of this training, by name; each returns its losses [steps]."""
    subject, arms = SUBJECTS[name], {}
    many, one = math.gcd(100, steps), jax.devices()[:1]
    for arm_name, length, precision in (
        ('scanned', many, 'float32'),
        ('one call a step', 1, 'float32'),
        ('scanned, bfloat16', many, 'bfloat16'),
    ):
        run = run_of(subject, images, precision)
        arms[arm_name] = trainer(stack, run, length, steps, one, wait=False, loss=subject.loss)
    return arms


def torch_arms_of(name: str, images: np.ndarray, steps: int) -> dict:
    """Returns PyTorch's arms, by name; none if it is not installed."""
    try:
        from benchmarks import torch_arms
    except ImportError:
        print('PyTorch is not installed (requirements-bench.txt): its arms are skipped')
        return {}
    print(torch_arms.described())
    arms = torch_arms.arms(name, images, flags.FLAGS.compiled)
    return {arm_name: functools.partial(train, steps) for arm_name, train in arms.items()}


def num_parameters(name: str, images: np.ndarray) -> int:
    """Returns the number of parameters of all players."""
    params = restore.initial_state(run_of(SUBJECTS[name], images, 'float32')).params
    return sum(x.size for x in jax.tree.leaves(params))


def print_table(
    name: str, seconds: dict[str, np.ndarray], losses: dict, steps: int, count: int
) -> None:
    """Prints a table, the rates of the lower bounds for `count` parameters, and mean losses."""
    reference, multiplying = seconds.get('PyTorch eager'), seconds['products']
    copying = limits.STEP_TRAFFIC * seconds['copying']
    print(f'\n{name}: milliseconds a step of {BATCH}, median (range) of {len(multiplying)}')
    for arm_name, times in seconds.items():
        epoch = np.median(times) / steps * IMAGES / BATCH
        ratio = '' if reference is None else f'{np.median(reference / times):5.2f} x PyTorch eager'
        share, both = (np.median(limit / times) for limit in (multiplying, multiplying + copying))
        timing = f'{spread(1e3 * times / steps):24} {epoch:6.2f} s an epoch'
        shares = f'{100 * share:4.0f} % of products, {100 * both:4.0f} % of products and copying'
        print(f'  {arm_name:26} {timing}  {ratio}  {shares}')
    amounts = steps * limits.flop(SUBJECTS[name].products), steps * limits.copied_bytes(count)
    flops, bandwidth = (
        1e-9 * amount / seconds[limit] for amount, limit in zip(amounts, LIMITS, strict=True)
    )
    print(f'  products {spread(flops, 0)} GFLOP/s, copying {spread(bandwidth, 0)} GB/s')
    print(f'  mean {SUBJECTS[name].loss} of every {steps} steps, the first to warm up:')
    for arm_name, curve in losses.items():
        print(f'  {arm_name:26} ' + ' '.join(f'{loss:6.4g}' for loss in curve))


def main(_):
    """Prints a table for each model."""
    jax.config.update('jax_default_matmul_precision', 'float32')  # the default on a GPU is TF32
    device_lib.enable_compilation_cache()
    images, description = binary_images(flags.FLAGS.data_dir)
    data = f'{description}, {len(images)} images'
    print(f'JAX {jax.__version__}, {jax.devices()[0].device_kind}; {data}')
    for name in flags.FLAGS.models:
        steps = flags.FLAGS.steps // SUBJECTS[name].relative_time
        losses = collections.defaultdict(list)
        with contextlib.ExitStack() as stack:
            arms = arms_of(stack, name, images, steps) | torch_arms_of(name, images, steps)
            arms = {arm_name: keeping(arm, losses[arm_name]) for arm_name, arm in arms.items()}
            count = num_parameters(name, images)
            arms['products'] = limits.products(SUBJECTS[name].products, steps)
            arms['copying'] = limits.copying(count, steps)
            seconds = alternate(arms, flags.FLAGS.repeats)
        print_table(name, seconds, losses, steps, count)


if __name__ == '__main__':
    app.run(main)
