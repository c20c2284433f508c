"""Makes files as malicious as we can: code that leaves a mark if anything ever runs it."""

import importlib.util
import json
import marshal
import pathlib
import pickle
import struct
import sys

NAMES = [
    *('sitecustomize', 'usercustomize', 'conftest', 'evil', 'models', 'losses', 'configs'),
    *('train_lib', 'atelier', 'main', 'json', 'numpy', 'jax', 'vae', 'setup', '__init__'),
    *('tensorflow', 'tensorflow_datasets', 'submitit'),
]
PACKAGES = ('models', 'losses', 'configs', 'atelier', 'runs')


def code(mark: pathlib.Path) -> str:
    """A module that is a config and an application too; running it leaves a mark."""
    return (
        f'open({str(mark)!r}, "a").write(__file__ + "\\n")\n'
        'def get_config(argument=None):\n    from configs import vae\n'
        '    return vae.get_config(argument or "digits,debug")\n'
        'def build(config, spec):\n    from configs import vae\n'
        '    return vae.build(config, spec)\n'
    )


class Bomb:
    """Its pickle opens a file."""

    def __init__(self, mark: pathlib.Path):
        self._mark = mark

    def __reduce__(self):
        return open, (str(self._mark), 'a')


def plant(folder: pathlib.Path, mark: pathlib.Path) -> None:
    """Puts code, compiled code, pickles and a library into a folder and all folders below it."""
    text, compiled = code(mark), pyc(mark)
    pickled = pickle.dumps(Bomb(mark))
    for place in [folder, *(path for path in folder.rglob('*') if path.is_dir())]:
        for name in NAMES:
            _write(place / f'{name}.py', text.encode())
            if place.parent.name != 'checkpoints':  # Orbax reads each subfolder of a checkpoint
                compiled_name = f'{name}.{sys.implementation.cache_tag}.pyc'
                _write(place / '__pycache__' / compiled_name, compiled)
        for name in PACKAGES:
            _write(place / name / '__init__.py', text.encode())
            _write(place / name / 'vae.py', text.encode())
        _write(place / 'evil.pth', f'import os; open({str(mark)!r}, "a")\n'.encode())
        for name in ('evil.pkl', 'state.pickle', 'metadata.pkl', 'config.pkl'):
            _write(place / name, pickled)
        _write(place / 'native.so', b'\x7fELF' + bytes(60))


def pyc(mark: pathlib.Path) -> bytes:
    """Compiled code that claims another file, with a header that is never compared with it."""
    unchecked = struct.pack('<I', 1) + bytes(8)
    body = compile(f'open({str(mark)!r}, "a")', 'harmless', 'exec')
    return importlib.util.MAGIC_NUMBER + unchecked + marshal.dumps(body)


def _write(path: pathlib.Path, content: bytes) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def edit(file: pathlib.Path, /, **changes) -> None:
    """Changes fields of a JSON file, which afterwards looks as if made before checksums."""
    record = json.loads(file.read_text())
    record.pop('checksum', None)
    file.write_text(json.dumps({**record, **changes}))


def name_unprepared_data(file: pathlib.Path, data_dir: pathlib.Path) -> None:
    """Lets a config.json or sweep.json name a TFDS set that has to be downloaded to `data_dir`.

    It describes no data, as those of earlier versions, so every mode reads the data.
    """
    values = json.loads(file.read_text())['values']
    values['data'].update(name='mnist', data_dir=str(data_dir))
    nothing = dict.fromkeys(('data', 'data_name', 'spec', 'train_shapes'))
    edit(file, values=values, **(nothing if file.name == 'config.json' else {}))


def paths_to_code(folder: pathlib.Path) -> list[str]:
    """What an attacker could write as the config file of the run in `folder`."""
    link = folder.parent / 'linked.py'  # beside the run: a link inside it is refused as such
    if not link.exists():
        link.symlink_to(folder / 'evil.py')
    up = '../' * 20 + str(folder / 'evil.py').lstrip('/')
    return [
        str(folder / 'evil.py'),
        str(link),
        up,
        f'configs/{up}',
        f'configs/../{up}',
        'evil.py',
        'configs/evil.py',
        '/proc/self/cwd/evil.py',
        f'{folder}/configs/vae.py',
    ]
