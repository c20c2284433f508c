"""Lists a checkout's source files, without environments, runs and builds in its folder."""

import pathlib
import subprocess

NOT_SOURCE = {'runs', 'shared', 'build', 'dist'}  # at the top


def python_files(root: pathlib.Path) -> list[pathlib.Path]:
    """The Python files of the checkout at `root`, sorted."""
    return [path for path in source_files(root) if path.suffix == '.py']


def source_files(root: pathlib.Path) -> list[pathlib.Path]:
    """Files that git tracks or would add; without git, all files.

    Files in hidden folders, in virtual environments and in `NOT_SOURCE` are left out.
    """
    listed = files_of_git(root, '--cached', '--others', '--exclude-standard')
    paths = root.rglob('*') if listed is None else [root / name for name in listed]
    return sorted(path for path in paths if _is_source(path, root) and path.is_file())


def files_of_git(root: pathlib.Path, *options: str) -> list[str] | None:
    """The paths that `git ls-files` lists; None if `root` is no repository or git fails."""
    if not (root / '.git').exists():
        return None
    command = ['git', '-C', str(root), 'ls-files', '-z', *options]
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except OSError:  # git is not installed
        return None
    return result.stdout.split('\0')[:-1] if result.returncode == 0 else None


def _is_source(path: pathlib.Path, root: pathlib.Path) -> bool:
    folders = path.relative_to(root).parts[:-1]
    return not (
        any(folder.startswith('.') for folder in folders)
        or NOT_SOURCE.intersection(folders[:1])
        or any((parent / 'pyvenv.cfg').exists() for parent in path.parents[: len(folders)])
    )
