"""Draws the latent space in a plane: test codes, and a grid of decoded examples."""

import pathlib
from typing import NamedTuple

import jax
import numpy as np
from jax.scipy.special import ndtri
from jaxtyping import Float

from atelier.applications import _common, _latent_grid_figure, _pictures
from atelier.applications._application import DECODE, ENCODE, Application
from atelier.core.family import codes_of, is_class_conditional
from atelier.core.randomness import Stream, key_for
from atelier.data.classes import option_of
from atelier.data.spec import Spec
from atelier.errors import UserError, about, shortened_text
from atelier.evaluation.codes.encoding import codes_from_prior, decoded, encoded, split_codes
from atelier.evaluation.latents.pca import principal_components
from atelier.evaluation.samples.sampling import check_labels
from atelier.log import counted, log
from atelier.report import figures, image_grids
from atelier.report.figure_text import figure_text, title_lines
from atelier.report.views import drawing
from atelier.report.views.choose import view_of
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (ENCODE, DECODE)
NUM_PRIOR_CODES = 10_000  # codes drawn from a prior, for its quantiles
PANEL = (5.0, 4.8)  # inches
MAX_NAME = 16  # letters of a class
MARKER = 8  # area of a point, in square points
MAX_LEGEND_CLASSES = 20  # above this many classes a colour bar replaces the legend


class Plane(NamedTuple):
    """A projection of codes to two dimensions: origin + u axes[0] + v axes[1].

    origin: [latent].
    axes: [2, latent], orthonormal; the second is zero if codes have one dimension.
    shares: [2], the fraction of the codes' variance along each axis.
    """

    origin: np.ndarray
    axes: np.ndarray
    shares: np.ndarray


def apply(run: Run, num_points: int = 15, label: int | str = 0) -> dict[str, np.ndarray]:
    """Encodes the whole test split, and decodes a grid over the plane of its codes.

    Codes of at most two dimensions are plotted directly. Otherwise the plane passes through their
    mean and is spanned by their first two principal components. The grid does not show codes
    outside the plane.

    The grid points are the quantiles (i + 1/2) / num_points of the prior along each axis, as in
    figure 4 of Kingma and Welling (2014). A family with a `posterior` has the prior N(0, I). Under
    it, the coordinate (z - origin) . axis is N(-origin . axis, 1). For codes of two dimensions this
    is a standard normal, because the origin is 0. For any other `prior`, the quantiles are those of
    NUM_PRIOR_CODES codes projected to the plane. Without a prior, the grid spans the codes evenly.

    If a code has several parts, the map shows z_1, which `decode` reads. If codes end in a one-hot
    class, the grid is decoded for the class `label`.

    Args:
      run: of a family with `encode` and `decode`.
      num_points: number of grid points along each axis.
      label: class of the grid, by number or name, for a class-conditional model.

    Returns:
      codes [n, latent], z_1 of the test split as `encode` returns it; plane [n, 2], their
      coordinates in the plane; file and row [n], where the examples came from; label [n] if the
      data have labels; origin [latent], axes [2, latent]
      and shares [2] of the variance; u and v [num_points], coordinates of the grid; and x
      [num_points, num_points, *event] with v along the first axis.

    Raises:
      UserError: a missing checkpoint, an invalid option, or too few examples.
    """
    _common.at_least(1, num_points=num_points)
    _common.check_outputs(run, factor=num_points, num_points=num_points)
    _common.check_split(run, 'test', 2, 'there is nothing to map')
    label = option_of(run.data.spec, 'label', label)
    if label == 0 and run.data.spec.left_out:
        label = run.data.spec.known_classes[0]  # the default may have no training example
    _check_label(run, label)
    trained = restore.load(run)
    arrays = compute(trained, num_points, label)
    name, position = 'latent_map', _grid_position(run)
    if is_class_conditional(run.family):
        name, position = (
            f'latent_map-of-{label}',
            f'{position}, as class {shortened_text(run.data.spec.class_name(label), MAX_NAME)}',
        )
    description = _axes_description(arrays['shares'], arrays['origin'].size)
    codes = counted(len(arrays['codes']), 'code')
    message = '%s of the %s: %s; grid points %s'
    log.info(message, codes, trained.weights, description, position)
    changed = _common.changed_options(apply, num_points=num_points)
    path = _common.save(trained, f'{name}{changed}', arrays)
    examples = figure_text(_common.described_examples(run))
    _save_figure(run, arrays, f'Codes of {examples}\n{description}', position, path)
    _save_grid(trained, arrays, position, path)
    return arrays


