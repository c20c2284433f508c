"""A stored evaluation has the types that an evaluation writes, or is refused in one line."""

import pytest
from support import assembled

from atelier import files
from atelier.evaluation import evaluation_file
from atelier.evaluation.pages import results
from atelier.report.page.page import Limits

GOOD = {
    'values': {'nll_nats': {'mean': 88.1, 'standard_error': None}},
    'samples': {'features': 'a', 'values': {'coverage': {'samples': 0.5, 'floor': 0.9}}},
    'latents': {'num_examples': 9, 'active_units': 3, 'continuity': {'mean': 0.1}},
    'data': {'description': 'digits'},
    'weights': 'best checkpoint, step 10',
}


@pytest.mark.parametrize('evaluation', [GOOD, {}, {'values': {}, 'samples': None}])
def test_an_evaluation_is_read_as_it_was_written(tmp_path, evaluation):
    files.write_json(tmp_path / 'evaluation.json', evaluation)
    assert evaluation_file.read_evaluation(tmp_path / 'evaluation.json') == evaluation


@pytest.mark.parametrize(
    ('group', 'value', 'field'),
    [
        ('weights', 3, 'weights'),
        ('data', [1], 'data'),
        ('run', 3, 'run'),
        ('augmentation', ['shift'], 'augmentation'),
        ('values', 'text', 'values'),
        ('values', {'accuracy': '../../x'}, 'values.accuracy'),
        ('values', {'accuracy': {'mean': 'x'}}, 'values.accuracy'),
        ('values', {'accuracy': {'mean': True}}, 'values.accuracy'),
        ('samples', {'values': {'coverage': {'floor': [1]}}}, 'samples.values.coverage'),
        ('values', {'accuracy': {'mean': 10**400}}, 'values.accuracy'),
        ('samples', {'values': 3}, 'samples.values'),
        ('latents', {'active_units': {}}, 'latents.active_units'),
        ('latents', {'continuity': 0.5}, 'latents.continuity'),
        ('latents', {'continuity': {'mean': '0.5'}}, 'latents.continuity'),
    ],
)
def test_a_value_of_another_type_is_refused(tmp_path, complaint, group, value, field):
    """The line names the field and the command that writes the file again."""
    files.write_json(tmp_path / 'evaluation.json', {**GOOD, group: value})
    line = complaint(evaluation_file.read_evaluation, tmp_path / 'evaluation.json')
    assert f'is damaged: {field} has a value of another type; --mode=evaluate' in line
    assert evaluation_file.previous_evaluation(tmp_path / 'evaluation.json') == {}


@pytest.mark.parametrize('group', ['values', 'samples'])
def test_a_name_that_is_too_long_is_refused(tmp_path, complaint, group):
    values = {'x' * 10**6: {'mean': 1.0}}
    value = values if group == 'values' else {'values': values}
    files.write_json(tmp_path / 'evaluation.json', {**GOOD, group: value})
    line = complaint(evaluation_file.read_evaluation, tmp_path / 'evaluation.json')
    assert 'has 1,000,000 characters, at most 200 are allowed' in line and len(line) < 500


def test_a_truncated_or_missing_file_gives_no_evaluation(tmp_path):
    assert evaluation_file.read_evaluation(tmp_path / 'evaluation.json') == {}
    (tmp_path / 'evaluation.json').write_text('{"values"')
    assert evaluation_file.read_evaluation(tmp_path / 'evaluation.json') == {}


def test_an_evaluation_of_another_run_is_refused(tmp_path, complaint, caplog):
    """Without an id, as earlier versions wrote it, it is read as before."""
    files.write_json(tmp_path / 'evaluation.json', {**GOOD, 'run': 'a'})
    path = tmp_path / 'evaluation.json'
    assert evaluation_file.read_evaluation(path, 'a') == {**GOOD, 'run': 'a'}
    line = complaint(evaluation_file.read_evaluation, tmp_path / 'evaluation.json', 'b')
    assert "belongs to another run, of id 'a'; --mode=evaluate" in line
    assert evaluation_file.previous_evaluation(tmp_path / 'evaluation.json', 'b') == {}
    assert "belongs to another run, of id 'a'" in caplog.text
    files.write_json(tmp_path / 'evaluation.json', GOOD)
    assert evaluation_file.read_evaluation(tmp_path / 'evaluation.json', 'b') == GOOD


def test_an_evaluation_names_the_augmentation_text_its_run(tmp_path):
    changes = dict(data__augment__rotate=10.0)
    run, plain = assembled(tmp_path, 'vae', **changes), assembled(tmp_path, 'vae')
    record = evaluation_file.augmentation_record(run)
    assert record == {'augmentation': 'rotate 10'}
    text = 'trained with augmentation: rotate 10'
    assert evaluation_file.augmentation_text(GOOD | record) == text
    assert evaluation_file.augmentation_record(plain) == {}
    assert evaluation_file.augmentation_text(GOOD) == ''
    strengths = dict.fromkeys(('shift', 'scale', 'brightness', 'contrast'), 0.0)
    adaptive = {f'model__augment__{name}': value for name, value in strengths.items()}
    of_gan = assembled(tmp_path, 'ada_gan', **adaptive, **changes)
    assert evaluation_file.augmentation_record(of_gan) == {
        'augmentation': 'rotate 10; adaptive, of what the discriminator sees: rotate 10'
    }
    without = assembled(tmp_path, 'ada_gan', **adaptive, model__augment__rotate=0.0)
    assert evaluation_file.augmentation_record(without) == {}
    page = str(results.tables(GOOD | record, Limits()))
    assert text in page and 'augmentation' not in str(results.tables(GOOD, Limits()))
