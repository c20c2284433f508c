"""A known set in an .npz of the layout that Keras fetches: x_train, y_train, x_test, y_test.

`label_train` and `label_test` may stand for `y_train` and `y_test`.
"""

import pathlib

from atelier.data.npz_files import open_npz
from atelier.data.original.known import Known
from atelier.data.original.pictures import Pictures, checked
from atelier.errors import UserError

SPLITS = ('train', 'test')


def find(folder: pathlib.Path, known: Known) -> tuple[pathlib.Path, ...]:
    """Returns the file NAME.npz, or () if the folder has none."""
    file = folder / f'{known.name}.npz'
    return (file,) if file.exists() else ()


def read(files: tuple[pathlib.Path, ...], known: Known) -> dict[str, Pictures]:
    """Returns the splits of the file that `find` returned.

    Raises:
      UserError: it is damaged, or is not of this set.
    """
    (path,), splits = files, {}
    with open_npz(path) as arrays:
        for split in SPLITS:
            labels = [name for name in (f'y_{split}', f'label_{split}') if name in arrays]
            if f'x_{split}' not in arrays or not labels:
                raise UserError(
                    f'{path} is not {known.name}: expected x_train, y_train, x_test and y_test, '
                    f'it has {", ".join(arrays) or "nothing"}'
                )
            x, label = arrays[f'x_{split}'], arrays[labels[0]]
            if known.image_shape[-1] == 1 and x.shape[1:] == known.image_shape[:-1]:
                x = x[..., None]
            if label.shape[1:] == (1,):
                label = label[:, 0]
            splits[split] = checked(known, split, x, label, path)
    return splits
