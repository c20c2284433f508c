"""The codes of a trained run, the parent, as data.

    python main.py --config=configs/pixel_transformer.py:codes --config.data.run=runs/vq_vae-digits

`config.data.run` is the folder of the parent. It is opened and its data are encoded by the caller,
because this package knows no runs. `config.data.path` and `config.data.data_dir` say where the
parent's data are now, if they have moved. The splits and the labels are those of the parent's data.
"""

from collections.abc import Callable

import numpy as np

from atelier.data import kinds, preprocess
from atelier.data.dataset import Dataset, Spec
from atelier.data.sources import CODES
from atelier.errors import UserError


def load(
    run: str,
    codes: str = 'auto',
    path: str = '',
    data_dir: str = '',
    encoded: Callable[[], Dataset] | None = None,
) -> Dataset:
    """Returns the codes of the run in the folder `run`.

    Args:
      run: `config.data.run`.
      codes: kind of the codes, see `atelier.core.code_space`.
      path: of the parent's data, if they have moved.
      data_dir: likewise.
      encoded: opens the parent by these settings and returns its codes, as `as_data` does.

    Raises:
      UserError: there is no run, or codes cannot be read here.
    """
    del codes, path, data_dir  # `encoded` has read them
    if encoded is None:
        given = f'config.data.run={run!r}' if run else 'no config.data.run'
        raise UserError(f'the codes of a run ({given}) are data of a run that is trained, only')
    return encoded()


def as_data(
    splits: dict[str, dict[str, np.ndarray]],
    event_shape: tuple[int, ...],
    levels: int | None,
    like: Spec,
    description: str,
    computed_from: dict[str, str],
) -> Dataset:
    """Returns codes as a Dataset, before `dataset.load` applies the other settings.

    Args:
      splits: arrays 'x' [n, codes], the labels and, of draws, `preprocess.DEVIATION` by split.
      event_shape: shape of x.
      levels: number of values of tokens; None for real values.
      like: Spec of the parent's data, whose classes the codes have.
      description: of the codes.
      computed_from: as in `Dataset`.
    """
    shape_of = lambda name, array: (len(array), *(() if name == 'label' else event_shape))
    spec = Spec(event_shape, levels, like.num_classes, class_names=like.class_names)
    if kinds.TABLE in kinds.kinds_of(spec):
        spec = spec._replace(draw_as=kinds.TABLE)  # what else a row of codes may be is no question
    return Dataset(
        name=CODES,
        spec=spec,
        splits={
            split: {name: array.reshape(shape_of(name, array)) for name, array in arrays.items()}
            for split, arrays in splits.items()
        },
        description=description,
        preprocess=preprocess.drawn,
        computed_from=computed_from,
    )
