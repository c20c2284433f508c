"""The command: a real, tiny training through to its file of results and the archive; messages."""

import tarfile

import example_rows
import pytest

from atelier.errors import UserError
from benchmarks.reference import __main__ as command
from benchmarks.reference import results, rows

DEBUG = """
[[row]]
name = 'tree'
title = 'a tree'
section = 'examples'
unit = 'nats'
config = 'configs/chow_liu.py:digits,debug'
values = {NLL = 'values.nll_nats.mean'}
target = {value = 97.0, tolerance = 0.1, direction = 'lower'}
minutes = {cpu = 1}
priority = 1
"""


@pytest.fixture
def perform(tmp_path, monkeypatch, capsys):
    """A function of the arguments of the command: (exit status, what it printed)."""
    folder = tmp_path / 'rows'
    folder.mkdir()
    monkeypatch.setattr(command, 'this_machine', lambda: example_rows.MACHINE)

    load = rows.load
    monkeypatch.setattr(rows, 'load', lambda: load(folder))

    def performed(*arguments):
        own = [f'--{name}={tmp_path / name}' for name in ('data', 'folder', 'results')]
        status = command.perform(command.parser().parse_args([*own, *arguments]))
        return status, capsys.readouterr().out

    performed.rows = folder / 'rows.toml'
    return performed


@pytest.mark.slow
def test_a_row_runs_through_to_its_result_and_archive(perform, tmp_path):
    perform.rows.write_text(DEBUG)
    archive = tmp_path / 'all.tar.gz'
    status, printed = perform('tree', f'--archive={archive}')
    assert status == 0 and 'OUTSIDE' in printed  # the debug variant sees few examples
    row = rows.load()['tree']
    result = results.load(row, 'cpu', tmp_path / 'results')
    assert result.is_finished and 97.1 < result.values['NLL'].mean < 200
    run = f'runs/tree-{row.definition}/seed-0'
    with tarfile.open(archive) as members:
        names = members.getnames()
    kept = ('evaluation.json', 'config.json', 'metrics.jsonl')
    assert {'results/tree.cpu.json', f'{run}.json', f'{run}.log'} <= set(names)
    assert {f'{run}/{name}' for name in kept} <= set(names)
    assert not any('checkpoints' in name or name.startswith('/') for name in names)
    log = tmp_path / 'folder' / f'tree-{row.definition}' / 'seed-0.log'
    size = log.stat().st_size
    assert perform('tree')[0] == 0 and log.stat().st_size == size  # it is not measured again
    assert perform('--minutes=1')[0] == 0 and log.stat().st_size == size
    assert 'a tree' in perform('--list')[1]
    assert 'tree, seed 0' not in perform('--list', '--minutes=1')[1]
    card = perform('--list', '--minutes=1', '--kind=gpu', 'tree', f'--folder={tmp_path}')[1]
    assert '0.0    0        tree, seed 0  a tree' in card


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((), 'name rows, or give the time'),
        *((('tree', f'--minutes={text}'), 'is no time') for text in ('0', '-1', 'nan', 'inf')),
        *((('tree', f'--jobs={text}'), 'at least one row') for text in ('0', '-2')),
        (('trea',), r"no row trea \(did you mean 'tree'\?\): see --list"),
    ],
)
def test_what_the_command_cannot_do_is_one_line(arguments, message, perform):
    perform.rows.write_text(DEBUG)
    with pytest.raises(UserError, match=message):
        perform(*arguments)


def test_a_folder_or_an_archive_that_cannot_be_written_is_noticed_first(perform, tmp_path):
    perform.rows.write_text(DEBUG)
    (tmp_path / 'file').touch()
    for name in ('folder', 'results'):
        with pytest.raises(UserError, match=f'File exists; choose another --{name}'):
            perform('tree', f'--{name}={tmp_path / "file"}')
    with pytest.raises(UserError, match='cannot write .*a.tar.gz: No such file or directory'):
        perform('tree', f'--archive={tmp_path}/no/folder/a.tar.gz')
    assert not [*(tmp_path / 'folder').glob('tree-*')]