def compute(trained: TrainedRun, num_points: int, label: int) -> dict[str, np.ndarray]:
    """Projects the test codes and decodes a grid; returns the arrays of `apply`."""
    run, split = trained.run, trained.run.data.splits['test']
    all_codes, _ = encoded(run, trained.state, split, trained.devices)
    codes, rest = split_codes(run.family, all_codes)
    plane = _plane(codes)
    projected = (codes - plane.origin) @ plane.axes.T
    u, v = _ticks(trained, plane, projected, num_points)
    grid = plane.origin + u[:, None] * plane.axes[0] + v[:, None, None] * plane.axes[1]
    x = decoded(run, trained.state, _full_codes(run, grid, rest.shape[1], label), trained.devices)
    arrays = {'codes': codes, 'plane': projected, **plane._asdict(), 'u': u, 'v': v, 'x': x}
    return {**arrays, **_common.origins_of(run)}


def _plane(codes: np.ndarray) -> Plane:
    """Returns the plane of codes of up to two dimensions, or of two principal components."""
    latent = codes.shape[1]
    if latent > 2:
        components = principal_components(codes)
        return Plane(components.origin, components.axes[:2], components.shares[:2])
    variance = np.pad(codes.var(0, np.float64), (0, 2 - latent))
    shares = variance / max(variance.sum(), 1e-300)
    return Plane(np.zeros(latent), np.eye(2, latent), shares)


def _ticks(
    trained: TrainedRun, plane: Plane, projected: np.ndarray, n: int
) -> Float[np.ndarray, '2 n']:
    """Returns the grid's coordinates along both axes; `_grid_position` describes them."""
    run, quantiles = trained.run, (np.arange(n) + 0.5) / n
    if codes_of(run.family).posterior is not None:
        standard = np.asarray(ndtri(quantiles), np.float64)
        return standard - (plane.axes @ plane.origin)[:, None]
    if codes_of(run.family).prior is not None:
        key = key_for(jax.random.PRNGKey(0), Stream.SAMPLE)
        prior_codes = codes_from_prior(run, trained.state, key, NUM_PRIOR_CODES, trained.devices)
        prior_codes, _ = split_codes(run.family, prior_codes)
        return np.quantile((prior_codes - plane.origin) @ plane.axes.T, quantiles, axis=0).T
    return np.linspace(projected.min(0), projected.max(0), n, axis=1)


def _grid_position(run: Run) -> str:
    if codes_of(run.family).posterior is not None:
        return 'at quantiles of the N(0, I) prior'
    if codes_of(run.family).prior is not None:
        return f'at quantiles of {NUM_PRIOR_CODES:,} codes of the prior'
    return 'over the extent of the codes'


def _check_label(run: Run, label: int) -> None:
    """Checks that a class-conditional model knows the class, and that no other model gets one.

    Raises:
      UserError: the model does not know the class, or takes none.
    """
    if is_class_conditional(run.family):
        with about(f'--label={label}'):
            check_labels(run, [label])
    elif label != 0:
        raise UserError(f'--label={label}: this model is not class-conditional, give no --label')


def _full_codes(run: Run, grid: np.ndarray, dims: int, label: int) -> np.ndarray:
    """Appends `dims` values to z_1 on the grid: the one-hot class, or zeros that nothing reads."""
    rest = np.zeros((*grid.shape[:-1], dims))
    if is_class_conditional(run.family):
        rest[..., label] = 1
    return np.concatenate([grid, rest], -1)


