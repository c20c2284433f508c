"""Fills in hidden parts of test examples several times; reports PSNR and SSIM."""

import math
import pathlib
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from atelier.applications import _common
from atelier.applications._application import INPAINT, Application
from atelier.applications._masks import hidden_parts, name_of
from atelier.applications._nearness import Scale
from atelier.core.abilities import Inpaint
from atelier.core.family import Family
from atelier.core.randomness import Stream, key_for
from atelier.data.conditions.condition import KEY
from atelier.data.spec import Spec
from atelier.evaluation.evaluate import summary
from atelier.evaluation.samples.sampling import preprocessed
from atelier.log import counted, log
from atelier.report import texts
from atelier.report.metrics_log import plus_minus
from atelier.report.views.choose import view_of
from atelier.report.views.view import DATA, Picture, View
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples
from atelier.run.restore import TrainedRun

NEEDS = (INPAINT,)
CHUNK = 20_000  # training examples per chunk; affects only memory
MEASURES = ('_psnr_db', '_ssim')  # ends of the names of arrays of all examples
METHODS = {  # name: title in the table
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
    """Completes test examples from their known part, and compares with the truth.

    A conditional model gets the label or condition. The completions, their mean and, as a baseline,
    the mean of x over the training split are compared with the truth on the hidden part alone. Even
    for a perfect model, the expected squared error of one completion is twice that of the best
    guess, which is the mean of many completions. PSNR is computed with x scaled to [0, 1], as in
    `denoise`. The returned arrays hold one PSNR per completion or example; the JSON file records
    the PSNR of the mean squared error over all examples. SSIM is of whole images.

    Args:
      run: of a family with `inpaint`.
      mask: hidden part: left, right, top, bottom, centre, random, or the path of an .npy array that
        is true where x is hidden.
      share: fraction of positions (pixels of an image) that a random mask hides.
      num_images: number of images to keep and show.
      num_completions: number of completions per example.
      num_examples: number of test examples, in an order drawn from the seed; 0: all, in the order
        of the split.
      seed: seed of the completions, the random masks, the order of the examples and the choice of
        images. A completion also depends on its own index and on its example's position in that
        order.

    Returns:
      For all n examples: completion_psnr_db [n, completions], completions_mean_psnr_db [n] and
      training_mean_psnr_db [n]; for images also the same three names ending in _ssim. For the
      `num_images` kept examples: index [images], their indices in the test split; file and row
      [images], where they came from; x [images, *event] and completions [images, completions,
      *event] in the data's units; known [images, *event], true where x was given.

    Raises:
      UserError: a missing checkpoint, or a bad option.
    """
    _common.at_least(1, num_images=num_images, num_completions=num_completions)
    _common.check_seed(seed)
    num_kept = min(num_images, run.data.size('test'))
    _common.check_outputs(run, factor=num_kept, num_completions=num_completions)
    part, order = _subset_of_test(run, num_examples, seed)
    hidden = hidden_parts(part.data.spec, mask, share, len(order), seed)
    trained, kept = restore.load(part), _common.random_test_indices(part, num_images, seed)
    arrays = compute(trained, hidden, num_completions, seed, kept)
    arrays |= {**_common.origins_of(run, order[kept]), 'index': order[kept]}
    results = {'mask': mask, **_results(part, arrays, hidden, num_completions)}
    name = name_of(mask, share)
    changed = _common.changed_options(
        apply, num_completions=num_completions, num_examples=num_examples
    )
    file, origins = f'inpaint-{name}-seed-{seed}{changed}', _common.origins_of(run, order)
    path = _save(trained, file, arrays, results, origins)
    _log(results, trained.weights)
    _draw(path, part, arrays, name)
    return arrays


def _save(
    trained: TrainedRun,
    file: str,
    arrays: dict[str, np.ndarray],
    results: dict[str, Any],
    origins: dict[str, np.ndarray],
) -> pathlib.Path:
    """Writes arrays, results and a table of all examples; returns the path of the picture."""
    measures = {each: array for each, array in arrays.items() if each.endswith(MEASURES)}
    return _common.save(trained, file, arrays, results, origins | measures)


def _draw(path: pathlib.Path, run: Run, arrays: dict[str, np.ndarray], name: str) -> None:
    """Draws the kept examples, if there is a view of such data."""
    view = view_of(run.data.spec)
    if view is not None:
        _common.save_picture(path, _picture(run, view, arrays, f'Hidden parts filled in: {name}'))


def compute(
    trained: TrainedRun,
    hidden: Bool[np.ndarray, 'n *event'],
    num_completions: int,
    seed: int,
    kept: Int[np.ndarray, 'images'],
) -> dict[str, np.ndarray]:
    """Completes all test examples; returns the arrays of `apply` except index.

    x, known and completions are those of the examples at `kept`.
    """
    run = trained.run
    x = preprocessed(run, trained.state, trained.devices, run.data.splits['test']['x'])
    completions = _completions(trained, x, hidden, num_completions, seed)
    results = {
        'completion': completions,
        'completions_mean': completions.mean(0),
        'training_mean': np.where(hidden, _training_mean(trained), x),
    }
    arrays = _measure(Scale(run), x, hidden, results)
    arrays.update(x=x[kept], known=~hidden[kept])
    return {**arrays, 'completions': np.swapaxes(completions, 0, 1)[kept]}


def _subset_of_test(run: Run, n: int, seed: int) -> tuple[Run, Int[np.ndarray, 'n']]:
    """Returns `run` reduced to n test examples (0: all), and their indices."""
    _common.at_least(0, num_examples=n)
    _common.check_split(run, 'test', 1, 'there is nothing to fill in')
    split = run.data.splits['test']
    order = _common.random_test_indices(run, n, seed) if n else np.arange(run.data.size('test'))
    subset = {name: array[order] for name, array in split.items()}
    return run._replace(data=run.data._replace(splits={**run.data.splits, 'test': subset})), order


def _completions(
    trained: TrainedRun, x: np.ndarray, hidden: Bool[np.ndarray, 'n *event'], count: int, seed: int
) -> Float[np.ndarray, 'completions n *event']:
    """Returns the family's completions; the hidden values of x never reach the family."""
    run = trained.run
    blank = np.broadcast_to(np.asarray(run.data.spec.denormalize(np.zeros(x.shape))), x.shape)
    inputs = {'x': np.where(hidden, blank, x).astype(x.dtype), 'known': ~hidden}
    given = {name: run.data.splits['test'].get(name) for name in ('label', KEY)}
    inputs |= {name: np.asarray(array) for name, array in given.items() if array is not None}
    data = run.data._replace(preprocess=lambda inputs, keys: inputs)  # x is already preprocessed
    ability, size = run.family.ability(Inpaint), run.config.eval.batch_size
    fill = over_examples(ability.fill, data, size, trained.devices)
    completions = []
    for i in range(count):
        log.info('completion %d of %d for %s', i + 1, count, counted(len(x), 'test example'))
        key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE, i)
        completions.append(fill(trained.state, key, inputs, len(x)))
    if count > 1 and np.array_equal(completions[0], completions[1]):
        log.info('this model is deterministic: its completions are all the same')
    return np.stack(completions)


