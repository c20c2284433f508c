"""Draws saliency maps of a classifier: gradients with respect to x, and Grad-CAM."""

import pathlib
from collections.abc import Callable
from typing import SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from atelier.applications import _common, _saliency_figure
from atelier.applications._application import CLASSIFY, Application
from atelier.core.abilities import Classify
from atelier.core.randomness import Stream, key_for
from atelier.data.classes import described, option_of, predicted_classes
from atelier.data.spec import Spec
from atelier.errors import UserError, shortened_text
from atelier.log import counted, log
from atelier.report import figures, heat_maps, image_grids
from atelier.report.figure_text import figure_text, title_lines
from atelier.report.views.choose import view_of
from atelier.run import restore, result_names
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples
from atelier.run.restore import TrainedRun

NEEDS = (CLASSIFY,)
MAX_TOP = 5  # most probable classes whose maps are shown
MAX_NAME = 14  # letters of a class in a figure


def apply(
    run: Run, index: int = 0, num_images: int = 4, label: int | str = -1
) -> dict[str, np.ndarray]:
    """Computes the gradient of a class logit with respect to x, and class activation maps.

    The maps (Grad-CAM) are those of this class and of the five most probable classes. A classifier
    without convolutions has no `FeatureMaps`, and only the gradient is computed.

    Args:
      run: of a family with `classify`.
      index: test index of the first image.
      num_images: number of consecutive images, each a row of the figure.
      label: class of the logit, by number or name. Below 0, it is the class predicted for each
        image.

    Returns:
      index [n]; file and row [n], where they came from; x [n, *event], preprocessed for the
      classifier; logits [n, classes]; shown [n], the class whose logit is explained; gradient [n,
      *event], signed, in logits per unit of x; top and top_probability [n, 5], the most probable
      classes (fewer if there are fewer); with feature maps also activation [n, *space] of `shown`
      and top_activation [n, 5, *space], and with labels also label [n].

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
    _draw(run, arrays, label >= 0, path)
    return arrays


def _draw(run: Run, arrays: dict[str, np.ndarray], is_chosen: bool, path: pathlib.Path) -> None:
    """Draws images with their maps, and the gradients of other data by column or position."""
    spec, view = run.data.spec, view_of(run.data.spec)
    if view is None:  # of texts
        return
    if not view.is_among_data:
        _save_figure(run, arrays, is_chosen, path)
        return
    captions = [_caption(arrays, spec, i) for i in range(len(arrays['x']))]
    parts = arrays['x'], arrays['gradient'], captions
    _common.save_picture(path, _saliency_figure.picture(view, *parts, spec))


def _caption(arrays: dict[str, np.ndarray], spec: Spec, i: int) -> str:
    """Returns the index and the class of an example, and the class whose logit is explained."""
    shown, probabilities = int(arrays['shown'][i]), jax.nn.softmax(arrays['logits'][i])
    name = lambda label: shortened_text(spec.class_name(int(label)), MAX_NAME)
    own = f', {name(arrays["label"][i])}' if 'label' in arrays else ''
    share = percent(float(probabilities[shown]))
    return f'test {arrays["index"][i]}{own}: logit of {name(shown)}, {share}'


def compute(trained: TrainedRun, index: np.ndarray, label: int) -> dict[str, np.ndarray]:
    """Explains the test examples at `index`; returns the arrays of `apply`.

    Raises:
      UserError: the gradient is 0 everywhere.
    """
    run = trained.run
    examples = {name: array[index] for name, array in run.data.splits['test'].items()}
    num_known = len(predicted_classes(run.data.spec, run.config.data.classes))
    explain = _explainer(run.family.ability(Classify), label, min(num_known, MAX_TOP))
    apply = over_examples(explain, run.data, run.config.eval.batch_size, trained.devices)
    key = key_for(trained.state.key, Stream.EVALUATE)
    explained = apply(trained.state, key, examples, len(index))
    arrays = {**_common.origins_of(run, index), 'index': index, **explained}
    if not np.any(arrays['gradient']):
        raise UserError(
            f'the gradient is 0 everywhere: the model of {run.folder} reads x as discrete levels'
        )
    return arrays


def _explainer(classifier: Classify, label: int, num_top: int) -> Callable:
    """Returns f(weights, batch, rng) -> per-example arrays of `apply`."""

    def explain(weights, batch, rng):
        logits_of = lambda x: classifier.logits(weights, {**batch, 'x': x}, rng)
        logits = logits_of(batch['x'])
        target = jnp.full(len(logits), label) if label >= 0 else jnp.argmax(logits, -1)
        num_classes = min(num_top or MAX_TOP, logits.shape[-1])
        probability, top = jax.lax.top_k(jax.nn.softmax(logits), num_classes)
        arrays = {
            'x': batch['x'],
            'logits': logits,
            'shown': target,
            'top': top,
            'top_probability': probability,
            'gradient': gradient(logits_of, batch['x'], target),
        }
        if classifier.feature_maps is not None:
            maps = classifier.feature_maps.maps(weights, batch, rng)
            logits_of_maps = lambda maps: classifier.feature_maps.logits(weights, maps)
            activation = lambda classes: class_activation(logits_of_maps, maps, classes)
            arrays['activation'] = activation(target)
            arrays['top_activation'] = jnp.moveaxis(jax.lax.map(activation, top.T), 0, 1)
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


@figures.style()
def _save_figure(
    run: Run, arrays: dict[str, np.ndarray], is_chosen: bool, path: pathlib.Path
) -> None:
    """Draws a row per image: the image, the gradient, and the image under its activation maps.

    The maps are those of the most probable classes, after that of the class chosen by --label. The
    colours of a row end at the largest value of its maps.
    """
    from matplotlib.figure import Figure  # slow import, which other modes do not need

    spec, x = run.data.spec, image_grids.shades(arrays['x'], run.data.spec)
    slope, n = strongest(arrays['gradient']), len(x)
    maps, captions = _maps(arrays, spec, is_chosen)
    columns, height = 2 + maps.shape[1], 1.08 * x.shape[1] / x.shape[2] + 0.45
    width = max(1.15 * columns, 3.5) + (0.8 if maps.shape[1] else 0.0)
    figure = Figure(figsize=(width, height * n + 0.6), layout='constrained')
    for i, row in enumerate(figure.subplots(n, columns, squeeze=False)):
        heat_maps.show_image(row[0], x[i])
        row[0].set_title(_title(arrays, spec, i), fontsize='small')
        row[1].imshow(slope[i], vmin=0)
        row[1].set_axis_off()
        row[1].set_title(f'|gradient|\nof {_name(spec, arrays["shown"][i])}', fontsize='small')
        for axes, values, caption in zip(row[2:], maps[i], captions[i], strict=True):
            shown = heat_maps.show_over(axes, x[i], values, 0.0, 1.0)
            axes.set_title(caption, fontsize='small')
    title = 'Gradients of the logit'
    if maps.shape[1]:
        title = 'Where the network looks for each of the most probable classes (Grad-CAM)'
        label = 'share of the\nmaximum in the row'
        figures.colour_bar(
            figure, shown, figure.axes, label=label, shrink=min(1.0, 1.8 / n), aspect=25
        )
    figure.suptitle(title_lines(title, width))
    _common.draw_figure(path, figure)


def _maps(
    arrays: dict[str, np.ndarray], spec: Spec, is_chosen: bool
) -> tuple[np.ndarray, list[list[str]]]:
    """Returns the activation maps of each image, [n, maps, height, width] in [0, 1], and captions.

    There are no maps without convolutions.
    """
    n, size = len(arrays['x']), arrays['x'].shape[1:3]
    if 'activation' not in arrays:
        return np.zeros((n, 0, *size)), [[]] * n
    maps, classes = arrays['top_activation'], arrays['top']
    if is_chosen:
        maps = np.concatenate([arrays['activation'][:, None], maps], 1)
        classes = np.concatenate([arrays['shown'][:, None], classes], 1)
    smooth = np.asarray(jax.image.resize(maps, (*maps.shape[:2], *size), 'bilinear'))
    largest = smooth.max((1, 2, 3), keepdims=True)
    probability = jax.nn.softmax(np.asarray(arrays['logits'], np.float64))
    captions = [
        [f'{_name(spec, each)}\n{percent(float(probability[i, each]))}' for each in row]
        for i, row in enumerate(classes)
    ]
    if is_chosen:
        captions = [[f'chosen\n{first}', *others] for first, *others in captions]
    return smooth / np.where(largest > 0, largest, 1), captions


def percent(probability: float) -> str:
    """Returns a probability in percent, with one decimal."""
    return '< 0.1 %' if probability < 0.0005 else f'{100 * probability:.1f} %'


def _name(spec: Spec, label: SupportsIndex) -> str:
    """Returns the name of a class for a figure, shortened."""
    return figure_text(shortened_text(spec.class_name(int(label)), MAX_NAME))


def _title(arrays: dict[str, np.ndarray], spec: Spec, i: int) -> str:
    """Returns the image's test index and, if it has one, its class."""
    lines = [f'test {arrays["index"][i]}']
    if 'label' in arrays:
        name = _name(spec, arrays['label'][i])
        lines.append(name if spec.class_names else f'class {name}')
    return '\n'.join(lines)


APPLICATION = Application(
    apply,
    NEEDS,
    reads='it explains the classes of test examples',
    only_test=True,
    needs_labels=False,
)
