"""A config on large pictures, as an arm of `benchmarks.picture_sizes` in a process of its own."""

import contextlib
import pathlib
import resource
import sys
import tempfile
import time

import jax
import numpy as np

from atelier import checkout
from atelier.core import devices as device_lib
from atelier.core.randomness import Stream, key_for
from atelier.core.types import num_parameters
from atelier.errors import UserError
from atelier.run import experiment, restore
from atelier.run.over_examples import MAX_VALUES, over_examples
from atelier.training.dispatch import data_parallel
from benchmarks.worker import Arm, main

COUNTS = {'train': 320, 'valid': 64, 'test': 64}  # pictures of each split
KINDS = np.array(['a disc', 'a square', 'a cross'])
NEVER = 10**6  # steps: no training is so long
_open = contextlib.ExitStack()  # the folder of the data, until the process ends


def make(config: str, overrides: dict, size: int, steps: int, memory_gb: float) -> Arm:
    """Returns an arm whose call trains two dispatches of `steps` steps and validates one batch.

    Its facts are then the number of parameters, the batch size, the largest memory of the process
    so far in MB, the CPU seconds of a step of the second dispatch (of all cores together, which
    other work on them hardly changes), and the examples and CPU seconds of the validated batch. Or
    'refused' is the message of the model that refuses such pictures.

    Args:
      config: path of a config file.
      overrides: fields of the config by dotted name.
      size: height and width of the pictures.
      steps: steps of a dispatch.
      memory_gb: memory that a device is said to have, for the State and a compiled step, not for
        the process; 0: what it has.
    """
    device_lib.enable_compilation_cache()
    if memory_gb:
        device_lib.memory_bytes = lambda device: 1e9 * memory_gb
    facts = {}

    def train() -> np.ndarray | None:
        try:
            return trained(config, overrides, size, steps, facts)
        except UserError as error:
            facts['refused'] = str(error)

    return Arm(train, facts)


def trained(config: str, overrides: dict, size: int, steps: int, facts: dict) -> np.ndarray:
    """Trains, validates and adds the facts of `make`; returns the losses of the second dispatch.

    Raises:
      UserError: the model refuses the pictures.
    """
    one, run = jax.devices()[:1], run_of(config, overrides, size, steps)
    state = device_lib.place(restore.Start(run)(run), one)
    facts.update(parameters=num_parameters(state.params), batch_size=run.config.train.batch_size)
    with data_parallel(run, 0, one) as program:
        state, _ = program.dispatch(state)  # compiles
        began = time.process_time()
        state, (report,) = program.dispatch(state)
        facts['cpu_seconds'] = (time.process_time() - began) / program.num_steps
    facts.update(validated(run, state, one))
    facts['peak_mb'] = peak_mb()
    return next(values for name, values in report.items() if name.startswith('loss'))


def run_of(config: str, overrides: dict, size: int, steps: int = 1) -> experiment.Run:
    """Returns the run of a config on coloured shapes; nothing is written but the pictures."""
    folder = pathlib.Path(_open.enter_context(tempfile.TemporaryDirectory()))
    arrays = {}
    for seed, (split, count) in enumerate(COUNTS.items()):
        arrays[f'x_{split}'], arrays[f'label_{split}'] = coloured_shapes(count, size, seed)
    config_file = checkout.config_file(f'{checkout.ROOT / config}:arrays')
    values = config_file.config()
    if 'text_width' in values.model:  # a model of pictures with captions
        kinds = {key: array for key, array in arrays.items() if key.startswith('label')}
        captions = {key.replace('label', 'caption'): KINDS[kind] for key, kind in kinds.items()}
        arrays.update(captions)
    np.savez(folder / 'pictures.npz', **arrays)
    values.update_from_flattened_dict({'data.path': str(folder / 'pictures.npz'), **overrides})
    if values.train.steps == 1:  # a model in closed form
        steps = 1
    values.train.update(
        steps=NEVER, steps_per_dispatch=steps, evaluate_every=NEVER, checkpoint_every=NEVER
    )
    return experiment.assemble(folder / 'run', config_file, values)


def validated(run: experiment.Run, state, devices) -> dict[str, float]:
    """Computes the metrics of validation on one batch twice; returns its size and CPU seconds."""
    split, key = run.data.splits['valid'], key_for(state.key, Stream.EVALUATE)
    count = min(MAX_VALUES // run.data.spec.num_dims, run.config.eval.batch_size, len(split['x']))
    metrics = over_examples(run.family.metrics, run.data, run.config.eval.batch_size, devices)
    for _ in range(2):  # the first compiles
        began = time.process_time()
        values = metrics(state, key, split, count)
        seconds = time.process_time() - began
    if not all(np.isfinite(each).all() for each in values.values()):
        raise ValueError(f'metrics that are not finite: {values}')
    return dict(validated=count, valid_cpu_seconds=seconds)


def peak_mb() -> float:
    """Returns the largest resident memory of this process so far, in MB."""
    unit = 1 if sys.platform == 'darwin' else 1024  # bytes or kilobytes
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def coloured_shapes(count: int, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws discs, squares and crosses on gradients; returns x [n, size, size, 3] and its kinds."""
    rng = np.random.default_rng(seed)
    down, across = np.meshgrid(*[np.linspace(0, 1, size)] * 2, indexing='ij')
    corners = rng.uniform(0, 255, (count, 2, 2, 1, 1, 3))
    rows = corners[:, 0] + down[..., None] * (corners[:, 1] - corners[:, 0])
    x = rows[:, 0] + across[..., None] * (rows[:, 1] - rows[:, 0])
    kind, radius = rng.integers(0, 3, count), rng.uniform(0.1, 0.3, (count, 1, 1))
    centre, colour = rng.uniform(0.3, 0.7, (2, count, 1, 1)), rng.uniform(0, 255, (count, 1, 1, 3))
    u, v = (down - centre[0]) / radius, (across - centre[1]) / radius
    larger, smaller = np.maximum(abs(u), abs(v)), np.minimum(abs(u), abs(v))
    inside = np.stack([u**2 + v**2 <= 1, larger <= 0.9, (larger <= 1) & (smaller <= 0.3)])
    chosen = inside[kind, np.arange(count)][..., None]
    return np.where(chosen, colour, x).round().astype(np.uint8), kind.astype(np.int32)


if __name__ == '__main__':
    main(make)
