"""Finding configs and modules in the checkout and in user folders, and refusals."""

import ast
import importlib
import pathlib
import re
import subprocess
import sys
import types

import pytest

from atelier import checkout, cli_flags
from atelier.checkout import ROOT, ConfigFile


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Changes to an empty folder and makes the root's modules impossible to import."""
    monkeypatch.chdir(tmp_path)
    others = [entry for entry in sys.path if pathlib.Path(entry).resolve() != ROOT]
    monkeypatch.setattr(sys, 'path', others)
    return tmp_path


def test_importable_puts_the_root_on_the_path_temporarily(elsewhere):
    before = list(sys.path)
    with checkout.importable():
        assert sys.path == [str(ROOT), *before]
    assert sys.path == before


def test_modules_of_the_same_names_in_another_project_are_restored(elsewhere, monkeypatch):
    """`importable` gives ours; before and afterwards `models` is the project's own module."""
    for name in [name for name in sys.modules if name.partition('.')[0] in checkout.NAMES]:
        monkeypatch.delitem(sys.modules, name)
    theirs = types.ModuleType('models')
    monkeypatch.setitem(sys.modules, 'models', theirs)
    ours = []
    for _ in range(2):
        with checkout.importable():
            ours.append(importlib.import_module('models.nets.mlp'))
            assert sys.modules['models'] is not theirs
        assert sys.modules['models'] is theirs and 'models.nets.mlp' not in sys.modules
    assert ours[0] is ours[1]


def test_a_neighbour_of_a_config_with_a_name_of_the_root_is_refused(elsewhere, complaint):
    (elsewhere / 'models.py').write_text('my_network = None')
    (elsewhere / 'mine.py').write_text('from models import my_network')
    line = complaint(checkout.config_file('mine.py').config)
    assert f'{elsewhere}/mine.py cannot import models beside it' in line and 'rename yours' in line


def test_a_function_of_a_config_imports_where_a_command_calls_it(elsewhere):
    source = (
        'from configs.shared import common\n'
        'def get_config(argument):\n'
        '    config, _ = common.begin(argument)\n'
        '    config.later = later\n'
        '    return config\n'
        'def later():\n'
        '    import a_neighbour_of_mine\n'
        '    return a_neighbour_of_mine.value\n'
        'def build(config, spec): ...\n'
    )
    (elsewhere / 'mine.py').write_text(source)
    (elsewhere / 'a_neighbour_of_mine.py').write_text('value = 7')
    with checkout.open_for_a_command():
        assert checkout.config_file('mine.py').config().later() == 7


def test_a_get_config_without_a_config_is_refused(elsewhere, complaint):
    source = 'def get_config(argument):\n    return {}\ndef build(config, spec): ...\n'
    (elsewhere / 'mine.py').write_text(source)
    line = complaint(checkout.config_file('mine.py').config)
    assert 'mine.py: get_config returns a dict; it must return a ConfigDict' in line


def test_importable_does_not_change_a_path_with_the_root(elsewhere):
    sys.path.append(str(ROOT))
    before = list(sys.path)
    with checkout.importable():
        assert sys.path == before
    assert sys.path == before


@pytest.mark.parametrize('name', checkout.NAMES)
def test_a_module_of_another_project_is_refused(monkeypatch, complaint, name):
    stranger = types.ModuleType(name)
    stranger.__file__ = '/another/project.py'
    monkeypatch.setitem(sys.modules, name, stranger)
    line = complaint(checkout.train_lib)
    assert re.search(f'{name!r} was imported from /another/project.py, not from {ROOT}', line)


def test_a_module_of_another_project_earlier_on_the_path_is_refused(tmp_path):
    (tmp_path / 'models.py').write_text('')
    code = (
        'import sys; sys.path[1:1] = sys.argv[1:]\n'
        'from atelier import checkout\n'
        'with checkout.importable():\n'
        '    import models.nets\n'
    )
    command = [sys.executable, '-c', code, str(tmp_path), str(ROOT)]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    last = result.stderr.rstrip().split('\n')[-1]
    assert f"UserError: the module 'models' was imported from {tmp_path}/models.py" in last


def test_a_package_without_its_checkout_gives_advice(monkeypatch, tmp_path, complaint):
    monkeypatch.setattr(checkout, 'ROOT', tmp_path)
    for call in (checkout.train_lib, checkout.common_config):
        assert 'git clone the repository and `pip install -e .` in it' in complaint(call)


