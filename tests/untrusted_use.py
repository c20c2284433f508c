"""Opens runs and data of someone else in every way, under an audit hook: `untrusted_use.py FOLDER`.

The same commands first use clean runs of one's own. Prints JSON objects, each with all of the one
before: what each command said, and in the last one what the hook recorded.
`tests/atelier/run/test_untrusted.py` judges it.
"""

import contextlib
import io
import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / 'tests')]

from auditing import Auditor  # noqa: E402
from malicious_files import Bomb, code, edit, name_unprepared_data, paths_to_code, plant  # noqa: E402

import atelier  # noqa: E402
from atelier import applications, checkout, cli  # noqa: E402
from atelier.errors import UserError  # noqa: E402
from benchmarks.tfds_files import IMAGE, pictures, write_set  # noqa: E402

SHORT = ('--config.train.steps=2', '--config.train.evaluate_every=2', '--config.eval.batch_size=64')
RUNS = {  # folder: config; together their families fit every application
    'vae': 'vae.py:digits,debug',
    'naive_bayes': 'naive_bayes.py:digits,debug',
    'classifier': 'classifier.py:digits,debug',
    'diffusion': 'diffusion.py:digits,debug',
    'markov': 'markov.py:debug',
    'super_resolution': 'super_resolution.py:digits,debug',
    'posterior': 'posterior.py:debug',
}
OF = {  # application: the run that it is tried on; all others: the VAE
    **dict.fromkeys(('classify', 'saliency', 'compress', 'decompress', 'structure'), 'naive_bayes'),
    **dict.fromkeys(('samplers', 'trajectory'), 'diffusion'),
    'calibrate': 'posterior',
    'text': 'markov',
    'super_resolve': 'super_resolution',
}
OPTIONS = {  # for speed
    'animate': ['--of=walk', '--frames=2'],
    'calibrate': ['--num_examples=10', '--num_samples=3', '--num_bins=2'],
    'compress': ['--num_images=8'],
    'samplers': ['--samplers=ddim:2'],
}


