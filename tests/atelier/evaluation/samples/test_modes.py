"""Mode coverage of samples from known mixtures."""

import numpy as np
import pytest

from atelier.data.toy import DRAWS, MIXTURES, MODES
from atelier.evaluation.samples.modes import count_modes


@pytest.mark.parametrize('name, kl', [('ring', 0.0014), ('grid', 0.0048), ('checkerboard', 0.0014)])
def test_exact_samples_reach_the_ceiling(name, kl):
    """Of 2,500 samples 98.89 %, or all, are within three standard deviations; KL is only noise."""
    modes, repeats = MODES[name], 20
    counts = [
        count_modes(DRAWS[name](np.random.RandomState(seed), 2500)['x'], modes)
        for seed in range(repeats)
    ]
    num_modes, with_ten, quality, divergence = np.mean(counts, 0)
    assert num_modes == with_ten == len(modes.centres)
    ceiling = 1 - np.exp(-4.5) if name in MIXTURES else 1.0
    assert quality == pytest.approx(ceiling, abs=4 * 0.0021 / np.sqrt(repeats))
    assert divergence == pytest.approx(kl, rel=0.3)


def test_a_collapsed_generator_has_one_mode():
    mixture = MIXTURES['grid']
    x = mixture.means[[3]] + 0.05 * np.random.RandomState(0).normal(size=(500, 2))
    modes, with_ten, quality, divergence = count_modes(x, mixture.modes)
    assert (modes, with_ten) == (1, 1)
    assert quality > 0.97
    assert divergence == pytest.approx(np.log(25))


def test_a_mode_with_one_sample_has_fewer_than_ten():
    mixture = MIXTURES['ring']
    x = np.concatenate([np.repeat(mixture.means[:1], 99, 0), mixture.means[1:2]])
    modes, with_ten, quality, divergence = count_modes(x, mixture.modes)
    assert (modes, with_ten, quality) == (2, 1, 1)
    assert divergence == pytest.approx(np.log(8) + 0.99 * np.log(0.99) + 0.01 * np.log(0.01))


def test_samples_between_the_modes_have_zero_quality():
    mixture = MIXTURES['ring']
    modes, _, quality, divergence = count_modes(np.zeros((10, 2)), mixture.modes)
    assert (modes, quality, divergence) == (0, 0, np.inf)


def test_checkerboard_samples_count_only_inside_their_squares():
    corners = np.array([[3.99, 3.99], [2.01, 2.01], [0.01, 1.99], [2.5, 1.5], [4.01, 3.0]])
    assert count_modes(corners, MODES['checkerboard'])[::2] == (2, 0.6)
    everywhere = np.random.RandomState(0).uniform(-4, 4, (4000, 2))
    assert count_modes(everywhere, MODES['checkerboard']).high_quality == pytest.approx(
        0.5, abs=0.04
    )


def test_no_samples_are_refused_in_one_line(complaint):
    assert 'no samples' in complaint(count_modes, np.zeros((0, 2)), MODES['ring'])
