"""Each example of a split is used once, with its own noise, for any batch size and devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import make_run

from atelier.core.randomness import rng_for
from atelier.run import over_examples as module
from atelier.run import restore
from atelier.run.over_examples import over_examples


def identify(weights, batch, rng):
    """Returns the example itself, its row index, and its random draw."""
    return {'x': batch['x'], 'row': rng.rows, 'noise': jax.vmap(jax.random.normal)(rng.keys)}


@pytest.mark.parametrize(
    ('batch_size', 'num_devices'),
    [pytest.param(1, 1, marks=pytest.mark.slow), (100, 1), (447, 2), (64, 8)],
)
def test_every_test_example_counts_once(vae, batch_size, num_devices):
    """447 examples do not fill batches of 100 or 64; each row keeps its noise."""
    split, n = vae.data.splits['test'], vae.data.size('test')
    devices = jax.devices()[:num_devices]
    state = restore.initial_state(vae)
    if batch_size == 1:
        n = 13  # batches of one are slow
        split = {name: array[:n] for name, array in split.items()}
    apply = over_examples(identify, vae.data, batch_size, devices)
    outputs = apply(state, state.key, split, n)
    np.testing.assert_array_equal(outputs['row'], np.arange(n))
    np.testing.assert_array_equal(outputs['x'], split['x'])
    keys = rng_for(state.key, jnp.arange(n), n).keys
    np.testing.assert_allclose(outputs['noise'], jax.vmap(jax.random.normal)(keys), rtol=1e-6)


def test_some_rows_are_what_they_are_among_all(tmp_path):
    """Their draws and their binarisation too, for batches smaller than the index."""
    run = make_run(tmp_path / 'run', data__binarize='stochastic', model__observation='bernoulli')
    split, state = run.data.splits['test'], restore.initial_state(run)
    index = np.array([300, 5, 446, 5, 17])
    for batch_size in (2, 100):
        apply = over_examples(identify, run.data, batch_size, jax.devices()[:2])
        few = apply(state, state.key, split, 447, index)
        if batch_size == 100:
            every = apply(state, state.key, split, 447)
        np.testing.assert_array_equal(few['row'], index)
    for name, array in few.items():
        np.testing.assert_array_equal(array, every[name][index])


def test_the_fixed_draw_of_an_evaluation_is_the_same_for_every_seed(tmp_path):
    """Results of two seeds are then comparable on the same binarised test set."""
    run = make_run(tmp_path / 'run', data__binarize='stochastic', model__observation='bernoulli')
    split = run.data.splits['test']
    apply = over_examples(identify, run.data, 100, jax.devices()[:1])
    state = restore.initial_state(run)
    sets = [apply(state, jax.random.PRNGKey(seed), split, 447) for seed in (0, 1)]
    np.testing.assert_array_equal(sets[0]['x'], sets[1]['x'])
    assert not np.array_equal(sets[0]['noise'], sets[1]['noise'])


def test_batches_of_large_examples_are_smaller(vae, monkeypatch):
    """With room for 20 digits on a device, 40 are computed at a time on two, with equal results."""
    split, state = vae.data.splits['test'], restore.initial_state(vae)
    sizes = []
    identify_and_count = lambda *arguments: (
        sizes.append(len(arguments[2].rows)) or identify(*arguments)
    )
    monkeypatch.setattr(module, 'MAX_VALUES', 20 * 64)
    apply = over_examples(identify_and_count, vae.data, 500, jax.devices()[:2])
    outputs = apply(state, state.key, split, 90)
    assert set(sizes) == {20}
    np.testing.assert_array_equal(outputs['row'], np.arange(90))
    np.testing.assert_array_equal(outputs['x'], split['x'][:90])
