"""A user's function that says which items are valid: its type, errors, and whether it may run."""

import itertools
import json
import re
import shutil

import pytest
from malicious_files import edit
from support import assembled

import atelier
from atelier import checkout, cli, files, user_files
from atelier.data import items
from atelier.data.spec import Spec
from atelier.errors import UserError
from atelier.evaluation.samples import smiles
from atelier.evaluation.samples.validity import of_function, validity_of
from atelier.run import config_values

DECLARED = 'def f(item: str) -> {}:\n    return {}\n'


@pytest.fixture
def function(tmp_path):
    """Writes a trusted file and returns what its function `f` says of items."""

    def load(text, name='f'):
        file = tmp_path / f'tell{len([*tmp_path.iterdir()])}.py'
        file.write_text(text)
        checkout.trust(f'{file}:{name}')
        return of_function(f'{file}:{name}')

    return load


def test_a_function_says_which_items_are_valid(function):
    validity = function(DECLARED.format('bool', "'a' in item"))
    assert validity.forms(['a', 'b', 'ba', 'a']) == ['a', None, 'ba', 'a']
    assert not validity.changes_items
    assert validity.compared_by == 'string'


@pytest.mark.parametrize('returns', ['str | None', 'str', "'str | None'"])
def test_a_function_returns_the_form_of_an_item(function, returns):
    validity = function(DECLARED.format(returns, 'item.lower()'))
    assert validity.forms(['A', 'a']) == ['a', 'a']
    assert validity.changes_items
    assert validity.compared_by.startswith('what tell')


def test_types_may_be_texts_and_old_spellings(function):
    text = 'from __future__ import annotations\nfrom typing import Optional\n'
    validity = function(text + DECLARED.format('Optional[str]', "item if item != 'b' else None"))
    assert validity.forms(['a', 'b']) == ['a', None]


def test_numpys_truth_counts_as_a_bool(function):
    validity = function('import numpy\n' + DECLARED.format('bool', "numpy.bool_(item == 'a')"))
    assert validity.forms(['a', 'b']) == ['a', None]


def test_equal_items_are_judged_once(function):
    validity = function(
        'calls = []\ndef f(item: str) -> bool:\n'
        '    calls.append(item)\n    return len(calls) == 1\n'
    )
    assert validity.forms(['a', 'a', 'b']) == ['a', 'a', None]


@pytest.mark.parametrize('error', ['ValueError', 'SyntaxError', 'UnicodeError'])
def test_an_item_that_a_parser_cannot_read_is_not_valid_and_that_is_said(function, error, caplog):
    validity = function(
        f"def f(item: str) -> bool:\n    if item == 'b':\n        raise {error}\n    return True\n"
    )
    with caplog.at_level('INFO', 'atelier'):
        assert validity.forms(['a', 'b', 'b']) == ['a', None, None]
    assert 'raised an error for 1 different item, which thus are not valid' in caplog.text


def test_any_other_error_is_a_mistake_in_the_function_and_names_the_item(function):
    validity = function(DECLARED.format('bool', 'itm'))
    with pytest.raises(NameError) as caught:
        validity.forms(['abc'])
    assert caught.value.__notes__[0].endswith("raised this for the item 'abc'")


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('g = 1', r'there is no tell0.py:f: tell0.py:f has to be a function \(item: str\) -> bool'),
        ('f = 1', 'it is a int'),
        ('def f(item: str): return True', r'its types are \(item: str\)'),
        ('def f(item) -> int: return 1', r'its types are \(item\) -> int'),
        ('def f(item: bytes) -> bool: return True', 'its types are'),
        ('def f(item: str, other) -> bool: return True', r'it takes \(item: str, other\)'),
        ('def f() -> bool: return True', r'it takes \(\) -> bool'),
    ],
)
def test_a_function_of_another_type_is_refused(function, text, message):
    with pytest.raises(UserError, match=message):
        function(text)


@pytest.mark.parametrize(
    ('returns', 'value', 'message'),
    [
        ('bool', '1', "returned 1 for the item 'a': its type says bool"),
        ('bool', 'None', "returned None for the item 'a': its type says bool"),
        ('str | None', 'True', r"returned True for the item 'a': its type says str \| None"),
        ('str', "b''", r"returned b'' for the item 'a'"),
    ],
)
def test_a_value_of_another_type_is_refused(function, returns, value, message):
    validity = function(DECLARED.format(returns, value))
    with pytest.raises(UserError, match=message):
        validity.forms(['a'])


