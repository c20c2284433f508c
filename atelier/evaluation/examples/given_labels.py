"""Labels of examples in place of a run's test split: they have to be classes of the run."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from atelier.data.classes import MAX_SHOWN, described, index_of
from atelier.data.spec import Spec
from atelier.errors import UserError, about
from atelier.log import listed
from atelier.names import stored_names
from atelier.run.experiment import Run


def check_class_names(run: Run, names: Sequence[str]) -> None:
    """Refuses names of classes in another order than the run's; no names are accepted."""
    spec = run.data.spec
    if names and spec.class_names and stored_names(names) != spec.class_names:
        raise UserError(
            f'its class_names are {listed(names, MAX_SHOWN)}, and those of the run are '
            f'{described(spec, range(spec.num_classes))}: number the labels as the run does'
        )


def numbers_of(spec: Spec, label: np.ndarray) -> np.ndarray:
    """Returns labels [n] given as names of classes (or their numbers as texts) by number.

    Labels that are numbers are returned as they are.

    Raises:
      UserError: a class has none of these names.
    """
    if label.dtype.kind not in 'UT' or label.ndim != 1:
        return label
    names, index = np.unique(label, return_inverse=True)
    with about('label'):
        return np.array([index_of(spec, str(name)) for name in names], np.int64)[index]


def checked_labels(run: Run, label: np.ndarray, n: int) -> Int[np.ndarray, 'n']:
    """Returns the labels of n examples as int32.

    Raises:
      UserError: they are no integers [n], or not classes of the run.
    """
    num_classes = run.data.spec.num_classes or 2**31
    if label.shape != (n,) or label.dtype.kind not in 'iu':
        raise UserError(f'label is {label.dtype} {label.shape}: give integers [{n}]')
    if not 0 <= label.min() <= label.max() < num_classes:
        raise UserError(
            f'labels go from {label.min()} to {label.max()}: classes are 0 to {num_classes - 1}'
        )
    return label.astype(np.int32)
