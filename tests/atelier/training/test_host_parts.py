"""The small parts around the loop: schedules, cadences, logs, grids, the digits, precision."""

import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier import errors
from atelier.core import optimizers
from atelier.data.dataset import Spec
from atelier.report import image_grids, metrics_log
from atelier.training import dispatch
from configs.shared import common

HYPERS = {
    **common.common_config().hypers,
    'learning_rate': 1e-2,
    'learning_rate_end': 1e-3,
    'warmup_steps': 10.0,
    'decay_steps': 110.0,
}


def rate(step, player='model', **changes):
    return float(optimizers.learning_rate({**HYPERS, **changes}, step, player))


def test_the_rate_warms_up_and_then_follows_half_a_cosine():
    for step in range(10):
        np.testing.assert_allclose(rate(step), 1e-2 * (step + 1) / 10, rtol=1e-5)
    np.testing.assert_allclose(rate(10), 1e-2, rtol=1e-5)
    np.testing.assert_allclose(rate(60), (1e-2 + 1e-3) / 2, rtol=1e-5)
    for step in (110, 500):
        np.testing.assert_allclose(rate(step), 1e-3, rtol=1e-5)


def test_the_rate_agrees_with_optax():
    theirs = optax.warmup_cosine_decay_schedule(0.0, 1e-2, 10, 110, 1e-3)
    for step in range(10, 150, 7):
        np.testing.assert_allclose(rate(step), theirs(step), rtol=1e-5)


def test_the_rate_falls_at_each_milestone():
    falls = dict(milestone_1=100.0, milestone_2=150.0, milestone_factor=0.5, decay_steps=0.0)
    falls['warmup_steps'] = 10.0
    rates = [rate(step, **falls) for step in (4, 99, 100, 149, 150, 10**6)]
    np.testing.assert_allclose(rates, [5e-3, 1e-2, 5e-3, 5e-3, 2.5e-3, 2.5e-3], rtol=1e-6)


def test_no_decay_and_a_rate_for_one_player():
    assert rate(10_000, decay_steps=0.0) == pytest.approx(1e-2)
    own = dict(learning_rate_critic=5e-2, decay_steps=0.0)
    assert rate(100, 'critic', **own) == pytest.approx(5e-2)
    assert rate(100, 'generator', **own) == pytest.approx(1e-2)


def test_any_hyper_of_adam_may_be_a_players_own():
    hypers = {**HYPERS, 'adam_beta1_critic': 0.0, 'decay_steps': 0.0, 'warmup_steps': 0.0}
    params = {'w': jnp.zeros(())}

    def second_move(player):
        rule = optimizers.adam(player, hypers, 0)
        state = rule.init(params)
        for gradient in (1.0, -1.0):
            update, state = rule.update({'w': jnp.float32(gradient)}, state, params)
        return float(update['w'])

    np.testing.assert_allclose(second_move('critic'), 1e-2, rtol=1e-5)  # without momentum
    assert second_move('generator') < 1e-3


@pytest.mark.parametrize('clip_norm', [0.0, 0.1, 100.0])
def test_adam_is_optax_adamw_with_clipping(clip_norm):
    """Under jit with traced hypers, over ten steps."""
    hypers = {**HYPERS, 'decay_steps': 0.0, 'warmup_steps': 0.0, 'weight_decay': 0.1}
    hypers = {name: jnp.float32(v) for name, v in {**hypers, 'clip_norm': clip_norm}.items()}
    clip = optax.clip_by_global_norm(clip_norm) if clip_norm else optax.identity()
    theirs = optax.chain(clip, optax.adamw(1e-2, weight_decay=0.1))
    ours = optimizers.adam('model', hypers, 0)
    params = same = {'w': jnp.array([1.0, -2.0, 3.0])}
    state, their_state = ours.init(params), theirs.init(params)

    @jax.jit
    def move(hypers, gradient, state, params, step):
        rule = optimizers.adam('model', hypers, step)
        update, state = rule.update(gradient, state, params)
        return optax.apply_updates(params, update), state

    for step in range(10):
        gradient = {'w': jnp.sin(jnp.arange(3.0) + step)}
        params, state = move(hypers, gradient, state, params, step)
        update, their_state = theirs.update(gradient, their_state, same)
        same = optax.apply_updates(same, update)
        np.testing.assert_allclose(params['w'], same['w'], rtol=1e-5)


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
def test_a_dispatch_divides_everything_and_is_the_longest(
    steps, evaluate_every, checkpoint_every, ceiling, start
):
    config = train_config(
        steps=steps,
        evaluate_every=evaluate_every,
        checkpoint_every=checkpoint_every,
        steps_per_dispatch=ceiling,
    )
    length = dispatch.dispatch_length(config, start)
    numbers = (steps, evaluate_every, checkpoint_every, start)
    fits = lambda d: all(number % d == 0 for number in numbers)
    assert length <= ceiling
    assert fits(length)
    assert not any(fits(d) for d in range(length + 1, ceiling + 1))


