"""User arrays in an .npz: splits, events of any shape, levels; bad files give one line."""

import io
import os
import pathlib
import pickle
import re
import zipfile

import numpy as np
import pytest

from atelier.data import arrays, dataset
from atelier.data.dataset import Spec
from atelier.data.splits import fixed_order
from configs.shared import common

TABLE = np.arange(20).reshape(5, 4)
REAL = np.random.RandomState(0).normal(3, 2, (40, 6))


def numbered_events(n, shape=(3,)):
    """Returns x in which every value is the index of its example."""
    return np.broadcast_to(np.arange(n).reshape(n, *[1] * len(shape)), (n, *shape)).copy()


@pytest.fixture
def npz(tmp_path):
    """Returns a function that writes arrays to an .npz and returns its path."""

    def write(**named):
        path = tmp_path / 'mine.npz'
        np.savez(path, **named)
        return str(path)

    return write


def load_as_a_run_does(path, **data):
    config = common.common_config()
    config.data.update(name='arrays', path=path, **data)
    return dataset.load(config)


# Splits


@pytest.mark.parametrize(
    ('n', 'num_valid', 'held_out'),
    [(100, 0, 10), (60_000, 0, 5000), (25, 0, 2), (3, 0, 1), (100, 7, 7), (100, 49, 49)],
)
def test_an_x_without_splits_is_divided_into_splits(npz, n, num_valid, held_out):
    """Each held-out split has a tenth, at most 5,000. Each example occurs once, shuffled."""
    path = npz(x=numbered_events(n, ()))
    data = load_as_a_run_does(path, num_valid=num_valid, split_by='order')
    sizes = [data.size(name) for name in ('train', 'valid', 'test')]
    assert sizes == [n - 2 * held_out, held_out, held_out]
    everything = np.concatenate([data.splits[name]['x'] for name in ('train', 'valid', 'test')])
    np.testing.assert_array_equal(np.sort(everything), np.arange(n))
    assert n < 20 or np.any(np.diff(everything.astype(int)) < 0)


def test_given_splits_are_kept(npz):
    x = numbered_events(60)
    path = npz(x_train=x[:30], x_valid=x[30:50], x_test=x[50:])
    data = load_as_a_run_does(path)
    for name, rows in (('train', range(30)), ('valid', range(30, 50)), ('test', range(50, 60))):
        np.testing.assert_array_equal(np.sort(data.splits[name]['x'][:, 0]), rows)


@pytest.mark.parametrize('own', ['valid', 'test'])
def test_a_missing_split_is_held_out_of_the_training_data(npz, own):
    x = numbered_events(60)
    path = npz(x_train=x[:50], **{f'x_{own}': x[50:]})
    data = load_as_a_run_does(path, split_by='order')
    assert np.sort(data.splits[own]['x'][:, 0]).tolist() == list(range(50, 60))
    sizes = {name: data.size(name) for name in ('train', 'valid', 'test')}
    assert sizes == {'train': 45, 'valid': 5, 'test': 5, own: 10}


def test_a_validation_split_and_num_valid_contradict(npz, complaint):
    path = npz(x_train=TABLE, x_valid=TABLE)
    line = complaint(load_as_a_run_does, path, num_valid=2, split_by='order')
    assert 'num_valid=2' in line


def test_a_number_of_examples_and_a_rule_of_shares_contradict(npz, complaint):
    line = complaint(load_as_a_run_does, npz(x=TABLE), num_valid=2)
    assert 'num_valid=2: by content each split gets a share' in line
    assert "split_by='order'" in line


