"""Training and sampling speed of the diffusion U-Net, compared with PyTorch.

    pip install -r requirements-bench.txt
    python -m benchmarks.diffusion_speed --data_dir=TFDS_FOLDER

Two sizes: the 8x8 digits with 32 and 64 channels in batches of 96, and MNIST with 32, 64 and 64
channels in batches of 64, both binary and in memory before the clock starts. Every arm starts from
the same weights and minimizes the squared error of v on the cosine schedule with Adam; our arm does
what a run does, so it also keeps averaged weights and a report. Samples are drawn by DDIM without
noise, in 20 evaluations, one batch at a time. Without a TFDS folder, MNIST is replaced by random
bits. Compilation is timed separately, for our arm only. If PyTorch is installed, it counts the FLOP
of a step. The FLOP rate of our training is then also printed as a share of the rate of large matrix
products in the same repeats.
"""

import collections
import contextlib
import functools
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags

from atelier.core import devices as device_lib
from atelier.data import digits
from atelier.evaluation.samples.sampling import sampler
from atelier.run import experiment, restore
from benchmarks import matrix_rate
from benchmarks.subjects import binary_images, run_on
from benchmarks.timing import alternate, keeping, spread
from benchmarks.training import trainer

BLOCKS, ATTENTION, EVALUATIONS = 2, (1,), 20
LARGE, PRODUCTS = 4096, 4  # side of the matrices that measure the peak rate; product pairs per call


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


SIZES = {'digits': Size(8, (32, 64), 96), 'mnist': Size(28, (32, 64, 64), 64, 10)}

flags.DEFINE_multi_enum('sizes', list(SIZES), list(SIZES), 'sizes to measure')
flags.DEFINE_integer('steps', 40, 'steps per repeat of the digits; MNIST takes fewer')
flags.DEFINE_integer('repeats', 7, 'repeats of each arm')
flags.DEFINE_enum(
    'precision', 'float32', ['float32', 'bfloat16'], 'precision of matrix products, in all arms'
)
flags.DEFINE_string('data_dir', '', 'folder of the TFDS data sets')


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


def our_arms(stack: contextlib.ExitStack, run: experiment.Run, steps: int) -> tuple[dict, dict]:
    """Returns (arms that train and return losses [steps], arms that sample a batch), by name."""
    one, size = jax.devices()[:1], run.config.train.batch_size
    state = device_lib.place(restore.initial_state(run), one)
    draw, key = sampler(run, one), jax.random.PRNGKey(0)
    return (
        {'ours': trainer(stack, run, steps, steps, one, wait=False)},
        {'ours': lambda: draw(state, key, size)},
    )


def torch_arms(size: Size, run: experiment.Run, images: np.ndarray, steps: int):
    """Returns PyTorch's arms to train, to sample, and a step's FLOP; ({}, {}, 0) without it."""
    try:
        import torch

        from benchmarks import torch_diffusion, torch_training, torch_unet
    except ImportError:
        print('PyTorch is not installed (requirements-bench.txt): its arms are skipped')
        return {}, {}, 0
    params = jax.tree.map(np.asarray, restore.initial_state(run).params['model'])
    device = torch_training.device()
    print(f'PyTorch {torch.__version__}, {device}, {torch.get_num_threads()} threads')

    def network() -> torch.nn.Module:
        unet = torch_unet.UNet(size.channels, BLOCKS, ATTENTION)
        torch_unet.load(unet, params)
        is_rounded = run.config.train.precision == 'bfloat16'
        return (torch_diffusion.InBfloat16(unet) if is_rounded else unet).to(device)

    def training(**options) -> Callable[[], np.ndarray]:
        adam = functools.partial(torch.optim.Adam, **options)
        step = torch_diffusion.step_of(network(), adam)
        return functools.partial(torch_training.trainer(step, images, size.batch), steps)

    sampled, shape = network(), (size.batch, 1, size.side, size.side)

    def sampling() -> np.ndarray:
        noise = torch.randn(shape, device=device)
        return torch_diffusion.sample(sampled, noise, EVALUATIONS).cpu().numpy()

    num_ours, num_torch = (
        sum(leaf.size for leaf in jax.tree.leaves(params)),
        sum(leaf.numel() for leaf in sampled.parameters()),
    )
    if num_ours != num_torch:
        raise ValueError(f'our network has {num_ours} parameters, that of PyTorch {num_torch}')
    arms = {'PyTorch eager': training(), 'PyTorch eager, fused Adam': training(fused=True)}
    counted_step = torch_diffusion.step_of(network(), torch.optim.Adam)
    flop = torch_diffusion.flop_of(counted_step, torch.rand(shape, device=device))
    return arms, {'PyTorch eager': sampling}, flop


