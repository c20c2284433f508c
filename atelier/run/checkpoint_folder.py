"""The folder of a run's checkpoints, held open: one subfolder per step.

Orbax gets the folder as /proc/self/fd/N, the path of the open folder. That path has no brackets or
stars, which Orbax would read as patterns, and it never leads to a folder created later under the
same name.
"""

import contextlib
import errno
import itertools
import os
import pathlib
import re
import shutil
from collections.abc import Iterator

from atelier.errors import UserError, reading, writing

_PATTERN = re.compile(r'[*?\[]|gs:')  # in a path, Orbax reads these as a pattern or as an address
_MISSING = f'NOT_FOUND|are missing|{os.strerror(errno.ENOENT)}'  # in an error of Orbax
_PARTS = ('state/_METADATA', 'host/metadata')  # of every checkpoint
_DELETED = '.deleted-'  # begins the name of a subfolder that is being deleted


class CheckpointFolder:
    """An existing folder of checkpoints, which stays open until `close`.

    path: the folder, for messages.
    for_orbax: the path under which Orbax reads and writes it.
    """

    def __init__(self, path: pathlib.Path, read_only: bool):
        """Opens the folder; unless `read_only`, creates it and removes remains of deletions.

        Raises:
          UserError: it cannot be opened or created, or Orbax cannot use its path.
        """
        self.path, self._given_path = path.resolve(), path.absolute()
        self._held: dict[pathlib.Path, int] = {}  # open files and folders, by path
        with reading(path) if read_only else writing(path):
            if not read_only:
                self.path.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        self._held[self._given_path] = self._descriptor
        try:
            self.for_orbax = self._path_for_orbax()
            if not read_only:
                self._remove_remains()
        except BaseException:
            self.close()
            raise

    def _path_for_orbax(self) -> pathlib.Path:
        """Returns /proc/self/fd/N on Linux, and otherwise the path itself."""
        path = pathlib.Path(f'/proc/self/fd/{self._descriptor}')
        if path.is_dir() and os.path.samestat(path.stat(), os.fstat(self._descriptor)):
            return path
        if _PATTERN.search(str(self.path)):
            raise UserError(
                f'cannot save checkpoints in {self.path}: without /proc, a path must not contain '
                "'*', '?', '[' or 'gs:'; choose another --workdir"
            )
        return self.path

    def _remove_remains(self) -> None:
        """Deletes the rest of a checkpoint whose deletion was cut short by a kill."""
        with writing(self.path):
            for remains in self.path.glob(f'{_DELETED}*'):
                shutil.rmtree(remains)

    def steps(self) -> list[int]:
        """Returns the steps of the checkpoints that exist now, oldest first."""
        with reading(self.path):
            names = [entry.name for entry in os.scandir(self._descriptor) if entry.is_dir()]
        return sorted(int(name) for name in names if re.fullmatch('0|[1-9][0-9]*', name))

    def hold(self, *paths: pathlib.Path) -> None:
        """Makes `check_in_place` check other files or folders of the run too.

        They stay open, so that no later file can get their inode.

        Raises:
          UserError: one of them does not exist.
        """
        for path in map(pathlib.Path.absolute, paths):
            try:
                self._held[path] = os.open(path, os.O_RDONLY)
            except FileNotFoundError as error:
                raise _gone(path) from error

    def check_in_place(self) -> None:
        """Checks that everything held is still at its path; costs two system calls for each.

        Raises:
          UserError: names what was deleted, moved or replaced.
        """
        for path, descriptor in sorted(self._held.items()):  # a folder before its entries
            try:
                is_in_place = os.path.samestat(os.stat(path), os.fstat(descriptor))
            except OSError:
                is_in_place = False
            if not is_in_place:
                raise _gone(path)

    @contextlib.contextmanager
    def checked(self) -> Iterator[None]:
        """Says that the folder was deleted, if this is why a save fails.

        A deletion takes time. So the folder may still be there when a file in it is missing.

        Raises:
          UserError: the folder or a file in it was deleted, moved or replaced.
        """
        try:
            yield
        except Exception as error:
            self.refuse_deleted(error)
            raise

    def refuse_deleted(self, error: Exception, step: int | None = None) -> None:
        """Raises the UserError of `check_in_place` if this is why `error` was raised.

        `step` is that of a finished save which could not be read back.
        """
        self.check_in_place()
        parts = () if step is None else [self.path / str(step) / part for part in _PARTS]
        if _is_missing(error) or not all(part.exists() for part in parts):
            raise _gone(self._given_path) from error

    def delete(self, step: int) -> None:
        """Deletes a checkpoint. Readers see all of it until it disappears in one step.

        Raises:
          UserError: the folder is not writable.
        """
        remains = self.path / f'{_DELETED}{step}'
        with writing(self.path):
            os.rename(self.path / str(step), remains)
            shutil.rmtree(remains)

    def set_aside(self, step: int) -> pathlib.Path:
        """Moves a checkpoint to `damaged` beside the folder and returns its new path.

        Raises:
          UserError: the folder is not writable.
        """
        damaged = self._given_path.parent / 'damaged'  # beside a link, not its target
        names = itertools.chain([str(step)], (f'{step}-{n}' for n in itertools.count(2)))
        with writing(damaged):
            damaged.mkdir(exist_ok=True)
            target = next(damaged / name for name in names if not (damaged / name).exists())
            shutil.move(self.path / str(step), target)
        return target

    def with_own_path(self, reason: str) -> str:
        """Replaces Orbax's path in an error message by the folder's own."""
        return reason.replace(str(self.for_orbax), str(self.path))

    def close(self) -> None:
        """Closes the folder, and what is held besides."""
        for descriptor in self._held.values():
            os.close(descriptor)
        self._held.clear()


def _gone(path: pathlib.Path) -> UserError:
    return UserError(
        f'{path} was deleted, moved or replaced during the training: training stopped and saved '
        'nothing more'
    )


def _is_missing(error: BaseException | None) -> bool:
    """Whether a missing file caused an error; Orbax often says so in a text only."""
    while error is not None:
        is_text = isinstance(error, ValueError) and re.search(_MISSING, str(error))
        if isinstance(error, FileNotFoundError) or is_text:
            return True
        error = error.__cause__
    return False
