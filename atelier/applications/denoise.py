"""Noise on test examples, what the model makes of it, and how near both are to the truth."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from atelier.applications import _common
from atelier.applications._application import DENOISE, RECONSTRUCT, Application, require
from atelier.applications._nearness import Scale
from atelier.core.abilities import Denoise, Reconstruct
from atelier.core.randomness import Stream, fold_in, key_for
from atelier.data.corruption import NOISES
from atelier.errors import UserError
from atelier.evaluation.evaluate import summary
from atelier.evaluation.per_example.over_examples import over_examples
from atelier.log import log
from atelier.report import image_grids
from atelier.run import restore
from atelier.run.experiment import Run

NEEDS = (RECONSTRUCT | DENOISE,)
NOISE = 0x6E6F6973  # the draws of ours, apart from those of `reconstruct`


def apply(
    run: Run,
    noise: str = 'gaussian',
    levels: str = '0.1,0.25,0.5',
    num_images: int = 12,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Takes the noise off the whole test split again, and compares with the clean examples.

    A family that has `denoise`, as a diffusion model, is told how large the noise is, and sees the
    numbers that it brings beyond their range, which are clipped everywhere else.

    Noise is put on the normalized scale, and the result is clipped to the range of x where it is
    known. PSNR and SSIM are taken on the scale on which x goes from 0 to 1: that range or, of real
    values, the extremes of the training split (of each column in a table). Their means leave out
    examples that the noise left as they were: their PSNR is infinite.

    Args:
      run: of a family with `reconstruct`, or with `denoise`, whose levels have an end.
      noise: gaussian, of deviation `level`; masking, a share `level` of all numbers set to 0, or
        salt_and_pepper, to the smallest or the largest value.
      levels: of noise, each with rows of its own in the picture.
      num_images: of the picture.
      seed: of the noise, which depends on it, the level and the example alone, and of the images.

    Returns:
      levels [levels]; noisy_psnr_db and denoised_psnr_db [levels, n] of the test split and, of
      images, noisy_ssim and denoised_ssim; index [images] in the test split, x [images, *event],
      noisy and denoised [levels, images, *event], in the data's units.

    Raises:
      UserError: a missing ability or checkpoint, or a bad option.
    """
    require(run, 'denoise', *NEEDS)
    strengths = _check(noise, levels)
    _check_family(run, noise, max(strengths))
    _common.at_least(1, num_images=num_images)
    _common.check_seed(seed)
    _common.check_split(run, 'test', 1, 'there is nothing to denoise')
    state, weights = restore.load_state(run)
    index = _common.draw_of_test(run, num_images, seed)
    scale = Scale(run)
    look = _denoiser(run, noise, scale, jax.devices())
    key, n = (
        key_for(jax.random.PRNGKey(seed), Stream.EVALUATE),
        run.data.size('test'),
    )
    measured, shown = [], []
    for level in strengths:
        inputs = {**run.data.splits['test'], 'level': np.full(n, level, np.float32)}
        x, noisy, denoised = look(state, key, inputs, n)
        measured.append(_measure(scale, x, noisy, denoised))
        shown.append({'noisy': noisy[index], 'denoised': denoised[index]})
    found = {'levels': np.asarray(strengths), **_stack(measured), 'index': index, 'x': x[index]}
    found.update(_stack(shown))
    log.info('%d test examples with %s noise, by the %s', n, noise, weights)
    name = f'denoise-{noise}-seed-{seed}'
    path = _common.save(run, name, found)
    numbers = [_summary(level, values) for level, values in zip(strengths, measured, strict=True)]
    _common.record(run, name, weights, {'noise': noise, 'num_examples': n, 'levels': numbers})
    _show(numbers)
    if image_grids.is_image(run.data.spec):
        _draw(run, found, noise, path)
    return found


def _check(noise: str, levels: str) -> list[float]:
    """The levels as numbers."""
    if noise not in NOISES:
        raise UserError(f'--noise={noise}: choose one of {", ".join(NOISES)}')
    try:
        strengths = [float(word) for word in levels.split(',')]
    except ValueError as error:
        raise UserError(f'--levels={levels}: give numbers, as 0.1,0.25,0.5') from error
    most = np.inf if noise == 'gaussian' else 1
    if not all(0 < level <= most and np.isfinite(level) for level in strengths):
        up_to = '' if noise == 'gaussian' else ' and at most 1, for they are shares'
        raise UserError(f'--levels={levels}: each has to be above 0{up_to}')
    return strengths