def command(*arguments: str) -> str:
    """Performs a command line in this process; returns 'ok', its error line or a traceback."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            cli.perform(cli.parse(['atelier', *map(str, arguments)]))
    except UserError as error:
        return f'error: {error}'
    except (Exception, SystemExit) as error:  # a finding that the test reports
        return f'traceback: {type(error).__name__}: {error}'
    return 'ok'


def opened(folder: pathlib.Path) -> str:
    """Opens a run from Python."""
    try:
        atelier.sample(atelier.load(folder), 2)
    except UserError as error:
        return f'error: {error}'
    return 'ok'


def make_own(out: pathlib.Path) -> None:
    """Trains the runs, a sweep, and a run on each kind of file."""
    for name, config in RUNS.items():
        say = command(f'--config={ROOT}/configs/{config}', f'--workdir={out}/{name}', *SHORT)
        assert say == 'ok', f'{name}: {say}'
    sweep = [f'--config={ROOT}/configs/{RUNS["naive_bayes"]}', '--mode=sweep', '--sweep=seed=0,1']
    assert command(*sweep, f'--workdir={out}/sweep', *SHORT) == 'ok'


def use(runs: pathlib.Path, own: pathlib.Path) -> dict[str, str]:
    """Does all that can be done with the runs in a folder; some commands mix them with our own."""
    vae = f'--workdir={runs}/vae'
    coded = runs / 'naive_bayes' / 'applications' / 'compress-num_images-8.bin'
    files = {'decompress': [f'--file={coded}']}
    said = {'evaluate': command('--mode=evaluate', vae), 'atelier.load': opened(runs / 'vae')}
    for mode in sorted(applications.names(), key=lambda name: (name == 'decompress', name)):
        folder = f'--workdir={runs}/{OF.get(mode, "vae")}'
        said[mode] = command(f'--mode={mode}', folder, *OPTIONS.get(mode, []), *files.get(mode, []))
    classifier = f'--config.eval.classifier={runs}/classifier'
    said['classifier'] = command('--mode=evaluate', f'--workdir={own}/vae', classifier)
    said['compare'] = command(
        '--mode=compare', f'--runs={runs}/vae,{own}/naive_bayes', f'--workdir={own}/compared'
    )
    said['report'] = command('--mode=report', vae)
    said['report runs'] = command(
        '--mode=report', f'--runs={runs}/vae,{own}/naive_bayes', f'--workdir={own}/compared'
    )
    said['report sweep'] = command('--mode=report', f'--workdir={runs}/sweep')
    said['sweep'] = command('--mode=sweep', f'--workdir={runs}/sweep')
    said['grow'] = command(
        '--mode=train', f'--workdir={runs}/naive_bayes', '--config.train.steps=4'
    )
    child = own / f'child-of-{runs.name}'
    config = f'--config={ROOT}/configs/{RUNS["naive_bayes"]}'
    parent = f'--init_from={runs}/naive_bayes'
    said['init_from'] = command(config, parent, f'--workdir={child}', *SHORT)
    codes = own / f'codes-{len([*own.glob("codes-*")])}'  # a run that has begun has its own copy
    config = f'--config={ROOT}/configs/mixture.py:codes,debug'
    parent = f'--config.data.run={runs}/vae'
    said['codes'] = command(config, parent, f'--workdir={codes}', *SHORT)
    return said


def pointed_at_code(untrusted: pathlib.Path, own: pathlib.Path) -> dict[str, str]:
    """Uses runs and sweeps whose records name the untrusted folder's code as their config."""
    said = {}
    for i, path in enumerate(paths_to_code(untrusted / 'vae')):
        for name in RUNS:
            edit(untrusted / name / 'config.json', path=path)
        edit(untrusted / 'sweep' / 'sweep.json', path=path)
        if i == 0:
            said |= {f'{mode} {path}': line for mode, line in use(untrusted, own).items()}
        vae = f'--workdir={untrusted}/vae'
        said |= {f'{mode} {path}': command(f'--mode={mode}', vae) for mode in ('sample', 'train')}
        said[f'atelier.load {path}'] = opened(untrusted / 'vae')
        said[f'sweep {path}'] = command('--mode=sweep', f'--workdir={untrusted}/sweep')
    return said


def naming_unprepared_data(untrusted: pathlib.Path, own: pathlib.Path) -> dict[str, str]:
    """Uses runs and a sweep whose records name a TFDS set that has to be downloaded.

    TensorFlow seems to be installed, and the network to be there.
    """
    for name in (*RUNS, 'sweep'):
        for file in (untrusted / name).glob('*.json'):
            if file.name in ('config.json', 'sweep.json'):
                name_unprepared_data(file, untrusted / 'downloaded')
    (own / 'fake' / 'tensorflow').mkdir(parents=True)
    (own / 'fake' / 'tensorflow' / '__init__.py').write_text('')
    sys.path.append(str(own / 'fake'))
    os.environ['http_proxy'] = 'http://localhost:9'
    try:
        return use(untrusted, own)
    finally:
        sys.path.remove(str(own / 'fake'))
        del os.environ['http_proxy']


def make_untrusted_data(folder: pathlib.Path, mark: pathlib.Path) -> None:
    """Writes arrays, pictures, a TFDS set and coded files that hold or name code."""
    (folder / 'pictures').mkdir(parents=True)
    bomb, text = pickle.dumps(Bomb(mark)), code(mark).encode()
    np.savez(folder / 'objects.npz', x=np.array([Bomb(mark)] * 30, dtype=object))
    for name, content in (('pickled.npz', bomb), ('pickled.bin', bomb), ('program.bin', text)):
        (folder / name).write_bytes(content)
    for i in range(30):
        picture = Image.fromarray(np.full((8, 8), i, np.uint8))
        picture.save(folder / 'pictures' / f'{i}.png')
    (folder / 'pictures' / '99.png').write_bytes(
        b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n'
    )
    tiny = write_set(folder / 'tfds', 'tiny', {'train': pictures(30)}, {'image': IMAGE})
    features = (tiny / 'features.json').read_text()
    (tiny / 'features.json').write_text(features.replace(IMAGE['pythonClassName'], 'evil.Image'))
    plant(folder, mark)


