"""What can be said of a run's latent space, as an evaluation keeps it."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

import game
from datasets.splits import fixed_order
from evaluation.continuity import STEP, completeness, continuity
from evaluation.disentanglement import mutual_information_gap
from evaluation.features import FeatureFunction
from evaluation.latents import active_units, information, kl_per_dimension
from evaluation.per_example import over_examples
from experiment import Run
from reporting import log

MOST_PAIRED = 10_000  # examples whose posteriors make the aggregate one: their pairs are counted


def latent_diagnostics(
    run: Run,
    state: game.State,
    devices: Sequence[jax.Device],
    judge: FeatureFunction | None = None,
) -> dict[str, Any]:
    """Every number that the family's abilities allow, of the whole test split; {} where none is.

    `posterior` gives KL by dimension, active units and the information of `latents.information`;
    without it, `encode` and `prior` give the active units of the codes. `encode` and `decode` give
    continuity, and with the features of a classifier (`judge`) completeness. Data with factors
    give the mutual information gap. Numbers that are not finite are None, as JSON has it.
    """
    family = run.family
    if family.posterior is None and (
        family.encode is None or (family.decode is None and family.prior is None)
    ):
        return {}
    seen = _of_test_split(run, state, devices)
    if not all(np.all(np.isfinite(values)) for values in seen.values()):
        log.warning('codes of some test examples are not finite: nothing is said of them')
        return {}
    found = {'num_examples': run.data.size('test'), **_of_posteriors(seen)}
    codes = seen.get('codes')
    if codes is None:
        return found
    if family.posterior is None and family.prior is not None:
        found |= _units(codes)
    if family.decode is not None:
        found['continuity'] = _summary(continuity(run, state, codes, devices))
        if judge is not None and judge.classifier is not None:
            found['completeness'] = completeness(run, state, judge, devices)
    if 'factors' in run.data.splits['test']:
        found['mutual_information_gap'] = _gaps(run, codes)
    return found


def _of_test_split(run: Run, state, devices) -> dict[str, np.ndarray]:
    """'codes', and 'mean', 'log_var' and 'noise' of posteriors, each [n, latent], if there are."""
    family, n = run.family, run.data.size('test')

    def look(params, extra, batch, draw):
        seen = {}
        if family.encode is not None:
            seen['codes'] = family.encode(params, extra, batch, draw)
        if family.posterior is not None:
            mean, log_var = family.posterior(params, extra, batch, draw)
            noise = game.standard_normal(game.part_of(draw.keys, 0), mean.shape[1])
            seen |= dict(mean=mean, log_var=log_var, noise=noise)
        return seen

    apply = over_examples(look, run.data, run.config.eval.batch_size, devices)
    key = game.address(state.key, game.Purpose.EVALUATE)
    return apply(state, key, run.data.splits['test'], n)


def _of_posteriors(seen: dict[str, np.ndarray]) -> dict[str, Any]:
    if 'mean' not in seen:
        return {}
    mean, log_var = seen['mean'], seen['log_var']
    kl = kl_per_dimension(mean, log_var)
    some = fixed_order(len(mean))[:MOST_PAIRED]
    parts = information(mean[some], log_var[some], seen['noise'][some])
    return {
        **_units(mean),
        'kl_nats': _plain(kl.sum()),
        'kl_nats_by_dimension': [_plain(value) for value in kl],
        'mutual_information_nats': _plain(parts.mutual_information),
        'mutual_information_standard_error': _plain(parts.standard_error),
        'mutual_information_limit_nats': parts.limit,
        'marginal_kl_nats': _plain(parts.marginal_kl),
        'marginal_kl_standard_error': _plain(parts.marginal_standard_error),
        'num_paired': len(some),
    }


def _units(mean: np.ndarray) -> dict[str, int]:
    return {'active_units': int(active_units(mean).sum()), 'latent_dim': mean.shape[1]}


def _summary(values: np.ndarray) -> dict[str, Any]:
    spread = _plain(np.mean(values)), _plain(np.quantile(values, 0.95))
    return dict(zip(('mean', 'percentile_95'), spread, strict=True)) | {
        'step': STEP,
        'num_examples': len(values),
    }


def _gaps(run: Run, codes: np.ndarray) -> dict[str, Any]:
    factors = np.asarray(run.data.splits['test']['factors'])
    gaps = mutual_information_gap(codes, factors)
    names = run.data.factor_names or [str(number) for number in range(len(gaps))]
    return {
        'mean': _plain(gaps.mean()),
        'by_factor': {name: _plain(gap) for name, gap in zip(names, gaps, strict=True)},
    }


def _plain(value) -> float | None:
    return float(value) if math.isfinite(value) else None
