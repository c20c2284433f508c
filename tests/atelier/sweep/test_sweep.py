"""A sweep: run folders, a table; kills, non-finite losses and bad input."""

import contextlib
import csv
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from marks import EXHAUSTIVE
from support import contents, recipe_and_config, untimed_lines

import train_lib
from atelier import files
from atelier.checkout import ROOT
from atelier.errors import UserError
from atelier.evaluation import evaluate
from atelier.report.metrics_log import read_metrics
from atelier.run import experiment, restore, run_folder
from atelier.run.checkpoint import Checkpoints
from atelier.sweep import axes as axes_lib
from atelier.sweep import folder as sweep_folder
from atelier.sweep import group, plan, sweep, table, vmapped_program
from atelier.training.stop_signals import Stopped

AXES = ('hypers.beta=0.5,2', 'seed=0:2')
NAMES = ['beta-0.5_seed-0', 'beta-0.5_seed-1', 'beta-2.0_seed-0', 'beta-2.0_seed-1']
SETTINGS = dict(train__steps=20, train__evaluate_every=5, train__checkpoint_every=10)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Fixes the form, so that sweeps compare bitwise; another test covers which form is faster."""
    monkeypatch.setattr(vmapped_program, 'LOOP_PAYS', 0.0)


def swept(folder, axes=AXES, num_devices=2, shard='', num_random=0, **changes):
    config_file, config = recipe_and_config(**{**SETTINGS, **changes})
    devices = jax.devices()[:num_devices]
    part = plan.shard_of(shard)
    return sweep.train(sweep.prepare(folder, config_file, config, axes, num_random), part, devices)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """The folder of an uninterrupted sweep, and its rows."""
    folder = tmp_path_factory.mktemp('whole') / 'sweep'
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vmapped_program, 'LOOP_PAYS', 0.0)
        return folder, swept(folder)


def outcome(folder):
    """Returns, for each member, the bits of its last and best State, its Memory, and its lines."""
    outcomes = {}
    for path in sorted(folder.glob('*/config.json')):
        with contextlib.closing(Checkpoints(path.parent / 'checkpoints', True)) as checkpoints:
            state, memory = checkpoints.restore_newest(None)
            best, _ = checkpoints.restore(memory.best_step, None)
        bits = [np.asarray(x).tobytes() for x in jax.tree.leaves((state, best))]
        lines = untimed_lines(path.parent)
        outcomes[path.parent.name] = bits, memory, lines
    return outcomes


def test_every_member_is_a_run(whole):
    folder, rows = whole
    assert [row['member'] for row in rows] == NAMES
    for row in rows:
        run = run_folder.reopen(folder / row['member'])
        assert (run.config.hypers.beta, run.config.seed) == (row['hypers.beta'], row['seed'])
        assert (run.folder / 'samples' / 'samples-0000020.png').exists()
        _, state, weights_label = restore.load(run)
        assert f'step {row["step"]}' in weights_label
        assert float(state.hypers['beta']) == row['hypers.beta']
    result = evaluate.evaluate(run, jax.devices()[:1])
    assert np.isfinite(result['values']['nll_nats']['mean'])


def test_a_member_equals_the_run_alone(whole, tmp_path):
    """Compares line by line, validations included."""
    folder, _ = whole
    config_file, config = recipe_and_config(**SETTINGS, hypers__beta=2.0, seed=1)
    run = run_folder.reopen(folder / NAMES[-1])._replace(folder=tmp_path / 'alone')
    assert run.config.to_dict() == config.to_dict()
    train_lib.train(run, jax.devices()[:1])
    lines, alone = (read_metrics(path) for path in (folder / NAMES[-1], run.folder))
    assert len(lines) == len(alone) == 28  # for steps, validations and dispatches
    for one, other in zip(lines, alone, strict=True):
        assert one.keys() == other.keys()
        for name in one.keys() - {'time/steps_per_second', 'time/seconds'}:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-4, err_msg=name)


def test_the_csv_file_has_a_row_for_each_member(whole):
    folder, rows = whole
    with (folder / 'sweep.csv').open() as file:
        file_rows = list(csv.DictReader(file))
    assert [row['member'] for row in file_rows] == NAMES
    assert {row['status'] for row in file_rows} == {'finished'}
    for row, expected in zip(file_rows, rows, strict=True):
        valid = [line for line in read_metrics(folder / row['member']) if 'valid/elbo_nats' in line]
        best = max(valid, key=lambda line: line['valid/elbo_nats'])
        assert (int(row['step']), float(row['elbo_nats'])) == (best['step'], expected['elbo_nats'])
        assert float(row['elbo_nats']) == best['valid/elbo_nats']
    assert (folder / 'sweep.png').read_bytes().startswith(b'\x89PNG')


@pytest.mark.slow
def test_a_finished_sweep_trains_nothing(whole):
    folder, rows = whole
    before = contents(folder)
    assert swept(folder) == rows
    changed = {name for name, value in contents(folder).items() if before.get(name) != value}
    assert not {name for name in changed if 'checkpoints' in name or 'metrics' in name}


SLOW = pytest.mark.slow


@SLOW
@pytest.mark.parametrize('saves', [3, pytest.param(6, marks=EXHAUSTIVE)])
def test_killed_between_the_saves_of_two_members(whole, tmp_path, monkeypatch, saves):
    """Two members may have saved a step that the others lack: all restart from a common one."""
    plain, count = Checkpoints.save, 0

    def save(self, *arguments):
        nonlocal count
        count += 1
        if count > saves:
            raise Stopped(143)
        plain(self, *arguments)
        self.wait()

    folder = tmp_path / 'sweep'
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Checkpoints, 'save', save)
        swept(folder)
    swept(folder)
    assert outcome(folder) == outcome(whole[0])


@pytest.mark.slow
def test_a_damaged_checkpoint_of_one_member_restarts_all_from_an_earlier_step(whole, tmp_path):
    folder = tmp_path / 'sweep'
    swept(folder, train__steps=10, train__checkpoint_every=5)
    with contextlib.closing(Checkpoints(folder / NAMES[1] / 'checkpoints')) as checkpoints:
        newest = checkpoints.steps()[-1]
    for path in (folder / NAMES[1] / 'checkpoints' / str(newest)).rglob('*'):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    swept(folder, train__checkpoint_every=5)
    assert (folder / NAMES[1] / 'damaged' / str(newest)).exists()
    assert outcome(folder) == outcome(whole[0])


@pytest.mark.slow
def test_members_restart_from_an_earlier_common_step_if_the_newest_is_damaged(whole, tmp_path):
    """The first member lost its newest step; the second's previous checkpoint is damaged.

    The second member's good checkpoint is not deleted because of the damaged one.
    """
    folder = tmp_path / 'sweep'
    swept(folder, train__steps=15, train__checkpoint_every=5)
    first, second = (folder / name / 'checkpoints' for name in NAMES[:2])
    shutil.rmtree(first / '15')
    for path in (second / '10').rglob('*'):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    torn = contents(second / '10')
    swept(folder, train__checkpoint_every=5)
    assert contents(folder / NAMES[1] / 'damaged' / '10') == torn
    assert outcome(folder) == outcome(whole[0])


@pytest.mark.slow
def test_a_sweep_may_be_extended(whole, tmp_path):
    """10 steps, then 20, equal 20 steps: no schedule of this config depends on train.steps."""
    folder = tmp_path / 'sweep'
    swept(folder, train__steps=10)
    swept(folder)
    assert outcome(folder) == outcome(whole[0])


@pytest.mark.slow
def test_a_nan_loss_freezes_one_member(whole, tmp_path, caplog):
    folder = tmp_path / 'sweep'
    axes = ('hypers.learning_rate=1e-3,1e30', 'seed=0:2', 'hypers.beta=0.5')
    with caplog.at_level('WARNING', logger='atelier'):
        rows = swept(folder, axes)
    assert [row['status'] for row in rows] == ['finished', 'finished', 'failed', 'failed']
    assert re.search(r'learning_rate-1e.30_seed-0_beta-0.5: .*loss=nan.* at step \d+', caplog.text)
    for row, expected in zip(rows[:2], whole[1][:2], strict=True):  # `whole` has these settings too
        assert row['elbo_nats'] == pytest.approx(expected['elbo_nats'], rel=1e-6)
    lines = [read_metrics(folder / row['member']) for row in rows]
    assert swept(folder, axes) == rows  # the failure is remembered
    assert [read_metrics(folder / row['member']) for row in rows] == lines


@pytest.mark.slow
def test_a_sweep_whose_members_all_failed_is_an_error(tmp_path):
    with pytest.raises(UserError, match='all of 2 members failed; .*nan'):
        swept(tmp_path / 'sweep', ('hypers.learning_rate=1e30,2e30',))


@pytest.mark.slow
def test_early_stopping_of_one_member_does_not_stop_the_others(tmp_path):
    changes = dict(train__patience=1, train__steps=60, hypers__decay_steps=0.0)
    rows = swept(tmp_path / 'sweep', ('hypers.learning_rate=1e-3,0.3',), **changes)
    last = {r['member']: read_metrics(tmp_path / 'sweep' / r['member'])[-1]['step'] for r in rows}
    assert last['learning_rate-0.3'] < last['learning_rate-0.001']
    assert {row['status'] for row in rows} == {'finished'}


@pytest.mark.slow
def test_members_are_grouped_by_shape_and_divided_among_shards(tmp_path):
    folder, axes = tmp_path / 'sweep', ('model.latent_dim=2,3', 'seed=0:2')
    first = swept(folder, axes, shard='1/2')
    assert [row['status'] for row in first] == ['finished'] * 2 + ['unfinished'] * 2
    second = swept(folder, axes, shard='2/2')
    assert {row['status'] for row in second} == {'finished'}
    programs = [json.loads(p.read_text()) for p in folder.glob('programs/*.json')]
    assert {program['form'] for program in programs} == {None}  # one member per device
    assert sorted(len(program['members']) for program in programs) == [2, 2]


@pytest.mark.slow
def test_more_shards_than_groups_divide_a_group(tmp_path):
    folders = [tmp_path / 'a', tmp_path / 'b']
    rows = [swept(folder, ('seed=0:3',), shard=f'{i}/2') for i, folder in enumerate(folders, 1)]
    done = [[row['member'] for row in each if row['status'] == 'finished'] for each in rows]
    assert done == [['seed-0', 'seed-1'], ['seed-2']]


def files_of(folder, *names):
    """Returns {path: time of last write} for all files in these members' folders."""
    return {
        path: path.stat().st_mtime_ns
        for name in names
        for path in (folder / name).rglob('*')
        if path.is_file() and path.name != '.lock'
    }


