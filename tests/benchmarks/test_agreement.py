"""When two arms train the same, and when their times have no ratio."""

import numpy as np

from benchmarks.agreement import disagreement, inequality


def curve(seed, factor=1.0, calls=4, steps=200):
    """Losses of minibatches that fall from 150 to 100, in calls of `steps`."""
    rng = np.random.default_rng(seed)
    mean = 100 + 50 * np.exp(-np.arange(calls * steps) / 100)
    return np.split(factor * mean + rng.normal(size=calls * steps), calls)


def test_curves_of_two_seeds_agree():
    assert disagreement(curve(0), curve(1), 0.0) == ''


def test_curves_that_differ_by_more_than_the_tolerance_disagree():
    assert disagreement(curve(0), curve(1, 1.03), 0.04) == ''
    assert 'differ by more than' in disagreement(curve(0), curve(1, 1.03), 0.01)


def test_a_program_that_does_not_train_disagrees_with_one_that_does():
    untrained = [np.full(200, 150.0) for _ in range(4)]
    assert 'mean losses' in disagreement(untrained, curve(0), 0.1)


def test_only_steps_that_both_made_are_compared():
    assert disagreement(curve(0)[:2], curve(1), 0.0) == ''


def test_losses_that_are_not_finite_or_missing_have_no_ratio():
    broken = curve(0)
    broken[1][3] = np.nan
    broken[2][:2] = np.inf
    assert disagreement(broken, curve(1), 1.0) == '3 of 800 losses are not finite'
    assert disagreement(curve(1), broken, 1.0) == '3 of 800 losses are not finite'
    assert disagreement([], curve(0), 1.0) == 'no losses'


def test_members_are_compared_one_by_one():
    losses = [np.random.default_rng(0).uniform(1, 2, (3, 5)) for _ in range(2)]
    others = [1.0005 * each for each in losses]
    assert inequality(losses, others, 1e-3) == ''
    others[1][2] *= 1.01
    assert inequality(losses, others, 1e-3) == 'member 2 differs by 1.0e-02 in call 1'
    others[0][0, 0] = np.nan
    assert 'not finite' in inequality(losses, others, 1e-3)
