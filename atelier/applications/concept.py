"""Moves images along a latent direction, such as from one class to another.

The direction is the difference between two mean codes (Larsen et al. 2016, section 4.2), and
multiples s of it are added to codes: s = 1 spans the distance between the means, and a negative s
goes the other way. With an encoder, the means are over training examples and the changed images are
test images. Without one, the means are over prior codes, and the images are decoded prior codes.

The two sets of codes are those of two classes, or of the quarters of the examples with the smallest
and the largest values of an attribute. If codes end in a one-hot class, the direction between two
classes changes that class too, and the direction of an attribute keeps it. The classifier of
`config.eval.classifier` labels examples without labels.

If the data have a condition, the sets may also be examples with two values of one of its labels, or
whose captions have one of two words and not the other. Along a number, the direction is the slope
of a least-squares regression of codes on the number, and steps are in its units. If codes end in
the condition, the direction changes that too.
"""

import pathlib
from typing import Any

import jax
import numpy as np

from atelier.applications import _common, _pictures
from atelier.applications._along_condition import check_has_encoder, log_results
from atelier.applications._application import DECODE, ENCODE, PRIOR, Application
from atelier.applications._direction import Direction, direction_of
from atelier.applications._ends import MAX_NAME, Ends, ends_of, figure_title, file_name
from atelier.applications._regression import slope
from atelier.applications._sets import (
    UNITS,
    EncodedExamples,
    examples_of,
    labelled,
    of_class,
)
from atelier.core.family import codes_of
from atelier.core.randomness import Stream, key_for
from atelier.data.classes import option_of
from atelier.errors import UserError, shortened_text
from atelier.evaluation.codes.encoding import decoded
from atelier.log import counted, log
from atelier.report import texts
from atelier.report.figure_text import number
from atelier.report.views.choose import view_of
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (DECODE, ENCODE | PRIOR)


