"""Reads and writes checkpoints with Orbax: one subfolder per step."""

import contextlib
import functools
import logging
import os
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
import tensorstore

from atelier import files
from atelier.core.game import State
from atelier.errors import FULL, UserError, writing
from atelier.run.checkpoint_content import (
    Memory,
    Unfit,
    check_files,
    check_fits,
    check_not_empty,
    check_opening,
    check_size,
    check_texts,
    digest,
    memory_of,
)
from atelier.run.checkpoint_folder import CheckpointFolder
from atelier.run.checkpoint_index import check_index

# compressions of chunks that tensorstore stops at the size of the chunk; Orbax writes 'zstd'
_COMPRESSORS = (None, 'zstd')
_ATTEMPTS = 20  # to open a folder while another process trains


class Content(NamedTuple):
    """The content of a checkpoint; `run_id` is None if an earlier version saved it."""

    state: State
    memory: Memory
    run_id: str | None
    digest: int


def start_save(
    manager: ocp.CheckpointManager, tree: dict, memory: Memory, run_id: str | None
) -> int | None:
    """Starts to save a tree of host arrays under its step.

    Returns:
      The checksum, or None if Orbax refuses to save, as for a step before the newest one.

    Raises:
      UserError: an array has no elements.
    """
    check_not_empty(tree)
    checksum = digest(tree, memory, run_id)
    host = {'memory': memory._asdict(), 'digest': checksum}
    if run_id is not None:
        host['run'] = run_id
    args = ocp.args.Composite(state=ocp.args.StandardSave(tree), host=ocp.args.JsonSave(host))
    return checksum if manager.save(int(tree['step']), args=args) else None


def read(
    manager: ocp.CheckpointManager,
    folder: CheckpointFolder,
    step: int,
    like: dict | None,
    is_own: bool = False,
) -> Content:
    """Reads a checkpoint and verifies its checksum.

    It may be untrusted. So, unless this process wrote it (`is_own`), names, shapes and dtypes
    are compared with those of `like` before any array is read. Without `like`, the sizes of the
    arrays are compared with those of the files.

    Raises:
      UserError: the checkpoint is damaged, or belongs to another model.
    """
    name = f'checkpoint {step} in {folder.path}'
    try:
        if not is_own:
            _check_before(manager, folder.for_orbax / str(step), like)
        return _read(manager, step, like)
    except Unfit as error:
        raise UserError(
            f'{name} does not fit the model: the config file or the code has changed ({error})'
        ) from error
    except Exception as error:  # the readers raise errors of many types
        reason = folder.with_own_path(_reason(error))[:200]
        raise UserError(f'{name} is damaged: {reason}') from error


def _reason(error: Exception) -> str:
    """Returns the first line of a reader's message. That of a missing key is the key alone."""
    message = str(error).split('\n')[0]
    return f'its description lacks the entry {message}' if type(error) is KeyError else message


def _check_before(manager: ocp.CheckpointManager, folder: pathlib.Path, like: dict | None) -> None:
    check_texts(folder)
    if like is not None:
        check_files(folder / 'state', like)
    check_index(folder / 'state')
    _check_compression(folder / 'state')
    metadata = manager.item_metadata(int(folder.name))['state'].tree
    if like is None:
        check_size(metadata, folder)
    else:
        check_fits(metadata, like)


def _check_compression(folder: pathlib.Path) -> None:
    """Refuses chunks that could take far more memory than their array, once decompressed.

    A chunk of blosc is decompressed as a whole, up to 2 GiB, before its size is compared with that
    of the array. The check reads the descriptions of the arrays alone.

    Raises:
      ValueError: an array has another compression, or another format, than Orbax writes.
    """
    base = {'driver': 'file', 'path': f'{folder}/'}
    specs = [base]
    if (folder / 'manifest.ocdbt').exists():
        specs.append({'driver': 'ocdbt', 'base': base})
    for spec in specs:
        store = tensorstore.KvStore.open(spec).result()
        names = [key.decode(errors='replace') for key in store.list().result()]
        if any(name.rpartition('/')[2] == 'zarr.json' for name in names):
            raise ValueError('its arrays have the format zarr 3')
        for name in (name for name in names if name.rpartition('/')[2] == '.zarray'):
            compressor = files.parsed(store.read(name).result().value).get('compressor')
            kind = compressor['id'] if isinstance(compressor, dict) else compressor
            if kind not in _COMPRESSORS:
                raise ValueError(f'{name} has the compression {str(kind)[:40]!r}')


def _read(manager: ocp.CheckpointManager, step: int, like: dict | None) -> Content:
    template = like and jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)
    args = ocp.args.Composite(state=ocp.args.StandardRestore(template), host=ocp.args.JsonRestore())
    restored = manager.restore(step, args=args)
    tree, host = restored.state, restored.host
    memory, run_id = memory_of(host['memory']), host.get('run')
    checksum = digest(tree, memory, run_id)
    if checksum != host['digest']:
        raise ValueError('its checksum differs')
    empty = dict.fromkeys(State.__dataclass_fields__, {})
    state = State(**{**empty, **tree})
    int(state.step)  # fails if there is none
    return Content(state, memory, run_id, checksum)


def open_manager(folder: pathlib.Path, read_only: bool) -> ocp.CheckpointManager:
    """Returns Orbax's manager of one folder. With several processes, none waits for another.

    Raises:
      UserError: the description of a checkpoint is damaged; Orbax reads it when it opens the
        folder.
    """
    logging.getLogger('absl').setLevel(logging.CRITICAL)  # no traceback per thread of a failed save
    alone = ocp.options.MultiprocessingOptions()
    if jax.process_count() > 1:
        process = jax.process_index()
        alone = ocp.options.MultiprocessingOptions(process, {process}, f'process-{process}')
    options = ocp.CheckpointManagerOptions(
        cleanup_tmp_directories=not read_only,  # left by a killed process
        read_only=read_only,
        # with several processes, Orbax refuses to create a folder for only one of them
        create=False,
        multiprocessing_options=alone,
    )
    handlers = {  # given here, so that no file of a checkpoint chooses the class that reads it
        'state': ocp.StandardCheckpointHandler(multiprocessing_options=alone),
        'host': ocp.JsonCheckpointHandler(multiprocessing_options=alone),
    }
    open_folder = functools.partial(
        ocp.CheckpointManager, folder, options=options, item_handlers=handlers
    )
    try:
        check_opening(folder)
        for _ in range(_ATTEMPTS if read_only else 0):
            # training may delete a checkpoint after Orbax lists it and before Orbax reads it
            with contextlib.suppress(FileNotFoundError):
                return open_folder()
        return open_folder()
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        if _full_disk(error):
            raise
        raise UserError(
            f'a description of a checkpoint is damaged: {_reason(error)[:200]}'
        ) from error


@contextlib.contextmanager
def writing_arrays(folder: pathlib.Path) -> Iterator[None]:
    """Like `errors.writing`, but also for failures that tensorstore reports as a ValueError."""
    try:
        with writing(folder):
            yield
    except ValueError as error:
        reason = _full_disk(error)
        if reason is None:
            raise
        raise UserError(
            f'cannot write {folder}: {reason}; free some space and start the same command '
            'again (finished checkpoints are whole)'
        ) from error


def _full_disk(error: Exception) -> str | None:
    """Returns the system's words for a full disk if they are in the error, else None."""
    words = map(os.strerror, FULL)
    return next((each for each in words if each in str(error)), None)
