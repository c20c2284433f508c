"""nanoGPT's estimate: equal to a direct computation, the same windows for all seeds, its error."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support import assembled

from atelier.core.abilities import LogProb
from atelier.errors import UserError
from atelier.evaluation import evaluate
from atelier.evaluation.per_example import random_windows
from atelier.evaluation.per_example.random_windows import METRIC, random_window_nats, text_of
from atelier.run import restore

TEXT = ''.join(
    np.random.default_rng(0).choice(list('abc d\n'), 4000, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.1])
)
LENGTH = 16


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp('text')
    (folder / 'mine.txt').write_text(TEXT)
    data = dict(data__path=str(folder / 'mine.txt'), data__split_by='order')
    return assembled(folder / 'run', 'char_lm', 'text,debug', eval__random_windows=70, **data)


def estimate(run, state, devices=1):
    return random_window_nats(run, state, 'test', jax.devices()[:devices])[METRIC]


def by_value_of(run):
    return jax.jit(run.family.ability(LogProb).by_value)


def test_the_text_of_a_split_is_that_of_the_file(run):
    symbols = np.array(list(run.data.spec.symbols))
    test = text_of(run.data.splits['test'])
    assert ''.join(symbols[test]) == TEXT[int(0.9 * len(TEXT)) :]


@pytest.mark.slow
def test_it_is_the_mean_loss_of_each_position_given_those_before_it(run, monkeypatch):
    """The windows are those of the keyed draw; each position is computed from its own prefix."""
    state = restore.initial_state(run)
    drawn = []
    randint = jax.random.randint
    monkeypatch.setattr(
        jax.random, 'randint', lambda *args: drawn.append(randint(*args)) or drawn[-1]
    )
    values = estimate(run, state)
    (starts,) = drawn
    test, by_value = text_of(run.data.splits['test']), by_value_of(run)
    assert values.shape == starts.shape == (70,)
    assert starts.min() >= 0 and starts.max() <= len(test) - LENGTH
    for value, start in zip(values[:3], np.asarray(starts), strict=False):
        window = test[start : start + LENGTH]
        total = 0.0
        for i in range(1, LENGTH):  # later characters cannot matter: they are replaced by zeros
            x = np.where(np.arange(LENGTH) <= i, window, 0)[None]
            nats = by_value(state.averaged_weights, {'x': jnp.asarray(x, jnp.float32)}, None)
            total -= float(nats[0, i])
        assert value == pytest.approx(total / (LENGTH - 1), rel=1e-4)


@pytest.mark.slow
def test_the_windows_are_those_of_all_seeds_devices_and_batch_sizes(run):
    state = restore.initial_state(run)
    usual = estimate(run, state)
    config = run.config.copy_and_resolve_references()
    config.seed, config.eval.batch_size = 7, 33
    other = run._replace(config=config)
    np.testing.assert_allclose(estimate(other, state, 2), usual, rtol=1e-5)
    config.eval.random_windows = 20
    assert len(estimate(other, state)) == 20


def test_they_cover_the_text(run):
    """The mean over many windows is that over all of them, within its standard error."""
    config = run.config.copy_and_resolve_references()
    config.eval.random_windows = 2000
    many = run._replace(config=config)
    state = restore.initial_state(run)
    mean = evaluate.summary(estimate(many, state))
    test, by_value = text_of(run.data.splits['test']), by_value_of(run)
    windows = np.lib.stride_tricks.sliding_window_view(test, LENGTH)
    every = -np.asarray(
        by_value(state.averaged_weights, {'x': jnp.asarray(windows, jnp.float32)}, None)
    )[:, 1:]
    assert abs(mean['mean'] - every.mean()) < 4 * mean['standard_error']
    assert mean['standard_error'] < 4 * every.mean(1).std() / math.sqrt(2000)


def test_it_is_reported_only_if_it_is_wanted(run, monkeypatch):
    config = run.config.copy_and_resolve_references()
    state = restore.initial_state(run)
    config.eval.random_windows = 0
    assert random_window_nats(run._replace(config=config), state, 'test', jax.devices()) == {}
    config.eval.random_windows = -1
    with pytest.raises(UserError, match='eval.random_windows'):
        evaluate.check_evaluation(config)
    assert random_windows.METRIC.endswith('nats_per_character')
