"""Validation and test splits for sources without them, the same for every run.

Two rules make them (`config.data.split_by`):

'content': the split of an example follows from a digest of its content alone. Examples that are
added, removed or reordered never move another one, and equal examples share a split. The number of
examples in a split is binomial. A digest is BLAKE2b of 8 bytes with the key `KEY`, read as a
little-endian integer; with a share s, those below s * 2**64 are the first missing split of test and
validation, those below 2s * 2**64 the second.

'order': the examples are put in a fixed random order, and the last ones are held out. The sizes are
exact, but one more example moves many others. Data sets that never change use this rule, and so do
runs that began before there was another.
"""

import hashlib
import pathlib

import numpy as np
from jaxtyping import UInt64

from atelier.data.large_arrays import reordered
from atelier.errors import UserError, at_least, choose
from atelier.log import counted, log

SPLITS = ('train', 'valid', 'test')
RULES = ('content', 'order')
MAX_HELD_OUT = 5000  # default cap on the examples that a split takes from 'train', by order
KEY = b'atelier split'  # of the digests: another key would move every example
DIGEST_BYTES = 8
CHUNK = 1 << 22  # values; affects only memory use
MANY_COPIES = 0.1  # share of examples that repeat another one, from which a warning is logged
Digests = UInt64[np.ndarray, 'n']


def check_rule(data, takes_rule: bool) -> None:
    """Checks the settings of `config.data` that split data; `takes_rule`: the source reads them.

    Raises:
      UserError: a setting is invalid, or a number of examples is set where a share is read.
    """
    choose('data.split_by', data.split_by, dict.fromkeys(RULES))
    if not 0 < data.held_out_share < 0.5:
        raise UserError(
            f'config.data.held_out_share={data.held_out_share}: it must lie between 0 and 0.5'
        )
    if takes_rule and data.split_by == 'content' and data.num_valid:
        raise UserError(
            f'config.data.num_valid={data.num_valid}: by content each split gets a share: set '
            "config.data.held_out_share instead, or config.data.split_by='order' too"
        )


def fixed_order(n: int) -> np.ndarray:
    """Returns a permutation of 0..n-1 that never changes: NumPy guarantees it for RandomState.

    Files and folders are often sorted by class; in this order any slice is a random sample.
    """
    return np.random.RandomState(0).permutation(n)


def arranged(
    splits: dict[str, dict[str, np.ndarray]], by_content: bool, held_out_share: float
) -> tuple[dict[str, dict[str, np.ndarray]], str]:
    """Returns arrays in an order without meaning and, by content, all three splits.

    Large arrays are overwritten.

    Args:
      splits: at least 'train', as stored.
      by_content: whether to sort by digests and hold out by them, or to use `fixed_order`.
      held_out_share: as in `hold_out_by_content`, whose result is returned.
    """
    ordered, digests = {}, {}
    for name, part in splits.items():
        if by_content:
            digests[name] = array_digests(part['x'])
            order = np.argsort(digests[name], kind='stable')
        else:
            order = fixed_order(len(part['x']))
        ordered[name] = {key: reordered(array, order) for key, array in part.items()}
    if not by_content:
        return ordered, ''
    return hold_out_by_content(ordered, np.sort(digests['train']), held_out_share)


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
    missing = _missing(splits)
    if num_valid and 'valid' not in missing:
        raise UserError(
            f'config.data.num_valid={num_valid}: these data have a validation split of '
            'their own: leave it out'
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


def hold_out_by_content(
    splits: dict[str, dict[str, np.ndarray]], digests: Digests, share: float
) -> tuple[dict[str, dict[str, np.ndarray]], str]:
    """Returns 'train', 'valid' and 'test', with missing splits cut by the digests of 'train'.

    The smallest digests are the test split, the next ones the validation split. The splits are
    slices, so memory-mapped arrays stay on disk.

    Args:
      splits: at least 'train', sorted by `digests`.
      digests: those of 'train'.
      share: `config.data.held_out_share`, of the digests that each missing split gets.

    Returns:
      The splits, and a description of the rule that made them ('' if no split was missing).

    Raises:
      UserError: a split would be empty.
    """
    missing = _missing(splits)
    if not missing:
        return splits, ''
    limits = [round(share * 2**64) * i for i in range(1 + len(missing))]
    starts = np.searchsorted(digests, np.array(limits, np.uint64)).tolist()
    whole, train = dict(splits), splits['train']
    for name, start, end in zip(
        (*missing, 'train'), starts, (*starts[1:], len(digests)), strict=True
    ):
        if start == end:
            raise UserError(
                f'the {name} split would get none of the {counted(len(digests), "example")}, which '
                f'are split by their content: change config.data.held_out_share={share}, set '
                "config.data.split_by='order', or give splits of your own"
            )
        whole[name] = {key: array[start:end] for key, array in train.items()}
    _warn_of_copies(digests)
    return whole, f'{" and ".join(missing)} by content, a share of {share} each'


def printed_rule(rule: str) -> str:
    """Returns a rule of `hold_out_by_content` as it is printed.

    Recorded rules say 'each' of a single split too. Runs compare them, so they do not change.
    """
    return rule if ' and ' in rule else rule.removesuffix(' each')


def _missing(splits: dict) -> list[str]:
    return [name for name in ('test', 'valid') if name not in splits]


def _warn_of_copies(digests: Digests) -> None:
    """Warns if many of the sorted digests are equal, as in a table with few different rows."""
    copies = int(np.sum(digests[1:] == digests[:-1]))
    if copies > MANY_COPIES * len(digests):
        log.warning(
            '%d of %s repeat another one: equal examples share a split, so no validation '
            "or test example occurs in training. If they should, set config.data.split_by='order'",
            copies,
            counted(len(digests), 'example'),
        )


def array_digests(x: np.ndarray) -> Digests:
    """Returns a digest of each example of x [n, *event], which depends on its values alone.

    It does not depend on the other examples, the byte order, or the width of the type: integers
    below 256 are one byte each if all of an example are, else four; floats are float32; -0 is 0.
    """
    digests, size = np.empty(len(x), np.uint64), max(1, CHUNK // x[0].size)
    for start in range(0, len(x), size):
        rows = _canonical(x[start : start + size])
        digests[start : start + len(rows)] = [_digest(row) for row in rows]
    return digests


def _canonical(x: np.ndarray) -> list[np.ndarray]:
    """Returns the values of each example in a form that depends on them alone."""
    x = np.ascontiguousarray(x).reshape(len(x), -1)
    if x.dtype.kind == 'f':
        return list(x.astype('<f4') + np.float32(0))
    narrow, wide = x.astype(np.uint8), x.astype('<i4')
    is_wide = (x > 255).any(1)
    return [wide[i] if is_wide[i] else narrow[i] for i in range(len(x))]


def _digest(content) -> int:
    return int.from_bytes(_hash(content).digest(), 'little')


def _hash(content=b''):
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES, key=KEY)


def file_digest(raw: bytes | pathlib.Path) -> int:
    """Returns the digest of a file's bytes, given or read piece by piece."""
    if isinstance(raw, bytes):
        return _digest(raw)
    with raw.open('rb') as file:
        return int.from_bytes(hashlib.file_digest(file, _hash).digest(), 'little')
