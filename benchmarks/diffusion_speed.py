"""Training and sampling speed of the diffusion U-Net, compared with PyTorch.

    pip install -r requirements-bench.txt
    python -m benchmarks.diffusion_speed --data_dir=TFDS_FOLDER

Two sizes: the 8x8 digits with 32 and 64 channels in batches of 96, and MNIST with 32, 64 and 64
channels in batches of 64, both binary and in memory before the clock starts. Every arm is a process
of its own. Every arm starts from the same weights and minimizes the squared error of v on the
cosine schedule with Adam; our arm does what a run does, so it also keeps averaged weights and a
report. Samples are drawn by DDIM without noise, in 20 evaluations, one batch at a time, from the
same weights, with other initial noise in each batch. Without a TFDS folder, MNIST is replaced by
random bits. The first call compiles. If PyTorch is installed, it counts the FLOP of a step. The
FLOP rate of our training is then also printed as a share of the rate of large matrix products in
the same repeats. A speed is given only if the losses agree (`benchmarks.agreement`), or the mean
pixels of the samples.
"""

import importlib.util

import jax
from absl import flags

from benchmarks import comparison, outcome, precisions, workers
from benchmarks.diffusion_runs import EVALUATIONS, MEASURED, SIZES, TOLERANCE
from benchmarks.timing import spread

PIXEL_TOLERANCE = 0.02  # of the mean pixel of samples, relative
OURS, EAGER, GRAPH = 'ours', 'PyTorch eager', 'PyTorch, CUDA graph'

flags.DEFINE_multi_enum('sizes', list(MEASURED), list(SIZES), 'sizes to measure')
flags.DEFINE_integer('steps', 40, 'steps per repeat of the digits; MNIST takes fewer')
flags.DEFINE_integer('repeats', 7, 'repeats of each arm')
flags.DEFINE_enum(
    'precision', 'float32', precisions.NAMES, 'precision of matrix products, in all arms'
)
flags.DEFINE_string('data_dir', '', 'folder of the TFDS data sets')


def specs_of(name: str, steps: int) -> tuple[dict[str, workers.Spec], dict[str, workers.Spec]]:
    """Returns the arms that train, the limit among them, and those that sample, by name."""
    values = flags.FLAGS
    settings = dict(name=name, precision=values.precision, data_dir=values.data_dir)
    ours, theirs = 'benchmarks.diffusion_arms', 'benchmarks.torch_diffusion_arms'
    training = {OURS: workers.Spec(f'{ours}:make_training', dict(steps=steps, **settings))}
    sampling = {OURS: workers.Spec(f'{ours}:make_sampling', settings)}
    if importlib.util.find_spec('torch') is None:
        print('PyTorch is not installed (requirements-bench.txt): its arms are skipped')
    else:
        graph = [GRAPH] * (jax.default_backend() == 'gpu')
        for way in (EAGER, 'PyTorch eager, fused Adam', *graph):
            options = dict(way=way, steps=steps, **settings)
            training[way] = workers.Spec(f'{theirs}:make_training', options, workers.TORCH)
        sampling[EAGER] = workers.Spec(f'{theirs}:make_sampling', settings, workers.TORCH)
    training['limit'] = workers.Spec(f'{ours}:make_limit', dict(precision=values.precision))
    return training, sampling


def print_share(measured: dict[str, workers.Measured], steps: int) -> None:
    """Prints our FLOP rate as a share of that of large products: median and range over repeats."""
    limit, ours, eager = (measured.get(name) for name in ('limit', OURS, EAGER))
    count = min(len(limit.seconds), len(ours.seconds))
    if not count or eager is None or 'flop' not in eager.facts:
        return
    flop = steps * eager.facts['flop']
    rate, peak = flop / ours.seconds[:count], limit.facts['flop'] / limit.seconds[:count]
    share = f'{spread(100 * rate / peak, 1)} % of {spread(peak / 1e12, 2)} TFLOP/s'
    print(f'  ours, {flop / 1e9:.1f} GFLOP a repeat: {share}')


def main(_):
    """Prints two tables for each size."""
    values, result = flags.FLAGS, outcome.Outcome.of_flags('diffusion_speed')
    result.print_heading(values.precision)
    for index, name in enumerate(values.sizes):
        size, left = SIZES[name], len(values.sizes) - index
        steps = max(1, values.steps // size.relative_time)
        print(f'\n{name}: {size.side}x{size.side}, channels {size.channels}, batch {size.batch}')
        training, sampling = specs_of(name, steps)
        measured = workers.measure(training, values.repeats, result.left(0.7 / left))
        comparison.check_sizes(measured)
        pairs = [(OURS, other) for other in training if other not in (OURS, 'limit')]
        title = f'{name}, {values.precision}, training'
        comparison.report(result, title, measured, pairs, steps, comparison.within(TOLERANCE))
        print_share(measured, steps)
        measured = workers.measure(sampling, values.repeats, result.left(1 / left))
        pairs = [(OURS, other) for other in sampling if other != OURS]
        title = f'{name}, {values.precision}, DDIM with {EVALUATIONS} evaluations'
        agree = comparison.within(PIXEL_TOLERANCE)
        comparison.report(result, title, measured, pairs, 1, agree, f'batch of {size.batch}')


if __name__ == '__main__':
    workers.run(main)
