"""Moves images along a latent direction, such as from one class to another."""

import pathlib
from typing import Any, NamedTuple

import jax
import numpy as np

from atelier.applications import _common, _pictures
from atelier.applications._application import DECODE, ENCODE, PRIOR, Application
from atelier.applications._sets import (
    UNITS,
    TwoSets,
    check_attribute,
    examples_of,
    labelled,
    measure,
    of_class,
    two_sets,
)
from atelier.core.family import codes_of
from atelier.core.randomness import Stream, key_for
from atelier.data.classes import option_of
from atelier.data.spec import Spec
from atelier.errors import UserError, check_option, shortened_text
from atelier.evaluation.codes.encoding import decoded, latents
from atelier.log import counted, log
from atelier.report import texts
from atelier.report.figure_text import number
from atelier.report.views.choose import view_of
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (DECODE, ENCODE | PRIOR)
MAX_NAME = 24  # letters of a class in a title
ATTRIBUTES = {  # attribute: 'start to end' of its direction
    'label': '',  # `source` and `target` name the ends
    'intensity': 'weak to strong',
    'thickness': 'thin to thick',
    'slant': 'left to right',
    'length': 'short to long',
}
OF_FUNCTION = 'low to high'


class Ends(NamedTuple):
    """The two ends of a direction.

    attribute: label, or an attribute whose smallest and largest values are the ends.
    source: class at the start, if the attribute is label.
    target: class at the end, if the attribute is label.
    """

    attribute: str
    source: int
    target: int

    @property
    def name(self) -> str:
        """The direction's name, such as '0 to 1' or 'thin to thick'."""
        return ATTRIBUTES.get(self.attribute, OF_FUNCTION) or f'{self.source} to {self.target}'

    @property
    def noun(self) -> str:
        """The attribute in words; that of FILE.py:FUNCTION is the name of the function."""
        return self.attribute.rpartition(':')[2]

    def title(self, spec: Spec) -> str:
        """The direction's name, with the names of classes."""
        ends = ' to '.join(map(spec.class_name, (self.source, self.target)))
        return ATTRIBUTES.get(self.attribute, OF_FUNCTION) or ends


