"""Reconstructions by members of a sweep that differ in the model, such as in the size of the code.

The picture is made when all members are trained, from the data that they share.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from atelier import files
from atelier.core.abilities import Reconstruct
from atelier.core.randomness import Stream, key_for
from atelier.data.splits import fixed_order
from atelier.errors import UserError, shortened_text
from atelier.evaluation.evaluate import summary
from atelier.evaluation.examples.image_quality import half_squared_error
from atelier.evaluation.samples.sampling import reconstructor
from atelier.log import counted, log
from atelier.report import figures, image_grids
from atelier.report.metrics_log import plus_minus
from atelier.report.views.image_view import IMAGES
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.sweep.axes import Setting

NAME = 'reconstructions'  # of the .png and the .npz in the sweep's folder
MAX_SETTINGS = 12  # rows of the picture
MAX_EXAMPLES = 1_000  # validation examples in the error
NUM_IMAGES = 10  # columns of the picture
MAX_LETTERS = 24  # of the value of a setting
SPLIT = 'valid'  # a sweep chooses between members, which the test split may not do


def show(
    folder: pathlib.Path, runs: dict[str, Run], settings: dict[str, Setting], rows: Sequence[dict]
) -> None:
    """Writes and names the picture and its numbers, if the members have one (see `compared`).

    A member whose weights cannot be read is left out.

    Raises:
      UserError: a file cannot be written.
    """
    fields, members = compared(runs, settings, rows)
    if not members:
        return
    arrays = reconstructed({name: runs[name] for name in members})
    if not len(arrays['member']):
        return
    names = [_name_of(settings[name], fields) for name in arrays.pop('member')]
    files.write_arrays(folder / f'{NAME}.npz', {**arrays, 'setting': np.array(names)})
    picture = _picture(arrays, names, next(iter(runs.values())))
    figures.save_picture(folder / f'{NAME}.png', picture)
    log.info('figure: %s', folder / f'{NAME}.png')


def compared(
    runs: dict[str, Run], settings: dict[str, Setting], rows: Sequence[dict[str, Any]]
) -> tuple[list[str], list[str]]:
    """Returns the fields that differ, without the seed, and a finished member of each setting.

    There are none unless the sweep is over, some `model.*` differs, and the models reconstruct the
    same images. Runs of codes have their images from their parents alone.
    """
    first = next(iter(runs.values()))
    is_over = all(row['status'] != 'unfinished' for row in rows)
    can_show = all(
        run.parent is None
        and run.family.ability(Reconstruct) is not None
        and run.data.splits is first.data.splits
        for run in runs.values()
    )
    has_images = image_grids.is_drawn_as_image(first.data.spec) and first.data.size(SPLIT) > 0
    if not (is_over and can_show and has_images):
        return [], []
    done = [row['member'] for row in rows if row['status'] == 'finished']
    members = {}  # of the first seed of each setting
    for name in done:
        setting = {field: str(v) for field, v in settings[name].items() if field != 'seed'}
        members.setdefault(tuple(setting.items()), name)
    fields = [
        field for field, _ in next(iter(members), ()) if len({dict(s)[field] for s in members}) > 1
    ]
    if not any(field.startswith('model.') for field in fields):
        return [], []
    left_out = len(members) - MAX_SETTINGS
    if left_out > 0:
        log.info('%s.png: %s left out', NAME, counted(left_out, 'more setting'))
    return fields, [*members.values()][:MAX_SETTINGS]


def reconstructed(runs: dict[str, Run]) -> dict[str, np.ndarray]:
    """Reconstructs the same validation examples by each member.

    Returns:
      member [members], names; index [images] in the validation split; x [images, *event];
      reconstruction [members, images, *event]; half_squared_error [members, examples], 1/2
      ||x - reconstruction||^2 on the normalized scale, of up to MAX_EXAMPLES examples of which the
      images are the first.
    """
    names, images, errors, x = [], [], [], np.zeros(0)
    first = next(iter(runs.values()))
    index = fixed_order(first.data.size(SPLIT))[:MAX_EXAMPLES]
    for name, run in runs.items():
        try:
            trained = restore.load(run)
        except UserError as error:
            log.warning('%s.png: %s left out: %s', NAME, name, error)
            continue
        split, key = run.data.splits[SPLIT], key_for(trained.state.key, Stream.EVALUATE)
        reconstruct = reconstructor(run, trained.devices)
        x, reconstruction = reconstruct(trained.state, key, split, run.data.size(SPLIT), index)
        names.append(name)
        images.append(reconstruction[:NUM_IMAGES])
        errors.append(half_squared_error(x, reconstruction, run.data.spec))
    return {
        'member': np.array(names),
        'index': index[:NUM_IMAGES],
        'x': x[:NUM_IMAGES],
        'reconstruction': np.array(images),
        'half_squared_error': np.array(errors),
    }


def _name_of(setting: Setting, fields: Sequence[str]) -> str:
    """Returns the name of a row, such as 'latent_dim 4'; the last part of a field is enough."""
    return ', '.join(
        f'{field.rpartition(".")[2]} {shortened_text(str(setting[field]), MAX_LETTERS)}'
        for field in fields
    )


def _picture(arrays: dict[str, np.ndarray], names: Sequence[str], run: Run) -> np.ndarray:
    """Returns the picture: originals on top, and a row of each member with its mean error."""
    x = np.concatenate([arrays['x'][None], arrays['reconstruction']])
    means = [plus_minus(summary(error)['mean']) for error in arrays['half_squared_error']]
    rows = [f'{name}: {mean}' for name, mean in zip(names, means, strict=True)]
    n = arrays['half_squared_error'].shape[1]
    title = (
        'Reconstructions of validation examples, and half the squared error of '
        f'{counted(n, "example")}, on the normalized scale'
    )
    return IMAGES.rows(x, run.data.spec, title, ['original', *rows], [''] * x.shape[1])