@pytest.mark.slow
def test_the_whole_sweep_does_not_change_members_that_a_shard_finished(tmp_path):
    folder = tmp_path / 'sweep'
    swept(folder, ('seed=0:4',), shard='1/2')
    before = files_of(folder, 'seed-0', 'seed-1')
    rows = swept(folder, ('seed=0:4',))
    assert {row['status'] for row in rows} == {'finished'}
    checkpoints = {path: when for path, when in before.items() if 'checkpoints' in path.parts}
    assert checkpoints and checkpoints.items() <= files_of(folder, 'seed-0', 'seed-1').items()
    lines = len((folder / 'seed-0' / 'metrics.jsonl').read_text().splitlines())
    swept(folder, ('seed=0:4',))
    assert len((folder / 'seed-0' / 'metrics.jsonl').read_text().splitlines()) == lines


@pytest.mark.slow
def test_a_stopped_sweep_divided_by_memory_continues(tmp_path, monkeypatch):
    """Stopped at the start of the second program, the sweep keeps what the first has finished."""
    folder, original, calls = tmp_path / 'sweep', sweep_folder.write_program, []
    room = lambda runs, *rest: original_compiled(runs, *rest)._replace(
        **({'forms': {}, 'max_members': 2} if len(runs) > 2 else {})
    )
    original_compiled = group.compiled_for
    monkeypatch.setattr(group, 'compiled_for', room)

    def stopping(path, runs, *rest):
        calls.append(runs)
        if runs[0].folder.name == 'seed-2' and len(calls) < 5:
            raise Stopped(143)
        original(path, runs, *rest)

    monkeypatch.setattr(sweep_folder, 'write_program', stopping)
    with pytest.raises(Stopped):
        swept(folder, ('seed=0:4',), num_devices=1)
    before = files_of(folder, 'seed-0', 'seed-1')
    checkpoints = {path: when for path, when in before.items() if 'checkpoints' in path.parts}
    calls += [None] * 5
    rows = swept(folder, ('seed=0:4',), num_devices=1)
    assert {row['status'] for row in rows} == {'finished'}
    assert checkpoints and checkpoints.items() <= files_of(folder, 'seed-0', 'seed-1').items()


