"""The arm of codes has the U-Net of the pixels, on draws from posteriors."""

import jax
import numpy as np
import pytest
from support import first_batch

from benchmarks import latent_arms
from benchmarks.diffusion_runs import SIZES, run_of


def test_codes_are_drawn_and_the_network_keeps_its_sizes():
    pixels = run_of(SIZES['digits'], np.zeros((20, 8, 8, 1), np.uint8), 'float32')
    run = latent_arms.on_codes(pixels, SIZES['mnist'].map_shape)
    assert run.data.spec.event_shape == (7, 7, 4) and run.data.size('train') == 20
    assert run.config == pixels.config
    batch = first_batch(run, 20)
    noise = (batch['x'] - run.data.splits['train']['x']) / 0.3
    assert abs(float(noise.std()) - 1) < 0.1
    counts = [
        sum(x.size for x in jax.tree.leaves(jax.eval_shape(r.family.init, KEY, first_batch(r, 2))))
        for r in (pixels, run)
    ]
    # the same blocks: only the first and the last convolution have four channels in place of one
    assert 0 < counts[1] - counts[0] < 0.02 * counts[0]


@pytest.mark.parametrize('size', SIZES)
def test_a_map_of_codes_is_smaller_than_its_images(size):
    height, width, channels = SIZES[size].map_shape
    assert (height, width) == (SIZES[size].side // 4,) * 2
    assert 0 < height * width * channels < SIZES[size].side ** 2


KEY = jax.random.PRNGKey(0)