def apply(
    run: Run,
    source: int | str = 0,
    target: int | str = 1,
    attribute: str = 'label',
    label: int | str = -1,
    low: float = -1.5,
    high: float = 1.5,
    num_steps: int = 7,
    num_images: int = 8,
    num_codes: int = 5000,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Decodes code + s (mean code of the target - mean code of the source) for several s.

    Larsen et al. (2016), section 4.2. s = 1 spans the distance between the means, and a negative s
    goes the other way. If codes end in a one-hot class, the direction between two classes changes
    that class too, and the direction of an attribute keeps it. With an encoder, the means are over
    training examples and the changed images are test images. Without one, the means are over prior
    codes, and the images are decoded prior codes. The classifier of `config.eval.classifier` labels
    examples without labels.

    Args:
      run: of a family with `decode`, and `encode` or `prior`.
      source: class at the start of the direction, by number or name.
      target: class at the end of the direction, likewise.
      attribute: what the direction changes: label, intensity (the mean of x), thickness or slant
        of strokes (`atelier.evaluation.examples.strokes`), length of items (texts that end), or
        your own function, FILE.py:FUNCTION, of the text of an item or of x. The direction of an
        attribute leads from the quarter of the examples with its smallest values to the quarter
        with its largest.
      label: class of the images to change. Below 0, images of any class are changed.
      low: first value of s.
      high: last value of s.
      num_steps: number of evenly spaced values of s.
      num_images: number of images to change, each a row of the figure.
      num_codes: maximum number of codes from which the two sets are taken.
      seed: seed that selects the images and draws the codes of the prior.

    Returns:
      direction [latent], steps [steps], codes [images, steps, latent], x [images, steps, *event]
      and image [images, *event], the image that was encoded, or decoded at s = 0. For an attribute
      other than label: value [images, steps], the attribute of x. Of items also decoded_text
      [images, steps], which a .txt has too.

    Raises:
      UserError: a missing checkpoint or classifier, a bad option, a class without examples, or a
        stroke attribute of data that are not images.
    """
    ends, label = _options(run.data.spec, attribute, source, target, label)
    _check(ends, run.data.spec, low, high)
    _check_sizes(run, num_images, num_steps, num_codes)
    _common.check_seed(seed)
    trained, steps = restore.load(run), np.linspace(low, high, num_steps)
    arrays, sets = compute(trained, ends, steps, label, num_images, num_codes, seed)
    _log(trained, arrays, sets, ends)
    options = dict(low=low, high=high, num_steps=num_steps, num_codes=num_codes)
    name = _file_name(ends, label, seed) + _common.changed_options(apply, **options)
    path = _common.save(trained, name, arrays)
    across = f's (means of {sets.description})'
    _draw(trained, arrays, _title(run.data.spec, ends), across, path)
    return arrays


def _options(
    spec: Spec, attribute: str, source: int | str, target: int | str, label: int | str
) -> tuple[Ends, int]:
    """Returns the ends of the direction and the class of the images, from numbers or names."""
    options = ('source', source), ('target', target), ('label', label)
    source, target, label = (option_of(spec, *option) for option in options)
    return Ends(attribute, source, target), label


def compute(
    trained: TrainedRun,
    ends: Ends,
    steps: np.ndarray,
    label: int,
    num_images: int,
    num_codes: int,
    seed: int,
) -> tuple[dict[str, np.ndarray], TwoSets]:
    """Moves codes in steps along the direction between two sets, and decodes them.

    Returns:
      The arrays of `apply`, and the two sets.
    """
    key, attribute = jax.random.PRNGKey(seed), ends.attribute
    sets = two_sets(trained, key, attribute, (ends.source, ends.target), num_codes)
    codes, image = _images(trained, key, label, num_images, num_codes)
    direction = _direction(trained.run, sets, attribute)
    codes = codes[:, None] + steps[:, None] * direction
    x = decoded(trained.run, trained.state, codes, trained.devices)
    arrays = dict(direction=direction, steps=steps, codes=codes, x=x, image=image)
    if attribute != 'label':
        spec = trained.run.data.spec
        values = measure(attribute, x.reshape(-1, *spec.event_shape), spec)
        arrays['value'] = values.reshape(x.shape[:2])
    return arrays | texts.arrays_of(x, trained.run.data.spec, texts.DECODED), sets


def _direction(run: Run, sets: TwoSets, attribute: str) -> np.ndarray:
    """Target mean minus source mean; for an attribute, with zeros in the class part."""
    direction = sets.target.mean(0, np.float64) - sets.source.mean(0, np.float64)
    if attribute != 'label':
        direction[latents(run.family, direction).size :] = 0
    return direction


def _check(ends: Ends, spec: Spec, low: float, high: float) -> None:
    attribute, source, target = ends
    if ':' not in attribute:
        check_option('attribute', attribute, ATTRIBUTES, ', or FILE.py:FUNCTION')
    check_attribute(attribute, spec)
    if attribute == 'label' and source == target:
        name = spec.class_name(source)
        raise UserError(f'--source={name} --target={name}: the classes have to differ')
    if not low < high:
        raise UserError(f'--low={low:g} --high={high:g}: low has to be smaller than high')


def _check_sizes(run: Run, num_images: int, num_steps: int, num_codes: int) -> None:
    _common.at_least(1, num_images=num_images, num_steps=num_steps, num_codes=num_codes)
    _common.check_outputs(run, num_images=num_images, num_steps=num_steps)
    _common.check_outputs(run, num_codes=num_codes)


def _images(
    trained: TrainedRun, key, label: int, num_images: int, num_codes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns (codes, x) of the images to change, in an order drawn from the seed.

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
    return examples.codes[order[:num_images]], examples.x[order[:num_images]]


def _file_name(ends: Ends, label: int, seed: int) -> str:
    suffix = ''.join([f'-of-{label}' * (label >= 0), f'-seed-{seed}' * (seed > 0)])
    if ends.noun != ends.attribute:  # a function's: others may have its name
        suffix += _common.path_suffix(attribute=ends.attribute)
    return f'concept-{ends.noun}-{ends.name.replace(" ", "-")}{suffix}'


def _log(trained: TrainedRun, arrays: dict[str, np.ndarray], sets: TwoSets, ends: Ends) -> None:
    """Logs the two sets and, for an attribute, its mean at the first and last step."""
    name, attribute = ends.title(trained.run.data.spec), ends.attribute
    sizes = f'{name}: {len(sets.source):,} and {len(sets.target):,} of {sets.description}'
    view = view_of(trained.run.data.spec)
    changed = counted(len(arrays['x']), view.events.removesuffix('s') if view else 'example')
    log.info('%s; %s, changed by the model of the %s', sizes, changed, trained.weights)
    if attribute == 'label':
        return
    unit, values, steps = UNITS.get(attribute, ''), arrays['value'], arrays['steps']
    first, last = (f'{_mean(values[:, i])}{unit} at step {steps[i]:+.3g}' for i in (0, -1))
    log.info('mean %s: %s, %s', ends.noun, first, last)


def _mean(values: np.ndarray) -> str:
    finite = values[np.isfinite(values)]
    return f'{finite.mean():.3g}' if len(finite) else 'none'


def _title(spec: Spec, ends: Ends) -> str:
    """Returns what is done to the codes, and what the direction is a difference of."""
    if ends.attribute != 'label':
        of_what = f'the mean codes of the quarters of smallest and largest {ends.noun}'
        return f'Codes moved from {ends.name} by s times the difference of {of_what}'
    source, target = (_shown_class(spec, each) for each in (ends.source, ends.target))
    return (
        f'Codes moved from {source} towards {target} by s times the difference of their mean codes'
    )


def _shown_class(spec: Spec, label: int) -> str:
    name = shortened_text(spec.class_name(label), MAX_NAME)
    return name if spec.class_names else f'class {name}'


def _draw(
    trained: TrainedRun, arrays: dict[str, np.ndarray], title: str, across: str, path: pathlib.Path
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
    among = _pictures.among(trained)
    _common.save_picture(path, view.rows(x, spec, title, names, columns, among, across))
    _common.save_rows_as_text(path.with_suffix('.txt'), x, spec, names, columns)


def _names_of(steps: np.ndarray) -> list[str]:
    return [f'{"+" if step > 0 else ""}{number(step, 3)}' for step in steps.tolist()]


def reads(run: Run, **options: Any) -> str:
    """Returns why examples are read; '' for a model without an encoder."""
    del options
    has_encoder = codes_of(run.family).encode is not None
    return 'its directions come from codes of training examples' if has_encoder else ''


APPLICATION = Application(apply, NEEDS, reads=reads)
