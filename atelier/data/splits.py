"""Validation and test splits for sources without them, the same for every run."""

import numpy as np

from atelier.errors import UserError, at_least

SPLITS = ('train', 'valid', 'test')
MAX_HELD_OUT = 5000  # default cap on the examples that a split takes from 'train'


def fixed_order(n: int) -> np.ndarray:
    """Returns a permutation of 0..n-1 that never changes: NumPy guarantees it for RandomState.

    Files and folders are often sorted by class; in this order any slice is a random sample.
    """
    return np.random.RandomState(0).permutation(n)


def hold_out(
    splits: dict[str, dict[str, np.ndarray]], num_valid: int
) -> dict[str, dict[str, np.ndarray]]:
    """Returns 'train', 'valid' and 'test', with missing splits cut from the end of 'train'.

    Args:
      splits: at least 'train', in random order.
      num_valid: examples of each missing split; 0: a tenth of 'train', at most 5,000.

    Raises:
      UserError: no training example would be left, or num_valid is given and not needed.
    """
    at_least(0, 'data.num_valid', num_valid)
    missing = [name for name in ('test', 'valid') if name not in splits]
    if num_valid and 'valid' not in missing:
        raise UserError(
            f'config.data.num_valid={num_valid}: these data have a validation split of their own'
        )
    train, n = splits['train'], len(splits['train']['x'])
    size = num_valid or max(1, min(n // 10, MAX_HELD_OUT))
    if size * len(missing) >= n:
        raise UserError(
            f'{n} training examples are too few to take {size} each for {" and ".join(missing)}'
        )
    whole = dict(splits)
    for name in missing:
        whole[name] = {key: array[n - size : n] for key, array in train.items()}
        n -= size
    whole['train'] = {key: array[:n] for key, array in train.items()}
    return whole
