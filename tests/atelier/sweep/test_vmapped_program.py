"""Members trained together equal single runs, in either form and on any device."""

import jax
import numpy as np
import pytest
from marks import exhaustive_but
from support import assembled, first_moments

from atelier.core import devices as device_lib
from atelier.run.restore import Start
from atelier.sweep.vmapped_program import compiled_for, layout_of, side_by_side
from atelier.training.dispatch import data_parallel

NUM_STEPS = 10
# every kind of State and step; those of the others repeat these
KINDS = (
    *('ada_gan', 'char_gru', 'chow_liu', 'classifier', 'diffusion', 'gan', 'mixture', 'ppca'),
    *('sequence_vae', 'vae_gan', 'vq_vae'),
)
KEPT = ('ada_gan', 'char_gru', 'diffusion', 'gan', 'mixture', 'ppca')


def members(run, count=3):
    """Returns copies of `run` with different seeds, learning rates and loss weights."""
    copies = []
    for i in range(count):
        config = run.config.copy_and_resolve_references()
        with config.unlocked():
            config.seed = i
            if 'learning_rate' in config.hypers:  # absent for models fitted in closed form
                config.hypers.learning_rate = run.config.hypers.learning_rate * (1 + i)
            for name in {'beta', 'penalty', 'feature_matching'} & {*config.hypers}:
                config.hypers[name] = run.config.hypers[name] * (0.5 + i)
            config.train.steps = config.train.evaluate_every = NUM_STEPS
            config.train.checkpoint_every = NUM_STEPS
        copies.append(run._replace(config=config))
    return copies


def trained_together(runs, num_devices, form, num_steps=NUM_STEPS):
    """Returns (State on the host, reports) of each member after one dispatch."""
    devices, start = jax.devices()[:num_devices], Start(runs[0])
    for run in runs:
        with run.config.unlocked():
            run.config.train.steps_per_dispatch = num_steps
    compiled = compiled_for(runs, 0, start.like, devices, form)
    assert compiled.num_steps == num_steps
    chosen = []
    with side_by_side(
        runs, 0, compiled, devices, lambda *arguments: chosen.append(arguments)
    ) as program:
        states = compiled.layout.place([start(run) for run in runs])
        states, reports = program.dispatch(states)
        each = [jax.device_get(program.member(states, i)) for i in range(len(runs))]
    assert len(chosen) == (form is None and compiled.layout.rows > 1)
    return each, reports


def alone(run):
    """Returns (State on the host, report) of one run after the same dispatch."""
    one = jax.devices()[:1]
    with data_parallel(run, 0, one) as program:
        state, (report,) = program.dispatch(device_lib.place(Start(run)(run), one))
    return jax.device_get(state), report


def check_losses(run, num_devices=2, form='vmap', singles=None):
    runs = members(run)
    states, reports = trained_together(runs, num_devices, form)
    singles = singles or [alone(run) for run in runs]
    for (_, expected), state, report in zip(singles, states, reports, strict=True):
        np.testing.assert_allclose(report['loss'], expected['loss'], rtol=1e-4)
        assert int(state.step) == NUM_STEPS
    assert len({float(report['loss'][-1]) for report in reports}) == len(runs)


def check_gradients(run, num_devices=1, form='vmap'):
    """Checks one step of a game: over several, its dynamics would amplify rounding errors."""
    runs = members(run, 2)
    states, reports = trained_together(runs, num_devices, form, num_steps=1)
    for run, state, report in zip(runs, states, reports, strict=True):
        single, expected = alone(run)
        for name in expected:
            if name.startswith('loss'):
                np.testing.assert_allclose(report[name], expected[name], rtol=1e-4, err_msg=name)
        for player in single.params:
            slopes = first_moments(state, player), first_moments(single, player)
            scale = max(np.abs(leaf).max() for leaf in jax.tree.leaves(slopes[1]))
            jax.tree.map(
                lambda a, b, s=scale: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * s),
                *slopes,
            )


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    """A VAE, and the results of three members trained alone."""
    run = assembled(tmp_path_factory.mktemp('small'), 'vae', train__batch_size=16)
    runs = members(run)
    for each in runs:
        each.config.train.steps_per_dispatch = NUM_STEPS
    return run, [alone(each) for each in runs]


