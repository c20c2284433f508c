"""One's own data through a whole run: tables, signals and pictures, trained, evaluated, sampled."""

import jax
import numpy as np
import pytest
from PIL import Image
from support import recipe_and_config

import experiment
import train_lib
from applications import sample
from evaluation import evaluate

pytestmark = pytest.mark.usefixtures('quick_compilation')

ROOT = experiment.ROOT
N = 200


def saved(folder, x, **more):
    np.savez(folder / 'mine.npz', x=x, **more)
    return folder / 'mine.npz'


def table(folder, rng):
    """Real values far from 0 and 1, which networks would not like as they are."""
    return saved(folder, 1000 + 300 * rng.normal(size=(N, 5)))


def signals(folder, rng):
    return saved(folder, rng.integers(0, 9, (N, 30)), levels=9)


def pictures(folder, rng):
    for i in range(N):
        path = folder / 'mine' / 'ab'[i % 2] / f'{i}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (25, 31, 3), np.uint8)).save(path)
    return folder / 'mine'


CASES = {
    'a table': ('vae.py', 'arrays', table, {}, (5,)),
    'signals': ('conv_vae.py', 'arrays', signals, {}, (30,)),
    'pictures': ('conv_vae.py', 'folder', pictures, {'data.image_shape': (13, 9, 3)}, (13, 9, 3)),
    'dequantised': ('vae.py', 'arrays', signals, {'data.dequantize': 'uniform'}, (30,)),
    'bits': ('conv_vae.py', 'arrays', signals, {'data.binarize': 'stochastic'}, (30,)),
}


@pytest.fixture(params=CASES)
def run(request, tmp_path):
    """(A trained run on such data, its event shape)."""
    path, name, make, changes, shape = CASES[request.param]
    files = make(tmp_path, np.random.default_rng(0))
    which, config = recipe_and_config(
        f'{name},debug', f'{ROOT}/configs/{path}', data__path=str(files)
    )
    with config.unlocked():
        config.update_from_flattened_dict(changes)
    run = experiment.assemble(tmp_path / 'run', which, config)
    train_lib.train(run, jax.devices()[:2])
    return run, shape


def test_a_run_on_ones_own_data(run):
    run, shape = run
    assert run.data.spec.event_shape == shape
    result = evaluate.evaluate(run)
    values = {name: value['mean'] for name, value in result['values'].items()}
    assert all(value is not None for value in values.values())
    assert ('bits_per_dim' in values) == run.data.spec.is_discrete
    assert result['data']['examples'] == N // 10
    x = sample.apply(run, num_samples=20)
    assert x.shape == (20, *shape)
    if run.data.spec.levels:
        assert set(np.unique(x)) <= set(range(run.data.spec.levels))
    else:  # in the data's own units
        train = run.data.splits['train']['x']
        assert abs(x.mean() - train.mean()) < 3 * train.std()
    pictured = len(shape) == 3
    assert (run.folder / 'samples' / 'seed-0.png').exists() == pictured
