"""One file with everything small that was measured: results, evaluations, metrics, logs."""

import pathlib
import tarfile

from atelier import files

MAX_BYTES = 8 << 20  # of a file that is taken along
SMALL = ('.json', '.jsonl', '.log', '.csv', '.png', '.txt')
LEFT_OUT = {'checkpoints', 'tensorboard'}


def write(path: pathlib.Path, runs: pathlib.Path, results: pathlib.Path) -> None:
    """Writes PATH.tar.gz, whole or not at all.

    Raises:
      UserError: the file cannot be written.
    """
    members = [(file, f'results/{file.name}') for file in sorted(results.glob('*.json'))]
    members += [
        (file, f'runs/{file.relative_to(runs)}')
        for file in sorted(runs.rglob('*'))
        if file.suffix in SMALL and file.is_file() and not file.is_symlink()
        if not LEFT_OUT & set(file.relative_to(runs).parts) and file.stat().st_size <= MAX_BYTES
    ]
    with files.whole(path) as target, tarfile.open(fileobj=target, mode='w:gz') as archive:
        for file, name in members:
            archive.add(file, name, recursive=False)
