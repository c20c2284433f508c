"""Two sets of codes that a direction joins: two classes, or the ends of an attribute."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from atelier.core import game
from atelier.core.family import codes_of
from atelier.core.randomness import Stream, key_for
from atelier.data.dataset import Spec
from atelier.errors import UserError, about
from atelier.evaluation.codes.encoding import decoded, encoded, of_prior
from atelier.evaluation.examples import strokes
from atelier.evaluation.samples.features import of_classifier
from atelier.report import image_grids
from atelier.run.experiment import Run

MEASURES = {'thickness': strokes.thickness, 'slant': strokes.slant}  # of images alone
UNITS = {'intensity': '', 'thickness': ' pixels', 'slant': ' degrees'}


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


def two_sets(
    look: Look, key, attribute: str, classes: tuple[int, int], n: int
) -> tuple[list[np.ndarray], str]:
    """The codes of the two sets that the direction joins, and in words where they come from."""
    examples = examples_of(look, 'train', key_for(key, Stream.EVALUATE), n)
    if attribute != 'label':
        return _quarters(
            examples, measure(attribute, examples.x, look.run.data.spec)
        ), examples.words
    examples = labelled(look, examples)
    return [of_class(examples, number) for number in classes], examples.words


def examples_of(look: Look, split: str, key, n: int) -> Coded:
    """The first n of a split, or n decoded codes of the prior where there is no encoder."""
    run, state, _, devices = look
    if codes_of(run.family).encode is None:
        codes = of_prior(run, state, key, n, devices)
        x = decoded(run, state, codes, devices)
        return Coded(codes, x, None, None, f'{n:,} codes of the prior')
    inputs = {name: array[:n] for name, array in run.data.splits[split].items()}
    words = f'{len(inputs["x"]):,} examples of the {split} split'
    coded = encoded(run, state, inputs, devices)
    return Coded(*coded, inputs.get('label'), run.data.spec.num_classes, words)


def labelled(look: Look, examples: Coded) -> Coded:
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


def of_class(examples: Coded, number: int) -> np.ndarray:
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


def measure(attribute: str, x: Float[np.ndarray, 'n *event'], spec: Spec) -> Float[np.ndarray, 'n']:
    """The attribute of each event: its mean, or a number of its strokes in UNITS.

    Raises:
      UserError: strokes are asked for and events are no images.
    """
    if attribute == 'intensity':
        return x.reshape(len(x), -1).mean(1, dtype=np.float64)
    if not image_grids.is_image(spec):
        raise UserError(f'--attribute={attribute} is of images: these data are none')
    return MEASURES[attribute](image_grids.shades(x, spec).mean(-1))


def _quarters(examples: Coded, values: Float[np.ndarray, 'n']) -> list[np.ndarray]:
    """The codes of the quarters with the smallest and with the largest values."""
    order, quarter = np.argsort(values, kind='stable'), -(-len(values) // 4)
    return [examples.codes[order[:quarter]], examples.codes[order[-quarter:]]]
