"""Device memory as a function of batch size and steps per dispatch.

    python -m benchmarks.device_memory

Prints the compiler's plan for a dispatch in MB: arguments (State and data), results that reuse no
argument's buffer (the reports), and temporaries. If the device counts its memory, its peak so far
in the process is printed too.
"""

import pathlib

import jax
from absl import flags

from atelier import checkout
from atelier.core import devices as device_lib
from atelier.run import experiment
from atelier.training.dispatch import compile_dispatch
from benchmarks import outcome
from benchmarks.training import placed

flags.DEFINE_string('config', 'configs/vae.py', 'config file')
flags.DEFINE_string('data_dir', '', 'folder of the TFDS data sets')
flags.DEFINE_list('batches', ['96', '384', '960'], 'batch sizes')
flags.DEFINE_list('lengths', ['1', '10', '100', '1000'], 'steps per dispatch')


def planned_mb(run: experiment.Run, length: int) -> tuple[dict[str, float], float | None]:
    """Returns the planned MB of each kind, and the device's peak MB so far (None: not counted)."""
    devices = jax.devices()[:1]
    arguments = placed(run, devices)
    compiled = compile_dispatch(run, length, devices).lower(*arguments).compile()
    memory = compiled.memory_analysis()
    results = memory.output_size_in_bytes - memory.alias_size_in_bytes
    compiled(*arguments)
    counted = devices[0].memory_stats() or {}
    peak = counted.get('peak_bytes_in_use')
    planned = dict(
        arguments=memory.argument_size_in_bytes / 1e6,
        reports=results / 1e6,
        temporaries=memory.temp_size_in_bytes / 1e6,
    )
    return planned, peak and peak / 1e6


def add_growth(result: outcome.Outcome, first: int, batch: int, length: int) -> None:
    """Adds how many times the temporaries of the first batch size a batch size needs."""
    sizes = [
        result.arms[f'batch {each}, {length} a dispatch: temporaries']['megabytes']['median']
        for each in (first, batch)
    ]
    result.add_ratio(
        f'{length} a dispatch: temporaries of batch {batch} / {first}', [sizes[1] / sizes[0]]
    )


def main(_):
    """Prints a table."""
    values, result = flags.FLAGS, outcome.Outcome.of_flags('device_memory')
    result.print_heading()
    device_lib.enable_compilation_cache()
    config_file = checkout.config_file(values.config)
    print(f'{values.config}, MB on one {jax.devices()[0].device_kind}')
    for batch in map(int, values.batches):
        config = config_file.config()
        config.train.batch_size = batch
        config.data.update(data_dir=values.data_dir, placement='device')
        run = experiment.assemble(pathlib.Path('unused'), config_file, config)
        for length in map(int, values.lengths):
            if not result.left():
                print('  time was up')
                result.write()
                return
            planned, peak = planned_mb(run, length)
            sizes = ', '.join(f'{kind} {size:.3f}' for kind, size in planned.items())
            peak_text = '' if peak is None else f'; peak so far {peak:.1f}'
            print(f'  batch {batch}, {length} steps a dispatch: {sizes}{peak_text}')
            for kind, size in planned.items():
                result.add_arm(f'batch {batch}, {length} a dispatch: {kind}', [size], 'megabytes')
            counted = [] if peak is None else [peak]
            name = f'batch {batch}, {length} a dispatch: peak so far'
            result.add_arm(name, counted, 'megabytes', failure='the device does not count')
            add_growth(result, int(values.batches[0]), batch, length)
            result.write()


if __name__ == '__main__':
    outcome.run(main)
