"""A direction of codes, such as between classes, added to images in steps."""

import pathlib
from typing import NamedTuple

import jax
import numpy as np

from atelier.applications import _common
from atelier.applications._application import DECODE, ENCODE, PRIOR, Application
from atelier.applications._sets import (
    UNITS,
    TwoSets,
    examples_of,
    labelled,
    measure,
    of_class,
    two_sets,
)
from atelier.core.family import codes_of
from atelier.core.randomness import Stream, key_for
from atelier.errors import UserError
from atelier.evaluation.codes.encoding import decoded, latents
from atelier.log import log
from atelier.report import image_grids
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (DECODE, ENCODE | PRIOR)
ATTRIBUTES = {  # from the set where the direction begins to the one to which it leads
    'label': '',  # as `source` and `target` say
    'intensity': 'weak to strong',
    'thickness': 'thin to thick',
    'slant': 'left to right',
}


class Ends(NamedTuple):
    """What a direction leads from and to.

    attribute: label, or one of which it joins the smallest values with the largest.
    source: class at which it begins, where the attribute is label.
    target: class to which it leads, likewise.
    """

    attribute: str
    source: int
    target: int

    @property
    def name(self) -> str:
        """Such as '0 to 1' or 'thin to thick'."""
        return ATTRIBUTES[self.attribute] or f'{self.source} to {self.target}'


def apply(
    run: Run,
    source: int = 0,
    target: int = 1,
    attribute: str = 'label',
    label: int = -1,
    low: float = -1.5,
    high: float = 1.5,
    num_steps: int = 7,
    num_images: int = 8,
    num_codes: int = 5000,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Decodes code + s (mean code of the target - mean code of the source) for steps of s.

    Larsen et al. (2016), section 4.2; 1 is from mean to mean, and steps below 0 go the other way.
    Where codes end in a class, the direction between two classes leads from the one to the other,
    and that of an attribute leaves the class as it is.
    With an encoder the means are those of training examples, and test images are changed; without
    one both are decoded from codes of the prior. The classifier that `config.eval.classifier` names
    assigns labels where there are none.

    Args:
      run: of a family with `decode`, and `encode` or `prior`.
      source: class at which the direction begins.
      target: class to which it leads.
      attribute: label, or what leads from the quarter of its smallest values to that of its
        largest: intensity, the mean of x; thickness or slant of strokes
        (`atelier.evaluation.examples.strokes`).
      label: class of the images that are changed; below 0: any.
      low: the first step.
      high: the last one.
      num_steps: of them, evenly spaced.
      num_images: that are changed, each a row of the picture.
      num_codes: that the two sets are taken from, at most.
      seed: of the images, and of codes of the prior.

    Returns:
      direction [latent], steps [steps], codes [images, steps, latent], x [images, steps, *event]
      and image [images, *event], which is encoded, or decoded at step 0; value [images, steps] of
      any attribute but label, measured in x.

    Raises:
      UserError: a missing checkpoint or classifier, a bad option, a class without example,
        strokes of what are no images.
    """
    ends = Ends(attribute, source, target)
    _check(ends, low, high)
    _common.at_least(1, num_images=num_images, num_steps=num_steps, num_codes=num_codes)
    _common.check_seed(seed)
    trained, steps = restore.load(run), np.linspace(low, high, num_steps)
    arrays, sets = compute(trained, ends, steps, label, num_images, num_codes, seed)
    _log(trained, arrays, sets, attribute)
    path = _common.save(trained, _file_name(ends, label, seed), arrays)
    if image_grids.is_image(run.data.spec):
        title = f'{attribute.capitalize()} from {ends.name}, by {sets.description}'
        _draw(run, arrays, title, path)
    return arrays


def compute(
    trained: TrainedRun,
    ends: Ends,
    steps: np.ndarray,
    label: int,
    num_images: int,
    num_codes: int,
    seed: int,
) -> tuple[dict[str, np.ndarray], TwoSets]:
    """Moves images in steps along the direction between two sets of codes.

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
    return arrays, sets


def _direction(run: Run, sets: TwoSets, attribute: str) -> np.ndarray:
    """From the mean of the one set to that of the other; an attribute's has no part in a class."""
    direction = sets.target.mean(0, np.float64) - sets.source.mean(0, np.float64)
    if attribute != 'label':
        direction[latents(run.family, direction).size :] = 0
    return direction


def _check(ends: Ends, low: float, high: float) -> None:
    attribute, source, target = ends
    if attribute not in ATTRIBUTES:
        raise UserError(f'--attribute={attribute}: choose one of {", ".join(ATTRIBUTES)}')
    if attribute == 'label' and source == target:
        raise UserError(f'--source={source} --target={target}: the classes have to differ')
    if not low < high:
        raise UserError(f'--low={low:g} --high={high:g}: the steps go from the low to the high one')


def _images(
    trained: TrainedRun, key, label: int, num_images: int, num_codes: int
) -> tuple[np.ndarray, np.ndarray]:
    """(codes, x) to change, of one class where `label` names it, in an order that the seed draws.

    A class is searched among as many as the means are taken of.
    """
    key = key_for(key, Stream.SAMPLE)
    has_encoder = codes_of(trained.run.family).encode is not None
    n = num_images if label < 0 and not has_encoder else max(num_images, num_codes)
    examples = examples_of(trained, 'test', key, n)
    order = np.arange(len(examples.x))  # the prior has an order of its own
    if has_encoder:
        order = np.asarray(jax.random.permutation(key, len(order)))
    if label >= 0:
        examples = labelled(trained, examples)
        of_class(examples, label)
        order = order[examples.label[order] == label]
    return examples.codes[order[:num_images]], examples.x[order[:num_images]]


def _file_name(ends: Ends, label: int, seed: int) -> str:
    which = ''.join([f'-of-{label}' * (label >= 0), f'-seed-{seed}' * (seed > 0)])
    return f'concept-{ends.attribute}-{ends.name.replace(" ", "-")}{which}'


def _log(trained: TrainedRun, arrays: dict[str, np.ndarray], sets: TwoSets, attribute: str) -> None:
    """Whose direction it is and, of an attribute, how far x follows it."""
    sizes = f'{len(sets.source):,} and {len(sets.target):,} of {sets.description}'
    log.info('%s, on %d images, by the %s', sizes, len(arrays['x']), trained.weights)
    if attribute == 'label':
        return
    first, last = (
        f'{mean:.3g}{UNITS[attribute]} at step {step:+.3g}'
        for mean, step in zip(
            arrays['value'].mean(0)[[0, -1]], arrays['steps'][[0, -1]], strict=True
        )
    )
    log.info('mean %s: %s, %s', attribute, first, last)


def _draw(run: Run, arrays: dict[str, np.ndarray], title: str, path: pathlib.Path) -> None:
    """A row an image; where it was encoded, it stands itself before the steps."""
    x, columns = arrays['x'], [f'{step:+.3g}' if step else '0' for step in arrays['steps']]
    if codes_of(run.family).encode is not None:
        x, columns = np.concatenate([arrays['image'][:, None], x], 1), ['image', *columns]
    _common.draw_grid(path, x, run.data.spec, title, [''] * len(x), columns)


APPLICATION = Application(apply, NEEDS)
