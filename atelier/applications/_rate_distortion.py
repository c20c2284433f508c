"""Rate-distortion: reconstruction error against bytes of the code, compared with PCA and JPEG."""

import math
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from atelier.applications import _common
from atelier.applications._application import DECODE, ENCODE
from atelier.core.family import codes_of
from atelier.errors import UserError
from atelier.evaluation.codes.encoding import decoder, encoded, split_codes, tokens
from atelier.evaluation.compression.jpeg import coded
from atelier.evaluation.examples.image_quality import half_squared_error
from atelier.evaluation.latents.pca import PrincipalComponents, principal_components
from atelier.evaluation.samples.features import coordinates
from atelier.log import counted, log
from atelier.report import figures, image_grids
from atelier.report.figure_text import figure_text
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (ENCODE, DECODE)
LEVELS = 256  # levels of a quantized value, which takes one byte
MAX_QUALITY = 95  # largest quality of JPEG; above 95, files grow without gain in quality

Rows = Float[np.ndarray, 'n dims']
OtherRows = Float[np.ndarray, 'm dims']


def apply(run: Run, quality_step: int, name: str) -> dict[str, np.ndarray]:
    """Decodes test codes from their first k principal components, quantized to a byte each.

    The components, their means and their ranges come from the training split. Components that are
    not kept stay at their mean. A byte is one of 256 evenly spaced values between the component's
    extremes in that split. PCA of x itself is quantized in the same way. For images with a known
    range, the test split is also coded as a JPEG mosaic, at each quality and, in colour, each
    chroma subsampling. Headers are not counted (`atelier.evaluation.compression.jpeg`).

    If a code has several parts, only z_1, which `decode` reads, is compressed. A class at the end
    of a code costs nothing, as it is given in p(x | label). Codes from a codebook are also coded as
    token indices, at log2 K bits each for a codebook of K entries.

    Args:
      run: of a family with `encode` and `decode`.
      quality_step: step between the JPEG qualities 1, 1 + step, ... up to 95.
      name: of the files.

    Returns:
      dims [ks]: the values of k, 1, 2, 4, ... and all; k is also the number of bytes per example.
      Errors [ks], the mean over the test split of 1/2 ||x - reconstruction||^2 on the normalized
      scale: code_error (model) and pca_error (PCA) from components rounded to bytes;
      code_error_unrounded and pca_error_unrounded from components that are not rounded. With JPEG:
      jpeg_quality, jpeg_is_subsampled, jpeg_bytes and jpeg_error
        [settings], and best_jpeg [ks], the index of the setting with the smallest error at k or
        fewer bytes per image, or -1. With a codebook: token_bytes and token_error of whole codes.

    Raises:
      UserError: a missing checkpoint, a bad option, or too few examples.
    """
    if not 1 <= quality_step <= MAX_QUALITY:
        raise UserError(f'--quality_step={quality_step}: it must lie in 1..{MAX_QUALITY}')
    _common.check_split(run, 'train', 2, 'there are no principal components')
    _common.check_split(run, 'test', 1, 'there is nothing to compress')
    trained = restore.load(run)
    arrays = compute(trained, quality_step)
    results = {'num_examples': run.data.size('test'), **_results(arrays)}
    log.info(
        'codes of %s, computed by the model of the %s',
        counted(arrays['dims'][-1], 'dimension'),
        trained.weights,
    )
    _log(run, results)
    path = _common.save(trained, name, arrays, results)
    _save_figure(run, arrays, path)
    return arrays


