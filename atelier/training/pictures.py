"""Pictures of training: samples from the same noise at each validation, and reconstructions."""

import pathlib
import threading
import time
from collections.abc import Callable, Sequence

import jax
import numpy as np

from atelier.core.game import State
from atelier.core.randomness import Stream, key_for
from atelier.core.stages import merged_state
from atelier.evaluation.curves import plot_curves, read_curves
from atelier.evaluation.samples.sampling import (
    reconstructor,
    sampler,
    shows_means,
    split_examples,
)
from atelier.evaluation.samples.saved_samples import write_samples
from atelier.log import log
from atelier.multihost import processes
from atelier.report import figures, texts
from atelier.report.metrics_log import MetricsLog
from atelier.report.views.choose import MANY, shows_distribution, view_of
from atelier.report.views.view import DATA
from atelier.run import restore, two_stage
from atelier.run.experiment import Run
from atelier.training.drawing_thread import DrawingThread, DrawingTime

MIN_VALIDATIONS = 3  # of a curve: one or two points are none
GIVE_UP = 60.0  # seconds until a drawing that does not end is left alone


class CompiledPictures:
    """The functions of pictures, compiled once for all runs of one model on one data set.

    Those of a run of codes show what its parent decodes.

    sample: draws x, as `sampler` returns it; None if the family cannot sample.
    """

    def __init__(self, run: Run, devices: Sequence[jax.Device], sample: Callable | None):
        self._parent = restore.parent_state(run, devices) if run.parent else None
        if run.parent:
            run = two_stage.used(run)
            sample = sample and sampler(run, devices)
        spec = run.data.spec
        self.view, self.is_text = view_of(spec), texts.is_text(spec)
        self.is_quick = self.view is None or self.view.is_quick
        is_drawn = self.view is not None or self.is_text
        self.sample = None
        if sample is not None and is_drawn:
            self.sample = sampler(run, devices, means=True) if shows_means(run) else sample
        self.shows_means = self.sample is not sample and self.sample is not None
        if self.shows_means:
            log.info('pictures of samples show the mean of x given z (x: --mode=sample --draws)')
        # a parent's reconstructions do not change while the model of its codes is trained
        has_changing = self.view is not None and self._parent is None
        self.reconstruct = reconstructor(run, devices) if has_changing else None
        self.thread, self.time = DrawingThread(), DrawingTime()
        self.has_said_skipped = False
        self._examples = lambda state, n: split_examples(run, state, devices, 'valid', n)
        self._beside: np.ndarray | None = None

    def whole(self, state: State) -> State:
        """Returns the State that the functions take, of that which is trained."""
        return state if self._parent is None else merged_state(state, self._parent)

    def beside(self, state: State, n: int) -> np.ndarray:
        """Returns up to n validation examples, the same at every validation."""
        if self._beside is None:
            self._beside = self._examples(state, n)
        return self._beside