def test_a_function_may_import_the_modules_beside_its_file(tmp_path, function):
    (tmp_path / 'letters_of_validity.py').write_text("GOOD = 'ab'\n")
    validity = function(
        'def f(item: str) -> bool:\n'
        '    import letters_of_validity\n'
        '    return item in letters_of_validity.GOOD\n'
    )
    assert validity.forms(['a', 'c']) == ['a', None]


def test_another_text_of_the_file_is_another_judge(tmp_path):
    file = tmp_path / 'tell.py'
    checkout.trust(f'{file}:f')
    judges = []
    for value in ('True', 'False'):
        file.write_text(DECLARED.format('bool', value))
        judges.append(of_function(f'{file}:f').judge)
    assert re.fullmatch(r'tell\.py:f, [0-9a-f]{8}', judges[0])
    assert judges[0] != judges[1]


def test_code_that_the_user_has_not_named_does_not_run(tmp_path):
    """config.json of a run may name any file."""
    file, mark = tmp_path / 'evil.py', tmp_path / 'mark'
    file.write_text(f'open({str(mark)!r}, "w")\n' + DECLARED.format('bool', 'True'))
    with pytest.raises(UserError, match=rf'if you trust it, add --trust={re.escape(str(file))}:f;'):
        of_function(f'{file}:f')
    assert not mark.exists()
    link = tmp_path / 'link.py'
    link.symlink_to(file)
    checkout.trust(file, f'{file}:other', f'{tmp_path}/other.py:f')
    with pytest.raises(UserError, match='--trust='):
        of_function(f'{link}:f')
    with pytest.raises(UserError, match='--trust='):
        of_function(f'{checkout.ROOT}/configs/vae.py:build')
    assert not mark.exists()


def test_a_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(UserError, match='there is no such file: if it has moved'):
        of_function(f'{tmp_path}/gone.py:f')


@pytest.mark.parametrize('value', ['tell.py', 'tell.py:', ':f', 'tell.py:a b', 'smile'])
def test_another_form_of_the_value_is_refused(value):
    with pytest.raises(UserError, match='give FILE:FUNCTION'):
        of_function(value)


def test_typed_fields_name_their_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fields = {'eval.validity': 'tell.py:f', 'eval.weights': 'a:b', 'seed': 1}
    assert config_values.functions_of(fields) == [tmp_path.resolve() / 'tell.py:f']
    assert config_values.functions_of({'eval.validity': 'smiles'}) == []
    stored = config_values.with_absolute_paths({'eval': {'validity': 'tell.py:f', 'x': 'a:b'}})
    assert stored['eval'] == {'validity': f'{tmp_path.resolve()}/tell.py:f', 'x': 'a:b'}
    assert user_files.file_and_name(stored['eval']['validity'], '')[1] == 'f'
    for value in ('', 'smiles', 3):
        assert config_values.with_absolute_paths({'eval': {'validity': value}}) == {
            'eval': {'validity': value}
        }


def run_with(folder, value, symbols):
    run = assembled(folder, 'vae')
    config = run.config.copy_and_resolve_references()
    with config.unlocked():
        config.eval.validity = value
    spec = Spec((4,), len(symbols), None, symbols=symbols)
    return run._replace(config=config, data=run.data._replace(spec=spec))


def test_a_text_without_end_has_no_valid_items(tmp_path):
    assert validity_of(run_with(tmp_path, '', 'ab')).judge is None
    with pytest.raises(UserError, match='has no items, which end: leave it out'):
        validity_of(run_with(tmp_path, 'smiles', 'ab'))


def test_without_rdkit_molecules_are_compared_as_strings_which_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(smiles, 'has_rdkit', lambda: False)
    validity = validity_of(run_with(tmp_path, 'smiles', items.END + 'CO'))
    assert validity.judge is None
    assert validity.compared_by == 'string, not by canonical SMILES'
    assert 'pip install -r requirements-molecules.txt' in validity.not_measured
    assert validity.forms(['CO', 'OC']) == ['CO', 'OC']


