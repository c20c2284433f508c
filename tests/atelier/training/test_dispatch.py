"""The dispatch: independent of the device count, one compilation, donation.

Tests the guarantees of sections 4, 5 and 7 of the design on 8 simulated devices.
"""

import contextlib
import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier import checkout
from atelier.core import devices as device_lib
from atelier.core import game, train_step
from atelier.core.family import Family
from atelier.core.randomness import identity
from atelier.core.types import Weights
from atelier.data.augmentation_settings import NO_AUGMENTATION, augmentation_of
from atelier.evaluation.evaluate import per_example
from atelier.report.metrics_log import MetricsLog
from atelier.run import experiment, restore
from atelier.run.checkpoint import Memory
from atelier.run.over_examples import over_examples
from atelier.training import dispatch as program
from atelier.training import validation
from atelier.training.dispatch import dispatch_length, suggest_cadences

STEPS = 50


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    config_file = checkout.config_file(f'{checkout.ROOT}/configs/vae.py:digits,debug')
    config = config_file.config()
    config.train.batch_size = 48
    return experiment.assemble(tmp_path_factory.mktemp('run'), config_file, config)


@pytest.fixture(scope='module')
def backend_compiles():
    """A list of the programs compiled since it was last cleared, by name."""
    names = []

    def listen(event, duration, **details):
        if event.endswith('backend_compile_duration'):
            names.append(details.get('fun_name', ''))

    jax.monitoring.register_event_duration_secs_listener(listen)
    return names


@pytest.fixture
def optimized(request):
    jax.config.update('jax_disable_most_optimizations', not request.param)
    yield
    jax.config.update('jax_disable_most_optimizations', True)


def placed(run, num_devices, state=None):
    devices = jax.devices()[:num_devices]
    state = restore.initial_state(run) if state is None else state
    host = jax.tree.map(np.asarray, state)
    data = device_lib.place(run.data.splits['train'], devices)
    return devices, device_lib.place(host, devices), data, device_lib.local_indices(devices)


@pytest.fixture(scope='module')
def by_device_count(run):
    """A function from the device count to (State, reports) after 50 steps."""

    @functools.cache
    def after(count):
        devices, state, data, indices = placed(run, count)
        return jax.device_get(program.compile_dispatch(run, STEPS, devices)(state, data, indices))

    return after


@pytest.mark.parametrize('count', [*(pytest.param(n, marks=pytest.mark.slow) for n in (2, 4)), 8])
def test_losses_do_not_depend_on_the_device_count(run, by_device_count, count):
    (state, report), (one, expected) = by_device_count(count), by_device_count(1)
    assert report['loss'].shape == (STEPS,)
    for name in ('loss', 'elbo_nats', 'kl_nats', 'gradient_norm'):
        np.testing.assert_allclose(report[name], expected[name], rtol=1e-5, err_msg=name)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        state.params,
        one.params,
    )


@pytest.mark.slow
def test_a_loop_of_several_steps_computes_the_same(run, by_device_count):
    config = run.config.copy_and_resolve_references()
    config.train.unroll = 3  # does not divide the number of steps
    devices, state, data, indices = placed(run, 1)
    dispatch = program.compile_dispatch(run._replace(config=config), STEPS, devices)
    state, report = dispatch(state, data, indices)
    one, expected = by_device_count(1)
    np.testing.assert_allclose(report['loss'], expected['loss'], rtol=1e-5)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5)
    jax.tree.map(close, jax.device_get(state.params), one.params)


def test_training_changes_the_parameters_and_losses(run, by_device_count):
    state, report = by_device_count(8)
    start = restore.initial_state(run)
    moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), state.params, start.params)
    assert min(jax.tree.leaves(moved)) > 1e-4
    assert len(np.unique(report['loss'])) == STEPS


