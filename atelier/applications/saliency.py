"""Draws saliency maps of a classifier: input gradients and Grad-CAM."""

import pathlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from atelier.applications import _common
from atelier.applications._application import CLASSIFY, Application
from atelier.core.abilities import Classify
from atelier.core.randomness import Stream, key_for
from atelier.data.classes import described, option_of, predicted_classes
from atelier.errors import UserError
from atelier.evaluation.per_example.over_examples import over_examples
from atelier.log import counted, log
from atelier.report import image_grids
from atelier.run import restore, result_names
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (CLASSIFY,)


def apply(
    run: Run, index: int = 0, num_images: int = 4, label: int | str = -1
) -> dict[str, np.ndarray]:
    """Computes the gradient of a class logit with respect to x, and the class activation map.

    A classifier without convolutions has no `FeatureMaps`, and only the gradient is computed.

    Args:
      run: of a family with `classify`.
      index: test index of the first image.
      num_images: number of consecutive images, each a row of the figure.
      label: class of the logit, by number or name. Below 0, it is the class predicted for each
        image.

    Returns:
      index [n]; file and row [n], where they came from; x [n, *event], preprocessed for the
      classifier; logits [n, classes]; shown [n], the class whose logit is explained; gradient [n,
      *event], signed, in logits per unit of x; with feature maps also activation [n, *space], and
      with labels also label [n].

    Raises:
      UserError: a missing checkpoint, no such image or class, or a gradient that is 0
        everywhere.
    """
    _common.at_least(0, index=index)
    _common.at_least(1, num_images=num_images)
    _common.check_split(run, 'test', index + 1, f'there is no --index={index}')
    label = option_of(run.data.spec, 'label', label)
    num_classes = run.data.spec.num_classes
    if num_classes is not None and label >= num_classes:
        raise UserError(f'--label={label}: there is no such class, choose 0 to {num_classes - 1}')
    known = predicted_classes(run.data.spec, run.config.data.classes)
    if label >= 0 and num_classes is not None and label not in known:
        raise UserError(
            f'--label={label}: training has no such example: choose of {described(run.data.spec)}'
        )
    trained = restore.load(run)
    rows = np.arange(index, min(index + num_images, run.data.size('test')))
    arrays = compute(trained, rows, label)
    explained = counted(len(rows), 'test image')
    log.info('%s, explained for the model of the %s', explained, trained.weights)
    if 'activation' not in arrays:
        log.info('no class activation: the classifier has no convolutions or no `feature_maps`')
    name = f'saliency-{index}' + (result_names.suffix(label=label) if label >= 0 else '')
    path = _common.save(trained, name, arrays)
    if image_grids.is_image(run.data.spec):
        _save_figure(run, arrays, path)
    return arrays


def compute(trained: TrainedRun, index: np.ndarray, label: int) -> dict[str, np.ndarray]:
    """Explains the test examples at `index`; returns the arrays of `apply`.

    Raises:
      UserError: the gradient is 0 everywhere.
    """
    run = trained.run
    examples = {name: array[index] for name, array in run.data.splits['test'].items()}
    explain = _explainer(run.family.ability(Classify), label)
    apply = over_examples(explain, run.data, run.config.eval.batch_size, trained.devices)
    key = key_for(trained.state.key, Stream.EVALUATE)
    explained = apply(trained.state, key, examples, len(index))
    arrays = {**_common.origins_of(run, index), 'index': index, **explained}
    if not np.any(arrays['gradient']):
        raise UserError(
            f'the gradient is 0 everywhere: the model of {run.folder} reads x as discrete levels'
        )
    return arrays


def _explainer(classifier: Classify, label: int) -> Callable:
    """Returns f(weights, batch, rng) -> per-example arrays of `apply`."""

    def explain(weights, batch, rng):
        logits_of = lambda x: classifier.logits(weights, {**batch, 'x': x}, rng)
        logits = logits_of(batch['x'])
        target = jnp.full(len(logits), label) if label >= 0 else jnp.argmax(logits, -1)
        arrays = {
            'x': batch['x'],
            'logits': logits,
            'shown': target,
            'gradient': gradient(logits_of, batch['x'], target),
        }
        if classifier.feature_maps is not None:
            maps = classifier.feature_maps.maps(weights, batch, rng)
            logits_of_maps = lambda maps: classifier.feature_maps.logits(weights, maps)
            arrays['activation'] = class_activation(logits_of_maps, maps, target)
        return arrays

    return explain