def compute(trained: TrainedRun, quality_step: int) -> dict[str, np.ndarray]:
    """Computes the errors of the model, PCA and JPEG; returns the arrays of `apply`."""
    run, spec = trained.run, trained.run.data.spec
    codes, _, train_x = _encoded(trained, 'train')
    test_codes, rest, x = _encoded(trained, 'test')
    decode, dims = decoder(run, trained.state, trained.devices), component_counts(codes.shape[1])
    methods = {
        'code': (codes, test_codes, lambda z: decode(np.concatenate([z, rest], 1))),
        'pca': (coordinates(train_x, spec), coordinates(x, spec), _as_events(run)),
    }
    arrays = {'dims': np.asarray(dims)}
    for name, (train, test, to_x) in methods.items():
        errors = _errors(run, train, test, x, dims, to_x)
        arrays[f'{name}_error'], arrays[f'{name}_error_unrounded'] = errors
    if codes_of(run.family).tokens is not None:
        arrays['token_bytes'] = np.asarray(bytes_of_tokens(trained))
        arrays['token_error'] = half_squared_error(x, decode(test_codes), spec).mean()
    if image_grids.is_image(spec) and spec.interval is not None:
        arrays.update(_jpeg(run, x, range(1, MAX_QUALITY + 1, quality_step)))
        arrays['best_jpeg'] = np.array([best(arrays, k) for k in dims])
    return arrays


