"""A run works from its folder alone: modes that read no example need no data."""

import contextlib
import json
import pathlib
import re

import numpy as np
import pytest
from malicious_files import name_unprepared_data
from PIL import Image
from support import assembled, begin, recipe_and_config

import atelier
from atelier import applications, cli
from atelier.data import tfds_images
from atelier.errors import UserError
from atelier.evaluation.examples import outliers
from atelier.run import restore, run_data, run_folder
from atelier.run.checkpoint import Checkpoints, Memory
from atelier.sweep import folder as sweep_folder

OPTIONS = {
    'sample': dict(num_samples=9),
    'trajectory': dict(num_samples=2, num_points=2),
    'samplers': dict(samplers='ddim:2', num_samples=2, measure=False),
    'interpolate': dict(num_pairs=1, num_points=2),
    'concept': dict(attribute='intensity', num_images=2, num_steps=2, num_codes=8),
    'text': dict(num_characters=9, num_samples=1),
    'traverse': dict(num_dims=2, num_points=2),
}


def write_data(folder: pathlib.Path, argument: str) -> pathlib.Path:
    """Writes data for the source that the config's argument names; returns their path."""
    rng, path = np.random.default_rng(0), folder / 'mine'
    if argument.startswith('arrays'):
        path = folder / 'mine.npz'
        x = rng.integers(0, 3, (60, 8, 8, 1)).astype(np.int32)
        np.savez(path, x=x, label=np.arange(60) % 2)
    elif argument.startswith('text'):
        path = folder / 'mine.txt'
        path.write_text(''.join('abcd\n'[i] for i in rng.integers(0, 5, 60000)))
    else:
        for label in 'ab':
            (path / label).mkdir(parents=True)
            for i in range(20):
                pixels = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(path / label / f'{i}.png')
    return path


@pytest.fixture(scope='module')
def run_of(tmp_path_factory):
    """Returns the run of a config with its first checkpoint, and the path of its data."""
    runs = {}

    def saved(name, argument='arrays,debug'):
        if (name, argument) not in runs:
            folder = tmp_path_factory.mktemp(name)
            path = write_data(folder, argument)
            small = {'data__context': 8} if argument.startswith('text') else {}
            small |= {'data__dequantize': 'uniform'} if name == 'ppca' else {}
            run = assembled(folder / 'run', name, argument, data__path=str(path), **small)
            run.folder.mkdir()
            run_folder.write_config(run, 1)
            run_id = run_folder.load(run.folder)['id']
            with contextlib.closing(Checkpoints(run.folder / 'checkpoints', run_id=run_id)) as all_:
                all_.save(restore.initial_state(run), Memory())
            runs[name, argument] = run, path
        return runs[name, argument]

    return saved


@contextlib.contextmanager
def gone(path):
    """Data that are elsewhere during this context."""
    elsewhere = path.rename(path.with_name('elsewhere'))
    try:
        yield
    finally:
        elsewhere.rename(path)


def used(folder, mode):
    """The results of a mode of the run in a folder, as the command line obtains them."""
    application = applications.load(mode)
    return applications.perform(
        application, run_folder.reopen(folder, reads=None), **OPTIONS.get(mode, {})
    )