def _check_family(run: Run, noise: str, level: float) -> None:
    """Refuses noise that the family cannot take off."""
    if run.family.ability(Reconstruct) is None and noise != 'gaussian':
        raise UserError(f'--noise={noise}: the model of {run.folder} removes gaussian noise alone')
    if _knows_level(run, noise) and level > run.family.ability(Denoise).max_std:
        raise UserError(
            f'--levels: {level:g} is more noise than the model of {run.folder} knows, which is '
            f'{run.family.ability(Denoise).max_std:.3g}'
        )


def _knows_level(run: Run, noise: str) -> bool:
    return run.family.ability(Denoise) is not None and noise == 'gaussian'


def _denoiser(run: Run, noise: str, scale: Scale, devices: Sequence[jax.Device]) -> Callable:
    """Returns look(state, key, inputs with 'level' [n], n) -> (x, noisy, denoised) [n, *event]."""
    spec, corrupt = run.data.spec, NOISES[noise]
    low, high = jnp.asarray(scale.low[0]), jnp.asarray(scale.high[0])

    def preprocess(raw, keys):
        stored = {name: array for name, array in raw.items() if name != 'level'}
        return {**run.data.preprocess(stored, keys), 'level': raw['level']}

    def one(x, key, level):
        bits = jax.lax.bitcast_convert_type(level, jnp.uint32)  # whichever levels stand beside it
        return corrupt(x, jax.random.fold_in(key, bits), level, low, high)

    def look(weights, batch, rng):
        x, level = batch['x'], batch['level']
        keys = fold_in(rng.keys, NOISE)
        clean = spec.normalize(x)
        whole = jax.vmap(one)(clean, keys, level)
        noisy = whole if spec.interval is None else jnp.clip(whole, low, high)
        noisy = jnp.where(noisy == clean, x, spec.denormalize(noisy))  # spared, not rounded
        rest = {name: array for name, array in batch.items() if name not in ('x', 'level')}
        if _knows_level(run, noise):
            seen = {**rest, 'x': spec.denormalize(whole), 'noise_std': level}
            return x, noisy, run.family.ability(Denoise).clean(weights, seen, rng)
        return x, noisy, run.family.ability(Reconstruct).mean(weights, {**rest, 'x': noisy}, rng)

    data = run.data._replace(preprocess=preprocess)
    return over_examples(look, data, run.config.eval.batch_size, devices)


def _measure(scale: Scale, x, noisy, denoised) -> dict[str, np.ndarray]:
    """PSNR and, of images, SSIM of each example before and after."""
    before, after = (scale.nearness(x, a) for a in (noisy, denoised))
    return {
        f'{name}_{of}': values[of]
        for name, values in (('noisy', before), ('denoised', after))
        for of in values
    }


def _summary(level: float, values: dict[str, np.ndarray]) -> dict[str, Any]:
    """Means over the examples that the noise changed, and of the gain, which is paired."""
    is_noisy = np.isfinite(values['noisy_psnr_db'])
    values = {name: value[is_noisy] for name, value in values.items()}
    values['gain_psnr_db'] = values['denoised_psnr_db'] - values['noisy_psnr_db']
    means = {name: summary(value) for name, value in values.items() if len(value)}
    return {'level': level, 'num_changed': int(is_noisy.sum()), **means}


def _stack(rows: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _show(numbers: list[dict[str, Any]]) -> None:
    log.info('%8s %26s %18s', 'level', 'PSNR in dB, noisy denoised', 'SSIM, noisy denoised')
    for row in numbers:
        names = ('noisy_psnr_db', 'denoised_psnr_db', 'noisy_ssim', 'denoised_ssim')
        mean = lambda name, row=row: row.get(name, {}).get('mean')
        words = ['-' if mean(name) is None else f'{mean(name):.3f}' for name in names]
        log.info('%8g %17s %8s %11s %8s', row['level'], *words)


def _draw(run: Run, found: dict[str, np.ndarray], noise: str, path) -> None:
    """Of each level a row of noisy images, below it what they became, and the clean ones."""
    spec, words, rows = run.data.spec, [], []
    for level, noisy, denoised in zip(
        found['levels'], found['noisy'], found['denoised'], strict=True
    ):
        rows += [noisy, denoised, found['x']]
        words += [f'noisy, {level:g}', 'denoised', 'clean']
    columns = len(found['x'])
    image = image_grids.grid(np.concatenate(rows), spec, columns)
    title = f'{noise.replace("_", " ").capitalize()} noise, by level'
    image_grids.save_labelled(path, image, title, words, [''] * columns)
    log.info('as a picture: %s', path)


APPLICATION = Application(apply, NEEDS)