def test_overlapping_programs_are_resolved(tmp_path):
    """The smaller, later program takes precedence; members of no program are grouped together."""
    config_file, config = recipe_and_config()
    runs = [experiment.assemble(tmp_path / name, config_file, config) for name in 'abcde']
    by_name = {run.folder.name: run for run in runs}
    for names in ('abcd', 'ab', 'xy'):
        members = [by_name.get(name, runs[0]._replace(folder=tmp_path / name)) for name in names]
        sweep_folder.write_program(sweep_folder.program_file(tmp_path, members), members, 'cpu')
    (tmp_path / 'programs' / 'torn.json').write_text('{')
    programs = sweep_folder.programs_begun(tmp_path, runs)
    assert [''.join(run.folder.name for run in members) for members in programs] == ['ab', 'cde']
    programs = sweep_folder.programs_begun(tmp_path, runs[1:])
    assert [''.join(run.folder.name for run in members) for members in programs] == ['bcde']


def test_the_mean_is_over_finished_members():
    rows = [
        {'seed': i, 'status': status, 'elbo_nats': value}
        for i, (status, value) in enumerate(
            [('finished', -1.0), ('finished', -3.0), ('failed', -90.0), ('unfinished', None)]
        )
    ]
    (mean,) = table.by_setting(rows, ['seed'], table.Metric('elbo_nats', 1.0))
    assert (mean['mean'], mean['members'], mean['failed'], mean['unfinished']) == (-2.0, 2, 1, 1)
    assert mean['std'] == pytest.approx(2**0.5)


