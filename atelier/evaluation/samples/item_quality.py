"""Samples of items beside as many real ones: valid, unique and novel (Polykovskiy et al. 2020).

    valid   share of valid items
    unique  share of different items among the valid ones; also of the first 1,000 and 10,000
    novel   share of the different valid items that are not in the training split
    filters share of the valid items that pass the filters of the data, where there are some

`atelier.evaluation.samples.validity` says which items are valid and which are the same. The real
items are of the test split, and there are as many of them as samples: fewer items are more unique.
"""

import math
import pathlib
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from atelier.core import game
from atelier.core.randomness import Stream, key_for
from atelier.data.items import unpacked
from atelier.data.text import decode
from atelier.errors import writing
from atelier.evaluation.samples.report import NOT_MEASURED
from atelier.evaluation.samples.requests import like_split
from atelier.evaluation.samples.sampling import order_of_known, sampler
from atelier.evaluation.samples.validity import Form, Validity, validity_of
from atelier.log import counted, log
from atelier.report import texts
from atelier.run.experiment import Run

NUM_SAMPLES = 10_000  # of configs without the field eval.num_samples
FIRST = {f'unique_at_{n}': n for n in (1000, 10_000)}  # numbers of valid items
NAMES = ('valid', 'unique', *FIRST, 'novel', 'filters')
# training items whose forms are all computed; of more, so many are tried
MAX_CONVERTED, NUM_TRIED = 100_000, 10_000
NUM_TERMS = 20  # of the variance of a number of different items
# (-1)^(k + 1) P(a binomial variable of NUM_TERMS fair draws is at least k), for k = 1, 2, ...
TAILS = np.cumsum([math.comb(NUM_TERMS, k) for k in range(NUM_TERMS, 0, -1)])[::-1]
WEIGHTS = (-1.0) ** np.arange(NUM_TERMS) * TAILS / 2.0**NUM_TERMS


class Share(NamedTuple):
    """A share and its standard error; None if it is of nothing."""

    value: float | None
    standard_error: float | None


def compare_items(
    run: Run,
    state: game.State,
    devices: Sequence[jax.Device],
    path: pathlib.Path | None = None,
) -> dict[str, Any]:
    """Compares `config.eval.num_samples` samples with as many items of the test split, at most all.

    If `path` is given, the samples are written there as a text.

    Returns:
      {'num_samples', 'num_real', 'num_train', 'features': None, 'compared_by': what makes two items
      the same, 'validity': what decides which are valid (or None), 'values': {name: {'samples',
      'floor'}}}. A value without a judge has a text 'not measured', which says why.

    Raises:
      UserError: as `validity_of`, or its function returns a value of another type.
    """
    validity, spec = validity_of(run), run.data.spec
    order = order_of_known(run, 'test')[: run.config.eval.get('num_samples', NUM_SAMPLES)]
    n, given = len(order), like_split(run, 'test', len(order))
    real = decode(np.asarray(run.data.splits['test']['x'])[order], spec.symbols)
    real_forms = forms_of(real, validity)  # an error of a user's function comes before sampling
    x = sampler(run, devices)(state, key_for(state.key, Stream.SAMPLE), n, given)
    if path is not None:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        texts.save(path, x, spec, run.config.data.get('separator', ''))
    of_train = unpacked(run.data.splits['train']['x'], spec.symbols)
    known = known_forms(of_train, validity)
    shares = [
        item_shares(forms, known, validity)
        for forms in (forms_of(decode(x, spec.symbols), validity), real_forms)
    ]
    return {
        'num_samples': n,
        'num_real': n,
        'num_train': len(of_train),
        'features': None,
        'compared_by': validity.compared_by,
        'validity': validity.judge,
        'values': _beside(*shares, validity),
    }


def forms_of(items: Sequence[str], validity: Validity) -> list[Form]:
    """Returns the form of each item; an item without symbols is not valid."""
    forms = iter(validity.forms([item for item in items if item]))
    return [next(forms) if item else None for item in items]


def known_forms(items: Sequence[str], validity: Validity) -> set[str]:
    """Returns the forms of the training items.

    Of many items, `NUM_TRIED` are converted. If all of these are their own forms, as canonical
    SMILES are, all items are taken for their own forms, and the log says so.
    """
    different = [*dict.fromkeys(items)]
    if not validity.changes_items:
        return {*different}
    if len(different) > MAX_CONVERTED:
        tried = different[:: len(different) // NUM_TRIED]
        if validity.forms(tried) == tried:
            log.info(
                '%s are taken for their own forms (%s), because all of %s are',
                counted(len(different), 'training item'),
                validity.compared_by,
                f'{len(tried):,} that were converted',
            )
            return {*different}
    return {*validity.forms(different)} - {None}


def item_shares(forms: Sequence[Form], known: set[str], validity: Validity) -> dict[str, Share]:
    """Returns the shares of items with these forms; `known` are those of training."""
    valid = [form for form in forms if form is not None]
    different = {*valid}
    shares = {}
    if validity.judge is not None:
        shares['valid'] = share(len(valid), len(forms))
    shares['unique'] = unique_share(valid)
    for name, number in FIRST.items():
        if len(valid) >= number:
            shares[name] = unique_share(valid[:number])
    shares['novel'] = share(len(different - known), len(different))
    if validity.passes is not None:
        shares['filters'] = share(sum(validity.passes(valid)), len(valid))
    return shares


def share(count: int, n: int) -> Share:
    """Returns count / n with the standard error of a binomial distribution."""
    if not n:
        return Share(None, None)
    p = count / n
    return Share(p, math.sqrt(p * (1 - p) / n))


def unique_share(items: Sequence[Hashable]) -> Share:
    """Returns the share of different items, with its standard error over sets of as many draws.

    Let f_k be the number of items that occur k times among n draws. If n were a Poisson variable,
    sum_k (-1)^(k + 1) f_k would estimate the variance of the number of different items without
    bias: it is the expected number of new ones among as many further draws (Good and Toulmin 1956).
    The terms of large k are noise, so their weights fall to 0 (Efron and Thisted 1976). As n is
    fixed, f_1^2 / n is subtracted: the part that the variation of n explains.
    """
    n = len(items)
    if not n:
        return Share(None, None)
    multiplicity = np.array([*Counter(items).values()])
    f = np.bincount(multiplicity, minlength=len(WEIGHTS) + 1)[1 : len(WEIGHTS) + 1]
    variance = f @ WEIGHTS - f[0] ** 2 / n
    return Share(len(multiplicity) / n, math.sqrt(max(0.0, variance)) / n)


def _beside(
    samples: dict[str, Share], floor: dict[str, Share], validity: Validity
) -> dict[str, dict[str, Any]]:
    """Returns each share of the samples with that of the real items, and their errors."""
    values, nothing = {}, Share(None, None)
    for name in NAMES:
        if name in samples or name in floor:
            ours, real = (shares.get(name, nothing) for shares in (samples, floor))
            errors = {'samples': ours.standard_error, 'floor': real.standard_error}
            values[name] = {'samples': ours.value, 'floor': real.value}
            values[f'{name}_standard_error'] = errors
    if validity.judge is None:  # last, because the first value heads the page of a run
        not_measured = validity.not_measured
        values['valid'] = {'samples': None, 'floor': None, NOT_MEASURED: not_measured}
    return values
