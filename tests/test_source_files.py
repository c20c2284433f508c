"""The source files of a checkout, with and without git."""

import subprocess

import pytest
from source_files import python_files

OURS = ['losses/elbo.py', 'main.py', 'models/shared/new.py']
OTHERS = ['.hidden/a.py', 'build/a.py', 'runs/a.py', 'venv/lib/site.py', 'losses/env/lib/site.py']


@pytest.mark.parametrize('has_git', [True, False])
def test_only_the_files_of_the_checkout_are_read(tmp_path, has_git):
    for name in [*OURS, *OTHERS, 'main.txt', 'venv/pyvenv.cfg', 'losses/env/pyvenv.cfg']:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    if has_git:
        (tmp_path / '.gitignore').write_text('ignored.py\n')
        (tmp_path / 'ignored.py').touch()
        git = ['git', '-C', str(tmp_path)]
        subprocess.run([*git, 'init', '-q'], check=True)
        subprocess.run([*git, 'add', 'main.py', 'losses'], check=True)
    assert [str(path.relative_to(tmp_path)) for path in python_files(tmp_path)] == OURS
