"""Figures of anomaly scores: their histogram, and the examples at their ends."""

import math
import pathlib

import numpy as np

from atelier.applications import _common, _pictures
from atelier.data.classes import described
from atelier.errors import shortened_text
from atelier.evaluation.samples.sampling import preprocessed
from atelier.log import counted
from atelier.report import figures, image_grids
from atelier.report.figure_text import figure_text, title_lines
from atelier.report.views.choose import view_of
from atelier.report.views.view import Picture, View
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

MAX_BINS = 60
WIDTH_OF_PANEL = 2.8  # of the images, in inches
MAX_NAME = 60  # letters in the legend


def draw(
    path: pathlib.Path,
    trained: TrainedRun,
    arrays: dict[str, np.ndarray],
    num_examples: int,
    description: str,
    outliers: str,
) -> None:
    """Draws the histogram of scores, and the most anomalous examples.

    Images stand beside the histogram. Other data have a second figure, among test data.

    Args:
      path: of the histogram; the second figure is NAME-most.png.
      trained: the run.
      arrays: those of `anomaly.apply`.
      num_examples: most examples to show of each kind.
      description: of the score, the name of the axis.
      outliers: name of the data set that the test split is compared with, or ''.

    Raises:
      UserError: a file cannot be written.
    """
    view = view_of(trained.run.data.spec)
    is_beside = view is not None and not view.is_among_data
    panels = _panels(trained, arrays, num_examples) if is_beside else {}
    _save_histogram(path, trained.run, arrays, panels, description, outliers)
    if view is not None and view.is_among_data:
        picture = _most_anomalous(trained, view, arrays, num_examples)
        _common.save_picture(path.with_name(f'{path.stem}-most.png'), picture)


def left_out(run: Run) -> str:
    """Returns the names of the classes that training left out."""
    return described(run.data.spec, run.data.spec.left_out)


def _panels(
    trained: TrainedRun, arrays: dict[str, np.ndarray], num_images: int
) -> dict[str, np.ndarray]:
    """Returns {title: preprocessed images [images, *event]}."""
    run = trained.run
    index, score, x = arrays['index'], arrays['score'], run.data.splits['test']['x']
    panels = {}
    for end, rows in (('Most', index[:num_images]), ('Least', index[::-1][:num_images])):
        first, last = score[rows[[0, -1]]]
        title = f'{end} anomalous test examples\n{first:.4g} to {last:.4g}'
        panels[title] = preprocessed(run, trained.state, trained.devices, x[rows])
    if 'picture' in arrays:
        panels['The picture'] = arrays['picture'][None]
    return panels


def _most_anomalous(
    trained: TrainedRun, view: View, arrays: dict[str, np.ndarray], num_examples: int
) -> Picture:
    """Returns the most anomalous examples among test data."""
    run, index = trained.run, arrays['index'][:num_examples]
    x = preprocessed(run, trained.state, trained.devices, run.data.splits['test']['x'][index])
    score = arrays['score'][index]
    captions = [
        f'row {row}: {each:.4g}' for row, each in zip(arrays['row'][index], score, strict=True)
    ]
    which = counted(len(index), 'most anomalous test example')
    title = f'{which}: scores {score[0]:.4g} to {score[-1]:.4g}'
    return view.ranked(x, captions, run.data.spec, title, _pictures.among(trained))


@figures.style()
def _save_histogram(
    path: pathlib.Path,
    run: Run,
    arrays: dict[str, np.ndarray],
    panels: dict[str, np.ndarray],
    description: str,
    outliers: str,
) -> None:
    """Draws the histogram of scores, with the images beside it."""
    from matplotlib.figure import Figure  # slow import, which other modes do not need

    width, scale = 4.2 if panels else 6.4, WIDTH_OF_PANEL
    figure = Figure(figsize=(width + scale * len(panels), 4.0), layout='constrained')
    figure.get_layout_engine().set(h_pad=0.1)  # inches: else titles of images are cut
    widths = [width, *[scale] * len(panels)]
    score_axes, *image_axes = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0]
    _histogram(score_axes, run, arrays, outliers)
    label = title_lines(description, width)
    score_axes.set(title='Scores', xlabel=label, ylabel='share of the examples')
    handles, names = score_axes.get_legend_handles_labels()
    if len(handles) > 1:
        figures.legend_below(figure, handles, names)
    for axes, (title, x) in zip(image_axes, panels.items(), strict=True):
        image_grids.show(axes, image_grids.grid(x, run.data.spec), [''], [''])
        axes.set(title=title)
    _common.draw_figure(path, figure)


def _histogram(axes, run: Run, arrays: dict[str, np.ndarray], outliers: str) -> None:
    """Draws a histogram of the finite scores of each group of examples, normalized to 1."""
    novel = arrays['is_novel']
    kinds = {'test examples': arrays['score'][~novel]}
    if novel.any():
        kinds[f'of classes left out ({left_out(run)})'] = arrays['score'][novel]
    if 'outlier_score' in arrays:
        kinds[outliers] = arrays['outlier_score']
    kinds = {name: scores[np.isfinite(scores)] for name, scores in kinds.items()}
    finite = np.concatenate([*kinds.values()])
    edges = np.histogram_bin_edges(finite, min(MAX_BINS, 1 + math.isqrt(len(finite))))
    for i, (name, scores) in enumerate(kinds.items()):
        shares = np.full(len(scores), 1 / max(len(scores), 1))
        colour, label = figures.colour(i), figure_text(shortened_text(name, MAX_NAME))
        axes.hist(scores, edges, weights=shares, alpha=0.5, color=colour, label=label)
    if 'picture_score' in arrays and np.isfinite(arrays['picture_score']):
        axes.axvline(arrays['picture_score'], color='black', linestyle='--', label='the picture')