@pytest.mark.slow
def test_members_that_do_not_fit_are_trained_in_later_programs(whole, tmp_path, monkeypatch):
    """Programs with fewer members run instead, with equal results up to rounding."""
    folder = tmp_path / 'sweep'
    of = vmapped_program.program_bytes
    sizes = []
    monkeypatch.setattr(
        vmapped_program, 'program_bytes', lambda program: sizes.append(of(program)) or sizes[-1]
    )
    swept(tmp_path / 'two', AXES[:1], num_devices=1, train__steps=10)
    monkeypatch.setattr(vmapped_program.device_lib, 'memory_bytes', lambda device: 2.5 * max(sizes))
    rows = swept(folder, num_devices=1)
    for row, expected in zip(rows, whole[1], strict=True):
        assert row['member'] == expected['member']
        np.testing.assert_allclose(row['elbo_nats'], expected['elbo_nats'], rtol=1e-4)


@pytest.mark.slow
def test_the_faster_form_is_chosen_and_kept(tmp_path, monkeypatch, caplog):
    folder = tmp_path / 'sweep'
    for pays, form in ((1e9, 'loop'), (0.0, 'vmap')):
        monkeypatch.setattr(vmapped_program, 'LOOP_PAYS', pays)
        sweep_path = folder / form
        swept(sweep_path, ('seed=0:2',), num_devices=1, train__steps=10)
        (record,) = [json.loads(p.read_text()) for p in sweep_path.glob('programs/*.json')]
        assert (record['form'], record['members']) == (form, ['seed-0', 'seed-1'])
        monkeypatch.setattr(vmapped_program, 'LOOP_PAYS', 1e9 - pays)
        with caplog.at_level('INFO', logger='atelier'):
            caplog.clear()
            swept(sweep_path, ('seed=0:2',), num_devices=1)
        assert f'{form} needs' in caplog.text
        assert 'in the form' not in caplog.text


