"""Checkpoints: the State and the host's Memory, saved with Orbax.

Saves are asynchronous and atomic: an unfinished checkpoint does not exist. The State is saved as
host arrays, so any number of devices or processes can restore it.
"""

import contextlib
import logging
import os
import pathlib
import shutil
import zlib
from typing import NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from atelier.core.game import State
from atelier.errors import FULL, UserError, writing
from atelier.log import log


class Memory(NamedTuple):
    """What the host keeps from one evaluation to the next."""

    best_value: float | None = None  # of the validation metric that chooses the best checkpoint
    best_step: int | None = None
    evaluations_since_best: int = 0


class _LastTwoAndBest(checkpoint_managers.PreservationPolicy):
    """Preserves the newest checkpoint, the best one, and the last two of those saved with `keep`.

    Two, so that if the newest is damaged, only a few minutes of training are lost and not the run.
    `steps_saved_to_keep` holds the steps saved with `keep` and all that existed at the start.
    """

    def __init__(self):
        self.best_step: int | None = None
        self.steps_saved_to_keep: set[int] = set()

    def should_preserve(self, checkpoints, *, context) -> list[bool]:
        del context
        present = [info.step for info in checkpoints]
        last_two = [step for step in present if step in self.steps_saved_to_keep][-2:]
        kept = {self.best_step, *last_two, *present[-1:]}
        return [step in kept for step in present]


