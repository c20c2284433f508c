"""A link `checkpoints` in a run: refused in every use, unless the user trusts its target."""

import shutil

import jax
import pytest
from support import contents, make_run, recipe_and_config

import train_lib
from atelier import checkout, cli, door
from atelier.errors import UserError
from atelier.evaluation.samples import features
from atelier.run import experiment
from atelier.sweep import sweep

pytestmark = pytest.mark.usefixtures('one_device')
SETTINGS = dict(train__steps=20, train__evaluate_every=10, train__checkpoint_every=10)
STEPS = ('--config.train.checkpoint_every=10', '--config.train.evaluate_every=10')
VAE = f'--config={checkout.ROOT}/configs/vae.py:debug'


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """The folder of a trained run. Tests must not modify it."""
    run = make_run(tmp_path_factory.mktemp('trained') / 'run', 'debug', **SETTINGS)
    train_lib.train(run, jax.devices()[:1])
    return run.folder


@pytest.fixture(autouse=True)
def nothing_trusted(monkeypatch):
    monkeypatch.setattr(checkout, '_trusted', set())


@pytest.fixture
def linked(trained, tmp_path):
    """A run whose checkpoints are behind a link to `mine`."""
    shutil.copytree(trained, tmp_path / 'run')
    (tmp_path / 'run' / 'checkpoints').rename(tmp_path / 'mine')
    (tmp_path / 'run' / 'checkpoints').symlink_to(tmp_path / 'mine')
    return tmp_path / 'run'


def command(*arguments):
    cli.perform(cli.parse(['atelier', *arguments]))


def trains_longer(folder):
    command(VAE, f'--workdir={folder}', '--config.train.steps=30', *STEPS)


def starts_from_it(folder):
    config_file, config = recipe_and_config(**SETTINGS)
    new = folder.with_name('new')
    train_lib.train(
        experiment.assemble(new, config_file, config, init_from=str(folder)), jax.devices()
    )


def compares_features(folder):
    run = make_run(folder.with_name('new'), 'digits,debug')
    run.config.eval.classifier = str(folder)
    features.feature_function(run, jax.devices()[:1])


USES = {
    'train': lambda folder: command(f'--workdir={folder}'),
    'train longer': trains_longer,
    'evaluate': lambda folder: command('--mode=evaluate', f'--workdir={folder}'),
    'sample': lambda folder: command('--mode=sample', f'--workdir={folder}'),
    'compare': lambda folder: command('--mode=compare', f'--runs={folder},{folder.parent}'),
    'init_from': starts_from_it,
    'classifier': compares_features,
    'load': door.load,
}


@pytest.mark.parametrize('use', USES)
def test_an_untrusted_link_is_refused(linked, use):
    """In one line that names the target; nothing is read, written or deleted there."""
    target = linked.with_name('mine')
    before = contents(target)
    with pytest.raises(UserError) as refusal:
        USES[use](linked)
    message = f'{linked}/checkpoints is a link to {target}: if you made it, add --trust={target}'
    assert str(refusal.value).endswith(message)
    assert contents(target) == before


def test_a_link_to_a_missing_folder_creates_none(linked):
    """Even if it is trusted."""
    target = linked.with_name('mine').rename(linked.with_name('elsewhere'))
    for use in USES.values():
        with pytest.raises(UserError, match='is a link to .*/mine, which is no folder'):
            use(linked)
    checkout.trust(linked.with_name('mine'))
    with pytest.raises(UserError, match='is a link to .*/mine, which is no folder'):
        trains_longer(linked)
    assert target.is_dir() and not linked.with_name('mine').exists()


@pytest.mark.slow
def test_a_trusted_link_works_in_every_use(linked):
    """--trust may be repeated, and may name several paths; one with a comma is one path."""
    target = linked.with_name('mine').rename(linked.with_name('a, b'))
    (linked / 'checkpoints').unlink()
    (linked / 'checkpoints').symlink_to(target)
    workdir, file = f'--workdir={linked}', f'{checkout.ROOT}/configs/vae.py'
    command('--mode=evaluate', workdir, f'--trust={target}', f'--trust={file},{file}')
    assert checkout.trusted() >= {target}
    before = {path.name for path in target.iterdir()}
    starts_from_it(linked)
    compared = f'--workdir={linked.with_name("compared")}'  # not the runs/ of this checkout
    command('--mode=compare', f'--runs={linked},{linked.with_name("new")}', compared)
    trains_longer(linked)
    assert {path.name for path in target.iterdir()} - before == {'30'}


@pytest.mark.parametrize('form', [lambda path: path, lambda path: ['other.py', str(path)]])
def test_load_trusts_paths(linked, form):
    assert int(door.load(linked, trust=form(linked.with_name('mine'))).state.step) == 20


@pytest.mark.slow
def test_a_trusted_folder_with_checkpoints_of_another_run_stays_as_it_is(linked, tmp_path):
    """They are refused because of their run's id, and none is deleted or moved."""
    target = linked.with_name('mine')
    checkout.trust(target)
    command(VAE, *STEPS, '--config.train.steps=10', f'--workdir={tmp_path}/other')
    shutil.rmtree(tmp_path / 'other' / 'checkpoints')
    (tmp_path / 'other' / 'checkpoints').symlink_to(target)
    before = contents(target)
    with pytest.raises(UserError, match='no checkpoint .* can be read; .* belongs to another run'):
        trains_longer(tmp_path / 'other')
    assert contents(target) == before


@pytest.mark.slow
def test_a_member_of_a_sweep_with_a_link_is_refused(tmp_path):
    """The other member is not trained either."""
    config_file, config = recipe_and_config(**SETTINGS)
    prepare = lambda: sweep.prepare(tmp_path / 'sweep', config_file, config, ['seed=0:2'], 0)
    sweep.train(prepare(), devices=jax.devices()[:1])
    checkpoints = tmp_path / 'sweep' / 'seed-1' / 'checkpoints'
    checkpoints.rename(tmp_path / 'mine')
    checkpoints.symlink_to(tmp_path / 'mine')
    before = contents(tmp_path)
    config.train.steps = 30
    with pytest.raises(UserError, match='seed-1/checkpoints is a link to .*: if you made it'):
        sweep.train(prepare(), devices=jax.devices()[:1])
    assert contents(tmp_path).keys() == before.keys()
    checkout.trust(tmp_path / 'mine')
    sweep.train(prepare(), devices=jax.devices()[:1])
    assert (tmp_path / 'mine' / '30').is_dir()
