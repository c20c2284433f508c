"""Import rules between packages.

main -> train_lib -> atelier; configs -> models -> losses. Of the engine, configs and models import
only core, data and errors. The engine's packages form layers, and few of them may import the
bridges to files of the root. The tests read the source and include imports inside functions.
"""

import ast
import builtins
import functools
import importlib.util
import pathlib
import symtable
import sys
from collections.abc import Iterable, Iterator

import pytest
from source_files import python_files

ROOT = pathlib.Path(__file__).resolve().parent.parent

# The engine's layers, lowest first: a package may import lower layers and itself.
LAYERS = [
    {'atelier.errors'},
    {'atelier.log'},
    {'atelier.paths', 'atelier.leftovers', 'atelier.memory', 'atelier.names'},
    {'atelier.files'},
    {'atelier.user_files'},
    {'atelier.checkout'},
    {'atelier.core'},
    {'atelier.data'},
    {'atelier.report'},
    {'atelier.multihost'},
    {'atelier.run'},
    {'atelier.evaluation'},
    {'atelier.training', 'atelier.applications'},
    {'atelier.sweep'},
    {
        f'atelier.{name}'
        for name in (
            *('cli', 'cli_arguments', 'cli_built_in', 'cli_flags', 'cli_help', 'cli_modes'),
            *('cli_sweep', 'door', 'on_arrays'),
        )
    },
    {'atelier'},  # the package's __init__, which exports the functions of `door`
]
# BRIDGES load files of the root or of a user by name; MAY_CROSS lists who may import them.
BRIDGES = {'atelier.checkout', 'atelier.user_files'}
MAY_CROSS = BRIDGES | {
    *('atelier.run', 'atelier.evaluation.samples', 'atelier.sweep', 'atelier.applications'),
    *('atelier.cli', 'atelier.cli_flags', 'atelier.cli_help', 'atelier.cli_modes'),
    *('atelier.cli_sweep', 'atelier.door'),
}
FOR_MODELS = {'atelier.core', 'atelier.data', 'atelier.errors'}
# Allowed imports outside the engine, by name prefix. A package not listed may import anything.
MAY_IMPORT = {
    'losses': {'losses'},
    'models': {'models', 'losses', *FOR_MODELS},
    'configs': {'configs', 'models', 'losses', *FOR_MODELS},
    'train_lib': set().union(*LAYERS[:11], {'atelier.training'}) - BRIDGES,
    'main': {'train_lib', *set().union(*LAYERS)},
}
THIRD_PARTIES = {
    'losses': {'jax', 'optax', 'numpy', 'jaxtyping'},
    'atelier.core': {'jax', 'flax', 'optax', 'numpy', 'jaxtyping', 'ml_collections'},
}
# Imports by string, which the import rules cannot see, and the modules that need them.
BY_NAME = {
    *('import_module', '__import__', 'spec_from_file_location', 'exec_module'),
    *('run_path', 'run_module', 'exec'),
}
OF_EVERY_MODULE = {*dir(builtins), '__file__', '__path__'}
MAY_IMPORT_BY_NAME = BRIDGES | {'atelier', 'atelier.applications._loading'}


# Reading the source


