"""The command line as a function: parsed and run from Python, and the text of --help."""

import os
import re
import subprocess
import sys
import tempfile

import pytest

from atelier import applications, cli, cli_flags, cli_help, leftovers, paths
from atelier.checkout import ROOT
from atelier.cli_built_in import BUILT_IN
from atelier.errors import UserError

BEGINNING = 'from atelier.applications import Application'
APPLICATION = '''
"""The mean of all numbers."""

from atelier.applications import Application


def apply(run, num_samples: int = 4, loudly: bool = False, words: str = 'mean', scale: float = 1.0):
    """Says it.

    Raises:
      UserError: never.
    """
    print(words, num_samples, loudly, scale, run.folder.name)


APPLICATION = Application(apply)
'''


@pytest.fixture
def application(tmp_path, monkeypatch):
    """Writes a user's application to the current folder."""
    (tmp_path / 'mean.py').write_text(APPLICATION)
    monkeypatch.chdir(tmp_path)


def help_of(capsys, *arguments) -> str:
    with pytest.raises(SystemExit) as stopped:
        cli.parse(['main.py', *arguments, '--help'])
    assert stopped.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ('arguments', 'phrases'),
    [
        (
            ['--mode=sample'],
            ['Draws samples from a trained model', '--num_samples=0', '--labels='],
        ),
        (['--mode=sweep'], ['--sweep_random', '--launcher_option', 'VALUES of an axis']),
        (['--mode=compare'], ['--runs=RUN,RUN', 'RUN,RUN,...']),
        (['--mode=report'], ['one HTML page', '--runs=RUN,RUN', '--workdir=RUN']),
        (['--config=configs/vae.py:debug'], ['--config.train.steps=', 'Kingma and Welling']),
        (['--mode=mean.py'], ['The mean of all numbers', '--loudly=False', '--scale=1.0']),
    ],
)
def test_help_of_one_mode_or_config(capsys, application, arguments, phrases):
    text = help_of(capsys, *arguments)
    assert all(phrase in text for phrase in phrases)
    assert 'Raises' not in text
    assert max(map(len, text.split('\n'))) <= 100


def test_help_imports_no_jax():
    code = (
        'import sys\n'
        'from atelier import cli\n'
        'try:\n    cli.parse(["main.py", "--help"])\n'
        'except SystemExit:\n    assert not {"jax", "numpy"} & {*sys.modules}\n'
    )
    result = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert 'Autoencoders\n' in result.stdout


