"""Validation and test splits where a source has none, the same for every run."""

import numpy as np

from atelier.errors import UserError, at_least

SPLITS = ('train', 'valid', 'test')
MOST = 5000  # examples that a split takes of the training data unasked


def fixed_order(n: int) -> np.ndarray:
    """A permutation of 0..n-1 that never changes: numpy promises it for RandomState.

    Files and folders come sorted by class; in this order any stretch is a fair sample.
    """
    return np.random.RandomState(0).permutation(n)


def hold_out(
    splits: dict[str, dict[str, np.ndarray]], num_valid: int
) -> dict[str, dict[str, np.ndarray]]:
    """Splits 'train', 'valid' and 'test', the missing ones cut from the end of 'train'.

    Args:
      splits: with 'train' at least, in an order without meaning.
      num_valid: examples of each missing split; 0: a tenth of all, at most 5,000.

    Raises:
      UserError: fewer than 1 training example is left, or num_valid is given and not needed.
    """
    at_least(0, 'data.num_valid', num_valid)
    missing = [name for name in ('test', 'valid') if name not in splits]
    if num_valid and 'valid' not in missing:
        raise UserError(
            f'config.data.num_valid={num_valid}: these data have a validation split of their own'
        )
    train, n = splits['train'], len(splits['train']['x'])
    size = num_valid or max(1, min(n // 10, MOST))
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
