"""PSNR and SSIM between a model's output and the truth, with all data scaled to [0, 1]."""

import numpy as np

from atelier.evaluation.examples.image_quality import psnr, ssim
from atelier.report import image_grids
from atelier.run.experiment import Run


class Scale:
    """A scale on which x goes from 0 to 1.

    The ends are the known range of x or, for real-valued data, the extremes of the training split
    (of each column for a table).

    Attributes:
      low: the normalized x that maps to 0, [1, *event].
      high: the normalized x that maps to 1, [1, *event].
    """

    def __init__(self, run: Run):
        self._spec = spec = run.data.spec
        ends = spec.interval
        if ends is None:
            x = run.data.splits['train']['x']
            axis = 0 if len(spec.event_shape) == 1 else None  # per column for a table
            ends = x.min(axis), x.max(axis)
        broadcast = lambda end: np.broadcast_to(np.asarray(end, np.float32), (1, *spec.event_shape))
        self.low, self.high = (np.asarray(spec.normalize(broadcast(end))) for end in ends)

    def of(self, x: np.ndarray) -> np.ndarray:
        """Maps x [n, *event] from the data's units to this scale; a constant column becomes 0."""
        width = np.where(self.high > self.low, self.high - self.low, 1)
        return (np.asarray(self._spec.normalize(x)) - self.low) / width

    def psnr_and_ssim(
        self, x: np.ndarray, y: np.ndarray, where: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Returns psnr_db [n] and, for images, ssim [n] of x and y [n, *event] in the data's units.

        PSNR is over the values where `where` [n, *event] is true, or over all; SSIM is over all.
        """
        x, y = self.of(x), self.of(y)
        values = {'psnr_db': psnr(x, y, 1.0, where)}
        if image_grids.is_image(self._spec):
            values['ssim'] = ssim(*(a.reshape(*a.shape[:3], -1) for a in (x, y)), 1.0)
        return values
