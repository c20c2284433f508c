"""Warns if weights from another run were trained on examples that are now held out."""

import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from atelier import checkout
from atelier.data import dataset, fingerprints
from atelier.data.dataset import Dataset
from atelier.data.fingerprints import size_of
from atelier.data.sources import OWN_PICTURES
from atelier.data.splits import array_digests
from atelier.data.train_and_valid import has_valid
from atelier.errors import UserError
from atelier.log import log
from atelier.paths import user_path
from atelier.run import run_folder
from atelier.run.experiment import Run

HELD_OUT = ('valid', 'test')


def warn_of_leakage(run: Run, folder: pathlib.Path, splits: Sequence[str] = HELD_OUT) -> None:
    """Logs a warning if the run in `folder` may have been trained on examples of these splits.

    The same holds for the run with whose weights that one began, and so on. Nothing is logged if
    the checksums show that no example was trained on, or if both runs split by content alike.
    """
    if run.config.data.train_on_valid:
        splits = [split for split in splits if split != 'valid']  # trained on here too
    for source, record in _with_sources(folder):
        if record is None:
            log.warning('%s cannot be read: what its weights were trained on is unknown', source)
            continue
        then, then_config = record['data'] or {}, record['values']['data']
        now = fingerprints.like(run.data, then)
        doubtful = _doubtful(run, now, then, then_config, splits)
        if not doubtful:
            continue
        common = _num_common(run, then, then_config, doubtful)
        data = ' '.join(filter(None, (then_config['name'], then_config.get('path'))))
        if common is None:
            log.warning(
                '%s was trained on other data (%s), which may include %s examples of this run',
                *(source, data, ' and '.join(doubtful)),
            )
        elif any(common.values()):
            counts = [f'{n} of the {run.data.size(split)} {split}' for split, n in common.items()]
            log.warning(
                '%s was trained on other data (%s), which include %s examples of this run',
                *(source, data, ' and '.join(counts)),
            )


def _with_sources(folder: pathlib.Path) -> Iterator[tuple[pathlib.Path, dict[str, Any] | None]]:
    """Yields a run with its record, and the runs that it began with; None if it is unreadable."""
    visited = set()
    while folder not in visited:
        visited.add(folder)
        try:
            record = run_folder.load(folder)
        except UserError:
            record = None
        yield folder, record
        if record is None or record['init_from'] is None:
            return
        folder = pathlib.Path(record['init_from'])


def _doubtful(
    run: Run,
    now: dict[str, str],
    then: dict[str, str],
    then_config: dict[str, Any],
    splits: Sequence[str],
) -> list[str]:
    """Returns the splits with examples that fingerprint `then` does not show to be held out."""
    source, rule = run.config.data.name, now.get('split_rule')
    is_same_source = then_config['name'] == source
    is_alike = is_same_source and then.get('x') == now['x']
    # a digest is of the values of an array, whose format may differ, or of the bytes of a file
    has_same_digests = is_alike or (is_same_source and source in OWN_PICTURES)
    if has_same_digests and rule and rule == then.get('split_rule'):
        return []
    if is_alike and (then.get('train') == now['train'] or _begins_with(run.data, then)):
        return []
    own = [then.get(split) for split in HELD_OUT] if is_alike else []
    if has_valid(then_config):
        own = own[1:]
    return [split for split in splits if split in now and now[split] not in own]


def _begins_with(data: Dataset, then: dict[str, str]) -> bool:
    """Whether training text begins with that of a fingerprint, as when text was appended."""
    n = size_of(then, 'train')
    if data.spec.symbols is None or n is None:
        return False
    start = {name: array[:n] for name, array in data.splits['train'].items()}
    start = data._replace(splits={'train': start})
    return fingerprints.like(start, then, 'train')['train'] == then['train']


def _num_common(
    run: Run, then: dict[str, str], then_config: dict[str, Any], splits: Sequence[str]
) -> dict[str, int] | None:
    """Returns how many examples of each split the other run was trained on; None: unknown.

    It is unknown if the other run's data are gone, have changed, or are none that are read again
    here: any .npz, and the pictures of yours that this run reads too.
    """
    source = run.config.data.name
    if source not in ('arrays', *OWN_PICTURES) or then_config['name'] != source:
        return None
    if source in OWN_PICTURES and _path(then_config.get('path', '')) != _path(run.config.data.path):
        return None  # a run from elsewhere could name a folder that takes hours to decode
    try:
        trained, here = _as_stored(then_config), _as_stored(run.config.data.to_dict())
    except UserError:
        return None
    if fingerprints.like(trained, then, 'train')['train'] != then.get('train'):
        return None
    if trained.spec.event_shape != here.spec.event_shape:
        return None
    known = array_digests(trained.splits['train']['x'])
    return {
        split: int(np.isin(array_digests(here.splits[split]['x']), known).sum()) for split in splits
    }


def _path(path: str) -> pathlib.Path:
    return user_path(path).resolve()


def _as_stored(data_config: dict[str, Any]) -> Dataset:
    """Loads data whose held-out examples are not binarised by a draw of their own."""
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in data_config.items()}
    common = checkout.common_config().data.to_dict()  # a run may predate one of its fields
    plain = {**common, **values, 'binarize': 'none', 'dequantize': 'none'}
    return dataset.load(ConfigDict({'data': plain}))