def test_a_config_is_looked_for_in_the_working_folder_and_then_in_the_checkout(elsewhere):
    assert checkout.config_file('configs/vae.py:a,b') == ConfigFile('configs/vae.py', 'a,b')
    assert checkout.config_file(f'{ROOT}/configs/vae.py') == ConfigFile('configs/vae.py')
    own = elsewhere / 'configs' / 'vae.py'
    own.parent.mkdir()
    own.write_text('')
    assert checkout.config_file('configs/vae.py') == ConfigFile(str(own))
    assert checkout.config_file('nothing.py') == ConfigFile(str(elsewhere / 'nothing.py'))


@pytest.mark.parametrize(
    ('path', 'line'),
    [
        ('configs/vae.py', '--config=configs/vae.py is {here}/configs/vae.py here, and not {root}'),
        ('mine.py', 'the config is {here}/mine.py'),
        ('configs/gan.py', ''),  # only in the checkout
        ('{root}/configs/vae.py', ''),
        ('missing.py', ''),
    ],
)
def test_a_command_says_which_config_it_takes_elsewhere(elsewhere, caplog, path, line):
    """Of two files of one name, the file of the current folder is the one that is typed."""
    for name in ('configs/vae.py', 'mine.py'):
        (elsewhere / name).parent.mkdir(exist_ok=True)
        (elsewhere / name).write_text('')
    flag = path.format(root=ROOT)
    with caplog.at_level('INFO', logger='atelier'):
        cli_flags.announce_config_elsewhere(checkout.config_file(flag), f'{flag}:digits')
    expected = line.format(here=elsewhere, root=ROOT)
    assert expected in caplog.text if line else not caplog.text


def test_a_user_config_may_import_configs_of_the_checkout(elsewhere):
    source = 'from configs import vae\nget_config = vae.get_config\nbuild = vae.build\n'
    (elsewhere / 'mine.py').write_text(source)
    config = checkout.config_file('mine.py:digits,debug').config()
    assert config.model.latent_dim == 2


def test_a_recorded_relative_path_is_relative_to_the_checkout(elsewhere):
    (elsewhere / 'configs').mkdir()
    (elsewhere / 'configs' / 'vae.py').write_text('')  # not this one
    record = {'path': 'configs/vae.py', 'argument': 'debug'}
    assert checkout.recorded(record, elsewhere / 'run').file == ROOT / 'configs' / 'vae.py'
    assert checkout.recorded({'path': '', 'argument': None}, elsewhere).path == ''


def test_code_that_came_with_a_run_is_not_run(elsewhere, complaint):
    folder = elsewhere / 'run'
    folder.mkdir()
    (folder / 'configs').symlink_to(folder)
    for path in (
        f'{folder}/evil.py',
        f'{elsewhere}/other/../run/evil.py',
        f'{folder}/configs/evil.py',
        f'{elsewhere}/neighbour/evil.py',
        '/proc/self/cwd/evil.py',
        '../evil.py',
        'configs/../../x.py',
        'configs/../runs/x/evil.py',
        'runs/x/evil.py',
        'main.py',
    ):
        line = complaint(checkout.recorded, {'path': path, 'argument': None}, folder)
        assert 'not in configs/ of the checkout' in line and '--trust=' in line
    for path in ('README.md', '/etc/passwd', 'configs'):
        line = complaint(checkout.recorded, {'path': path, 'argument': None}, folder)
        assert 'which is no config file' in line and '--trust' not in line


def test_files_that_the_user_names_are_trusted(elsewhere, complaint, monkeypatch):
    monkeypatch.setattr(checkout, '_trusted', set())
    folder = elsewhere / 'run'
    by_trust, by_config, by_neither = (elsewhere / name for name in ('a.py', 'b.py', 'c.py'))
    recorded = lambda file: checkout.recorded({'path': str(file), 'argument': None}, folder)
    complaint(recorded, by_trust)
    checkout.trust('a.py')  # relative to the current folder
    checkout.config_file('b.py:digits')
    assert recorded(by_trust).file == by_trust and recorded(by_config).file == by_config
    by_neither.touch()
    assert f'--trust={by_neither}' in complaint(recorded, by_neither)
    checkout.config_file(f'{ROOT}/configs/vae.py')  # needs no flag
    assert checkout.trust_flags() == [f'--trust={by_trust}', f'--trust={by_config}']


def test_nothing_else_of_the_engine_imports_the_root():
    """Checks the source for import statements; `checkout` itself imports the modules by name."""
    for path in sorted((ROOT / 'atelier').rglob('*.py')):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or '']
            assert not {name.split('.')[0] for name in names} & {*checkout.NAMES}, path


def test_an_argument_that_is_too_long_is_refused(complaint):
    """A run folder would not accept it."""
    argument = 'x' * (checkout.MAX_ARGUMENT + 1)
    line = complaint(checkout.config_file, f'configs/vae.py:{argument}')
    assert 'is longer than 1000 characters' in line and len(line) < 300
