"""Test examples of which a part is hidden, filled in several times, and how near that is."""

import math
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from atelier.applications import _common
from atelier.applications._application import INPAINT, Application, require
from atelier.applications._masks import hidden_parts, name_of
from atelier.applications._nearness import Scale
from atelier.core.abilities import Inpaint
from atelier.core.randomness import Stream, key_for
from atelier.evaluation.evaluate import summary
from atelier.evaluation.per_example.over_examples import over_examples
from atelier.evaluation.samples.sampling import as_seen
from atelier.log import log
from atelier.report import image_grids
from atelier.run import restore
from atelier.run.experiment import Run

NEEDS = (INPAINT,)
CHUNK = 20_000  # training examples at once; memory only
WORDS = {
    'completion': 'a completion',
    'completions_mean': 'mean of completions',
    'training_mean': 'training mean',
}


def apply(
    run: Run,
    mask: str = 'left',
    share: float = 0.5,
    num_images: int = 8,
    num_completions: int = 4,
    num_examples: int = 200,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Fills in what the mask hides of test examples, several times.

    A model that sees the label is told it. Its completions, their mean and, as a baseline, the mean
    of each number over the training split are compared with the truth, over the hidden part alone;
    a perfect model's completion errs twice as much, squared, as the best guess, which is the mean
    of many. PSNR is on the scale on which x goes from 0 to 1, as in `denoise`, and what is recorded
    is that of the mean squared error of all examples. SSIM is of whole images.

    Args:
      run: of a family with `inpaint`.
      mask: what is hidden, as `_masks.hidden_parts` says.
      share: of all places (an image's pixels), hidden by random.
      num_images: that are kept and shown.
      num_completions: of each example.
      num_examples: of the test split, in an order that the seed draws; 0: all, in their own.
      seed: of each completion, with its number and the example's place; of random masks, the order
        and the choice.

    Returns:
      completion_psnr_db [n, completions], completions_mean_psnr_db and training_mean_psnr_db [n]
      and, of images, _ssim likewise; of those shown index [images], x and known [images, *event]
      and completions [images, completions, *event], in the data's units.

    Raises:
      UserError: a missing ability or checkpoint, or a bad option.
    """
    require(run, 'inpaint', *NEEDS)
    _common.at_least(1, num_images=num_images, num_completions=num_completions)
    _common.check_seed(seed)
    run, order = _some_of_test(run, num_examples, seed)
    split, n = run.data.splits['test'], run.data.size('test')
    hidden = hidden_parts(run.data.spec, mask, share, n, seed)
    state, weights = restore.load_state(run)
    x = as_seen(run, state, jax.devices(), split['x'])
    made = _completions(run, state, x, hidden, num_completions, seed)
    baseline = np.where(hidden, _training_mean(run, state), x)
    values = {'completion': made, 'completions_mean': made.mean(0), 'training_mean': baseline}
    scale = Scale(run)
    found = _measure(scale, x, hidden, values)
    numbers = {name: _numbers(run, scale, found, name) for name in values}
    place, name = _common.draw_of_test(run, num_images, seed), name_of(mask, share)
    shown = {'index': order[place], 'x': x[place], 'known': ~hidden[place]}
    found.update(shown, completions=np.swapaxes(made, 0, 1)[place])
    path = _common.save(run, f'inpaint-{name}-seed-{seed}{_common.how_drawn(run)}', found)
    about = {'mask': mask, 'hidden_share': float(hidden.mean()), 'num_examples': n}
    _common.record(run, path.stem, weights, {**about, 'num_completions': len(made), **numbers})
    log.info('%d test examples, by the %s: %.0f %% hidden', n, weights, 100 * hidden.mean())
    _show(numbers)
    if image_grids.is_image(run.data.spec):
        _draw(run, found, name, path)
    return found


def _some_of_test(run: Run, n: int, seed: int) -> tuple[Run, Int[np.ndarray, 'n']]:
    """`run` with so many test examples alone, and which they are; 0: all."""
    _common.at_least(0, num_examples=n)
    _common.check_split(run, 'test', 1, 'there is nothing to fill in')
    split = run.data.splits['test']
    order = _common.draw_of_test(run, n, seed) if n else np.arange(run.data.size('test'))
    some = {name: array[order] for name, array in split.items()}
    return run._replace(data=run.data._replace(splits={**run.data.splits, 'test': some})), order


def _completions(
    run: Run, state, x: np.ndarray, hidden: Bool[np.ndarray, 'n *event'], count: int, seed: int
) -> Float[np.ndarray, 'completions n *event']:
    """What the family makes of x, which does not reach it where it is hidden."""
    blank = np.broadcast_to(np.asarray(run.data.spec.denormalize(np.zeros(x.shape))), x.shape)
    inputs = {'x': np.where(hidden, blank, x).astype(x.dtype), 'known': ~hidden}
    if 'label' in run.data.splits['test']:
        inputs['label'] = np.asarray(run.data.splits['test']['label'], np.int32)
    data = run.data._replace(preprocess=lambda inputs, keys: inputs)  # x is what a model sees
    fill = over_examples(
        run.family.ability(Inpaint).fill, data, run.config.eval.batch_size, jax.devices()
    )
    made = []
    for number in range(count):
        log.info('completion %d of %d, of %d test examples', number + 1, count, len(x))
        key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE, number)
        made.append(fill(state, key, inputs, len(x)))
    if count > 1 and np.array_equal(made[0], made[1]):
        log.info('this model draws nothing: its completions are all the same')
    return np.stack(made)


def _training_mean(run: Run, state) -> Float[np.ndarray, '*event']:
    x = run.data.splits['train']['x']
    parts = [x[start : start + CHUNK] for start in range(0, len(x), CHUNK)]
    sums = [as_seen(run, state, jax.devices(), part).sum(0, np.float64) for part in parts]
    return sum(sums) / len(x)


def _measure(scale: Scale, x, hidden, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """PSNR of the hidden part and, of images, SSIM: [n], or of several x for each [n, several]."""
    found = {}
    for name, made in values.items():
        is_one = made.ndim == x.ndim
        each = [scale.nearness(x, a, hidden) for a in ([made] if is_one else made)]
        for measure in each[0]:
            columns = np.stack([values[measure] for values in each], 1)
            found[f'{name}_{measure}'] = columns[:, 0] if is_one else columns
    return found


def _numbers(run: Run, scale: Scale, found: dict[str, np.ndarray], name: str) -> dict[str, Any]:
    """Over all examples: PSNR of the mean squared error, its root, and the mean SSIM.

    The root is in the data's units; of a table, whose columns have units of their own, left out.
    """
    by_example = lambda values: values.reshape(len(values), -1).mean(1)
    squares = summary(by_example(10 ** (-found[f'{name}_psnr_db'] / 10)))
    mean, error = squares['mean'], squares['standard_error']
    numbers = {'psnr_db': {'mean': None, 'standard_error': None}}  # of no error, or of nan
    if mean:
        spread = None if error is None else 10 / math.log(10) * error / mean
        numbers['psnr_db'] = {'mean': -10 * math.log10(mean), 'standard_error': spread}
    if len(run.data.spec.event_shape) != 1 or run.data.spec.interval is not None:
        low, high = (np.asarray(run.data.spec.denormalize(end)) for end in (scale.low, scale.high))
        numbers['rmse'] = None if mean is None else math.sqrt(mean) * float((high - low).max())
    if f'{name}_ssim' in found:
        numbers['ssim'] = summary(by_example(found[f'{name}_ssim']))
    return numbers


def _show(numbers: dict[str, dict[str, Any]]) -> None:
    log.info('%24s %18s %12s %8s', 'of the hidden part', 'PSNR in dB', "RMSE, data's", 'SSIM')
    told = lambda value: '-' if value is None else f'{value:.3f}'
    for name, values in numbers.items():
        (mean, error), similar = values['psnr_db'].values(), values.get('ssim', {}).get('mean')
        ratio = told(mean) if error is None else f'{mean:.2f} +- {error:.2f}'
        line = WORDS[name], ratio, told(values.get('rmse')), told(similar)
        log.info('%24s %18s %12s %8s', *line)


def _draw(run: Run, found: dict[str, np.ndarray], name: str, path) -> None:
    """Columns of images: what is known, the completions, the truth."""
    x, completions = found['x'], np.swapaxes(found['completions'], 0, 1)
    low, high = run.data.spec.interval or (x.min(), x.max())
    rows = [np.where(found['known'], x, (low + high) / 2), *completions, x]
    words = ['known', *(f'completion {i + 1}' for i in range(len(completions))), 'truth']
    image = image_grids.grid(np.concatenate(rows), run.data.spec, len(x))
    title = f'Filled in where it is hidden: {name}'
    image_grids.save_labelled(path, image, title, words, [''] * len(x))
    log.info('as a picture: %s', path)


APPLICATION = Application(apply, NEEDS)
