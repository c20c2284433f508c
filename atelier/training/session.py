"""One run in training: its logging, validation and checkpoints between dispatches."""

import math
from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict

from atelier.core.game import State, num_minibatches
from atelier.multihost import processes
from atelier.report.metrics_log import MetricsLog
from atelier.run import run_folder
from atelier.run.checkpoint import Checkpoints, Memory
from atelier.run.experiment import Run
from atelier.run.restore import Start
from atelier.training.pictures import Pictures
from atelier.training.validation import CompiledValidation, Watch

FIRST_SAVE_SECONDS = 30  # of training, after which an unscheduled checkpoint is saved


class Member:
    """A run in training, alone or in a sweep: its metrics log, validation and checkpoints.

    `failure` is a one-line message if the run diverged. Its saved checkpoints stay valid.
    """

    def __init__(self, run: Run, start: Start):
        self.run, self._start = run, start
        self.memory = Memory()
        self.failure: str | None = None
        run_id = run_folder.load(run.folder)['id']
        self.checkpoints = Checkpoints(run.folder / 'checkpoints', run_id=run_id)
        self.checkpoints.hold(run.folder, run.folder / 'config.json')
        self._metrics_log: MetricsLog | None = None
        self._pictures: Pictures | None = None

    def begin(self) -> State:
        """Returns the newest saved State, or the initial one.

        Raises:
          UserError: no checkpoint of the run can be read, or its initial weights do not fit.
        """
        restored = self.checkpoints.restore_newest(self._start.like)
        state, self.memory = restored or (self._start(self.run), Memory())
        return state

    def can_go_back_to(self, step: int) -> bool:
        """Whether the checkpoint of `step` can be read; always for step 0.

        A checkpoint that cannot be read is moved to the folder `damaged`. Going back deletes all
        later checkpoints. They must not be deleted if the checkpoint of `step` cannot be read.
        """
        return step == 0 or self.checkpoints.accepts(step, self._start.like)

    def open(self, step: int, validation: CompiledValidation, log_prefix: str = '') -> None:
        """Opens the log and the validation for training from `step`.

        Log lines that an earlier process wrote after `step` are cut. Warnings begin with
        `log_prefix`.
        """
        count = num_minibatches(self.run.family.turns)
        examples_per_step = count * self.run.config.train.batch_size
        # cuts the file before Watch reads the rest
        self._metrics_log = MetricsLog(self.run.folder, step, examples_per_step)
        self.checkpoints.hold(self.run.folder / 'metrics.jsonl')
        self._watch = Watch(self.run, validation, log_prefix)
        self._pictures = Pictures(self.run, validation.pictures, self._metrics_log, log_prefix)

    def lacks_pictures(self, step: int) -> bool:
        """Whether a process was killed after it saved `step` and before it drew its pictures."""
        return not self.is_done(step) and self._pictures.are_missing(step)

    def draw(self, state: State) -> None:
        """Starts to draw the pictures of a validation, the last one if the run is done.

        Raises:
          UserError: the disk is full, or the run folder was deleted, moved or replaced.
        """
        step = int(state.step)
        with self.checkpoints.checked():
            self._pictures.draw(state, step, is_last=self.is_done(step))

    def is_done(self, step: int) -> bool:
        """Whether the run has finished or failed."""
        return self.failure is not None or finished(self.run.config, step, self.memory)

    def write(self, start: int, report: dict[str, np.ndarray], steps_per_second: float) -> None:
        """Logs the dispatch that began at step `start`, and sets `failure` if the loss diverged.

        Raises:
          UserError: the run folder, or one of its files, was deleted, moved or replaced.
        """
        self.checkpoints.check_in_place()
        every = self.run.config.train.log_every
        log_dispatch(self._metrics_log, every, start, report, steps_per_second)
        self.failure = non_finite(report, start, self.checkpoints.steps())

    def validate(self, state: State, report: dict[str, np.ndarray]) -> None:
        """Evaluates the validation split; `report` is that of the last dispatch.

        If training has the validation examples, only pictures are drawn: nothing is chosen on them.

        Raises:
          UserError: the disk is full, or the run folder was deleted, moved or replaced.
        """
        if not self.run.config.data.train_on_valid:
            with self.checkpoints.checked():
                self.memory = self._watch(state, self.memory, self._metrics_log, report)
        self.draw(state)

    def save(self, state: State, keep: bool = True) -> None:
        """Starts a save like `Checkpoints.save`, but only in the first process.

        All earlier pictures exist then. Those of this step are drawn again if the process is killed
        before they exist; at the last step, no process would.
        """
        if processes.is_first():
            step = int(state.step)
            with self.checkpoints.checked():
                self._pictures.wait(None if self.is_done(step) else step)
            self.checkpoints.save(state, self.memory, keep)

    def wait(self) -> None:
        """Waits for the pictures and the save in progress.

        Raises:
          UserError: one of them could not be written.
        """
        if self._pictures:
            with self.checkpoints.checked():
                self._pictures.wait()
        self.checkpoints.wait()

    def close(self) -> None:
        """Waits for the pictures and the save in progress, and closes the files."""
        try:
            if self._pictures:
                self._pictures.close()
            if self._metrics_log:
                self._metrics_log.close()
        finally:
            self.checkpoints.close()


def first_save_is_due(members: Sequence[Member], seconds: float) -> bool:
    """Whether a first save is due, to test if it can be read back, after `seconds` of training.

    The first save must be early, because whatever makes checkpoints unreadable would otherwise be
    noticed only at the first scheduled save, perhaps after hours.
    """
    unread = any(not member.checkpoints.has_read_back for member in members)
    return unread and seconds >= FIRST_SAVE_SECONDS and processes.is_first()


def finished(config: ConfigDict, step: int, memory: Memory) -> bool:
    """Whether all steps are done or the best value is `patience` or more evaluations old."""
    patience = config.train.patience
    return step >= config.train.steps or 0 < patience <= memory.evaluations_since_best


def log_dispatch(
    metrics_log: MetricsLog, every: int, start: int, report: dict[str, np.ndarray], rate: float
) -> None:
    """Writes a line for every `every`-th step before the first non-finite one.

    TensorBoard gets only the last of these lines. `rate` is the number of steps per second.
    """
    names = [name for name in report if name != 'finite']
    num_finite = int(np.argmin(np.append(report['finite'], False)))
    for i in range(num_finite):
        step = start + i + 1
        if step % every == 0:
            values = {f'train/{name}': float(report[name][i]) for name in names}
            metrics_log.write(step, values, to_board=step + every > start + num_finite)
    last = start + num_finite
    metrics_log.write(last, {'time/steps_per_second': rate, **metrics_log.progress(last)})
    metrics_log.flush()  # a checkpoint of this step implies that these lines exist


def non_finite(report: dict[str, np.ndarray], start: int, saved: list[int]) -> str | None:
    """Describes the first step of a dispatch with a non-finite loss, gradient or State, if any.

    The State is frozen from that step on and is not saved.
    """
    bad = np.flatnonzero(~np.asarray(report['finite']))
    if not bad.size:
        return None
    values = {name: float(v[bad[0]]) for name, v in report.items() if name != 'finite'}
    broken = [f'{name}={v}' for name, v in values.items() if not math.isfinite(v)]
    names = ', '.join(broken) or 'parameters that are not finite'
    last = f'the last checkpoint is of step {saved[-1]}' if saved else 'there is no checkpoint'
    return (
        f'{names} at step {start + int(bad[0]) + 1}: training stopped, {last}; try a smaller '
        'config.hypers.learning_rate, or config.hypers.clip_norm=1, in a new --workdir'
    )
