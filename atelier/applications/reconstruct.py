"""Draws test examples and their reconstructions; reports the error."""

import numpy as np

from atelier.applications import _common
from atelier.applications._application import RECONSTRUCT, Application
from atelier.core.randomness import Stream, key_for
from atelier.evaluation.evaluate import summary
from atelier.evaluation.examples.reconstruction_errors import MEANINGS, errors_of
from atelier.evaluation.samples.sampling import reconstructor
from atelier.log import counted, log
from atelier.report import texts
from atelier.report.metrics_log import plus_minus
from atelier.report.views.choose import view_of
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (RECONSTRUCT,)
RECONSTRUCTED = 'reconstructed_text'  # of items
MAX_DRAWN = 1000  # examples in the figure of data that are not images


def apply(run: Run, num_images: int = 16, seed: int = 0) -> dict[str, np.ndarray]:
    """Reconstructs the whole test split; keeps and shows some examples.

    Half the squared error is recorded: its mean over the split, with the standard error, and in a
    .csv that of each example. Of items, texts that end, it is the number of edits (replaced,
    inserted and deleted symbols), and whether the two are equal.

    Args:
      run: of a family with `reconstruct`.
      num_images: number of examples to keep, and of images to show. Figures of other data show up
        to 1000 examples.
      seed: seed that selects these images.

    Returns:
      index [images] in the test split; file and row [images], where they came from, and label
      [images] if the data have labels; x and reconstruction [images, *event] in the data's units,
      and half_squared_error [images]: 1/2 ||x - reconstruction||^2 on the normalized scale. Of
      items edits and is_equal [images] in its place, and both as texts: text and
      reconstructed_text [images].

    Raises:
      UserError: a missing checkpoint, or a bad option.
    """
    _common.at_least(1, num_images=num_images)
    _common.check_seed(seed)
    _common.check_split(run, 'test', 1, 'there is nothing to reconstruct')
    trained, n = restore.load(run), run.data.size('test')
    x, reconstruction, errors = compute(trained)
    index = _common.random_test_indices(run, num_images, seed)
    arrays = {
        **_common.origins_of(run, index),
        'index': index,
        'x': x[index],
        'reconstruction': reconstruction[index],
        **{name: error[index] for name, error in errors.items()},
        **texts.arrays_of(reconstruction[index], run.data.spec, RECONSTRUCTED),
    }
    means = {name: summary(error.astype(float)) for name, error in errors.items()}
    log.info(
        '%s, reconstructed by the model of the %s: %s',
        counted(n, 'test example'),
        trained.weights,
        ', '.join(f'{MEANINGS[name]} {plus_minus(*mean.values())}' for name, mean in means.items()),
    )
    results = {'num_examples': n, **means}
    again = texts.arrays_of(reconstruction, run.data.spec, RECONSTRUCTED)
    table = {**_common.origins_of(run), **again, **errors}
    path = _common.save(trained, f'reconstruct-seed-{seed}', arrays, results, table)
    view = view_of(run.data.spec)
    if view is not None:
        num_drawn = max(num_images, MAX_DRAWN) if view.is_among_data else num_images
        drawn = _common.random_test_indices(run, num_drawn, seed)
        title = f'Test {view.events} and their reconstructions'
        picture = view.pairs(x[drawn], reconstruction[drawn], run.data.spec, title)
        _common.save_picture(path, picture)
    return arrays


def compute(trained: TrainedRun) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Returns x and its reconstruction [n, *event] of the test split, and the errors [n]."""
    run, key = trained.run, key_for(trained.state.key, Stream.EVALUATE)
    reconstruct = reconstructor(run, trained.devices)
    x, reconstruction = reconstruct(
        trained.state, key, run.data.splits['test'], run.data.size('test')
    )
    return x, reconstruction, errors_of(x, reconstruction, run.data.spec)


APPLICATION = Application(apply, NEEDS, reads='it reconstructs the test split', only_test=True)
