"""Maps of an anomaly score, laid over the most anomalous images."""

import pathlib

import numpy as np

from atelier.applications import _common
from atelier.data.dataset import Dataset
from atelier.data.spec import Spec
from atelier.errors import shortened_text
from atelier.evaluation.examples.score_maps import ScoreMaps, score_maps
from atelier.report import figures, heat_maps, image_grids
from atelier.report.figure_text import figure_text, title_lines
from atelier.report.views.choose import view_of
from atelier.run.restore import TrainedRun

MAX_NAME = 15  # letters of a class
MAX_MAPS = 6  # images side by side; an image of the user's own may come before them


def most_anomalous(
    trained: TrainedRun, score: str, index: np.ndarray, picture: Dataset | None
) -> tuple[ScoreMaps | None, ScoreMaps | None]:
    """Returns the maps of the test examples at `index`, and of the picture, if there is one.

    Both are None if the data are not images, or if the score is no sum over pixels.
    """
    view = view_of(trained.run.data.spec)
    if view is None or view.is_among_data:
        return None, None
    maps = score_maps(trained, trained.run.data, score, index[:MAX_MAPS])
    of_picture = picture and score_maps(trained, picture, score, np.arange(1))
    return maps, of_picture


def arrays_of(
    maps: ScoreMaps | None, of_picture: ScoreMaps | None, index: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns what the .npz has of the maps: mapped [n], score_map [n, *event], picture_map."""
    arrays = {}
    if maps is not None:
        arrays |= {'mapped': index[: len(maps.terms)], 'score_map': maps.terms}
    if of_picture is not None:
        arrays['picture_map'] = of_picture.terms[0]
    return arrays


def captions_of(arrays: dict[str, np.ndarray], spec: Spec) -> list[str]:
    """Returns the caption of each mapped image: its test index, its class and its score."""
    captions = []
    for index in arrays['mapped']:
        lines = [f'test {index}']
        if 'label' in arrays:
            name = figure_text(
                shortened_text(spec.class_name(int(arrays['label'][index])), MAX_NAME)
            )
            lines.append(name if spec.class_names else f'class {name}')
        captions.append('\n'.join([*lines, f'score {arrays["score"][index]:.1f}']))
    if 'picture_map' in arrays:
        captions.insert(0, f'the picture\nscore {arrays["picture_score"]:.1f}')
    return captions


@figures.style()
def save_figure(
    path: pathlib.Path,
    maps: ScoreMaps,
    of_picture: ScoreMaps | None,
    captions: list[str],
    spec: Spec,
) -> None:
    """Draws the images, below them their maps over them, and a bar of the map's colours.

    Raises:
      UserError: the file cannot be written.
    """
    from matplotlib.figure import Figure  # slow import, which other modes do not need

    parts = [maps] if of_picture is None else [of_picture, maps]
    x = np.concatenate([part.x for part in parts])
    shades = image_grids.shades(x, spec)
    terms = np.concatenate([part.terms for part in parts]).reshape(shades.shape).sum(-1)
    n, height = len(x), 1.25 * shades.shape[1] / shades.shape[2]
    figure = Figure(figsize=(max(1.25 * n, 4) + 1.2, 2 * height + 1.3), layout='constrained')
    rows = figure.subplots(2, n, squeeze=False)
    low, high = _limits(terms)
    for i in range(n):
        heat_maps.show_image(rows[0, i], shades[i])
        rows[0, i].set_title(captions[i], fontsize='small')
        shown = heat_maps.show_over(rows[1, i], shades[i], terms[i], low, high)
        rows[1, i].set_title(f'sum {terms[i].sum():.1f}', fontsize='small')
    figure.colorbar(shown, ax=rows, label=f'{maps.unit} per pixel', extend='max', shrink=0.8)
    title = f'Most anomalous test examples, and by pixel:\n{maps.description}'
    figure.suptitle(title_lines(title, figure.get_figwidth()))
    _common.draw_figure(path, figure)


def _limits(terms: np.ndarray) -> tuple[float, float]:
    """Returns the ends of the colours: the highest is that of all but 1 % of the pixels."""
    finite = terms[np.isfinite(terms)]
    if not len(finite):
        return 0.0, 1.0
    return min(0.0, float(finite.min())), max(float(np.quantile(finite, 0.99)), 1e-12)
