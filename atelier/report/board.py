"""TensorBoard's file of a run: points of curves, and pictures."""

import io
import math
import pathlib
import shlex
import time

import numpy as np

MAX_SIDE = 1024  # pixels of a picture's width and height
MAX_BYTES = 200_000  # of a picture's PNG: its checksum is computed in Python, for 0.25 s a megabyte
FLUSH_SECONDS = 120  # until points of curves can be seen


class Board:
    """Appends points and pictures to a new file of TensorBoard.

    Every write happens in the thread that calls. tensorboardX's own `SummaryWriter` has a thread
    that dies on a full disk, and training would then wait for it for ever.
    """

    def __init__(self, folder: pathlib.Path, first_step: int):
        """Opens a file in `folder`; TensorBoard then hides what has a step >= `first_step` so far.

        Raises:
          OSError: it cannot be written.
        """
        from tensorboardX.event_file_writer import EventsWriter  # only training needs them
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._event = Event
        # absolute, because tensorboardX reads a relative 'gs:a' as an address
        self.folder = folder.absolute()
        self.folder.mkdir(exist_ok=True)
        in_second = f'.{time.time_ns() % 10**9:09d}'  # names hold seconds only
        self._events = EventsWriter(str(self.folder / 'events'), in_second)
        start = SessionLog(status=SessionLog.START)
        self._write(first_step, session_log=start)
        self._flushed = time.monotonic()

    def add_scalar(self, name: str, value: int | float, step: int) -> None:
        """Appends a point of the curve `name`.

        Raises:
          OSError: it cannot be written.
        """
        from tensorboardX.summary import scalar

        self._write(step, summary=scalar(name, value))
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._flushed = time.monotonic()
            self._events.flush()

    def add_picture(self, name: str, picture: np.ndarray, step: int) -> None:
        """Appends a picture, uint8 [height, width, 1 or 3]; a large one is reduced.

        A thread may append pictures while another appends points.

        Raises:
          OSError: it cannot be written.
        """
        from tensorboardX.proto.summary_pb2 import Summary

        height, width, png = _reduced(picture)
        image = Summary.Image(
            height=height,
            width=width,
            colorspace=picture.shape[-1],
            encoded_image_string=png,
        )
        self._write(step, summary=Summary(value=[Summary.Value(tag=name, image=image)]))

    def _write(self, step: int, **content) -> None:
        self._events.write_event(self._event(wall_time=time.time(), step=step, **content))

    def close(self) -> None:
        """Flushes and closes the file.

        Raises:
          OSError: it cannot be written.
        """
        self._events.close()


def _reduced(picture: np.ndarray) -> tuple[int, int, bytes]:
    """Returns (height, width, PNG) of a picture, averaged over as few pixels as limits require."""
    from PIL import Image  # imported here: reading metrics does not need it

    whole = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
    factor = math.ceil(max(whole.size) / MAX_SIDE)
    while True:
        image = whole.reduce(factor) if factor > 1 else whole
        png = io.BytesIO()
        image.save(png, 'PNG')
        if png.tell() <= MAX_BYTES or max(image.size) == 1:
            return image.height, image.width, png.getvalue()
        factor += 1


def command(folder: pathlib.Path) -> str:
    """Returns the command that shows the curves and pictures of a run or a sweep in TensorBoard."""
    return f'tensorboard --logdir={shlex.quote(str(folder))}'
