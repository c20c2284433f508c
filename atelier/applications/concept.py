"""A direction of codes, such as between classes, added to images in steps."""

import jax
import numpy as np

from atelier.applications import _common
from atelier.applications._application import DECODE, ENCODE, PRIOR, Application, require
from atelier.applications._sets import (
    UNITS,
    Look,
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

NEEDS = (DECODE, ENCODE | PRIOR)
ATTRIBUTES = {  # from the set where the direction begins to the one to which it leads
    'label': '',  # as `source` and `target` say
    'intensity': 'weak to strong',
    'thickness': 'thin to thick',
    'slant': 'left to right',
}


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
      UserError: a missing ability, checkpoint or classifier, a bad option, a class without example,
        strokes of what are no images.
    """
    require(run, 'concept', *NEEDS)
    _check(source, target, attribute, low, high)
    _common.at_least(1, num_images=num_images, num_steps=num_steps, num_codes=num_codes)
    _common.check_seed(seed)
    look, key = Look(run, *restore.load_state(run), jax.devices()), jax.random.PRNGKey(seed)
    sets, words = two_sets(look, key, attribute, (source, target), num_codes)
    steps = np.linspace(low, high, num_steps)
    direction = _direction(run, sets, attribute)
    found = _moved(look, direction, steps, *_images(look, key, label, num_images, num_codes))
    sizes = ' and '.join(f'{len(part):,}' for part in sets)
    log.info('%s of %s, on %d images, by the %s', sizes, words, len(found['x']), look.weights)
    if attribute != 'label':
        found['value'] = _values(run, attribute, found['x'], steps)
    name = ATTRIBUTES[attribute] or f'{source} to {target}'
    which = ''.join([f'-of-{label}' * (label >= 0), f'-seed-{seed}' * (seed > 0)])
    path = _common.save(run, f'concept-{attribute}-{name.replace(" ", "-")}{which}', found)
    if image_grids.is_image(run.data.spec):
        _draw(run, found, f'{attribute.capitalize()} from {name}, by {words}', path)
    return found


def _direction(run: Run, sets: list[np.ndarray], attribute: str) -> np.ndarray:
    """From the mean of the one set to that of the other; an attribute's has no part in a class."""
    direction = np.subtract(*(part.mean(0, np.float64) for part in sets[::-1]))
    if attribute != 'label':
        direction[latents(run.family, direction).size :] = 0
    return direction


def _moved(
    look: Look, direction: np.ndarray, steps: np.ndarray, codes: np.ndarray, image: np.ndarray
) -> dict[str, np.ndarray]:
    """Codes of images, moved in steps along a direction."""
    codes = codes[:, None] + steps[:, None] * direction
    x = decoded(look.run, look.state, codes, look.devices)
    return dict(direction=direction, steps=steps, codes=codes, x=x, image=image)


def _values(run: Run, attribute: str, x: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The attribute of changed images, [images, steps]: whether the direction is what it is for."""
    spec = run.data.spec
    values = measure(attribute, x.reshape(-1, *spec.event_shape), spec).reshape(x.shape[:2])
    means = values.mean(0)
    told = attribute, means[0], UNITS[attribute], steps[0], means[-1], UNITS[attribute], steps[-1]
    log.info('mean %s: %.3g%s at step %+.3g, %.3g%s at step %+.3g', *told)
    return values


def _check(source: int, target: int, attribute: str, low: float, high: float) -> None:
    if attribute not in ATTRIBUTES:
        raise UserError(f'--attribute={attribute}: choose one of {", ".join(ATTRIBUTES)}')
    if attribute == 'label' and source == target:
        raise UserError(f'--source={source} --target={target}: the classes have to differ')
    if not low < high:
        raise UserError(f'--low={low:g} --high={high:g}: the steps go from the low to the high one')


def _images(
    look: Look, key, label: int, num_images: int, num_codes: int
) -> tuple[np.ndarray, np.ndarray]:
    """(codes, x) to change, of one class where `label` names it, in an order that the seed draws.

    As many as are looked at for the means are looked through for a class.
    """
    key = key_for(key, Stream.SAMPLE)
    has_encoder = codes_of(look.run.family).encode is not None
    n = num_images if label < 0 and not has_encoder else max(num_images, num_codes)
    examples = examples_of(look, 'test', key, n)
    order = np.arange(len(examples.x))  # the prior has an order of its own
    if has_encoder:
        order = np.asarray(jax.random.permutation(key, len(order)))
    if label >= 0:
        examples = labelled(look, examples)
        of_class(examples, label)
        order = order[examples.label[order] == label]
    return examples.codes[order[:num_images]], examples.x[order[:num_images]]


def _draw(run: Run, found: dict[str, np.ndarray], title: str, path) -> None:
    """A row an image; where it was encoded, it stands itself before the steps."""
    x, columns = found['x'], [f'{step:+.3g}' if step else '0' for step in found['steps']]
    if codes_of(run.family).encode is not None:
        x, columns = np.concatenate([found['image'][:, None], x], 1), ['image', *columns]
    image = image_grids.grid(x.reshape(-1, *run.data.spec.event_shape), run.data.spec, len(columns))
    image_grids.save_labelled(path, image, title, [''] * len(x), columns)
    log.info('as a picture: %s', path)


APPLICATION = Application(apply, NEEDS)
