"""A checkpoint that is damaged or of another run is detected, reported and set aside.

Training from the previous one gives the same end. Damage: truncated files, a flipped bit,
deleted files.
"""

import contextlib
import json
import logging
import shutil
import zlib

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from checkpointing import saved, state_of
from support import make_run

import train_lib
from atelier.applications import sample
from atelier.errors import UserError
from atelier.run import checkpoint, restore, run_folder
from atelier.run.checkpoint import Checkpoints, Memory, replaced
from atelier.run.restore import initial_state, load
from atelier.training import session

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


def steps_in(folder):
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


def with_one_bit_turned(content, fraction):
    """Flips one bit; `fraction` runs from 0, the first byte, to 1, the last."""
    changed = bytearray(content)
    changed[round(fraction * (len(content) - 1))] ^= 0b1
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
    assert steps_in(run.folder / 'checkpoints') == [10, 20, 30]
    return run


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the finished run, to be damaged."""
    shutil.copytree(finished.folder, tmp_path / 'run')
    return make_run(tmp_path / 'run', **SETTINGS)


LONG = [pytest.param(damage, marks=pytest.mark.slow) for damage in DAMAGES[1:]]


@pytest.mark.parametrize('damage', [DAMAGES[0], *LONG])
def test_the_newest_checkpoint_is_damaged(damage, finished, run, caplog):
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
    assert steps_in(run.folder / 'checkpoints') == [10, 20, 30]
    assert bits(restored(run, 30)) == bits((expected, memory))
    assert bits(restored(run, 10)) == bits(restored(finished, 10))


@pytest.mark.slow
def test_the_two_newest_checkpoints_are_damaged(finished, run, caplog):
    for step in ('20', '30'):
        truncate(run.folder / 'checkpoints' / step)
    state = train(run)
    assert steps_in(run.folder / 'damaged') == [20, 30]
    assert 'checkpoint 20' in caplog.text
    assert 'checkpoint 30' in caplog.text
    assert bits(state) == bits(restored(finished, 30)[0])


def test_a_damaged_checkpoint_is_moved_into_the_run_folder(run, tmp_path):
    """A link may lead to another disk, where runs must not share a folder `damaged`."""
    disk = tmp_path / 'disk'
    disk.mkdir()
    (run.folder / 'checkpoints').rename(disk / 'checkpoints')
    (run.folder / 'checkpoints').symlink_to(disk / 'checkpoints')
    truncate(disk / 'checkpoints' / '30')
    with contextlib.closing(Checkpoints(run.folder / 'checkpoints')) as checkpoints:
        state, _ = checkpoints.restore_newest(None)
    assert int(state.step) == 20
    assert steps_in(run.folder / 'damaged') == [30]
    assert [path.name for path in disk.iterdir()] == ['checkpoints']


def test_all_checkpoints_are_damaged(run):
    """Training never silently restarts from scratch, now or later, and no checkpoint is deleted."""
    checkpoints = run.folder / 'checkpoints'
    for folder in checkpoints.iterdir():
        turn_one_bit(folder)
    remains = names(checkpoints)
    for _ in range(2):
        with pytest.raises(UserError, match='no checkpoint in .* can be read'):
            train(run)
        assert names(checkpoints) == remains


def test_the_best_checkpoint_is_damaged(finished, run, caplog):
    """Loading the best weights warns and returns the last ones."""
    turn_one_bit(run.folder / 'checkpoints' / '10')
    _, state, weights_label = load(run)
    assert 'checkpoint 10' in caplog.text
    assert weights_label.startswith('last checkpoint, step 30')
    assert bits(state) == bits(restored(finished, 30)[0])


@pytest.mark.slow
def test_every_flipped_bit_is_detected_or_harmless(finished, run):
    """In any file, at any position, the flip is detected or does not change restored values."""
    expected, like = bits(restored(finished, 30)), initial_state(run)
    newest = run.folder / 'checkpoints' / '30'
    memory = newest / 'host' / 'metadata'
    noticed = 0
    with contextlib.closing(Checkpoints(newest.parent)) as checkpoints:
        for path in [path for path in newest.rglob('*') if path.is_file()]:
            content = path.read_bytes()
            for fraction in np.linspace(0, 1, len(content) if path == memory else 6):
                path.write_bytes(with_one_bit_turned(content, fraction))
                try:
                    restored_values = checkpoints.restore(30, like)
                except UserError:
                    noticed += 1
                else:
                    assert bits(restored_values) == expected, (
                        f'{path.relative_to(newest)} at {fraction}'
                    )
            path.write_bytes(content)
    assert noticed > len(memory.read_bytes())
    assert bits(restored(run, 30)) == expected


# Ids of runs and checkpoints


def test_a_run_and_its_checkpoints_have_one_id(finished, run):
    """A copy of a run has the same id; another run has another."""
    config = run_folder.load(finished.folder)
    assert run_folder.load(run.folder)['id'] == config['id']
    assert len(bytes.fromhex(config['id'])) == 16
    for step in (10, 20, 30):
        host = finished.folder / 'checkpoints' / str(step) / 'host' / 'metadata'
        assert json.loads(host.read_text())['run'] == config['id']


@pytest.mark.slow
def test_a_renamed_checkpoint_is_not_trained_on(finished, run, caplog):
    """Otherwise training would start from its step and save nothing until the step of its name."""
    (run.folder / 'checkpoints' / '30').rename(run.folder / 'checkpoints' / '4000')
    state = train(run)
    assert 'checkpoint 4000 in' in caplog.text and 'is that of step 30' in caplog.text
    assert steps_in(run.folder / 'damaged') == [4000]
    assert steps_in(run.folder / 'checkpoints') == [10, 20, 30]
    assert bits(state) == bits(restored(finished, 30)[0])


def test_a_renamed_checkpoint_is_refused(tmp_path, caplog):
    folder = saved(tmp_path / 'checkpoints', 10, 20)
    (folder / '20').rename(folder / '4000')
    with contextlib.closing(Checkpoints(folder)) as checkpoints:
        state, _ = checkpoints.restore_newest(state_of(0))
        checkpoints.save(state_of(20), Memory())
        checkpoints.wait()
        assert checkpoints.steps() == [10, 20]
    assert int(state.step) == 10
    assert 'checkpoint 4000 in' in caplog.text and 'is that of step 20' in caplog.text


def test_a_checkpoint_of_another_run_is_refused(tmp_path, caplog):
    """Training and readers use the run's own newest checkpoint instead."""
    folder = saved(tmp_path / 'a' / 'checkpoints', 10, 20, run_id='aa')
    other = saved(tmp_path / 'b' / 'checkpoints', 30, run_id='bb')
    shutil.copytree(other / '30', folder / '30')
    for read_only in (True, False):
        with contextlib.closing(Checkpoints(folder, read_only, 'aa')) as checkpoints:
            state, _ = checkpoints.restore_newest(state_of(0))
        assert int(state.step) == 20
        assert 'checkpoint 30 in' in caplog.text and "another run, of id 'bb'" in caplog.text
        assert (folder / '30').exists() == read_only
    assert steps_in(tmp_path / 'a' / 'damaged') == [30]


