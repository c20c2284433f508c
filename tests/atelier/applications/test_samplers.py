"""Several samplers of one model: each gives the result of a run with that sampler."""

import csv

import numpy as np
import pytest
from support import assembled

from atelier.applications import sample, samplers
from atelier.run import restore

pytestmark = pytest.mark.usefixtures('scattered_weights')


@pytest.mark.slow
def test_each_sampler_equals_a_run_with_that_sampler(tmp_path):
    run = assembled(tmp_path, 'diffusion', 'grid,debug')
    arrays = samplers.apply(run, samplers='ddim:3,heun:2', num_samples=4, seed=1)
    for row, (name, steps) in enumerate((('ddim', 3), ('heun', 2))):
        fields = dict(eval__sampler__name=name, eval__sampler__steps=steps)
        single = assembled(tmp_path, 'diffusion', 'grid,debug', **fields)
        samples = sample.apply(single, num_samples=4, seed=1)
        np.testing.assert_allclose(arrays['x'][row], samples, rtol=1e-4, atol=1e-4)
    folder = run.folder / 'applications'
    (table,) = folder.glob('samplers-seed-1-*.csv')  # its name has the samplers
    rows = list(csv.DictReader(table.open()))
    columns = [(row['name'], row['steps'], row['evaluations']) for row in rows]
    assert columns == [('ddim', '3', '3'), ('heun', '2', '3')]
    kl = [float(row['reverse_kl_nats']) for row in rows]
    np.testing.assert_allclose(kl, arrays['reverse_kl_nats'])
    assert table.with_name(f'{table.stem}-curve.png').exists()


@pytest.mark.slow
def test_a_non_finite_measure_is_nan(tmp_path, monkeypatch):
    """With one step an untrained model returns the mean, which lies in no mode of the ring."""
    run = assembled(tmp_path, 'diffusion', 'ring,debug')
    monkeypatch.setattr(
        restore, 'load', lambda run: restore.TrainedRun(run, restore.initial_state(run), 'zeros')
    )
    arrays = samplers.apply(run, samplers='ddim:1', num_samples=4)
    assert np.isnan(arrays['reverse_kl_nats']).all() and arrays['high_quality'].dtype == np.float64


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        ('ddim', 'NAME:STEPS'),
        ('ddim:x', 'NAME:STEPS'),
        ('dim:3', "'ddim'"),
        ('ddim:9999999', 'steps=9999999: the largest size is 1,000,000'),
    ],
)
def test_bad_samplers_are_refused(tmp_path, complaint, names, message):
    run = assembled(tmp_path, 'diffusion', 'grid,debug')
    assert message in complaint(samplers.apply, run, samplers=names)
