"""How many samples have what their conditions ask for, of data of which this can be computed.

The groups are those of the data, such as conditions with and without a pair that training lacks.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int, Real

from atelier.core import game
from atelier.core.family import reads_condition
from atelier.core.randomness import Stream, key_for
from atelier.data.conditions.words import Words
from atelier.data.dataset import Dataset
from atelier.evaluation.samples.item_quality import Share, share
from atelier.evaluation.samples.requests import like_split
from atelier.evaluation.samples.retrieval import AMONG, retrieval_share
from atelier.evaluation.samples.sampling import sampler, split_examples
from atelier.run.experiment import Run

ALL = 'all'  # group of all samples
MAX_SAMPLES = 2000


class GroupAgreement(NamedTuple):
    """The agreement of a group of samples with their conditions.

    num_samples: in the group.
    shares: by fact, the share that is right of the samples whose condition asks for it.
    num_asked: by fact, the number of these.
    """

    num_samples: int
    shares: dict[str, Share]
    num_asked: dict[str, int]


def condition_values(
    run: Run, state: game.State, devices: Sequence[jax.Device]
) -> dict[str, dict[str, float | None]]:
    """Returns how far samples given test conditions agree with these.

    These are shares: by group and fact, of samples with what their conditions ask for, if the data
    can tell (`Dataset.agreement`); and of samples that are nearest to the picture of their caption.
    Empty if there are none, or the family reads no condition.

    Returns:
      {name: {'samples', 'standard_error', 'floor'}}; the floor is that of real test examples.
    """
    has_words = isinstance(run.data.spec.condition, Words)
    if not reads_condition(run.family) or not (run.data.agreement or has_words):
        return {}
    n = min(MAX_SAMPLES, run.data.size('test'))
    condition, key = like_split(run, 'test', n), key_for(state.key, Stream.SAMPLE)
    fake = sampler(run, devices)(state, key, n, condition)
    real = split_examples(run, state, devices, 'test', n)
    values = _compared(*(agreement_of(run.data, x, condition) for x in (fake, real)))
    if has_words:
        fake, real = (np.asarray(run.data.spec.normalize(x)) for x in (fake, real))
        found, of_real = (retrieval_share(x, real, condition) for x in (fake, real))
        values[f'retrieval among {min(AMONG, n)}'] = _value(found, of_real.value)
    return values


def _compared(
    of_fake: dict[str, GroupAgreement], of_real: dict[str, GroupAgreement]
) -> dict[str, dict[str, float | None]]:
    return {
        f'{group}: {fact}': _value(share, of_real[group].shares[fact].value)
        for group, each in of_fake.items()
        for fact, share in each.shares.items()
        if share.value is not None
    }


def _value(share: Share, floor: float | None) -> dict[str, float | None]:
    return {'samples': share.value, 'standard_error': share.standard_error, 'floor': floor}


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
    requested = {name: right[~np.isnan(right)] for name, right in facts.items()}
    return GroupAgreement(
        num_samples,
        {name: share(int(right.sum()), len(right)) for name, right in requested.items()},
        {name: len(right) for name, right in requested.items()},
    )
