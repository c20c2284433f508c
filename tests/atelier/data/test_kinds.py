"""What pictures take x for: by its shape, or as the user says."""

import json

import numpy as np
import pytest
from support import assembled, begin

from atelier import files
from atelier.data import arrays, kinds
from atelier.data.spec import Spec
from atelier.evaluation.examples import given
from atelier.run import run_folder


@pytest.mark.parametrize(
    ('shape', 'kind', 'is_guess'),
    [
        ((), 'values', False),
        ((1,), 'values', False),
        ((2,), 'points', False),
        ((3,), 'points', False),
        ((4,), 'table', True),
        ((128,), 'table', True),
        ((24, 3), 'signals', True),
        ((23, 3), 'images', True),
        ((8, 8), 'images', True),
        ((8, 8, 1), 'images', False),
        ((8, 8, 3), 'images', False),
        ((8, 8, 2), 'table', False),
        ((2, 2, 2, 2), 'table', False),
    ],
)
def test_the_rule_of_shapes(shape, kind, is_guess):
    spec = Spec(shape, None, None)
    assert (kinds.kind_of(spec), kinds.is_guess(spec)) == (kind, is_guess)
    assert bool(kinds.remark_of(spec)) == is_guess


def test_text_has_no_kind():
    assert kinds.kind_of(Spec((16,), 3, None, symbols='abc')) == ''


def test_the_user_decides_and_what_cannot_be_is_refused(complaint):
    spec = kinds.with_kind(Spec((128,), None, None), 'signals')
    assert kinds.kind_of(spec) == 'signals' and not kinds.remark_of(spec)
    line = complaint(kinds.with_kind, Spec((128,), None, None), 'images')
    assert "config.data.draw_as='images'" in line and line.endswith('auto, table, signals')


def test_a_fingerprint_does_not_depend_on_how_data_are_drawn():
    """Runs from before the fields keep their data."""
    spec = Spec((4,), None, None)
    other = kinds.with_kind(spec._replace(column_names=('a', 'b', 'c', 'd')), 'signals')
    assert spec.format == other.format


@pytest.fixture
def table(tmp_path):
    """Returns the path of a table of four named columns."""
    x = np.random.RandomState(0).normal(size=(60, 4))
    names = np.array(['length', 'width\x1b[2J', 'c', 'd'])
    np.savez(tmp_path / 'table.npz', x=x, column_names=names)
    return tmp_path / 'table.npz'


def test_columns_have_the_names_of_the_file(table):
    spec = arrays.load(str(table)).spec
    assert spec.column_names[0] == spec.column_name(0) == 'length'
    assert spec.column_name(1) == r'width\x1b[2J'
    assert spec._replace(column_names=()).column_name(1, 'channel') == 'channel 1'


@pytest.mark.parametrize(
    'names', [['a', 'b'], ['a', 'b', 'c', 'c'], [1, 2, 3, 4], ['a', 'b', 'c', '']]
)
def test_bad_names_of_columns_are_refused(tmp_path, complaint, names):
    np.savez(tmp_path / 'x.npz', x=np.zeros((60, 4)), column_names=np.array(names))
    assert 'column_names of' in complaint(arrays.load, str(tmp_path / 'x.npz'))


def test_a_run_keeps_names_and_takes_another_kind_after_training(tmp_path, table, complaint):
    run = assembled(tmp_path / 'run', 'ppca', 'arrays,debug', data__path=str(table))
    begin(run)
    again = run_folder.reopen(run.folder, reads=None)
    assert again.data.spec.column_names == run.data.spec.column_names
    assert kinds.kind_of(again.data.spec) == 'table'
    drawn = run_folder.reopen(run.folder, {'data.draw_as': 'signals'}, reads=None)
    assert kinds.kind_of(drawn.data.spec) == 'signals'
    refused = complaint(run_folder.reopen, run.folder, {'data.draw_as': 'points'}, reads=None)
    assert 'can be drawn as auto, table, signals' in refused


def test_a_run_from_before_the_fields_is_opened(tmp_path, table):
    run = assembled(tmp_path / 'run', 'ppca', 'arrays,debug', data__path=str(table))
    begin(run)
    record = json.loads((run.folder / 'config.json').read_text())
    del record['values']['data']['draw_as'], record['checksum']
    del record['spec']['draw_as'], record['spec']['column_names']
    files.write_json(run.folder / 'config.json', record)
    spec = run_folder.reopen(run.folder, reads=None).data.spec
    assert kinds.kind_of(spec) == 'table' and spec.column_names == ()


def test_new_examples_have_the_columns_of_the_run(tmp_path, table, complaint):
    run = assembled(tmp_path / 'run', 'ppca', 'arrays,debug', data__path=str(table))
    arrays = dict(np.load(table))
    assert given.read(run, str(table)).size('test') == 60
    np.savez(tmp_path / 'other.npz', x=arrays['x'], column_names=arrays['column_names'][::-1])
    line = complaint(given.read, run, str(tmp_path / 'other.npz'))
    assert 'give the same columns in the same order' in line
