"""Decodes examples along linear and spherical paths between two codes."""

import pathlib
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from atelier.applications import _common, _pictures
from atelier.applications._application import DECODE, ENCODE, PRIOR, Application
from atelier.core.family import codes_of
from atelier.core.randomness import Stream, key_for
from atelier.evaluation.codes.encoding import codes_from_prior, decoded, encoded, latents
from atelier.log import log
from atelier.report import texts
from atelier.report.views.choose import view_of
from atelier.report.views.view import View
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (DECODE, ENCODE | PRIOR)
PATHS = ('linear', 'spherical')
NEARLY_PARALLEL = 1e-6  # below this sine of the angle between the codes, the path is linear


def apply(
    run: Run, num_pairs: int = 4, num_points: int = 9, seed: int = 0
) -> dict[str, np.ndarray]:
    """Decodes points on a linear and on a spherical path between pairs of codes.

    With an encoder, the codes are those of random test images, and a path starts and ends at their
    reconstructions. Without an encoder, the codes are those that `sample` draws with this seed.
    Pair i joins codes 2i and 2i + 1, so that a larger `num_pairs` does not change the first pairs.
    Examples of your own (--data) are joined in their order: of two, there is one pair.

    A one-hot class at the end of the codes is interpolated linearly on both paths.

    Args:
      run: of a family with `decode`, and `encode` or `prior`.
      num_pairs: number of pairs, each with a linear and, below it, a spherical row in the figure;
        of examples of your own, at most as many as there are.
      num_points: number of points on a path, including its ends.
      seed: seed of the pairs.

    Returns:
      codes [pairs, 2 paths, points, latent], x [pairs, 2, points, *event] and, with an encoder,
      index [pairs, 2] in the test split, file and row [pairs, 2], where they came from, and ends
      [pairs, 2, *event], the images themselves. Of items, texts that end, also text [pairs, 2] and
      decoded_text [pairs, 2, points], which a .txt has too.

    Raises:
      UserError: a missing checkpoint, an invalid option, or too few test images.
    """
    _common.at_least(1, num_pairs=num_pairs)
    _common.at_least(2, num_points=num_points)
    _common.check_outputs(run, num_pairs=num_pairs, num_points=num_points)
    _common.check_seed(seed)
    has_encoder = codes_of(run.family).encode is not None
    if has_encoder and _common.are_given(run):
        _common.check_split(run, 'test', 2, 'a path joins two')
        num_pairs = min(num_pairs, run.data.size('test') // 2)
    elif has_encoder:
        _common.check_split(run, 'test', 2 * num_pairs, f'--num_pairs={num_pairs} needs two a pair')
    trained, n = restore.load(run), 2 * num_pairs
    ends, images = _ends(trained, n, seed)
    arrays = {**compute(trained, ends.reshape(num_pairs, 2, -1), num_points), **images}
    arrays |= texts.arrays_of(arrays['x'], run.data.spec, texts.DECODED)
    view = view_of(run.data.spec)
    events = view.events if view is not None else 'examples'
    source = f'codes of test {events}' if has_encoder else 'codes of the prior'
    log.info('%d %s joined in pairs, decoded by the model of the %s', n, source, trained.weights)
    changed = _common.changed_options(apply, num_points=num_points)
    path = _common.save(trained, f'interpolate-seed-{seed}{changed}', arrays)
    if view is not None:
        _save_rows(path, trained, view, arrays, f'Paths between {source}')
    return arrays


def _ends(trained: TrainedRun, n: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns n codes and, with an encoder, the indices and the images of the pairs."""
    run, state, devices = trained.run, trained.state, trained.devices
    if codes_of(run.family).encode is None:
        key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE)
        return codes_from_prior(run, state, key, n, devices), {}
    index = np.arange(n) if _common.are_given(run) else _common.random_test_indices(run, n, seed)
    examples = {name: array[index] for name, array in run.data.splits['test'].items()}
    codes, x = encoded(run, state, examples, devices)
    ends = {'index': index, 'ends': x, **_common.origins_of(run, index)}
    return codes, {name: array.reshape(-1, 2, *array.shape[1:]) for name, array in ends.items()}


def compute(
    trained: TrainedRun, ends: Float[np.ndarray, 'pairs 2 latent'], num_points: int
) -> dict[str, np.ndarray]:
    """Returns the codes of both paths between pairs of codes, and x decoded from them."""
    codes = _paths(ends, num_points, latents(trained.run.family, ends).shape[-1])
    return {'codes': codes, 'x': decoded(trained.run, trained.state, codes, trained.devices)}


def linear(
    a: Float[np.ndarray, 'latent'], b: Float[np.ndarray, 'latent'], t: Float[np.ndarray, 'points']
) -> Float[np.ndarray, 'points latent']:
    """(1 - t) a + t b."""
    return (1 - t)[:, None] * a + t[:, None] * b


def spherical(
    a: Float[np.ndarray, 'latent'], b: Float[np.ndarray, 'latent'], t: Float[np.ndarray, 'points']
) -> Float[np.ndarray, 'points latent']:
    """sin((1 - t) w) / sin(w) a + sin(t w) / sin(w) b, where w is the angle between a and b.

    Shoemake (1985), applied to codes of any norm as in White (2016): codes of a Gaussian prior lie
    near a sphere, which the linear path leaves. If the codes are parallel or opposite, or one of
    them is zero, there is no such arc, and the path is linear.
    """
    lengths = np.linalg.norm(a), np.linalg.norm(b)
    if min(lengths) == 0:
        return linear(a, b, t)
    u, v = a / lengths[0], b / lengths[1]
    angle = 2 * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))  # exact if small
    if np.sin(angle) < NEARLY_PARALLEL:
        return linear(a, b, t)
    weights = np.sin(np.stack([1 - t, t]) * angle) / np.sin(angle)
    return weights[0][:, None] * a + weights[1][:, None] * b


def _paths(ends: np.ndarray, num_points: int, dims: int) -> np.ndarray:
    """Pairs [n, 2, latent] -> codes [n, 2 paths, points, latent], the arc in the first `dims`."""
    t = np.linspace(0, 1, num_points)
    codes = np.asarray([[linear(a, b, t)] * 2 for a, b in np.asarray(ends, np.float64)])
    for pair, (a, b) in zip(codes, np.asarray(ends, np.float64)[..., :dims], strict=True):
        pair[1, :, :dims] = spherical(a, b, t)
    return codes.astype(np.float32)


def _save_rows(
    path: pathlib.Path, trained: TrainedRun, view: View, arrays: dict[str, np.ndarray], title: str
) -> None:
    """Draws a row or a line per path: among test data, or from one example to the other."""
    x, names = arrays['x'], [f'{t:.3g}' for t in np.linspace(0, 1, arrays['x'].shape[2])]
    if 'ends' in arrays and view.are_single:
        first, last = (np.stack([arrays['ends'][:, [i]]] * 2, 1) for i in (0, 1))
        end = view.events.removesuffix('s')
        x, names = np.concatenate([first, x, last], 2), [end, *names, end]
    rows, spec = x.reshape(-1, *x.shape[2:]), trained.run.data.spec
    among, kinds = _pictures.among(trained), PATHS * len(x)
    _common.save_picture(path, view.rows(rows, spec, title, kinds, names, among))
    _common.save_rows_as_text(path.with_suffix('.txt'), rows, spec, kinds, names)


def reads(run: Run, **options: Any) -> str:
    """Returns why examples are read; '' for a model without an encoder."""
    del options
    has_encoder = codes_of(run.family).encode is not None
    return 'its paths join codes of test examples' if has_encoder else ''


APPLICATION = Application(apply, NEEDS, reads=reads, only_test=True)
