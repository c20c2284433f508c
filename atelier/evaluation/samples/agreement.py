"""How many samples have what their conditions ask for, of data of which this can be computed.

The groups are those of the data, such as conditions with and without a pair that training lacks.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int, Real

from atelier.data.dataset import Dataset
from atelier.evaluation.samples.item_quality import Share, share

ALL = 'all'  # group of all samples


class GroupAgreement(NamedTuple):
    """The agreement of a group of samples with their conditions.

    num_samples: in the group.
    shares: by fact, the share that is right of the samples whose condition asks for it.
    num_asked: by fact, the number of these.
    """

    num_samples: int
    shares: dict[str, Share]
    num_asked: dict[str, int]


def agreement_of(
    data: Dataset,
    x: Real[Array | np.ndarray, 'n *event'],
    condition: Int[Array | np.ndarray, 'n columns'] | Float[Array | np.ndarray, 'n columns'],
) -> dict[str, GroupAgreement]:
    """Returns the agreement of samples with their conditions, by group; the first one is `ALL`.

    Args:
      data: whose model drew the samples; without `Dataset.agreement`, the result is empty.
      x: samples, in the units of the data.
      condition: stored conditions of the samples, such as the tokens of their captions.
    """
    if data.agreement is None:
        return {}
    texts = [data.spec.condition.described(row) for row in np.asarray(condition).tolist()]
    facts, groups = data.agreement(in_stored_levels(data, x), texts)
    groups = {ALL: np.ones(len(texts), bool), **groups}
    return {
        name: _of_group({fact: right[group] for fact, right in facts.items()}, int(group.sum()))
        for name, group in groups.items()
    }


def in_stored_levels(
    data: Dataset, x: Real[Array | np.ndarray, 'n *event']
) -> Real[np.ndarray, 'n *event']:
    """Returns x in the levels in which the data are stored, also if they are binarised or noisy.

    Real-valued data stay as they are.
    """
    spec, x = data.spec, np.asarray(x)
    if spec.interval is None:
        return x
    low, high = spec.interval
    top = (data.stored_levels or spec.levels or spec.dequantized_levels) - 1
    return (x - low) / (high - low) * top


def _of_group(facts: dict[str, np.ndarray], num_samples: int) -> GroupAgreement:
    asked = {name: right[~np.isnan(right)] for name, right in facts.items()}
    return GroupAgreement(
        num_samples,
        {name: share(int(right.sum()), len(right)) for name, right in asked.items()},
        {name: len(right) for name, right in asked.items()},
    )
