"""Two sets of codes that a direction joins: two classes, or the ends of an attribute."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from atelier.core.family import codes_of
from atelier.core.randomness import Stream, key_for
from atelier.data.dataset import Spec
from atelier.errors import UserError, about
from atelier.evaluation.codes.encoding import decoded, encoded, of_prior
from atelier.evaluation.examples import strokes
from atelier.evaluation.samples.features import of_classifier
from atelier.report import image_grids
from atelier.run.restore import TrainedRun

MEASURES = {'thickness': strokes.thickness, 'slant': strokes.slant}  # of images alone
UNITS = {'intensity': '', 'thickness': ' pixels', 'slant': ' degrees'}


class EncodedExamples(NamedTuple):
    """Examples and their codes.

    codes: [n, latent].
    x: [n, *event], as the model sees it or decodes it.
    label: [n], or None where the data have none.
    num_classes: of the label, or None.
    description: where they come from.
    """

    codes: np.ndarray
    x: np.ndarray
    label: np.ndarray | None
    num_classes: int | None
    description: str


class TwoSets(NamedTuple):
    """The codes that a direction joins.

    source: [n, latent], from which it leads.
    target: [m, latent], to which it leads.
    description: of the examples that both are taken from.
    """

    source: np.ndarray
    target: np.ndarray
    description: str


def two_sets(trained: TrainedRun, key, attribute: str, classes: tuple[int, int], n: int) -> TwoSets:
    """The codes of two classes or, of any attribute but label, of its quarters."""
    examples = examples_of(trained, 'train', key_for(key, Stream.EVALUATE), n)
    if attribute != 'label':
        values = measure(attribute, examples.x, trained.run.data.spec)
        return TwoSets(*_quarters(examples, values), examples.description)
    examples = labelled(trained, examples)
    source, target = (of_class(examples, label) for label in classes)
    return TwoSets(source, target, examples.description)


def examples_of(trained: TrainedRun, split: str, key, n: int) -> EncodedExamples:
    """The first n of a split, or n decoded codes of the prior where there is no encoder."""
    run, state, devices = trained.run, trained.state, trained.devices
    if codes_of(run.family).encode is None:
        codes = of_prior(run, state, key, n, devices)
        x = decoded(run, state, codes, devices)
        return EncodedExamples(codes, x, None, None, f'{n:,} codes of the prior')
    inputs = {name: array[:n] for name, array in run.data.splits[split].items()}
    description = f'{len(inputs["x"]):,} examples of the {split} split'
    codes, x = encoded(run, state, inputs, devices)
    return EncodedExamples(codes, x, inputs.get('label'), run.data.spec.num_classes, description)


def labelled(trained: TrainedRun, examples: EncodedExamples) -> EncodedExamples:
    """Examples with the classes that `config.eval.classifier` predicts, if they have no labels."""
    run = trained.run
    if examples.label is not None:
        return examples
    if not run.config.eval.classifier:
        raise UserError(
            f'the {examples.description} have no labels: give --config.eval.classifier=RUN, the '
            'run of a classifier (configs/classifier.py), or do without: --attribute=intensity '
            '--label=-1'
        )
    with about('config.eval.classifier'):
        features = of_classifier(run, trained.devices)
    chances = features.apply(examples.x).chances
    return examples._replace(
        label=chances.argmax(1),
        num_classes=chances.shape[1],
        description=f'{examples.description}, classes by {features.classifier.folder.name}',
    )


def of_class(examples: EncodedExamples, label: int) -> np.ndarray:
    """The codes of one class, at least one."""
    if not 0 <= label < examples.num_classes:
        raise UserError(f'there is no class {label}: choose 0 to {examples.num_classes - 1}')
    codes = examples.codes[examples.label == label]
    if not len(codes):
        raise UserError(
            f'no example of class {label} among {examples.description}: choose another class or '
            'more --num_codes'
        )
    return codes


def measure(attribute: str, x: Float[np.ndarray, 'n *event'], spec: Spec) -> Float[np.ndarray, 'n']:
    """The attribute of each event: its mean, or a number of its strokes in UNITS.

    Raises:
      UserError: the attribute is one of strokes, and events are no images.
    """
    if attribute == 'intensity':
        return x.reshape(len(x), -1).mean(1, dtype=np.float64)
    if not image_grids.is_image(spec):
        raise UserError(f'--attribute={attribute} is of images: these data are none')
    return MEASURES[attribute](image_grids.shades(x, spec).mean(-1))


def _quarters(examples: EncodedExamples, values: Float[np.ndarray, 'n']) -> list[np.ndarray]:
    """The codes of the quarters with the smallest and with the largest values."""
    order, quarter = np.argsort(values, kind='stable'), -(-len(values) // 4)
    return [examples.codes[order[:quarter]], examples.codes[order[-quarter:]]]
