"""Checkpoints: the State and the host's Memory, saved with Orbax.

Saves are asynchronous and atomic: an unfinished save leaves no checkpoint. Each is read back before
an older one is deleted. The State is saved as host arrays, so any number of devices or processes
can restore it.
"""

import contextlib
import pathlib
from typing import NamedTuple

import jax

from atelier.core.game import State
from atelier.errors import UserError
from atelier.log import log
from atelier.run.checkpoint_arrays import open_manager, read, start_save, writing_arrays
from atelier.run.checkpoint_content import Memory, as_dict, host_copy
from atelier.run.checkpoint_folder import CheckpointFolder

__all__ = ['Checkpoints', 'Memory']


class _Save(NamedTuple):
    """A save that has not been read back; `like` is its tree of shapes and dtypes."""

    step: int
    digest: int
    like: dict
    best_step: int | None


class Checkpoints:
    """The checkpoints of one run: the last two, and the best according to the Memory.

    The last two are kept so that a damaged newest one costs a few minutes of training, not the run.

    At most one save is in flight, and its failure surfaces at the next call of `save` or `wait`.
    These calls also read the save back, compare its checksum, and only then delete older
    checkpoints. That takes 2 to 3 seconds per GB, and at least 30 ms; a save takes 5 to 8 seconds
    per GB. The first save of a process is read back at once, so that unreadable checkpoints end
    training early.
    """

    def __init__(self, folder: pathlib.Path, read_only: bool = False, run_id: str | None = None):
        """Opens the checkpoints in `folder`.

        Args:
          folder: holds a subfolder for each checkpoint.
          read_only: for readers of a run that another process may be training: nothing is saved,
            cleaned up or moved.
          run_id: the id of the run; checkpoints with another id are refused.

        Raises:
          UserError: the folder cannot be opened or created.
        """
        self._folder = CheckpointFolder(folder, read_only)
        self.folder = self._folder.path
        self._read_only, self._run_id = read_only, run_id
        self._in_flight: _Save | None = None
        self._is_old_reported = False
        self.has_read_back = False  # whether a save of this process could be read
        self._to_keep = {*self.steps()}  # steps saved with `keep`, and all from earlier processes
        self._readable: set[int] = set()  # steps that this process has read
        try:
            with writing_arrays(self.folder):
                self._manager = open_manager(self._folder.for_orbax, read_only)
        except BaseException:
            self._folder.close()
            raise

    def steps(self) -> list[int]:
        """Returns the steps of the checkpoints, oldest first, with that of the save in flight."""
        in_flight = {self._in_flight.step} if self._in_flight else set()
        return sorted({*self._folder.steps(), *in_flight})

    def hold(self, *paths: pathlib.Path) -> None:
        """Adds files and folders of the run to those of `check_in_place`."""
        self._folder.hold(*paths)

    def check_in_place(self) -> None:
        """Checks that the folder, and what is held besides, are still where they were opened.

        Raises:
          UserError: one of them was deleted, moved or replaced.
        """
        self._folder.check_in_place()

    def checked(self) -> contextlib.AbstractContextManager[None]:
        """Turns an error inside the block into that of `check_in_place`, if this is its cause."""
        return self._folder.checked()

    def save(self, state: State, memory: Memory, keep: bool = True) -> None:
        """Starts an asynchronous save; the first one of a process is finished and read back.

        With `keep`, the checkpoint stays at least until two newer ones have been saved with `keep`
        and read back. Without `keep`, it stays only while it is the newest or the best. Sweeps need
        both: each member saves its own best step without `keep`, and all members resume from the
        newest step that every one of them has saved.

        Raises:
          UserError: the disk is full or not writable, the folder was moved, or a newer checkpoint
            exists. This save or the one before is lost, and every checkpoint that can be read is
            unchanged.
        """
        self.wait()
        self.check_in_place()
        tree = host_copy(state)
        step = int(tree['step'])
        with self._folder.checked(), writing_arrays(self.folder):
            checksum = start_save(self._manager, tree, memory, self._run_id)
        if checksum is None:
            newest = max(self.steps(), default='none')
            raise UserError(
                f'checkpoint {step} was not saved in {self.folder}, which has checkpoint {newest}: '
                'move the later checkpoints away and start the same command again'
            )
        if keep:
            self._to_keep.add(step)
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), tree)
        self._in_flight = _Save(step, checksum, shapes, memory.best_step)
        if not self.has_read_back:
            self.wait()

    def wait(self) -> None:
        """Finishes the save in flight, reads it back, and deletes the checkpoints it replaces.

        Raises:
          UserError: as for `save`, or the checkpoint cannot be read back.
        """
        saved, self._in_flight = self._in_flight, None
        with self._folder.checked():
            with writing_arrays(self.folder):
                self._manager.wait_until_finished()
            if saved is None:
                return
            self.check_in_place()
            self._read_back(saved)
            outdated = replaced(self.steps(), self._to_keep, self._readable, saved.best_step)
            for step in outdated:
                self._delete(step)

    def _read_back(self, saved: _Save) -> None:
        """Reads a save back; sets it aside if it cannot be read.

        Raises:
          UserError: it cannot be read.
        """
        reason = 'another process wrote this checkpoint'
        try:
            content = read(self._manager, self._folder, saved.step, saved.like, is_own=True)
            if content.digest == saved.digest:
                self.has_read_back = True
                self._readable.add(saved.step)
                return
        except UserError as error:
            self._folder.refuse_deleted(error, saved.step)
            reason = str(error)
        aside = self._folder.set_aside(saved.step)
        raise UserError(
            f'the save of step {saved.step} cannot be read back, so training stopped: {reason}; it '
            f'is now {aside}, and earlier checkpoints are unchanged'
        )

    def restore(self, step: int, like: State | None) -> tuple[State, Memory]:
        """Returns the State and Memory of one checkpoint, as host arrays.

        `like` gives the expected tree, shapes and dtypes. Without it, the checkpoint of any model
        can be restored: all its trees come back as plain dicts, and empty subtrees are missing.

        Raises:
          UserError: the checkpoint is damaged, or belongs to another run, step or model.
        """
        name = f'checkpoint {step} in {self.folder}'
        template = None if like is None else as_dict(like)
        content = read(self._manager, self._folder, step, template)
        if self._run_id and content.run_id not in (None, self._run_id):
            raise UserError(f'{name} belongs to another run, of id {content.run_id[:40]!r}')
        if int(content.state.step) != step:
            raise UserError(f'{name} is that of step {int(content.state.step)}: it was renamed')
        if content.run_id is None and not self._is_old_reported:
            self._is_old_reported = True
            log.info('%s has no id of its run, because an earlier version saved it', name)
        self._readable.add(step)
        return content.state, content.memory

    def restore_newest(self, like: State | None) -> tuple[State, Memory] | None:
        """Returns the newest intact checkpoint, or None if there are no checkpoints.

        Newer ones that are refused are reported and, unless `read_only`, moved to `damaged` beside
        the folder. If training deletes a checkpoint while it is read here, the newest one at that
        time is read instead.

        Raises:
          UserError: there are checkpoints, but none can be read.
        """
        refused = {}
        while steps := [step for step in self.steps() if step not in refused]:
            step = steps[-1]
            try:
                restored = self.restore(step, like)
            except UserError as error:
                if step in self.steps():
                    refused[step] = error
                continue
            for later, error in refused.items():
                log.warning('%s; checkpoint %d is used instead', error, step)
                if not self._read_only:
                    self._folder.set_aside(later)
                    self._manager.reload()
            return restored
        if refused:
            # none can be read: a changed model is likelier than damage to all, so none is moved
            newest_error = next(iter(refused.values()))
            raise UserError(
                f'no checkpoint in {self.folder} can be read; error of the newest: {newest_error}'
            )
        return None

    def accepts(self, step: int, like: State) -> bool:
        """Whether a checkpoint can be restored; one that cannot is reported and set aside."""
        try:
            self.restore(step, like)
        except UserError as error:
            log.warning('%s; it is not used', error)
            self._folder.set_aside(step)
            self._manager.reload()
            return False
        return True

    def forget_after(self, step: int) -> None:
        """Deletes the checkpoints of later steps.

        Raises:
          UserError: the folder is not writable.
        """
        for later in self.steps():
            if later > step:
                self._delete(later)

    def _delete(self, step: int) -> None:
        self._folder.delete(step)
        self._to_keep.discard(step)
        self._readable.discard(step)
        self._manager.reload()

    def close(self) -> None:
        """Waits for the save in flight and frees the manager's threads."""
        try:
            self.wait()
        finally:
            with contextlib.closing(self._folder), writing_arrays(self.folder):
                self._manager.close()


def replaced(
    steps: list[int], to_keep: set[int], readable: set[int], best_step: int | None
) -> list[int]:
    """Returns the steps of the checkpoints that newer, readable ones replace.

    Args:
      steps: the steps of all checkpoints, oldest first.
      to_keep: the steps of those saved with `keep`.
      readable: the steps of those that this process has read.
      best_step: the step of the best one, if any.
    """
    last_two = sorted({*steps} & to_keep & readable)[-2:]
    stay = {best_step, *steps[-1:]}
    if len(last_two) == 2:
        to_keep = {step for step in to_keep if step >= last_two[0]}
    return [step for step in steps if step not in stay | to_keep]
