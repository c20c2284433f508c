"""Denoises test examples; reports PSNR and SSIM before and after."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from atelier.applications import _common, _pictures
from atelier.applications._application import DENOISE, RECONSTRUCT, Application
from atelier.applications._nearness import Scale
from atelier.core.abilities import Denoise, Reconstruct
from atelier.core.family import Family
from atelier.core.randomness import Stream, fold_in, key_for
from atelier.data.corruption import NOISES
from atelier.data.spec import Spec
from atelier.errors import UserError, check_option
from atelier.evaluation.evaluate import summary
from atelier.log import counted, log
from atelier.report import texts
from atelier.report.metrics_log import rounded
from atelier.report.views.choose import view_of
from atelier.report.views.view import Picture, View
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples
from atelier.run.restore import TrainedRun

NEEDS = (RECONSTRUCT | DENOISE,)
NOISE = 0x6E6F6973  # fold_in constant of this noise, to differ from the draws of `reconstruct`
MEASURES = ('noisy_psnr_db', 'noisy_ssim', 'denoised_psnr_db', 'denoised_ssim')


def apply(
    run: Run,
    noise: str = 'gaussian',
    levels: str = '0.1,0.25,0.5',
    num_images: int = 12,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Adds noise to the whole test split, removes it, and compares with the clean examples.

    The noise is added on the normalized scale. If the range of x is known, the noisy x is clipped
    to it. For gaussian noise, a family with `denoise`, such as a diffusion model, gets the noise
    level and the unclipped values.

    PSNR and SSIM are computed with x scaled to [0, 1]. 0 and 1 are the ends of the range of x or,
    for real-valued data, the extremes of the training split (of each column for a table). The means
    of PSNR and SSIM leave out examples that the noise did not change, whose PSNR is infinite.

    Args:
      run: of a family with `reconstruct` or `denoise`. `denoise` removes only gaussian noise, up to
        the largest level that the model covers.
      noise: kind of noise: gaussian adds noise whose standard deviation is the level; masking sets
        each value to 0 with the level as probability; salt_and_pepper sets each value, with that
        probability, to the smallest or the largest.
      levels: noise levels, with commas between them, each with its own rows in the figure.
      num_images: number of images in the figure.
      seed: seed of the choice of images and of the noise, which depends on the seed, the level and
        the example alone.

    Returns:
      levels [levels]; noisy_psnr_db and denoised_psnr_db [levels, n] of the test split and, for
      images, noisy_ssim and denoised_ssim; file and row [n], where the examples came from; index
      [images] in the test split, x [images, *event], noisy and denoised [levels, images, *event],
      in the data's units.

    Raises:
      UserError: a missing checkpoint, or a bad option.
    """
    strengths = _check(noise, levels)
    _check_family(run, noise, max(strengths))
    _common.at_least(1, num_images=num_images)
    _common.check_seed(seed)
    _common.check_split(run, 'test', 1, 'there is nothing to denoise')
    trained = restore.load(run)
    index = _common.random_test_indices(run, num_images, seed)
    arrays = compute(trained, noise, strengths, index, seed)
    origins = _common.origins_of(run)
    arrays |= origins
    results = _results(arrays, noise)
    changed = _common.changed_options(apply, levels=levels)
    table = origins | _columns(arrays)
    path = _common.save(trained, f'denoise-{noise}-seed-{seed}{changed}', arrays, results, table)
    _log(results, trained.weights)
    view = view_of(run.data.spec)
    if view is not None:
        title = f'{noise.replace("_", " ").capitalize()} noise'
        _common.save_picture(path, _picture(trained, view, arrays, title))
    return arrays


