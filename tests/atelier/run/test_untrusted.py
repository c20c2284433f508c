"""Nothing that comes from someone else runs: every mode, under an audit hook, in one process.

`tests/untrusted_use.py` makes the runs and uses them; the tests judge what it found.
"""

import json
import os
import subprocess
import sys

import pytest

from atelier.checkout import ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def found(tmp_path_factory):
    """What the commands said and the hook recorded."""
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


def test_every_mode_works_on_own_runs(found):
    """Only commands that work can prove something."""
    assert {mode: line for mode, line in found['clean'].items() if line != 'ok'} == {}


def test_code_in_a_run_folder_changes_nothing(found):
    """Modules, packages, compiled code and pickles lie in every folder of the runs."""
    assert found['planted'] == found['clean']


def test_no_code_of_an_untrusted_folder_runs(found):
    """None is compiled, executed, imported or opened, and none left its mark."""
    assert found['code'] == []
    assert found['marked'] == ''


def test_no_pickle_process_or_library_is_used_for_untrusted_files(found):
    """Names that pickles look up, programs and libraries are those of the clean runs."""
    assert found['unusual'] == []


def test_a_record_that_names_code_is_refused_in_one_line(found):
    """In every mode, however the path is written, in config.json and sweep.json."""
    assert_refused(found['pointed'], may_work=('init_from', 'compare'))


def test_data_that_hold_code_are_refused_in_one_line(found):
    """Object arrays, pickles, a class that TFDS would import, PostScript, programs."""
    assert_refused(found['data'])


def test_handlers_that_a_checkpoint_names_are_not_imported(found):
    """The names in its metadata are the folder's modules; it is read all the same or refused."""
    line = found['handlers']['sample']
    assert line == 'ok' or is_one_line(line), line


def test_the_hook_notices_code_that_runs(found):
    """A typed config of the same folder, a pickle and a process: the other tests can fail."""
    controls = found['controls']
    assert controls['said'] == 'ok'
    assert any(line.startswith('exec ') and line.endswith('evil.py') for line in controls['code'])
    assert controls['marked']
    assert 'io.open' in controls['pickles']
    assert controls['processes'] == ['subprocess.Popen true']


def assert_refused(said, may_work=()):
    """Every command ended in one line; those of `may_work` read no config and may succeed."""
    for name, line in said.items():
        works = line == 'ok' and name.split(' ')[0] in may_work
        assert works or is_one_line(line), f'{name}: {line}'


def is_one_line(said):
    return said.startswith('error: ') and '\n' not in said
