"""The intermediate steps of sampling, as arrays and as a figure."""

import numpy as np
import pytest
from support import assembled

from atelier.applications import perform, sample, trajectory
from atelier.report.views.image_view import IMAGES
from atelier.run.restore import TrainedRun

pytestmark = pytest.mark.usefixtures('scattered_weights')


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


def test_images_have_the_names_of_the_animation_and_their_axis_has_one(gan, monkeypatch):
    calls = []

    def rows(*parts, **named):
        calls.append((parts, named))
        return np.zeros((1, 1, 3), np.uint8)

    images = IMAGES._replace(rows=rows)
    x = np.zeros((2, 3, *gan.data.spec.event_shape))
    monkeypatch.setattr(trajectory._pictures, 'among', lambda trained: None)
    trained = TrainedRun(gan, None, '')
    trajectory._picture(trained, images, {'step': np.array([1, 3, 4]), 'x_t': x, 'x': x})
    ((_, _, title, rows, columns), named) = calls[0]
    assert trajectory.X_T in title and trajectory.ESTIMATE in title
    assert rows == [trajectory.X_T, 'estimate of x'] * 2 and columns == ['1', '3', '4']
    assert named == {'across': 'step of sampling'}
