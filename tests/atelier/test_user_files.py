"""Files that a user names are run once, and never take another file's neighbours."""

import pytest

from atelier import user_files
from atelier.errors import UserError


def write(folder, **texts):
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f'{name}.py').write_text(text)
    return folder


def test_a_file_is_run_once_until_it_changes(tmp_path):
    folder = write(tmp_path, once_only='class Ability: ...')
    first = user_files.load(folder / 'once_only.py')
    assert user_files.load(folder / 'once_only.py').Ability is first.Ability
    (folder / 'once_only.py').write_text('value = 1  # another size and time')
    assert user_files.load(folder / 'once_only.py').value == 1


def test_dataclasses_find_their_module(tmp_path):
    text = 'from __future__ import annotations\nimport dataclasses\n'
    text += '@dataclasses.dataclass\nclass Point:\n    x: int\n'
    module = user_files.load(write(tmp_path, of_points=text) / 'of_points.py')
    assert module.Point(3).x == 3


def test_two_files_of_one_name_are_two_modules(tmp_path):
    for value in (1, 2):
        write(tmp_path / str(value), same_name=f'value = {value}')
    values = [user_files.load(tmp_path / name / 'same_name.py').value for name in ('1', '2')]
    assert values == [1, 2]


def test_neighbours_are_imported_and_those_of_another_file_are_not(tmp_path):
    own = dict(of_neighbour='import a_neighbour\nvalue = a_neighbour.value')
    one = write(tmp_path / 'one', a_neighbour='value = 1', **own)
    two = write(tmp_path / 'two', a_neighbour='value = 2', **own)
    assert user_files.load(one / 'of_neighbour.py').value == 1
    with pytest.raises(UserError, match=r'two/a_neighbour\.py has the name of .*one/a_neighbour'):
        user_files.load(two / 'of_neighbour.py')


def test_what_is_no_python_file_is_refused(tmp_path):
    (tmp_path / 'read.md').write_text('# no Python')
    with pytest.raises(UserError, match='is no Python file'):
        user_files.load(tmp_path / 'read.md')


def test_a_file_that_fails_leaves_nothing_behind(tmp_path):
    folder = write(tmp_path, failing='raise ValueError("why")')
    for _ in range(2):
        with pytest.raises(ValueError, match='why'):
            user_files.load(folder / 'failing.py')