def apply(
    run: Run,
    source: int | str = 0,
    target: int | str = 1,
    attribute: str = 'label',
    change: float = 0.0,
    label: int | str = -1,
    low: float = -1.5,
    high: float = 1.5,
    num_steps: int = 7,
    num_images: int = 8,
    num_codes: int = 5000,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Decodes code + s (mean code of the target - mean code of the source) for several s.

    Args:
      run: of a family with `decode`, and `encode` or `prior`.
      source: class at the start of the direction, or value of a label or word, by number or name.
      target: class at the end of the direction, likewise.
      attribute: what the direction changes: label, intensity (the mean of x), thickness or slant
        of strokes (`atelier.evaluation.examples.strokes`), length of items (texts that end), your
        own function, FILE.py:FUNCTION, of the text of an item or of x, a column of the condition
        of the data by its name, or word of captions.
      change: change of a number of the condition at s = 1; 0: its standard deviation.
      label: class of the images to change. Below 0, images of any class are changed.
      low: first value of s.
      high: last value of s.
      num_steps: number of evenly spaced values of s.
      num_images: number of images to change, each a row of the figure.
      num_codes: maximum number of codes from which the direction comes.
      seed: seed that selects the images and draws the codes of the prior.

    Returns:
      The arrays of `compute`. Of items also decoded_text [images, steps], which a .txt has too.

    Raises:
      UserError: a missing checkpoint or classifier, a bad option, a class without examples, or a
        stroke attribute of data that are not images.
    """
    ends = ends_of(run.data.spec, attribute, source, target, change)
    label = option_of(run.data.spec, 'label', label)
    _check(run, ends, low, high, num_images, num_steps, num_codes, seed)
    trained, steps = restore.load(run), np.linspace(low, high, num_steps) * ends.unit
    arrays, direction = compute(trained, ends, steps, label, num_images, num_codes, seed)
    _log(trained, arrays, direction, ends)
    options = dict(change=change, low=low, high=high, num_steps=num_steps, num_codes=num_codes)
    name = file_name(ends, label, seed) + _common.changed_options(apply, **options)
    _draw(trained, arrays, direction, ends, _common.save(trained, name, arrays, direction.results))
    return arrays


def compute(
    trained: TrainedRun,
    ends: Ends,
    steps: np.ndarray,
    label: int,
    num_images: int,
    num_codes: int,
    seed: int,
) -> tuple[dict[str, np.ndarray], Direction]:
    """Moves codes in steps along a direction, and decodes them.

    Returns:
      The arrays and the direction. The arrays are direction [latent], steps [steps], codes
      [images, steps, latent], x [images, steps, *event] and image [images, *event], the image that
      was encoded, or decoded at s = 0. For an attribute other than label: value [images, steps],
      the attribute of x; if it is one of the condition, as it is read from the codes of x, which
      are 0 at the source and 1 at the target unless it is a number, and if it can be. Steps of a
      number are in its units, and given [images] is the number of each image, if it is known.
    """
    key = jax.random.PRNGKey(seed)
    direction = direction_of(trained, key, ends, num_codes)
    images = _images(trained, key, label, num_images, num_codes)
    codes = images.codes[:, None] + steps[:, None] * direction.vector
    x = decoded(trained.run, trained.state, codes, trained.devices)
    arrays = dict(direction=direction.vector, steps=steps, codes=codes, x=x, image=images.x)
    value = direction.value_of(x)
    if value is not None:
        arrays['value'] = value
    if ends.contrast:
        direction = direction._replace(results=_with_arrived(direction, arrays))
        arrays |= _given(ends, images)
    return arrays | texts.arrays_of(x, trained.run.data.spec, texts.DECODED), direction


def _with_arrived(direction: Direction, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns the results with the share of the change that arrives, None if it is unknown."""
    share = slope(arrays['value'], arrays['steps']) if 'value' in arrays else None
    is_known = share is not None and np.isfinite(share)
    return {**direction.results, 'arrived_share': share if is_known else None}


def _given(ends: Ends, images: EncodedExamples) -> dict[str, np.ndarray]:
    is_known = ends.contrast.is_number and images.condition is not None
    return {'given': ends.contrast.of(images.condition)} if is_known else {}


def _check(
    run: Run,
    ends: Ends,
    low: float,
    high: float,
    num_images: int,
    num_steps: int,
    num_codes: int,
    seed: int,
) -> None:
    if not low < high:
        raise UserError(f'--low={low:g} --high={high:g}: low has to be smaller than high')
    if ends.contrast:
        check_has_encoder(run, ends.contrast)
    _common.at_least(1, num_images=num_images, num_steps=num_steps, num_codes=num_codes)
    _common.check_outputs(run, num_images=num_images, num_steps=num_steps)
    _common.check_outputs(run, num_codes=num_codes)
    _common.check_seed(seed)


def _images(
    trained: TrainedRun, key, label: int, num_images: int, num_codes: int
) -> EncodedExamples:
    """Returns the images to change, in an order drawn from the seed.

    They are among the first max(num_images, num_codes) test examples or decoded prior codes.
    """
    key = key_for(key, Stream.SAMPLE)
    has_encoder = codes_of(trained.run.family).encode is not None
    n = num_images if label < 0 and not has_encoder else max(num_images, num_codes)
    examples = examples_of(trained, 'test', key, n)
    order = np.arange(len(examples.x))  # draws from the prior are in random order already
    if has_encoder:
        order = np.asarray(jax.random.permutation(key, len(order)))
    if label >= 0:
        examples = labelled(trained, examples)
        of_class(examples, label, trained.run.data.spec)
        order = order[examples.label[order] == label]
    return examples.at(order[:num_images])


def _log(
    trained: TrainedRun, arrays: dict[str, np.ndarray], direction: Direction, ends: Ends
) -> None:
    """Logs the examples and, for an attribute, its mean at the first and last step."""
    name, attribute = ends.title(trained.run.data.spec), ends.attribute
    sizes = f'{name}: {direction.sizes} of {direction.description}'
    view = view_of(trained.run.data.spec)
    changed = counted(len(arrays['x']), view.events.removesuffix('s') if view else 'example')
    log.info('%s; %s, changed by the model of the %s', sizes, changed, trained.weights)
    if ends.contrast:
        log_results(direction.results, ends.contrast, direction.ends_in_condition)
    if 'value' not in arrays:
        return
    unit, values, steps = UNITS.get(attribute, ''), arrays['value'], arrays['steps']
    first, last = (f'{_mean(values[:, i])}{unit} at step {steps[i]:+.3g}' for i in (0, -1))
    name = ends.contrast.scale if ends.contrast else ends.noun
    log.info('mean %s: %s, %s', name, first, last)


def _mean(values: np.ndarray) -> str:
    finite = values[np.isfinite(values)]
    return f'{finite.mean():.3g}' if len(finite) else 'none'


def _draw(
    trained: TrainedRun,
    arrays: dict[str, np.ndarray],
    direction: Direction,
    ends: Ends,
    path: pathlib.Path,
) -> None:
    """Draws a row per example: its steps, and before them the example if it was encoded.

    Examples of which no single one is drawn are paths among test data.
    """
    run, spec = trained.run, trained.run.data.spec
    view = view_of(spec)
    if view is None:  # of endless texts
        return
    x, columns = arrays['x'], _names_of(arrays['steps'])
    if view.are_single and codes_of(run.family).encode is not None:
        x = np.concatenate([arrays['image'][:, None], x], 1)
        columns = [view.events.removesuffix('s'), *columns]
    names = ['' if view.are_single else 'code + s direction'] * len(x)
    if view.are_single and 'given' in arrays:
        names = [
            f'{shortened_text(ends.noun, MAX_NAME)} {number(each, 3)}' for each in arrays['given']
        ]
    among, title = _pictures.among(trained), figure_title(spec, ends)
    across = _across(direction, ends)
    _common.save_picture(path, view.rows(x, spec, title, names, columns, among, across))
    _common.save_rows_as_text(path.with_suffix('.txt'), x, spec, names, columns)


def _across(direction: Direction, ends: Ends) -> str:
    """Returns what the columns are."""
    if ends.contrast and ends.contrast.is_number:
        return f's, change of {ends.noun} ({direction.description})'
    return f's (means of {direction.description})'


def _names_of(steps: np.ndarray) -> list[str]:
    return [f'{"+" if step > 0 else ""}{number(step, 3)}' for step in steps.tolist()]


def reads(run: Run, **options: Any) -> str:
    """Returns why examples are read; '' for a model without an encoder."""
    del options
    has_encoder = codes_of(run.family).encode is not None
    return 'its directions come from codes of training examples' if has_encoder else ''


APPLICATION = Application(apply, NEEDS, reads=reads)