def test_short_dispatches_come_with_better_numbers():
    config = train_config(steps=301, evaluate_every=99)
    hint = dispatch.suggest_cadences(config)
    assert 'only 1 of at most 50 steps' in hint
    assert 'train.steps=300, train.evaluate_every=100 would give it all' in hint
    assert 'continues from step 7' in dispatch.suggest_cadences(train_config(), start=7)
    assert dispatch.suggest_cadences(train_config()) is None
    for name, value in [('steps', 300), ('evaluate_every', 100)]:
        setattr(config, name, value)
    assert dispatch.dispatch_length(config) == 50


def test_metrics_are_cut_and_appended(tmp_path):
    for start in (0, 3):
        log = metrics_log.MetricsLog(tmp_path, start)
        for step in range(start + 1, start + 6):
            log.write(step, {'train/loss': 1.0 / step}, to_board=step % 2 == 0)
        log.close()
    rows = metrics_log.read_metrics(tmp_path)
    assert [row['step'] for row in rows] == list(range(1, 9))
    assert all(row['train/loss'] == 1.0 / row['step'] for row in rows)
    assert list((tmp_path / 'tensorboard').glob('events*'))


def test_a_damaged_line_costs_that_line(tmp_path, caplog):
    good = ['{"step": 1, "a": 2.0}', '{"step": 3, "a": 4.0}']
    (tmp_path / 'metrics.jsonl').write_bytes(
        '\n'.join([good[0], '5', '{"ste', good[1], '{"step": 4, "tor']).encode() + b'\xff'
    )
    with caplog.at_level('WARNING', logger='atelier'):
        rows = metrics_log.read_metrics(tmp_path)
    assert [row['step'] for row in rows] == [1, 3]
    assert 'line 2 of' in caplog.text
    assert 'line 3 of' in caplog.text
    assert 'line 5' not in caplog.text


def test_the_board_gets_the_last_line_of_each_dispatch(tmp_path, monkeypatch):
    from atelier.training import session

    log, board = metrics_log.MetricsLog(tmp_path, 0), []
    monkeypatch.setattr(log._board, 'add_scalar', lambda name, value, step: board.append(step))
    report = {'loss': np.arange(5.0), 'finite': np.ones(5, bool)}
    for start in (0, 5, 10):
        session.log_dispatch(log, 3, start, report, rate=1.0)
    log.close()
    lines = [row['step'] for row in metrics_log.read_metrics(tmp_path) if 'train/loss' in row]
    assert lines == [3, 6, 9, 12, 15]
    assert [step for step in board if step in lines and step % 5 != 0] == [3, 9]
    assert {3, 9, 15} <= set(board)


def test_a_full_disk_is_the_users_to_mend(tmp_path):
    with pytest.raises(errors.UserError, match='metrics.*No space left'), errors.writing('metrics'):
        raise OSError(28, 'No space left on device')


def test_a_grid_shows_every_event_in_its_place(tmp_path):
    spec = Spec((2, 3, 1), 5, None)
    x = np.arange(5)[:, None, None, None] * np.ones((5, 2, 3, 1))
    image = image_grids.grid(x, spec, columns=2)
    assert image.shape == (3 * 3 + 1, 2 * 4 + 1, 1)
    corners = [image[1 + 3 * (i // 2), 1 + 4 * (i % 2), 0] for i in range(5)]
    np.testing.assert_array_equal(corners, np.round(255 * np.arange(5) / 4))
    image_grids.save(tmp_path / 'a' / 'grid.png', image)
    from PIL import Image

    again = np.asarray(Image.open(tmp_path / 'a' / 'grid.png'))
    factor = again.shape[1] // image.shape[1]
    assert again.shape[1] >= 400
    np.testing.assert_array_equal(again[::factor, ::factor], image[..., 0])


@pytest.mark.parametrize(
    ('shape', 'expected'),
    [((8, 8), True), ((8, 8, 3), True), ((8, 8, 2), False), ((9,), False), ((), False)],
)
def test_what_is_an_image(shape, expected):
    assert image_grids.is_image(Spec(shape, None, None)) == expected


def test_real_values_are_scaled_to_the_grids_range():
    image = image_grids.grid(np.array([[[-3.0]], [[5.0]]]), Spec((1, 1), None, None), columns=2)
    assert image[1, 1, 0] == 0
    assert image[1, 3, 0] == 255


def test_json_files_are_replaced_whole(tmp_path, monkeypatch):
    from atelier.run import run_folder

    path = tmp_path / 'a.json'
    run_folder.write_json(path, {'old': 1})
    monkeypatch.setattr('pathlib.Path.write_text', _torn)
    with pytest.raises(OSError, match='torn'):
        run_folder.write_json(path, {'new': 2})
    assert json.loads(path.read_text()) == {'old': 1}


def _torn(self, text):
    with self.open('w') as file:
        file.write(text[:3])
    raise OSError('torn')
