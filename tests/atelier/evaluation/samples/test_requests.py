"""Conditions are requested by text or by file; what a model does not read is refused by name."""

import numpy as np
import pytest

from atelier.checkout import ConfigFile
from atelier.core.abilities import Sample
from atelier.core.family import Family
from atelier.data.conditions.condition import KEY, of_training
from atelier.data.conditions.labels import Labels
from atelier.data.conditions.numbers import Numbers
from atelier.data.conditions.words import of_captions
from atelier.data.dataset import Dataset
from atelier.data.spec import Spec
from atelier.errors import UserError
from atelier.evaluation.samples import requests
from atelier.evaluation.samples.sampling import inputs_of
from atelier.run.experiment import Run
from configs.shared import common

VALUES = np.array([[0.0, 10.0], [1.0, 30.0], [2.0, 20.0]], np.float32)
NUMBERS = of_training(Numbers(('age', 'height')), VALUES)
WORDS = of_captions(['a red circle', 'blue'])
BINARY = np.array([[0, 1], [1, 0]], np.int32)
ROWS = np.array([WORDS.parsed('red'), WORDS.parsed('a blue'), WORDS.parsed('blue')], np.int32)


def unused(*arguments):
    raise AssertionError('nothing is computed')


@pytest.fixture
def run_with(tmp_path):
    """Returns a function from a condition and its rows to a run whose family reads it."""

    def make(condition, rows, reads=True) -> Run:
        split = {'x': np.zeros((len(rows), 1), np.float32), KEY: rows}
        spec = Spec((1,), None, None, condition=condition)
        family = Family(unused, (), unused, (Sample(unused, reads_condition=reads),))
        data = Dataset('d', spec, {'test': split}, '')
        config_file = ConfigFile('configs/vae.py')
        return Run(tmp_path, config_file, common.common_config(), family, data)

    return make


def test_numbers_are_requested_by_text_and_by_columns_of_a_file(run_with, tmp_path):
    run = run_with(NUMBERS, VALUES)
    np.testing.assert_array_equal(requests.rows_of(run, condition='0.5, -3'), [[0.5, -3]])
    path = tmp_path / 'wanted.csv'
    path.write_text('height,name,age\n1.5,"a, b",2\n\n3,c,4\n')
    rows = requests.rows_of(run, condition=str(path))
    np.testing.assert_array_equal(rows, [[2, 1.5], [4, 3]])
    assert rows.dtype == np.float32
    assert {*inputs_of(rows)} == {KEY}
    assert requests.described(run, rows) == ['age 2, height 1.5', 'age 4, height 3']
    assert requests.rows_of(run) is None


def test_conditions_are_requested_by_arrays(run_with):
    run = run_with(NUMBERS, VALUES)
    np.testing.assert_array_equal(requests.checked_rows(run, [0.5, 3]), [[0.5, 3]])
    np.testing.assert_array_equal(requests.checked_rows(run, VALUES), VALUES)
    lists = [np.float32([0, 1]), (2, np.int64(3))]
    np.testing.assert_array_equal(requests.checked_rows(run, lists), [[0, 1], [2, 3]])
    wrong = [[0.5], [[1, 2, 3]], [np.nan, 1.0], [[1, 2], [3]], [[1, 2], 3], np.zeros((0, 2))]
    for each in (*wrong, np.zeros((2, 0)), [], [[[1, 2]]], None, 3, '0,1', [None, {}]):
        with pytest.raises(UserError, match='condition'):
            requests.checked_rows(run, each)


def test_truth_values_are_the_labels_of_a_condition(run_with):
    known = Labels(('smiles', 'age'), (('false', 'true'), ('old', 'young')))
    run = run_with(of_training(known, BINARY), BINARY)
    for rows in (
        [[True, 'old'], [False, 'young']],
        np.array([['true', 'old'], ['false', 'young']]),
    ):
        np.testing.assert_array_equal(requests.checked_rows(run, rows), [[1, 0], [0, 1]])


def test_captions_are_requested_by_a_list(run_with, tmp_path):
    run = run_with(WORDS, ROWS)
    np.testing.assert_array_equal(requests.checked_prompts(run, 'red'), ROWS[:1])
    for prompts in (['blue', 'red'], ('blue', 'red'), np.array(['blue', 'red'])):
        np.testing.assert_array_equal(requests.checked_prompts(run, prompts), ROWS[[2, 0]])
    for wrong in (3, ['red', 3], [], [['red']], [''], {'red': 1}, b'red'):
        with pytest.raises(UserError, match='^prompt: '):
            requests.checked_prompts(run, wrong)