@pytest.mark.parametrize(
    ('name', 'argument', 'modes'),
    [
        ('vae', 'arrays,debug', ('sample',)),
        ('gan', 'arrays,debug', ('interpolate', 'traverse')),
        pytest.param('gan', 'arrays,debug', ('concept',), marks=pytest.mark.slow),
        pytest.param('markov', 'text,debug', ('text', 'sample'), marks=pytest.mark.slow),
        pytest.param('char_gru', 'text,debug', ('text', 'sample'), marks=pytest.mark.slow),
        pytest.param('naive_bayes', 'arrays,debug', ('sample',), marks=pytest.mark.slow),
        pytest.param('ppca', 'arrays,debug', ('sample',), marks=pytest.mark.slow),
        pytest.param('conv_vae', 'folder,debug', ('sample',), marks=pytest.mark.slow),
        pytest.param(
            'diffusion',
            'arrays,debug',
            ('sample', 'trajectory', 'samplers'),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_modes_without_data_give_what_they_give_with_them(run_of, name, argument, modes):
    """On eight devices."""
    run, path = run_of(name, argument)
    for mode in modes:
        with_data = used(run.folder, mode)
        with gone(path):
            alone = used(run.folder, mode)
        if not isinstance(alone, dict):
            alone, with_data = {'x': alone}, {'x': with_data}
        assert alone.keys() == with_data.keys()
        for key, value in alone.items():
            np.testing.assert_array_equal(value, with_data[key])


def test_python_reads_data_when_they_are_needed(run_of, complaint):
    run, path = run_of('vae')
    with gone(path):
        loaded = atelier.load(run.folder)
        assert atelier.sample(loaded, 3).shape == (3, 8, 8, 1)
        assert loaded.data.spec == run.data.spec
        line = complaint(atelier.over_split, loaded, lambda weights, batch, rng: batch['x'])
        assert 'because over_split reads the test split' in line and str(path) in line
        line = complaint(atelier.evaluate, loaded)
        assert 'an evaluation reads the test split' in line and str(path) in line
    x = atelier.over_split(loaded, lambda weights, batch, rng: batch['x'])
    np.testing.assert_array_equal(x, run.data.splits['test']['x'])


def test_other_modes_say_which_path_is_missing_and_why_they_read_it(run_of, complaint):
    run, path = run_of('vae')
    advice = f'; if {path} has moved, give --config.data.path=PATH'
    with gone(path):
        for mode in ('reconstruct', 'anomaly', 'denoise', 'interpolate', 'compress', 'evaluate'):
            arguments = ['atelier', f'--mode={mode}', f'--workdir={run.folder}']
            line = complaint(lambda a=arguments: cli.perform(cli.parse(a)))
            assert line.startswith(f'the data of {run.folder} are needed, because '), line
            assert line.endswith(f'config.data.path: there is no file {path}{advice}'), line
        line = complaint(run_folder.reopen, run.folder, to_train=True)
        assert 'because it is trained on them' in line and line.endswith(advice)
        command = cli.parse(['atelier', '--mode=sample', f'--workdir={run.folder}'])
        cli.perform(command)
    files_of_samples = run.folder / 'samples' / 'seed-0.npz'
    assert np.load(files_of_samples)['x'].shape == (64, 8, 8, 1)


def test_a_path_that_the_source_does_not_read_has_no_advice(tmp_path, complaint):
    """The digits of a parent are in the package: the path is to be omitted, not given again."""
    run = assembled(tmp_path / 'run', 'vae', 'digits,debug')
    begin(run)
    opened = run_folder.reopen(run.folder, {'data.path': '/gone.npz'}, reads=None)
    line = complaint(run_data.with_data, opened, 'they are its codes')
    assert line.endswith("config.data.path='/gone.npz': digits does not read it: omit it")


@pytest.mark.slow
def test_an_autoencoder_samples_from_codes_of_training_examples(run_of, complaint):
    run, path = run_of('autoencoder')
    with gone(path):
        assert 'a Gaussian fitted to those of the training data' in complaint(
            used, run.folder, 'sample'
        )
        line = complaint(atelier.sample, atelier.load(run.folder), 3)
        assert 'a Gaussian fitted' in line and str(path) in line


WITHOUT_EXAMPLES = (
    *('sample', 'trajectory', 'text', 'decompress', 'samplers'),
    *('animate', 'structure'),  # of a model with an encoder and without a codebook
)


def test_every_application_says_whether_it_reads_examples(run_of):
    """With an encoder; these are the modes of docs/using_a_run.md."""
    run, _ = run_of('vae')
    for name in applications.names():
        why = applications.load(name).why_read(run)
        assert isinstance(why, str), name
        assert bool(why) != (name in WITHOUT_EXAMPLES)
    low_dimensional = run._replace(
        data=run.data._replace(spec=run.data.spec._replace(event_shape=(2,)))
    )
    samplers = applications.load('samplers')
    assert '--nomeasure' in samplers.why_read(low_dimensional)
    assert not samplers.why_read(low_dimensional, measure=False)


def test_a_run_of_an_earlier_version_needs_its_data(run_of, complaint, tmp_path):
    """It loads with them; without them one line says so. Training it again completes its record."""
    run, path = run_of('vae')
    config = run.folder / 'config.json'
    whole = config.read_text()
    record = json.loads(whole)
    for name in ('data_name', 'spec', 'train_shapes', 'checksum'):
        del record[name]
    config.write_text(json.dumps(record))
    try:
        assert used(run.folder, 'sample').shape == (9, 8, 8, 1)
        with gone(path):
            line = complaint(used, run.folder, 'sample')
        assert 'every mode needs the data of' in line and str(path) in line
        run_folder.write_config(run, 1)
        assert json.loads(config.read_text()) == json.loads(whole)
    finally:
        config.write_text(whole)


def test_data_that_changed_are_noticed_when_they_are_read(run_of, tmp_path, caplog):
    run, path = run_of('vae')
    opened = run_folder.reopen(run.folder, reads=None)
    with gone(path):
        grey = np.random.default_rng(1).integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)
        np.savez(path, x=grey, label=np.arange(60) % 2)
        with pytest.raises(UserError, match='no longer fit its model'):
            run_data.with_data(opened, 'it is tested')
        x = np.random.default_rng(1).integers(0, 3, (60, 8, 8, 1)).astype(np.int32)
        np.savez(path, x=x, label=np.arange(60) % 2)
        assert run_data.with_data(opened, 'it is tested').data.spec == run.data.spec
        path.unlink()
    assert 'have changed' in caplog.text


@pytest.fixture
def prepared(monkeypatch):
    """Returns the names of the TFDS sets that were to be downloaded; none of them is."""
    names = []

    def prepare(root, name):
        names.append(name)
        raise UserError('downloading')

    monkeypatch.setattr(tfds_images, '_prepare', prepare)
    return names


def test_a_record_cannot_start_a_download(tmp_path, complaint, prepared):
    """It may be untrusted: only a name on the command line, or from Python, allows it."""
    run = assembled(tmp_path / 'run', 'vae')
    begin(run)
    name_unprepared_data(run.folder / 'config.json', tmp_path / 'tfds')
    sweep_folder.write(
        tmp_path / 'sweep',
        sweep_folder.record_of(run.config_file, run.config, ['seed=0,1'], 0, None),
    )
    name_unprepared_data(tmp_path / 'sweep' / 'sweep.json', tmp_path / 'tfds')
    at, data_dir = f'--workdir={run.folder}', f'--config.data.data_dir={tmp_path}/elsewhere'
    perform = lambda *flags: cli.perform(cli.parse(['atelier', *flags]))
    lines = [complaint(perform, f'--mode={mode}', at) for mode in ('evaluate', 'train', 'sample')]
    lines.append(complaint(perform, '--mode=evaluate', at, data_dir))
    lines.append(complaint(perform, '--mode=evaluate', at, f'--config={run.config_file}'))
    lines.append(complaint(perform, '--mode=sweep', f'--workdir={tmp_path}/sweep'))
    lines.append(complaint(atelier.load, run.folder))
    for line in lines:
        assert re.search('to prepare it, if you trust .* mnist .*/(tfds|elsewhere)`', line), line
    assert prepared == []


def test_data_named_by_the_user_are_prepared(tmp_path, complaint, prepared):
    vae = '--config=configs/vae.py:tiny,debug'
    perform = lambda *flags: cli.perform(cli.parse(['atelier', *flags]))
    at = f'--workdir={tmp_path}/new', f'--config.data.data_dir={tmp_path}'
    assert complaint(perform, vae, *at) == 'downloading'
    assert 'downloading' in complaint(perform, vae, '--mode=sweep', '--sweep=seed=0,1', *at)
    config_file, config = recipe_and_config('tiny,debug', data__data_dir=str(tmp_path))
    assert complaint(atelier.train, config, config_file.build, tmp_path / 'new') == 'downloading'
    run = assembled(tmp_path / 'run', 'vae')
    line = complaint(outliers.another_data_set, run, 'tiny', '', str(tmp_path))
    assert line == '--outliers=tiny: downloading'
    assert prepared == ['tiny'] * 4
