"""Speed of one run on 1, 2, 4, 8 devices, and the cost of the collective.

    python -m benchmarks.device_count

Without accelerators, eight devices are simulated on the available cores: the time of a step then
measures the cost of dividing it, not the gain. Each number of devices is measured with the mean of
gradients over devices, as in a run, and without. One device, as in a run, has no mean.
"""

import pathlib
from collections.abc import Callable

import jax
import numpy as np
from absl import app, flags

from atelier import checkout
from atelier.core import devices as device_lib
from atelier.core import optimizers
from atelier.core.randomness import identity
from atelier.run import experiment
from atelier.training.dispatch import make_dispatch
from benchmarks.timing import alternate, spread
from benchmarks.training import placed

flags.DEFINE_string('config', 'configs/vae.py', 'which')
flags.DEFINE_string('data_dir', '', 'where TFDS sets lie')
flags.DEFINE_list('counts', ['1', '2', '4', '8'], 'of devices; those that are not there are left')
flags.DEFINE_integer('length', 100, 'steps of a dispatch')
flags.DEFINE_integer('repeats', 7, 'of each arm')


def arm(run: experiment.Run, count: int, length: int, mean: Callable) -> Callable[[], None]:
    """Returns a function that computes a dispatch on `count` devices with this mean over them."""
    devices = jax.devices()[:count]
    size, gather = run.config.train.batch_size, device_lib.gather
    parts = (run.family, run.data, optimizers.chosen(run.config), size, length, count, mean, gather)
    call = device_lib.over_devices(
        make_dispatch(*parts), (None, None, 0), donate=(0,), devices=devices
    )
    state, *data = placed(run, devices)
    box = [state]

    def dispatch():
        box[0], report = call(box[0], *data)
        jax.device_get(report)

    return dispatch


def main(_):
    """Prints a table."""
    jax.config.update('jax_num_cpu_devices', 8)  # before JAX initializes its devices
    values = flags.FLAGS
    device_lib.enable_compilation_cache()
    which = checkout.config_file(values.config)
    config = which.config()
    config.data.update(data_dir=values.data_dir, placement='device')
    run = experiment.assemble(pathlib.Path('unused'), which, config)
    counts = [count for count in map(int, values.counts) if count <= jax.device_count()]
    means = {'with the mean': device_lib.mean, 'without': identity}
    arms = {
        (count, words): arm(run, count, values.length, mean)
        for count in counts
        for words, mean in means.items()
        if count > 1 or mean is identity
    }
    seconds = alternate(arms, values.repeats)
    kind, size = jax.devices()[0].device_kind, config.train.batch_size
    print(f'{values.config}: ms a step of {size} examples, median (range) of {values.repeats}')
    for count in counts:
        mine = {words: seconds[count, words] for words in means if (count, words) in seconds}
        shown = ', '.join(
            f'{words} {spread(1e3 * taken / values.length, 3)}' for words, taken in mine.items()
        )
        as_a_run = mine.get('with the mean', mine['without'])
        cost = np.median(as_a_run / mine['without'])
        ratio = np.median(seconds[counts[0], 'without'] / as_a_run)
        print(f'  {count} x {kind}: {shown}; the mean x {cost:.2f}; speed x {ratio:.2f}')


if __name__ == '__main__':
    app.run(main)
