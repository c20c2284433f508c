"""TFDS data sets in array_record: the version used, the fields read, and advice if missing.

The small sets are written here in the format of TFDS, without TensorFlow. MNIST, where it is
available, is compared with the output of TFDS itself.
"""

import importlib.util
import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys
import urllib.request

import numpy as np
import pytest

from atelier.data import tfds_images
from atelier.data.classes import with_names
from atelier.data.dataset import Spec
from benchmarks.tfds_files import IMAGE, LABEL, TEXT, pictures, png, write_set

REAL = pathlib.Path(__file__).resolve().parents[4] / 'shared' / 'data' / 'tfds'
NEEDS_MNIST = pytest.mark.skipif(not (REAL / 'mnist').exists(), reason=f'there is no {REAL}/mnist')


@pytest.fixture
def root(tmp_path, cache, monkeypatch):
    """An empty folder for TFDS sets, with its own cache."""
    monkeypatch.delenv('TFDS_DATA_DIR', raising=False)
    return tmp_path / 'tfds'


def write_tiny(root, name='tiny', count=3, **keywords):
    return write_set(root, name, {'train': pictures(count)}, {'image': IMAGE}, **keywords)


def load(root, name='tiny', image_shape=()):
    return tfds_images.load(name, str(root), image_shape)


def prepare(root, name='tiny'):
    return tfds_images.load(name, str(root), may_prepare=True)


def reds(split):
    return split['x'][:, 0, 0, 0].tolist()


# Images that are read


def test_a_set_without_labels_and_with_a_validation_split(root):
    splits = {'train': pictures(90), 'validation': pictures(7, 90), 'extra': pictures(3, 200)}
    write_set(root, 'tiny', splits, {'image': IMAGE})
    data = load(root)
    assert data.spec == Spec((4, 5, 3), 256, None)
    assert {name: sorted(split) for name, split in data.splits.items()} == {
        'train': ['row', 'x'],
        'valid': ['row', 'x'],
    }
    assert data.splits['train']['x'].dtype == np.uint8
    assert sorted(reds(data.splits['train'])) == list(range(90))
    assert sorted(reds(data.splits['valid'])) == list(range(90, 97))
    assert reds(data.splits['train']) != list(range(90))  # shuffled
    assert 'tensorflow' not in sys.modules


def test_labels_belong_to_their_pictures(root):
    rows = [{**row, 'label': index % 10} for index, row in enumerate(pictures(90))]
    splits = {'train': rows[:80], 'test': rows[80:]}
    write_set(root, 'tiny', splits, {'image': IMAGE, 'label': LABEL})
    data = load(root)
    assert data.spec.num_classes == 10
    for name, n in (('train', 80), ('test', 10)):
        split = data.splits[name]
        assert (split['label'].dtype, split['label'].shape) == (np.int32, (n,))
        assert split['label'].tolist() == [red % 10 for red in reds(split)]


def test_a_text_label_is_ignored(root):
    rows = [{**row, 'label': b'a cat'} for row in pictures(3)]
    write_set(root, 'tiny', {'train': rows}, {'image': IMAGE, 'label': TEXT})
    data = load(root)
    assert data.spec.num_classes is None
    assert sorted(data.splits['train']) == ['row', 'x']


def test_image_shape_scales_and_crops(root):
    rows = [{'image': png(np.full((height, 9, 3), 40))} for height in (9, 4, 30)]
    write_set(root, 'tiny', {'train': rows}, {'image': IMAGE})
    data = load(root, image_shape=(2, 3, 1))
    assert data.spec.event_shape == (2, 3, 1)
    np.testing.assert_array_equal(data.splits['train']['x'], np.full((3, 2, 3, 1), 40))


# Which version is used


def test_the_newest_version_is_chosen_numerically(root):
    for version, count in (('1.9.0', 3), ('1.10.0', 4), ('1.2.11', 5)):
        write_tiny(root, count=count, version=version)
    (root / 'tiny' / '2.0.0.incomplete').mkdir()
    (root / 'tiny' / '3.0.0').mkdir()  # no dataset_info.json
    assert load(root).size('train') == 4