def test_captions_are_requested_by_text_and_by_lines_of_a_file(run_with, tmp_path):
    run = run_with(WORDS, ROWS)
    np.testing.assert_array_equal(requests.rows_of(run, prompt='A BLUE'), ROWS[1:2])
    path = tmp_path / 'wanted.txt'
    path.write_text('red\n\nblue\n')
    np.testing.assert_array_equal(requests.rows_of(run, prompt=str(path)), ROWS[[0, 2]])


@pytest.mark.parametrize(
    ('options', 'text', 'message'),
    [
        ({'condition': 'f.csv'}, 'age\n1\n', 'has no column height in its first line'),
        ({'condition': 'f.csv'}, 'age,height\n1\n', 'line 2: it has 1 cell, the first line 2'),
        ({'condition': 'f.csv'}, 'age,height\n1,x\n', 'line 2: condition height=.x.: give a'),
        ({'condition': 'f.csv'}, 'age,height, age\n1,2,3\n', 'has 2 columns called age in its'),
        ({'condition': 'f.csv'}, 'age,height\n', 'has no condition'),
        ({'condition': 'f.csv'}, None, 'f.csv'),
        ({'condition': '1'}, '', '--condition=1: a condition has 2 values'),
        ({'prompt': 'red'}, '', 'is conditional on age, height: give --condition'),
        ({'prompt': 'red', 'condition': '1,2'}, '', '--condition and --prompt: give one of them'),
    ],
)
def test_other_requests_are_refused(run_with, tmp_path, options, text, message):
    if text is not None:
        (tmp_path / 'f.csv').write_text(text)
    options = {k: str(tmp_path / v) if v == 'f.csv' else v for k, v in options.items()}
    with pytest.raises(UserError, match=message):
        requests.rows_of(run_with(NUMBERS, VALUES), **options)


@pytest.mark.parametrize('option', ['condition', 'prompt'])
def test_requests_share_no_name(option, tmp_path, monkeypatch):
    """Signs, the case, the end of a long text, the script, and the folder of a file count."""
    long, ending = 'a red circle ' * 6, {'condition': 'csv', 'prompt': 'txt'}[option]
    texts = ['0.3,1.2', '0.3,-1.2', '0.3, 1.2', '0-3', '0_3', '0 3', '-0,3', '', ' ']
    texts += ['синий', 'красный', f'{long}a', f'{long}b', f'a.{ending}', f'b/a.{ending}']
    names = [requests.name_of(option, text) for text in texts]
    monkeypatch.chdir(tmp_path)
    names += [requests.name_of(option, f'a.{ending}'), requests.name_of(option, None)]
    assert len({*names}) == len(names) and not any('/' in name or ' ' in name for name in names)


def test_plain_requests_are_readable_in_a_name():
    names = {'0.3,-1.2': '0.3,-1.2', 'a red circle left of a blue one': None, 'dark brown,a': None}
    for text, name in names.items():
        assert requests.name_of('prompt', text) == f'-prompt-{name or text.replace(" ", "_")}'


def test_an_empty_request_is_refused(run_with):
    with pytest.raises(UserError, match='--condition=: a condition has 2 values'):
        requests.rows_of(run_with(NUMBERS, VALUES), condition='')
    with pytest.raises(UserError, match='--prompt=: an empty caption'):
        requests.rows_of(run_with(WORDS, ROWS), prompt='')


def test_a_family_that_reads_no_condition_refuses_one(run_with):
    with pytest.raises(UserError, match='not conditional on numbers, several labels or words'):
        requests.rows_of(run_with(NUMBERS, VALUES, reads=False), condition='1,2')
    with pytest.raises(UserError, match='is conditional on words: give --prompt'):
        requests.rows_of(run_with(WORDS, ROWS), condition='1')


def test_samples_are_compared_given_the_conditions_of_the_split(run_with):
    run = run_with(NUMBERS, VALUES)
    rows = requests.like_split(run, 'test', 2)
    assert rows.shape == (2, 2)
    assert {tuple(row) for row in rows.tolist()} <= {tuple(row) for row in VALUES.tolist()}