@pytest.mark.parametrize('dtype', [np.uint8, np.int64, np.float64])
def test_by_content_rows_that_are_added_or_reordered_move_no_other(npz, dtype):
    """Labels stay with their rows; a wider type, which a new row may need, changes nothing."""
    random = np.random.RandomState(0)
    x = random.randint(0, 200, (300, 4)).astype(dtype)
    before = load_as_a_run_does(npz(x=x, label=x[:, 0].astype(int) % 7))
    for split in before.splits.values():
        np.testing.assert_array_equal(split['label'], split['x'][:, 0] % 7)
    more = np.concatenate([random.randint(0, 200, (50, 4)), x, [[300, 0, 0, 0]]])
    after = load_as_a_run_does(npz(x=more[random.permutation(len(more))].astype(more.dtype)))
    where = {tuple(row): name for name, split in after.splits.items() for row in split['x']}
    for name, split in before.splits.items():
        assert {where[tuple(row)] for row in split['x']} == {name}
    assert before.description.endswith('split by content')


def test_by_content_reordered_rows_are_the_same_data(npz):
    x = np.random.RandomState(0).randint(0, 9, (200, 6))
    first = load_as_a_run_does(npz(x=x))
    again = load_as_a_run_does(npz(x=x[::-1]))
    assert first.fingerprint() == again.fingerprint()
    assert first.fingerprint()['split_rule'] == 'test and valid by content, a share of 0.1 each'
    order = load_as_a_run_does(npz(x=x), split_by='order')
    assert 'split_rule' not in order.fingerprint()


def test_by_content_own_splits_stay(npz):
    x = numbered_events(100)
    data = load_as_a_run_does(npz(x_train=x[:90], x_test=x[90:]))
    assert np.sort(data.splits['test']['x'][:, 0]).tolist() == list(range(90, 100))
    both = [data.splits[name]['x'][:, 0] for name in ('train', 'valid')]
    assert np.sort(np.concatenate(both)).tolist() == list(range(90))
    assert data.split_rule == 'valid by content, a share of 0.1 each'  # as in earlier records
    assert data.split_origin == 'valid by content, a share of 0.1'
    whole = load_as_a_run_does(npz(x_train=x[:80], x_valid=x[80:90], x_test=x[90:]))
    assert whole.split_rule == ''


def test_labels_are_shuffled_with_their_x(npz):
    x = numbered_events(50)
    label = np.arange(50) % 7
    loaded = (
        load_as_a_run_does(npz(x=x, label=label)),
        load_as_a_run_does(npz(x_train=x, label_train=label, x_test=x, label_test=label)),
    )
    for data in loaded:
        assert data.spec.num_classes == 7
        for split in data.splits.values():
            assert split['label'].dtype == np.int32
            np.testing.assert_array_equal(split['label'], split['x'][:, 0] % 7)


def test_num_classes_counts_the_labels_of_all_splits(npz):
    zeros = np.zeros(5, int)
    path = npz(x_train=TABLE, x_test=TABLE, label_train=zeros, label_test=zeros + 3)
    assert arrays.load(path).spec.num_classes == 4


# Events and discrete values


@pytest.mark.parametrize('shape', [(8, 8, 3), (8, 8, 1), (100,), (3, 50), ()])
@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_events_have_any_shape(npz, shape, dtype):
    x = numbered_events(30, shape).astype(dtype)
    data = arrays.load(npz(x=x))
    assert data.spec.event_shape == shape
    np.testing.assert_array_equal(data.splits['train']['x'], x[fixed_order(30)])
    assert ('x'.join(map(str, shape)) or 'single') in data.description


@pytest.mark.parametrize(
    ('x', 'dtype', 'levels'),
    [
        pytest.param(np.array([True, False]), np.uint8, 2, id='bool'),
        pytest.param(np.array([0, 1], np.uint8), np.uint8, 2, id='uint8 bits'),
        pytest.param(np.array([0, 0]), np.uint8, 2, id='all zero'),
        pytest.param(np.array([0, 2], np.uint8), np.uint8, 256, id='uint8'),
        pytest.param(np.array([0, 16]), np.uint8, 17, id='small integers'),
        pytest.param(np.array([0, 299], np.int16), np.int32, 300, id='int16'),
        pytest.param(np.array([0, 2**24 - 1], np.uint64), np.int32, 2**24, id='uint64'),
        pytest.param(np.array([0, 1], np.float16), np.float32, None, id='float16'),
        pytest.param(np.array([0.0, 255.0]), np.float32, None, id='floats that look like bytes'),
    ],
)
def test_levels_are_inferred_from_dtype_and_largest_value(npz, x, dtype, levels):
    data = arrays.load(npz(x=x))
    assert data.splits['train']['x'].dtype == dtype
    assert np.sort(data.splits['train']['x']).tolist() == np.sort(x).tolist()
    assert data.spec.levels == levels


