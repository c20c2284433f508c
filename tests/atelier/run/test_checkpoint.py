"""A damaged checkpoint is detected, reported and set aside; the previous one gives the same end.

The damage is realistic: truncated files, a flipped bit, deleted files.
"""

import contextlib
import logging
import shutil

import jax
import numpy as np
import pytest
from support import make_run

import train_lib
from atelier.errors import UserError
from atelier.run.checkpoint import Checkpoints
from atelier.run.restore import initial_state, load

pytestmark = pytest.mark.usefixtures('quick_compilation')

SETTINGS = dict(
    train__steps=30,
    train__best_metric='elbo_nats',
    train__best_mode='min',  # reversed: the first checkpoint, step 10, is the best
    hypers__decay_steps=0.0,  # the weights change until the end
    hypers__ema_half_life=500.0,
)


def train(run):
    return train_lib.train(run, jax.devices()[:1])


def names(folder):
    return sorted(path.name for path in folder.rglob('*'))


def numbers(folder):
    return sorted(int(path.name) for path in folder.iterdir())


def restored(run, step):
    """Returns the State and Memory of one checkpoint."""
    with contextlib.closing(Checkpoints(run.folder / 'checkpoints')) as checkpoints:
        return checkpoints.restore(step, initial_state(run))


def bits(tree):
    """Returns the tree's structure, and every leaf in a form that compares bitwise."""
    arrays = [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return jax.tree.structure(tree), [(x.dtype, x.shape, x.tobytes()) for x in arrays]


def biggest_file(folder):
    return max((p for p in folder.rglob('*') if p.is_file()), key=lambda p: p.stat().st_size)


def truncate(folder):
    path = biggest_file(folder)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def turn_one_bit(folder):
    path = biggest_file(folder)
    path.write_bytes(with_one_bit_turned(path.read_bytes(), 0.5))


def with_one_bit_turned(content, place):
    """Flips one bit; `place` runs from 0, the first byte, to 1, the last."""
    changed = bytearray(content)
    changed[round(place * (len(content) - 1))] ^= 0b1
    return bytes(changed)


def delete_a_file(folder):
    biggest_file(folder).unlink()


def delete_the_state(folder):
    shutil.rmtree(folder / 'state')


def empty_what_the_host_remembers(folder):
    (folder / 'host' / 'metadata').write_text('')


DAMAGES = (
    truncate,
    turn_one_bit,
    delete_a_file,
    delete_the_state,
    empty_what_the_host_remembers,
)


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """An undamaged run with checkpoints 10 (the best), 20 and 30 (the last)."""
    run = make_run(tmp_path_factory.mktemp('finished') / 'run', **SETTINGS)
    train(run)
    assert numbers(run.folder / 'checkpoints') == [10, 20, 30]
    return run


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the finished run, to be damaged."""
    shutil.copytree(finished.folder, tmp_path / 'run')
    return make_run(tmp_path / 'run', **SETTINGS)


LONG = [pytest.param(damage, marks=pytest.mark.slow) for damage in DAMAGES[1:]]


@pytest.mark.parametrize('damage', [DAMAGES[0], *LONG])
def test_the_newest_is_damaged(damage, finished, run, caplog):
    newest = run.folder / 'checkpoints' / '30'
    damage(newest)
    remains = names(newest)
    with caplog.at_level(logging.INFO, 'atelier'):
        state = train(run)
    (warning,) = [
        record.getMessage()
        for record in caplog.records
        if record.name == 'atelier' and record.levelno >= logging.WARNING
    ]
    assert 'checkpoint 30' in warning
    assert 'is damaged' in warning
    assert 'checkpoint 20 is used instead' in warning
    assert 'steps 20 to 30' in caplog.text
    assert names(run.folder / 'damaged' / '30') == remains
    expected, memory = restored(finished, 30)
    assert bits(state) == bits(expected)
    assert numbers(run.folder / 'checkpoints') == [10, 20, 30]
    assert bits(restored(run, 30)) == bits((expected, memory))
    assert bits(restored(run, 10)) == bits(restored(finished, 10))


def test_the_two_newest_are_damaged(finished, run, caplog):
    for step in ('20', '30'):
        truncate(run.folder / 'checkpoints' / step)
    state = train(run)
    assert numbers(run.folder / 'damaged') == [20, 30]
    assert 'checkpoint 20' in caplog.text
    assert 'checkpoint 30' in caplog.text
    assert bits(state) == bits(restored(finished, 30)[0])


def test_a_damaged_one_is_moved_into_the_run_wherever_its_checkpoints_are(run, tmp_path):
    """A link may lead to another disk, where runs must not share a folder `damaged`."""
    disk = tmp_path / 'disk'
    disk.mkdir()
    (run.folder / 'checkpoints').rename(disk / 'checkpoints')
    (run.folder / 'checkpoints').symlink_to(disk / 'checkpoints')
    truncate(disk / 'checkpoints' / '30')
    with contextlib.closing(Checkpoints(run.folder / 'checkpoints')) as checkpoints:
        state, _ = checkpoints.restore_newest(None)
    assert int(state.step) == 20
    assert numbers(run.folder / 'damaged') == [30]
    assert [path.name for path in disk.iterdir()] == ['checkpoints']


def test_all_are_damaged(run):
    """Training never silently restarts from scratch, now or later, and no checkpoint is deleted."""
    checkpoints = run.folder / 'checkpoints'
    for folder in checkpoints.iterdir():
        turn_one_bit(folder)
    remains = names(checkpoints)
    for _ in range(2):
        with pytest.raises(UserError, match='no checkpoint in .* can be read'):
            train(run)
        assert names(checkpoints) == remains


def test_the_best_is_damaged(finished, run, caplog):
    """Loading the best weights warns and returns the last ones."""
    turn_one_bit(run.folder / 'checkpoints' / '10')
    _, state, words = load(run)
    assert 'checkpoint 10' in caplog.text
    assert words.startswith('last checkpoint, step 30')
    assert bits(state) == bits(restored(finished, 30)[0])


@pytest.mark.slow
def test_one_bit_anywhere(finished, run):
    """In any file, at any position, the flip is detected or does not change restored values."""
    expected, like = bits(restored(finished, 30)), initial_state(run)
    newest = run.folder / 'checkpoints' / '30'
    memory = newest / 'host' / 'metadata'
    noticed = 0
    with contextlib.closing(Checkpoints(newest.parent)) as checkpoints:
        for path in [path for path in newest.rglob('*') if path.is_file()]:
            content = path.read_bytes()
            for place in np.linspace(0, 1, len(content) if path == memory else 6):
                path.write_bytes(with_one_bit_turned(content, place))
                try:
                    found = checkpoints.restore(30, like)
                except UserError:
                    noticed += 1
                else:
                    assert bits(found) == expected, f'{path.relative_to(newest)} at {place}'
            path.write_bytes(content)
    assert noticed > len(memory.read_bytes())
    assert bits(restored(run, 30)) == expected
