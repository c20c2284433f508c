"""How near what a model makes is to the truth, on one scale for all data: PSNR and SSIM."""

import numpy as np

from atelier.evaluation.examples.image_quality import psnr, ssim
from atelier.report import image_grids
from atelier.run.experiment import Run


class Scale:
    """The scale on which x goes from 0 to 1.

    That is its range where it is known or, of real values, from the smallest to the largest of the
    training split (of each column in a table).

    Attributes:
      low: what becomes 0, [1, *event], normalized.
      high: what becomes 1, likewise.
    """

    def __init__(self, run: Run):
        self._spec = spec = run.data.spec
        edges = spec.interval
        if edges is None:
            x = run.data.splits['train']['x']
            axis = 0 if len(spec.event_shape) == 1 else None  # columns of a table have their own
            edges = x.min(axis), x.max(axis)
        whole = lambda edge: np.broadcast_to(np.asarray(edge, np.float32), (1, *spec.event_shape))
        self.low, self.high = (np.asarray(spec.normalize(whole(edge))) for edge in edges)

    def of(self, x: np.ndarray) -> np.ndarray:
        """x [n, *event] in the data's units on this scale; a constant column becomes 0."""
        width = np.where(self.high > self.low, self.high - self.low, 1)
        return (np.asarray(self._spec.normalize(x)) - self.low) / width

    def nearness(
        self, x: np.ndarray, y: np.ndarray, where: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """psnr_db [n] and, of images, ssim [n] of x and y [n, *event] in the data's units.

        The first is of the numbers that `where` [n, *event] names, or of all; the second of all.
        """
        x, y = self.of(x), self.of(y)
        values = {'psnr_db': psnr(x, y, 1.0, where)}
        if image_grids.is_image(self._spec):
            values['ssim'] = ssim(*(a.reshape(*a.shape[:3], -1) for a in (x, y)), 1.0)
        return values
