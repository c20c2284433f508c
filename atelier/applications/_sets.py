"""The two sets of codes that define a direction: two classes, or the ends of an attribute."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from atelier.applications._property import LENGTH, property_of
from atelier.core.family import codes_of
from atelier.core.randomness import Stream, key_for
from atelier.data.conditions.condition import KEY
from atelier.data.dataset import Spec
from atelier.data.items import are_items
from atelier.errors import UserError
from atelier.evaluation.codes.encoding import codes_from_prior, decoded, encoded
from atelier.evaluation.examples import strokes
from atelier.evaluation.samples.features import from_classifier
from atelier.log import counted
from atelier.report import image_grids
from atelier.run.restore import TrainedRun

MEASURES = {'thickness': strokes.thickness, 'slant': strokes.slant}  # for images only
UNITS = {'thickness': ' pixels', 'slant': ' degrees', LENGTH: ' symbols'}


class EncodedExamples(NamedTuple):
    """Examples and their codes.

    codes: [n, latent].
    x: [n, *event], preprocessed for the model, or decoded by it.
    label: [n], or None if the data have none.
    num_classes: number of classes of the labels, or None.
    description: the origin of the examples.
    condition: [n, columns], or None if the data have none.
    """

    codes: np.ndarray
    x: np.ndarray
    label: np.ndarray | None
    num_classes: int | None
    description: str
    condition: np.ndarray | None = None

    def at(self, index: Int[np.ndarray, 'm']) -> 'EncodedExamples':
        """Returns some of the examples."""
        some = lambda array: None if array is None else array[index]
        return self._replace(
            codes=self.codes[index],
            x=self.x[index],
            label=some(self.label),
            condition=some(self.condition),
        )


class TwoSets(NamedTuple):
    """The codes at both ends of a direction.

    source: [n, latent], at its start.
    target: [m, latent], at its end.
    description: of the examples that both sets are drawn from.
    """

    source: np.ndarray
    target: np.ndarray
    description: str


def two_sets(trained: TrainedRun, key, attribute: str, classes: tuple[int, int], n: int) -> TwoSets:
    """Returns the codes of two classes, or of the quarters of lowest and highest attribute."""
    examples = examples_of(trained, 'train', key_for(key, Stream.EVALUATE), n)
    if attribute != 'label':
        values = measure(attribute, examples.x, trained.run.data.spec)
        return TwoSets(*_quarters(examples, values), examples.description)
    examples = labelled(trained, examples)
    source, target = (of_class(examples, each, trained.run.data.spec) for each in classes)
    return TwoSets(source, target, examples.description)


def examples_of(trained: TrainedRun, split: str, key, n: int) -> EncodedExamples:
    """Returns the first n examples of a split or, without an encoder, n decoded prior codes."""
    run, state, devices = trained.run, trained.state, trained.devices
    if codes_of(run.family).encode is None:
        codes = codes_from_prior(run, state, key, n, devices)
        x = decoded(run, state, codes, devices)
        return EncodedExamples(codes, x, None, None, f'{counted(n, "code")} of the prior')
    inputs = {name: array[:n] for name, array in run.data.splits[split].items()}
    description = f'{counted(len(inputs["x"]), "example")} of the {split} split'
    codes, x = encoded(run, state, inputs, devices)
    num_classes, condition = run.data.spec.num_classes, inputs.get(KEY)
    return EncodedExamples(codes, x, inputs.get('label'), num_classes, description, condition)


def labelled(trained: TrainedRun, examples: EncodedExamples) -> EncodedExamples:
    """Adds the classes that `config.eval.classifier` predicts to examples without labels.

    Raises:
      UserError: there are no labels, and no classifier is set.
    """
    run = trained.run
    if examples.label is not None:
        return examples
    if not run.config.eval.classifier:
        attribute = LENGTH if are_items(run.data.spec) else 'intensity'
        raise UserError(
            f'the {examples.description} have no labels: give --config.eval.classifier=RUN, the '
            f'run of a classifier (configs/classifier.py), or use --attribute={attribute} '
            '--label=-1, which need no labels'
        )
    features = from_classifier(run, trained.devices)
    probs = features.apply(examples.x).probs
    return examples._replace(
        label=probs.argmax(1),
        num_classes=probs.shape[1],
        description=f'{examples.description}, classes by {features.classifier.folder.name}',
    )


def of_class(examples: EncodedExamples, label: int, spec: Spec) -> np.ndarray:
    """Returns the codes of one class, which messages call by its name.

    Raises:
      UserError: there is no such class, or no example of it.
    """
    if not 0 <= label < examples.num_classes:
        raise UserError(f'there is no class {label}: choose 0 to {examples.num_classes - 1}')
    codes = examples.codes[examples.label == label]
    if not len(codes):
        raise UserError(
            f'no example of class {spec.class_name(label)} among {examples.description}: choose '
            'another class or more --num_codes'
        )
    return codes


def measure(attribute: str, x: Float[np.ndarray, 'n *event'], spec: Spec) -> Float[np.ndarray, 'n']:
    """Returns the attribute's value for each event: the mean of x, a stroke measure in UNITS, the
    length of an item, or what FILE.py:FUNCTION returns; nan where that has no number.

    Raises:
      UserError: as `check_attribute`.
    """
    check_attribute(attribute, spec)
    if attribute == LENGTH or ':' in attribute:
        return property_of('--attribute', attribute, spec).of(x)
    if attribute == 'intensity':
        return x.reshape(len(x), -1).mean(1, dtype=np.float64)
    return MEASURES[attribute](image_grids.shades(x, spec).mean(-1))


def check_attribute(attribute: str, spec: Spec) -> None:
    """Checks that the data have an attribute.

    Raises:
      UserError: a stroke attribute of data that are no images, an intensity of items, a length of
        others, or there is no such function.
    """
    if attribute in MEASURES and not image_grids.is_drawn_as_image(spec):
        raise UserError(f'--attribute={attribute} needs images: these data are not images')
    if attribute == 'intensity' and are_items(spec):
        raise UserError(f'--attribute={attribute}: symbols have none, choose {LENGTH}')
    if attribute == LENGTH or ':' in attribute:
        property_of('--attribute', attribute, spec)


def _quarters(examples: EncodedExamples, values: Float[np.ndarray, 'n']) -> list[np.ndarray]:
    """Returns the codes of the quarters with the smallest and the largest finite values.

    Raises:
      UserError: there is no such value.
    """
    order = np.argsort(values, kind='stable')
    order = order[np.isfinite(values[order])]
    if not len(order):
        raise UserError(f'--attribute: none of {examples.description} has a finite value')
    quarter = -(-len(order) // 4)
    return [examples.codes[order[:quarter]], examples.codes[order[-quarter:]]]
