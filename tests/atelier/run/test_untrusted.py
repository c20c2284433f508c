"""Nothing that comes from someone else runs: every mode, under an audit hook, in one process.

`tests/untrusted_use.py` makes the runs and uses them; these tests check its records.
"""

import json
import os
import subprocess
import sys

import pytest

from atelier.checkout import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def records(tmp_path_factory):
    """The last line of each command, and the records of the audit hook."""
    folder = tmp_path_factory.mktemp('untrusted')
    flags = os.environ['XLA_FLAGS'].replace('device_count=8', 'device_count=1')
    result = subprocess.run(
        [sys.executable, str(ROOT / 'tests' / 'untrusted_use.py'), str(folder)],
        cwd=ROOT,
        env={**os.environ, 'XLA_FLAGS': flags, 'JAX_DISABLE_MOST_OPTIMIZATIONS': 'true'},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_every_mode_works_on_own_runs(records):
    """The other tests prove something only if the commands work."""
    assert {mode: line for mode, line in records['clean'].items() if line != 'ok'} == {}


def test_code_in_a_run_folder_changes_nothing(records):
    """Modules, packages, compiled code and pickles are in every folder of the runs."""
    assert records['planted'] == records['clean']


def test_no_code_of_an_untrusted_folder_runs(records):
    """None is compiled, executed, imported or opened, and none left its mark."""
    assert records['code'] == []
    assert records['marked'] == ''


def test_no_pickle_process_or_library_is_used_for_untrusted_files(records):
    """Names that pickles look up, programs and libraries are those of the clean runs."""
    assert records['unusual'] == []


def test_a_record_that_names_code_is_refused_in_one_line(records):
    """In every mode, however the path is written, in config.json and sweep.json."""
    assert_refused(records['pointed'], may_work=('init_from', 'compare'))


def test_data_that_hold_code_are_refused_in_one_line(records):
    """Object arrays, pickles, a class that TFDS would import, PostScript, programs."""
    assert_refused(records['data'])


def test_handlers_that_a_checkpoint_names_are_not_imported(records):
    """The names in its metadata are the folder's modules; it is read all the same or refused."""
    line = records['handlers']['sample']
    assert line == 'ok' or is_one_line(line), line


def test_the_hook_detects_code_that_runs(records):
    """With a typed config of that folder, a pickle and a process: so the other tests can fail."""
    controls = records['controls']
    assert controls['said'] == 'ok'
    assert any(line.startswith('exec ') and line.endswith('evil.py') for line in controls['code'])
    assert controls['marked']
    assert 'io.open' in controls['pickles']
    assert controls['processes'] == ['subprocess.Popen true']


def assert_refused(outcomes, may_work=()):
    """Every command ended in one line; those of `may_work` read no config and may succeed."""
    for name, line in outcomes.items():
        works = line == 'ok' and name.split(' ')[0] in may_work
        assert works or is_one_line(line), f'{name}: {line}'


def is_one_line(message):
    return message.startswith('error: ') and '\n' not in message
