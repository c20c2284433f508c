"""Diagnostics of a run's latent space, as stored in an evaluation."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from atelier.core import game
from atelier.core.family import codes_of
from atelier.core.randomness import Stream, fold_in, key_for, standard_normal
from atelier.data.splits import fixed_order
from atelier.evaluation.codes.encoding import latents
from atelier.evaluation.latents.continuity import STEP, completeness, continuity
from atelier.evaluation.latents.disentanglement import entropy, mutual_information_gap
from atelier.evaluation.latents.information import active_units, information, kl_per_dimension
from atelier.evaluation.per_example.over_examples import over_examples
from atelier.evaluation.samples.features import FeatureFunction
from atelier.log import log
from atelier.run.experiment import Run

MOST_PAIRED = 10_000  # examples in the aggregate posterior, whose cost is quadratic


def latent_diagnostics(
    run: Run,
    state: game.State,
    devices: Sequence[jax.Device],
    judge: FeatureFunction | None = None,
) -> dict[str, Any]:
    """Returns all latent metrics of the test split that the family's abilities allow; {} if none.

    `posterior` gives KL per dimension, active units and the measures of `latents.information`.
    Without it, `encode` and `prior` give the active units of codes, also by stochastic layer.
    `encode` and `decode` give continuity, and with the features of a classifier (`judge`)
    completeness. Data with factors give the mutual information gap. A class at the end of a code is
    left out. Codes as long as the events compress nothing and have no metrics, nor have codes that
    are not finite (with a warning). Codes from a codebook give its usage instead of continuity,
    since a small step leads back to the same code. Values that are not finite are None, for JSON.
    """
    space = codes_of(run.family)
    if space.posterior is None and (
        space.encode is None or (space.decode is None and space.prior is None)
    ):
        return {}
    if space.posterior is None and sum(space.dims) >= run.data.spec.num_dims:
        return {}
    seen = _of_test_split(run, state, devices)
    if not all(np.all(np.isfinite(values)) for values in seen.values()):
        log.warning('codes of some test examples are not finite: nothing is said of them')
        return {}
    found = {'num_examples': run.data.size('test'), **_of_posteriors(seen)}
    codes = seen.get('codes')
    if codes is None:
        return found
    z = latents(run.family, codes)
    if space.posterior is None and space.prior is not None:
        found |= _units(z, space.dims)
    if space.tokens is not None:
        found |= _usage(seen['tokens'], space.tokens.size)
    elif space.decode is not None:
        found['continuity'] = _summary(continuity(run, state, codes, devices))
    is_judged = judge is not None and judge.classifier is not None
    if space.decode is not None and is_judged:
        found['completeness'] = completeness(run, state, judge, devices)
    if 'factors' in run.data.splits['test']:
        found['mutual_information_gap'] = _gaps(run, z)
    return found


def _of_test_split(run: Run, state, devices) -> dict[str, np.ndarray]:
    """Returns the test split's latent arrays, as far as the family has them.

    They are 'codes' [n, dims], 'tokens' [n, positions], and posteriors as 'mean', 'log_var' and
    'noise' [n, latent].
    """
    space, n = codes_of(run.family), run.data.size('test')

    def look(weights, batch, rng):
        seen = {}
        if space.encode is not None:
            seen['codes'] = space.encode(weights, batch, rng)
        if space.tokens is not None:
            seen['tokens'] = space.tokens.indices(weights, batch, rng)
        if space.posterior is not None:
            mean, log_var = space.posterior(weights, batch, rng)
            noise = standard_normal(fold_in(rng.keys, 0), mean.shape[1])
            seen |= dict(mean=mean, log_var=log_var, noise=noise)
        return seen

    apply = over_examples(look, run.data, run.config.eval.batch_size, devices)
    key = key_for(state.key, Stream.EVALUATE)
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


def _units(mean: np.ndarray, layers: tuple[int, ...] = ()) -> dict[str, Any]:
    """Counts active units, and with several stochastic layers also those of each layer."""
    is_active = active_units(mean)
    found: dict[str, Any] = {'active_units': int(is_active.sum()), 'latent_dim': mean.shape[1]}
    if len(layers) > 1:
        parts = np.split(is_active, np.cumsum(layers)[:-1])
        found['active_units_by_layer'] = [int(part.sum()) for part in parts]
        found['latent_dims'] = list(layers)
    return found


def _usage(tokens: np.ndarray, size: int) -> dict[str, Any]:
    """Returns the usage of a codebook over all examples and positions."""
    counts = np.bincount(tokens.ravel(), minlength=size)
    return {
        'perplexity': float(np.exp(entropy(counts))),
        'codes_used': int(np.count_nonzero(counts)),
        'codebook_size': size,
        'num_positions': tokens.shape[1],
    }


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