@pytest.mark.parametrize(
    ('changes', 'pattern'),
    [
        (
            dict(axes=('seed=0:3',)),
            r'is another sweep .axes: hypers.beta=0.5,2 seed=0:2, now: seed=0:3',
        ),
        (dict(hypers__warmup_steps=3.0), 'hypers.warmup_steps .the run: 0.0, now: 3.0'),
        (dict(shard='0/2'), '--sweep_shard=0/2'),
        (dict(shard='two'), '--sweep_shard=two'),
        (dict(axes=('train.batch_size=48,4000',)), 'is another sweep'),
    ],
)
def test_the_folder_of_another_sweep_is_refused(whole, complaint, changes, pattern):
    before = contents(whole[0])
    with pytest.raises(UserError, match=pattern):
        swept(whole[0], **changes)
    assert contents(whole[0]) == before


@pytest.mark.slow
def test_a_sweep_over_paths_means_the_same_in_every_folder(tmp_path, monkeypatch):
    """A sweep of an earlier version, with relative paths or longer names, stays the same."""
    rng = np.random.RandomState(0)
    for name in 'ab':
        np.savez(tmp_path / f'{name}.npz', x=rng.randint(0, 2, (60, 4)).astype(np.uint8))
    config_file, config = recipe_and_config('arrays,debug', **SETTINGS)
    prepare = lambda folder, *axes: sweep.prepare(folder, config_file, config, axes)
    monkeypatch.chdir(tmp_path)
    folder, relative = tmp_path / 'sweep', 'data.path=a.npz,b.npz'
    absolute = f'data.path={tmp_path}/a.npz,{tmp_path}/b.npz'
    assert [*prepare(folder, relative).runs] == ['path-a.npz', 'path-b.npz']
    record = sweep_folder.load(folder)
    assert record['axes'] == [absolute]
    monkeypatch.chdir('/')
    assert [*prepare(folder, *record['axes']).runs] == ['path-a.npz', 'path-b.npz']
    monkeypatch.chdir(tmp_path)
    sweep_folder.write(folder, {**record, 'axes': [relative]})
    prepare(folder, relative)
    assert sweep_folder.load(folder)['axes'] == [relative]
    old = tmp_path / 'old'
    names = axes_lib.folder_names([{'data.path': f'{tmp_path}/{n}.npz'} for n in 'ab'], False)
    (old / names[1]).mkdir(parents=True)
    sweep_folder.write(old, record)
    assert [*prepare(old, relative).runs] == names


