"""config.data.condition: names of columns as a flag gives them, and mistakes as one line."""

import pytest

from atelier.data.conditions.setting import check_known, chosen


@pytest.mark.parametrize(
    ('setting', 'names'),
    [
        ((), ()),
        (('none',), None),
        (('age', 'height'), ('age', 'height')),
        (('age, height',), ('age', 'height')),  # as a flag gives them
        (('text',), ('text',)),
        ((3,), ('3',)),
    ],
)
def test_names_are_read(setting, names):
    assert chosen(setting) == names


@pytest.mark.parametrize(
    ('setting', 'fault'),
    [
        (('age', 'age'), "config.data.condition=age, age: 'age' stands there 2 times"),
        (('age,',), 'a text is empty'),
        (('age', 'none'), 'none leaves the condition out: give it alone'),
        (('age', 'caption'), 'caption is a condition of words: give it alone'),
    ],
)
def test_other_settings_are_refused(setting, fault, complaint):
    assert fault in complaint(chosen, setting)


def test_an_unknown_column_is_refused_with_those_that_there_are(complaint):
    check_known(('age',), ['age', 'hair'], 'it')
    line = complaint(check_known, ('hiar',), ['age', 'hair'], 'metadata.csv')
    assert line.startswith("metadata.csv has no column 'hiar' (did you mean 'hair'?): it has age,")
    assert '2 columns called' in complaint(check_known, ('a',), ['a', 'a'], 'metadata.csv')
