"""The intermediate steps of sampling, as arrays and as a figure."""

import numpy as np
import pytest
from support import assembled

from atelier.applications import perform, sample, trajectory

pytestmark = pytest.mark.usefixtures('quick_compilation', 'scattered_weights')


@pytest.mark.parametrize('data', ['moons', pytest.param('digits', marks=pytest.mark.slow)])
def test_the_last_step_is_the_sample_of_the_same_seed(tmp_path, data):
    run = assembled(tmp_path, 'diffusion', f'{data},debug', model__network='mlp')
    arrays = trajectory.apply(run, num_samples=3, num_points=3, seed=2)
    np.testing.assert_array_equal(arrays['step'], [1, 3, 4])  # the debug config has four steps
    assert arrays['x_t'].shape == arrays['x'].shape == (3, 3, *run.data.spec.event_shape)
    samples = sample.apply(run, num_samples=3, seed=2)
    last = arrays['x'][:, -1] if run.data.spec.levels is None else arrays['x'][:, -1].round()
    np.testing.assert_allclose(last, samples, atol=1e-4)
    assert (run.folder / 'applications' / 'trajectory-seed-2-num_points-3.png').exists()


def test_a_family_without_steps_is_refused(gan, complaint):
    assert 'has no sampling trajectory' in complaint(perform, trajectory.APPLICATION, gan)
