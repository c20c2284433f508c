"""Imports run one way, and a run imports nothing heavy.

The house: main -> configs -> models -> losses; the loop, the evaluation, the applications and the
data know neither a model nor a loss nor a config, and `game` knows nothing of ours. This is read
from the source. What a run imports is what a real one imports: train, evaluate, sample.
"""

import ast
import importlib.util
import json
import pathlib
import sys
from collections.abc import Iterable, Iterator

import pytest
from tfds_files import IMAGE, pictures, write_set

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOT_OURS = {'tests', 'runs', 'shared'}  # at the top; folders that begin with a dot neither
HEAVY = ('tensorflow', 'tensorflow_datasets', 'sklearn', 'matplotlib', 'grain')

# Who may import whom, by the first part of the module's name; None: anyone.
MAY_IMPORT = {
    'losses': {'losses'},
    'models': {'models', 'losses', 'diffusion', 'game', 'datasets', 'errors'},
    'configs': {'configs', 'models', 'losses', 'diffusion', 'game', 'datasets', 'errors'},
    'diffusion': {'diffusion', 'game'},
    'datasets': {'datasets', 'errors', 'places', 'reporting'},
    'game': set(),
    'playing': {'game'},
    'places': set(),
    'errors': set(),
}
MAY_BE_IMPORTED_BY = {
    'losses': {'losses', 'models', 'configs', 'benchmarks'},
    'models': {'models', 'configs', 'benchmarks'},
    'configs': {'configs', 'atelier', 'benchmarks'},
    'diffusion': {'diffusion', 'models', 'configs', 'benchmarks'},
    'applications': {'applications', 'benchmarks', 'family_table'},  # loaded by name
    'command_line': {'main', 'benchmarks', 'family_table'},
    'sweeps': {'sweeps', 'command_line', 'atelier', 'benchmarks'},
    'main': set(),
}
THIRD_PARTIES_OF_LOSSES = {'jax', 'optax', 'numpy', 'jaxtyping'}


# Reading the source


