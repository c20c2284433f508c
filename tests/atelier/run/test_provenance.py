"""Provenance: names what changed since a run started: its config file, the code or its data."""

import json
import re
import shlex
import subprocess
import sys

import pytest

from atelier.checkout import ConfigFile
from atelier.run import code_record, provenance

VAE = ConfigFile('configs/vae.py', 'digits')


@pytest.fixture
def record():
    """Returns what config.json records of a run that has just started."""
    commit = provenance.git_hash()
    code = code_record.recorded_fields(VAE)
    start = {'path': VAE.path, 'argument': VAE.argument, 'source': VAE.source(), 'git': commit}
    return {**start, **code}


def test_unchanged_code_gives_no_warning(record, tmp_path, caplog):
    provenance.warn_if_code_changed(tmp_path, record, VAE)
    assert caplog.text == ''


def test_the_warning_shows_the_changed_line_of_a_config(record, tmp_path, caplog):
    lines = record['source'].split('\n')
    then = '\n'.join([*lines[:9], 'a line of then', *lines[10:]])
    provenance.warn_if_code_changed(tmp_path, {**record, 'source': then}, VAE)
    (line,) = caplog.messages
    assert line.startswith(f'configs/vae.py has changed since {tmp_path} began')
    assert '-a line of then' in line and f'+{lines[9]}' in line
    assert lines[0] not in line  # only changed lines are shown


def test_of_a_long_difference_the_first_lines_are_shown(record, tmp_path, caplog):
    """With the number of changed lines, and the command that shows all of them."""
    (tmp_path / 'a run').mkdir()
    then = {**record, 'source': ''}
    (tmp_path / 'a run' / 'config.json').write_text(json.dumps(then))
    provenance.warn_if_code_changed(tmp_path / 'a run', then, VAE)
    count = len(record['source'].splitlines())
    first, second = caplog.messages
    assert f'began, in {count:,} lines:\n' in first
    assert first.count('\n') == provenance.MAX_LINES
    not_shown, _, command = second.partition(' not shown; all: ')
    assert int(not_shown.split()[0].replace(',', '')) == count + 3 - provenance.MAX_LINES
    shell = f'{command.replace("python", shlex.quote(sys.executable), 1)}'
    shown = subprocess.run(shell, shell=True, capture_output=True, text=True)
    assert shown.stdout.count('\n> ') == count and not shown.stderr


def test_another_commit_of_the_same_code_is_no_change(record, tmp_path, caplog):
    """Of a run of an earlier version only the commit is known."""
    other = {**record, 'git': '0123abc'}
    provenance.warn_if_code_changed(tmp_path, other, VAE)
    assert caplog.text == ''
    provenance.warn_if_code_changed(tmp_path, {**other, 'code': None, 'neighbours': None}, VAE)
    assert f'0123abc then, {record["git"]} now' in caplog.text


def test_changed_packages_and_neighbours_are_named(record, tmp_path, caplog):
    """Whether or not Git knows of the change."""
    code = {**record['code'], 'losses': '0', 'models/gone': '1'}
    provenance.warn_if_code_changed(tmp_path, {**record, 'code': code}, VAE)
    (line,) = caplog.messages
    assert f'the code has changed since {tmp_path} began, in losses, models/gone (commit' in line
    caplog.clear()
    code = dict.fromkeys(record['code'], '0')
    provenance.warn_if_code_changed(tmp_path, {**record, 'code': code}, VAE)
    (line,) = caplog.messages
    assert f' and {len(code) - provenance.MAX_NAMED} more (commit' in line
    caplog.clear()
    provenance.warn_if_code_changed(tmp_path, {**record, 'neighbours': {'helper.py': '0'}}, VAE)
    assert caplog.messages == [f'helper.py beside {VAE.path} changed since {tmp_path} began']


def test_a_commit_is_a_hash_or_unknown(monkeypatch, tmp_path):
    assert re.fullmatch(r'[0-9a-f]{40}(\+changes)?|unknown', provenance.git_hash())
    monkeypatch.setenv('PATH', str(tmp_path))  # git is not on this path
    assert provenance.git_hash() == 'unknown'


def test_data_differences_are_named_with_x_first():
    then = {'test': '10 examples', 'train': '90 examples', 'x': '8 x 8'}
    assert provenance.data_difference(then, then) == ''
    assert provenance.data_difference(None, then) == ''  # run of an earlier version
    now = {**then, 'test': '11 examples', 'x': '9 x 9'}
    expected = 'x: 8 x 8 then, 9 x 9 now; test: 10 examples then, 11 examples now'
    assert provenance.data_difference(then, now) == expected
    assert provenance.data_difference({'x': 'a'}, {'x': 'a', 'valid': 'b'}) == (
        'valid: None then, b now'
    )


def test_changed_data_are_a_warning_and_changed_shapes_an_error(vae, caplog, complaint):
    same = vae.data.fingerprint()
    provenance.warn_if_data_changed(vae.folder, vae.data, {'data': same})
    assert caplog.text == ''
    provenance.warn_if_data_changed(vae.folder, vae.data, {'data': {**same, 'test': 'others'}})
    assert 'have changed: test: others then' in caplog.text
    other = {'data': {**same, 'x': 'others'}}
    line = complaint(provenance.warn_if_data_changed, vae.folder, vae.data, other)
    assert 'no longer fit its model: x: others then' in line
