"""The ends of directions: names of files that are commands again, and attributes that are none."""

import pytest

from atelier.applications import _ends, origin_of
from atelier.data.conditions.labels import Labels
from atelier.data.conditions.numbers import Numbers
from atelier.data.conditions.words import Words
from atelier.data.spec import Spec

SPEC = Spec((8, 8, 1), 17, 10)
NUMBERS = Numbers(('age', 'slant', 'hair length'), (40.0,) * 3, (12.0,) * 3)
HAIR = Labels(('hair', 'label'), (('light brown', 'blond', 'black'), ('a', 'b')))
WORDS = Words(('large', 'small', 'über'), 4)


def ends_of(condition, attribute, source=0, target=1, change=0.0):
    return _ends.ends_of(SPEC._replace(condition=condition), attribute, source, target, change)


@pytest.mark.parametrize(
    ('condition', 'options', 'name', 'flags'),
    [
        (NUMBERS, ['age'], 'age-low-to-high', {'--attribute=age'}),
        (HAIR, ['hair', 'blond', 'black'], 'hair-1-to-2', {'--source=1', '--target=2'}),
        (WORDS, ['word', 'small', 'large'], 'word-small-to-large', {'--source=small'}),
    ],
)
def test_names_of_files_are_commands_again(condition, options, name, flags):
    ends = ends_of(condition, *options)
    file = _ends.file_name(ends, 4, 7)
    assert file == f'concept-{name}-of-4-seed-7'
    found = origin_of('applications', file).flags
    assert {*flags, '--label=4', '--seed=7', f'--attribute={options[0]}'} <= {*found}


@pytest.mark.parametrize(
    ('condition', 'options', 'name'),
    [
        (NUMBERS, ['hair length'], 'hair_length-low-to-high'),
        (NUMBERS, ['condition:slant'], 'slant-low-to-high'),
        (HAIR, ['condition:label'], 'label-0-to-1'),
        (WORDS, ['word', 'small', 'über'], 'word-small-to-_ber'),
    ],
)
def test_other_names_have_a_checksum_and_give_no_flags(condition, options, name):
    file = _ends.file_name(ends_of(condition, *options), -1, 0)
    assert file.startswith(f'concept-{name}-attribute-')
    assert origin_of('applications', file).flags == []


def test_built_in_attributes_stay_what_they_were():
    assert ends_of(NUMBERS, 'slant') == _ends.Ends('slant', 0, 1)
    assert ends_of(HAIR, 'label', 3, 8) == _ends.Ends('label', 3, 8)


@pytest.mark.parametrize(
    ('condition', 'attribute', 'message'),
    [
        (NUMBERS, 'ages', 'length, age, condition:slant, hair length, or FILE.py:FUNCTION (did yo'),
        (NUMBERS, 'condition:weight', '--attribute=condition:weight: choose one of label'),
        (NUMBERS, 'word', '--attribute=word: choose one of label, intensity'),
        (WORDS, 'age', 'length, word, or FILE.py:FUNCTION'),
        (None, 'age', 'these data have no condition with further attributes'),
    ],
)
def test_unknown_attributes_list_the_known_ones(complaint, condition, attribute, message):
    assert message in complaint(ends_of, condition, attribute)


@pytest.mark.parametrize('change', [-1.0, float('inf'), float('nan')])
def test_a_change_is_a_finite_number_of_a_number(complaint, change):
    assert 'finite number above 0' in complaint(ends_of, NUMBERS, 'age', change=change)
    message = 'only numbers of the condition have a change'
    assert message in complaint(ends_of, HAIR, 'hair', change=2.0)
    assert message in complaint(ends_of, None, 'slant', change=2.0)


def test_titles_name_the_attribute():
    assert 'when age changes by s' in _ends.figure_title(SPEC, ends_of(NUMBERS, 'age'))
    title = _ends.figure_title(SPEC, ends_of(HAIR, 'hair'))
    assert 'from hair light brown towards hair blond' in title
    assert ends_of(WORDS, 'word', 'small', 'large').title(SPEC) == 'word, small to large'
