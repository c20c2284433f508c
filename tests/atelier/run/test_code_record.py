"""Checksums of code: the packages that a config imports, and the modules beside a user's config."""

import pathlib

import pytest

from atelier.checkout import ConfigFile
from atelier.run import code_record

PATH = pathlib.Path('run/config.json')


def recorded(path):
    return code_record.recorded_fields(ConfigFile(str(path)))


def test_the_packages_are_those_that_a_config_imports():
    """Through others too: `iwae` is a variant of `vae`."""
    vae, iwae, gan = (recorded(f'configs/{name}.py')['code'] for name in ('vae', 'iwae', 'gan'))
    for code in (vae, iwae, gan):
        assert {'train_lib.py', 'losses', 'atelier/core', 'atelier/run', 'models/nets'} <= {*code}
    assert 'models/autoencoders' in vae and 'models/gans' not in vae
    assert 'models/gans' in gan and 'models/autoencoders' not in gan
    assert iwae['configs'] != vae['configs'] == gan['configs']  # without the config itself
    assert vae['atelier/core'] == gan['atelier/core']
    assert recorded('configs/vae.py')['neighbours'] == {}


def test_a_run_from_python_uses_the_engine():
    code = code_record.recorded_fields(ConfigFile(''))
    assert 'atelier/core' in code['code'] and 'train_lib.py' in code['code']
    assert not any(name.startswith('models') for name in code['code'])


@pytest.fixture
def mine(tmp_path):
    """A config with a neighbour, which has one too, and a package with a relative import."""
    sources = {
        'mine.py': 'from configs import vae\nimport helper\nfrom parts import heads\n',
        'helper.py': 'import json\nfrom losses import elbo\ndef f():\n    import inner\n',
        'inner.py': '',
        'unused.py': '',
        'parts/__init__.py': '',
        'parts/heads.py': 'from . import sizes\nfrom .widths import W\n',
        'parts/sizes.py': '',
        'parts/widths.py': 'W = 3\n',
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path / 'mine.py'


def test_modules_beside_a_config_are_those_that_it_imports(mine):
    fields = recorded(mine)
    names = {'helper.py', 'inner.py', *(f'parts/{n}.py' for n in ('__init__', 'heads', 'sizes'))}
    assert {*fields['neighbours']} == {*names, 'parts/widths.py'}
    assert {'losses', 'configs', 'models/autoencoders'} <= {*fields['code']}


def test_a_change_is_noticed_in_the_file_that_changed(mine):
    """Also within one process, and if a module is gone."""
    then = recorded(mine)
    assert recorded(mine) == then
    (mine.parent / 'unused.py').write_text('x = 3')
    (mine.parent / 'parts' / 'widths.py').write_text('W = 44\n')
    now = recorded(mine)
    assert now['code'] == then['code']
    assert code_record.differences(then['neighbours'], now['neighbours']) == ['parts/widths.py']
    (mine.parent / 'inner.py').unlink()
    changed = code_record.differences(then['neighbours'], recorded(mine)['neighbours'])
    assert changed == ['inner.py', 'parts/widths.py']
    (mine.parent / 'helper.py').write_text('this is no Python')
    assert 'helper.py' in recorded(mine)['neighbours']


def test_a_record_of_something_else_is_refused(complaint):
    good = dict.fromkeys(code_record.FIELDS, {'losses': '0123'})
    code_record.check(PATH, good)
    code_record.check(PATH, dict.fromkeys(code_record.FIELDS))
    many = {str(n): '0' for n in range(2000)}
    for field in code_record.FIELDS:
        for value in (3, [], 'x', {'losses': 3}, {'losses': None}, {'x' * 999: ''}, many):
            line = complaint(code_record.check, PATH, {**good, field: value})
            assert line.startswith(f'{PATH} is damaged: {field} is ') and len(line) < 1000
