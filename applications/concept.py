"""A direction of codes, such as between classes, added to images in steps."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

import game
import pictures
import states
from applications import _common
from errors import UserError, about
from evaluation.codes import decoded, encoded, of_prior
from evaluation.features import of_classifier
from experiment import Run
from reporting import log

NEEDS = ('decode', 'encode or prior')
ATTRIBUTES = ('label', 'intensity')


class Look(NamedTuple):
    """A run with its weights, in words which they are, and where they are looked at."""

    run: Run
    state: game.State
    weights: str
    devices: Sequence[jax.Device]


class Coded(NamedTuple):
    """Examples and their codes.

    codes: [n, latent].
    x: [n, *event], as the model sees it or decodes it.
    label: [n], or None where the data have none.
    num_classes: of the label, or None.
    words: what they are.
    """

    codes: np.ndarray
    x: np.ndarray
    label: np.ndarray | None
    num_classes: int | None
    words: str


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
    With an encoder the means are those of training examples, and test images are changed; without
    one both are decoded from codes of the prior. The classifier that `config.eval.classifier` names
    assigns labels where there are none.

    Args:
      run: of a family with `decode`, and `encode` or `prior`.
      source: class at which the direction begins.
      target: class to which it leads.
      attribute: label, or intensity: from the quarter of smallest mean of x to that of largest.
      label: class of the images that are changed; below 0: any.
      low: the first step.
      high: the last one.
      num_steps: of them, evenly spaced.
      num_images: that are changed, each a row of the picture.
      num_codes: that the two sets are taken from, at most.
      seed: of the images, and of codes of the prior.

    Returns:
      direction [latent], steps [steps], codes [images, steps, latent], x [images, steps, *event]
      and image [images, *event], which is encoded, or decoded at step 0.

    Raises:
      UserError: a missing ability, checkpoint or classifier, a bad option, a class without example.
    """
    _common.require(run, 'concept', *NEEDS)
    _check(source, target, attribute, low, high)
    _common.at_least(1, num_images=num_images, num_steps=num_steps, num_codes=num_codes)
    _common.check_seed(seed)
    look = Look(run, *states.load_state(run), jax.devices())
    key, by_label = jax.random.PRNGKey(seed), attribute == 'label'
    sets, words = _sets(look, key, (source, target) if by_label else None, num_codes)
    direction = np.subtract(*(part.mean(0, np.float64) for part in sets[::-1]))
    codes, image = _images(look, key, label, num_images, num_codes)
    steps = np.linspace(low, high, num_steps)
    codes = codes[:, None] + steps[:, None] * direction
    x = decoded(run, look.state, codes, look.devices)
    found = dict(direction=direction, steps=steps, codes=codes, x=x, image=image)
    name = f'{source} to {target}' if by_label else 'weak to strong'
    sizes = ' and '.join(f'{len(part):,}' for part in sets)
    log.info('%s of %s, on %d images, by the %s', sizes, words, len(x), look.weights)
    path = _common.save(run, f'concept-{attribute}-{name.replace(" ", "-")}', found)
    if pictures.is_image(run.data.spec):
        _draw(run, found, f'From {attribute} {name}, by {words}', path)
    return found


def _check(source: int, target: int, attribute: str, low: float, high: float) -> None:
    if attribute not in ATTRIBUTES:
        raise UserError(f'--attribute={attribute}: choose one of {", ".join(ATTRIBUTES)}')
    if attribute == 'label' and source == target:
        raise UserError(f'--source={source} --target={target}: the classes have to differ')
    if not low < high:
        raise UserError(f'--low={low:g} --high={high:g}: the steps go from the low to the high one')


def _sets(look: Look, key, classes: tuple[int, int] | None, n: int) -> tuple[list[np.ndarray], str]:
    """The codes of the two sets that the direction joins, and in words where they come from."""
    examples = _examples(look, 'train', game.address(key, game.Purpose.EVALUATE), n)
    if classes is None:
        return _quarters(examples), examples.words
    examples = _labelled(look, examples)
    return [_of_class(examples, number) for number in classes], examples.words


