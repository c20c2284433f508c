"""Shows sampling step by step: the noisy x_t, and the model's estimate of x."""

import pathlib

import jax
import numpy as np

from atelier.applications import _common
from atelier.applications._application import TRAJECTORY, Application
from atelier.applications.sample import parse_labels
from atelier.core.abilities import Trajectory
from atelier.core.randomness import Stream, key_for
from atelier.data.dataset import Spec
from atelier.evaluation.per_example.over_examples import over_examples
from atelier.log import counted, log
from atelier.report import image_grids
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (TRAJECTORY,)


def apply(
    run: Run, num_samples: int = 6, num_points: int = 10, seed: int = 0, labels: str = ''
) -> dict[str, np.ndarray]:
    """Draws the samples of --mode=sample with this seed, and keeps intermediate steps.

    Args:
      run: of a family with `trajectory`, which samples in steps.
      num_samples: number of samples, each with two rows in the figure: x_t, then the model's x.
      num_points: number of steps to keep, evenly spaced, including the first and the last; at most
        all.
      seed: seed of the samples.
      labels: classes of the samples, as in --mode=sample.

    Returns:
      step [points], counted from 1; x_t and x [samples, points, *event] in the data's units. They
      are neither clipped to the range of the data nor rounded, and x_t is rescaled to the standard
      deviation of x. The last x is the sample, before rounding if the data are discrete.

    Raises:
      UserError: a missing checkpoint, or a bad option.
    """
    _common.check_seed(seed)
    _common.at_least(1, num_samples=num_samples)
    _common.at_least(2, num_points=num_points)
    _common.check_outputs(run, num_samples=num_samples, num_points=num_points)
    classes = parse_labels(run, labels)
    inputs = {} if classes is None else {'label': np.resize(classes, num_samples)}
    trained = restore.load(run)
    arrays, num_steps = compute(trained, inputs, num_samples, num_points, seed)
    log.info(
        '%s, drawn in %s from the model of the %s',
        counted(num_samples, 'sample'),
        counted(num_steps, 'step'),
        trained.weights,
    )
    options = _common.changed_options(apply, labels=labels.replace(',', '-'), num_points=num_points)
    path = _common.save(trained, f'trajectory-seed-{seed}{options}', arrays)
    if image_grids.is_image(run.data.spec):
        _draw_images(path, arrays, run.data.spec)
    elif run.data.spec.event_shape == (2,):
        _draw_points(path, arrays)
    return arrays


def compute(
    trained: TrainedRun, inputs: dict[str, np.ndarray], num_samples: int, num_points: int, seed: int
) -> tuple[dict[str, np.ndarray], int]:
    """Draws samples, with the labels of `inputs` if any; returns (arrays of `apply`, num_steps)."""
    run = trained.run

    def steps(weights, batch, rng):
        return run.family.ability(Trajectory).steps(weights, rng, batch or None)

    data = run.data._replace(preprocess=lambda inputs, keys: inputs)  # labels stay as given
    draw = over_examples(steps, data, run.config.eval.batch_size, trained.devices)
    key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE)
    x_t, x = draw(trained.state, key, inputs, num_samples)
    num_steps = x.shape[1]
    indices = np.unique(np.linspace(0, num_steps - 1, num_points).round().astype(int))
    return {'step': indices + 1, 'x_t': x_t[:, indices], 'x': x[:, indices]}, num_steps


def _draw_images(path: pathlib.Path, arrays: dict[str, np.ndarray], spec: Spec) -> None:
    rows, names = np.stack([arrays['x_t'], arrays['x']], 1), ['x_t', 'x'] * len(arrays['x'])
    title = "Samples by step: x_t, and the model's x"
    _common.draw_grid(path, rows, spec, title, names, list(map(str, arrays['step'])))


def _draw_points(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    """Draws a panel per step, x_t above x."""
    from matplotlib.figure import Figure  # slow import

    columns = len(arrays['step'])
    figure = Figure(figsize=(1.4 * columns, 3.1), layout='constrained')
    panels = figure.subplots(2, columns, sharex='row', sharey='row', squeeze=False)
    for name, row in zip(('x_t', 'x'), panels, strict=True):
        row[0].set_ylabel(name)
        for i, axes in enumerate(row):
            axes.scatter(*arrays[name][:, i].T, s=1)
            axes.set(xticks=[], yticks=[], aspect='equal')
    for axes, step in zip(panels[0], arrays['step'], strict=True):
        axes.set_title(f'step {step}')
    _common.draw_figure(path, figure)


APPLICATION = Application(apply, NEEDS, reads='')