@pytest.mark.slow
@pytest.mark.parametrize(('num_devices', 'form'), [(2, 'loop'), (1, None), (8, None), (1, 'vmap')])
def test_members_of_a_vae_equal_single_runs(small, num_devices, form):
    run, singles = small
    check_losses(run, num_devices, form, singles)


@pytest.mark.slow
def test_streamed_members_read_the_minibatches_of_single_runs(small):
    run, singles = small
    config = run.config.copy_and_resolve_references()
    config.data.placement = 'stream'
    check_losses(run._replace(config=config), singles=singles)


@pytest.mark.parametrize('name', exhaustive_but(KEPT, KINDS))
def test_members_of_every_kind_equal_single_runs(tmp_path, name):
    own_data = 'char_gru', 'sequence_vae'
    argument = 'debug' if name in own_data else 'digits,debug'
    run = assembled(tmp_path, name, argument, train__batch_size=16)
    is_game = len(Start(run).like.params) > 1
    (check_gradients if is_game else check_losses)(run)


@pytest.mark.parametrize(
    ('members', 'devices', 'rows', 'used'), [(1, 8, 1, 1), (5, 2, 3, 2), (9, 8, 2, 5), (8, 8, 1, 8)]
)
def test_members_are_divided_among_devices(members, devices, rows, used):
    layout = layout_of(members, jax.devices()[:devices])
    assert (layout.rows, len(layout.devices)) == (rows, used)
    placed = layout.place([{'a': np.full(3, i)} for i in range(members)])
    assert placed['a'].shape == (used, rows, 3)
    assert {shard.device for shard in placed['a'].addressable_shards} == {*layout.devices}
    host = jax.device_get(placed)
    assert [int(layout.member(host, i)['a'][0]) for i in range(members)] == [*range(members)]


def test_a_program_that_does_not_fit_is_not_started(vae, monkeypatch):
    """If memory is short, `max_members` is how many fit, at least one per device."""
    runs = members(vae, 8)
    like, devices = Start(vae).like, jax.devices()[:2]
    state_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(like))
    shapes = []

    def compile_nothing(run, num_steps, layout, form, states, arrays):
        shapes.append((form, states.step.shape, arrays['x'].shape))
        return

    monkeypatch.setattr('atelier.sweep.vmapped_program._compile', compile_nothing)
    monkeypatch.setattr('atelier.sweep.vmapped_program.program_bytes', lambda program: 1e9)
    monkeypatch.setattr(device_lib, 'memory_bytes', lambda device: 1e9)
    compiled = compiled_for(runs, 0, like, devices, 'vmap')
    assert shapes == [('vmap', (2, 4), vae.data.splits['train']['x'].shape)]
    assert not compiled.forms
    assert compiled.max_members == 6  # 3 of 4 members fit on each device
    monkeypatch.setattr('atelier.sweep.vmapped_program.program_bytes', lambda program: 1e12)
    assert compiled_for(runs, 0, like, devices, 'vmap').max_members == 2
    assert compiled_for(runs[:2], 0, like, devices).forms  # one per device: indivisible
    room = (1e9 + 2 * 4 * state_bytes) / 0.8  # comparing forms keeps two copies
    for memory, forms in ((1.001 * room, ['vmap', 'loop']), (0.999 * room, [])):
        monkeypatch.setattr('atelier.sweep.vmapped_program.program_bytes', lambda program: 1e9)
        monkeypatch.setattr(device_lib, 'memory_bytes', lambda device, memory=memory: memory)
        assert [*compiled_for(runs, 0, like, devices).forms] == forms
