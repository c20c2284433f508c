"""Animations: pictures one after another, as a looping GIF and, where ffmpeg is found, an MP4.

A picture is an array, uint8 [height, width, 1 or 3], as in `atelier.report.figures`.
"""

import functools
import io
import math
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence

import numpy as np

from atelier import files
from atelier.errors import shortened_text
from atelier.log import escaped, log
from atelier.report import figures

MAX_FRAMES = 300
MAX_SIDE = 1200  # pixels: larger pictures are reduced
MAX_PIXELS = 1 << 27  # of all frames; in colour they take 400 megabytes
PALETTES = ((64, 256), (24, 64))  # greys, or colours, of a GIF; the second if it is large
LARGE = 1_000_000  # bytes of a GIF
NEAR = 8  # levels: a channel this close to its end gets the end
PALETTE_FRAMES = 12  # from which the palette is chosen
HOLD = 1.5  # seconds for which the last frame stands
TEXT_SIZE = round(11 / 72 * figures.DPI)  # pixels: 11 points, as in figures
MARGIN = 6  # pixels around a text
WHITE = 255
MP4_SECONDS = 120  # until ffmpeg is stopped
# the conversion from RGB, and its name in the file: players guess another one from the size
BT709 = (
    *('-vf', 'scale=out_color_matrix=bt709:out_range=tv', '-color_range', 'tv'),
    *('-colorspace', 'bt709', '-color_primaries', 'bt709', '-color_trc', 'bt709'),
)


def save(
    path: pathlib.Path, frames: Sequence[np.ndarray], frames_per_second: int, hold: float = HOLD
) -> list[pathlib.Path]:
    """Writes pictures as NAME.gif and, if ffmpeg is on the PATH, as NAME.mp4.

    Pictures of other sizes than the largest get a white margin.

    Args:
      path: its suffix is replaced.
      frames: at least one picture.
      frames_per_second: from 1 to 50.
      hold: seconds for which the last frame stands, before the GIF starts again.

    Returns:
      The paths of the files.

    Raises:
      UserError: the GIF cannot be written.
    """
    frames = of_one_size(frames)
    paths = [path.with_suffix('.gif')]
    save_gif(paths[0], frames, frames_per_second, hold)
    program = ffmpeg()
    if program is None:
        log.info('no MP4: there is no ffmpeg on the PATH')
        return paths
    num_held = max(0, round(frames_per_second * hold) - 1)
    coded = _mp4(program, [*frames, *[frames[-1]] * num_held], frames_per_second)
    if coded is not None:
        paths.append(path.with_suffix('.mp4'))
        with files.whole(paths[1]) as file:
            file.write(coded)
    return paths


def save_gif(
    path: pathlib.Path, frames: Sequence[np.ndarray], frames_per_second: int, hold: float = HOLD
) -> None:
    """Writes pictures of one size as a GIF that repeats, with one palette for all frames.

    A GIF of more than `LARGE` bytes is coded again, with fewer colours.

    Raises:
      UserError: the file cannot be written.
    """
    durations = [round(1000 / frames_per_second)] * len(frames)
    durations[-1] = max(durations[-1], round(1000 * hold))
    for sizes in PALETTES:
        coded = _gif(_paletted(frames, *sizes), durations)
        if len(coded) <= LARGE:
            break
    with files.whole(path) as file:
        file.write(coded)


def _gif(images: list, durations: list[int]) -> bytes:
    """Returns the GIF of images of Pillow, each shown for its milliseconds."""
    options = dict(save_all=True, append_images=images[1:], loop=0, optimize=True)
    file = io.BytesIO()
    images[0].save(file, 'GIF', duration=durations, **options)
    return file.getvalue()


def _paletted(frames: Sequence[np.ndarray], num_greys: int, num_colours: int) -> list:
    """Returns images of Pillow with one palette: even greys, or colours of all frames."""
    from PIL import Image  # imported here: a run without pictures does not need it

    if all((frame == frame[..., :1]).all() for frame in frames):
        greys = np.linspace(0, WHITE, num_greys).round().astype(np.uint8)
        nearest = np.linspace(0, num_greys - 1, WHITE + 1).round().astype(int)
        return [Image.fromarray(greys[nearest[frame[..., 0]]]) for frame in frames]
    chosen = [frames[i] for i in evenly(len(frames), PALETTE_FRAMES)]
    several = Image.fromarray(np.concatenate([_coloured(frame) for frame in chosen]))
    plain = Image.Dither.NONE  # dots of dithering flicker, and they make the file larger
    found = several.quantize(num_colours, Image.Quantize.MEDIANCUT, dither=plain)
    colours = np.array(found.getpalette())
    # Pillow takes a colour close to the nearest one, so white needs a place of its own
    colours[colours > WHITE - NEAR] = WHITE
    colours[colours < NEAR] = 0
    palette = Image.new('P', (1, 1))
    palette.putpalette(colours.tolist())
    images = [Image.fromarray(_coloured(frame)) for frame in frames]
    return [image.quantize(palette=palette, dither=plain) for image in images]


