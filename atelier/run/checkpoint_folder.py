"""The folder of a run's checkpoints, held open: one subfolder per step.

Orbax gets the folder as /proc/self/fd/N, the path of the open folder. That path has no brackets or
stars, which Orbax would read as patterns, and it never leads to a folder created later under the
same name.
"""

import os
import pathlib
import re
import shutil

from atelier.errors import UserError, reading, writing

_PATTERN = re.compile(r'[*?\[]|gs:')  # in a path, Orbax reads these as a pattern or as an address
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
        with reading(path) if read_only else writing(path):
            if not read_only:
                self.path.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
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

    def check_in_place(self) -> None:
        """Checks that the folder is still at its path; costs two system calls.

        Raises:
          UserError: the folder was deleted, moved or replaced.
        """
        try:
            is_in_place = os.path.samestat(os.stat(self._given_path), os.fstat(self._descriptor))
        except OSError:
            is_in_place = False
        if not is_in_place:
            raise UserError(
                f'{self._given_path} was deleted, moved or replaced during the training: training '
                'stopped and saved nothing more'
            )

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
        target = self._given_path.parent / 'damaged' / str(step)  # beside a link, not its target
        with writing(target):
            target.parent.mkdir(exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            shutil.move(self.path / str(step), target)
        return target

    def with_own_path(self, reason: str) -> str:
        """Replaces Orbax's path in an error message by the folder's own."""
        return reason.replace(str(self.for_orbax), str(self.path))

    def close(self) -> None:
        """Closes the folder."""
        os.close(self._descriptor)
