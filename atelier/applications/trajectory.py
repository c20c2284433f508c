"""How samples come about: each step's noisy x, and what the model takes it for."""

import jax
import numpy as np

from atelier.applications import _common
from atelier.applications._application import TRAJECTORY, Application, require
from atelier.applications.sample import parse_labels
from atelier.core.abilities import Trajectory
from atelier.core.randomness import Stream, key_for
from atelier.evaluation.per_example.over_examples import over_examples
from atelier.log import log
from atelier.report import image_grids
from atelier.run import restore
from atelier.run.experiment import Run

NEEDS = (TRAJECTORY,)


def apply(
    run: Run, num_samples: int = 6, num_points: int = 10, seed: int = 0, labels: str = ''
) -> dict[str, np.ndarray]:
    """Draws samples as --mode=sample does with this seed, and keeps the steps on their way.

    Args:
      run: of a family with `trajectory`, which comes to its samples in steps.
      num_samples: each has two rows in the picture: x_t, and below it the model's x.
      num_points: steps that are kept, evenly among all, the first and the last included; all, where
        there are fewer.
      seed: of the samples.
      labels: of the samples, as in --mode=sample.

    Returns:
      step [points]: their numbers, from 1; x_t and x [samples, points, *event] in the data's units
      as they are, beyond the range of the data, too, x_t scaled to their size. The last x is the
      sample, before it is rounded where the data are levels.

    Raises:
      UserError: a missing ability or checkpoint, or a bad option.
    """
    require(run, 'trajectory', *NEEDS)
    _common.check_seed(seed)
    _common.at_least(1, num_samples=num_samples)
    _common.at_least(2, num_points=num_points)
    chosen = parse_labels(run, labels)
    inputs = {} if chosen is None else {'label': np.resize(chosen, num_samples)}
    state, weights = restore.load_state(run)

    def steps(weights, batch, rng):
        return run.family.ability(Trajectory).steps(weights, rng, batch or None)

    data = run.data._replace(preprocess=lambda inputs, keys: inputs)  # labels as they are
    walk = over_examples(steps, data, run.config.eval.batch_size, jax.devices())
    key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE)
    x_t, x = walk(state, key, inputs, num_samples)
    kept = np.unique(np.linspace(0, x.shape[1] - 1, num_points).round().astype(int))
    found = {'step': kept + 1, 'x_t': x_t[:, kept], 'x': x[:, kept]}
    log.info('%d samples in %d steps of the %s', num_samples, x.shape[1], weights)
    path = _common.save(run, f'trajectory-seed-{seed}{_common.how_drawn(run)}', found)
    spec = run.data.spec
    if image_grids.is_image(spec):
        _draw_images(path, found, spec)
    elif spec.event_shape == (2,):
        _draw_points(path, found)
    return found


def _draw_images(path, found: dict[str, np.ndarray], spec) -> None:
    rows = np.stack([found['x_t'], found['x']], 1).reshape(-1, *spec.event_shape)
    words = ['x_t', 'x'] * len(found['x'])
    image = image_grids.grid(rows, spec, len(found['step']))
    title = "Samples by step: x_t, and the model's x"
    image_grids.save_labelled(path, image, title, words, list(map(str, found['step'])))
    log.info('as a picture: %s', path)


def _draw_points(path, found: dict[str, np.ndarray]) -> None:
    """A panel a step, x_t above and x below."""
    from matplotlib.figure import Figure  # takes seconds

    columns = len(found['step'])
    figure = Figure(figsize=(1.4 * columns, 3.1), layout='constrained')
    panels = figure.subplots(2, columns, sharex='row', sharey='row', squeeze=False)
    for name, row in zip(('x_t', 'x'), panels, strict=True):
        row[0].set_ylabel(name)
        for place, axes in enumerate(row):
            axes.scatter(*found[name][:, place].T, s=1)
            axes.set(xticks=[], yticks=[], aspect='equal')
    for axes, step in zip(panels[0], found['step'], strict=True):
        axes.set_title(f'step {step}')
    image_grids.save_figure(path, figure)
    log.info('as a picture: %s', path)


APPLICATION = Application(apply, NEEDS)