def test_a_validation_without_the_best_metric_is_never_the_best(tiny_run):
    """A line of metrics.jsonl may be damaged and still be valid JSON."""
    run = tiny_run(train__best_metric='elbo_nats', train__steps=30)
    run.folder.mkdir()
    rows = [
        {'step': 10, 'valid/elbo_nats': None},
        {'step': 20, 'valid/elbo_nats': -90.0},
        {'step': 30, 'valid/elbo': -80.0},
    ]
    (run.folder / 'metrics.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
    (row,) = table.rows_of({'seed-0': run}, {'seed-0': {'seed': 0}})
    assert (row['status'], row['step'], row['elbo_nats']) == ('finished', 20, -90.0)


def test_only_a_sweep_that_has_begun_keeps_its_settings(tmp_path, complaint):
    """A sweep that did not fit into memory is corrected in the same folder."""
    config_file, config = recipe_and_config(**SETTINGS)
    record, other = (
        sweep_folder.record_of(config_file, config, axes, 0, None) for axes in (AXES, [])
    )
    sweep_folder.write(tmp_path, record)
    (tmp_path / 'member').mkdir()
    (tmp_path / 'member' / 'config.json').touch()
    sweep_folder.check_same(tmp_path, other)
    (tmp_path / 'member' / 'metrics.jsonl').write_text('{"step": 1}\n')
    assert 'is another sweep' in complaint(sweep_folder.check_same, tmp_path, other)


def test_a_sweep_killed_before_its_file_was_written_continues(tmp_path):
    """The temporary file does not count as another sweep, and it is removed."""
    config_file, config = recipe_and_config(**SETTINGS)
    record = sweep_folder.record_of(config_file, config, AXES, 0, None)
    for name in ('.sweep.json.4711', '.writing-0123456789ab'):
        (tmp_path / name).write_text('{"tor')
    sweep_folder.check_same(tmp_path, record)
    sweep_folder.write(tmp_path, record)
    assert set(contents(tmp_path)) == {'sweep.json'}
    sweep_folder.check_same(tmp_path, record)


@pytest.mark.parametrize(
    'name',
    ['sweep.json', 'sweep.csv', 'sweep.png', 'programs', 'programs/0123456789ab.json', 'jobs'],
)
def test_links_in_a_sweep_folder_are_refused(tmp_path, name):
    """The target of the link is neither read nor changed."""
    config_file, config = recipe_and_config(**SETTINGS)
    record, folder = sweep_folder.record_of(config_file, config, AXES, 0, None), tmp_path / 'sweep'
    sweep_folder.write(folder, record)
    path, mine = folder / name, tmp_path / 'mine'
    path.parent.mkdir(exist_ok=True)
    path.rename(mine) if path.exists() else mine.mkdir()
    path.symlink_to(mine)
    before = contents(tmp_path)
    for check in (sweep_folder.load, lambda folder: sweep_folder.check_same(folder, record)):
        with pytest.raises(UserError, match=f'{path.name} is a symbolic link'):
            check(folder)
    assert contents(tmp_path) == before


def test_a_changed_sweep_file_is_refused(tmp_path):
    """Every shard reads the sweep file."""
    config_file, config = recipe_and_config(**SETTINGS)
    sweep_folder.write(tmp_path, sweep_folder.record_of(config_file, config, AXES, 0, None))
    path = tmp_path / 'sweep.json'
    path.write_text(path.read_text().replace('"num_random": 0', '"num_random": 1'))
    with pytest.raises(UserError, match=r'sweep\.json was changed after it was written'):
        sweep_folder.load(tmp_path)


def test_a_sweep_from_before_the_split_rule_keeps_its_splits(tmp_path):
    np.savez(tmp_path / 'mine.npz', x=np.arange(400).reshape(100, 4) % 9)
    data = dict(data__path=str(tmp_path / 'mine.npz'), **SETTINGS)
    config_file, config = recipe_and_config('arrays,debug', **data, data__split_by='order')
    folder = tmp_path / 'sweep'
    began = sweep.prepare(folder, config_file, config, AXES)
    path = folder / 'sweep.json'
    record = files.read_json(path)
    del record['values']['data']['split_by'], record['values']['data']['held_out_share']
    path.write_text(json.dumps(record))
    config_file, config = recipe_and_config('arrays,debug', **data)
    again = sweep.prepare(folder, config_file, config, AXES)
    for name, run in again.runs.items():
        assert run.config.data.split_by == 'order'
        assert run.data.fingerprint() == began.runs[name].data.fingerprint()


@pytest.mark.parametrize(
    ('axes', 'pattern'),
    [
        (('train.batch_size=48,4000',), 'batch_size-4000.*4000 is larger'),
        (('model.latent_dim=2,0',), 'latent_dim-0.*model.latent_dim'),
        (('seed=-1,0',), 'seed--1: .*2[*][*]32'),
        (('model.activation=relu,rellu',), 'activation-rellu.*did you mean'),
        (('hypers.learning_rate=1e-3,-1e-3',), 'learning_rate--0.001: .*hypers.learning_rate=-0.0'),
        (('hypers.warmup_steps=5,1000',), 'warmup_steps-1000.*warmup_steps=1000 is not below'),
        (('hypers.adam_beta1=0.5,1.0',), 'adam_beta1-1.0: .*adam_beta1=1.0'),
        (('data.name=digits,digitz',), 'data.name|name-digitz'),
    ],
)
def test_a_member_that_cannot_be_trained_is_named_before_anything_is_written(
    tmp_path, axes, pattern
):
    with pytest.raises(UserError, match=pattern):
        swept(tmp_path / 'sweep', axes)
    assert not (tmp_path / 'sweep').exists()


def test_a_large_sweep_raises_the_limit_of_open_files():
    """Raises the limit above the usual 1024 if the system allows it; otherwise an error advises."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))
        group.allow_files(10)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 256
        group.allow_files(300)
        assert 300 < resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 600
        if most != resource.RLIM_INFINITY:
            with pytest.raises(UserError, match='ulimit -n .*--sweep_shard'):
                group.allow_files(most)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))


def test_settings_are_sorted_by_the_best_metric_or_a_metric_of_the_model(tmp_path):
    """A GAN's accuracies come first in a row, but are neither of the two."""
    config_file, config = recipe_and_config()
    rows = [{'member': 'a', 'seed': 0, 'status': 'finished', 'step': 5, 'accuracy_real': 0.9}]
    named = table.metric_of(config.train, rows, ['seed'])
    assert named == ('elbo_nats', 1.0)
    config.train.best_metric = ''
    run = experiment.assemble(tmp_path, config_file, config)
    assert table.metric_of(run.config.train, rows, ['seed']) == ('accuracy_real', 1.0)
    assert table.metric_of(run.config.train, [{**rows[0], 'coverage': 0.2}], ['seed']) == (
        'coverage',
        1.0,
    )
    config.train.best_mode = 'min'
    other = experiment.assemble(tmp_path, config_file, config)
    assert table.metric_of(other.config.train, rows, ['seed'])[1] == -1.0
    assert table.metric_of(run.config.train, [{'member': 'a', 'seed': 0}], ['seed']) is None


# main.py


CONFIG = f'--config={ROOT}/configs/vae.py'


@pytest.mark.parametrize(
    ('arguments', 'pattern'),
    [
        pytest.param([CONFIG, '--sweep=seed=0:2'], '--sweep is for --mode=sweep', marks=SLOW),
        (['--mode=sweep', '--workdir=none'], 'none does not exist; give the folder of a sweep'),
        pytest.param(
            ['--mode=sweep', CONFIG, '--sweep=hypers.bta=1'],
            "did you mean 'hypers.beta'",
            marks=SLOW,
        ),
    ],
)
def test_bad_input_ends_in_one_line(main, tmp_path, arguments, pattern):
    from support import error_line

    assert pattern in error_line(main(*arguments, cwd=tmp_path))


DRIVER = f"""
import runpy, sys
sys.path.insert(0, {str(ROOT)!r})
from atelier.sweep import vmapped_program
vmapped_program.LOOP_PAYS = 0.0
sys.argv = ['main.py', *sys.argv[1:]]
runpy.run_path({str(ROOT / 'main.py')!r}, run_name='__main__')
"""


@pytest.mark.slow
def test_sigkill_at_any_moment_changes_nothing(tmp_path):
    settings = dict(steps=200, evaluate_every=20, checkpoint_every=20, steps_per_dispatch=10)
    arguments = [f'--config.train.{name}={value}' for name, value in settings.items()]
    arguments += [f'--config={ROOT}/configs/vae.py:debug', '--mode=sweep', '--sweep=seed=0:3']
    environment = {**os.environ, 'XLA_FLAGS': '--xla_force_host_platform_device_count=2'}

    def begin(folder):
        command = [sys.executable, '-c', DRIVER, f'--workdir={folder}', *arguments]
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    assert begin(tmp_path / 'whole').wait(300) == 0
    folder, kills = tmp_path / 'sweep', 0
    saved = lambda: {p for p in folder.glob('seed-2/checkpoints/*') if p.name.isdigit()}
    while True:
        process, before = begin(folder), saved()
        while process.poll() is None and saved() <= before:
            time.sleep(0.01)
        time.sleep(0.07 * kills)
        if process.poll() is not None:
            assert process.returncode == 0
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        if kills == 2:
            assert begin(folder).wait(300) == 0
            break
    assert kills >= 2
    assert outcome(folder) == outcome(tmp_path / 'whole')
