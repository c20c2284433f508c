"""Draws the latent space in a plane: test codes, and a grid of decoded examples."""

import pathlib
from typing import NamedTuple

import jax
import numpy as np
from jax.scipy.special import ndtri
from jaxtyping import Float

from atelier.applications import _common, _latent_grid_figure, _pictures
from atelier.applications._application import DECODE, ENCODE, Application
from atelier.applications._codes_figure import Numbers, scatter
from atelier.applications._example_condition import example_condition
from atelier.applications._property import Property, property_of
from atelier.core.family import codes_of
from atelier.core.randomness import Stream, key_for
from atelier.data.classes import option_of
from atelier.errors import UserError, shortened_text
from atelier.evaluation.codes.encoding import codes_from_prior, decoded, encoded, split_codes
from atelier.evaluation.latents.pca import principal_components
from atelier.log import counted, log
from atelier.report import figures, image_grids, texts
from atelier.report.figure_text import figure_text, number, title_lines
from atelier.report.views.choose import view_of
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (ENCODE, DECODE)
NUM_PRIOR_CODES = 10_000  # codes drawn from a prior, for its quantiles
PANEL = (5.0, 4.8)  # inches
MAX_NAME = 16  # letters of a class


class Plane(NamedTuple):
    """A projection of codes to two dimensions: origin + u axes[0] + v axes[1].

    origin: [latent].
    axes: [2, latent], orthonormal; the second is zero if codes have one dimension.
    shares: [2], the fraction of the codes' variance along each axis.
    """

    origin: np.ndarray
    axes: np.ndarray
    shares: np.ndarray


