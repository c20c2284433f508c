"""The section of a run's pictures: those of training, newest first, and those of the modes."""

import pathlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from atelier import files
from atelier.evaluation.pages.known import Known, command_line
from atelier.evaluation.pages.mode_numbers import numbers_of_modes
from atelier.report.page.html import Html, command, element, joined, text_of
from atelier.report.page.page import Limits, Section
from atelier.report.page.pictures import Pictures

OF_TRAINING = re.compile(r'(?!seed-)(.+)-(\d{5,})')  # name and step
NUM_STAGES = 4  # earlier pictures of a series that are shown smaller
STAGE_WIDTH = 150  # at which they are shown, about
MAX_TEXTS = 4
MAX_LETTERS = 1_500  # of a text


class Origin(Protocol):
    """What made a file: see `atelier.applications.Origin`."""

    description: str
    flags: list[str]


# (folder in the run, name of a file without its ending, names of config fields) -> what made it
OriginOf = Callable[[str, str, Collection[str]], Origin | None]


class Series(NamedTuple):
    """Pictures of one name, of several steps of training."""

    name: str
    paths: dict[int, pathlib.Path]  # by step, in order


def picture_section(
    known: Known, limits: Limits, pictures: Pictures, origin_of: OriginOf
) -> list[Section]:
    """Returns the sections of pictures, of texts and of numbers of modes that are not empty."""
    series, others = pictures_of(known.folder)
    newest = [_newest(each, pictures) for each in series]
    of_modes = [_of_mode(path, known, pictures, origin_of) for path in others]
    stages = [part for each in series for part in _stages(each, pictures)]
    parts = [
        _titled('Training', 'pictures', newest),
        joined(stages) if any(stages) else None,
        _titled('Results of modes', 'pictures', of_modes),
        pictures.remark(),
    ]
    sections = [
        Section('pictures', 'Pictures', joined(parts)),
        Section('texts', 'Texts', joined(_texts(known.folder))),
        Section('modes', 'Numbers of modes', joined(numbers_of_modes(known.folder, limits))),
    ]
    return [section for section in sections if section.body]


def newest_of_each(
    runs: Mapping[str, Known], pictures: Pictures, side_by_side: Sequence[pathlib.Path] = ()
) -> list[Section]:
    """Returns the section of the newest pictures of several runs, by their names: samples.

    A run without samples shows the first other picture that it has; one without any shows none.
    Pictures of the samples of all runs `side_by_side` stand before them.
    """
    together = [pictures.figure(path, path.stem, _path_of(path)) for path in side_by_side]
    figures, kinds = [], set()
    for name, run in runs.items():
        series, others = pictures_of(run.folder)
        paths = [[*each.paths.values()][-1] for each in series] or others
        if paths:
            kinds.add(series[0].name if series else 'pictures')
            title = element('b', text_of(name, 100))
            figures.append(pictures.figure(paths[0], name[:100], title, _path_of(paths[0])))
    kind = kinds.pop().replace('_', ' ') if len(kinds) == 1 else 'pictures'
    body = joined(
        [
            _titled('Samples side by side', 'pictures', together),
            _titled(f'Newest {text_of(kind, 60)}', 'pictures', figures),
            pictures.remark(),
        ]
    )
    return [Section('pictures', 'Pictures', body)] if body else []


def pictures_of(folder: pathlib.Path) -> tuple[list[Series], list[pathlib.Path]]:
    """Returns the series of training in a run's `samples`, and all other pictures of the run."""
    series: dict[str, dict[int, pathlib.Path]] = {}
    others = []
    for path in sorted((folder / 'samples').glob('*.png')):
        match = OF_TRAINING.fullmatch(path.stem)
        if match:
            series.setdefault(match[1], {})[int(match[2])] = path
        else:
            others.append(path)
    for ending in ('png', 'gif'):
        others += sorted((folder / 'applications').glob(f'*.{ending}'))
    ordered = sorted(series, key=lambda name: (name != 'samples', name))
    return [Series(name, dict(sorted(series[name].items()))) for name in ordered], others


def _titled(title: str, class_: str, figures: list[Html | None]) -> Html | None:
    shown = [figure for figure in figures if figure]
    if not shown:
        return None
    return joined([element('h3', title), element('div', *shown, class_=class_)])


def _newest(series: Series, pictures: Pictures) -> Html | None:
    step, path = [*series.paths.items()][-1]
    title = f'{series.name.replace("_", " ")}, step {step:,}'
    caption = [element('b', text_of(title, 100)), 'written during training: ', _path_of(path)]
    return pictures.figure(path, title, *caption)


def _stages(series: Series, pictures: Pictures) -> list[Html]:
    """Returns earlier pictures of a series, smaller."""
    steps = stages_of([*series.paths])
    shown = [
        pictures.figure(
            series.paths[step],
            f'{series.name}, step {step:,}',
            element('b', f'step {step:,}'),
            width=STAGE_WIDTH,
        )
        for step in steps
    ]
    shown = [figure for figure in shown if figure]
    if not shown:
        return []
    title = element('h3', f'Earlier {text_of(series.name.replace("_", " "), 60)}')
    return [title, element('div', *shown, class_='stages')]


def stages_of(steps: list[int]) -> list[int]:
    """Returns at most `NUM_STAGES` of some steps before the last: the first, and others whose
    ratios are about equal up to the last.
    """
    *earlier, last = steps
    if len(earlier) <= NUM_STAGES:
        return earlier
    low = max(1, steps[0])
    wanted = [low * (last / low) ** (i / NUM_STAGES) for i in range(NUM_STAGES)]
    return sorted({min(earlier, key=lambda step: abs(step - each)) for each in wanted})


def _of_mode(
    path: pathlib.Path, known: Known, pictures: Pictures, origin_of: OriginOf
) -> Html | None:
    origin = origin_of(path.parent.name, path.stem, [*known.config])
    caption = [element('b', origin.description if origin else text_of(path.stem, 100))]
    caption.append(_path_of(path))
    if origin and origin.flags:
        flags = [origin.flags[0], f'--workdir={known.name}', *origin.flags[1:]]
        caption.append(command(command_line(*flags)))
    return pictures.figure(path, path.stem[:100], *caption)


def _path_of(path: pathlib.Path) -> Html:
    return element('code', text_of(f'{path.parent.name}/{path.name}', 120))


def _texts(folder: pathlib.Path) -> list[Html]:
    """Returns the start of each text that was sampled: the newest of training, and of the modes."""
    of_training = sorted((folder / 'samples').glob('samples-*.txt'))[-1:]
    others = [*(folder / 'samples').glob('seed-*.txt'), *(folder / 'applications').glob('*.txt')]
    shown = []
    for path in [*of_training, *sorted(others)][:MAX_TEXTS]:
        try:
            with files.open_regular(path) as file:
                text = file.read(4 * MAX_LETTERS).decode(errors='replace')
        except OSError:
            continue
        cut = text[:MAX_LETTERS].rstrip() + (' ...' if len(text) > MAX_LETTERS else '')
        shown += [element('h3', _path_of(path)), element('pre', cut, class_='text', tabindex=0)]
    return shown
