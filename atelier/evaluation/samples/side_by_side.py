"""Pictures of the samples of several runs side by side: a panel for each run, the data first."""

import pathlib
import re
from collections.abc import Mapping
from typing import Any

from atelier.errors import writing
from atelier.evaluation.samples.saved_samples import SavedSamples, read_samples
from atelier.log import counted, log
from atelier.report import figures
from atelier.report.views.choose import view_of
from atelier.report.views.image_view import IMAGES
from atelier.report.views.point_view import POINTS
from atelier.report.views.view import DATA, Picture, Sets

MAX_RUNS = 24
# runs of a picture in which each has panels of its own, and in which all are drawn over each other
IN_PANELS, OVER_EACH_OTHER = 8, 3
NUM_IMAGES = 36  # of a panel
PICTURE = re.compile('compare-samples(-[0-9]+)?[.]png')
Runs = Mapping[str, tuple[pathlib.Path, dict[str, Any]]]  # folder and config.json by name


def save_samples(runs: Runs, target: pathlib.Path) -> list[pathlib.Path]:
    """Draws the samples in the folders of runs: compare-samples.png, -2.png, ... in `target`.

    Runs on the same data share a picture, or several if there are many. The log names the command
    that writes the samples of a run that has none.

    Raises:
      UserError: a picture cannot be written.
    """
    _remove_earlier(target)
    read = {name: read_samples(folder, record) for name, (folder, record) in runs.items()}
    for name, (folder, record) in runs.items():
        if read[name] is None and record['values']['data']['name'] != 'text':
            message = 'no picture has samples of %s: --mode=sample --workdir=%s writes some'
            log.info(message + ', if the model has a sampler', name, folder)
    found = [(name, samples) for name, samples in read.items() if samples is not None]
    if len(found) > MAX_RUNS:
        log.info('samples of %s left out', counted(len(found) - MAX_RUNS, 'more run'))
    groups = by_data(dict(found[:MAX_RUNS]))
    pictures = [part for group in groups for part in parts_of(group)]
    if pictures:
        with writing(target):
            target.mkdir(parents=True, exist_ok=True)
    paths = []
    for i, part in enumerate(pictures, 1):
        paths.append(target / ('compare-samples.png' if i == 1 else f'compare-samples-{i}.png'))
        where = f' on {next(iter(part.values())).data_name}' if len(groups) > 1 else ''
        figures.save_picture(paths[-1], picture_of(part, where))
        log.info('figure: %s', paths[-1])
    return paths


def _remove_earlier(target: pathlib.Path) -> None:
    """Removes pictures of an earlier comparison, which may have been of more runs."""
    with writing(target):
        for path in target.glob('compare-samples*.png'):
            if PICTURE.fullmatch(path.name):
                path.unlink()


def by_data(samples: Mapping[str, SavedSamples]) -> list[dict[str, SavedSamples]]:
    """Returns the runs in groups of the same data, in order."""
    groups: dict[tuple, dict[str, SavedSamples]] = {}
    for name, each in samples.items():
        key = each.data_name, each.spec.format, each.spec.draw_as, each.fingerprint
        groups.setdefault(key, {})[name] = each
    return [*groups.values()]


def parts_of(samples: Mapping[str, SavedSamples]) -> list[dict[str, SavedSamples]]:
    """Returns runs on the same data in as many parts as they need pictures."""
    spec = next(iter(samples.values())).spec
    has_panels = view_of(spec) is IMAGES or (view_of(spec) is POINTS and spec.num_dims == 2)
    n, items = IN_PANELS if has_panels else OVER_EACH_OTHER, [*samples.items()]
    return [dict(items[i : i + n]) for i in range(0, len(items), n)]


def picture_of(samples: Mapping[str, SavedSamples], where: str = '') -> Picture:
    """Returns the picture of runs on the same data; `where` ends the title's first part."""
    spec = next(iter(samples.values())).spec
    title = f'Samples of {counted(len(samples), "run")}{where}'
    if any(each.are_means for each in samples.values()):
        title += ' (means of x given z, where a model has z)'
    return view_of(spec).samples(sets_of(samples), spec, title)


def sets_of(samples: Mapping[str, SavedSamples]) -> Sets:
    """Returns the sets of a picture: the data first, then the samples of each run."""
    data = next((each.data for each in samples.values() if each.data is not None), None)
    spec = next(iter(samples.values())).spec
    n = NUM_IMAGES if view_of(spec) is IMAGES else None
    named = {f'run {DATA}' if name == DATA else name: each.x[:n] for name, each in samples.items()}
    return named if data is None else {DATA: data[:n], **named}
