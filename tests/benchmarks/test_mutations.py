"""Damage is random but reproducible; a damaged file ends in one line or the same result."""

import json
import os
import random
import re
import stat
import subprocess
import sys

import pytest

from atelier.checkout import ROOT
from benchmarks.file_kinds import KINDS, Kind, damaged_without_checksum, rechecked
from benchmarks.mutating import damaged, misshapen, not_regular, swapped
from benchmarks.mutations import judged


@pytest.mark.parametrize('content', [b'', b'7', b'{"a": 1.5}', bytes(range(256)) * 9])
def test_damage_changes_the_content_and_repeats(content):
    changed = [damaged(content, random.Random(seed)) for seed in range(50)]
    assert content not in changed
    assert len(set(changed)) > 10
    assert changed == [damaged(content, random.Random(seed)) for seed in range(50)]


def test_one_value_of_a_record_changes():
    """The record itself is unchanged, and all kinds of changes occur."""
    record = {'a': 1, 'b': [2, {'c': 'text'}], 'd': {}}
    before = json.dumps(record)
    texts = {json.dumps(misshapen(record, random.Random(seed))) for seed in range(200)}
    assert json.dumps(record) == before
    assert len(texts) > 40 and any('NaN' in text for text in texts)
    assert any('"b"' not in text for text in texts)


def test_checksums_are_removed_or_right_again():
    """Otherwise only the checksum would be tested."""
    record = json.dumps({'checksum': '00', 'a': {'b': 3}}).encode()
    assert b'checksum' not in damaged_without_checksum(record, random.Random(0))
    line = b'atelier3[1,2,[3]]\n'
    changed = rechecked(line + b'xxwords', random.Random(0))
    assert changed.startswith(b'atelier3') and changed.endswith(b'words')
    assert changed.partition(b'\n')[2][:2] != b'xx'


def test_a_file_is_replaced_by_what_is_no_file_or_by_that_of_another_run(tmp_path):
    kinds = set()
    for seed in range(40):
        path = tmp_path / f'{seed}'
        path.write_bytes(b'x')
        not_regular(path, random.Random(seed))
        assert path.is_symlink() or not path.is_file()
        mode = path.lstat().st_mode
        kinds.add(os.readlink(path) if path.is_symlink() else stat.S_IFMT(mode))
    assert {stat.S_IFDIR, stat.S_IFIFO, stat.S_IFSOCK, '/dev/zero'} < kinds
    for name in ('seed-0', 'seed-1'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'config.json').write_text(name)
    (tmp_path / 'seed-0' / 'alone.json').write_text('')
    kind = Kind('seed-0/*.json', lambda _: None, replace=swapped)
    (path,) = kind.paths(tmp_path)
    swapped(path, random.Random(0))
    assert path.read_text() == 'seed-1'


def test_a_result_is_judged_by_the_result_of_the_undamaged_file():
    """Another result is a fault only where a checksum should have detected the damage."""
    guarded, other = KINDS['checkpoint'], KINDS['text']
    read = lambda text, *warnings: {'outcome': 'read', 'text': text, 'warnings': warnings}
    assert judged(guarded, read('a'), read('a')) == 'same'
    assert judged(guarded, read('b', 'damaged'), read('a')) == 'warned'
    assert judged(guarded, read('b', 'usual'), read('a', 'usual')) == 'unnoticed'
    assert judged(guarded, read('b'), read('a')) == 'unnoticed'
    assert judged(other, read('b'), read('a')) == 'other'
    assert judged(other, {'outcome': 'hang'}, read('a')) == 'hang'


@pytest.mark.slow
def test_ten_damaged_files_of_each_kind():
    """Each ends in one line or the same result: no traceback, no hang, not much memory."""
    result = subprocess.run(
        [sys.executable, '-m', 'benchmarks.mutations', '--tries=10'],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(rf'^0 bad outcomes of {10 * len(KINDS)}$', result.stdout, re.MULTILINE)
