"""Test examples above what the model makes of them."""

import jax
import numpy as np

from atelier.applications import _common
from atelier.applications._application import RECONSTRUCT, Application, require
from atelier.core.randomness import Stream, key_for
from atelier.evaluation.evaluate import summary
from atelier.evaluation.examples.image_quality import half_squared_error
from atelier.evaluation.samples.sampling import reconstructor
from atelier.log import log
from atelier.report import image_grids
from atelier.run import restore
from atelier.run.experiment import Run

NEEDS = (RECONSTRUCT,)
COLUMNS = 16  # of the picture, at most


def apply(run: Run, num_images: int = 16, seed: int = 0) -> dict[str, np.ndarray]:
    """Reconstructs the whole test split, and shows and keeps some of it.

    The mean squared error of the split is recorded with its standard error.

    Args:
      run: of a family with `reconstruct`.
      num_images: that are kept.
      seed: of which.

    Returns:
      index [images] in the test split, x and reconstruction [images, *event] in the data's units,
      and half_squared_error [images]: 1/2 ||x - reconstruction||^2 on the normalized scale.

    Raises:
      UserError: a missing ability or checkpoint, or a bad option.
    """
    require(run, 'reconstruct', *NEEDS)
    _common.at_least(1, num_images=num_images)
    _common.check_seed(seed)
    _common.check_split(run, 'test', 1, 'there is nothing to reconstruct')
    state, weights = restore.load_state(run)
    split, n, key = run.data.splits['test'], run.data.size('test'), state.key
    look = reconstructor(run, jax.devices())
    x, reconstruction = look(state, key_for(key, Stream.EVALUATE), split, n)
    error = half_squared_error(x, reconstruction, run.data.spec)
    index = _common.draw_of_test(run, num_images, seed)
    found = {
        'index': index,
        'x': x[index],
        'reconstruction': reconstruction[index],
        'half_squared_error': error[index],
    }
    name, whole = f'reconstruct-seed-{seed}', summary(error)
    log.info('%d test examples, by the %s: 1/2 squared error %.4f', n, weights, error.mean())
    path = _common.save(run, name, found)
    _common.record(run, name, weights, {'num_examples': n, 'half_squared_error': whole})
    if image_grids.is_image(run.data.spec):
        _draw(run, found, path)
    return found


def _draw(run: Run, found: dict[str, np.ndarray], path) -> None:
    """Rows of images, below each the row of their reconstructions."""
    spec, rows = run.data.spec, (found['x'], found['reconstruction'])
    columns = min(len(found['x']), COLUMNS)
    missing = -len(found['x']) % columns
    fill = np.full((missing, *spec.event_shape), found['x'].min())
    lines = [np.concatenate([row, fill]).reshape(-1, columns, *spec.event_shape) for row in rows]
    paired = np.stack(lines, 1).reshape(-1, *spec.event_shape)
    words = ('image', 'reconstruction') * len(lines[0])
    title = 'Test images and their reconstructions'
    image_grids.save_labelled(
        path, image_grids.grid(paired, spec, columns), title, words, [''] * columns
    )
    log.info('as a picture: %s', path)


APPLICATION = Application(apply, NEEDS)
