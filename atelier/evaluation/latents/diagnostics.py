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
from atelier.evaluation.samples.features import FeatureFunction
from atelier.evaluation.samples.sampling import has_known_classes
from atelier.log import log
from atelier.run.experiment import Run
from atelier.run.over_examples import over_examples

MAX_PAIRED = 10_000  # largest number of examples in the aggregate posterior; cost is quadratic


def latent_diagnostics(
    run: Run,
    state: game.State,
    devices: Sequence[jax.Device],
    features: FeatureFunction | None = None,
) -> dict[str, Any]:
    """Returns all latent metrics of the test split that the family's abilities allow; {} if none.

    `posterior` gives KL per dimension, active units and the measures of `latents.information`.
    Without it, `encode` and `prior` give the active units of codes, also by stochastic layer.
    `encode` and `decode` give continuity. `encode` and `decode`, with the `features` of a
    classifier, give completeness. Data with factors give the mutual information gap. A class at the
    end of a code is left out. For codes from a codebook, its usage replaces continuity, because a
    small step leads back to the same code. Without `posterior`, codes as long as the events or
    longer compress nothing and give no metrics. There are none either, with a warning, if codes are
    not finite. In the result, values that are not finite are None, because JSON has no NaN or
    infinity.
    """
    space = codes_of(run.family)
    if space.posterior is None and (
        space.encode is None or (space.decode is None and space.prior is None)
    ):
        return {}
    if space.posterior is None and sum(space.dims) >= run.data.spec.num_dims:
        return {}
    arrays = _latent_arrays(run, state, devices)
    if not all(np.all(np.isfinite(values)) for values in arrays.values()):
        log.warning('codes of some test examples are not finite: latent-space metrics are left out')
        return {}
    metrics = {'num_examples': run.data.size('test'), **_posterior_metrics(arrays)}
    codes = arrays.get('codes')
    if codes is None:
        return metrics
    z = latents(run.family, codes)
    if space.posterior is None and space.prior is not None:
        metrics |= _active_unit_counts(z, space.dims)
    if space.tokens is not None:
        metrics |= _codebook_usage(arrays['tokens'], space.tokens.size)
    elif space.decode is not None:
        metrics['continuity'] = _change_summary(continuity(run, state, codes, devices))
    has_classifier = features is not None and features.classifier is not None
    has_classifier &= has_known_classes(run, 'test')  # else real examples are no reference
    if space.decode is not None and has_classifier:
        metrics['completeness'] = completeness(run, state, features, devices)
    if 'factors' in run.data.splits['test']:
        metrics['mutual_information_gap'] = _information_gaps(run, z)
    return metrics


def _latent_arrays(run: Run, state, devices) -> dict[str, np.ndarray]:
    """Returns the test split's latent arrays, as far as the family has them.

    They are 'codes' [n, dims], 'tokens' [n, positions], and for posteriors 'mean', 'log_var' and
    'noise' [n, latent].
    """
    space, n = codes_of(run.family), run.data.size('test')

    def latent_arrays(weights, batch, rng):
        arrays = {}
        if space.encode is not None:
            arrays['codes'] = space.encode(weights, batch, rng)
        if space.tokens is not None:
            arrays['tokens'] = space.tokens.indices(weights, batch, rng)
        if space.posterior is not None:
            mean, log_var = space.posterior(weights, batch, rng)
            noise = standard_normal(fold_in(rng.keys, 0), mean.shape[1])
            arrays |= dict(mean=mean, log_var=log_var, noise=noise)
        return arrays

    apply = over_examples(latent_arrays, run.data, run.config.eval.batch_size, devices)
    key = key_for(state.key, Stream.EVALUATE)
    return apply(state, key, run.data.splits['test'], n)


def _posterior_metrics(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    if 'mean' not in arrays:
        return {}
    mean, log_var = arrays['mean'], arrays['log_var']
    kl = kl_per_dimension(mean, log_var)
    rows = fixed_order(len(mean))[:MAX_PAIRED]
    kl_parts = information(mean[rows], log_var[rows], arrays['noise'][rows])
    return {
        **_active_unit_counts(mean),
        'kl_nats': _finite_or_none(kl.sum()),
        'kl_nats_by_dimension': [_finite_or_none(value) for value in kl],
        'mutual_information_nats': _finite_or_none(kl_parts.mutual_information),
        'mutual_information_standard_error': _finite_or_none(kl_parts.standard_error),
        'mutual_information_limit_nats': kl_parts.limit,
        'marginal_kl_nats': _finite_or_none(kl_parts.marginal_kl),
        'marginal_kl_standard_error': _finite_or_none(kl_parts.marginal_standard_error),
        'num_paired': len(rows),
    }


def _active_unit_counts(mean: np.ndarray, layers: tuple[int, ...] = ()) -> dict[str, Any]:
    """Counts active units; with several stochastic layers, also counts them for each layer."""
    is_active = active_units(mean)
    metrics: dict[str, Any] = {'active_units': int(is_active.sum()), 'latent_dim': mean.shape[1]}
    if len(layers) > 1:
        parts = np.split(is_active, np.cumsum(layers)[:-1])
        metrics['active_units_by_layer'] = [int(part.sum()) for part in parts]
        metrics['latent_dims'] = list(layers)
    return metrics


def _codebook_usage(tokens: np.ndarray, size: int) -> dict[str, Any]:
    """Returns the usage of a codebook over all examples and positions."""
    counts = np.bincount(tokens.ravel(), minlength=size)
    return {
        'perplexity': float(np.exp(entropy(counts))),
        'codes_used': int(np.count_nonzero(counts)),
        'codebook_size': size,
        'num_positions': tokens.shape[1],
    }


def _change_summary(values: np.ndarray) -> dict[str, Any]:
    statistics = _finite_or_none(np.mean(values)), _finite_or_none(np.quantile(values, 0.95))
    return dict(zip(('mean', 'percentile_95'), statistics, strict=True)) | {
        'step': STEP,
        'num_examples': len(values),
    }


def _information_gaps(run: Run, codes: np.ndarray) -> dict[str, Any]:
    factors = np.asarray(run.data.splits['test']['factors'])
    gaps = mutual_information_gap(codes, factors)
    names = run.data.factor_names or [str(index) for index in range(len(gaps))]
    return {
        'mean': _finite_or_none(gaps.mean()),
        'by_factor': {name: _finite_or_none(gap) for name, gap in zip(names, gaps, strict=True)},
    }


def _finite_or_none(value) -> float | None:
    return float(value) if math.isfinite(value) else None
