"""Ranks true values among samples: whether p(x | condition) is calibrated."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Int

from atelier.applications import _calibration_figure, _common
from atelier.applications._application import SAMPLE, Application
from atelier.core.family import Family, is_class_conditional, reads_condition
from atelier.core.randomness import Stream, key_for
from atelier.data.conditions.condition import KEY
from atelier.data.spec import Spec
from atelier.errors import UserError
from atelier.evaluation.samples.ranks import BAND, band_of, counts_of, coverage_of, p_values
from atelier.evaluation.samples.sampling import preprocessed, sampler
from atelier.log import counted, log
from atelier.report.figure_text import figure_text
from atelier.run import restore
from atelier.run.experiment import Run
from atelier.run.restore import TrainedRun

NEEDS = (SAMPLE,)
LEVELS = np.arange(1, 20) / 20  # of central intervals
PER_BIN = 5  # least expected count of a bin, for the chi-square test
LOGGED = (0.5, 0.9)
NO_RANK = -1


def apply(
    run: Run, num_examples: int = 1000, num_samples: int = 99, num_bins: int = 20, seed: int = 0
) -> dict[str, np.ndarray]:
    """Compares true x with samples given the same condition, one dimension at a time.

    For each test example, samples are drawn given its condition, or its label. If the model is
    right, the rank of the true value among them is uniform (Talts et al. 2018). A histogram like a
    hill says that samples vary too much, one like a valley that they vary too little, and a slope
    that they lie to one side. The test is necessary, not sufficient: a model that ignores its
    condition and draws from p(x) passes, too.

    Examples with NaN among their values or their samples have no ranks, and are left out.

    Args:
      run: of a family whose samples read a condition or a label, on real values.
      num_examples: number of test examples, drawn at random.
      num_samples: samples for each of them; one less than a multiple of `num_bins`. More append to
        those of fewer.
      num_bins: bins of a histogram.
      seed: seed of the choice of examples and of the samples; a sample depends on the seed, its
        number and the place of its example alone.

    Returns:
      index [n] in the test split, file and row [n], and label [n] if there are labels; ranks [n,
      dims] from 0 to num_samples; counts [dims, bins]; p_value [dims], of a chi-square test of
      uniformity; levels [levels], coverage [levels, dims], the share of true values inside central
      intervals, which equals the level if ranks are uniform.

    Raises:
      UserError: a missing checkpoint, a bad option, or too few examples that have ranks.
    """
    _check(run, num_examples, num_samples, num_bins)
    _common.check_seed(seed)
    trained = restore.load(run)
    index = _common.random_test_indices(run, num_examples, seed)
    ranks = compute(trained, index, num_samples, seed)
    is_ranked = _ranked(ranks, PER_BIN * num_bins)
    index, ranks = index[is_ranked], ranks[is_ranked]
    arrays = {'index': index, **_common.origins_of(run, index), 'ranks': ranks}
    arrays |= statistics(ranks, num_samples, num_bins)
    options = dict(num_examples=num_examples, num_samples=num_samples, num_bins=num_bins)
    name = f'calibrate-seed-{seed}{_common.changed_options(apply, **options)}'
    band = band_of(len(ranks), num_bins)
    results = _results(arrays, num_samples, band)
    path = _common.save(trained, name, arrays, results)
    _log(results, trained.weights)
    examples = figure_text(_common.described_examples(run))
    title = f'Ranks of {counted(len(ranks), "example")} of {examples} among {num_samples:,} samples'
    lines = (arrays[key] for key in ('levels', 'coverage'))
    figure = _calibration_figure.figure(
        arrays['counts'], arrays['p_value'], band, *lines, run.data.spec, title
    )
    _common.draw_figure(path, figure)
    return arrays


def compute(
    trained: TrainedRun, index: Int[np.ndarray, 'n'], num_samples: int, seed: int = 0
) -> Int[np.ndarray, 'n dims']:
    """Returns how many of the samples given the condition of each test example are below its x.

    A value of x has the rank `NO_RANK` if it, or one of its samples, is NaN.
    """
    run, state, devices = trained.run, trained.state, trained.devices
    split = {name: array[index] for name, array in run.data.splits['test'].items()}
    x = preprocessed(run, state, devices, split['x'], more=split).reshape(len(index), -1)
    given = split[KEY] if reads_condition(run.family) else np.asarray(split['label'], np.int32)
    sample, ranks, is_nan = sampler(run, devices), np.zeros(x.shape, np.int64), np.isnan(x)
    for number in range(num_samples):
        key = key_for(jax.random.PRNGKey(seed), Stream.SAMPLE, number)
        drawn = sample(state, key, len(index), given).reshape(x.shape)
        ranks += drawn < x
        is_nan |= np.isnan(drawn)
    return np.where(is_nan, NO_RANK, ranks)


def _ranked(ranks: Int[np.ndarray, 'n dims'], least: int) -> Bool[np.ndarray, 'n']:
    """Returns which examples have all of their ranks; a warning counts the others.

    Raises:
      UserError: fewer than `least` have them.
    """
    is_ranked = (ranks != NO_RANK).all(1)
    num_left, of_all = int(is_ranked.sum()), counted(len(ranks), 'example')
    fault = f'{len(ranks) - num_left:,} of {of_all} have no ranks: they or their samples are NaN'
    if num_left < least:
        raise UserError(f'{fault}: a calibration needs the ranks of {least:,}')
    if num_left < len(ranks):
        log.warning('%s; they are left out', fault)
    return is_ranked


def statistics(
    ranks: Int[np.ndarray, 'n dims'], num_samples: int, num_bins: int
) -> dict[str, np.ndarray]:
    """Returns the arrays of `apply` that follow from ranks among `num_samples` samples."""
    counts = counts_of(ranks, num_samples, num_bins)
    return {
        'counts': counts,
        'p_value': p_values(counts),
        'levels': LEVELS,
        'coverage': coverage_of(ranks, num_samples, LEVELS),
    }


def _check(run: Run, num_examples: int, num_samples: int, num_bins: int) -> None:
    """Checks that the ranks of the options fill bins of equal size.

    Raises:
      UserError: they do not.
    """
    _common.at_least(2, num_bins=num_bins)
    _common.at_least(1, num_samples=num_samples)
    if (num_samples + 1) % num_bins:
        raise UserError(
            f'--num_samples={num_samples}: there is one more rank than samples, so give one less '
            f'than a multiple of --num_bins={num_bins}, such as {5 * num_bins - 1}'
        )
    least, why = PER_BIN * num_bins, f'{PER_BIN} for each of --num_bins={num_bins}'
    _common.at_least(least, num_examples=num_examples)
    _common.check_split(run, 'test', least, why)
    _common.check_outputs(run, num_examples=num_examples)


def _results(
    arrays: dict[str, np.ndarray], num_samples: int, band: tuple[int, int]
) -> dict[str, Any]:
    p_value, counts = arrays['p_value'], arrays['counts']
    outside = (counts < band[0]) | (counts > band[1])
    return {
        'num_examples': len(arrays['ranks']),
        'num_samples': num_samples,
        'test': f'chi-square of {counts.shape[1]} bins, for each dimension',
        'p_value': p_value.tolist(),
        'smallest_p_value': float(p_value.min()),
        # Bonferroni's correction
        'smallest_p_value_corrected': float(min(1.0, p_value.min() * len(p_value))),
        'band': list(band),
        'band_probability': BAND,
        'share_of_bins_outside': float(outside.mean()),
        'levels': arrays['levels'].tolist(),
        'coverage': arrays['coverage'].mean(1).tolist(),
    }


def _log(results: dict[str, Any], weights: str) -> None:
    p_value = results['p_value']
    log.info(
        'ranks of %s among %s of the model of the %s: the smallest p-value of %s is %.2g, '
        'corrected for their number %.2g',
        counted(results['num_examples'], 'example'),
        counted(results['num_samples'], 'sample'),
        weights,
        counted(len(p_value), 'dimension'),
        results['smallest_p_value'],
        results['smallest_p_value_corrected'],
    )
    log.info(
        'bins outside their band of %g %%: %.1f %%',
        100 * results['band_probability'],
        100 * results['share_of_bins_outside'],
    )
    for level, inside in zip(results['levels'], results['coverage'], strict=True):
        if level in LOGGED:
            message = 'true values in the central %g %% of samples: %.1f %%'
            log.info(message, 100 * level, 100 * inside)


def _refusal(family: Family, spec: Spec) -> str:
    """Returns why ranks say nothing about a family, or ''."""
    if not (is_class_conditional(family) or reads_condition(family)):
        return (
            'cannot be calibrated: its samples read no condition: train a conditional model, such '
            'as configs/posterior.py'
        )
    if spec.levels is not None:
        return (
            'cannot be calibrated: its x have discrete levels, whose ranks are not uniform: ranks '
            'need real values'
        )
    return ''


APPLICATION = Application(
    apply, NEEDS, _refusal, reads='it ranks test examples among samples', only_test=True
)
