"""A direction of codes: the difference of two mean codes, or the change with an attribute."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from atelier.applications._along_condition import along_condition, read_again, results_of
from atelier.applications._ends import Ends
from atelier.applications._sets import measure, two_sets
from atelier.evaluation.codes.encoding import latents
from atelier.run.restore import TrainedRun


class Direction(NamedTuple):
    """A direction of codes.

    vector: [latent], of a step of 1.
    sizes: of the sets of examples that it comes from, as text.
    description: of the examples that these are among.
    value_of: x [n, steps, *event] -> the attribute of each x [n, steps], or None if it is not
      measured.
    results: main results, for a file; None if the attribute is not one of the condition.
    ends_in_condition: whether codes end in the condition, so that the direction changes it too.
    """

    vector: Float[np.ndarray, 'latent']
    sizes: str
    description: str
    value_of: Callable[[np.ndarray], np.ndarray | None]
    results: dict[str, Any] | None = None
    ends_in_condition: bool = False


def direction_of(trained: TrainedRun, key, ends: Ends, num_codes: int) -> Direction:
    """Returns the direction between two ends, from at most `num_codes` codes."""
    find = _of_condition if ends.contrast else _of_sets
    return find(trained, key, ends, num_codes)


def _of_sets(trained: TrainedRun, key, ends: Ends, num_codes: int) -> Direction:
    """Target mean minus source mean; for an attribute, with zeros in the class part."""
    sets = two_sets(trained, key, ends.attribute, (ends.source, ends.target), num_codes)
    vector = sets.target.mean(0, np.float64) - sets.source.mean(0, np.float64)
    spec = trained.run.data.spec
    if ends.is_measured:
        vector[latents(trained.run.family, vector).size :] = 0

    def value_of(x: np.ndarray) -> np.ndarray | None:
        if not ends.is_measured:
            return None
        values = measure(ends.attribute, x.reshape(-1, *spec.event_shape), spec)
        return values.reshape(x.shape[:2])

    sizes = f'{len(sets.source):,} and {len(sets.target):,}'
    return Direction(vector, sizes, sets.description, value_of)


def _of_condition(trained: TrainedRun, key, ends: Ends, num_codes: int) -> Direction:
    """The change of codes with an attribute of the condition."""
    fitted = along_condition(trained, key, ends.contrast, num_codes)
    return Direction(
        fitted.regression.direction,
        fitted.sizes,
        fitted.description,
        lambda x: read_again(trained, fitted, x),
        results_of(trained, key, ends.contrast, fitted, num_codes),
        fitted.ends_in_condition,
    )