class Checkpoints:
    """The checkpoints of one run: the last two, and the best according to the Memory.

    At most one save is in flight, and its failure surfaces at the next call of `save` or `wait`.
    `read_only` is for readers of a run that another process may be training: nothing is saved,
    cleaned up or moved.
    """

    def __init__(self, folder: pathlib.Path, read_only: bool = False):
        self.folder = folder.resolve()
        self._damaged = folder.absolute().parent / 'damaged'  # in the run, wherever `folder` leads
        self._read_only = read_only
        self._policy = _LastTwoAndBest()
        _quiet_orbax()
        options = ocp.CheckpointManagerOptions(
            preservation_policy=None if read_only else self._policy,
            cleanup_tmp_directories=not read_only,  # left by a killed process
            read_only=read_only,
            # with several processes, Orbax refuses to create a folder for only one of them
            create=False,
            multiprocessing_options=_alone(),
        )
        with _writing(self.folder):
            if not read_only:
                self.folder.mkdir(parents=True, exist_ok=True)
            self._manager = ocp.CheckpointManager(self.folder, options=options)
        self._policy.steps_saved_to_keep.update(self.steps())

    def steps(self) -> list[int]:
        """Returns the steps of the existing checkpoints, oldest first."""
        return sorted(self._manager.all_steps())

    def save(self, state: State, memory: Memory, keep: bool = True) -> None:
        """Starts an asynchronous save.

        With `keep`, the checkpoint stays at least until two newer ones have been saved with `keep`.
        Without `keep`, it stays only while it is the newest or the best. Sweeps need both: each
        member saves its own best step without `keep`, and all members resume from the newest step
        that every one of them has saved.

        Raises:
          UserError: the disk is full or not writable. This save or the one before is lost, and
            every finished checkpoint is unchanged.
        """
        tree = _host_copy(state)
        host = {'memory': memory._asdict(), 'digest': _digest(tree, memory)}
        with _writing(self.folder):
            # the policy, changed below, must not yet apply to the save in flight
            self._manager.wait_until_finished()
            self._policy.best_step = memory.best_step
            if keep:
                self._policy.steps_saved_to_keep.add(int(tree['step']))
            self._manager.save(
                int(tree['step']),
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(tree), host=ocp.args.JsonSave(host)
                ),
            )

    def wait(self) -> None:
        """Blocks until the save in flight is finished.

        Raises:
          UserError: the disk is full or not writable, as for `save`.
        """
        with _writing(self.folder):
            self._manager.wait_until_finished()

    def restore(self, step: int, like: State | None) -> tuple[State, Memory]:
        """Returns the State and Memory of one checkpoint, as host arrays.

        `like` gives the expected tree, shapes and dtypes. Without it, the checkpoint of any model
        can be restored: all its trees come back as plain dicts, and empty subtrees are missing.

        Raises:
          UserError: the checkpoint is damaged, or belongs to another model.
        """
        template = like and jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), _as_dict(like))
        args = ocp.args.Composite(
            state=ocp.args.StandardRestore(template), host=ocp.args.JsonRestore()
        )
        try:
            restored = self._manager.restore(step, args=args)
            memory, digest = Memory(**restored.host['memory']), restored.host['digest']
        except Exception as error:  # the readers raise errors of many types
            name = f'checkpoint {step} in {self.folder}'
            if 'tree structures do not match' in str(error):
                raise UserError(
                    f'{name} does not fit the model: the config file or the code has changed'
                ) from error
            reason = str(error).split('\n')[0][:200]
            raise UserError(f'{name} is damaged: {reason}') from error
        if _digest(restored.state, memory) != digest:
            raise UserError(f'checkpoint {step} in {self.folder} is damaged: its checksum differs')
        empty = dict.fromkeys(State.__dataclass_fields__, {})
        return State(**{**empty, **restored.state}), memory

    def restore_newest(self, like: State | None) -> tuple[State, Memory] | None:
        """Returns the newest intact checkpoint, or None if there are no checkpoints.

        Damaged ones are reported and, unless `read_only`, moved to `damaged` beside the folder.

        Raises:
          UserError: there are checkpoints, but none can be read.
        """
        damaged = {}
        for step in reversed(self.steps()):
            try:
                restored = self.restore(step, like)
            except UserError as error:
                damaged[step] = error
                continue
            for later, error in damaged.items():
                log.warning('%s; checkpoint %d is used instead', error, step)
                if not self._read_only:
                    self._set_aside(later)
            return restored
        if damaged:
            # none can be read: more likely the model changed than all are damaged, so none is moved
            newest_error = next(iter(damaged.values()))
            raise UserError(
                f'no checkpoint in {self.folder} can be read; error of the newest: {newest_error}'
            )
        return None

    def forget_after(self, step: int) -> None:
        """Deletes the checkpoints of later steps.

        Raises:
          UserError: the folder is not writable.
        """
        with _writing(self.folder):
            for later in self.steps():
                if later > step:
                    self._manager.delete(later)

    def _set_aside(self, step: int) -> None:
        target = self._damaged / str(step)
        with _writing(target):
            target.parent.mkdir(exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            shutil.move(self.folder / str(step), target)
        self._manager.reload()

    def close(self) -> None:
        """Waits for the save in flight and frees the manager's threads."""
        with _writing(self.folder):
            self._manager.close()


def _alone() -> ocp.options.MultiprocessingOptions:
    """Returns options under which no process waits for another to save or restore."""
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    process = jax.process_index()
    return ocp.options.MultiprocessingOptions(process, {process}, f'process-{process}')


def _as_dict(state: State) -> dict:
    return {name: getattr(state, name) for name in state.__dataclass_fields__}


def _host_copy(state: State) -> dict:
    """Returns copies, not views, because the buffers are donated to the next dispatch."""
    return jax.tree.map(lambda x: np.array(x, copy=True), _as_dict(state))


def _digest(tree: dict, memory: Memory) -> int:
    """Returns a checksum of the Memory and of all leaves (names, dtypes, shapes, bits).

    It is needed because tensorstore does not notice a changed bit.
    """
    total = zlib.crc32(repr(memory).encode())
    named = {leaf_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
    for name, leaf in sorted(named.items()):
        leaf = np.asarray(leaf)
        label = f'{name} {leaf.dtype} {leaf.shape}'
        total = zlib.crc32(np.ascontiguousarray(leaf).tobytes(), zlib.crc32(label.encode(), total))
    return total


def leaf_name(path) -> str:
    """Returns params/model/encoder/..., the same for dicts, tuples and named fields."""
    return jax.tree_util.keystr(path, simple=True, separator='/')


def _quiet_orbax() -> None:
    """Silences Orbax's traceback per thread of a failed save; `wait` raises the error anyway."""
    logging.getLogger('absl').setLevel(logging.CRITICAL)


@contextlib.contextmanager
def _writing(folder: pathlib.Path):
    """Like `errors.writing`, but also for failures that tensorstore reports as a ValueError."""
    try:
        with writing(folder):
            yield
    except ValueError as error:
        reasons = [os.strerror(code) for code in FULL if os.strerror(code) in str(error)]
        if not reasons:
            raise
        raise UserError(
            f'cannot write {folder}: {reasons[0]}; free some space and start the same command '
            'again (finished checkpoints are whole)'
        ) from error
