"""Which rows are measured and in which order; stopping, killing and continuing."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import example_rows
import pytest

from atelier import checkout, files
from atelier.errors import UserError
from benchmarks.reference import commands, job, lock, progress, results, schedule, tables, work
from benchmarks.reference.schedule import Task
from benchmarks.reference.work import Work

TIMED = 'alone = true\ncontinues = false'


def names_of(tasks):
    return [f'{task.name} {task.seed}' for task in tasks]


def measured(setting, tasks, end=math.inf):
    ended = []
    problems = work.measure(setting, tasks, end, ended.append)
    return names_of(ended), {str(task): problem for task, problem in problems.items()}


@pytest.fixture
def rows_of(tmp_path):
    return lambda *texts: example_rows.load(tmp_path, *texts)


def test_the_most_valuable_rows_without_a_result_come_first(tmp_path, rows_of, monkeypatch):
    known = rows_of(
        *[('low', 1, ''), ('high', 9, ''), ('done', 50, '')],
        *[('elsewhere', 70, "data = ['tfds']"), ('timed', 9, TIMED)],
    )
    example_rows.scripted(monkeypatch)
    setting = example_rows.setting(tmp_path, known)
    tasks = [Task('done', 0), Task('done', 1)]
    assert measured(setting, tasks) == (['done 0', 'done 1'], {})
    results.write(known['done'], setting.runs, tmp_path)
    found = results.load_all(known, tmp_path)
    order = ['timed 0', 'timed 1', 'high 0', 'high 1', 'low 0', 'low 1']
    assert names_of(schedule.chosen(setting, [], found)) == order
    elsewhere = setting._replace(runs=tmp_path / 'others')  # measured before, in another folder
    assert names_of(schedule.chosen(elsewhere, [], found)) == [*order, 'done 0', 'done 1']
    card = setting._replace(machine={'kind': 'gpu'})  # no row is meant for it
    assert schedule.chosen(card, [], found) == []
    (setting.data / 'tfds').mkdir()
    assert names_of(schedule.chosen(setting, [], found))[:2] == ['elsewhere 0', 'elsewhere 1']
    assert names_of(schedule.chosen(setting, ['low'], found)) == ['low 0', 'low 1']


def test_a_plan_has_what_starts_within_the_time(tmp_path, rows_of):
    known = rows_of(('long', 3, TIMED), ('short', 9, TIMED), ('continued', 1, ''))
    known['long'] = known['long']._replace(minutes={'cpu': 2.5})
    setting = example_rows.setting(tmp_path, known)
    tasks = schedule.chosen(setting, [], {})
    plan = schedule.planned(setting, tasks, 4.0)
    assert [(str(task), start) for task, start in plan] == [
        *[('short, seed 0', 0.0), ('short, seed 1', 1.0)],
        *[('long, seed 0', None), ('long, seed 1', None)],
        *[('continued, seed 0', 2.0), ('continued, seed 1', 3.0)],
    ]
    lines = tables.plan(known, plan, 'cpu').splitlines()
    assert lines[2].split()[:3] == ['1.0', '1', 'short,'] and lines[3].startswith('later  2.5')


def test_a_row_follows_the_run_that_it_needs(tmp_path, rows_of, monkeypatch):
    needing = "needs = ['other']\noverrides = {'eval.classifier' = 'RUN(other)'}"
    known = rows_of(('row', 9, needing), ('other', 1, ''))
    setting = example_rows.setting(tmp_path, known, jobs=2)
    (train,) = commands.real(known['row'], 0, setting.runs, setting.data, known)
    run = commands.folder_of(known['other'], 0, setting.runs)
    assert f'--config.eval.classifier={run}' in train
    tasks = schedule.chosen(setting, ['row'], {})
    assert names_of(tasks) == ['other 0', 'row 0', 'row 1']
    example_rows.scripted(monkeypatch)
    assert measured(setting, tasks)[0][0] == 'other 0'
    example_rows.scripted(monkeypatch, failing=('other',))
    again = setting._replace(runs=tmp_path / 'again')
    ended, problems = measured(again, tasks)
    assert ended == [] and problems['row, seed 0'] == 'it needs other'
    assert problems['other, seed 0'] == 'its command ended with status 3: it went wrong'


def test_a_parent_has_the_seed_of_its_child(tmp_path, rows_of):
    """Children share its run. Without this seed, they use its first one."""
    of_codes = "parent = 'other'\nneeds = ['judge']\noverrides = {'eval.classifier' = 'RUN(judge)'}"
    known = rows_of(
        *[('row', 9, of_codes), ('again', 8, of_codes)],
        *[('other', 1, "data = ['tfds']"), ('judge', 1, '')],
    )
    setting = example_rows.setting(tmp_path, known)
    assert {t.name for t in schedule.chosen(setting, [], {})} == {'judge'}  # the parent has no data
    (setting.data / 'tfds').mkdir()
    assert names_of(schedule.chosen(setting, ['row', 'again'], {})) == [
        *['other 0', 'judge 0', 'row 0', 'other 1', 'row 1', 'again 0', 'again 1']
    ]
    for seeds, used in (((0, 1), 1), ((0,), 0)):
        known['other'] = known['other']._replace(seeds=seeds)
        (train,) = commands.real(known['row'], 1, setting.runs, setting.data, known)
        run, judge = (
            commands.folder_of(known[name], seed, setting.runs)
            for name, seed in (('other', used), ('judge', 0))
        )
        assert f'--config.data.run={run}' in train and f'--config.eval.classifier={judge}' in train
        assert setting.needed(Task('row', 1)) == [Task('other', used), Task('judge', 0)]


def test_what_does_not_fit_starts_only_if_it_can_be_continued(tmp_path, rows_of):
    known = rows_of(('timed', 9, TIMED), ('trained', 1, ''))
    setting = example_rows.setting(tmp_path, known)
    assert setting.may_start(known['timed'], 61) and not setting.may_start(known['timed'], 59)
    assert setting.may_start(known['trained'], 1)


def test_timed_rows_run_alone_and_others_side_by_side(tmp_path, rows_of):
    known = rows_of(('a', 3, ''), ('b', 2, ''), ('timed', 1, TIMED))
    setting = example_rows.setting(tmp_path, known, jobs=2)

    def ready(waiting, jobs):
        work = Work(setting, waiting)
        work.jobs = jobs
        return names_of(work.ready(1e9))

    tasks = [Task('a', 0), Task('b', 0), Task('timed', 0), Task('timed', 1)]
    assert ready(tasks, {}) == ['a 0', 'b 0']
    assert ready(tasks[1:], {tasks[0]: None}) == ['b 0']
    assert ready(tasks[2:], {tasks[0]: None}) == []
    assert ready(tasks[2:], {}) == ['timed 0']
    assert ready([tasks[0]], {tasks[2]: None}) == []


def test_missing_data_and_failures_are_problems(tmp_path, rows_of, monkeypatch):
    known = rows_of(('row', 1, "data = ['text/a.txt']"), ('bad', 1, ''))
    example_rows.scripted(monkeypatch, failing=('bad',))
    setting = example_rows.setting(tmp_path, known)
    ended, problems = measured(setting, schedule.chosen(setting, ['row', 'bad'], {}))
    assert ended == []
    assert problems['row, seed 1'] == f'{setting.data} has no text/a.txt'
    assert problems['bad, seed 1'] == 'its command ended with status 3: it went wrong'
    assert results.write(known['bad'], setting.runs, tmp_path) == []


@pytest.mark.slow
def test_a_stopped_row_goes_on_where_it_was_stopped(tmp_path, rows_of, monkeypatch):
    """The time ends within the first seed; the next start continues it, mode included."""
    known = rows_of(('row', 1, ''))
    example_rows.scripted(monkeypatch, count=200, pause=0.02, modes=1)
    setting = example_rows.setting(tmp_path, known)
    tasks = schedule.chosen(setting, ['row'], {})
    steps = commands.folder_of(known['row'], 0, setting.runs) / 'steps'
    clock = SimpleNamespace(monotonic=lambda: float(steps.exists()), sleep=time.sleep)
    with monkeypatch.context() as patch:
        patch.setattr(work, 'time', clock)  # the time is over once the first seed works
        ended, problems = measured(setting, tasks, end=0.5)
    assert ended == []
    assert problems == {'row, seed 0': 'it was stopped', 'row, seed 1': 'the time was over'}
    assert int(steps.read_text()) < 200
    before = progress.load(known['row'], 0, setting.runs)
    assert before.starts == 1 and before.ended == 0 and before.seconds > 0
    example_rows.scripted(monkeypatch, count=200, modes=1)
    assert measured(setting, schedule.chosen(setting, ['row'], {})) == (['row 0', 'row 1'], {})
    after = progress.load(known['row'], 0, setting.runs)
    assert after.starts == 2 and after.ended == 2 and after.seconds > before.seconds
    assert len(after.loads) == 2 and after.values == {'NLL': 9.0}
    log = commands.folder_of(known['row'], 0, setting.runs).with_suffix('.log').read_text()
    assert log.count('begins') == 2 and log.count('a mode') == 1


def test_ctrl_c_that_ends_the_child_first_is_no_failure(tmp_path, rows_of, monkeypatch):
    known = rows_of(('row', 1, ''))
    example_rows.scripted(monkeypatch, count=200, pause=0.02)
    setting, started = example_rows.setting(tmp_path, known), []

    def started_job(*arguments):
        started.append(job.Job(*arguments))
        return started[0]

    def interrupted(pause):
        if started[0].is_running:
            started[0]._process.terminate()
            started[0]._process.wait()
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(work, 'Job', started_job)
    monkeypatch.setattr(work, 'time', SimpleNamespace(monotonic=time.monotonic, sleep=interrupted))
    assert measured(setting, [Task('row', 0)]) == ([], {'row, seed 0': 'it was stopped'})


def test_what_another_process_finished_meanwhile_is_not_measured(tmp_path, rows_of, monkeypatch):
    known = rows_of(('row', 1, ''))
    example_rows.scripted(monkeypatch)
    setting = example_rows.setting(tmp_path, known)
    tasks = schedule.chosen(setting, ['row'], {})
    for ended in (['row 0', 'row 1'], []):
        assert measured(setting, tasks) == (ended, {})


KILLED = """
import pathlib, sys
import example_rows
from benchmarks.reference import schedule, work
folder = pathlib.Path(sys.argv[1])
known = example_rows.load(folder, ('row', 1, ''))
class Patch:
    setattr = staticmethod(setattr)