def _examples(look: Look, split: str, key, n: int) -> Coded:
    """The first n of a split, or n decoded codes of the prior where there is no encoder."""
    run, state, _, devices = look
    if run.family.encode is None:
        codes = of_prior(run, state, key, n, devices)
        x = decoded(run, state, codes, devices)
        return Coded(codes, x, None, None, f'{n:,} codes of the prior')
    inputs = {name: array[:n] for name, array in run.data.splits[split].items()}
    words = f'{len(inputs["x"]):,} examples of the {split} split'
    coded = encoded(run, state, inputs, devices)
    return Coded(*coded, inputs.get('label'), run.data.spec.num_classes, words)


def _labelled(look: Look, examples: Coded) -> Coded:
    """With the classes that `config.eval.classifier` sees, where they have none of their own."""
    run = look.run
    if examples.label is not None:
        return examples
    if not run.config.eval.classifier:
        raise UserError(
            f'the {examples.words} have no labels: give --config.eval.classifier=RUN, the run of a '
            'classifier (configs/classifier.py), or do without: --attribute=intensity --label=-1'
        )
    with about('config.eval.classifier'):
        judge = of_classifier(run, look.devices)
    chances = judge.apply(examples.x).chances
    words = f'{examples.words}, classes by {judge.classifier.folder.name}'
    return examples._replace(label=chances.argmax(1), num_classes=chances.shape[1], words=words)


def _of_class(examples: Coded, number: int) -> np.ndarray:
    """The codes of one class, at least one."""
    if not 0 <= number < examples.num_classes:
        raise UserError(f'there is no class {number}: choose 0 to {examples.num_classes - 1}')
    codes = examples.codes[examples.label == number]
    if not len(codes):
        raise UserError(
            f'no example of class {number} among {examples.words}: choose another class or more '
            '--num_codes'
        )
    return codes


def _quarters(examples: Coded) -> list[np.ndarray]:
    """The codes of the quarters with the smallest and with the largest mean of x."""
    intensity = examples.x.reshape(len(examples.x), -1).mean(1, dtype=np.float64)
    order, quarter = np.argsort(intensity, kind='stable'), -(-len(intensity) // 4)
    return [examples.codes[order[:quarter]], examples.codes[order[-quarter:]]]


def _images(
    look: Look, key, label: int, num_images: int, num_codes: int
) -> tuple[np.ndarray, np.ndarray]:
    """(codes, x) to change, of one class where `label` names it, in an order that the seed draws.

    As many as are looked at for the means are looked through for a class.
    """
    key = game.address(key, game.Purpose.SAMPLE)
    has_encoder = look.run.family.encode is not None
    n = num_images if label < 0 and not has_encoder else max(num_images, num_codes)
    examples = _examples(look, 'test', key, n)
    order = np.arange(len(examples.x))  # the prior has an order of its own
    if has_encoder:
        order = np.asarray(jax.random.permutation(key, len(order)))
    if label >= 0:
        examples = _labelled(look, examples)
        _of_class(examples, label)
        order = order[examples.label[order] == label]
    return examples.codes[order[:num_images]], examples.x[order[:num_images]]


def _draw(run: Run, found: dict[str, np.ndarray], title: str, path) -> None:
    """A row an image; where it was encoded, it stands itself before the steps."""
    x, columns = found['x'], [f'{step:+.3g}' if step else '0' for step in found['steps']]
    if run.family.encode is not None:
        x, columns = np.concatenate([found['image'][:, None], x], 1), ['image', *columns]
    image = pictures.grid(x.reshape(-1, *run.data.spec.event_shape), run.data.spec, len(columns))
    pictures.save_labelled(path, image, title, [''] * len(x), columns)
    log.info('as a picture: %s', path)
