"""The condition of codes for which none is asked: one of those of training."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from atelier.core.family import reads_condition
from atelier.data.conditions.condition import as_rows
from atelier.run.experiment import Run


class ExampleCondition(NamedTuple):
    """A condition of a training example.

    features: the end of the codes of a conditional model.
    description: the condition as text.
    """

    features: Float[np.ndarray, 'features']
    description: str


def example_condition(run: Run) -> ExampleCondition | None:
    """Returns the first condition that the spec has as an example; None if the model reads none."""
    if not reads_condition(run.family):
        return None
    condition = run.data.spec.condition
    rows = as_rows(condition, condition.examples[:1])
    return ExampleCondition(
        np.asarray(condition.features(rows))[0], condition.described(condition.examples[0])
    )
