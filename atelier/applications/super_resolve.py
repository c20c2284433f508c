"""Test images of less resolution, enlarged by the model, and how near that is to the truth."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from atelier.applications import _common
from atelier.applications._application import SUPER_RESOLVE, Application, require
from atelier.applications._nearness import Scale
from atelier.core.abilities import SuperResolve
from atelier.core.randomness import Stream, fold_in, key_for
from atelier.data.low_resolution import enlarged, reduced
from atelier.evaluation.evaluate import summary
from atelier.evaluation.examples.image_quality import psnr
from atelier.evaluation.per_example.over_examples import over_examples
from atelier.log import log
from atelier.report import image_grids
from atelier.run import restore
from atelier.run.experiment import Run

NEEDS = (SUPER_RESOLVE,)
WORDS = {  # of what is compared, in the order of the table
    'nearest': 'nearest pixel',
    'bicubic': 'bicubic',
    'model': 'model',
    'model_mean': 'mean of {} samples',
}
SHOWN = ('bicubic', 'model', 'model_mean')
EXACT_DB = 138.0  # an error of less than 2^-23 of the range is float32's rounding


def apply(
    run: Run, num_examples: int = 1000, num_samples: int = 8, num_images: int = 12, seed: int = 0
) -> dict[str, np.ndarray]:
    """Reduces test images, enlarges them by the model and by interpolation, and compares.

    A low-resolution image is the mean of each block of pixels, as many as the model was trained
    for; the model sees nothing else. PSNR and SSIM are those of `atelier.applications._nearness`;
    consistency is how near the result, reduced again, is to the low-resolution image, as PSNR. What
    a model draws is nearer to an image that could have been than to the one that was: of a model
    that draws, the mean of several samples is measured as well.

    Args:
      run: of a family with `super_resolve`.
      num_examples: of the test split, in an order that the seed draws; all of a smaller one.
      num_samples: of each example, of a model that draws; the first is what is called the model's.
      num_images: of the picture.
      seed: of the order and of the samples, which depend on it and on the place in the order alone.

    Returns:
      index [n] in the test split; nearest_psnr_db [n], nearest_ssim [n], nearest_consistency_db
      [n] and so on for bicubic, model and, of a model that draws, model_mean; of the first images x
      and these enlargements [images, *event], and low, in the data's units.

    Raises:
      UserError: a missing ability or checkpoint, or a bad option.
    """
    require(run, 'super_resolve', *NEEDS)
    _common.at_least(1, num_examples=num_examples, num_samples=num_samples, num_images=num_images)
    _common.check_seed(seed)
    _common.check_split(run, 'test', 1, 'there is nothing to enlarge')
    state, weights = restore.load_state(run)
    index = _common.draw_of_test(run, num_examples, seed)
    inputs = {name: array[index] for name, array in run.data.splits['test'].items()}
    key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE)
    made = _enlarger(run, num_samples, jax.devices())(state, key, inputs, len(index))
    if not made.pop('draws').any():
        del made['model_mean']
    measured, n = _measure(run, made), len(index)
    found = {'index': index, **_flat(measured)}
    found |= {name: made[name][:num_images] for name in ('x', 'low', *SHOWN) if name in made}
    log.info('%d of %d test examples, by the %s', n, run.data.size('test'), weights)
    name = f'super_resolve-seed-{seed}'
    path = _common.save(run, name, found)
    numbers = {
        'factor': run.family.ability(SuperResolve).factor,
        'num_examples': n,
        'num_samples': num_samples if 'model_mean' in made else 1,
        'methods': _summary(measured),
    }
    _common.record(run, name, weights, numbers)
    _show(numbers)
    if image_grids.is_image(run.data.spec):
        _draw(run, found, numbers, path)
    return found


def _enlarger(run: Run, num_samples: int, devices: Sequence[jax.Device]) -> Callable:
    """Returns look(state, key, inputs, n) -> {'x', 'low', 'nearest', ...: [n, ...], 'draws': [n]}.

    'draws' says whether the samples of an example differ.
    """
    spec, ability = run.data.spec, run.family.ability(SuperResolve)

    def look(weights, batch, rng):
        low = reduced(batch['x'], ability.factor)

        def sample(number):
            own = rng.replace(keys=fold_in(rng.keys, number))
            return ability.enlarge(weights, {'low': low}, own)

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

    return over_examples(look, run.data, run.config.eval.batch_size, devices)


def _measure(run: Run, made: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """psnr_db, ssim (of images) and consistency_db [n] of each method."""
    scale, factor = Scale(run), run.family.ability(SuperResolve).factor
    again = lambda x: reduced(np.asarray(scale.of(x), np.float64), factor)
    low, measured = again(made['x']), {}
    for method in filter(made.__contains__, WORDS):
        consistency = psnr(low, again(made[method]), 1.0)
        measured[method] = scale.nearness(made['x'], made[method]) | {'consistency_db': consistency}
    return measured


def _flat(measured: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {
        f'{m}_{name}': array for m, values in measured.items() for name, array in values.items()
    }


def _summary(measured: dict[str, dict[str, np.ndarray]]) -> dict[str, dict[str, Any]]:
    """Of each method the means, and that of the PSNR's gain over bicubic, which is paired.

    PSNR leaves out the `num_exact` examples that come back as they were, for theirs has no bound.
    Consistency is the PSNR of all examples together; None where every one is consistent exactly.
    """
    return {method: _row(values, measured['bicubic']) for method, values in measured.items()}


def _row(values: dict[str, np.ndarray], bicubic: dict[str, np.ndarray]) -> dict[str, Any]:
    own, other = values['psnr_db'], bicubic['psnr_db']
    differs = own < EXACT_DB
    both = differs & (other < EXACT_DB)
    squares = np.mean(10 ** (-values['consistency_db'] / 10))
    row: dict[str, Any] = {'num_exact': int(len(own) - differs.sum())}
    if differs.any():
        row['psnr_db'] = summary(own[differs])
    if both.any():
        row['gain_psnr_db'] = summary(own[both] - other[both])
    if 'ssim' in values:
        row['ssim'] = summary(values['ssim'])
    is_consistent = squares < 10 ** (-EXACT_DB / 10)
    return row | {'consistency_db': None if is_consistent else float(-10 * np.log10(squares))}


def _show(numbers: dict[str, Any]) -> None:
    log.info('%-20s %10s %10s %10s', '', 'PSNR, dB', 'SSIM', 'consistency, dB')
    for method, row in numbers['methods'].items():
        psnr_db, ssim = (row.get(name, {}).get('mean') for name in ('psnr_db', 'ssim'))
        words = ['-' if v is None else f'{v:.3f}' for v in (psnr_db, ssim)]
        consistency = row['consistency_db']
        words += ['exact' if consistency is None else f'{consistency:.3f}']
        log.info('%-20s %10s %10s %15s', _words(method, numbers), *words)


def _words(method: str, numbers: dict[str, Any]) -> str:
    return WORDS[method].format(numbers['num_samples'])


def _draw(run: Run, found: dict[str, np.ndarray], numbers: dict[str, Any], path) -> None:
    """Rows of images: what is given, what is made of it, and the truth."""
    spec, methods = run.data.spec, [name for name in SHOWN if name in found]
    given = enlarged(found['low'], numbers['factor'], 'nearest')
    rows = [given, *(found[name] for name in methods), found['x']]
    words = ['given', *(_words(name, numbers) for name in methods), 'truth']
    columns = len(found['x'])
    image = image_grids.grid(np.concatenate(rows), spec, columns)
    height, width = found['low'].shape[1:3]
    title = f'{height}x{width} pixels enlarged by {numbers["factor"]}'
    image_grids.save_labelled(path, image, title, words, [''] * columns)
    log.info('as a picture: %s', path)


APPLICATION = Application(apply, NEEDS)