def sources(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """{module name: its file}, tests excluded, such as {'models.autoencoders.vae': .../vae.py}."""
    files = {}
    for path in python_files(root):
        parts = path.relative_to(root).with_suffix('').parts
        if parts[0] != 'tests':
            files['.'.join(parts).removesuffix('.__init__')] = path
    return files


parsed = functools.cache(ast.parse)  # all rules parse the same files


def nodes(tree: ast.AST, inside_functions: bool = True) -> Iterator[ast.AST]:
    """Yields every AST node of a module, or only the nodes that run at import."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if inside_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from nodes(node, inside_functions)


def imported(name: str, path: pathlib.Path, known: Iterable[str], inside_functions=True) -> set:
    """The modules that a module imports: `from a import b` gives a.b if that is `known`, else a."""
    package = name if path.name == '__init__.py' else name.rpartition('.')[0]
    modules = set()
    for node in nodes(parsed(path.read_text()), inside_functions):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name('.' * node.level + (node.module or ''), package)
            full = {f'{base}.{alias.name}' for alias in node.names}
            modules |= {each if each in known else base for each in full}
    return modules - {name}


def graph(root: pathlib.Path, inside_functions: bool = True) -> dict[str, set[str]]:
    files = sources(root)
    return {name: imported(name, files[name], files, inside_functions) for name in files}


def top(name: str) -> str:
    return name.partition('.')[0]


def begins_with(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f'{prefix}.')


def package_of(name: str, path: pathlib.Path) -> str:
    """A module's package; a module at the root or directly in atelier/ is its own package."""
    if path.name == '__init__.py' or name.count('.') == 0:
        return name
    parent = name.rpartition('.')[0]
    return name if parent == 'atelier' else parent


# The rules; each returns its violations


def layer_of(name: str) -> int | None:
    fits = [
        (len(prefix), index)
        for index, layer in enumerate(LAYERS)
        for prefix in layer
        if name == prefix or (prefix != 'atelier' and begins_with(name, prefix))
    ]
    return max(fits)[1] if fits else None


def may_import(name: str, target: str) -> bool:
    """Whether module `name` of the product may import module `target` of the product."""
    if top(name) == 'atelier':
        own, other = layer_of(name), layer_of(target)
        is_same = own == other and name.split('.')[:2] == target.split('.')[:2]
        if own is None or other is None:
            return False  # not in LAYERS
        if target in BRIDGES and not any(begins_with(name, prefix) for prefix in MAY_CROSS):
            return False
        is_top = own == other == len(LAYERS) - 2  # the command line and the door
        return other < own or is_same or is_top
    allowed = MAY_IMPORT.get(top(name))
    return allowed is None or any(begins_with(target, prefix) for prefix in allowed)


def wrong_ways(root: pathlib.Path) -> list[str]:
    """Imports between the product's modules that break the layering."""
    edges = graph(root)
    ours = {top(name) for name in edges}
    return [
        f'{name} imports {target}'
        for name, targets in edges.items()
        for target in sorted(targets)
        if top(target) in ours and not may_import(name, target)
    ]


def foreign_imports(root: pathlib.Path, package: str) -> list[str]:
    """Imports of a package beyond THIRD_PARTIES, the standard library and the product."""
    edges = graph(root)
    known = THIRD_PARTIES[package] | sys.stdlib_module_names | {top(name) for name in edges}
    return [
        f'{name} imports {target}'
        for name, targets in edges.items()
        for target in sorted(targets)
        if begins_with(name, package) and top(target) not in known
    ]


def imports_by_name(root: pathlib.Path) -> list[str]:
    """Uses of string-based imports in modules not listed in MAY_IMPORT_BY_NAME."""
    return [
        f'{name} has {imported_name}'
        for name, path in sources(root).items()
        for node in nodes(parsed(path.read_text()))
        for imported_name in sorted(BY_NAME & names_of(node))
        if name not in MAY_IMPORT_BY_NAME
    ]


def names_of(node: ast.AST) -> set[str]:
    """Names that an AST node refers to: pmap for both `jax.pmap` and `from jax import pmap`."""
    if isinstance(node, ast.alias):
        return set(node.name.split('.'))
    return {getattr(node, 'attr', None), getattr(node, 'id', None)} - {None}


def imports_of_tests(root: pathlib.Path) -> list[str]:
    """Imports of tests or their helper modules by the product."""
    tests = {'tests', *(path.stem for path in root.glob('tests/*.py'))}
    return [
        f'{name} imports {target}'
        for name, targets in graph(root).items()
        for target in sorted(targets)
        if top(target) in tests
    ]


def undefined_names(root: pathlib.Path) -> list[str]:
    """Global names that a file, tests included, uses but nowhere defines or imports.

    Ruff's F821 is off, because it takes the shapes of jaxtyping for names. Here a quoted
    annotation is only a string.
    """
    found = []
    for path in python_files(root):
        module = symtable.symtable(path.read_text(), str(path), 'exec')
        of_module = {symbol for symbol in module.get_symbols() if symbol.is_local()}
        inner = [symbol for table in scopes(module) for symbol in table.get_symbols()]
        declared = {symbol for symbol in inner if symbol.is_declared_global()}
        defined = {symbol.get_name() for symbol in of_module | declared}
        used = {
            symbol.get_name()
            for symbol in inner
            if symbol.is_referenced() and symbol.is_global() and not symbol.is_local()
        }
        names = sorted(used - defined - OF_EVERY_MODULE)
        found += [f'{path.relative_to(root)} does not define {name}' for name in names]
    return found


def scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    """The scope of a module, and those of all functions and classes in it."""
    yield table
    for child in table.get_children():
        yield from scopes(child)


def packages(root: pathlib.Path) -> dict[str, set[str]]:
    """{package: packages it imports}; a sub-package counts as a package of its own."""
    files, edges = sources(root), graph(root)
    between: dict[str, set[str]] = {}
    for name, targets in edges.items():
        own = package_of(name, files[name])
        others = {package_of(target, files[target]) for target in targets if target in files}
        between.setdefault(own, set()).update(others - {own})
    return between


def cycle(edges: dict[str, set[str]]) -> list[str]:
    """One cycle of a graph, or an empty list."""
    done: set[str] = set()

    def visit(name, path):
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done or name not in edges:
            return []
        for target in sorted(edges[name]):
            if closed := visit(target, [*path, name]):
                return closed
        done.add(name)
        return []

    return next(filter(None, (visit(name, []) for name in edges)), [])


def pmaps(root: pathlib.Path) -> list[str]:
    """The modules that use pmap in code, one entry per use."""
    return [
        name
        for name, path in sources(root).items()
        for node in nodes(parsed(path.read_text()))
        if 'pmap' in names_of(node)
    ]


def test_imports_follow_the_order_of_layers():
    assert wrong_ways(ROOT) == []


@pytest.mark.parametrize('package', THIRD_PARTIES)
def test_losses_and_the_core_import_few_libraries(package):
    assert foreign_imports(ROOT, package) == []


def test_no_module_imports_by_name():
    """The import rules cannot see imports by string."""
    assert imports_by_name(ROOT) == []


def test_the_product_imports_no_tests():
    assert imports_of_tests(ROOT) == []


def test_every_name_is_defined():
    assert undefined_names(ROOT) == []


def test_packages_have_no_import_cycle():
    assert cycle(packages(ROOT)) == []


def test_modules_have_no_import_cycle():
    assert cycle(graph(ROOT, inside_functions=False)) == []


def test_only_devices_calls_pmap():
    assert pmaps(ROOT) == ['atelier.core.devices']


def test_models_use_only_our_convolutions():
    """Flax's convolutions are an order of magnitude slower inside a scan on CPU."""
    users = {
        name
        for name, path in sources(ROOT).items()
        for node in nodes(parsed(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in ('Conv', 'ConvTranspose', 'conv_general_dilated')
        and getattr(node.value, 'id', '') in ('nn', 'linen', 'lax')
    }
    assert users == {'models.nets.conv'}


def test_no_module_has_a_catch_all_name():
    names = {path.stem for path in python_files(ROOT)}
    assert not names & {'utils', 'util', 'helpers', 'misc'}


def test_all_modules_are_read():
    """If `sources` missed modules, the rules would hold vacuously."""
    names = set(sources(ROOT))
    assert {'main', 'train_lib', 'losses.elbo', 'models.autoencoders.vae'} <= names
    assert {layer_of(name) for name in names if top(name) == 'atelier'} == set(range(len(LAYERS)))
    edges = graph(ROOT)
    assert 'models.autoencoders.vae' in edges['configs.vae']
    assert 'losses.elbo' in edges['models.autoencoders.vae']
    assert 'atelier.training.dispatch' in edges['train_lib']
    assert 'models.nets' in packages(ROOT)['models.autoencoders']


# Each rule reports a violation


@pytest.fixture
def house(tmp_path):
    """Writes a miniature checkout: `house({'models/flows/flow.py': 'import train_lib'})`."""

    def build(files: dict[str, str]) -> pathlib.Path:
        empty = ['main', 'train_lib', 'losses/elbo', 'models/gans/gan', 'configs/gan']
        engine = ['core/game', 'data/digits', 'evaluation/evaluate', 'applications/sample', 'cli']
        engine += ['core/devices', 'training/dispatch', 'errors', 'evaluation/samples/modes']
        engine += ['checkout', 'user_files', 'run/folder']
        for path in [f'{name}.py' for name in empty + [f'atelier/{n}' for n in engine]] + [*files]:
            (tmp_path / path).parent.mkdir(exist_ok=True, parents=True)
            (tmp_path / path).touch()
        for path, text in files.items():
            (tmp_path / path).write_text(text)
        return tmp_path

    return build


@pytest.mark.parametrize(
    ('path', 'line'),
    [
        ('losses/elbo.py', 'import atelier.core.game'),
        ('models/gans/gan.py', 'import train_lib'),
        ('models/gans/gan.py', 'def f():\n    from configs import gan'),
        ('models/gans/gan.py', 'from atelier.evaluation.evaluate import evaluate'),
        ('configs/gan.py', 'import train_lib'),
        ('configs/gan.py', 'from atelier.training import dispatch'),
        ('train_lib.py', 'from models.gans import gan'),
        ('train_lib.py', 'from losses.elbo import elbo'),
        ('train_lib.py', 'import configs.gan as config'),
        ('train_lib.py', 'from atelier import cli'),
        ('atelier/evaluation/evaluate.py', 'if 1:\n    from losses import elbo'),
        ('atelier/evaluation/evaluate.py', 'from atelier.training import dispatch'),
        ('atelier/evaluation/samples/modes.py', 'from atelier.applications import sample'),
        ('atelier/applications/sample.py', 'import models'),
        ('atelier/applications/sample.py', 'from atelier.training import dispatch'),
        ('atelier/training/dispatch.py', 'from atelier.applications import sample'),
        ('atelier/data/digits.py', 'from atelier.evaluation import evaluate'),
        ('atelier/data/digits.py', 'from train_lib import train as fit'),
        ('atelier/core/game.py', 'from atelier.data import digits'),
        ('atelier/core/devices.py', 'import main'),
        ('atelier/core/game.py', 'from atelier import checkout'),
        ('atelier/core/game.py', 'import atelier.checkout as bridge'),
        ('atelier/core/game.py', 'from atelier.user_files import load'),
        ('atelier/data/digits.py', 'from atelier.checkout import train_lib'),
        ('atelier/training/dispatch.py', 'from atelier import checkout'),
        ('atelier/evaluation/evaluate.py', 'from atelier import checkout'),
        ('train_lib.py', 'from atelier import checkout'),
        ('atelier/cli.py', 'import train_lib'),
    ],
)
def test_a_wrong_direction_of_import_is_found(house, path, line):
    assert wrong_ways(house({})) == []
    assert len(wrong_ways(house({path: line}))) == 1


@pytest.mark.parametrize(
    'path', ['atelier/run/folder.py', 'atelier/evaluation/samples/modes.py', 'atelier/cli.py']
)
def test_bridge_modules_may_be_imported(house, path):
    assert wrong_ways(house({path: 'from atelier import checkout, user_files'})) == []


@pytest.mark.parametrize(
    ('package', 'path', 'line'),
    [
        ('losses', 'losses/elbo.py', 'import flax'),
        ('losses', 'losses/elbo.py', 'from sklearn import mixture'),
        ('atelier.core', 'atelier/core/game.py', 'import sklearn'),
        ('atelier.core', 'atelier/core/game.py', 'def f():\n    from tensorboardX import writer'),
    ],
)
def test_a_forbidden_library_is_found(house, package, path, line):
    assert foreign_imports(house({path: 'import math, jax.numpy'}), package) == []
    assert len(foreign_imports(house({path: line}), package)) == 1


@pytest.mark.parametrize(
    'code',
    [
        'import importlib\nimportlib.import_module("models.nets.mlp")',
        'def f():\n    return __import__("models")',
        'from importlib import import_module as f',
        'import runpy\nrunpy.run_path("train_lib.py")',
        'exec("import models")',
    ],
)
def test_an_import_by_name_is_found(house, code):
    assert imports_by_name(house({'atelier/checkout.py': code})) == []
    assert len(imports_by_name(house({'atelier/core/game.py': code}))) == 1


@pytest.mark.parametrize('line', ['import tests.support', 'from support import make_run'])
def test_an_import_of_tests_is_found(house, line):
    assert imports_of_tests(house({'tests/support.py': 'import main, support'})) == []
    assert len(imports_of_tests(house({'models/gans/gan.py': line}))) == 1


@pytest.mark.parametrize(
    'code',
    [
        'def f():\n    return np.ones(3)',
        'class A:\n    def f(self):\n        return lambda: np.ones(3)',
        'def f():\n    import numpy as np\n\nx = [np.ones(i) for i in range(3)]',
        'def f(x: np.ndarray): ...',
    ],
)
def test_a_lost_import_is_found(house, code):
    root = house({'losses/elbo.py': f'import numpy as np\n{code}'})
    assert undefined_names(root) == []
    root = house({'losses/elbo.py': code})
    assert undefined_names(root) == ['losses/elbo.py does not define np']


@pytest.mark.parametrize(
    'code',
    [
        "def f(x: 'Float[batch dims]'): ...",
        'def f(np):\n    return np.ones(3), __file__',
        'def f():\n    global np\n    import numpy as np\n\ndef g():\n    return np.ones(3)',
        'def top(x):\n    y = x\n    return [y for z in y if z]',
    ],
)
def test_a_name_that_is_defined_is_no_lost_import(house, code):
    assert undefined_names(house({'losses/elbo.py': code})) == []


def test_a_cycle_of_modules_is_found(house):
    both = {'train_lib.py': 'import main', 'main.py': 'def f():\n    import train_lib'}
    root = house(both)
    assert cycle(graph(root, inside_functions=False)) == []
    (root / 'main.py').write_text('try:\n    from train_lib import f\nexcept OSError:\n    0')
    assert cycle(graph(root, inside_functions=False)) == ['main', 'train_lib', 'main']


def test_a_cycle_of_packages_without_a_cycle_of_modules_is_found(house):
    root = house(
        {
            'models/gans/gan.py': 'from models.flows import flow',
            'models/flows/flow.py': '',
            'models/flows/couplings.py': 'from models.gans import networks',
            'models/gans/networks.py': '',
        }
    )
    assert cycle(graph(root)) == []
    assert cycle(packages(root)) == ['models.flows', 'models.gans', 'models.flows']


def test_a_relative_import_is_understood(house):
    root = house(
        {'models/gans/gan.py': 'from . import nets', 'models/gans/nets.py': 'from .gan import g'}
    )
    assert cycle(graph(root)) == ['models.gans.gan', 'models.gans.nets', 'models.gans.gan']


@pytest.mark.parametrize(
    'code', ['jax.pmap(f)', '@jax.pmap\ndef f(): ...', 'from jax import pmap', 'map(pmap, f)']
)
def test_a_second_pmap_is_found(house, code):
    own = {'atelier/core/devices.py': '# pmap\njax.pmap(f)'}
    assert pmaps(house(own)) == ['atelier.core.devices']
    second = pmaps(house({'atelier/evaluation/evaluate.py': code}))
    assert second == ['atelier.core.devices', 'atelier.evaluation.evaluate']
