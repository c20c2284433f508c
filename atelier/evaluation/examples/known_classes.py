"""Sets aside examples of classes that a model never trained on, where it reads their labels.

Given such a label, a model would answer from parameters that training left as they began; asked for
its probability, a classifier answers 0.
"""

from collections.abc import Collection

import numpy as np
from jaxtyping import Bool

from atelier.core.abilities import Classify
from atelier.core.family import is_class_conditional
from atelier.data.classes import described, predicted_classes
from atelier.data.stand_in import StandIn, stand_in
from atelier.errors import UserError
from atelier.log import counted, log
from atelier.run.experiment import Run


def classes_of(run: Run) -> tuple[int, ...]:
    """Returns the classes that exist for the model: those of training.

    For a run that began before there was `config.data.classes` they are all that the data declare.
    """
    return predicted_classes(run.data.spec, run.config.data.get('classes', 'declared'))


def is_known(run: Run, split: str) -> np.ndarray | None:
    """Returns whether each example [n] of a split has a class of training; None if all have.

    Examples without labels, and those of a model that reads no labels, have. So have all of a run
    that began before there was `config.data.classes`.
    """
    reads = is_class_conditional(run.family) or run.family.ability(Classify) is not None
    kept = are_of(run, split, classes_of(run)) if reads else None
    return None if kept is None or kept.all() else kept


def are_of(run: Run, split: str, classes: Collection[int]) -> Bool[np.ndarray, 'n']:
    """Returns whether each example of a split has one of these classes, or no label.

    `classes` are those that exist for the model, `classes_of`, or those that training saw,
    `Spec.known_classes`. They differ in a run that began before there was `config.data.classes`.
    """
    is_whole = len(classes) == (run.data.spec.num_classes or 0)
    label = None if is_whole else run.data.splits[split].get('label')
    return np.ones(run.data.size(split), bool) if label is None else np.isin(label, [*classes])


def of_known_classes(run: Run, split: str = 'test') -> Run:
    """Returns the run without the examples of a split that `is_known` denies; logs their number.

    Raises:
      UserError: no example is left.
    """
    kept = is_known(run, split)
    if kept is None:
        return run
    spec, data = run.data.spec, run.data
    data = data.read() if isinstance(data, StandIn) else data
    part = data.splits[split]
    number = counted(int(np.sum(~kept)), 'example')
    names = described(spec, np.unique(np.asarray(part['label'])[~kept]).tolist())
    if not kept.any():
        raise UserError(
            f'no example of {data.description} has a class with training examples ({number} of '
            f'{names}): give examples of {described(spec)}, or leave out their labels'
        )
    log.info('%s set aside, of classes without training examples: %s', number, names)
    origins = data.origins_with(split)
    origins = origins._replace(rows={**origins.rows, split: np.asarray(origins.rows[split])[kept]})
    splits = {**data.splits, split: {name: array[kept] for name, array in part.items()}}
    data = data._replace(splits=splits, origins=origins)
    if isinstance(run.data, StandIn):
        unread = stand_in(run.data.name, spec, run.data.shapes, lambda: data)
        return run._replace(data=unread._replace(origins=origins))
    return run._replace(data=data)