def apply(
    run: Run, num_points: int = 15, label: int | str = 0, by: str = ''
) -> dict[str, np.ndarray]:
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
    class, the grid is decoded for the class `label`. If they end in a condition, it is decoded for
    the first condition that the spec has as an example of those of training.

    Args:
      run: of a family with `encode` and `decode`.
      num_points: number of grid points along each axis.
      label: class of the grid, by number or name, for a model whose codes end in a class.
      by: number of an example by which the codes are coloured: length, of items (texts that end),
        or your own function, FILE.py:FUNCTION, of the text of an item or of x. Empty: colours tell
        classes.

    Returns:
      codes [n, latent], z_1 of the test split as `encode` returns it; plane [n, 2], their
      coordinates in the plane; file and row [n], where the examples came from; label [n] if the
      data have labels; origin [latent], axes [2, latent]
      and shares [2] of the variance; u and v [num_points], coordinates of the grid; and x
      [num_points, num_points, *event] with v along the first axis. Of items also text [n] and
      decoded_text [num_points, num_points], which a .txt has too. With `by`: value [n] of the
      examples and grid_value [num_points, num_points] of x, nan where there is none.

    Raises:
      UserError: a missing checkpoint, an invalid option, or too few examples.
    """
    _common.at_least(1, num_points=num_points)
    _common.check_outputs(run, factor=num_points, num_points=num_points)
    _common.check_split(run, 'test', 2, 'there is nothing to map')
    label = _label_of_grid(run, label)
    of_example = property_of('--by', by, run.data.spec) if by else None
    trained = restore.load(run)
    arrays = compute(trained, num_points, label)
    numbers = _numbers(run, arrays['x'], of_example) if of_example is not None else None
    if numbers is not None:
        arrays |= {'value': numbers.of_codes, 'grid_value': numbers.of_grid}
    name, position = 'latent_map', _grid_position(run)
    if codes_of(run.family).has_class:
        name, position = (
            f'latent_map-of-{label}',
            f'{position}, as class {shortened_text(run.data.spec.class_name(label), MAX_NAME)}',
        )
    description = _axes_description(arrays['shares'], arrays['origin'].size)
    codes = counted(len(arrays['codes']), 'code')
    message = '%s of the %s: %s; grid points %s'
    log.info(message, codes, trained.weights, description, position)
    changed = _common.changed_options(apply, num_points=num_points, by=by)
    path = _common.save(trained, f'{name}{changed}', arrays)
    examples = figure_text(_common.described_examples(run))
    title = f'Codes of {examples}\n{description}'
    _save_figure(run, arrays, title, position, path, numbers)
    _save_grid(trained, arrays, position, path, numbers)
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
    return {**arrays, **texts.arrays_of(x, run.data.spec, texts.DECODED), **_common.origins_of(run)}


def _numbers(run: Run, x: np.ndarray, of_example: Property) -> Numbers:
    """Returns the property of the test examples and of the decoded grid x [m, n, *event].

    Raises:
      UserError: no example has one.
    """
    of_codes = of_example.of(run.data.splits['test']['x'])
    if not np.isfinite(of_codes).any():
        raise UserError(f'--by: no example has a finite number by {of_example.name}')
    of_grid = of_example.of(x.reshape(-1, *run.data.spec.event_shape)).reshape(x.shape[:2])
    return Numbers(of_example.name, of_codes, of_grid)


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
    """Returns where the points of the grid lie, and which condition they have."""
    condition = example_condition(run)
    given = '' if condition is None else f', given {condition.description}'
    return f'{_position_of_codes(run)}{given}'


def _position_of_codes(run: Run) -> str:
    if codes_of(run.family).posterior is not None:
        return 'at quantiles of the N(0, I) prior'
    if codes_of(run.family).prior is not None:
        return f'at quantiles of {NUM_PRIOR_CODES:,} codes of the prior'
    return 'over the extent of the codes'


def _label_of_grid(run: Run, label: str | int) -> int:
    """Returns the class of the grid; 0, the default, if codes end in none.

    Raises:
      UserError: the codes hold no class, or the model does not know this one.
    """
    label = option_of(run.data.spec, 'label', label)
    has_class = codes_of(run.family).has_class
    if has_class and label == 0 and run.data.spec.left_out:
        label = run.data.spec.known_classes[0]  # the default may have no training example
    if has_class or label != 0:
        _common.check_label_of_codes(run, label)
    return label


def _full_codes(run: Run, grid: np.ndarray, dims: int, label: int) -> np.ndarray:
    """Appends `dims` values to z_1 on the grid: the one-hot class, the features of the condition of
    the grid, or zeros that nothing reads.
    """
    rest, spec = np.zeros((*grid.shape[:-1], dims)), run.data.spec
    if codes_of(run.family).has_class:
        rest[..., dims - spec.num_classes + label] = 1
    elif (condition := example_condition(run)) is not None:
        rest[..., dims - len(condition.features) :] = condition.features
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
    run: Run,
    arrays: dict[str, np.ndarray],
    title: str,
    position: str,
    path: pathlib.Path,
    numbers: Numbers | None = None,
) -> None:
    """Draws the codes on the left and, for images, the decoded grid on the right."""
    spec = run.data.spec
    has_grid = image_grids.is_drawn_as_image(spec)
    figure, panels = figures.panels(1 + has_grid, size=PANEL)
    names = _axis_names(arrays)
    scatter(figure, panels[0], arrays['plane'], spec, arrays.get('label'), numbers)
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
    trained: TrainedRun,
    arrays: dict[str, np.ndarray],
    position: str,
    path: pathlib.Path,
    numbers: Numbers | None,
) -> None:
    """Draws the decoded grid of data that are not images, in a second figure."""
    spec = trained.run.data.spec
    view = view_of(spec)
    if view is None or not view.is_among_data:
        return
    title = _grid_title(arrays, position)
    grid = _latent_grid_figure.Grid(
        *(arrays[name] for name in ('u', 'v', 'x')), _axis_names(arrays), title, numbers
    )
    picture = _latent_grid_figure.picture(view, grid, spec, _pictures.test_data(trained)[0])
    _common.save_picture(path.with_name(f'{path.stem}-grid.png'), picture)
    rows, columns = (
        [f'{name} = {number(value, 3)}' for value in arrays[axis]]
        for name, axis in zip(_axis_names(arrays)[::-1], 'vu', strict=True)
    )
    _common.save_rows_as_text(path.with_suffix('.txt'), arrays['x'], spec, rows, columns)


APPLICATION = Application(apply, NEEDS, reads='it encodes the test split', only_test=True)