def _encoded(trained: TrainedRun, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (z_1, the rest of each code, x) of a split."""
    run = trained.run
    codes, x = encoded(run, trained.state, run.data.splits[split], trained.devices)
    return *split_codes(run.family, codes), x


def component_counts(latent: int) -> list[int]:
    """Returns the numbers of kept components: 1, 2, 4, ... and all."""
    return [2**i for i in range((latent - 1).bit_length())] + [latent]


def bytes_of_tokens(trained: TrainedRun) -> float:
    """Returns the bytes of one example's tokens, for a model with a codebook."""
    run = trained.run
    first = {name: array[:1] for name, array in run.data.splits['test'].items()}
    positions = tokens(run, trained.state, first, trained.devices).shape[1]
    return positions * math.log2(codes_of(run.family).tokens.size) / 8


def _as_events(run: Run) -> Callable[[np.ndarray], np.ndarray]:
    """Returns f(normalized values [n, dims]) -> x [n, *event], clipped to a known range."""
    spec = run.data.spec

    def to_x(rows):
        x = np.asarray(spec.denormalize(rows.reshape(-1, *spec.event_shape)))
        return x if spec.interval is None else np.clip(x, *spec.interval)

    return to_x


def _errors(
    run: Run, train: Rows, test: OtherRows, x: np.ndarray, dims: Sequence[int], to_x: Callable
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean errors [ks] of `to_x` for quantized and for unrounded components."""
    basis = principal_components(train)
    scores = basis.rotate(test)
    rounded = quantized(scores, *_extremes(basis, train))
    mean_error = lambda rows: half_squared_error(x, to_x(rows), run.data.spec).mean()
    errors = [
        [mean_error(basis.rotate_back(components[:, :k])) for k in dims]
        for components in (rounded, scores)
    ]
    return tuple(map(np.asarray, errors))


def _extremes(basis: PrincipalComponents, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest coordinate along each axis."""
    scores = basis.rotate(rows)
    return scores.min(0), scores.max(0)


def quantized(rows: Rows, low: Float[np.ndarray, 'dims'], high: Float[np.ndarray, 'dims']) -> Rows:
    """Rounds each column to the nearest of 256 evenly spaced values from low to high."""
    step = np.where(high > low, (high - low) / (LEVELS - 1), 1)
    return low + step * np.clip(np.round((rows - low) / step), 0, LEVELS - 1)


def _jpeg(run: Run, x: np.ndarray, qualities: range) -> dict[str, np.ndarray]:
    """Returns the bytes per image and the error of each JPEG setting."""
    spec, max_level = run.data.spec, LEVELS - 1
    low, high = spec.interval
    levels = np.round((x - low) / (high - low) * max_level).astype(np.uint8)
    images = levels.reshape(*x.shape[:3], -1)
    settings = []
    for jpeg in coded(images, qualities):
        reconstruction = low + jpeg.x.reshape(x.shape) / max_level * (high - low)
        error = half_squared_error(x, reconstruction, spec).mean()
        is_subsampled = jpeg.subsampling != '4:4:4'
        settings.append((jpeg.quality, is_subsampled, jpeg.bytes_per_image, error))
    names = ('jpeg_quality', 'jpeg_is_subsampled', 'jpeg_bytes', 'jpeg_error')
    return dict(zip(names, map(np.asarray, zip(*settings, strict=True)), strict=True))


def best(arrays: dict[str, np.ndarray], max_bytes: int) -> int:
    """Index of the JPEG setting of smallest error at `max_bytes` or fewer per image, or -1."""
    fits = arrays['jpeg_bytes'] <= max_bytes
    return int(np.where(fits, arrays['jpeg_error'], np.inf).argmin()) if fits.any() else -1


def _results(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns the recorded results: a row per k and, with a codebook, those of its tokens."""
    results: dict[str, Any] = {'rows': [_row(arrays, i) for i in range(len(arrays['dims']))]}
    if 'token_bytes' in arrays:
        results['tokens'] = {name: float(arrays[f'token_{name}']) for name in ('bytes', 'error')}
    return results


def _row(arrays: dict[str, np.ndarray], i: int) -> dict[str, Any]:
    """Returns the recorded results of the i-th k."""
    names = ('code_error', 'pca_error', 'code_error_unrounded', 'pca_error_unrounded')
    row = {'bytes': int(arrays['dims'][i]), **{name: float(arrays[name][i]) for name in names}}
    if 'best_jpeg' in arrays:
        j = arrays['best_jpeg'][i]
        values = {name: arrays[f'jpeg_{name}'][j].item() for name in ('quality', 'bytes', 'error')}
        row['jpeg'] = values if j >= 0 else None
    return row


def _log(run: Run, results: dict[str, Any]) -> None:
    """Logs a table with a row per number of bytes."""
    rows = results['rows']
    has_jpeg = 'jpeg' in rows[0]
    examples = _common.described_examples(run)
    log.info('mean 1/2 squared error on the normalized scale, %s', examples)
    log.info('%8s %12s %12s %s', 'bytes', 'model', 'PCA', ' ' * 8 + 'JPEG' if has_jpeg else '')
    for row in rows:
        jpeg = row.get('jpeg')
        text = f'{jpeg["error"]:12.4f} at {jpeg["bytes"]:.1f} bytes' if jpeg else ' ' * 11 + '-'
        columns = row['bytes'], row['code_error'], row['pca_error'], text if has_jpeg else ''
        log.info('%8d %12.4f %12.4f %s', *columns)
    if 'tokens' in results:
        tokens = results['tokens']
        log.info('as codebook indices: %.2f bytes, %.4f', tokens['bytes'], tokens['error'])


@figures.style()
def _save_figure(run: Run, arrays: dict[str, np.ndarray], path: pathlib.Path) -> None:
    """Draws error against bytes, on logarithmic axes."""
    figure, (axes,) = figures.panels(1, size=(7, 5.5))
    colours = iter(figures.COLOURS)
    draw = lambda x, y, form, label: axes.plot(x, y, form, color=next(colours), label=label)
    draw(arrays['dims'], arrays['code_error'], 'o-', 'components of the code')
    draw(arrays['dims'], arrays['pca_error'], 's--', 'PCA')
    if 'token_bytes' in arrays:
        draw(arrays['token_bytes'], arrays['token_error'], '*', 'codebook indices')
    if 'jpeg_bytes' in arrays:
        for is_subsampled in np.unique(arrays['jpeg_is_subsampled']):
            rows = arrays['jpeg_is_subsampled'] == is_subsampled
            label = 'JPEG without headers' + (', colours 4:2:0' if is_subsampled else '')
            draw(arrays['jpeg_bytes'][rows], arrays['jpeg_error'][rows], '.:', label)
    axes.set_xscale('log', base=2)
    axes.set_yscale('log')
    axes.xaxis.set_major_formatter('{x:g}')
    axes.grid(True)
    axes.set(xlabel='bytes per example, one per kept component')
    axes.set(ylabel='1/2 squared error, normalized scale')
    axes.set_title(figure_text(f'Test split of {run.data.name}'))
    axes.legend()
    _common.draw_figure(path, figure)