class Pictures:
    """Draws the samples and reconstructions of a run, alone or in a sweep, into its `samples`.

    Arrays are computed between two dispatches, copied to the host, and drawn in a thread. If a
    drawing is slow, it is left out when pictures would take too much of the training
    (`DrawingTime`). The pictures of the last validation are always drawn, and the curves of all
    validations with them. TensorBoard gets the samples and reconstructions too.
    """

    def __init__(
        self, run: Run, compiled: CompiledPictures, metrics_log: MetricsLog, log_prefix: str = ''
    ):
        """Messages begin with `log_prefix`."""
        self._run, self._compiled, self._metrics_log = two_stage.used(run), compiled, metrics_log
        self._log_prefix, self._step = log_prefix, 0
        self._ended = threading.Event()
        self._ended.set()

    def draw(self, state: State, step: int, is_last: bool = False) -> None:
        """Starts to draw the pictures of a validation. A collective of all processes.

        Raises:
          UserError: an earlier picture could not be written.
        """
        self.wait()
        compiled = self._compiled
        has_pictures = bool(compiled.sample or compiled.reconstruct)
        if not is_last and not (has_pictures and self._is_due()):
            return
        began, state = time.monotonic(), compiled.whole(state)
        samples, pair = self._samples(state), self._pair(state)
        data = self._data(state, samples) if is_last and compiled.view is not None else None
        before = time.monotonic() - began
        # of a sweep, as many members have curves as there is time for
        has_curves = is_last and (not self._log_prefix or compiled.time.allows_one_more())

        def draw():
            began = time.monotonic()
            try:
                self._save(step, samples, pair)
                if data is not None:
                    means = compiled.shows_means
                    write_samples(self._run.folder, samples['samples'], data, means)
                if has_curves:
                    save_curves(self._run.folder)
            finally:
                compiled.time.add(before + time.monotonic() - began)

        if processes.is_first():
            self._step, self._ended = step, compiled.thread.start(draw)

    def are_missing(self, step: int) -> bool:
        """Whether a process was killed after it saved `step` and before it drew its pictures.

        A collective. Pictures that may be left out are never missing.
        """
        if step == 0 or step % self._run.config.train.evaluate_every or not self._compiled.is_quick:
            return False
        ending = 'txt' if self._compiled.view is None else 'png'
        paths = [self._path(name, step, ending) for name in self._names()]
        return processes.any_of(processes.is_first() and not all(path.exists() for path in paths))

    def wait(self, before: int | None = None) -> None:
        """Waits until the pictures are written; only those of steps before `before`, if given.

        Raises:
          UserError: a picture could not be written.
        """
        if before is None or self._step < before:
            self._ended.wait()
        self._compiled.thread.check()

    def close(self) -> None:
        """Waits for the pictures after an error, whose message matters more than theirs."""
        if not self._ended.wait(GIVE_UP):
            log.warning('%sthe pictures of step %d are not drawn', self._log_prefix, self._step)

    def _is_due(self) -> bool:
        """Whether there is time for pictures; says once that some are left out."""
        compiled = self._compiled
        if compiled.is_quick:
            return True
        # the processes' clocks differ, and all of them have to sample or none
        if processes.any_of(processes.is_first() and compiled.time.allows_one_more()):
            return True
        if not compiled.has_said_skipped:
            compiled.has_said_skipped = True
            log.info(
                'pictures of %s take time: some validations have none, the last one has them',
                compiled.view.kind,
            )
        return False

    def _samples(self, state: State) -> dict[str, np.ndarray] | None:
        """Returns the named sets that a picture shows: samples, and examples if not of images."""
        if self._compiled.sample is None:
            return None
        spec, n = self._run.data.spec, self._run.config.eval.num_pictures
        key = key_for(state.key, Stream.SAMPLE)
        if self._compiled.view is None or not self._compiled.view.is_among_data:
            return {'samples': self._compiled.sample(state, key, n)}
        n = MANY if shows_distribution(spec) else n
        beside = self._compiled.beside(state, n)
        return {DATA: beside, 'samples': self._compiled.sample(state, key, n)}

    def _data(self, state: State, samples: dict[str, np.ndarray] | None) -> np.ndarray | None:
        """Returns the examples that `compare` shows beside the last samples."""
        if samples is None:
            return None
        n = self._run.config.eval.num_pictures
        return samples[DATA] if DATA in samples else self._compiled.beside(state, n)

    def _pair(self, state: State) -> tuple[np.ndarray, np.ndarray] | None:
        if self._compiled.reconstruct is None:
            return None
        n, key = self._run.config.eval.num_pictures, key_for(state.key, Stream.SAMPLE)
        split = {name: array[:n] for name, array in self._run.data.splits['valid'].items()}
        return self._compiled.reconstruct(state, key, split, len(split['x']))

    def _save(self, step: int, samples: dict | None, pair: tuple | None) -> None:
        """Draws and writes; runs in the thread, so it sees arrays of the host only."""
        view, spec = self._compiled.view, self._run.data.spec
        if self._compiled.is_text and samples is not None:
            separator = self._run.config.data.get('separator', '')
            texts.save(self._path('samples', step, 'txt'), samples['samples'], spec, separator)
        if samples is not None and view is not None:
            title = f'Samples at step {step:,}'
            self._save_picture('samples', step, view.samples(samples, spec, title))
        if pair is not None:
            title = '' if view.is_quick else f'Reconstructions at step {step:,}'
            self._save_picture('reconstructions', step, view.pairs(*pair, spec, title))

    def _save_picture(self, name: str, step: int, picture: np.ndarray) -> None:
        figures.save_picture(self._path(name, step), picture)
        self._metrics_log.write_picture(step, name, picture)

    def _names(self) -> list[str]:
        parts = {'samples': self._compiled.sample, 'reconstructions': self._compiled.reconstruct}
        return [name for name, function in parts.items() if function is not None]

    def _path(self, name: str, step: int, ending: str = 'png') -> pathlib.Path:
        return self._run.folder / 'samples' / f'{name}-{step:07d}.{ending}'


def save_curves(folder: pathlib.Path) -> None:
    """Draws the validations of a run as `curves.png`, if there are at least `MIN_VALIDATIONS`.

    Raises:
      UserError: the file cannot be written.
    """
    read = read_curves(folder)
    if any(len(curve.points()) >= MIN_VALIDATIONS for curve in read.curves.values()):
        plot_curves({folder.name: read}, folder / 'curves.png')