def _training_mean(trained: TrainedRun) -> Float[np.ndarray, '*event']:
    x = trained.run.data.splits['train']['x']
    parts = [x[start : start + CHUNK] for start in range(0, len(x), CHUNK)]
    input_of = lambda part: preprocessed(trained.run, trained.state, trained.devices, part)
    return sum(input_of(part).sum(0, np.float64) for part in parts) / len(x)


def _measure(scale: Scale, x, hidden, results: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """PSNR of the hidden part and, for images, SSIM: [n], or [n, k] for k results per example."""
    arrays = {}
    for name, result in results.items():
        is_one = result.ndim == x.ndim
        qualities = [scale.psnr_and_ssim(x, y, hidden) for y in ([result] if is_one else result)]
        for measure in qualities[0]:
            columns = np.stack([values[measure] for values in qualities], 1)
            arrays[f'{name}_{measure}'] = columns[:, 0] if is_one else columns
    return arrays


def _results(
    run: Run, arrays: dict[str, np.ndarray], hidden: Bool[np.ndarray, 'n *event'], count: int
) -> dict[str, Any]:
    """Returns the recorded results: what was hidden, and a summary per method."""
    return {
        'hidden_share': float(hidden.mean()),
        'num_examples': len(hidden),
        'num_completions': count,
        **{name: _summary(run, arrays, name) for name in METHODS},
    }


def _summary(run: Run, arrays: dict[str, np.ndarray], name: str) -> dict[str, Any]:
    """Returns the PSNR of the mean squared error over all examples, the RMSE and the mean SSIM.

    The RMSE is in the data's units. A real-valued table has none: its columns may differ in units.
    """
    example_means = lambda values: values.reshape(len(values), -1).mean(1)
    squared_error = summary(example_means(10 ** (-arrays[f'{name}_psnr_db'] / 10)))
    mse, mse_error = squared_error['mean'], squared_error['standard_error']
    # remains None if the squared error is 0 or not finite
    metrics = {'psnr_db': {'mean': None, 'standard_error': None}}
    if mse:
        psnr_error = None if mse_error is None else 10 / math.log(10) * mse_error / mse
        metrics['psnr_db'] = {'mean': -10 * math.log10(mse), 'standard_error': psnr_error}
    if len(run.data.spec.event_shape) != 1 or run.data.spec.interval is not None:
        scale = Scale(run)
        low, high = (np.asarray(run.data.spec.denormalize(end)) for end in (scale.low, scale.high))
        metrics['rmse'] = None if mse is None else math.sqrt(mse) * float((high - low).max())
    if f'{name}_ssim' in arrays:
        metrics['ssim'] = summary(example_means(arrays[f'{name}_ssim']))
    return metrics


def _log(results: dict[str, Any], weights: str) -> None:
    """Logs a table with a row per method."""
    n, percent = counted(results['num_examples'], 'test example'), 100 * results['hidden_share']
    log.info('%s, %.0f %% of each hidden, filled in by the model of the %s', n, percent, weights)
    title = 'hidden part', 'PSNR in dB', 'RMSE in data units', 'SSIM of the image'
    log.info('%24s %18s %18s %18s', *title)
    for name in METHODS:
        values = results[name]
        psnr_db = plus_minus(*values['psnr_db'].values())
        ssim = values.get('ssim', {}).get('mean')
        row = METHODS[name], psnr_db, plus_minus(values.get('rmse')), plus_minus(ssim)
        log.info('%24s %18s %18s %18s', *row)


def _picture(run: Run, view: View, arrays: dict[str, np.ndarray], title: str) -> Picture:
    """Returns the completions among the examples or, of images, between known part and truth."""
    x, spec = arrays['x'], run.data.spec
    completions = np.swapaxes(arrays['completions'], 0, 1)
    names = [f'completion {i + 1}' for i in range(len(completions))]
    if view.is_among_data:
        return view.samples({DATA: x, **dict(zip(names, completions, strict=True))}, spec, title)
    low, high = spec.interval or (x.min(), x.max())
    known = np.where(arrays['known'], x, (low + high) / 2)
    rows = np.stack([known, *completions, x])
    return view.rows(rows, spec, title, ['known', *names, 'truth'], [''] * len(x))


def _refusal(family: Family, spec: Spec) -> str:
    """Returns why parts of texts are not filled in, or ''."""
    del family
    return 'cannot fill in parts of texts: --mode=text completes one' if texts.is_text(spec) else ''


APPLICATION = Application(apply, NEEDS, _refusal, reads='it completes test examples')