def compute(
    trained: TrainedRun, noise: str, strengths: Sequence[float], index: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Denoises the test split at each noise level; returns the arrays of `apply`.

    The returned examples are those at `index`.
    """
    run, scale = trained.run, Scale(trained.run)
    denoise = _denoiser(run, noise, scale, trained.devices)
    key, n = key_for(jax.random.PRNGKey(seed), Stream.EVALUATE), run.data.size('test')
    measures, examples = [], []
    for level in strengths:
        inputs = {**run.data.splits['test'], 'level': np.full(n, level, np.float32)}
        x, noisy, denoised = denoise(trained.state, key, inputs, n)
        measures.append(_measure(scale, x, noisy, denoised))
        examples.append({'noisy': noisy[index], 'denoised': denoised[index]})
    kept = {'index': index, 'x': x[index], **_stack(examples)}
    return {'levels': np.asarray(strengths), **_stack(measures), **kept}


def _check(noise: str, levels: str) -> list[float]:
    """Returns the levels as floats.

    Raises:
      UserError: an unknown noise, or an invalid level.
    """
    check_option('noise', noise, NOISES)
    try:
        strengths = [float(level) for level in levels.split(',')]
    except ValueError as error:
        raise UserError(f'--levels={levels}: give numbers, such as 0.1,0.25,0.5') from error
    max_level = np.inf if noise == 'gaussian' else 1
    if not all(0 < level <= max_level and np.isfinite(level) for level in strengths):
        limit = '' if noise == 'gaussian' else ' and at most 1, as it is a share of the values'
        raise UserError(f'--levels={levels}: each has to be above 0{limit}')
    return strengths


def _check_family(run: Run, noise: str, level: float) -> None:
    """Checks that the family can remove this noise.

    Raises:
      UserError: it cannot.
    """
    if run.family.ability(Reconstruct) is None and noise != 'gaussian':
        raise UserError(f'--noise={noise}: the model of {run.folder} removes only gaussian noise')
    if _knows_level(run, noise) and level > run.family.ability(Denoise).max_std:
        raise UserError(
            f'--levels: {level:g} is more noise than the model of {run.folder} was trained on: '
            f'give at most {run.family.ability(Denoise).max_std:.3g}'
        )


def _knows_level(run: Run, noise: str) -> bool:
    return run.family.ability(Denoise) is not None and noise == 'gaussian'


def _denoiser(run: Run, noise: str, scale: Scale, devices: Sequence[jax.Device]) -> Callable:
    """Returns f(state, key, inputs with 'level' [n], n) -> (x, noisy, denoised) [n, *event]."""
    spec, add_noise = run.data.spec, _noise_adder(noise, scale)
    low, high = jnp.asarray(scale.low[0]), jnp.asarray(scale.high[0])

    def preprocess(raw, keys):
        stored = {name: array for name, array in raw.items() if name != 'level'}
        return {**run.data.preprocess(stored, keys), 'level': raw['level']}

    def denoise(weights, batch, rng):
        x, level = batch['x'], batch['level']
        clean = spec.normalize(x)
        unclipped = jax.vmap(add_noise)(clean, fold_in(rng.keys, NOISE), level)
        noisy = unclipped if spec.interval is None else jnp.clip(unclipped, low, high)
        noisy = jnp.where(noisy == clean, x, spec.denormalize(noisy))  # untouched values stay exact
        rest = {name: array for name, array in batch.items() if name not in ('x', 'level')}
        if _knows_level(run, noise):
            inputs = {**rest, 'x': spec.denormalize(unclipped), 'noise_std': level}
            return x, noisy, run.family.ability(Denoise).clean(weights, inputs, rng)
        return x, noisy, run.family.ability(Reconstruct).mean(weights, {**rest, 'x': noisy}, rng)

    data = run.data._replace(preprocess=preprocess)
    return over_examples(denoise, data, run.config.eval.batch_size, devices)


def _noise_adder(noise: str, scale: Scale) -> Callable:
    """Returns f(x [*event], key, level) -> x with noise, independent of the other levels' noise."""
    low, high = jnp.asarray(scale.low[0]), jnp.asarray(scale.high[0])

    def add_noise(x, key, level):
        bits = jax.lax.bitcast_convert_type(level, jnp.uint32)
        return NOISES[noise](x, jax.random.fold_in(key, bits), level, low, high)

    return add_noise


def _measure(scale: Scale, x, noisy, denoised) -> dict[str, np.ndarray]:
    """Returns PSNR and, for images, SSIM of each example before and after denoising."""
    before, after = (scale.psnr_and_ssim(x, y) for y in (noisy, denoised))
    return {
        f'{name}_{measure}': values[measure]
        for name, values in (('noisy', before), ('denoised', after))
        for measure in values
    }


def _columns(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns NAME_LEVEL [n] of the measures of each level."""
    return {
        f'{name}_{level:g}': arrays[name][i]
        for i, level in enumerate(arrays['levels'].tolist())
        for name in MEASURES
        if name in arrays
    }


def _stack(rows: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _results(arrays: dict[str, np.ndarray], noise: str) -> dict[str, Any]:
    """Returns the recorded results: a summary per level."""
    names = [name for name in MEASURES if name in arrays]
    levels = [
        _summary(level, {name: arrays[name][i] for name in names})
        for i, level in enumerate(arrays['levels'].tolist())
    ]
    return {'noise': noise, 'num_examples': arrays['noisy_psnr_db'].shape[1], 'levels': levels}


def _summary(level: float, values: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns means of the measures and the PSNR gain, over the examples that the noise changed."""
    is_noisy = np.isfinite(values['noisy_psnr_db'])
    values = {name: value[is_noisy] for name, value in values.items()}
    values['gain_psnr_db'] = values['denoised_psnr_db'] - values['noisy_psnr_db']
    means = {name: summary(value) for name, value in values.items() if len(value)}
    return {'level': level, 'num_changed': int(is_noisy.sum()), **means}


def _log(results: dict[str, Any], weights: str) -> None:
    """Logs a table of the means with a row per level."""
    n, noise = counted(results['num_examples'], 'test example'), results['noise']
    log.info('%s with %s noise, denoised by the model of the %s', n, noise, weights)
    log.info('%8s %26s %18s', 'level', 'PSNR in dB, noisy denoised', 'SSIM, noisy denoised')
    for row in results['levels']:
        names = ('noisy_psnr_db', 'denoised_psnr_db', 'noisy_ssim', 'denoised_ssim')
        columns = [rounded(*row[name].values()) if name in row else '-' for name in names]
        log.info('%8g %17s %8s %11s %8s', row['level'], *columns)


def _picture(trained: TrainedRun, view: View, arrays: dict[str, np.ndarray], title: str) -> Picture:
    """Returns the way from noisy over denoised to clean, of each example at each level.

    It is a row among data; of images, it is a column.
    """
    spec, levels = trained.run.data.spec, arrays['levels'].tolist()
    clean = np.broadcast_to(arrays['x'], arrays['noisy'].shape)
    ways = np.stack([arrays['noisy'], arrays['denoised'], clean], 1)  # [levels, stages, n, ...]
    n = len(arrays['x'])
    if not view.is_among_data:
        names = [name for each in levels for name in (f'noisy, {each:g}', 'denoised', 'clean')]
        rows = ways.reshape(-1, *ways.shape[2:])
        return view.rows(rows, spec, f'{title}, by level', names, [''] * n)
    rows = np.moveaxis(ways, 2, 0).reshape(-1, *ways.shape[1:2], *ways.shape[3:])
    names = [f'level {level:g}' for level in levels] * n
    title, among = f'{title}: from noisy over denoised to clean', _pictures.among(trained)
    return view.rows(rows, spec, title, names, ('noisy', 'denoised', 'clean'), among)


def _refusal(family: Family, spec: Spec) -> str:
    """Returns why texts get no noise, or ''."""
    del family
    return (
        'cannot denoise: texts have symbols, which no noise is added to'
        if texts.is_text(spec)
        else ''
    )


APPLICATION = Application(apply, NEEDS, _refusal, reads='it adds noise to test examples')