def gradient(
    logits_of: Callable, x: Float[Array, 'n *event'], label: Int[Array, 'n']
) -> Float[Array, 'n *event']:
    """Returns the gradient of each example's logit of `label` with respect to the example.

    Simonyan et al. (2014), section 3.1: the gradient of the logit, because the probability also
    grows when the logit of another class shrinks. `logits_of` has to treat the rows independently.
    """
    sum_of_logits = lambda x: jnp.sum(jnp.take_along_axis(logits_of(x), label[:, None], -1))
    return jax.grad(sum_of_logits)(x)


def class_activation(
    logits_of: Callable, maps: Float[Array, 'n *space channels'], label: Int[Array, 'n']
) -> Float[Array, 'n *space']:
    """Grad-CAM: relu(sum_k alpha_k A^k) of maps A, with alpha_k the spatial mean of dy / dA^k.

    y is the logit. Selvaraju et al. (2017), equations 1 and 2.
    """
    slope = gradient(logits_of, maps, label)
    alpha = jnp.mean(slope, tuple(range(1, maps.ndim - 1)), keepdims=True)
    return jax.nn.relu(jnp.sum(alpha * maps, -1))


def strongest(slope: Float[np.ndarray, 'n *event']) -> Float[np.ndarray, 'n height width']:
    """Absolute value, maximized over channels (Simonyan et al. 2014, section 3.1)."""
    magnitude = np.abs(slope)
    return magnitude.max(-1) if magnitude.ndim == 4 else magnitude


def _save_figure(run: Run, arrays: dict[str, np.ndarray], path: pathlib.Path) -> None:
    """Draws a row per image: the image, the gradient, and the image under the activation map."""
    from matplotlib.figure import Figure

    x = image_grids.shades(arrays['x'], run.data.spec)
    slope, n = strongest(arrays['gradient']), len(x)
    activation = arrays.get('activation')
    columns = 2 if activation is None else 3
    height = 2.6 * x.shape[1] / x.shape[2] + 0.3
    figure = Figure(figsize=(2.6 * columns + 0.2, height * n + 0.2), layout='constrained')
    panels = figure.subplots(n, columns, squeeze=False)
    if activation is not None:
        smooth = np.asarray(jax.image.resize(activation, x.shape[:3], 'bilinear'))
    for i, row in enumerate(panels):
        image = x[i].squeeze(-1) if x.shape[-1] == 1 else x[i]
        row[0].imshow(image, cmap='gray', vmin=0, vmax=1)
        row[0].set_title(_title(arrays, i), fontsize=9)
        row[1].imshow(slope[i], cmap='inferno', vmin=0)
        row[1].set_title(f'|gradient| of logit {arrays["shown"][i]}', fontsize=9)
        if activation is not None:
            row[2].imshow(image, cmap='gray', vmin=0, vmax=1)
            row[2].imshow(smooth[i], cmap='jet', alpha=0.5, vmin=0)
            space = 'x'.join(map(str, activation.shape[1:]))
            row[2].set_title(f'Grad-CAM of logit {arrays["shown"][i]}, maps {space}', fontsize=9)
        for axes in row:
            axes.set_axis_off()
    _common.draw_figure(path, figure)


def _title(arrays: dict[str, np.ndarray], i: int) -> str:
    """Returns the image's test index, its class and the predicted class."""
    predicted = f'predicted {arrays["logits"][i].argmax()}'
    true = f'class {arrays["label"][i]}, ' if 'label' in arrays else ''
    return f'test {arrays["index"][i]}: {true}{predicted}'


APPLICATION = Application(
    apply,
    NEEDS,
    reads='it explains the classes of test examples',
    only_test=True,
    needs_labels=False,
)
