"""Enlarges reduced test images; reports PSNR, SSIM and consistency."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from atelier.applications import _common
from atelier.applications._application import SUPER_RESOLVE, Application
from atelier.applications._nearness import Scale
from atelier.core.abilities import SuperResolve
from atelier.core.randomness import Stream, fold_in, key_for
from atelier.data.low_resolution import enlarged, reduced
from atelier.evaluation.evaluate import summary
from atelier.evaluation.examples.image_quality import psnr
from atelier.log import counted, log
from atelier.report import image_grids
from atelier.report.metrics_log import rounded
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples
from atelier.run.restore import TrainedRun

NEEDS = (SUPER_RESOLVE,)
METHODS = {  # name: title, in the order of the table
    'nearest': 'nearest pixel',
    'bicubic': 'bicubic',
    'model': 'model',
    'model_mean': 'mean of {} samples',
}
FIGURE_METHODS = ('bicubic', 'model', 'model_mean')
EXACT_DB = 138.0  # an error below 2^-23 of the range is float32 rounding


def apply(
    run: Run, num_examples: int = 1000, num_samples: int = 8, num_images: int = 12, seed: int = 0
) -> dict[str, np.ndarray]:
    """Reduces test images, enlarges them with the model and by interpolation, and compares.

    A low-resolution pixel is the mean of a block of pixels, whose side is the model's factor.
    The model gets only the low-resolution image. PSNR and SSIM are those of
    `atelier.applications._nearness`. Consistency is the PSNR between the result, reduced again, and
    the low-resolution image. A sample of a stochastic model is one plausible image, not the best
    guess, so the mean of several samples is measured as well.

    Args:
      run: of a family with `super_resolve`.
      num_examples: number of test examples, in an order drawn from the seed, at most all.
      num_samples: samples per example of a stochastic model; 'model' is the first.
      num_images: number of images in the figure.
      seed: seed of the order and of the samples, which depend on the seed and the index in that
        order.

    Returns:
      index [n] in the test split; file and row [n], where they came from; nearest_psnr_db [n],
      nearest_ssim [n], nearest_consistency_db [n] and so on for bicubic, model and, for a
      stochastic model, model_mean. Of the first images, in the data's units: x and its enlargements
      bicubic, model and model_mean [images, *event], and low.

    Raises:
      UserError: a missing checkpoint, or a bad option.
    """
    _common.at_least(1, num_examples=num_examples, num_samples=num_samples, num_images=num_images)
    _common.check_seed(seed)
    _common.check_split(run, 'test', 1, 'there is nothing to enlarge')
    _common.check_outputs(run, num_samples=num_samples)
    trained = restore.load(run)
    index = _common.random_test_indices(run, num_examples, seed)
    images, measures = compute(trained, index, num_samples, seed)
    arrays = {**_common.origins_of(run, index), 'index': index, **_flat(measures)}
    table = [name for name in arrays if name != 'index']
    arrays |= {
        name: images[name][:num_images] for name in ('x', 'low', *FIGURE_METHODS) if name in images
    }
    results = {
        'factor': run.family.ability(SuperResolve).factor,
        'num_examples': len(index),
        'num_samples': num_samples if 'model_mean' in images else 1,
        'methods': _summary(measures),
    }
    log.info(
        '%d of %s, enlarged by the model of the %s',
        len(index),
        counted(run.data.size('test'), 'test example'),
        trained.weights,
    )
    changed = _common.changed_options(apply, num_examples=num_examples, num_samples=num_samples)
    path = _common.save(trained, f'super_resolve-seed-{seed}{changed}', arrays, results, table)
    _log(results)
    if image_grids.is_drawn_as_image(run.data.spec):
        _save_figure(run, arrays, results, path)
    return arrays


def compute(
    trained: TrainedRun, index: np.ndarray, num_samples: int, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
    """Enlarges the test examples at `index`; returns (images, measures [n]), by method."""
    run = trained.run
    inputs = {name: array[index] for name, array in run.data.splits['test'].items()}
    key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE)
    enlarge = _enlarger(run, num_samples, trained.devices)
    images = enlarge(trained.state, key, inputs, len(index))
    if not images.pop('draws').any():
        del images['model_mean']
    return images, _measure(run, images)


def _enlarger(run: Run, num_samples: int, devices: Sequence[jax.Device]) -> Callable:
    """Returns f(state, key, inputs, n) -> {'x', 'low', 'nearest', ...: [n, ...], 'draws': [n]}.

    'draws' is whether the samples of an example differ.
    """
    spec, ability = run.data.spec, run.family.ability(SuperResolve)

    def enlarge(weights, batch, rng):
        low = reduced(batch['x'], ability.factor)

        def sample(index):
            sample_rng = rng.replace(keys=fold_in(rng.keys, index))
            return ability.enlarge(weights, {'low': low}, sample_rng)

        samples = jax.lax.map(sample, jnp.arange(num_samples))
        bicubic = enlarged(low, ability.factor)
        if spec.interval is not None:
            bicubic = jnp.clip(bicubic, *spec.interval)
        return {
            'x': batch['x'],
            'low': low,
            'nearest': enlarged(low, ability.factor, 'nearest'),
            'bicubic': bicubic,
            'model': samples[0],
            'model_mean': jnp.mean(samples, 0),
            'draws': jnp.any(samples != samples[0], (0, *range(2, samples.ndim))),
        }

    return over_examples(enlarge, run.data, run.config.eval.batch_size, devices)


def _measure(run: Run, images: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Returns psnr_db, ssim (of images) and consistency_db [n] of each method."""
    scale, factor = Scale(run), run.family.ability(SuperResolve).factor
    reduced_again = lambda x: reduced(np.asarray(scale.of(x), np.float64), factor)
    low, measures = reduced_again(images['x']), {}
    for method in filter(images.__contains__, METHODS):
        consistency = psnr(low, reduced_again(images[method]), 1.0)
        psnr_and_ssim = scale.psnr_and_ssim(images['x'], images[method])
        measures[method] = {**psnr_and_ssim, 'consistency_db': consistency}
    return measures


