"""The README's examples work: its Python programs, its config variant and its change of a loss."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from source_files import source_files

from atelier import checkout

ROOT = checkout.ROOT
README = (ROOT / 'README.md').read_text()
QUICK = """
def quick(config):
    config.train.update(steps=20, evaluate_every=20)
    return config
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf'```{language}\n(.*?)```', README, re.DOTALL)


@pytest.fixture
def house(tmp_path):
    """A copy of the checkout that a test may change."""
    copy = tmp_path / 'house'
    for path in source_files(ROOT):
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return copy


def python(house, *arguments):
    """Runs Python in `house`."""
    environment = {**os.environ, 'XLA_FLAGS': ''}
    result = subprocess.run(
        [sys.executable, *arguments], cwd=house, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def changed(text: str, hunk: str) -> str:
    """Applies one hunk of the README's diff to `text`; the hunk must match exactly once."""
    lines = hunk.split('\n')
    before = '\n'.join(line[1:] for line in lines if line[:1] in ' -')
    after = '\n'.join(line[1:] for line in lines if line[:1] in ' +')
    assert text.count(before) == 1, before
    return text.replace(before, after)


@pytest.mark.slow
def test_the_readme_change_of_a_loss_works(house):
    """After the README's diff the loss is -E[log p(x | z)] + |KL - capacity_nats|."""
    (diff,) = blocks('diff')
    files = re.findall(r'--- a/(\S+)\n\+\+\+ b/\S+\n@@[^\n]*\n(.*?)\n(?=---|\Z)', diff, re.DOTALL)
    assert [name for name, _ in files] == [
        'models/autoencoders/vae_objectives.py',
        'configs/vae.py',
    ]
    for name, hunk in files:
        (house / name).write_text(changed((house / name).read_text(), hunk))
    flags = ['main.py', '--config=configs/vae.py:debug', '--config.train.steps=10']
    python(house, *flags, '--config.hypers.capacity_nats=5', '--workdir=runs/capacity')
    rows = (house / 'runs' / 'capacity' / 'metrics.jsonl').read_text()
    values = lambda name: [float(v) for v in re.findall(rf'"train/{name}": ([-\d.e]+)', rows)]
    for loss, elbo, kl in zip(values('loss'), values('elbo_nats'), values('kl_nats'), strict=True):
        assert abs(loss - (-elbo - kl + abs(kl - 5))) < 1e-3 * abs(loss)
    assert len(values('loss')) == 10


@pytest.mark.slow
def test_the_readme_python_runs(house):
    """Runs both Python programs of the README, the second with 20 training steps."""
    use, _, own = blocks('python')
    python(house, 'main.py', '--config=configs/vae.py:digits,debug', '--workdir=runs/vae-digits')
    output = python(house, '-c', f'{use}\nprint(x.shape, codes.shape, sorted(numbers))')
    assert '(16, 8, 8, 1) (447, 2)' in output  # the debug model has two latent dimensions
    assert "'values'" in output
    own = own.replace('atelier.common_config()', 'quick(atelier.common_config())')
    assert 'nll_nats' in python(house, '-c', QUICK + own)


SMALL = '--config.train.steps=20 --config.train.evaluate_every=20 --config.eval.num_pictures=4'
SMALL_VAE = (
    f'{SMALL} --config.model.hidden_sizes=16 --config.model.latent_dim=2 '
    '--config.eval.num_importance_samples=10 --config.eval.importance_chunk=10'
)
ADDED = [  # flags behind those of a command that matches; the first match counts
    ('help', ''),
    ('debug', ''),
    ('steps=3000', '--config.train.steps=40'),
    ('--config=(configs/vae|mine).py', SMALL_VAE),
    ('--config=configs/(classifier|fvsbn|gan).py', SMALL),
    ('--mode=inpaint', '--num_examples=20'),
    ('--mode=compress', '--num_images=10'),
    ('--mode=', ''),
]
INSTALLS_OR_TESTS = r'(pip|python -m pytest|sphinx-build)\b'  # .ci/run runs these
FIRST = {  # what a command of the README takes for granted: {its part: an earlier command}
    '--trust=mine.py': 'python main.py --config=mine.py',
}
WHOLE = {  # the README has these flags alone in a sentence
    '--trust=mine.py': 'python main.py --mode=sample --workdir=runs/mine-digits --trust=mine.py',
}


def commands() -> list[str]:
    """The command lines of the README in their order, and those in its sentences."""
    found = []
    for line in README.split('\n'):
        for text in re.findall(r'^    ((?:python|pip) .*)', line) + re.findall('`([^`]+)`', line):
            if re.fullmatch('--.*help', text):
                text = f'python main.py {text}'
            parts = WHOLE.get(text, text).split(' && ')
            found += [part for part in parts if re.match('(python|pip|sphinx-build) ', part)]
    return list(dict.fromkeys(found))


@pytest.mark.slow
def test_the_commands(house):
    """Runs every command of the README in a copy of the checkout, with small budgets."""
    (house / 'mine.py').write_text(blocks('python')[1])
    done = []

    def run(command):
        if command in done or re.match(INSTALLS_OR_TESTS, command):
            return
        for part, earlier in FIRST.items():
            if part in command:
                run(earlier)
        added = next(flags for pattern, flags in ADDED if re.search(pattern, command))
        _, *arguments = shlex.split(f'{command} {added}')
        python(house, *arguments)
        done.append(command)

    for command in commands():
        run(command)
    assert len(done) >= 20
    for pattern, _ in ADDED:
        assert any(re.search(pattern, command) for command in done), pattern
    runs = {path.parent.name for path in house.glob('runs/*/evaluation.json')}
    names = {'vae-digits', 'beta-4', 'on', 'vae-digits-debug', 'mine-digits'}
    assert names | {'classifier-digits', 'gan-digits', 'fvsbn-digits'} <= runs
    assert (house / 'runs' / 'sweep-vae-digits' / 'sweep.csv').read_text().count('\n') == 33
    applications = {path.stem for path in house.glob('runs/vae-digits/applications/*.npz')}
    assert len(applications) >= 4


def test_all_command_lines_are_found():
    found = commands()
    assert 'python main.py --config=configs/vae.py' in found  # behind `pip install ... &&`
    assert 'python main.py --mode=sample --help' in found
    assert 'python main.py --mode=compress --workdir=runs/fvsbn-digits' in found  # in a table
    lines = re.findall(r'^    (?:python|pip) ', README, re.MULTILINE)
    assert len(found) > len(lines) > 15


def test_the_readme_config_variant_works(tmp_path, monkeypatch):
    _, variant, _ = blocks('python')
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mine.py').write_text(variant)
    config_file = checkout.config_file('mine.py:digits,debug')
    assert config_file.config().hypers.beta == 4.0
    assert config_file.module().build.__module__ == 'configs.vae'


def test_the_readme_is_short():
    assert README.count('\n') <= 250
