"""`pip install -e .`, used from another folder: one name, one command, a user's own configs."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv

import pytest

from atelier.checkout import ROOT

MINE = """
from configs import vae

build = vae.build


def get_config(argument=None):
    config = vae.get_config('digits,debug')
    config.train.update(steps=4, evaluate_every=4, checkpoint_every=4, log_every=2)
    config.eval.num_importance_samples = 2
    return config
"""
FIND_MODULES = """
import importlib.util, sys
house, *names = sys.argv[1:]
specs = {name: importlib.util.find_spec(name) for name in names}
print(*[name for name, spec in specs.items() if spec and house in repr(spec)])
"""
LOADS = """
import atelier, sys
assert not {'jax', 'numpy'} & {*sys.modules}
run = atelier.load('runs/mine-digits', trust='mine.py')
assert atelier.sample(run, 2).shape == (2, 8, 8, 1)
assert type(run) is atelier.TrainedRun
"""


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """(A copy of the checkout, the bin folder of the environment in which it is installed.)"""
    folder = tmp_path_factory.mktemp('installed')
    ignored = shutil.ignore_patterns('.git', 'runs', 'tests', '__pycache__', '.*_cache', '.venv')
    house = shutil.copytree(ROOT, folder / 'house', ignore=ignored)
    venv.create(folder / 'env', symlinks=True)
    (packages,) = (folder / 'env' / 'lib').glob('*/site-packages')
    ours = sysconfig.get_path('purelib')  # so that pip downloads nothing
    (packages / 'ours.pth').write_text(f'import site; site.addsitedir({ours!r})')
    pip = [folder / 'env' / 'bin' / 'python', '-m', 'pip', 'install', '--quiet', '-e', house]
    check(*pip, '--no-deps', '--no-build-isolation', cwd=folder)
    return house, folder / 'env' / 'bin'


def run(*command, cwd, **variables):
    """Runs a command on one device."""
    environment = {**os.environ, 'XLA_FLAGS': '', **variables}
    environment.pop('PYTHONPATH', None)
    arguments = [*map(str, command)]
    return subprocess.run(arguments, cwd=cwd, env=environment, capture_output=True, text=True)


def check(*command, **options) -> str:
    result = run(*command, **options)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_pyproject_reads_the_requirements_files():
    """pyproject.toml reads all requirements from the requirements files: none is listed twice."""
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())
    assert {'version', 'dependencies', 'optional-dependencies'} == {*project['project']['dynamic']}
    dynamic = project['tool']['setuptools']['dynamic']
    files = [dynamic['dependencies'], *dynamic['optional-dependencies'].values()]
    assert {file['file'] for file in files} == {path.name for path in ROOT.glob('requirements*')}
    assert project['tool']['setuptools']['packages']['find'] == {'include': ['atelier*']}


@pytest.mark.slow
def test_an_installation_exposes_one_name(installed, tmp_path):
    house, programs = installed
    names = ['main', 'train_lib', 'configs', 'models', 'losses', 'benchmarks', 'docs', 'datasets']
    output = check(programs / 'python', '-c', FIND_MODULES, house, 'atelier', *names, cwd=tmp_path)
    assert output.split() == ['atelier']


@pytest.mark.slow
def test_a_user_config_works_from_another_folder(installed, tmp_path):
    """One process trains the run; others evaluate and load it from another folder."""
    _, programs = installed
    (tmp_path / 'mine.py').write_text(MINE)
    check(programs / 'atelier', '--config=mine.py', cwd=tmp_path)
    folder = tmp_path / 'runs' / 'mine-digits'
    assert json.loads((folder / 'config.json').read_text())['path'] == f'{tmp_path}/mine.py'
    first = (folder / 'evaluation.json').read_text()
    (tmp_path / 'other').mkdir()
    evaluate = ['--mode=evaluate', f'--workdir={folder}', f'--trust={tmp_path}/mine.py']
    check(programs / 'atelier', *evaluate, cwd=tmp_path / 'other')
    second = json.loads((folder / 'evaluation.json').read_text())
    assert second['values'] == json.loads(first)['values']
    check(programs / 'python', '-c', LOADS, cwd=tmp_path)


@pytest.mark.slow
def test_the_command_is_main(installed, tmp_path):
    _, programs = installed
    line = f'error: no config file {tmp_path}/xyzzy.py: --help lists the configs'
    assert run(programs / 'atelier', '--config=xyzzy.py', cwd=tmp_path).stderr.strip() == line
    assert check(programs / 'atelier', '--help', cwd=tmp_path).startswith('atelier --config=')


@pytest.mark.slow
def test_a_wheel_contains_only_the_package_and_reports_the_missing_checkout(installed, tmp_path):
    """It has the marker py.typed and the files of pages; its error is one line with advice."""
    house, programs = installed
    wheel = ['-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', tmp_path, house]
    check(programs / 'python', *wheel, cwd=tmp_path)
    (file,) = tmp_path.glob('atelier_jax-*.whl')
    shutil.unpack_archive(file, tmp_path / 'unpacked', 'zip')
    names = {path.name for path in (tmp_path / 'unpacked').iterdir()}
    assert {name for name in names if not name.endswith('.dist-info')} == {'atelier'}
    package = tmp_path / 'unpacked' / 'atelier'
    assert (package / 'py.typed').is_file()
    for name in ('page/style.css', 'page/script.js', 'third_party/uPlot.iife.min.js'):
        assert (package / 'report' / name).read_bytes() == (
            house / 'atelier' / 'report' / name
        ).read_bytes()
    (tmp_path / 'mine.py').write_text(MINE)
    unpacked = pathlib.Path(tmp_path / 'unpacked')
    for flag in (f'--config={tmp_path}/mine.py', '--config=configs/vae.py', '--help'):
        code = f'from atelier import cli; import sys; sys.argv[1:] = [{flag!r}]; cli.console()'
        result = run(sys.executable, '-c', code, cwd=unpacked)
        assert result.returncode == 1
        assert result.stderr.startswith('error: atelier is installed without its checkout')
        assert len(result.stderr.strip().split('\n')) == 1