def test_the_devices_held_different_rows(run):
    """Together the devices hold the whole minibatch; each has its own part."""
    devices, state, data, indices = placed(run, 8)
    size = run.config.train.batch_size

    def rows_of(state, arrays, device):
        rows = device * (size // 8) + jnp.arange(size // 8)
        numbered = {'x': jnp.arange(run.data.size('train'), dtype=jnp.int32)}
        only = run.data._replace(preprocess=lambda raw, keys: {**raw, 'keys': keys})
        raw = program.gathered(state, numbered, rows, run.family.turns, size)
        (batch,) = program.preprocessed(state, raw, only, rows, run.family.turns, size)
        return batch

    batch_by_device = device_lib.over_devices(
        rows_of, (None, None, 0), out_axes=0, devices=devices
    )(state, data, indices)
    assert batch_by_device['x'].shape == (8, size // 8)
    assert len(np.unique(batch_by_device['x'])) == size
    assert len(np.unique(np.asarray(batch_by_device['keys']).reshape(-1, 2), axis=0)) == size


AUGMENT = {**NO_AUGMENTATION, 'shift': 0.2, 'rotate': 30.0, 'contrast': 0.5, 'flip': True}


def with_augmentation(run, probability=1.0):
    data, fields = run.data, {**AUGMENT, 'probability': 1.0}
    augment = augmentation_of(fields, data.spec, 17, data.splits['train']['x'], data.name)
    return run._replace(data=data._replace(augment=augment._replace(probability=probability)))


def minibatch(run, num_devices):
    """The minibatch of step 3 as the turns get it, from `num_devices` devices."""
    devices, state, data, indices = placed(run, num_devices)
    size = run.config.train.batch_size

    def rows_of(state, arrays, device):
        rows = device * (size // num_devices) + jnp.arange(size // num_devices)
        state = state.replace(step=state.step + 3)
        raw = program.gathered(state, arrays, rows, run.family.turns, size)
        return program.preprocessed(state, raw, run.data, rows, run.family.turns, size)[0]['x']

    each = device_lib.over_devices(rows_of, (None, None, 0), out_axes=0, devices=devices)
    return np.concatenate(each(state, data, indices))


def test_augmentation_does_not_depend_on_the_device_count(run):
    augmented = with_augmentation(run)
    one = minibatch(augmented, 1)
    np.testing.assert_array_equal(minibatch(augmented, 8), one)
    assert np.mean(one != minibatch(run, 1)) > 0.2


def test_augmentation_depends_on_seed_step_and_row_alone(run):
    """Not on the size of the batch, nor on the other rows on a device."""
    run, state, turns = with_augmentation(run), restore.initial_state(run), run.family.turns
    x = jnp.asarray(run.data.splits['train']['x'][:8])

    @functools.partial(jax.jit, static_argnums=3)
    def augmented(state, x, rows, size):
        return program.preprocessed(state, {'x': x[None]}, run.data, rows, turns, size)[0]['x']

    whole = augmented(state, x, jnp.arange(8), 8)
    np.testing.assert_array_equal(augmented(state, x[2:5], jnp.arange(2, 5), 48), whole[2:5])
    for other in (state.replace(step=state.step + 1), state.replace(key=state.key + 1)):
        assert np.mean(augmented(other, x, jnp.arange(8), 8) != whole) > 0.2


def test_an_augmentation_that_is_never_applied_changes_no_bit(run, by_device_count):
    never = with_augmentation(run, probability=0.0)
    devices, state, data, indices = placed(never, 1)
    after = program.compile_dispatch(never, STEPS, devices)(state, data, indices)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(after), by_device_count(1))


def test_only_training_is_augmented(run, tmp_path):
    """Not initialization, validation, evaluation, reconstructions and samples."""

    def forbidden(x, keys):
        raise AssertionError('augmented')

    run = run._replace(folder=tmp_path, data=run.data._replace(augment=forbidden))
    devices, state, data, indices = placed(run, 1)
    with pytest.raises(AssertionError, match='augmented'):
        program.compile_dispatch(run, 1, devices)(state, data, indices)
    evaluated = per_example(run, state, devices)
    assert len(evaluated['nll_nats']) == run.data.size('test')
    compiled = validation.CompiledValidation(run, devices)
    watch = validation.Watch(run, compiled, '')
    with contextlib.closing(MetricsLog(tmp_path, 0, 48)) as metrics_log:
        watch(state, Memory(), metrics_log)
    split = {name: array[:4] for name, array in run.data.splits['valid'].items()}
    originals, _ = compiled.pictures.reconstruct(state, state.key, split, 4)
    np.testing.assert_array_equal(originals, split['x'])


@pytest.mark.parametrize('num_devices', [1, 8])
def test_arguments_with_as_many_arrays_as_arguments_are_not_mixed_up(run, num_devices):
    """Five arguments hold five arrays in total, though one argument has none.

    Weights have two arrays, a collection has one; then a key, no inputs, and rows.
    """
    weights = {'bias': jnp.ones(3), 'kernel': jnp.ones((1, 3))}
    state = restore.initial_state(run).replace(ema=weights, extra={'places': jnp.arange(4)})

    def shapes(weights, batch, rng):
        argument_shapes = (
            weights.params['kernel'].shape,
            weights.extra['places'].shape,
            rng.keys.shape[1:],
            batch,
        )
        assert argument_shapes == ((1, 3), (4,), (2,), {})
        return rng.rows

    apply = over_examples(shapes, run.data, 16, jax.devices()[:num_devices])
    np.testing.assert_array_equal(apply(state, jax.random.PRNGKey(0), {}, 20), np.arange(20))


def test_three_dispatches_compile_once_and_a_restart_once(run, backend_compiles):
    devices, state, data, indices = placed(run, 4)
    dispatch = program.compile_dispatch(run, 5, devices)
    backend_compiles.clear()
    for _ in range(3):
        state, _ = dispatch(state, data, indices)
    assert len(backend_compiles) == 1, backend_compiles
    restored = jax.tree.map(np.asarray, state)  # NumPy arrays, as from a checkpoint
    recompiled = program.compile_dispatch(run, 5, devices)
    _, state, data, indices = placed(run, 4, restored)
    backend_compiles.clear()
    for _ in range(3):
        state, _ = recompiled(state, data, indices)
    assert len(backend_compiles) == 1, backend_compiles
    assert int(state.step) == 30


@pytest.mark.slow
def test_the_state_is_donated(run):
    devices, state, data, indices = placed(run, 2)
    dispatch = program.compile_dispatch(run, 5, devices)
    after, _ = dispatch(state, data, indices)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((after, data)))


def test_changing_a_hyper_does_not_compile_again(run, backend_compiles):
    devices, state, data, indices = placed(run, 1)
    dispatch = program.compile_dispatch(run, 5, devices)
    _, report = dispatch(state, data, indices)
    _, state, _, _ = placed(run, 1)
    other = state.replace(hypers={**state.hypers, 'beta': device_lib.place(np.float32(9), devices)})
    backend_compiles.clear()
    _, changed = dispatch(other, data, indices)
    assert not backend_compiles
    assert not np.allclose(report['loss'], changed['loss'])


@pytest.mark.slow
def test_coupling_terms_see_the_whole_batch():
    """A loss that uses batch means through `gather` has the same gradients on 1 and 8 devices."""

    def loss(weights, batch, rng, step, hypers):
        hidden = jnp.tanh(weights.params['model'] * batch['x'])
        centred = hidden - jnp.mean(rng.gather(hidden))
        spread = jnp.mean(rng.gather(hidden) ** 2)
        noise = jax.random.normal(rng.shared_key)
        return {'model': jnp.mean(centred**4) + jnp.sin(spread) + noise}, (weights.extra, {})

    turns = (game.Turn(('model',), loss),)
    start = Weights({'model': jnp.float32(0.7)}, {})
    family = Family(lambda key, batch: start, turns, lambda weights, batch, rng: {})
    hypers = {'ema_half_life': jnp.float32(0)}

    sgd = lambda player, hypers, step: optax.sgd(1.0)
    x = jax.random.normal(jax.random.PRNGKey(0), (16,))
    state = train_step.init_state(family, sgd, jax.random.PRNGKey(0), {}, hypers)

    def one(state, x, rows, mean, gather):
        return train_step.make_step(turns, sgd, 16, mean, gather)(state, [{'x': x}], rows)

    alone, report = one(state, x, jnp.arange(16), identity, identity)
    shared = device_lib.over_devices(
        lambda s, x, rows: one(s, x, rows, device_lib.mean, device_lib.gather), (None, 0, 0)
    )
    split, same = shared(state, x.reshape(8, 2), jnp.arange(16).reshape(8, 2))
    np.testing.assert_allclose(split.params['model'], alone.params['model'], rtol=1e-5)
    np.testing.assert_allclose(same['loss'], report['loss'], rtol=1e-5)
    assert abs(float(alone.params['model']) - 0.7) > 1e-3


@pytest.mark.parametrize(
    'optimized', [False, pytest.param(True, marks=pytest.mark.slow)], indirect=True
)
def test_memory_does_not_grow_with_the_steps_of_a_dispatch(run, optimized):
    """Only the reports grow: a few values per step."""
    devices, *arguments = placed(run, 1)
    plans = [
        program.compile_dispatch(run, length, devices).lower(*arguments).compile()
        for length in (5, STEPS)
    ]
    few, many = (plan.memory_analysis() for plan in plans)
    assert few.argument_size_in_bytes == many.argument_size_in_bytes
    assert many.temp_size_in_bytes <= 1.01 * few.temp_size_in_bytes
    more = many.output_size_in_bytes - few.output_size_in_bytes
    assert 0 < more <= (STEPS - 5) * 4 * 20


# The length of a dispatch


def train_config(**fields):
    values = dict(steps=300, evaluate_every=100, checkpoint_every=100, steps_per_dispatch=50)

    class Config(types.SimpleNamespace):
        __getitem__ = types.SimpleNamespace.__getattribute__

    return Config(**{**values, **fields})


@settings(max_examples=100, deadline=None)
@given(
    steps=st.integers(1, 1000),
    evaluate_every=st.integers(1, 500),
    checkpoint_every=st.integers(1, 500),
    ceiling=st.integers(1, 200),
    start=st.integers(0, 1000),
)
def test_the_dispatch_length_is_the_largest_common_divisor_within_its_limit(
    steps, evaluate_every, checkpoint_every, ceiling, start
):
    config = train_config(
        steps=steps,
        evaluate_every=evaluate_every,
        checkpoint_every=checkpoint_every,
        steps_per_dispatch=ceiling,
    )
    length = dispatch_length(config, start)
    step_counts = (steps, evaluate_every, checkpoint_every, start)
    fits = lambda d: all(step_count % d == 0 for step_count in step_counts)
    assert length <= ceiling
    assert fits(length)
    assert not any(fits(d) for d in range(length + 1, ceiling + 1))


def test_huge_numbers_of_steps_take_no_time():
    huge = dict.fromkeys(('steps', 'evaluate_every', 'checkpoint_every'), 2**31 - 2)
    assert dispatch_length(train_config(**huge, steps_per_dispatch=2**31 - 1)) == 2**31 - 2
    assert dispatch_length(train_config(**huge, steps_per_dispatch=1000)) == 993  # 3 * 331


def test_short_dispatches_are_reported_with_better_settings():
    config = train_config(steps=301, evaluate_every=99)
    hint = suggest_cadences(config)
    assert 'only 1 step of at most 50' in hint
    assert 'set train.steps=300, train.evaluate_every=100 to reach that' in hint
    assert 'continues from step 7' in suggest_cadences(train_config(), start=7)
    assert suggest_cadences(train_config()) is None
    for name, value in [('steps', 300), ('evaluate_every', 100)]:
        setattr(config, name, value)
    assert dispatch_length(config) == 50