@pytest.mark.parametrize(
    ('x', 'is_told'), [(np.eye(30), True), (np.eye(30, dtype=int), False), (np.eye(30) / 2, False)]
)
def test_whole_numbers_as_floats_are_told(npz, x, is_told):
    """The density of a few values grows without limit, so that its numbers say nothing."""
    notes = arrays.load(npz(x=x)).notes
    assert [note for note in notes if 'whole numbers as floats' in note] == [*notes][: int(is_told)]
    assert bool(notes) == is_told


@pytest.mark.parametrize('levels', [20, np.uint8(32), 256, 1000])
def test_the_file_may_declare_its_levels(npz, levels):
    assert arrays.load(npz(x=TABLE, levels=levels)).spec.levels == levels


def test_levels_cover_every_split(npz):
    assert arrays.load(npz(x_train=TABLE, x_test=100 * TABLE)).spec.levels == 1901


def test_a_table_is_standardized_by_column_moments_of_the_training_split(npz):
    data = load_as_a_run_does(npz(x_train=REAL, x_valid=REAL + 1, x_test=REAL + 100))
    assert data.spec == Spec(
        (6,), None, None, mean=pytest.approx(REAL.mean(0)), std=pytest.approx(REAL.std(0))
    )
    assert data.spec.interval is None


def test_other_real_data_are_standardized_by_one_mean_and_deviation(npz):
    x = REAL[..., None]
    spec = load_as_a_run_does(npz(x_train=x, x_valid=x + 1, x_test=x + 100)).spec
    assert spec == Spec((6, 1), None, None, None, pytest.approx(x.mean()), pytest.approx(x.std()))


@pytest.mark.parametrize('constant', [7.0, 0.1, 1e9 + 0.1])
def test_a_constant_column_has_deviation_one(npz, constant):
    """Even if the computed mean is rounded."""
    x = np.stack([np.full(50, constant), np.arange(50.0)], 1)
    spec = load_as_a_run_does(npz(x_train=x, x_valid=x, x_test=x)).spec
    assert spec.mean == (pytest.approx(constant), 24.5)
    assert spec.std == (1.0, pytest.approx(x[:, 1].std()))


@pytest.mark.parametrize('scale', [1e-35, 1e35])
def test_a_column_whose_deviation_overflows_is_refused(npz, complaint, scale):
    x = np.stack([np.arange(5.0), scale * np.arange(5.0)], 1)
    assert 'scale it' in complaint(arrays.load, npz(x=x))


def test_a_column_that_float32_cannot_hold_is_refused_beside_another(npz, complaint):
    x = np.stack([np.arange(5.0), 1e9 + np.arange(5.0)], 1)
    assert 'around 1e+09' in complaint(arrays.load, npz(x=x))


# Files that hold no arrays


@pytest.mark.parametrize('path', ['', 'missing.npz', '.', 'missing/mine.npz'])
def test_a_path_that_is_not_a_file_is_refused(tmp_path, monkeypatch, complaint, path):
    monkeypatch.chdir(tmp_path)
    message = complaint(arrays.load, path)
    assert path in message
    assert 'config.data.path' in message


def test_a_path_that_is_too_long_is_refused(complaint):
    """The message does not repeat the whole path."""
    assert 'is too long for a path' in complaint(arrays.load, 'x' * 300)


def test_an_npy_file_is_refused(tmp_path, complaint):
    np.save(tmp_path / 'x.npy', TABLE)
    message = complaint(arrays.load, str(tmp_path / 'x.npy'))
    assert 'x.npy' in message
    assert 'savez' in message


def archive(**members) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, 'w') as file:
        for name, content in members.items():
            file.writestr(f'{name}.npy', content)
    return raw.getvalue()


