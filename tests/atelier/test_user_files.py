"""User files are executed once, and imports in each folder find that folder's own modules."""

import importlib.util
import marshal
import pathlib
import sys

import pytest

from atelier import user_files
from atelier.errors import UserError


def write(folder, **texts):
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f'{name}.py').write_text(text)
    return folder


def load(file):
    with user_files.beside(file):
        return user_files.load(file)


@pytest.fixture
def two_folders(tmp_path):
    """Two files that import a sibling module; the names are the same in both folders."""
    text = 'import a_neighbour\nvalue = a_neighbour.value\n'
    text += 'def again():\n    import a_neighbour\n    return a_neighbour.value\n'
    for value in (1, 2):
        write(tmp_path / str(value), a_neighbour=f'value = {value}', of_neighbour=text)
    return [tmp_path / name / 'of_neighbour.py' for name in ('1', '2')]


def test_a_file_is_run_once_until_it_changes(tmp_path):
    folder = write(tmp_path, once_only='class Ability: ...')
    first = load(folder / 'once_only.py')
    assert load(folder / 'once_only.py').Ability is first.Ability
    (folder / 'once_only.py').write_text('value = 1  # another size and time')
    assert load(folder / 'once_only.py').value == 1


def test_dataclasses_find_their_module(tmp_path):
    text = 'from __future__ import annotations\nimport dataclasses\n'
    text += '@dataclasses.dataclass\nclass Point:\n    x: int\n'
    module = load(write(tmp_path, of_points=text) / 'of_points.py')
    assert module.Point(3).x == 3


def test_two_files_of_one_name_are_two_modules(tmp_path):
    for value in (1, 2):
        write(tmp_path / str(value), same_name=f'value = {value}')
    values = [load(tmp_path / name / 'same_name.py').value for name in ('1', '2')]
    assert values == [1, 2]


def test_each_folder_imports_its_own_neighbours(two_folders):
    before = {*sys.modules}, list(sys.path)
    assert [load(file).value for file in two_folders] == [1, 2]
    assert ({*sys.modules}, list(sys.path)) == before
    for file, value in zip(two_folders, (1, 2), strict=True):
        with user_files.beside(file):
            assert user_files.load(file).again() == value


@pytest.mark.parametrize('order', [('a_family', 'of_it'), ('of_it', 'a_family')])
def test_a_file_and_its_neighbours_have_the_same_classes(tmp_path, order):
    """A file that is loaded directly and imported by a sibling is one module, until it changes."""
    text = 'class Ability: ...'
    folder = write(tmp_path, a_family=text, of_it='from a_family import Ability')
    first, second = (load(folder / f'{name}.py') for name in order)
    assert first.Ability is second.Ability
    write(tmp_path, a_family=f'{text}  # of another size and time')
    assert load(folder / 'a_family.py').Ability is not first.Ability


def test_a_user_file_does_not_replace_a_module_of_its_name(tmp_path):
    import statistics

    module = load(write(tmp_path, statistics='value = 1') / 'statistics.py')
    assert module.value == 1 and sys.modules['statistics'] is statistics


def test_neighbours_are_importable_until_a_command_ends(two_folders):
    first, second = two_folders
    with user_files.kept_open():
        module = load(first)
        assert module.again() == 1
        with pytest.raises(UserError, match=r'/2/.* has the name of .*/1/'):
            load(second)
    with pytest.raises(ImportError):
        module.again()
    assert load(second).value == 2


def test_neighbours_already_on_the_path_are_shared(tmp_path, monkeypatch):
    folder = write(tmp_path, on_the_path='import beside_it', beside_it='')
    monkeypatch.syspath_prepend(folder)
    import beside_it

    assert load(folder / 'on_the_path.py').beside_it is beside_it
    assert sys.modules['beside_it'] is beside_it


def test_files_that_are_not_python_are_refused(tmp_path):
    (tmp_path / 'read.md').write_text('# no Python')
    with pytest.raises(UserError, match='is not a Python file'):
        load(tmp_path / 'read.md')


def test_a_file_that_fails_to_load_fails_again(tmp_path):
    folder = write(tmp_path, failing='raise ValueError("why")')
    for _ in range(2):
        with pytest.raises(ValueError, match='why'):
            load(folder / 'failing.py')


def test_compiled_code_in_the_folder_is_not_used(tmp_path):
    """Compiled code of a file, a neighbour or a module of a package may differ from the source."""
    (tmp_path / 'package_7').mkdir()
    (tmp_path / 'mine_7.py').write_text('import helper_7, package_7.inner\nvalue = "source"\n')
    for name in ('helper_7.py', 'package_7/__init__.py', 'package_7/inner.py'):
        (tmp_path / name).write_text('value = "source"\n')
    for file in tmp_path.rglob('*.py'):
        plant_compiled(file, 'raise SystemExit("compiled code ran")')
    file = tmp_path / 'mine_7.py'
    with user_files.beside(file):
        module = user_files.load(file)
    modules = module, module.helper_7, module.package_7, module.package_7.inner
    assert [each.value for each in modules] == ['source'] * 4
    assert not any(str(path).startswith(str(tmp_path)) for path in sys.path_importer_cache)


def plant_compiled(file, source):
    """Puts compiled code beside a source, with a header that Python never compares with it."""
    path = pathlib.Path(importlib.util.cache_from_source(file))
    path.parent.mkdir(exist_ok=True)
    header = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, 'little') + bytes(8)
    path.write_bytes(header + marshal.dumps(compile(source, str(file), 'exec')))


def test_a_function_refuses_what_it_cannot_read_and_its_mistakes_name_the_example():
    assert user_files.answer(int, '3', 'own.py:f') == 3
    assert user_files.answer(int, 'a', 'own.py:f') is user_files.REFUSED
    with pytest.raises(ZeroDivisionError) as caught:
        user_files.answer(lambda x: 1 / x, 0, 'own.py:f', 'the item ')
    assert caught.value.__notes__ == ['own.py:f raised this for the item 0']