example_rows.scripted(Patch, count=200, pause=0.05)
setting = example_rows.setting(folder, known)
work.measure(setting, schedule.chosen(setting, ['row'], {}), float('inf'), print)
"""


@pytest.mark.slow
def test_a_kill_of_the_command_ends_its_children_too(tmp_path, rows_of, monkeypatch):
    known = rows_of(('row', 1, ''))
    setting = example_rows.setting(tmp_path, known)
    environment = {**os.environ, 'PYTHONPATH': f'{checkout.ROOT}:{checkout.ROOT / "tests"}'}
    process = subprocess.Popen([sys.executable, '-c', KILLED, str(tmp_path)], env=environment)
    steps = commands.folder_of(known['row'], 0, setting.runs) / 'steps'
    while not steps.exists():
        assert process.poll() is None
        time.sleep(0.02)
    with monkeypatch.context() as patch, pytest.raises(UserError, match='another process measures'):
        patch.setattr(lock, 'PATIENCE', 0.0)
        lock.Lock(setting.runs).__enter__()
    process.send_signal(signal.SIGKILL)
    process.wait()
    example_rows.scripted(monkeypatch, count=int(steps.read_text()) + 3)
    # waits until the child has noticed, or both would work in the folder
    assert measured(setting, schedule.chosen(setting, ['row'], {})) == (['row 0', 'row 1'], {})
    assert progress.load(known['row'], 0, setting.runs).starts == 2


def test_a_damaged_progress_ends_in_one_line(tmp_path, rows_of):
    known = rows_of(('row', 1, ''))
    setting = example_rows.setting(tmp_path, known)
    path = progress.path_of(known['row'], 0, setting.runs)
    path.parent.mkdir(parents=True)
    whole = progress.Progress(
        ended=1, values={'NLL': 1.0}, errors={'NLL': None}, machine=example_rows.MACHINE
    )._asdict()
    files.write_json(path, whole)
    assert progress.load(known['row'], 0, setting.runs).is_finished
    wrong = [
        *(whole | {'ended': count} for count in ('1', -1, 1.0)),
        *(whole | {'values': values} for values in ([1], {'KL': 1.0}, {'NLL': 'x'}, {'NLL': None})),
        *(whole | {'machine': machine} for machine in ([], {}, {'kind': 'gpu'})),
        *(whole | {'loads': loads} for loads in (1, ['x'])),
        whole | {'errors': {}},
    ]
    for text in ('', '[]', '{"ended": 1}', '{"a": ', *map(json.dumps, wrong)):
        path.write_text(text)
        with pytest.raises(UserError, match='seed-0.json is damaged: remove it'):
            schedule.chosen(setting, ['row'], {})