def npy(change=lambda raw: raw) -> bytes:
    raw = io.BytesIO()
    np.save(raw, TABLE)
    return change(raw.getvalue())


def compressed_by(method: int, raw: bytes) -> bytes:
    offset = raw.index(b'PK\1\2') + 10  # in the central directory
    return raw[:offset] + bytes([method]) + raw[offset + 1 :]


GOOD = archive(x=npy())


@pytest.mark.parametrize(
    'raw',
    [
        pytest.param(b'', id='nothing'),
        pytest.param(b'rubbish', id='rubbish'),
        pytest.param(b'PK\3\4' + b'x' * 50, id='a beginning'),
        *(pytest.param(GOOD[:n], id=f'cut at {n}') for n in (10, 60, 200, len(GOOD) - 1)),
        pytest.param(GOOD.replace(npy()[-20:], b'x' * 20), id='a wrong checksum'),
        pytest.param(archive(x=npy(lambda raw: raw[:-9])), id='an array cut short'),
        pytest.param(
            archive(x=npy(lambda raw: raw.replace(b'<i8', b'<i9'))), id='a type that is none'
        ),
        pytest.param(archive(x=b'rubbish'), id='no array'),
        pytest.param(
            archive(x=npy(lambda raw: raw.replace(b'4)', b'4 '))), id='a header without an end'
        ),
        pytest.param(
            archive(x=npy(lambda raw: raw.replace(b'4), }' + b' ' * 12, b'4000000000000), }'))),
            id='larger than memory',
        ),
        pytest.param(compressed_by(99, GOOD), id='compressed somehow'),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, complaint, raw):
    path = tmp_path / 'mine.npz'
    path.write_bytes(raw)
    assert str(path) in complaint(arrays.load, str(path))
    assert path.read_bytes() == raw


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


@pytest.mark.parametrize('array_name', ['x', 'label', 'levels', 'the file'])
def test_no_code_of_a_pickle_runs(npz, tmp_path, complaint, array_name):
    sprung = tmp_path / 'sprung'
    trap = np.array([Trap(sprung)] * 5, object)
    if array_name == 'the file':
        path = str(tmp_path / 'mine.npz')
        pathlib.Path(path).write_bytes(pickle.dumps(Trap(sprung)))
    else:
        path = npz(**{'x': TABLE, array_name: trap})
    assert path in complaint(arrays.load, path)
    assert not sprung.exists()
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists()  # unpickling does create the file


# Arrays that are not valid data


def with_value(value, x=REAL):
    x = np.array(x)
    x[3, 1] = value
    return x


LABEL = np.arange(5)


@pytest.mark.parametrize(
    ('named', 'message'),
    [
        ({}, 'has no x and no x_train: it has nothing'),
        (dict(y=TABLE), 'has no x and no x_train: it has y'),
        (dict(x_valid=TABLE, x_test=TABLE), 'no x_train: it has x_valid, x_test'),
        (dict(x=TABLE, lable=LABEL), 'unknown keys lable'),
        (dict(x=TABLE, x_train=TABLE), 'both x and x_train'),
        (dict(x=TABLE, x_test=TABLE), 'both x and x_train'),
        (dict(x=np.array(3)), r'empty: its shape is \(\)'),
        (dict(x=TABLE[:0]), r'empty: its shape is \(0, 4\)'),
        (dict(x=TABLE[:, :0]), r'empty: its shape is \(5, 0\)'),
        (dict(x_train=TABLE, x_test=TABLE[:0]), 'x_test of .* is empty'),
        (dict(x=with_value(np.nan)), 'has values that are not finite: 1 of '),
        (dict(x=with_value(-np.inf)), 'has values that are not finite: 1 of '),
        (dict(x_train=REAL, x_valid=with_value(np.nan)), 'x_valid of .* not finite'),
        (dict(x=np.array(['a', 'b\nc'])), 'type <U3'),
        (dict(x=np.array([b'a', b'b'])), 'type |S1'),
        (dict(x=1j * TABLE), 'type complex128'),
        (dict(x=np.array(['2020-01-01'], 'M8[D]')), 'type datetime64'),
        (dict(x=np.zeros(3, [('a', int)])), 'type '),
        (dict(x=TABLE - 1), 'from -1 to 18'),
        (dict(x=np.array([0, 2**24])), 'from 0 to 16777216'),
        (dict(x=np.array([0, 2**64 - 1], np.uint64)), 'from 0 to 18446744073709551615'),
        (dict(x=TABLE, label=LABEL[:4]), r'shape \(5,\), got int64 \(4,\)'),
        (dict(x=TABLE, label=LABEL[:, None]), r'got int64 \(5, 1\)'),
        (dict(x=TABLE, label=LABEL - 1), 'label of .* integers from 0 on'),
        (dict(x=TABLE, label=LABEL / 1), 'got float64'),
        (dict(x=TABLE, label=LABEL > 2), 'got bool'),
        (dict(x=TABLE, label=LABEL.astype(str)), 'got <U'),
        (dict(x_train=TABLE, x_test=TABLE[:, 1:]), r'not alike: .*\(5, 4\); test: .*\(5, 3\)'),
        (dict(x_train=TABLE, x_test=TABLE / 2), 'not alike: .*int64.*test: x float32'),
        (dict(x_train=TABLE, x_test=TABLE, label_train=LABEL), 'not alike: .*labelled; test: '),
        (dict(x=TABLE, levels=19), 'levels of .* above 19 .*, as x goes up to 19'),
        (dict(x=TABLE, levels=0), 'levels of .* whole number above 19'),
        (dict(x=TABLE, levels=-20), 'levels of .* whole number above 19'),
        (dict(x=TABLE, levels=20.0), 'levels of .* whole number above 19'),
        (dict(x=TABLE, levels=[20]), 'levels of .* whole number above 19'),
        (dict(x_train=TABLE, x_test=2 * TABLE, levels=20), 'x goes up to 38'),
        (dict(x=TABLE, levels=np.arange(99)), 'levels'),  # printed on several lines
        (dict(x=0 * TABLE, levels=1), 'levels'),  # would later divide by 0
        (dict(x=REAL, levels=9), 'levels'),
        (dict(x=TABLE, label=LABEL * 2**40), 'label'),  # all become 0 as int32
        (dict(x=TABLE, label_train=LABEL), 'label_train'),
        (dict(x_train=TABLE, x_test=TABLE, label=LABEL), 'label'),
        (dict(x_train=TABLE, label_test=LABEL), 'label_test'),
    ],
)
def test_arrays_that_are_not_data_are_refused(npz, complaint, named, message):
    path = npz(**named)
    line = complaint(arrays.load, path)
    assert path in line
    assert re.search(message, line.replace(path, 'FILE')), line


def test_too_few_examples_to_hold_out_splits_are_refused(npz, complaint):
    message = complaint(load_as_a_run_does, npz(x=TABLE[:2]), split_by='order')
    assert '2 training examples are too few' in message
    message = complaint(load_as_a_run_does, npz(x=TABLE[:2]))
    assert re.search('the (test|valid|train) split would get none of the 2 examples', message)


@pytest.mark.filterwarnings('ignore:overflow')
def test_a_value_too_large_for_float32_is_refused(npz, complaint):
    assert 'more than float32 holds' in complaint(arrays.load, npz(x=with_value(1e300)))


def test_real_values_that_float32_would_merge_are_refused(npz, complaint):
    seconds = 1.7e9 + np.arange(100.0)
    assert 'subtract an offset' in complaint(arrays.load, npz(x=seconds))
    assert load_as_a_run_does(npz(x=seconds - 1.7e9)).spec.std > 20


def test_a_setting_of_another_source_is_refused(npz, complaint):
    message = complaint(load_as_a_run_does, npz(x=TABLE), image_shape=(8, 8, 1))
    assert 'image_shape' in message


# Declared sizes, which are compared before memory is allocated


def with_member(path, member, method=zipfile.ZIP_STORED):
    """Writes an .npz with one member and returns its path."""
    with zipfile.ZipFile(path, 'w', method) as archive:
        archive.writestr('x.npy', member)
    return str(path)


def header_of(shape):
    """Returns the start of an .npy of float64 with this shape."""
    buffer = io.BytesIO()
    fields = {'descr': '<f8', 'fortran_order': False, 'shape': shape}
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue()


@pytest.mark.parametrize('shape', [(2**40,), (2**20, 2**20), (1000,), (2**62, 2**62)])
def test_a_header_that_declares_more_than_the_file_has(tmp_path, complaint, shape):
    """An array of the declared shape is never allocated."""
    path = with_member(tmp_path / 'mine.npz', header_of(shape) + b'\0' * 80)
    assert 'x.npy declares' in complaint(arrays.load, path)


def test_a_header_in_a_later_version_of_the_format_is_refused(tmp_path, complaint):
    """Its declared size would not be compared with the file."""
    header = bytearray(header_of((8,)))
    header[6:10] = b'\3\0' + header[8:10]  # the length of version 3 has four bytes
    path = with_member(tmp_path / 'mine.npz', bytes(header[:10]) + b'\0\0' + bytes(header[10:]))
    assert 'version 3 of the .npy format' in complaint(arrays.load, path)


def test_an_npz_larger_than_memory_is_refused_before_it_is_unpacked(
    tmp_path, complaint, monkeypatch
):
    """The sizes that the archive declares for all members count."""
    path = tmp_path / 'mine.npz'
    np.savez_compressed(path, x=np.zeros((100, 1000), np.uint8))
    assert path.stat().st_size < 1000
    monkeypatch.setattr(os, 'sysconf', lambda name: 300)
    assert 'GB when unpacked' in complaint(arrays.load, str(path))


@pytest.mark.parametrize('method', [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_a_compressed_member_that_is_damaged_or_encrypted(tmp_path, complaint, method):
    """Each compression method raises its own errors."""
    path = tmp_path / 'mine.npz'
    buffer = io.BytesIO()
    np.save(buffer, np.random.RandomState(0).randint(0, 256, (100, 8), np.uint8))
    with_member(path, buffer.getvalue(), method)
    assert arrays.load(str(path)).size('train') == 100
    content = bytearray(path.read_bytes())
    for at in (60, len(content) // 2):
        broken = bytearray(content)
        broken[at : at + 8] = b'\xff' * 8
        path.write_bytes(broken)
        assert 'mine.npz' in complaint(arrays.load, str(path))
    for mark, offset in ((b'PK\x03\x04', 6), (b'PK\x01\x02', 8)):
        content[content.find(mark) + offset] |= 1
    path.write_bytes(content)
    assert 'is encrypted: save it without a password' in complaint(arrays.load, str(path))


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        (
            [0, 1, 2] * 99 + [10_000_000],
            'the label 10000000, but examples of only 4: .*=3 keeps',
        ),
        ([*range(21)] * 10 + [255] * 5, 'the label 255, but examples of only 22: .* class 21 '),
        ([1000] * 30, 'the label 1000, but examples of only 1: .* class 0 '),
        ([i * 7 for i in range(300)], 'examples of only 300: number the classes 0 to 299$'),
        ([0, 5000, 5001] * 9, 'label 5001, but examples of only 3: number the classes 0 to 2$'),
        ([*range(150)] + [200_000, 300_000], 'only 152: number the classes 0 to 151$'),
    ],
)
def test_a_label_far_above_the_others_is_refused(npz, complaint, labels, message):
    """A model would have layers as large as the largest label."""
    path = npz(x=numbered_events(len(labels)), label=np.asarray(labels))
    assert re.search(message, complaint(arrays.load, path))


@pytest.mark.parametrize('labels', [[1, 7] * 10, [0, 100] * 5, [*range(0, 400, 2)]])
def test_moderate_gaps_between_labels_are_kept(npz, labels):
    """Classes may be missing, and a label is never changed."""
    data = arrays.load(npz(x=numbered_events(len(labels)), label=np.asarray(labels)))
    assert data.spec.num_classes == max(labels) + 1
