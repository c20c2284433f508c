"""Masks: the values of an example that are hidden and that a model has to fill in."""

import math
import pathlib

import jax
import numpy as np
from jaxtyping import Bool

from atelier.applications import _common
from atelier.core.randomness import Stream, key_for, rng_for
from atelier.data.dataset import Spec
from atelier.data.npz_files import UNREADABLE
from atelier.errors import UserError, check_option, reading
from atelier.paths import user_path
from atelier.report import image_grids

HALVES = {  # (height, width) of an image -> its hidden (rows, columns)
    'left': lambda h, w: (slice(None), slice(w // 2)),
    'right': lambda h, w: (slice(None), slice(w - w // 2, None)),
    'top': lambda h, w: (slice(h // 2), slice(None)),
    'bottom': lambda h, w: (slice(h - h // 2, None), slice(None)),
    'centre': lambda h, w: (_middle(h), _middle(w)),
}
FILE = '.npy'


def _middle(length: int) -> slice:
    """Returns the middle half of `length` positions, with equal margins."""
    margin = math.ceil(length / 4)
    return slice(margin, length - margin)


def hidden_parts(
    spec: Spec, mask: str, share: float, n: int, seed: int
) -> Bool[np.ndarray, 'n *event']:
    """Returns masks of the first n examples of a split, true where an example is hidden.

    Args:
      spec: Spec of the data.
      mask: 'left', 'right', 'top' or 'bottom' hides that half of an image, 'centre' the middle half
        of its rows and columns, and 'random' positions drawn for each example. With the path of an
        .npy file, x is hidden where the file's array is true. The array has the shape of an event
        or, for images, [height, width].
      share: fraction of positions that 'random' hides, rounded to whole positions. A position of an
        image is a pixel with all its channels.
      n: number of examples.
      seed: of 'random'. The mask of example i depends on the seed and i alone.

    Raises:
      UserError: an unknown mask, one of the wrong shape, or one that hides all or nothing.
    """
    positions = spec.event_shape[:2] if image_grids.is_image(spec) else spec.event_shape
    if mask == 'random':
        hidden = _random(math.prod(positions), share, n, seed).reshape(n, *positions)
    elif mask.endswith(FILE):
        hidden = np.broadcast_to(_from_file(mask, spec, positions), (n, *spec.event_shape))
    elif mask in HALVES and image_grids.is_image(spec):
        area = np.zeros(positions, bool)
        area[HALVES[mask](*positions)] = True
        hidden = np.broadcast_to(area, (n, *positions))
    else:
        check_option('mask', mask, (*HALVES, 'random'), ', or a FILE.npy of your own')
        raise UserError(
            f'--mask={mask} needs images, and these data are not images: choose random, or a '
            'FILE.npy of your own'
        )
    hidden = hidden.reshape(*hidden.shape, *(1,) * (1 + len(spec.event_shape) - hidden.ndim))
    hidden = np.broadcast_to(hidden, (n, *spec.event_shape))
    flat = hidden.reshape(n, -1)
    if flat.all(1).any() or not flat.any(1).all():
        extent = 'everything' if flat.all(1).any() else 'nothing'
        raise UserError(
            f'--mask={mask} hides {extent} of an example of shape {spec.event_shape}: some of it '
            'has to be hidden and some known'
        )
    return hidden


def _random(size: int, share: float, n: int, seed: int) -> Bool[np.ndarray, 'n size']:
    """Draws `share` of `size` positions for each example, at least one and not all."""
    if not 0 < share < 1:
        raise UserError(f'--share={share:g}: it has to lie between 0 and 1')
    count = min(max(round(share * size), 1), max(size - 1, 1))
    key = key_for(jax.random.PRNGKey(seed), Stream.PREPROCESS)
    order = jax.vmap(lambda key: jax.random.permutation(key, size))
    return np.asarray(order(rng_for(key, np.arange(n), n).keys)) < count


def _from_file(mask: str, spec: Spec, positions: tuple[int, ...]) -> Bool[np.ndarray, '*positions']:
    path = user_path(mask)
    with reading(path):
        if not path.is_file():
            raise UserError(f'--mask={path}: there is no such file')
        array = _load(path)
    if array.dtype.kind not in 'biuf' or not np.isin(array, (0, 1)).all():
        raise UserError(f'--mask={path}: give true or 1 where it hides, and false or 0 elsewhere')
    if array.shape not in (spec.event_shape, positions):
        alternative = '' if positions == spec.event_shape else f' or {positions}'
        raise UserError(
            f'--mask={path} has the shape {array.shape}, and an example has {spec.event_shape}: '
            f'save one of shape {spec.event_shape}{alternative}'
        )
    return array.astype(bool).reshape(*array.shape, *(1,) * (len(spec.event_shape) - array.ndim))


def _load(path: pathlib.Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except UNREADABLE as error:
        raise UserError(
            f'--mask={path} is not an .npy array: save it with numpy.save(path, mask)'
        ) from error
    if not isinstance(array, np.ndarray):
        raise UserError(f'--mask={path} holds several arrays: save one with numpy.save(path, mask)')
    return array


def name_of(mask: str, share: float) -> str:
    """Returns the mask's part of a file name."""
    if mask == 'random':
        return f'random-{share:g}'
    if not mask.endswith(FILE):
        return mask
    return f'file-{pathlib.Path(mask).stem}{_common.path_suffix(mask=mask)}'