def sources(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """The file of every module of the product: {'atelier.data.digits': .../datasets/digits.py}."""
    found = {}
    for path in sorted(root.rglob('*.py')):
        parts = path.relative_to(root).with_suffix('').parts
        if parts[0] not in NOT_OURS and not parts[0].startswith('.'):
            found['.'.join(parts).removesuffix('.__init__')] = path
    return found


def nodes(tree: ast.AST, inside_functions: bool = True) -> Iterator[ast.AST]:
    """Every node of a module, or only what runs when it is imported."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if inside_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from nodes(node, inside_functions)


def imported(name: str, path: pathlib.Path, known: Iterable[str], inside_functions=True) -> set:
    """The modules that a module imports: ours as `known` has them, others as written."""
    package = name if path.name == '__init__.py' else name.rpartition('.')[0]
    found = set()
    for node in nodes(ast.parse(path.read_text()), inside_functions):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name('.' * node.level + (node.module or ''), package)
            full = {f'{base}.{alias.name}' for alias in node.names}
            found |= {each if each in known else base for each in full}
    return found - {name}


def graph(root: pathlib.Path, inside_functions: bool = True) -> dict[str, set[str]]:
    files = sources(root)
    return {name: imported(name, files[name], files, inside_functions) for name in files}


def top(name: str) -> str:
    return name.partition('.')[0]


# The rules; each returns what breaks it


def wrong_ways(root: pathlib.Path) -> list[str]:
    """Imports of ours by ours that go against MAY_IMPORT or MAY_BE_IMPORTED_BY."""
    edges = graph(root)
    ours = {top(name) for name in edges}
    return [
        f'{name} imports {target}'
        for name, targets in edges.items()
        for target in sorted(targets)
        if top(target) in ours
        if top(target) not in MAY_IMPORT.get(top(name), ours)
        or top(name) not in MAY_BE_IMPORTED_BY.get(top(target), ours)
    ]


def strangers_in_losses(root: pathlib.Path) -> list[str]:
    """What losses import besides jax, optax, numpy, jaxtyping and the standard library."""
    known = THIRD_PARTIES_OF_LOSSES | sys.stdlib_module_names | {'losses'}
    return [
        f'{name} imports {target}'
        for name, targets in graph(root).items()
        for target in sorted(targets)
        if top(name) == 'losses' and top(target) not in known
    ]


def cycle(root: pathlib.Path) -> list[str]:
    """A cycle of imports that run when a module is imported, or an empty list."""
    edges = graph(root, inside_functions=False)
    done: set[str] = set()

    def visit(name, path):
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done or name not in edges:
            return []
        for target in sorted(edges[name]):
            if found := visit(target, [*path, name]):
                return found
        done.add(name)
        return []

    return next(filter(None, (visit(name, []) for name in edges)), [])


def pmaps(root: pathlib.Path) -> list[str]:
    """The modules that mention pmap in code, once for each time."""
    return [
        name
        for name, path in sources(root).items()
        for node in nodes(ast.parse(path.read_text()))
        if 'pmap' in (getattr(node, 'attr', None), getattr(node, 'id', None))
        or (isinstance(node, ast.alias) and 'pmap' in node.name.split('.'))
    ]


def test_imports_run_one_way():
    assert wrong_ways(ROOT) == []


def test_losses_are_mathematics_of_arrays():
    assert strangers_in_losses(ROOT) == []


def test_no_module_imports_itself_by_a_detour():
    assert cycle(ROOT) == []


def test_one_pmap():
    assert pmaps(ROOT) == ['devices']


def test_every_convolution_is_ours():
    """Flax's are an order of magnitude slower inside a scan on CPU."""
    users = {
        name
        for name, path in sources(ROOT).items()
        for node in nodes(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in ('Conv', 'ConvTranspose', 'conv_general_dilated')
        and getattr(node.value, 'id', '') in ('nn', 'linen', 'lax')
    }
    assert users == {'models.nets.conv'}


def test_no_module_of_odds_and_ends():
    names = {path.stem for path in [*sources(ROOT).values(), *ROOT.glob('tests/**/*.py')]}
    assert not names & {'utils', 'util', 'helpers', 'misc'}


def test_all_of_the_house_is_read():
    """Else the rules would hold of nothing."""
    names = set(sources(ROOT))
    assert {
        'main',
        'game',
        'train_lib',
        'models.autoencoders.vae',
        'losses.elbo',
        'evaluation',
    } <= names
    edges = graph(ROOT)
    assert 'models.autoencoders.vae' in edges['configs.vae']
    assert 'losses.elbo' in edges['models.autoencoders.vae']
    assert 'train_lib' in edges['command_line']


# Each rule can be broken


@pytest.fixture
def house(tmp_path):
    """Writes a small house: `house({'models/autoencoders/vae.py': 'import train_lib'})`."""

    def build(files: dict[str, str]) -> pathlib.Path:
        empty = ['main', 'game', 'train_lib', 'losses/elbo', 'models/vae', 'configs/vae']
        empty += ['datasets/digits', 'evaluation/evaluate', 'applications/sample', 'devices']
        for path in [f'{name}.py' for name in empty] + list(files):
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).touch()
        for path, text in files.items():
            (tmp_path / path).write_text(text)
        return tmp_path

    return build


@pytest.mark.parametrize(
    ('path', 'line'),
    [
        ('losses/elbo.py', 'import game'),
        ('models/autoencoders/vae.py', 'import train_lib'),
        ('models/autoencoders/vae.py', 'def f():\n    from configs import vae'),
        ('models/autoencoders/vae.py', 'from evaluation.evaluate import evaluate'),
        ('configs/vae.py', 'import train_lib'),
        ('train_lib.py', 'from models import vae'),
        ('train_lib.py', 'from losses.elbo import elbo'),
        ('train_lib.py', 'import configs.vae as config'),
        ('atelier/evaluation/evaluate.py', 'if 1:\n    from losses import elbo'),
        ('atelier/applications/sample.py', 'import models'),
        ('atelier/data/digits.py', 'import game'),
        ('atelier/data/digits.py', 'from train_lib import train as fit'),
        ('game.py', 'import devices'),
        ('devices.py', 'import main'),
    ],
)
def test_a_wrong_way_is_found(house, path, line):
    assert wrong_ways(house({})) == []
    assert len(wrong_ways(house({path: line}))) == 1


@pytest.mark.parametrize('line', ['import flax', 'from sklearn import mixture', 'import game'])
def test_a_stranger_in_losses_is_found(house, line):
    assert strangers_in_losses(house({'losses/elbo.py': 'import math, jax.numpy'})) == []
    assert len(strangers_in_losses(house({'losses/elbo.py': line}))) == 1


def test_a_cycle_is_found(house):
    root = house({'train_lib.py': 'import devices', 'devices.py': 'def f():\n    import train_lib'})
    assert cycle(root) == []
    (root / 'devices.py').write_text('try:\n    from train_lib import f\nexcept OSError:\n    0')
    assert cycle(root) == ['devices', 'train_lib', 'devices']


def test_a_relative_import_is_understood(house):
    root = house(
        {
            'models/autoencoders/vae.py': 'from . import mlp',
            'models/nets/mlp.py': 'from .vae import vae',
        }
    )
    assert cycle(root) == ['models.nets.mlp', 'models.autoencoders.vae', 'models.nets.mlp']


@pytest.mark.parametrize(
    'code', ['jax.pmap(f)', '@jax.pmap\ndef f(): ...', 'from jax import pmap', 'map(pmap, f)']
)
def test_a_second_pmap_is_found(house, code):
    assert pmaps(house({'devices.py': '# pmap\njax.pmap(f)'})) == ['devices']
    assert pmaps(house({'atelier/evaluation/evaluate.py': code})) == [
        'devices',
        'atelier.evaluation.evaluate',
    ]


# What a run imports

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
    (before_all / 'sitecustomize.py').write_text(recorder)  # Python imports it at its start

    def run(*arguments):
        file.write_text('')
        quickly = {'JAX_DISABLE_MOST_OPTIMIZATIONS': '1'}  # compiled, not run
        result = main(*arguments, cwd=tmp_path, PYTHONPATH=str(before_all), **quickly)
        return result, set(file.read_text().split())

    return run


@pytest.mark.slow
def test_a_run_imports_nothing_heavy(recorded, tmp_path):
    config, workdir = f'--config={ROOT}/configs/vae.py:digits,debug', f'--workdir={tmp_path}/run'
    for arguments in [
        [config, workdir],  # evaluates at its end
        ['--mode=sample', workdir, '--num_samples=4'],
    ]:
        result, heavy = recorded(*arguments)
        assert result.returncode == 0, result.stderr
        assert heavy == set()
    assert json.loads((tmp_path / 'run' / 'evaluation.json').read_text())['data']['examples'] == 447
    assert (tmp_path / 'run' / 'samples' / 'seed-0.npz').exists()


@pytest.mark.slow
def test_a_run_on_tfds_data_imports_no_tensorflow(recorded, tmp_path):
    """TFDS itself only to decode: the second run finds its data in the cache."""
    write_set(tmp_path, 'tiny', {'train': pictures(80)}, {'image': IMAGE})
    flags = [f'--config={ROOT}/configs/vae.py:tiny,debug', f'--config.data.data_dir={tmp_path}']
    for name, expected in (('first', {'tensorflow_datasets'}), ('second', set())):
        result, heavy = recorded(*flags, f'--workdir={tmp_path}/{name}')
        assert result.returncode == 0, result.stderr
        assert heavy == expected


@pytest.mark.parametrize('module', ['tensorflow', 'sklearn.datasets'])  # the one is not installed
def test_a_heavy_import_is_found(recorded, tmp_path, module):
    source = f'try:\n    import {module}\nexcept ImportError:\n    pass\n'
    (tmp_path / 'heavy.py').write_text(source)
    result, heavy = recorded('--config=heavy.py')
    assert 'is not a config' in result.stderr
    assert heavy == {module.partition('.')[0]}
