"""Training speed of latent diffusion, relative to diffusion of the pixels.

    python -m benchmarks.latent_speed

Both arms are the U-Net of `configs/diffusion.py` with the same channels (32, 64, 64), blocks and
batch of 64: on 28x28 pixels, and on the 7x7x4 codes that a convolutional VAE has of them. Each is a
process of its own. The ratio is that of the times of one step; the time that the parent takes to
train is not in it. Losses of codes and of pixels are not compared. With another --size, the map of
codes has a quarter of each side of its images.
"""

from absl import flags

from benchmarks import comparison, outcome, precisions, workers
from benchmarks.diffusion_runs import SIZES

flags.DEFINE_enum('size', 'mnist', list(SIZES), 'size of the images and of the U-Net')
flags.DEFINE_integer('steps', 2, 'steps per repeat')
flags.DEFINE_integer('repeats', 7, 'repeats of each arm')
flags.DEFINE_enum('precision', 'float32', precisions.NAMES, 'precision of matrix products')


def main(_):
    """Prints a table."""
    values, result = flags.FLAGS, outcome.Outcome.of_flags('latent_speed')
    result.print_heading(values.precision)
    size = SIZES[values.size]
    pixels = f'{size.side}x{size.side} pixels'
    codes = f'{"x".join(map(str, size.map_shape))} codes'
    settings = dict(size=values.size, precision=values.precision, steps=values.steps)
    specs = {
        name: workers.Spec('benchmarks.latent_arms:make_training', dict(of=of, **settings))
        for name, of in ((codes, 'codes'), (pixels, 'pixels'))
    }
    measured = workers.measure(specs, values.repeats, result.left())
    unequal = lambda name, other, losses, others: ''  # they are losses of other data
    title = f'{values.precision}, training'
    comparison.report(result, title, measured, [(codes, pixels)], values.steps, unequal)
    for name, arm in measured.items():
        print(f'  {name:36} {arm.facts.get("count", 0):,} parameters')


if __name__ == '__main__':
    workers.run(main)
