"""Nothing that comes from someone else runs: every mode, under an audit hook, in one process.

`tests/untrusted_use.py` makes the runs and uses them; `benchmarks.untrusted` judges its records.
"""

import os

import pytest

from benchmarks import untrusted

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def records(tmp_path_factory):
    """The last line of each command, and the records of the audit hook."""
    flags = os.environ['XLA_FLAGS'].replace('device_count=8', 'device_count=1')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XLA_FLAGS', flags)
        return untrusted.records(tmp_path_factory.mktemp('untrusted'))


def test_every_mode_works_on_own_runs(records):
    """The other tests prove something only if the commands work."""
    assert {mode: line for mode, line in records['clean'].items() if line != 'ok'} == {}


def test_every_command_works_as_usual_or_ends_in_one_line(records):
    """With code beside every file of a run, records that name code, and data that hold code."""
    tries = untrusted.judged(records)
    assert {kind: problems for kind, (_, problems) in tries.items() if problems} == {}
    assert all(count for count, _ in tries.values())


def test_no_code_of_an_untrusted_folder_runs(records):
    """None is compiled, executed, imported or opened, none left its mark, no pickle is read."""
    assert untrusted.executed(records) == []


def test_a_record_cannot_start_a_download(records):
    """TensorFlow and the network are there; the line says how to prepare the data oneself."""
    lines = {mode: line for mode, line in records['unprepared'].items() if line != 'ok'}
    worked = {name.split(' ')[0] for name in {*records['unprepared']} - {*lines}}
    assert worked <= {*untrusted.MAY_WORK}
    for mode, line in lines.items():
        assert 'to prepare it, if you trust' in line, f'{mode}: {line}'


def test_the_hook_detects_code_that_runs(records):
    """With a typed config of that folder, a pickle and a process: so the other tests can fail."""
    controls = records['controls']
    assert controls['said'] == 'ok'
    assert any(line.startswith('exec ') and line.endswith('evil.py') for line in controls['code'])
    assert controls['marked']
    assert 'io.open' in controls['pickles']
    assert controls['processes'] == ['subprocess.Popen true']


def test_a_traceback_and_a_changed_command_are_problems():
    """The judgement can fail."""
    found = {
        'clean': {'sample': 'ok', 'evaluate': 'ok'},
        'planted': {'sample': 'ok', 'evaluate': 'error: no'},
        'pointed': {'sample x': 'ok', 'compare x': 'ok', 'train x': 'error: refused'},
        'data': {'npz': 'traceback: ValueError: x'},
        'unprepared': {'sample': 'ok', 'init_from': 'ok', 'evaluate': 'error: not prepared'},
        'handlers': {'sample': 'ok'},
    }
    assert [problems for _, problems in untrusted.judged(found).values()] == [
        ['evaluate: error: no'],
        ['sample x: ok'],
        ['npz: traceback: ValueError: x'],
        ['sample: ok'],
        [],
    ]
    part = {'clean': found['clean'], 'planted': found['planted']}  # the time was up
    (tries,) = untrusted.judged(part).values()
    assert tries == (2, ['evaluate: error: no'])
    assert untrusted.judged({}) == {}
