"""Repository rules: README and .ci/run agree, files are where they belong, and files are short."""

import pathlib
import re

import pytest
from source_files import files_of_git, python_files

from atelier import checkout

ROOT = checkout.ROOT
TEST_LINE = 'pip install -r requirements.txt -r requirements-dev.txt && python -m pytest'
JOB_LINE = 'pip install -r requirements.txt && python main.py --config=configs/vae.py'

FOLDERS = {'atelier', 'benchmarks', 'configs', 'docs', 'losses', 'models', 'tests'}
FILES_AT_THE_ROOT = {  # besides Python files and requirements; mkdocs.yml builds the docs
    *('README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'LICENSE'),
    *('pyproject.toml', 'mkdocs.yml', '.gitignore', '.ci'),
}

# A test file bears the name of the module that it tests; these test several modules.
OF_SEVERAL_MODULES = {
    *('test_heavy_imports', 'test_house', 'test_imports', 'test_source_files'),  # repository
    'test_examples',  # every loss, sampler and bijector
    'atelier/test_bad_input',  # user mistakes, through main.py
    'atelier/test_installation',
    'atelier/test_own_files',  # a user's own family, ability and application
    'atelier/applications/test_every_family',
    'atelier/applications/test_items',  # every mode, of texts that end
    'atelier/applications/test_runs_of_codes',  # every mode, of two stages
    'atelier/data/test_own_data',  # from files to samples
    'atelier/multihost/test_shared_batch',  # several processes of main.py train one run
    'atelier/run/test_bad_folders',
    'atelier/run/test_data_rules',  # of earlier runs
    'atelier/run/test_linked_checkpoints',  # every use of a run
    'atelier/run/test_resume',
    'atelier/run/test_untrusted',  # every mode
    'atelier/run/test_survival',
    'benchmarks/test_benchmarks',
    'configs/test_config_fields',  # every config
    'configs/test_debug_runs',
    'docs/test_architecture',
    'docs/test_readme',
    'losses/test_every_loss',
    'models/autoregressive/test_conditionals',  # every family that has them
    'models/test_sample_means',
    'models/classical/test_fitted_runs',
    'models/classical/test_label_prior',  # labels that do not begin with 0
}


def test_the_readme_and_ci_run_the_same_command():
    readme = (ROOT / 'README.md').read_text()
    ci = (ROOT / '.ci' / 'run').read_text().splitlines()
    assert re.search(rf'^ +{re.escape(TEST_LINE)}$', readme, re.MULTILINE)
    assert re.search(rf'^ +{re.escape(JOB_LINE)}$', readme, re.MULTILINE)
    assert TEST_LINE in ci
    long_line = "python -m pytest -m 'slow and not exhaustive'"
    assert {long_line, 'pip install -e .', 'ruff check', 'ruff format --check'} <= set(ci)
    assert any(line.startswith('sphinx-build -W ') for line in ci)


def test_files_that_the_readme_names_exist():
    readme = (ROOT / 'README.md').read_text()
    named = re.findall(r'\]\(([\w./-]+)\)', readme) + re.findall(
        r'`([\w/]+\.(?:py|md|txt))`', readme
    )
    assert len(named) > 5
    missing = [name for name in named if not (ROOT / name).exists() and '/NAME' not in name]
    assert not missing


def test_links_of_the_pages_exist():
    for page in [*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md')]:
        targets = re.findall(r'\]\(([^)#:]+)(?:#[^)]*)?\)', page.read_text())
        missing = [target for target in targets if not (page.parent / target).exists()]
        assert not missing, page


def test_headings_that_links_name_exist():
    """`page.md#heading` and `#heading`: the heading in small letters, with dashes for spaces."""
    count = 0
    for page in [*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md')]:
        for target, heading in re.findall(r'\]\(([^)#:\s]*)#([^)\s]+)\)', page.read_text()):
            other = page.parent / target if target else page
            assert heading in headings(other.read_text()), (page, target, heading)
            count += 1
    assert count > 3


def headings(text: str) -> set[str]:
    """The names by which links reach the headings of a page."""
    titles = re.findall(r'^#+ (.+)$', re.sub(r'```.*?```', '', text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r'[^\w -]', '', title.lower()).replace(' ', '-') for title in titles}


def test_links_to_other_sites_are_well_formed():
    """They are not opened: no test needs a network."""
    links = [
        (page.name, link)
        for page in [*ROOT.glob('*.md'), *ROOT.glob('docs/**/*.md')]
        for link in re.findall(r'\w+://[^\s)>"`]+', page.read_text())
    ]
    assert links
    for name, link in links:
        host = r'(?!example|localhost)[\w-]+(\.[\w-]+)+'
        assert re.fullmatch(rf'https://{host}(/[\w./%#?=&~-]*[\w/])?', link), (name, link)


def test_the_root_has_few_files():
    """The root has at most three Python files, and no unexpected files or folders."""
    tracked = files_of_git(ROOT, '--cached')
    if tracked is None:
        pytest.skip('no git repository')
    names = {name.split('/')[0] for name in tracked}
    python = {name for name in names if name.endswith('.py')}
    requirements = {name for name in names if re.fullmatch(r'requirements.*\.txt', name)}
    assert {'main.py', 'train_lib.py'} <= python and len(python) <= 3
    assert FOLDERS <= names <= FOLDERS | FILES_AT_THE_ROOT | python | requirements


def test_tests_mirror_the_tree():
    """A test file mirrors the name and the folder of the module that it tests."""
    names = [str(path.relative_to(ROOT).with_suffix('')) for path in python_files(ROOT)]
    assert without_a_module(names) == sorted(OF_SEVERAL_MODULES)
    assert without_tests(names) == []


def test_a_test_without_its_module_and_a_package_without_tests_are_found():
    names = ['losses/__init__', 'losses/_elbo', 'main', 'tests/losses/test_elbo', 'tests/support']
    assert without_a_module(names) == without_tests(names) == []
    assert without_a_module([*names, 'tests/test_elbo']) == ['test_elbo']
    assert without_tests([*names, 'losses/kl/__init__', 'losses/kl/kl']) == ['losses/kl']


def without_a_module(names: list[str]) -> list[str]:
    """Test files among `names` that have no module at the mirrored path."""
    tests = [name.removeprefix('tests/') for name in names if is_test(name)]
    modules = lambda name: {name.replace('test_', '', 1), name.replace('test_', '_', 1)}
    return [name for name in tests if not modules(name) & {*names}]


def without_tests(names: list[str]) -> list[str]:
    """Packages of the product that contain code but have no test file in the mirrored folder."""
    tested = {str(pathlib.PurePath(name).parent) for name in names if is_test(name)}
    packages = {
        str(pathlib.PurePath(name).parent)
        for name in names
        if '/' in name and not name.startswith('tests/') and not name.endswith('__init__')
    }
    return sorted(package for package in packages if f'tests/{package}' not in tested)


def is_test(name: str) -> bool:
    return name.startswith('tests/') and pathlib.PurePath(name).name.startswith('test_')


def test_every_requirement_has_a_lower_and_an_upper_bound():
    for name in sorted(path.name for path in ROOT.glob('requirements*.txt')):
        lines = [
            line for line in (ROOT / name).read_text().splitlines() if line[:1] not in ('', '#')
        ]
        assert lines
        for line in lines:
            assert re.fullmatch(r'[\w.-]+>=[\d.]+,<[\d.]+', line), line


def test_every_file_has_a_docstring_and_is_short():
    for path in product_files():
        text = path.read_text()
        assert text.startswith('"""'), path
        assert text.count('\n') <= 300, f'{path} has outgrown one idea'


def product_files() -> list[pathlib.Path]:
    """Every Python file outside tests/."""
    return [path for path in python_files(ROOT) if path.relative_to(ROOT).parts[0] != 'tests']