def test_the_checksum_covers_the_id(tmp_path):
    """The id can be neither changed nor removed."""
    folder = saved(tmp_path / 'checkpoints', 10, run_id='bb')
    path = folder / '10' / 'host' / 'metadata'
    host = json.loads(path.read_text())
    for changed in ({**host, 'run': 'aa'}, {k: v for k, v in host.items() if k != 'run'}):
        path.write_text(json.dumps(changed))
        with (
            contextlib.closing(Checkpoints(folder, True, 'aa')) as checkpoints,
            pytest.raises(UserError, match='its checksum differs'),
        ):
            checkpoints.restore(10, state_of(0))


def test_a_checkpoint_without_an_id_is_accepted(tmp_path, caplog):
    """As saved by an earlier version: one line reports it, and the next save has the id."""
    folder = saved(tmp_path / 'checkpoints', 10, 20)
    host = json.loads((folder / '20' / 'host' / 'metadata').read_text())
    assert host.keys() == {'memory', 'digest'}
    assert host['digest'] == old_digest(state_of(20), Memory())
    with (
        caplog.at_level(logging.INFO, 'atelier'),
        contextlib.closing(Checkpoints(folder, run_id='aa')) as checkpoints,
    ):
        for step in (10, 20):
            checkpoints.restore(step, state_of(0))
        checkpoints.save(state_of(30), Memory())
    assert [record.getMessage() for record in caplog.records if record.name == 'atelier'] == [
        f'checkpoint 10 in {folder} has no id of its run, because an earlier version saved it'
    ]
    assert json.loads((folder / '30' / 'host' / 'metadata').read_text())['run'] == 'aa'


