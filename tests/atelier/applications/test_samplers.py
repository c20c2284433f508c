"""A trained model by several samplers: each as if it had been asked for alone."""

import csv

import numpy as np
import pytest
from support import assembled

from atelier.applications import sample, samplers
from atelier.run import restore

pytestmark = pytest.mark.usefixtures('quick_compilation', 'scattered_weights')


@pytest.mark.slow
def test_each_is_what_the_config_asks_for(tmp_path):
    run = assembled(tmp_path, 'diffusion', 'grid,debug')
    found = samplers.apply(run, samplers='ddim:3,heun:2', num_samples=4, seed=1)
    for row, (name, steps) in enumerate((('ddim', 3), ('heun', 2))):
        changes = dict(eval__sampler__name=name, eval__sampler__steps=steps)
        alone = assembled(tmp_path, 'diffusion', 'grid,debug', **changes)
        drawn = sample.apply(alone, num_samples=4, seed=1)
        np.testing.assert_allclose(found['x'][row], drawn, rtol=1e-4, atol=1e-4)
    folder = run.folder / 'applications'
    rows = list(csv.DictReader((folder / 'samplers-seed-1.csv').open()))
    told = [(row['name'], row['steps'], row['evaluations']) for row in rows]
    assert told == [('ddim', '3', '3'), ('heun', '2', '3')]
    kl = [float(row['reverse_kl_nats']) for row in rows]
    np.testing.assert_allclose(kl, found['reverse_kl_nats'])
    assert (folder / 'samplers-seed-1-curve.png').exists()


def test_what_is_not_finite_is_told(tmp_path, monkeypatch):
    """One evaluation of a model that knows nothing gives the mean, in no mode of the ring."""
    run = assembled(tmp_path, 'diffusion', 'ring,debug')
    monkeypatch.setattr(
        restore, 'load', lambda run: restore.TrainedRun(run, restore.initial_state(run), 'zeros')
    )
    found = samplers.apply(run, samplers='ddim:1', num_samples=4)
    assert np.isnan(found['reverse_kl_nats']).all() and found['high_quality'].dtype == np.float64


@pytest.mark.parametrize(
    ('asked', 'words'), [('ddim', 'NAME:STEPS'), ('ddim:x', 'NAME:STEPS'), ('dim:3', "'ddim'")]
)
def test_what_is_no_sampler_is_refused(tmp_path, complaint, asked, words):
    run = assembled(tmp_path, 'diffusion', 'grid,debug')
    assert words in complaint(samplers.apply, run, samplers=asked)
