"""Flags that are read before parsing are those that absl would parse."""

import pytest
from absl import flags
from hypothesis import given
from hypothesis import strategies as st

from atelier.cli_arguments import paths_of, value_of, without

VALUES = st.text(st.characters(codec='utf-8', exclude_characters='-'), min_size=1, max_size=8)
FORMS = {
    '--{}={}': lambda name, value: [f'--{name}={value}'],
    '-{}={}': lambda name, value: [f'-{name}={value}'],
    '--{} {}': lambda name, value: [f'--{name}', value],
    '-{} {}': lambda name, value: [f'-{name}', value],
}
ONE = st.tuples(st.sampled_from(['config', 'mode', 'workdir']), VALUES, st.sampled_from([*FORMS]))


def argv_of(given_flags):
    return [arg for name, value, form in given_flags for arg in FORMS[form](name, value)]


@given(given_flags=st.lists(ONE, max_size=5))
def test_the_value_is_that_of_absl(given_flags):
    """In any form, with any text, the last one of several; without the flag there is none."""
    values = flags.FlagValues()
    for name in ('config', 'mode', 'workdir'):
        flags.DEFINE_string(name, None, '', flag_values=values)
    argv = argv_of(given_flags)
    values(['main.py', *argv])
    for name in ('config', 'mode', 'workdir'):
        assert value_of(name, argv) == values[name].value


@given(given_flags=st.lists(ONE, max_size=5))
def test_without_a_flag_the_others_stay(given_flags):
    others = [each for each in given_flags if each[0] != 'config']
    assert without('config', argv_of(given_flags)) == argv_of(others)


@pytest.mark.parametrize(
    ('argv', 'value'),
    [
        (['--config'], ''),
        (['--config='], ''),
        (['--config=a=b'], 'a=b'),
        (['--config=a\nb'], 'a\nb'),
        (['--config.data.path=x'], None),
        (['--configs=x'], None),
        (['config=x'], None),
        ([], None),
    ],
)
def test_only_the_flag_itself_counts(argv, value):
    assert value_of('config', argv) == value


def test_paths_are_separated_by_commas_unless_a_file_has_one(tmp_path, monkeypatch):
    """The flag may be repeated; a file of the home folder is found too."""
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'a,b.py').write_text('')
    argv = [f'--trust={tmp_path}/a,b.py', '--trust=c.py,d.py', '--trust', '~/a,b.py', '--trust=,']
    assert paths_of('trust', argv) == [f'{tmp_path}/a,b.py', 'c.py', 'd.py', '~/a,b.py']
    assert paths_of('other', argv) == []