def limit(precision: str) -> tuple[Callable[[], jax.Array], int]:
    """Returns (function that multiplies large matrices, its FLOP): the best rate of a step."""
    side = (LARGE if jax.default_backend() != 'cpu' else LARGE // 4,) * 3
    arm = matrix_rate.arm(side, getattr(jnp, precision), PRODUCTS)
    return arm, matrix_rate.flop(side, PRODUCTS)


def print_share(flop: float, seconds: np.ndarray, limit_flop: float, limit_seconds: np.ndarray):
    """Prints our FLOP rate as a share of that of large products: median and range over repeats."""
    rate, peak = flop / seconds, limit_flop / limit_seconds
    share = f'{spread(100 * rate / peak, 1)} % of {spread(peak / 1e12, 2)} TFLOP/s'
    print(f'  ours, {flop / 1e9:.1f} GFLOP a repeat: {share}')


def print_table(title: str, unit: str, seconds: dict[str, np.ndarray], count: int) -> None:
    """Prints a table in milliseconds per unit; a repeat has `count` units."""
    reference = seconds.get('PyTorch eager')
    repeats = len(seconds['ours'])
    print(f'{title}: milliseconds a {unit}, median (range) of {repeats} alternating repeats')
    for name, times in seconds.items():
        ratio = '' if reference is None else f'{spread(reference / times)} x PyTorch eager'
        print(f'  {name:26} {spread(1e3 * times / count, 1):28} {ratio}')


def first_calls(arms: dict[str, Callable]) -> dict[str, float]:
    """Returns the seconds of each arm's first call, which compiles."""
    seconds = {}
    for name, arm in arms.items():
        start = time.perf_counter()
        arm()
        seconds[name] = time.perf_counter() - start
    return seconds


def main(_):
    """Prints two tables for each size."""
    jax.config.update('jax_default_matmul_precision', 'float32')  # the default on a GPU is TF32
    precision = flags.FLAGS.precision
    print(f'JAX {jax.__version__}, {jax.devices()[0].device_kind}, {precision}')
    for name in flags.FLAGS.sizes:
        size, losses = SIZES[name], collections.defaultdict(list)
        steps = max(1, flags.FLAGS.steps // size.relative_time)
        images = bits(size, flags.FLAGS.data_dir)
        run = run_of(size, images, precision)
        print(f'\n{name}: {size.side}x{size.side}, channels {size.channels}, batch {size.batch}')
        with contextlib.ExitStack() as stack:
            training, sampling = our_arms(stack, run, steps)
            their_training, their_sampling, flop = torch_arms(size, run, images, steps)
            training |= their_training
            training = {label: keeping(arm, losses[label]) for label, arm in training.items()}
            first_training, first_sampling = (
                first_calls(arms)['ours'] for arms in (training, sampling)
            )
            print(
                f'first call of ours: {first_training:.0f} s to train, '
                f'{first_sampling:.0f} s to sample'
            )
            products, products_flop = limit(precision)
            seconds = alternate({**training, 'limit': products}, flags.FLAGS.repeats)
            products_seconds = seconds.pop('limit')
            print_table('training', f'step of {size.batch}', seconds, steps)
            if flop:
                print_share(flop * steps, seconds['ours'], products_flop, products_seconds)
            sampling_seconds = alternate(sampling | their_sampling, flags.FLAGS.repeats)
            print_table(
                f'DDIM, {EVALUATIONS} evaluations', f'batch of {size.batch}', sampling_seconds, 1
            )
        print(f'  mean loss of every {steps} steps, the first two to warm up:')
        for label, curve in losses.items():
            print(f'  {label:26} ' + ' '.join(f'{loss:6.4g}' for loss in curve))


if __name__ == '__main__':
    app.run(main)
