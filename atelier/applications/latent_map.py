"""The codes of the test split in a plane, and the images decoded over it."""

from typing import NamedTuple

import jax
import numpy as np
from jax.scipy.special import ndtri
from jaxtyping import Float

from atelier.applications import _common
from atelier.applications._application import DECODE, ENCODE, Application, require
from atelier.core.family import codes_of, is_class_conditional
from atelier.core.randomness import Stream, key_for
from atelier.errors import UserError, about
from atelier.evaluation.codes.encoding import decoded, encoded, of_prior, parted
from atelier.evaluation.latents.pca import principal_components
from atelier.evaluation.samples.sampling import check_labels
from atelier.log import log
from atelier.report import image_grids
from atelier.run import restore
from atelier.run.experiment import Run

NEEDS = (ENCODE, DECODE)
NUM_DRAWN = 10_000  # codes of a prior, for its quantiles
MOST_NAMED = 20  # classes with a colour and a name of their own


class Plane(NamedTuple):
    """Codes seen in two dimensions: origin + u axes[0] + v axes[1].

    origin: [latent].
    axes: [2, latent], orthonormal; the second is zero where codes have one dimension.
    shares: [2] of the codes' variance along each axis.
    """

    origin: np.ndarray
    axes: np.ndarray
    shares: np.ndarray


def apply(run: Run, num_points: int = 15, label: int = 0) -> dict[str, np.ndarray]:
    """Encodes the whole test split, and decodes a grid over the plane of its codes.

    Codes of two dimensions are the plane. Of more, it is that of their two principal components,
    through their mean: the grid shows nothing that lies outside of it.

    The grid stands at the quantiles (i + 1/2) / num_points of the prior along each axis, as figure
    4 of Kingma and Welling (2014). Where the family has a `posterior` its prior is N(0, I), and
    that of the coordinate (z - origin) . axis is N(-origin . axis, 1): a standard normal, for codes
    of two dimensions. Of any other `prior` the quantiles are those of NUM_DRAWN codes, seen in the
    plane. Without one the grid spans the codes evenly.

    Of a code of several parts it is z_1 that is shown, which `decode` reads; where the codes end in
    a class, the grid is decoded for the class `label`.

    Args:
      run: of a family with `encode` and `decode`.
      num_points: of the grid, along each axis.
      label: class of the grid, of a model that samples by class.

    Returns:
      codes [n, latent], as `encode` gives them for the test split (z_1), plane [n, 2], label [n]
      where there are any; origin [latent], axes [2, latent] and shares [2] of the variance; u and v
      [num_points], and x [num_points, num_points, *event] with v along the first axis.

    Raises:
      UserError: a missing ability or checkpoint, an option that cannot be, or too few examples.
    """
    require(run, 'latent_map', *NEEDS)
    _common.at_least(1, num_points=num_points)
    _common.check_split(run, 'test', 2, 'there is nothing to map')
    _check_label(run, label)
    state, weights = restore.load_state(run)
    split, devices = run.data.splits['test'], jax.devices()
    codes, rest = parted(run.family, encoded(run, state, split, devices)[0])
    plane = _plane(codes)
    seen = (codes - plane.origin) @ plane.axes.T
    (u, v), where = _ticks(run, state, plane, seen, num_points)
    name = 'latent_map'
    if is_class_conditional(run.family):
        name, where = f'latent_map-of-{label}', f'{where}, as class {label}'
    grid = plane.origin + u[:, None] * plane.axes[0] + v[:, None, None] * plane.axes[1]
    grid = _whole(run, grid, rest.shape[1], label)
    found = {
        'codes': codes,
        'plane': seen,
        **plane._asdict(),
        'u': u,
        'v': v,
        'x': decoded(run, state, grid, devices),
    }
    if 'label' in split:
        found['label'] = np.asarray(split['label'])
    words = _words(plane)
    log.info('%d codes of the %s: %s; the grid stands %s', len(codes), weights, words, where)
    path = _common.save(run, name, found)
    _draw(run, found, f'Codes of the test split\n{words}', where, path)
    return found


def _plane(codes: np.ndarray) -> Plane:
    """Of codes of two dimensions, or of one, themselves; of more, their principal components."""
    latent = codes.shape[1]
    if latent > 2:
        found = principal_components(codes)
        return Plane(found.origin, found.axes[:2], found.shares[:2])
    variance = np.pad(codes.var(0, np.float64), (0, 2 - latent))
    shares = variance / max(variance.sum(), 1e-300)
    return Plane(np.zeros(latent), np.eye(2, latent), shares)