def use_data(folder: pathlib.Path, own: pathlib.Path) -> dict[str, str]:
    """Trains on, and decodes, the files of `make_untrusted_data`."""
    vae, train = f'--config={ROOT}/configs/vae.py', (f'--workdir={own}/never', *SHORT)
    at = lambda name: f'--config.data.path={folder}/{name}'
    decompress = ('--mode=decompress', f'--workdir={own}/naive_bayes')
    score = ('--mode=anomaly', f'--workdir={own}/vae')
    return {
        'objects': command(f'{vae}:arrays,debug', at('objects.npz'), *train),
        'pickle': command(f'{vae}:arrays,debug', at('pickled.npz'), *train),
        'program as arrays': command(f'{vae}:arrays,debug', at('program.bin'), *train),
        'pictures': command(f'{vae}:folder,debug', at('pictures'), *train),
        'tfds': command(f'{vae}:tiny,debug', f'--config.data.data_dir={folder}/tfds', *train),
        'program as picture': command(*score, f'--picture={folder}/program.bin'),
        'coded pickle': command(*decompress, f'--file={folder}/pickled.bin'),
        'coded program': command(*decompress, f'--file={folder}/program.bin'),
    }


def swap_handlers(untrusted: pathlib.Path) -> None:
    """Lets the records of checkpoints name the untrusted folder's modules."""
    for path in untrusted.rglob('_CHECKPOINT_METADATA'):
        record = json.loads(path.read_text())
        record['item_handlers'] = dict.fromkeys(record['item_handlers'], 'models.Handler')
        path.write_text(json.dumps(record))


def controls(untrusted: pathlib.Path, own: pathlib.Path, auditor: Auditor) -> dict[str, object]:
    """What the hook must notice: a typed config of the same folder, a pickle, a process."""
    auditor.reset()
    config = f'--config={untrusted}/vae/evil.py:digits,debug'
    said = command(config, f'--workdir={own}/typed', *SHORT)
    runs_code = list(auditor.code)
    with contextlib.suppress(Exception):
        pickle.loads((untrusted / 'vae' / 'evil.pkl').read_bytes())
    subprocess.run(['true'], check=True)
    processes = [name for name in auditor.others if name.endswith(' true')]
    return {
        'said': said,
        'code': runs_code,
        'pickles': sorted(auditor.pickles),
        'processes': processes,
    }


def main(out: pathlib.Path) -> None:
    own, untrusted, mark = out / 'own', out / 'untrusted', out / 'RAN'
    auditor = Auditor(untrusted)
    make_own(own)
    for folder in (untrusted, out / 'clean'):
        shutil.copytree(own, folder)
    plant(untrusted, mark)
    make_untrusted_data(untrusted / 'data', mark)
    os.chdir(untrusted / 'vae')
    auditor.install()
    found = {'clean': use(out / 'clean', own)}
    usual = {*auditor.others, *auditor.pickles}
    auditor.reset()
    found['planted'] = use(untrusted, own)
    say(found)
    found['data'] = use_data(untrusted / 'data', own)
    with auditor.paused():
        swap_handlers(untrusted)
    found['handlers'] = {'sample': command('--mode=sample', f'--workdir={untrusted}/vae')}
    found['pointed'] = pointed_at_code(untrusted, own)
    say(found)
    with auditor.paused():
        for name in (*RUNS, 'sweep'):
            shutil.copytree(own / name, untrusted / 'again' / name)
    found['unprepared'] = naming_unprepared_data(untrusted / 'again', own)
    say(found)
    ran = {'code': sorted({*auditor.code})}
    ran['unusual'] = sorted({*auditor.others, *auditor.pickles} - usual)
    ran['marked'] = mark.read_text() if mark.exists() else ''
    ran['controls'] = controls(untrusted, own, auditor)
    ran['controls']['marked'] = mark.exists()
    say(found | ran)


def say(found: dict[str, object]) -> None:
    """Prints what is known so far as a line of JSON; each line replaces the one before."""
    print(json.dumps(found), flush=True)


if __name__ == '__main__':
    with checkout.open_for_a_command():
        main(pathlib.Path(sys.argv[1]).resolve())