def _flat(measures: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {
        f'{m}_{name}': array for m, values in measures.items() for name, array in values.items()
    }


def _summary(measures: dict[str, dict[str, np.ndarray]]) -> dict[str, dict[str, Any]]:
    """Returns the means of each method, and the mean of its paired PSNR gain over bicubic.

    PSNR leaves out the `num_exact` examples that are restored exactly, whose PSNR has no bound.
    Consistency is the PSNR of the mean squared error over all examples, or None if it is exact.
    """
    return {method: _row(values, measures['bicubic']) for method, values in measures.items()}


def _row(values: dict[str, np.ndarray], bicubic: dict[str, np.ndarray]) -> dict[str, Any]:
    method_psnr, bicubic_psnr = values['psnr_db'], bicubic['psnr_db']
    differs = method_psnr < EXACT_DB
    both = differs & (bicubic_psnr < EXACT_DB)
    squares = np.mean(10 ** (-values['consistency_db'] / 10))
    row: dict[str, Any] = {'num_exact': int(len(method_psnr) - differs.sum())}
    if differs.any():
        row['psnr_db'] = summary(method_psnr[differs])
    if both.any():
        row['gain_psnr_db'] = summary(method_psnr[both] - bicubic_psnr[both])
    if 'ssim' in values:
        row['ssim'] = summary(values['ssim'])
    is_consistent = squares < 10 ** (-EXACT_DB / 10)
    return row | {'consistency_db': None if is_consistent else float(-10 * np.log10(squares))}


def _log(results: dict[str, Any]) -> None:
    """Logs a table with a row per method."""
    log.info('%-20s %10s %10s %10s', '', 'PSNR, dB', 'SSIM', 'consistency, dB')
    for method, row in results['methods'].items():
        names = ('psnr_db', 'ssim')
        columns = [rounded(*row[name].values()) if name in row else '-' for name in names]
        consistency = row['consistency_db']
        columns += ['exact' if consistency is None else rounded(consistency)]
        log.info('%-20s %10s %10s %15s', _title(method, results), *columns)


def _title(method: str, results: dict[str, Any]) -> str:
    return METHODS[method].format(results['num_samples'])


def _save_figure(
    run: Run, arrays: dict[str, np.ndarray], results: dict[str, Any], path: pathlib.Path
) -> None:
    """Draws rows of images: the input, its enlargement by each method, and the truth."""
    methods = [name for name in FIGURE_METHODS if name in arrays]
    low = enlarged(arrays['low'], results['factor'], 'nearest')
    rows = np.stack([low, *(arrays[name] for name in methods), arrays['x']])
    names = ['given', *(_title(name, results) for name in methods), 'truth']
    height, width = arrays['low'].shape[1:3]
    title = f'{height}x{width} pixels enlarged by {results["factor"]}'
    _common.draw_grid(path, rows, run.data.spec, title, names, [''] * len(arrays['x']))


APPLICATION = Application(apply, NEEDS, reads='it enlarges test examples')