def _ticks(
    run: Run, state, plane: Plane, seen: np.ndarray, n: int
) -> tuple[Float[np.ndarray, '2 n'], str]:
    """Where the grid stands along both axes, and that in words."""
    chances = (np.arange(n) + 0.5) / n
    if codes_of(run.family).posterior is not None:
        standard = np.asarray(ndtri(chances), np.float64)
        return standard - (plane.axes @ plane.origin)[:, None], 'at quantiles of the N(0, I) prior'
    if codes_of(run.family).prior is not None:
        key = key_for(jax.random.PRNGKey(0), Stream.SAMPLE)
        drawn = of_prior(run, state, key, NUM_DRAWN, jax.devices())
        drawn, _ = parted(run.family, drawn)
        ticks = np.quantile((drawn - plane.origin) @ plane.axes.T, chances, axis=0).T
        return ticks, f'at quantiles of {NUM_DRAWN:,} codes of the prior'
    return np.linspace(seen.min(0), seen.max(0), n, axis=1), 'over the extent of the codes'


def _check_label(run: Run, label: int) -> None:
    """A class is for models that have one in their codes, and has to be one of theirs."""
    if is_class_conditional(run.family):
        with about(f'--label={label}'):
            check_labels(run, [label])
    elif label != 0:
        raise UserError(f'--label={label}: codes of this model have no class')


def _whole(run: Run, grid: np.ndarray, dims: int, label: int) -> np.ndarray:
    """The grid with `dims` numbers behind z_1: the class, one-hot; other layers are not read."""
    behind = np.zeros((*grid.shape[:-1], dims))
    if is_class_conditional(run.family):
        behind[..., label] = 1
    return np.concatenate([grid, behind], -1)


def _words(plane: Plane) -> str:
    latent = plane.axes.shape[1]
    if latent <= 2:
        return f'{latent} dimensions, as they are'
    first, second = 100 * plane.shares
    return (
        f'2 principal components of {latent} dimensions, {first:.0f} % and {second:.0f} % of '
        'the variance'
    )


def _draw(run: Run, found: dict[str, np.ndarray], title: str, where: str, path) -> None:
    """The codes at the left and, of images, the decoded grid at the right."""
    from matplotlib.figure import Figure

    spec = run.data.spec
    has_grid = image_grids.is_image(spec)
    figure = Figure(figsize=(15 if has_grid else 8, 7), layout='constrained')
    panels = figure.subplots(1, 1 + has_grid, squeeze=False)[0]
    names = ('principal component 1', 'principal component 2')
    if found['codes'].shape[1] <= 2:
        names = ('dimension 1', 'dimension 2')
    _scatter(figure, panels[0], found, spec.num_classes)
    panels[0].set(title=title, xlabel=names[0], ylabel=names[1])
    if has_grid:
        x, n = found['x'][::-1], len(found['u'])  # the second axis points upwards
        image = image_grids.grid(x.reshape(-1, *spec.event_shape), spec, n)
        words = lambda ticks: [f'{tick:.2f}' if i % 2 == 0 else '' for i, tick in enumerate(ticks)]
        image_grids.show(panels[1], image, words(found['v'])[::-1], words(found['u']))
        beyond = ', through the mean code' if found['codes'].shape[1] > 2 else ''
        panels[1].set(title=f'Decoded from the plane\n{where}{beyond}')
        panels[1].set(xlabel=names[0], ylabel=names[1])
    image_grids.save_figure(path, figure)
    log.info('as a picture: %s', path)


def _scatter(figure, axes, found: dict[str, np.ndarray], num_classes: int | None) -> None:
    """A point a code, coloured by its class."""
    from matplotlib import colormaps

    u, v = found['plane'].T
    axes.set_aspect('equal', 'datalim')
    axes.grid(alpha=0.3)
    if 'label' not in found:
        axes.scatter(u, v, s=12)
        return
    label = found['label']
    if num_classes > MOST_NAMED:
        figure.colorbar(axes.scatter(u, v, s=12, c=label, cmap='turbo'), ax=axes, label='class')
        return
    colours = colormaps['tab10' if num_classes <= 10 else 'tab20']
    for number in range(num_classes):
        here = label == number
        axes.scatter(u[here], v[here], s=12, color=colours(number), label=str(number))
    axes.legend(title='class', loc='upper left', bbox_to_anchor=(1, 1))


APPLICATION = Application(apply, NEEDS)
