"""Shows sampling step by step: the noisy x_t, and the model's estimate of x."""

import jax
import numpy as np

from atelier.applications import _common, _pictures
from atelier.applications._application import TRAJECTORY, Application
from atelier.core.abilities import Trajectory
from atelier.core.randomness import Stream, key_for
from atelier.data.dataset import Spec
from atelier.evaluation.samples.requests import parse_labels
from atelier.log import counted, log
from atelier.report.views.choose import shows_distribution, view_of
from atelier.report.views.point_view import POINTS, steps_of_points
from atelier.report.views.value_view import VALUES
from atelier.report.views.view import Picture, View
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples
from atelier.run.restore import TrainedRun

NEEDS = (TRAJECTORY,)
FEW, MANY = 6, 300  # samples by default: of large events, and where they are dots or lines
X_T, ESTIMATE = 'x\N{LATIN SUBSCRIPT SMALL LETTER T}', "the model's estimate of x"  # in figures
STEP = 'step of sampling'


def apply(
    run: Run, num_samples: int = 0, num_points: int = 10, seed: int = 0, labels: str = ''
) -> dict[str, np.ndarray]:
    """Draws the samples of --mode=sample with this seed, and keeps intermediate steps.

    Args:
      run: of a family with `trajectory`, which samples in steps.
      num_samples: number of samples. In a figure of images each has two rows: x_t, then the model's
        estimate of x. 0: 6, or 300 of points, values and rows of small tables.
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
    _common.at_least(0, num_samples=num_samples)
    num_samples = num_samples or usual_number(run.data.spec)
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
    view = view_of(run.data.spec)
    if view is not None:
        _common.save_picture(path, _picture(trained, view, arrays))
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


def _picture(trained: TrainedRun, view: View, arrays: dict[str, np.ndarray]) -> Picture:
    """Returns the way from noise to each sample; an image has the estimate of x below each x_t."""
    spec, x_t, x = trained.run.data.spec, arrays['x_t'], arrays['x']
    steps, among = list(map(str, arrays['step'])), _pictures.among(trained)
    if not view.is_among_data:
        rows = np.stack([x_t, x], 1).reshape(-1, *x.shape[1:])
        title, names = f'From noise to samples: {X_T}, and {ESTIMATE}', [X_T, 'estimate of x']
        return view.rows(rows, spec, title, names * len(x), steps, across=STEP)
    title = 'From noise to samples'
    if view is POINTS and spec.num_dims == 2:
        title = f'{title}: {X_T}, and {ESTIMATE}'
        return steps_of_points(x_t, x, steps, spec, title, among)
    names = [''] * len(x_t) if view is VALUES else [f'sample {i}' for i in range(len(x_t))]
    return view.rows(x_t, spec, f'{title}: {X_T} by step', names, steps, among, STEP)


def usual_number(spec: Spec) -> int:
    """Returns the number of samples that a figure of such data needs."""
    return MANY if shows_distribution(spec) else FEW


APPLICATION = Application(apply, NEEDS, reads='')