def test_a_builder_config_is_named_after_a_slash(root, complaint):
    for kind, count in (('letters', 3), ('digits', 4)):
        write_tiny(root, f'emnist/{kind}', count)
    assert load(root, 'emnist/letters').size('train') == 3
    assert load(root, 'emnist/digits').size('train') == 4
    line = complaint(load, root, 'emnist')
    assert 'config.data.name' in line
    assert "'emnist/digits', 'emnist/letters'" in line


def test_data_sets_are_found_in_tfds_data_dir_and_in_home(root, tmp_path, monkeypatch):
    write_tiny(root, count=3)
    monkeypatch.setenv('TFDS_DATA_DIR', str(root))
    assert tfds_images.load('tiny').size('train') == 3
    monkeypatch.delenv('TFDS_DATA_DIR')
    monkeypatch.setenv('HOME', str(tmp_path))
    write_tiny(tmp_path / 'tensorflow_datasets', count=4)
    assert tfds_images.load('tiny').size('train') == 4


# The cache


def test_a_warm_start_does_not_import_tfds(root, monkeypatch, capfd):
    write_tiny(root)
    first = load(root)
    assert 'decoding tiny train' in capfd.readouterr().err
    monkeypatch.setitem(sys.modules, 'tensorflow_datasets', None)  # importing it fails
    second = load(root)
    assert second.spec == first.spec
    np.testing.assert_array_equal(second.splits['train']['x'], first.splits['train']['x'])
    assert capfd.readouterr() == ('', '')


def test_a_set_that_is_prepared_again_is_decoded_again(root):
    folder = write_tiny(root, count=3)
    assert load(root).size('train') == 3
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    write_tiny(root, count=4)
    assert load(root).size('train') == 4


@pytest.mark.parametrize('verify', ['content', 'times'])
def test_other_pictures_with_the_same_metadata_are_decoded_again(root, verify):
    """In the key, the metadata are not enough: they have the number of examples only."""
    for first in (0, 100):
        shutil.rmtree(root, ignore_errors=True)
        write_set(root, 'tiny', {'train': pictures(3, first)}, {'image': IMAGE})
        data = tfds_images.load('tiny', str(root), verify=verify)
        assert sorted(reds(data.splits['train'])) == [first, first + 1, first + 2]


def test_grey_and_coloured_pictures_are_counted_or_refused(root, caplog, complaint):
    caplog.set_level('INFO', 'atelier')
    grey = {'image': png(np.full((4, 5), 99))}
    write_set(root, 'tiny', {'train': [grey, *pictures(3)]}, {'image': IMAGE})
    assert load(root).spec.event_shape == (4, 5, 3)
    assert 'tiny: pictures were converted: 1 grey (made colour)' in caplog.text
    line = complaint(tfds_images.load, 'tiny', str(root), strict=True)
    assert 'tiny train 0 is grey' in line


# Sets that cannot be read


@pytest.mark.parametrize('kind', ['tfrecord', 'riegeli', None])
def test_a_set_that_only_tensorflow_reads_is_refused(root, complaint, kind):
    folder = write_tiny(root)
    info = json.loads((folder / 'dataset_info.json').read_text())
    info['fileFormat'] = kind
    if kind is None:  # as TFDS wrote it before the format could be chosen
        del info['fileFormat']
    (folder / 'dataset_info.json').write_text(json.dumps(info))
    line = complaint(load, root)
    assert line.startswith(f'{folder} is prepared as {kind or "tfrecord"}')
    assert '--file_format=array_record' in line


def overwritten(name, text):
    return lambda folder: next(folder.glob(name)).write_bytes(text)


def removed(name):
    return lambda folder: next(folder.glob(name)).unlink()


def a_pipe(name):
    def replace(folder):
        path = next(folder.glob(name))
        path.unlink()
        os.mkfifo(path)

    return replace


SHARD, EMPTY = 'tiny-train*', b'{"fileFormat": "array_record"}'