def test_help_into_a_closed_pipe_is_no_error():
    """`main.py --help | head -1` closes the pipe before all output is written."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, 'main.py', '--help']
    result = subprocess.run(command, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (result.returncode, result.stderr) == (0, '')


def test_parsing_a_command_leaves_no_state_behind(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['pytest', '--config=nonsense'])
    first = cli.parse(['x', '--config.train.steps=3', '--config=configs/vae.py:debug'])
    second = cli.parse(['x', '--config', 'configs/vae.py', '--profile'])
    assert (first.config.train.steps, first.values.profile) == (3, False)
    assert (second.overrides, second.values.profile) == ({}, True)
    assert second.config.train.steps > 3
    assert sys.argv == ['pytest', '--config=nonsense']


def test_the_last_of_two_configs_is_used(tmp_path):
    command = cli.parse(['x', '--config=nothing.py', '--config=configs/vae.py', '--workdir=a'])
    assert command.config_file.path == 'configs/vae.py'


@pytest.mark.parametrize(
    ('mode', 'message'),
    [
        ('sampel', "choose one of train, .*did you mean 'sample'"),
        ('_common', 'choose one of train'),
        ('nothing.py', 'there is no such file'),
        ('nothing_there.py', 'it has no APPLICATION'),
        ('no_default.py', 'the option n needs a default'),
        ('of_ours.py', 'every command has a flag --workdir: rename the option'),
    ],
)
def test_an_unknown_mode_is_refused(application, tmp_path, mode, message):
    applications = {
        'nothing_there': '',
        'no_default': 'def apply(run, n): ...',
        'of_ours': 'def apply(run, workdir=1): ...',
    }
    for name, text in applications.items():
        value = f'{BEGINNING}\n{text}\nAPPLICATION = Application(apply)' if text else ''
        (tmp_path / f'{name}.py').write_text(value)
    for more in (['--config=configs/vae.py'], ['--help']):
        with pytest.raises(UserError, match=message):
            cli.parse(['x', f'--mode={mode}', *more])


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (['--confg=configs/vae.py'], "there is no flag --confg (did you mean '--config'?)"),
        (
            ['--config=configs/vae.py', '--num_samples=3'],
            '--num_samples is an option of --mode=animate, --mode=calibrate, --mode=sample, ',
        ),
        (
            ['--config=configs/vae.py', '--noprofil'],
            "there is no flag --noprofil (did you mean '--profile'?)",
        ),
        (
            ['--config=configs/vae.py', '--cofig.hypers.beta=3'],
            "there is no flag --cofig.hypers.beta (did you mean '--config.hypers.beta'?)",
        ),
        (
            ['--config=configs/vae.py', '--hypers.beta=3'],
            "there is no flag --hypers.beta (did you mean '--config.hypers.beta'?)",
        ),
        (['config=configs/vae.py'], "not a flag (did you mean '--config=configs/vae.py'?); flags"),
        (['configs/vae.py:shapes'], "(did you mean '--config=configs/vae.py:shapes'?)"),
        (['evaluate', '--workdir=x'], "(did you mean '--mode=evaluate'?)"),
        (['--config=configs/vae.py', 'beta=3'], "(did you mean '--config.hypers.beta=3'?)"),
        (
            ['--config=configs/vae.py', '--seed=3'],
            '--seed is an option of other modes; the field of the config is --config.seed=3',
        ),
        (['--mode=interpolate', '--steps=3'], '--steps: --mode=interpolate --help lists'),
        (['--config=configs/vae.py', '--config.beta=3'], "(did you mean 'hypers.beta'?)"),
        (['--config=configs/vae.py', '--beta=3'], "(did you mean '--config.hypers.beta'?)"),
        (['--config=configs/vea.py'], "vea.py (did you mean 'configs/vae.py'?): --help lists"),
        (['--config=vae'], "vae (did you mean 'configs/vae.py'?): --help lists the configs"),
    ],
)
def test_an_unknown_flag_is_refused(complaint, flags, message):
    assert message in complaint(cli.parse, ['x', *flags])


@pytest.mark.parametrize(
    'mode', sorted({*cli_flags.modes()} - {'train', 'compare', 'report', 'sweep'})
)
def test_a_mode_that_uses_a_run_says_so(complaint, mode):
    message = f'--mode={mode} needs --workdir=RUN, the folder of a run that was trained before'
    assert message in complaint(cli.parse, ['x', f'--mode={mode}'])
    assert message in complaint(cli.parse, ['x', f'--mode={mode}', '--workdir='])


def test_other_modes_say_what_they_need(complaint):
    assert 'give --config=configs/NAME.py to train' in complaint(cli.parse, ['x'])
    assert '--mode=sweep needs --config=' in complaint(cli.parse, ['x', '--mode=sweep'])
    line = complaint(cli.parse, ['x', '--mode=sample', '--workdir=runs/of nobody'])
    assert 'runs/of nobody does not exist: give the folder of a run' in line
    line = complaint(cli.parse, ['x', '--mode=sweep', '--workdir=runs/of nobody'])
    assert 'runs/of nobody does not exist; give the folder of a sweep' in line


def typed_flags() -> list[tuple[str, str, str]]:
    """(mode, flag, type) of every flag and option that is a number or a truth value."""
    kinds = {'int': 'an integer', 'float': 'a number', 'bool': 'True or False'}
    own = cli_flags.define()
    rows = [('train', name, own[name].flag_type()) for name in own]
    for mode in applications.names():
        values = cli_flags.define()
        cli_flags.define_options(values, mode, applications.load(mode))
        rows += [(mode, name, values[name].flag_type()) for name in {*values} - {*own}]
    return [(mode, name, kinds[kind]) for mode, name, kind in sorted(rows) if kind in kinds]


def test_a_value_of_another_type_says_which_to_give(complaint):
    """For every flag and every option of an application."""
    flags = typed_flags()
    assert {kind for _, _, kind in flags} == {'an integer', 'a number', 'True or False'}
    for mode, name, kind in flags:
        line = complaint(cli.parse, ['x', f'--mode={mode}', f'--{name}=ab:c d'])
        assert line == f'--{name}=ab:c d: give {kind}'


@pytest.mark.parametrize(
    ('flag', 'advice'),
    [
        ('--config.hypers.beta=x', 'a number'),
        ('--config.train.steps=1e5', 'an integer'),
        ('--config.train.steps=', 'an integer'),
        ('--config.model.hidden_sizes=(5,6', 'values with commas between them, such as 1,2,3 or'),
        ('--config.hypers=3', 'one field of the group, as in --config.hypers.FIELD=VALUE'),
        ('--launcher=slurm', 'one of submitit, submitit-local'),
    ],
)
def test_a_wrong_value_says_what_to_give(complaint, flag, advice):
    line = complaint(cli.parse, ['x', '--config=configs/vae.py', flag])
    assert line.startswith(f'{flag}: give {advice}')


def test_a_flag_without_its_value(complaint):
    config = '--config=configs/vae.py'
    for flag in ('--workdir', '--config.train.steps'):
        assert complaint(cli.parse, ['x', config, flag]) == f'{flag} needs a value: {flag}=VALUE'


def test_a_wrong_value_may_be_long_and_have_line_breaks(complaint):
    config = '--config=configs/vae.py'
    line = complaint(cli.parse, ['x', config, '--config.train.steps=' + '9' * 5000])
    assert line.endswith(': give an integer with fewer digits') and len(line) < 200
    line = complaint(cli.parse, ['x', config, '--config.hypers.beta=a\nb'])
    assert line == '--config.hypers.beta=a b: give a number'


def test_a_flag_may_be_negated_and_a_value_may_begin_with_a_dash():
    flags = ['--mode=concept', '--config=configs/vae.py', '--noprofile', '--low', '-2.5']
    command = cli.parse(['x', *flags])
    assert (command.values.profile, command.options['low']) == (False, -2.5)
    flags = ['--mode=text', '--config=configs/char_lm.py', '--config.data.path', '-once']
    command = cli.parse(['x', *flags, '--prompt', '-once'])
    assert command.options['prompt'] == command.config.data.path == '-once'


def test_an_empty_text_is_not_one_that_is_missing():
    flags = ['x', '--mode=sample', '--config=configs/cvae.py']
    assert cli.parse(flags).options['prompt'] is None
    assert cli.parse([*flags, '--prompt=']).options['prompt'] == ''
    assert '  --prompt=  ' in cli_help.text(flags)


@pytest.mark.parametrize('mode', cli_flags.modes())
def test_every_option_of_every_mode_is_described(mode):
    """Its description begins with its noun, and stands in its line or below a long name."""
    if mode in BUILT_IN:
        names = [*BUILT_IN[mode].own_flags, *BUILT_IN[mode].shared_flags]
    else:
        names = applications.options(applications.load(mode))
    text = cli_help.text(['x', f'--mode={mode}'])
    for name in names:
        found = re.search(rf'^  --{name}(=[^ ]*(\n    [^ -]+)*)?\s+(\S.*)', text, re.MULTILINE)
        assert found and not re.match(r"--|'|(of|its?|if|with|selects|i/n)\b", found.group(3)), name


def test_every_mode_has_a_whole_line_that_begins_with_a_verb(capsys):
    lines = help_of(capsys).split('Modes\n')[1].split('\n\n')[0].split('\n')
    assert [line.split()[0] for line in lines] == cli_flags.modes()
    for line in lines:
        assert line.split()[1].endswith('s') and not line.endswith('...'), line


def test_a_start_removes_leftovers_of_killed_processes(tmp_path, monkeypatch, complaint):
    """In the system's folder for temporary files and in the cache; other folders stay."""
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    leftover_folders = [
        tmp_path / 'atelier-01234567',
        paths.cache_folder() / 'data' / '.key-01234567',
    ]
    for folder in [*leftover_folders, tmp_path / 'atelier-mine', tmp_path / 'other']:
        folder.mkdir(parents=True)
        if folder.name != 'atelier-mine':
            (folder / leftovers.LOCK).touch()
    complaint(cli.perform, cli.parse(['x', '--mode=compare', '--runs=a']))
    assert {path.name for path in tmp_path.iterdir()} == {'atelier-mine', 'other', 'cache'}
    assert not leftover_folders[1].exists()