@pytest.mark.slow
def test_a_run_without_an_id_continues_and_gets_one(run, finished, caplog):
    """As made by an earlier version: one line reports it, and the end is the same."""
    path = run.folder / 'config.json'
    record = json.loads(path.read_text())
    del record['id'], record['checksum']
    path.write_text(json.dumps(record))
    for step in (10, 20, 30):
        state, memory = restored(finished, step)
        host = {'memory': memory._asdict(), 'digest': old_digest(state, memory)}
        (run.folder / 'checkpoints' / str(step) / 'host' / 'metadata').write_text(json.dumps(host))
    shutil.rmtree(run.folder / 'checkpoints' / '30')
    load(run)
    assert 'has no id' not in caplog.text
    with caplog.at_level(logging.INFO, 'atelier'):
        state = train(run)
    assert caplog.text.count('has no id of its run, because an earlier version saved it') == 1
    assert bits(state) == bits(restored(finished, 30)[0])
    host = json.loads((run.folder / 'checkpoints' / '30' / 'host' / 'metadata').read_text())
    assert host['run'] == run_folder.load(run.folder)['id']


def old_digest(state, memory):
    """The checksum of versions without ids, recomputed here."""
    total = zlib.crc32(repr(memory).encode())
    tree = {name: getattr(state, name) for name in state.__dataclass_fields__}
    leaves = {
        jax.tree_util.keystr(path, simple=True, separator='/'): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
    for name, leaf in sorted(leaves.items()):
        total = zlib.crc32(f'{name} {leaf.dtype} {leaf.shape}'.encode(), total)
        total = zlib.crc32(leaf.tobytes(), total)
    return total


@pytest.mark.slow
@pytest.mark.parametrize('name', ['run[1]', pytest.param('a*b', marks=pytest.mark.slow)])
def test_a_run_moved_to_an_odd_path_keeps_its_checkpoints(run, finished, tmp_path, caplog, name):
    """It is sampled there and trained further: no intact checkpoint is reported or set aside."""
    moved = make_run(run.folder.rename(tmp_path / name), **SETTINGS)
    assert len(sample.apply(run_folder.reopen(moved.folder), num_samples=2)) == 2
    longer = make_run(moved.folder, **{**SETTINGS, 'train__steps': 40})
    assert int(train(longer).step) == 40
    assert steps_in(moved.folder / 'checkpoints') == [10, 30, 40]
    assert bits(restored(moved, 30)) == bits(restored(finished, 30))
    assert not (moved.folder / 'damaged').exists()
    ours = [r for r in caplog.records if r.levelno >= logging.WARNING and r.name == 'atelier']
    assert ours == []


# Saves are read back


def test_a_save_that_orbax_refuses_is_an_error(tmp_path):
    folder = saved(tmp_path / 'checkpoints', 40)
    with contextlib.closing(Checkpoints(folder)) as checkpoints:
        with pytest.raises(UserError, match='checkpoint 30 was not saved .* has checkpoint 40'):
            checkpoints.save(state_of(30), Memory())
        assert checkpoints.steps() == [40]


@pytest.fixture
def damaging(monkeypatch):
    """Makes the save of step 30 unreadable once it is finished."""
    plain = checkpoint.read

    def read(manager, folder, step, *arguments, **options):
        if step == 30 and (folder.path / '30').exists():
            truncate(folder.path / '30')
        return plain(manager, folder, step, *arguments, **options)

    monkeypatch.setattr(checkpoint, 'read', read)


def test_nothing_is_deleted_for_a_save_that_cannot_be_read(tmp_path, damaging):
    folder = tmp_path / 'checkpoints'
    with contextlib.closing(Checkpoints(folder)) as checkpoints:
        for step in (10, 20, 30):
            checkpoints.save(state_of(step), Memory())
        with pytest.raises(UserError, match='the save of step 30 cannot be read back') as error:
            checkpoints.wait()
        assert str(folder) in str(error.value) and '/proc' not in str(error.value)
        assert checkpoints.steps() == [10, 20]
    assert steps_in(tmp_path / 'damaged') == [30]


def test_the_first_save_of_a_process_is_read_back_at_once(tmp_path, damaging):
    with contextlib.closing(Checkpoints(saved(tmp_path / 'checkpoints', 10, 20))) as checkpoints:
        with pytest.raises(UserError, match='the save of step 30 cannot be read back'):
            checkpoints.save(state_of(30), Memory())
        assert checkpoints.steps() == [10, 20]


@pytest.mark.parametrize(
    ('steps', 'to_keep', 'readable', 'best', 'expected'),
    [
        ([10, 20, 30], {10, 20, 30}, {10, 20, 30}, None, [10]),
        ([10, 20, 30], {10, 20, 30}, {10, 20, 30}, 10, []),
        ([10, 20, 30], {10, 20, 30}, {30}, None, []),  # nothing is known about 20
        ([10, 20, 30, 40], {10, 20, 30, 40}, {30, 40}, None, [10, 20]),
        ([10, 15, 20], {10, 20}, {10, 15, 20}, None, [15]),  # 15 was the best for a while
        ([10, 20, 25], {10, 20}, {10, 20, 25}, 25, []),
        ([10, 20, 25, 30], {10, 20, 30}, {20, 25, 30}, 25, [10]),
        ([], set(), set(), None, []),
    ],
)
def test_saves_replace_the_right_checkpoints(steps, to_keep, readable, best, expected):
    """The last two checkpoints that were kept and read, the best and the newest remain."""
    assert replaced(steps, to_keep, readable, best) == expected


@pytest.mark.slow
def test_the_first_save_is_early(tmp_path, finished, monkeypatch):
    """Even if no checkpoint is due for hours; the end and the kept checkpoints are the same."""
    monkeypatch.setattr(session, 'FIRST_SAVE_SECONDS', 0)
    plain, calls = Checkpoints.save, []

    def save(self, state, memory, keep=True):
        plain(self, state, memory, keep)
        calls.append((int(state.step), keep, self.steps()))

    monkeypatch.setattr(Checkpoints, 'save', save)
    seldom = {'train__evaluate_every': 30, 'train__checkpoint_every': 30}
    run = make_run(tmp_path / 'run', **SETTINGS, **seldom, train__steps_per_dispatch=10)
    state = train(run)
    assert calls[0] == (10, False, [10])  # read back: its folder is complete
    assert [step for step, _, _ in calls] == [10, 30]
    assert steps_in(run.folder / 'checkpoints') == [30]
    assert bits(state) == bits(restored(finished, 30)[0])


@pytest.mark.slow
def test_a_run_folder_that_is_moved_stops_training(tmp_path, monkeypatch):
    """The error is one line, and no folder appears at the old path."""
    plain = session.log_dispatch

    def log_and_move(log, every, start, *rest):
        plain(log, every, start, *rest)
        if start == 10:
            run.folder.rename(tmp_path / 'moved')

    monkeypatch.setattr(session, 'log_dispatch', log_and_move)
    run = make_run(tmp_path / 'run', **SETTINGS)
    with pytest.raises(UserError, match='run was deleted, moved or replaced'):
        train(run)
    assert not run.folder.exists()
    assert steps_in(tmp_path / 'moved' / 'checkpoints')[:1] == [10]


# Reading beside a trainer


@pytest.mark.parametrize('wants_best', [False, True])
def test_a_checkpoint_that_vanishes_is_not_reported(tmp_path, monkeypatch, caplog, wants_best):
    """A trainer replaces every checkpoint between the listing and the first reading."""
    folder = saved(tmp_path / 'checkpoints', 10, 20)
    later = saved(tmp_path / 'later', 30)
    plain = checkpoint.read

    def read(manager, opened, step, *rest, **options):
        if step == 20:
            shutil.rmtree(folder / '10')
            shutil.rmtree(folder / '20')
            shutil.copytree(later / '30', folder / '30')
        return plain(manager, opened, step, *rest, **options)

    monkeypatch.setattr(checkpoint, 'read', read)
    with contextlib.closing(Checkpoints(folder, read_only=True)) as checkpoints:
        if wants_best:
            state, kind = restore._best_or_last(checkpoints, True, state_of(0))
        else:
            state, _ = checkpoints.restore_newest(state_of(0))
    assert int(state.step) == 30
    assert not caplog.records


def test_a_checkpoint_that_vanishes_while_the_folder_is_opened_is_not_reported(
    tmp_path, monkeypatch
):
    """Orbax lists the checkpoints and then looks at each."""
    folder = saved(tmp_path / 'checkpoints', 10, 20)
    plain = ocp.CheckpointManager

    def opened(*arguments, **options):
        if (folder / '10').exists():
            shutil.rmtree(folder / '10')
            raise FileNotFoundError(2, 'No such file or directory', '10')
        return plain(*arguments, **options)

    monkeypatch.setattr(ocp, 'CheckpointManager', opened)
    with contextlib.closing(Checkpoints(folder, read_only=True)) as checkpoints:
        assert int(checkpoints.restore_newest(state_of(0))[0].step) == 20


def test_a_best_checkpoint_that_is_replaced_whenever_it_is_read_is_reported(tmp_path, caplog):
    """The last one is used after some attempts."""
    folder = saved(tmp_path / 'checkpoints', 20)
    calls = iter(range(1000))

    class Replaced(Checkpoints):
        def steps(self):
            return [next(calls), 20]

        def restore_newest(self, like):
            return state_of(20), Memory(1.0, 10)

    with contextlib.closing(Replaced(folder, read_only=True)) as checkpoints:
        state, kind = restore._best_or_last(checkpoints, True, state_of(0))
    assert (int(state.step), kind) == (20, 'last')
    assert 'the last one is used' in caplog.text


def test_a_best_checkpoint_that_a_better_one_replaces_is_not_reported(
    tmp_path, monkeypatch, caplog
):
    """The newest checkpoint is read again, because it names the new best one."""
    folder = tmp_path / 'checkpoints'
    with contextlib.closing(Checkpoints(folder)) as checkpoints:
        checkpoints.save(state_of(10), Memory(1.0, 10))
        checkpoints.save(state_of(20), Memory(1.0, 10))
    plain = checkpoint.read

    def read(manager, opened, step, *rest, **options):
        if step == 10:
            shutil.rmtree(folder / '10')
            with contextlib.closing(Checkpoints(folder)) as trainer:
                trainer.save(state_of(30), Memory(2.0, 30))
        return plain(manager, opened, step, *rest, **options)

    monkeypatch.setattr(checkpoint, 'read', read)
    with contextlib.closing(Checkpoints(folder, read_only=True)) as checkpoints:
        state, kind = restore._best_or_last(checkpoints, True, state_of(0))
    assert (int(state.step), kind) == (30, 'best')
    assert not caplog.records