def _axes_description(shares: np.ndarray, latent: int) -> str:
    if latent <= 2:
        return f'{counted(latent, "dimension")}, plotted directly'
    first, second = 100 * shares
    return (
        f'2 principal components of {latent} dimensions, {first:.0f} % and {second:.0f} % of '
        'the variance'
    )


@figures.style()
def _save_figure(
    run: Run, arrays: dict[str, np.ndarray], title: str, position: str, path: pathlib.Path
) -> None:
    """Draws the codes on the left and, for images, the decoded grid on the right."""
    spec = run.data.spec
    has_grid = image_grids.is_drawn_as_image(spec)
    figure, panels = figures.panels(1 + has_grid, size=PANEL)
    names = _axis_names(arrays)
    _scatter(figure, panels[0], arrays, spec)
    panels[0].set(title=title_lines(title, PANEL[0]), xlabel=names[0], ylabel=names[1])
    if has_grid:
        x, n = arrays['x'][::-1], len(arrays['u'])  # v points upwards
        image = image_grids.grid(x.reshape(-1, *spec.event_shape), spec, n)
        image_grids.show_scaled(panels[1], image, arrays['u'], arrays['v'])
        title = figure_text(_grid_title(arrays, position))
        panels[1].set(title=title_lines(title, PANEL[0]), xlabel=names[0], ylabel=names[1])
    _common.draw_figure(path, figure)


def _axis_names(arrays: dict[str, np.ndarray]) -> tuple[str, str]:
    noun = 'dimension' if arrays['codes'].shape[1] <= 2 else 'principal component'
    return f'{noun} 1', f'{noun} 2'


def _grid_title(arrays: dict[str, np.ndarray], position: str) -> str:
    suffix = ', through the mean code' if arrays['codes'].shape[1] > 2 else ''
    return f'Decoded from the plane, {position}{suffix}'


def _save_grid(
    trained: TrainedRun, arrays: dict[str, np.ndarray], position: str, path: pathlib.Path
) -> None:
    """Draws the decoded grid of data that are not images, in a second figure."""
    spec = trained.run.data.spec
    view = view_of(spec)
    if view is None:
        log.info('the decoded grid has no figure: the data are texts')
    if view is None or not view.is_among_data:
        return
    title = _grid_title(arrays, position)
    grid = _latent_grid_figure.Grid(
        *(arrays[name] for name in ('u', 'v', 'x')), _axis_names(arrays), title
    )
    picture = _latent_grid_figure.picture(view, grid, spec, _pictures.test_data(trained)[0])
    _common.save_picture(path.with_name(f'{path.stem}-grid.png'), picture)


def _scatter(figure, axes, arrays: dict[str, np.ndarray], spec: Spec) -> None:
    """Plots a point per code, coloured by class."""
    u, v = arrays['plane'].T
    axes.set_aspect('equal', 'datalim')
    axes.grid(True)
    figures.few_ticks(axes)
    if 'label' not in arrays:
        axes.scatter(u, v, s=MARKER, color=figures.colour(0))
        return
    label, num_classes = arrays['label'], spec.num_classes
    if num_classes > MAX_LEGEND_CLASSES:
        figures.colour_bar(figure, axes.scatter(u, v, s=MARKER, c=label), axes, label='class')
        return
    for i in range(num_classes):
        is_class, name = label == i, drawing.name(spec.class_name(i), MAX_NAME)
        colour, marker = figures.colour(i), figures.marker(i)
        axes.scatter(u[is_class], v[is_class], MARKER, colour, marker=marker, label=name)
    axes.legend(title='class', loc='upper left', bbox_to_anchor=(1, 1), markerscale=1.5)


APPLICATION = Application(apply, NEEDS, reads='it encodes the test split', only_test=True)