def evenly(n: int, most: int) -> list[int]:
    """Returns at most `most` different indices of n, evenly spaced, the first and last included."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int)).tolist()


def reduced(picture: np.ndarray, num_frames: int = 1) -> np.ndarray:
    """Returns a picture that is too large for an animation of `num_frames` at a smaller size."""
    from PIL import Image

    height, width, channels = picture.shape
    side = min(MAX_SIDE, math.isqrt(MAX_PIXELS // num_frames))
    if max(height, width) <= side:
        return picture
    size = [max(1, round(length * side / max(height, width))) for length in (width, height)]
    image = Image.fromarray(picture[..., 0] if channels == 1 else picture)
    smaller = image.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(smaller).reshape(size[1], size[0], channels)


def of_one_size(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns pictures of one size: those that are smaller get a white margin."""
    height, width = (max(frame.shape[axis] for frame in frames) for axis in (0, 1))
    return [_on_white(frame, height, width) for frame in frames]


def beside(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Returns pictures side by side, in colour, on white."""
    height = max(picture.shape[0] for picture in pictures)
    gap = np.full((height, 2 * MARGIN, 3), WHITE, np.uint8)
    parts = [part for each in pictures for part in (gap, _on_white(_coloured(each), height))]
    return np.concatenate(parts[1:], axis=1)


def captioned(picture: np.ndarray, caption: str, is_above: bool = False) -> np.ndarray:
    """Returns a picture in colour with a line of text below or above it, widened if it must be."""
    from PIL import Image, ImageDraw

    text, font = escaped(caption), _font()
    width = max(picture.shape[1], math.ceil(font.getlength(text)) + 2 * MARGIN)
    strip = Image.new('RGB', (width, TEXT_SIZE + 2 * MARGIN), 'white')
    ImageDraw.Draw(strip).text((width / 2, strip.height / 2), text, 'black', font, anchor='mm')
    parts = [_on_white(_coloured(picture), picture.shape[0], width), np.asarray(strip)]
    return np.concatenate(parts[::-1] if is_above else parts)


@functools.cache
def _font():
    """Returns the font of figures, which matplotlib brings along."""
    import matplotlib  # slow import
    from PIL import ImageFont

    path = pathlib.Path(matplotlib.get_data_path(), 'fonts', 'ttf', 'DejaVuSans.ttf')
    return ImageFont.truetype(str(path), TEXT_SIZE)


def _coloured(picture: np.ndarray) -> np.ndarray:
    return np.broadcast_to(picture, (*picture.shape[:2], 3))


def _on_white(picture: np.ndarray, height: int, width: int = 0) -> np.ndarray:
    """Returns a picture in the middle of a white one of at least this size."""
    missing = height - picture.shape[0], max(width - picture.shape[1], 0)
    margins = [(each // 2, each - each // 2) for each in missing]
    return np.pad(picture, (*margins, (0, 0)), constant_values=WHITE)


def ffmpeg() -> str | None:
    """Returns the path of the program ffmpeg, or None.

    Folders of the PATH that are relative are left out: there, a file of a run could be started.
    """
    folders = os.environ.get('PATH', os.defpath).split(os.pathsep)
    return shutil.which('ffmpeg', path=os.pathsep.join(filter(os.path.isabs, folders)))


def _mp4(program: str, frames: Sequence[np.ndarray], frames_per_second: int) -> bytes | None:
    """Returns the MP4 that ffmpeg makes; None if it fails, which is logged."""
    height, width = frames[0].shape[0], frames[0].shape[1]
    height, width = height + height % 2, width + width % 2  # H.264 needs even sizes
    raw = b''.join(_on_white(_coloured(frame), height, width).tobytes() for frame in frames)
    with tempfile.TemporaryDirectory(prefix='atelier-') as folder:
        path = pathlib.Path(folder) / 'animation.mp4'
        command = [
            *(program, '-nostdin', '-loglevel', 'error', '-f', 'rawvideo', '-pix_fmt', 'rgb24'),
            *('-video_size', f'{width}x{height}', '-framerate', str(frames_per_second)),
            *('-i', 'pipe:0', '-an', *BT709, '-c:v', 'libx264', '-pix_fmt', 'yuv420p'),
            *('-movflags', '+faststart', '-y', str(path)),
        ]
        try:
            result = subprocess.run(command, input=raw, capture_output=True, timeout=MP4_SECONDS)
            if result.returncode == 0:
                return path.read_bytes()
            reason = result.stderr.decode(errors='replace').strip().split('\n')[0]
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = str(error)
    log.warning('no MP4: %s failed: %s', program, shortened_text(reason))
    return None