@pytest.mark.parametrize(
    'damage',
    [
        pytest.param(overwritten('dataset_info.json', b''), id='empty'),
        pytest.param(overwritten('dataset_info.json', b'{"name":\n'), id='cut short'),
        pytest.param(overwritten('dataset_info.json', b'\xff\xfe'), id='no text'),
        pytest.param(overwritten('dataset_info.json', b'[]'), id='a list'),
        pytest.param(removed('features.json'), id='no features.json'),
        pytest.param(overwritten('dataset_info.json', EMPTY), id='no splits'),
        pytest.param(overwritten('features.json', b'rubbish'), id='features'),
        pytest.param(removed(SHARD), id='no shard'),
        pytest.param(a_pipe('features.json'), id='a pipe'),
        pytest.param(a_pipe(SHARD), id='a pipe as shard'),
        pytest.param(overwritten(SHARD, b'rubbish'), id='a damaged shard'),
        pytest.param(overwritten(SHARD, bytes(1 << 17)), id='a shard of zeros'),
    ],
)
def test_a_damaged_set_is_refused(root, complaint, damage):
    folder = write_tiny(root)
    damage(folder)
    assert 'tiny' in complaint(load, root)


@pytest.mark.parametrize('name', ['dataset_info.json', 'features.json'])
@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        (
            b'{"fileFormat": "array_record"' + b' ' * (1 << 24) + b'}',
            'larger than 16,777,216 bytes',
        ),
        (b'{"a":' * 40 + b'1' + b'}' * 40, 'nested more than 32 deep'),
        (b'{"a":' * 10**5 + b'1' + b'}' * 10**5, 'nested too deeply'),
    ],
)
def test_a_huge_or_deep_description_is_refused(root, complaint, name, text, reason):
    """Before it is parsed, or before it is used."""
    folder = write_tiny(root)
    (folder / name).write_bytes(text)
    assert reason in complaint(load, root)


@pytest.mark.parametrize('key', ['pythonClassName', 'python_class_name', 'type'])
def test_a_set_cannot_name_code(root, complaint, tmp_path, monkeypatch, key):
    folder = write_tiny(root)
    (tmp_path / 'evil.py').write_text('raise SystemExit("it ran")')
    monkeypatch.syspath_prepend(tmp_path)
    text = (folder / 'features.json').read_text()
    text = re.sub(
        r'"pythonClassName": "[^"]*Image"', f'"{key}": "evil.Image", "content": {{}}', text
    )
    assert 'evil.Image' in text
    (folder / 'features.json').write_text(text)
    assert "features.json names the class 'evil.Image'" in complaint(load, root)
    assert 'evil' not in sys.modules


def test_a_damaged_picture_is_named(root, complaint):
    rows = pictures(7)
    rows[3] = {'image': rows[3]['image'][:50]}
    write_set(root, 'tiny', {'train': rows}, {'image': IMAGE})
    assert complaint(load, root).startswith('cannot read the image tiny train 3: ')


def test_a_data_set_of_other_features_is_refused(root, complaint):
    write_set(root, 'words', {'train': [{'text': b'a'}]}, {'text': TEXT})
    pair = [{'image': png(np.zeros((4, 5, 3))), 'mask': png(np.zeros((4, 5, 3)))}]
    write_set(root, 'pairs', {'train': pair}, {'image': IMAGE, 'mask': IMAGE})
    write_set(root, 'tests', {'test': pictures(2)}, {'image': IMAGE})
    assert complaint(load, root, 'words') == "'words' is not a set of images: an example has text"
    line = complaint(load, root, 'pairs')  # TFDS does not keep the order of features
    assert re.search('an example has (image, mask|mask, image)', line), line
    assert complaint(load, root, 'tests') == "'tests' has no training split, only test"


# Sets that are not prepared