def command(*arguments):
    """Performs a command line, as another process would: nothing is trusted before it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkout, '_trusted', set())
        cli.perform(cli.parse(['atelier', *map(str, arguments)]))


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A run of a tiny model of names, trained with a typed function."""
    folder = tmp_path_factory.mktemp('typed')
    names = [''.join(parts) for parts in itertools.product('abc', 'de', 'abc', 'fg', 'ab')]
    (folder / 'names.txt').write_text('\n'.join(names))
    (folder / 'own.py').write_text(DECLARED.format('bool', "not item.startswith('c')"))
    command(
        f'--config={checkout.ROOT}/configs/markov.py:lines,debug',
        f'--config.data.path={folder}/names.txt',
        f'--config.eval.validity={folder}/own.py:f',
        f'--workdir={folder}/run',
    )
    return folder / 'run'


@pytest.mark.slow
def test_a_typed_function_judges_the_samples_of_a_training(run):
    samples = files.read_json(run / 'evaluation.json')['samples']
    assert samples['validity'].startswith('own.py:f, ')
    lines = (run / 'samples' / 'evaluation.txt').read_text().split()
    share = sum(line.startswith(('a', 'b')) for line in lines) / sum(map(str.isalpha, lines))
    assert samples['values']['valid']['samples'] == pytest.approx(share)


@pytest.mark.slow
def test_a_record_alone_does_not_run_a_function(run, tmp_path):
    """One's own run, too: its folder may have been in other hands."""
    with pytest.raises(UserError, match=f'--trust={re.escape(str(run.parent))}/own.py:f; --config'):
        command('--mode=evaluate', f'--workdir={run}')
    with pytest.raises(UserError, match='own.py:f; --config'):
        command('--mode=evaluate', f'--workdir={run}', f'--trust={run.parent}/own.py')
    command('--mode=sample', f'--workdir={run}')  # calls no function
    command('--mode=evaluate', f'--workdir={run}', f'--trust={run.parent}/own.py:f')
    command('--mode=evaluate', f'--workdir={run}', f'--config.eval.validity={run.parent}/own.py:f')
    assert not [*run.glob('evaluation-validity-*.json')]  # it is the run's own setting
    for wrong in ('own.py:', 'gone.py:f'):
        with pytest.raises(UserError, match=f'--trust={run.parent}/{wrong}: |give FILE:FUNCTION'):
            command('--mode=evaluate', f'--workdir={run}', f'--trust={run.parent}/{wrong}')
    command('--mode=evaluate', f'--workdir={run}', '--config.eval.validity=')
    other = files.read_json(next(run.glob('evaluation-validity-*.json')))['samples']
    assert other['values']['valid']['samples'] is None


@pytest.mark.slow
def test_python_trusts_a_function_that_it_names(run, monkeypatch):
    monkeypatch.setattr(checkout, '_trusted', set())
    named = {'eval.validity': f'{run.parent}/own.py:f', 'eval.num_samples': 5}
    trained = atelier.load(run, overrides=named)
    assert atelier.evaluate(trained)['samples']['num_samples'] == 5
    monkeypatch.setattr(checkout, '_trusted', set())
    with pytest.raises(UserError, match='--trust='):
        atelier.evaluate(atelier.load(run))


@pytest.mark.slow
def test_no_mode_runs_the_code_that_a_strangers_record_names(run, tmp_path):
    stranger, mark = tmp_path / 'stranger', tmp_path / 'mark'
    shutil.copytree(run, stranger)
    evil = stranger / 'evil.py'
    evil.write_text(f'open({str(mark)!r}, "w")\n' + DECLARED.format('bool', 'True'))
    values = json.loads((stranger / 'config.json').read_text())['values']
    for value in (f'{evil}:f', 'evil.py:f', f'{checkout.ROOT}/configs/vae.py:build'):
        values['eval']['validity'] = value
        edit(stranger / 'config.json', values=values)
        for mode in ('evaluate', 'train'):
            with pytest.raises(UserError, match='--trust=|there is no such file'):
                command(f'--mode={mode}', f'--workdir={stranger}')
        for mode in ('sample', 'text'):
            command(f'--mode={mode}', f'--workdir={stranger}')
    for value in (3, ['a:b'], 'x' * 5000):
        values['eval']['validity'] = value
        edit(stranger / 'config.json', values=values)
        with pytest.raises(UserError, match='config.eval.validity is'):
            command('--mode=evaluate', f'--workdir={stranger}')
    assert not mark.exists()
