"""The functions of `import atelier` for examples of your own: score, embed, classify, reconstruct.

    run = atelier.load('runs/vae-digits')
    atelier.score(run, x)['log_prob_nats']       # x [n, *event], in the units of the stored data
    atelier.embed(run, 'mine.npz')               # or any PATH that --data takes
    atelier.score(run, ['Ada', 'Emile'])         # of items

They compute what the modes of these names do, and write nothing.
"""

import pathlib
from collections.abc import Sequence

import jax
import numpy as np

from atelier.core.abilities import Classify, Codes, Reconstruct
from atelier.core.family import is_class_conditional
from atelier.data.classes import described
from atelier.data.splits import SPLITS
from atelier.errors import UserError, about, did_you_mean
from atelier.evaluation.codes.encoding import encoded, latents
from atelier.evaluation.examples import given
from atelier.evaluation.examples.known_classes import is_known
from atelier.evaluation.examples.scores import can_score, over_test, scores
from atelier.log import counted
from atelier.run import run_data
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

__all__ = ['classify', 'embed', 'reconstruct', 'score']

Array = np.ndarray | jax.Array | Sequence  # also of texts
Examples = Array | str | pathlib.Path | None


def score(
    trained: TrainedRun,
    x: Examples = None,
    label: Array | None = None,
    split: str = 'test',
) -> dict[str, np.ndarray]:
    """Returns what --mode=score computes of each example, by name, each [n].

    Args:
      trained: the run.
      x: examples [n, *event], in the units of the stored data; or the path of a file or folder; of
        items, also a list of texts. None: those of `split`.
      label: [n], classes of an array x, by number or name, for a class-conditional family. A path
        brings its own.
      split: 'train', 'valid' or 'test', if there is no x.

    Raises:
      UserError: the examples are not like those of the run, the arguments contradict each other, or
        the family has no such ability.
    """
    trained = _with_examples(trained, x, label, split, needs_labels=False)
    _check_classes(trained.run)
    if not can_score(trained.run.family):
        raise _lacking(trained, 'likelihood, reconstruction or class probabilities')
    return scores(trained)


def embed(
    trained: TrainedRun,
    x: Examples = None,
    label: Array | None = None,
    split: str = 'test',
) -> np.ndarray:
    """Returns the codes [n, latent] of the examples. Arguments and errors: those of `score`."""
    trained = _with_examples(trained, x, label, split)
    codes = trained.run.family.ability(Codes)
    if codes is None or codes.encode is None:
        raise _lacking(trained, 'encoder')
    inputs = trained.run.data.splits['test']
    values, _ = encoded(trained.run, trained.state, inputs, trained.devices)
    return latents(trained.run.family, values)


def classify(
    trained: TrainedRun,
    x: Examples = None,
    split: str = 'test',
) -> np.ndarray:
    """Returns p(label | x) [n, classes]. Arguments and errors: those of `score`."""
    trained = _with_examples(trained, x, None, split, needs_labels=False)
    ability = trained.run.family.ability(Classify)
    if ability is None:
        raise _lacking(trained, 'class probabilities')
    return over_test(trained, lambda *inputs: jax.nn.softmax(ability.logits(*inputs)))


def reconstruct(
    trained: TrainedRun,
    x: Examples = None,
    label: Array | None = None,
    split: str = 'test',
) -> np.ndarray:
    """Returns reconstructions [n, *event]. Arguments and errors: those of `score`."""
    trained = _with_examples(trained, x, label, split)
    ability = trained.run.family.ability(Reconstruct)
    if ability is None:
        raise _lacking(trained, 'reconstruction')
    return over_test(trained, ability.mean)


def _with_examples(
    trained: TrainedRun, x: Examples, label, split: str, needs_labels: bool = True
) -> TrainedRun:
    """Returns the run whose test split are the examples.

    Raises:
      UserError: as `score`, or labels are needed and missing.
    """
    if not isinstance(trained, TrainedRun):
        raise UserError(f'{trained!r} is not a loaded run: pass atelier.load(FOLDER)')
    run, is_path = trained.run, isinstance(x, str | pathlib.Path)
    _check_arguments(x, label, split)
    if x is None:
        run = given.with_split(run_data.with_data(run, f'the {split} split is read'), split)
    elif is_path:
        with about(f'x={str(x)!r}'):
            run = given.with_given(run, given.read(run, str(x)))
    else:
        with about('the examples'):
            run = given.with_given(run, given.from_arrays(run, x, label))
    if needs_labels:
        _check_classes(run)
    has_labels = 'label' in run.data.splits['test']
    if needs_labels and not has_labels and is_class_conditional(run.family):
        advice = 'put label into the file' if is_path else 'give label'
        raise UserError(f'the model of {run.folder} needs the class of each example: {advice}')
    return trained._replace(run=run)


def _check_arguments(x: Examples, label: Array | None, split: str) -> None:
    """Checks that the arguments name one set of examples.

    Raises:
      UserError: they do not, or there is no such split.
    """
    if split not in SPLITS:
        hint = did_you_mean(str(split), SPLITS)
        raise UserError(f'split={split!r}: choose one of {", ".join(SPLITS)}{hint}')
    if x is not None and split != 'test':
        raise UserError(f'split={split!r} and x: give one of them')
    if label is not None and x is None:
        raise UserError('label without x: a split has its own labels, leave label out')
    if label is not None and isinstance(x, str | pathlib.Path):
        raise UserError(f'label and x={str(x)!r}: a path brings its own labels, leave label out')


def _check_classes(run: Run) -> None:
    """Checks that training has the classes that a class-conditional family reads.

    Raises:
      UserError: it has not; results have to be those of all examples in their order.
    """
    kept = is_known(run, 'test') if is_class_conditional(run.family) else None
    if kept is not None:
        unknown = counted(int(np.sum(~kept)), 'example')
        raise UserError(
            f'label: {unknown} of classes without training examples: leave them out, or give '
            f'labels of {described(run.data.spec)}'
        )


def _lacking(trained: TrainedRun, what: str) -> UserError:
    run = trained.run
    return UserError(f'the model of {run.folder} has no {what}; it has {run.family.ability_names}')