@pytest.fixture
def tensorflow(monkeypatch):
    """Simulates whether TensorFlow is installed and whether a network is available."""
    find = importlib.util.find_spec

    def pretend(installed, network=False):
        def find_spec(name, *rest):
            return (sys if installed else None) if name == 'tensorflow' else find(name, *rest)

        def connect(*_, **__):
            if not network:
                raise OSError('no route')
            return socket.socket()

        monkeypatch.setattr(importlib.util, 'find_spec', find_spec)
        monkeypatch.setattr(socket, 'create_connection', connect)
        monkeypatch.setattr(urllib.request, 'getproxies', dict)

    return pretend


@pytest.mark.parametrize(
    ('name', 'hint'),
    [
        ('minst', " (did you mean 'mnist'?)"),
        ('digts', " (did you mean 'digits'?)"),
        ('cifra10', " (did you mean 'cifar10'?)"),
        ('something_else', ':'),
    ],
)
def test_an_unprepared_set_without_tensorflow_gives_advice(root, complaint, tensorflow, name, hint):
    tensorflow(installed=False)
    (root / 'mnist').mkdir(parents=True)  # an empty folder of that name
    line = complaint(prepare, root, name)
    assert re.match(rf'{re.escape(repr(name))} is not a source \(digits, ', line), line
    assert f'{root}{hint}' in line
    assert 'TFDS_DATA_DIR' in line
    assert 'requirements-tfds.txt' in line


def test_an_unprepared_set_without_network_gives_advice(root, complaint, tensorflow, monkeypatch):
    tensorflow(installed=True)
    monkeypatch.setattr(tfds_images, 'PREPARE', 'raise SystemExit("started without a network")')
    line = complaint(prepare, root)
    assert line.startswith("'tiny' is not a source")
    assert 'needs the internet, which cannot be reached' in line


@pytest.mark.parametrize(
    ('program', 'message'),
    [
        ('1 / 0', "TFDS could not prepare 'tiny': its last line above says why"),
        ('import os; os.abort()', "TFDS could not prepare 'tiny'"),
        ('', "TFDS prepared 'tiny', but not in "),
    ],
)
def test_a_set_that_tfds_cannot_prepare_gives_advice(
    root, complaint, tensorflow, monkeypatch, program, message
):
    tensorflow(installed=True, network=True)
    monkeypatch.setattr(tfds_images, 'PREPARE', program)
    assert message in complaint(prepare, root)


def test_a_set_is_prepared_and_then_read(root, tmp_path, tensorflow, monkeypatch):
    """A separate process prepares it, given the name and the folder."""
    tensorflow(installed=True, network=True)
    write_tiny(tmp_path / 'elsewhere', 'emnist/letters')
    source = str(tmp_path / 'elsewhere' / 'emnist' / 'letters')
    program = f'import sys, shutil; shutil.copytree({source!r}, f"{{sys.argv[2]}}/{{sys.argv[1]}}")'
    monkeypatch.setattr(tfds_images, 'PREPARE', program)
    assert prepare(root, 'emnist/letters').size('train') == 3
    assert load(root, 'emnist/letters').size('train') == 3


def test_loading_alone_prepares_nothing(root, complaint, tensorflow, monkeypatch):
    """The name may come from a stranger's record; the message has the command."""
    tensorflow(installed=True, network=True)
    monkeypatch.setattr(subprocess, 'run', None)
    root = root.with_name('a b;c')
    line = complaint(load, root, 'emnist/letters')
    assert line.startswith("'emnist/letters' is not a source")
    command = line.partition('requirements-tfds.txt: `')[2].removesuffix('`')
    assert shlex.split(command) == [
        *(sys.executable, '-P', '-c', tfds_images.PREPARE, 'emnist/letters', str(root))
    ]


@pytest.mark.parametrize(
    'name', ['a/b/../mnist', 'mnist/..', 'huggingface:mnist', '-c', 'a,b=1', '', 'mnist\n', '/a']
)
@pytest.mark.parametrize('function', [load, prepare])
def test_a_name_that_tfds_could_read_as_something_else_is_refused(
    root, complaint, tensorflow, monkeypatch, function, name
):
    """Before anything is read or started."""
    tensorflow(installed=True, network=True)
    monkeypatch.setattr(subprocess, 'run', None)
    assert 'give a name such as mnist or emnist/letters' in complaint(function, root, name)


