"""Makes the pictures of docs/gallery: runs the commands of its page and copies their pictures.

    python -m benchmarks.gallery
    python -m benchmarks.gallery --sections=Samples,Denoising

The commands stand in docs/gallery/README.md, in its order; a run that is finished is not trained
again. docs/gallery/pictures.json says which file of a run each picture is; `*` stands for a
checksum. Sections whose data are not there are left out, which is said. So are those that were not
made within --seconds; the same command continues their runs. A copy has at most 256 colours, and is
no wider than `MAX_WIDTH`.
"""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
from collections.abc import Callable

from absl import app, flags
from PIL import Image

from atelier import checkout, files
from benchmarks import outcome

flags.DEFINE_list('sections', [], 'headings of the page; all by default')
flags.DEFINE_string('runs_in', '.', 'folder in which the commands make runs/')

GALLERY = checkout.ROOT / 'docs' / 'gallery'
MAX_WIDTH = 1200  # pixels
MAX_COLOURS = 256


def sections(page: str) -> dict[str, str]:
    """Returns the text below each second-level heading of a Markdown page."""
    _, *parts = re.split(r'^## (.+)$', page, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def commands(text: str) -> list[list[str]]:
    """Returns the arguments of each `python ...` in the indented blocks of a text."""
    joined = re.sub(r'\\\n\s+', '', text)
    return [shlex.split(line) for line in re.findall(r'^    python (.+)$', joined, re.M)]


def pictures(text: str) -> list[str]:
    """Returns the names of the pictures that a text of the page shows, without other folders."""
    return re.findall(r'!\[[^\]]*\]\(([\w.-]+)\)', text)


def copy(source: pathlib.Path, target: pathlib.Path) -> None:
    """Writes a copy of a picture with few colours; an animation is copied as it is.

    Raises:
      UserError: the file cannot be written.
    """
    if source.suffix == '.gif':
        with files.whole(target) as file:
            file.write(source.read_bytes())
        return
    image = Image.open(source, formats=['PNG'])
    if image.width > MAX_WIDTH:
        image = image.resize((MAX_WIDTH, round(image.height * MAX_WIDTH / image.width)))
    image = image if image.mode == 'L' else image.convert('RGB').quantize(MAX_COLOURS)
    with files.whole(target) as file:
        image.save(file, 'PNG', optimize=True)


def make(
    text: str,
    sources: dict[str, str],
    folder: pathlib.Path,
    timeout: Callable[[], float | None] = lambda: None,
) -> str:
    """Makes the pictures of a section; returns why it failed, or ''.

    Raises:
      subprocess.TimeoutExpired: a command took longer than the seconds that `timeout` returns.
    """
    environment = {**os.environ, 'PYTHONPATH': str(checkout.ROOT)}
    for arguments in commands(text):
        main = [str(checkout.ROOT / 'main.py')] if arguments[0] == 'main.py' else arguments[:1]
        command = [sys.executable, *main, *arguments[1:]]
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout(),
        )
        if done.returncode:
            return f'{shlex.join(arguments)}: {done.stderr.strip().splitlines()[-1]}'
    for name in pictures(text):
        found = sorted(folder.glob(sources[name]))
        if len(found) != 1:
            return f'{len(found)} files are {sources[name]}'
        copy(found[0], GALLERY / name)
    return ''


def main(argv: list[str]) -> None:
    """Makes the sections that --sections names; exits with the number of those that failed."""
    del argv
    chosen = flags.FLAGS.sections
    parts = sections((GALLERY / 'README.md').read_text())
    unknown = {*chosen} - {*parts}
    if unknown:
        raise app.UsageError(f'--sections={",".join(unknown)}: the page has {", ".join(parts)}')
    sources = json.loads((GALLERY / 'pictures.json').read_text())
    folder = pathlib.Path(flags.FLAGS.runs_in).resolve()
    result, num_failed = outcome.Outcome.of_flags('gallery'), 0
    for heading in chosen or parts:
        try:
            reason = make(parts[heading], sources, folder, result.timeout)
        except subprocess.TimeoutExpired:
            result.add_arm(heading, [])
            print(f'{heading}: time was up')
            continue
        num_failed += bool(reason)
        result.add_arm(heading, [] if reason else [1], 'made', failure=reason)
        print(f'{heading}: {reason or "made"}', flush=True)
    result.write()
    sys.exit(min(num_failed, 1))


if __name__ == '__main__':
    outcome.run(main)
