"""The table of a comparison: a ratio is given only if both programs work."""

import numpy as np
import pytest

from benchmarks import comparison, outcome
from benchmarks.workers import Measured


def measured(seconds, losses, failure=''):
    """An arm with these seconds and these mean losses, one per call."""
    curves = [np.full(50, loss) for loss in losses]
    return Measured(np.asarray(seconds, float), curves, 1.0, {}, failure)


def test_a_ratio_needs_finite_losses_that_agree(capsys):
    arms = {
        'ours': measured([1.0, 2.0], [5.0, 4.0, 3.0]),
        'same': measured([3.0, 4.0], [5.0, 4.0, 3.0]),
        'other': measured([3.0, 4.0], [5.0, 5.0, 5.0]),
        'broken': measured([3.0, 4.0], [5.0, np.nan, np.nan]),
        'dead': measured([], [], 'exit status -6: unknown flag'),
    }
    result = outcome.Outcome('speed')
    pairs = [('ours', name) for name in arms if name != 'ours']
    comparison.report(result, 'mlp', arms, pairs, 10, comparison.within(0.01))
    assert result.ratios['mlp: ours / same'] == {'value': 2.5, 'low': 2.0, 'high': 3.0}
    refused = {
        name: result.ratios[f'mlp: ours / {name}']['refused']
        for name in ('other', 'broken', 'dead')
    }
    assert 'differ by more than' in refused['other']
    assert refused['broken'] == '100 of 150 losses are not finite'
    assert refused['dead'] == 'exit status -6: unknown flag'
    assert result.arms['mlp: ours']['milliseconds']['median'] == 150
    printed = capsys.readouterr().out
    assert printed.count('no ratio') == 3 and '2.50 (2.00 to 3.00) times as fast' in printed


def test_arms_are_paired_with_those_of_their_precision():
    ours = ['scanned', 'scanned, tf32', 'scanned, bfloat16']
    theirs = ['PyTorch eager', 'PyTorch eager, fused Adam', 'PyTorch eager, fused Adam, bfloat16']
    assert comparison.pairs(ours, theirs, 'float32') == [('scanned', name) for name in theirs[:2]]
    assert comparison.pairs(ours, theirs, 'bfloat16') == [('scanned, bfloat16', theirs[2])]
    assert comparison.pairs(ours, theirs, 'tf32') == []


def test_networks_of_different_sizes_are_refused():
    arms = {name: measured([1.0], [1.0]) for name in ('a', 'b', 'limit')}
    arms['a'] = arms['a']._replace(facts={'parameters': 7})
    comparison.check_sizes(arms)
    arms['b'] = arms['b']._replace(facts={'parameters': 8})
    with pytest.raises(ValueError, match="'a': 7, 'b': 8"):
        comparison.check_sizes(arms)