def test_preparing_imports_nothing_of_the_current_folder(
    root, tmp_path, complaint, tensorflow, monkeypatch
):
    """TFDS itself is imported; it does not know this name."""
    tensorflow(installed=True, network=True)
    for name in ('tensorflow_datasets', 'tensorflow', 'json'):
        (tmp_path / f'{name}.py').write_text(f'open({str(tmp_path / "ran")!r}, "w")')
    monkeypatch.chdir(tmp_path)
    assert 'could not prepare' in complaint(prepare, root, 'no_such_set')
    assert not (tmp_path / 'ran').exists()
    source = 'import tensorflow_datasets as tfds; assert tfds.builder_cls'
    monkeypatch.setattr(tfds_images, 'PREPARE', source)
    assert 'but not in' in complaint(prepare, root, 'no_such_set')
    assert not (tmp_path / 'ran').exists()


# MNIST


@pytest.fixture(scope='module')
def mnist(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('XDG_CACHE_HOME', str(tmp_path_factory.mktemp('cache')))
        return tfds_images.load('mnist', str(REAL))


def decoded_by_tfds(split, count):
    import tensorflow_datasets as tfds

    source = tfds.builder_from_directory(REAL / 'mnist' / '3.0.1').as_data_source(split)
    return [source[index] for index in range(count)]


@pytest.mark.slow
@NEEDS_MNIST
def test_mnist_is_complete(mnist):
    assert mnist.spec == Spec((28, 28, 1), 256, 10)
    assert {name: mnist.size(name) for name in mnist.splits} == {'train': 60_000, 'test': 10_000}
    assert {split['x'].dtype for split in mnist.splits.values()} == {np.dtype(np.uint8)}
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]  # as published
    assert np.bincount(mnist.splits['train']['label']).tolist() == counts
    assert 'tensorflow' not in sys.modules


@pytest.mark.slow
@NEEDS_MNIST
@pytest.mark.parametrize('split', ['train', 'test'])
def test_mnist_equals_the_decoding_of_tfds(mnist, split):
    x, label = mnist.splits[split]['x'], mnist.splits[split]['label']
    labels = {image.tobytes(): int(y) for image, y in zip(x, label, strict=True)}
    for row in decoded_by_tfds(split, 50):
        assert labels[row['image'].tobytes()] == row['label']


@NEEDS_MNIST
def test_mnist_is_scaled_to_half(root):
    """For 100 images, each pixel is near the mean of the four that it covers."""
    images = [row['image'][..., 0] for row in decoded_by_tfds('test', 100)]
    rows = [{'image': png(image), 'label': index % 10} for index, image in enumerate(images)]
    write_set(root, 'hundred', {'train': rows}, {'image': IMAGE, 'label': LABEL})
    data = load(root, 'hundred', (14, 14, 1))
    whole = load(root, 'hundred', (28, 28, 1))
    assert data.spec == Spec((14, 14, 1), 256, 10)
    blocks = whole.splits['train']['x'].reshape(100, 14, 2, 14, 2).mean(axis=(2, 4))
    x = data.splits['train']['x'][..., 0].astype(float)
    assert np.corrcoef(x.ravel(), blocks.ravel())[0, 1] > 0.98
    assert abs(x.mean() - blocks.mean()) < 2


@pytest.mark.parametrize(
    ('content', 'names'),
    [
        (b'cat\ndog\n', ('cat', 'dog')),
        (b'cat\n', ()),
        (b'0\n1\n', ()),
        (b'cat\ncat\n', ()),
        (b'\xff\n\xfe\n', ()),
        (None, ()),
    ],
)
def test_names_of_labels_are_those_that_tfds_stores(tmp_path, content, names):
    if content is not None:
        (tmp_path / 'label.labels.txt').write_bytes(content)
    spec = Spec((2,), 256, 2)
    assert with_names(spec, tfds_images._class_names(tmp_path)).class_names == names
