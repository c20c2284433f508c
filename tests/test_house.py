"""The house's own rules: what the README and .ci/run say is the same, and files stay small."""

import pathlib
import re

import pytest
from source_files import files_of_git, python_files

from atelier import checkout

ROOT = checkout.ROOT
TEST_LINE = 'pip install -r requirements.txt -r requirements-dev.txt && python -m pytest'
JOB_LINE = 'pip install -r requirements.txt && python main.py --config=configs/vae.py'

FOLDERS = {'atelier', 'benchmarks', 'configs', 'docs', 'losses', 'models', 'tests'}
FILES_AT_THE_ROOT = {  # besides Python files and requirements; mkdocs.yml is of the documentation
    *('README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'LICENSE'),
    *('pyproject.toml', 'mkdocs.yml', '.gitignore', '.ci'),
}


def test_the_readme_and_ci_run_the_same_line():
    readme = (ROOT / 'README.md').read_text()
    ci = (ROOT / '.ci' / 'run').read_text().splitlines()
    assert re.search(rf'^ +{re.escape(TEST_LINE)}$', readme, re.MULTILINE)
    assert re.search(rf'^ +{re.escape(JOB_LINE)}$', readme, re.MULTILINE)
    assert TEST_LINE in ci
    others = {'python -m pytest -m slow', 'pip install -e .', 'ruff check', 'ruff format --check'}
    assert others <= set(ci)


def test_files_that_the_readme_names_exist():
    readme = (ROOT / 'README.md').read_text()
    named = re.findall(r'\]\(([\w./-]+)\)', readme) + re.findall(
        r'`([\w/]+\.(?:py|md|txt))`', readme
    )
    assert len(named) > 5
    missing = [name for name in named if not (ROOT / name).exists() and '/NAME' not in name]
    assert not missing


def test_the_root_is_short():
    """`ls` tells the story: at most three Python files, and nothing that nobody expects."""
    tracked = files_of_git(ROOT, '--cached')
    if tracked is None:
        pytest.skip('no git repository')
    names = {name.split('/')[0] for name in tracked}
    python = {name for name in names if name.endswith('.py')}
    requirements = {name for name in names if re.fullmatch(r'requirements.*\.txt', name)}
    assert {'main.py', 'train_lib.py'} <= python and len(python) <= 3
    assert FOLDERS <= names <= FOLDERS | FILES_AT_THE_ROOT | python | requirements


def test_every_requirement_has_a_lower_and_an_upper_bound():
    for name in sorted(path.name for path in ROOT.glob('requirements*.txt')):
        lines = [
            line for line in (ROOT / name).read_text().splitlines() if line[:1] not in ('', '#')
        ]
        assert lines
        for line in lines:
            assert re.fullmatch(r'[\w.-]+>=[\d.]+,<[\d.]+', line), line


def test_every_file_says_what_it_is_for():
    for path in product_files():
        text = path.read_text()
        assert text.startswith('"""'), path
        assert text.count('\n') <= 300, f'{path} has outgrown one idea'


def product_files() -> list[pathlib.Path]:
    """Every Python file but those of the tests."""
    return [path for path in python_files(ROOT) if path.relative_to(ROOT).parts[0] != 'tests']
