"""A real run imports no heavy module while it trains, evaluates and samples."""

import json
import pathlib

import pytest

from benchmarks.tfds_files import IMAGE, pictures, write_set

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEAVY = ('tensorflow', 'tensorflow_datasets', 'sklearn', 'matplotlib', 'grain')

RECORDER = f'''
import importlib.machinery, sys

class Recorder:
    """Notes which heavy modules are executed, installed or not; looking for one is allowed."""

    def find_spec(self, name, path=None, target=None):
        if name not in {HEAVY}:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if spec is None:
            return importlib.machinery.ModuleSpec(name, Loader(None))
        spec.loader = Loader(spec.loader)
        return spec

class Loader:
    def __init__(self, loader):
        self.loader = loader

    def create_module(self, spec):
        with open(FILE, 'a') as file:
            file.write(spec.name + chr(10))
        if self.loader is None:
            raise ModuleNotFoundError('No module named ' + repr(spec.name), name=spec.name)
        return self.loader.create_module(spec)

    def exec_module(self, module):
        self.loader.exec_module(module)

    def __getattr__(self, name):
        return getattr(self.loader, name)

sys.meta_path.insert(0, Recorder())
'''


@pytest.fixture
def recorded(main, tmp_path):
    """Runs main.py and returns (the process, the heavy modules that it imported)."""
    file, before_all = tmp_path / 'imported.txt', tmp_path / 'before'
    before_all.mkdir()
    recorder = f'FILE = {str(file)!r}\n{RECORDER}'
    (before_all / 'sitecustomize.py').write_text(recorder)  # Python imports it at startup

    def run(*arguments):
        file.write_text('')
        result = main(*arguments, cwd=tmp_path, PYTHONPATH=str(before_all))
        return result, set(file.read_text().split())

    return run


@pytest.mark.slow
def test_a_run_imports_nothing_heavy(recorded, tmp_path):
    config, workdir = f'--config={ROOT}/configs/vae.py:digits,debug', f'--workdir={tmp_path}/run'
    for arguments in [
        [config, workdir],  # trains, then evaluates
        ['--mode=sample', workdir, '--num_samples=4'],
    ]:
        result, heavy = recorded(*arguments)
        assert result.returncode == 0, result.stderr
        assert heavy == set()
    assert json.loads((tmp_path / 'run' / 'evaluation.json').read_text())['data']['examples'] == 447
    assert (tmp_path / 'run' / 'samples' / 'seed-0.npz').exists()


@pytest.mark.slow
def test_a_run_on_tfds_data_imports_no_tensorflow(recorded, tmp_path):
    """A run imports TFDS only to decode: the second run reads its data from the cache."""
    write_set(tmp_path, 'tiny', {'train': pictures(80)}, {'image': IMAGE})
    flags = [f'--config={ROOT}/configs/vae.py:tiny,debug', f'--config.data.data_dir={tmp_path}']
    for name, expected in (('first', {'tensorflow_datasets'}), ('second', set())):
        result, heavy = recorded(*flags, f'--workdir={tmp_path}/{name}')
        assert result.returncode == 0, result.stderr
        assert heavy == expected


@pytest.mark.parametrize('module', ['tensorflow', 'sklearn.datasets'])  # only sklearn installed
def test_a_heavy_import_is_found(recorded, tmp_path, module):
    source = f'try:\n    import {module}\nexcept ImportError:\n    pass\n'
    (tmp_path / 'heavy.py').write_text(source)
    result, heavy = recorded('--config=heavy.py')
    assert 'is not a config' in result.stderr
    assert heavy == {module.partition('.')[0]}
