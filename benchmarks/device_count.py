"""Training speed on 1, 2, 4 and 8 devices, and the cost of averaging the gradients.

    python -m benchmarks.device_count

Without accelerators, eight devices are simulated on the available cores: the time of a step then
measures the cost of dividing it, not the gain. Each number of devices is measured with gradients
averaged over devices, as in a run, and without averaging. A run on one device has nothing to
average.
"""

import pathlib
from collections.abc import Callable

import jax
import numpy as np
from absl import flags

from atelier import checkout
from atelier.core import devices as device_lib
from atelier.core import optimizers
from atelier.core.randomness import identity
from atelier.run import experiment
from atelier.training.dispatch import make_dispatch
from benchmarks import outcome
from benchmarks.timing import alternate, spread
from benchmarks.training import placed

flags.DEFINE_string('config', 'configs/vae.py', 'config file')
flags.DEFINE_string('data_dir', '', 'folder of the TFDS data sets')
flags.DEFINE_list(
    'counts',
    ['1', '2', '4', '8'],
    'numbers of devices; those above the available number are skipped',
)
flags.DEFINE_integer('length', 100, 'steps per dispatch')
flags.DEFINE_integer('repeats', 7, 'repeats of each arm')


def arm(run: experiment.Run, count: int, length: int, mean: Callable) -> Callable[[], None]:
    """Returns a function that computes a dispatch on `count` devices; `mean` averages over them."""
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
    values, result = flags.FLAGS, outcome.Outcome.of_flags('device_count')
    device_lib.enable_compilation_cache()
    config_file = checkout.config_file(values.config)
    config = config_file.config()
    config.data.update(data_dir=values.data_dir, placement='device')
    run = experiment.assemble(pathlib.Path('unused'), config_file, config)
    counts = [count for count in map(int, values.counts) if count <= jax.device_count()]
    means = {'with the mean': device_lib.mean, 'without': identity}
    arms = {
        (count, name): arm(run, count, values.length, mean)
        for count in counts
        for name, mean in means.items()
        if count > 1 or mean is identity
    }
    result.print_heading()
    seconds = alternate(arms, values.repeats, result.left())
    kind, size = jax.devices()[0].device_kind, config.train.batch_size
    print(f'{values.config}: ms a step of {size} examples, median (range) of {values.repeats}')
    for count in counts:
        of_count = {name: seconds[count, name] for name in means if (count, name) in seconds}
        if 'without' not in of_count or (counts[0], 'without') not in seconds:
            print(f'  {count} x {kind}: time was up')
            continue
        timings = ', '.join(
            f'{name} {spread(1e3 * times / values.length, 3)}' for name, times in of_count.items()
        )
        as_trained = of_count.get('with the mean', of_count['without'])
        cost = np.median(as_trained / of_count['without'])
        ratio = np.median(seconds[counts[0], 'without'] / as_trained)
        for name, times in of_count.items():
            result.add_arm(f'{count} devices, {name}', 1e3 * times / values.length)
        result.add_ratio(f'{count} devices: mean / without', as_trained / of_count['without'])
        print(f'  {count} x {kind}: {timings}; the mean x {cost:.2f}; speed x {ratio:.2f}')
    result.write()


if __name__ == '__main__':
    outcome.run(main)
