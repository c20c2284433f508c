"""Maps of an anomaly score, laid over the most anomalous images."""

import pathlib

import numpy as np

from atelier.applications import _common
from atelier.data.dataset import Dataset
from atelier.data.spec import Spec
from atelier.errors import shortened_text
from atelier.evaluation.examples.score_maps import ScoreMaps, score_maps
from atelier.report import heat_maps, image_grids
from atelier.report.figure_text import figure_text
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
    parts = [maps] if of_picture is None else [of_picture, maps]
    shades = image_grids.shades(np.concatenate([part.x for part in parts]), spec)
    terms = np.concatenate([part.terms for part in parts]).reshape(shades.shape).sum(-1)
    sums = [f'sum {each.sum():.1f}' for each in terms]
    title = f'The most anomalous test images, and below them their pixels:\n{maps.description}'
    label = f'{maps.unit} per pixel'
    figure = heat_maps.maps_figure(shades, terms, captions, sums, label, title)
    _common.draw_figure(path, figure)
