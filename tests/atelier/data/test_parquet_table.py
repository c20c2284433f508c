"""The columns of one parquet file: images, labels, names of classes, limits of memory."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atelier.data import parquet_table
from atelier.data.original import bounded
from atelier.data.parquet_table import Table

pyarrow = pytest.importorskip('pyarrow')
pq = pytest.importorskip('pyarrow.parquet')
IMAGES = [b'one', b'two', b'three', b'one']


@pytest.fixture
def written(tmp_path):
    """Returns a function that writes columns to a parquet file, and returns its path."""

    def write(metadata: dict[str, str] | None = None, row_group_size: int = 100, **columns):
        table = pyarrow.table(columns)
        if metadata is not None:
            table = table.replace_schema_metadata(metadata)
        pq.write_table(table, tmp_path / 'a.parquet', row_group_size=row_group_size)
        return tmp_path / 'a.parquet'

    return write


def images_of(table: Table) -> list[bytes]:
    return [table.image(i) for i in range(table.count)]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    images=st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=50),
    row_group_size=st.integers(1, 60),
    is_struct=st.booleans(),
)
def test_the_bytes_and_labels_of_each_row_are_read(written, images, row_group_size, is_struct):
    """However the file is cut into groups, and whether paths stand beside the bytes."""
    label = [i % 7 for i in range(len(images))]
    column = [{'bytes': raw, 'path': 'a.png'} for raw in images] if is_struct else images
    path = written(row_group_size=row_group_size, image=column, label=label, caption=label)
    table = Table(path)
    assert images_of(table) == images and table.count == len(images)
    assert table.label.tolist() == label and table.label.dtype == np.int64
    assert table.unread == ('caption',)


@pytest.mark.parametrize(
    ('columns', 'label', 'unread'),
    [
        (dict(img=IMAGES), None, ()),
        (dict(img=IMAGES, labels=[0, 1, 2, 3]), [0, 1, 2, 3], ()),
        (dict(label=[3, 2, 1, 0], image=IMAGES, labels=[0] * 4), [3, 2, 1, 0], ('labels',)),
        (dict(labels=[0] * 4, image=IMAGES, label=[3, 2, 1, 0]), [3, 2, 1, 0], ('labels',)),
        (dict(image=IMAGES, img=IMAGES, id=[0] * 4), None, ('img', 'id')),
    ],
)
def test_columns_are_known_by_their_names(written, columns, label, unread):
    table = Table(written(**columns))
    assert images_of(table) == IMAGES and table.unread == unread
    assert (table.label if label is None else table.label.tolist()) == label


def test_equal_images_share_memory(written):
    """A small file can repeat an image a million times."""
    table = Table(written(image=IMAGES))
    assert table.image(0) is table.image(3) and table.image(0) is not table.image(1)
    many = Table(written(image=[b'x' * 1000] * 5000))
    assert many.count == 5000 and many._size == 1000


@pytest.mark.parametrize(
    ('description', 'names'),
    [
        ({'info': {'features': {'label': {'names': ['ant', 'bee']}}}}, ('ant', 'bee')),
        ({'info': {'features': {'other': {'names': ['ant', 'bee']}}}}, ()),
        ({'info': {'features': {'label': {'names': ['ant', 3]}}}}, ()),
        ({'info': {'features': {'label': {'names': 'ant'}}}}, ()),
        ({'info': {'features': {'label': None}}}, ()),
        ({'info': []}, ()),
        ([], ()),
        (None, ()),
    ],
)
def test_names_of_classes_are_read_or_there_are_none(written, description, names):
    """A description of another form is no error: the labels are called by their numbers."""
    metadata = {'huggingface': json.dumps(description)}
    assert Table(written(metadata, image=IMAGES, label=[0, 1, 0, 1])).class_names == names


@pytest.mark.parametrize('text', ['', '{', '[' * 100_000, '{"info": NaN}'])
def test_a_damaged_description_gives_no_names(written, text):
    assert Table(written({'huggingface': text}, image=IMAGES)).class_names == ()
    assert Table(written(image=IMAGES)).class_names == ()


@pytest.mark.parametrize('label', [[-1, 0, 1, 2], [0, 1, 2, 2**31]])
def test_labels_outside_of_the_range_are_refused(written, complaint, label):
    line = complaint(Table, written(image=IMAGES, label=label))
    assert f'got {min(label)} to {max(label)}' in line and 'a.parquet' in line


def test_the_largest_label_is_read(written):
    label = [0, 2**31 - 1, 1, 2]
    assert Table(written(image=IMAGES, label=label)).label.tolist() == label


def test_a_file_that_unpacks_to_more_than_memory_is_refused(written, complaint, monkeypatch):
    """Before its columns are read, and again as images are added."""
    path = written(image=[bytes([i % 256]) * 1000 for i in range(300)])
    monkeypatch.setattr(bounded, 'total_bytes', lambda: 1000)
    assert 'when unpacked' in complaint(Table, path)
    checked = []
    monkeypatch.setattr(parquet_table, 'check_memory', lambda path, size: checked.append(size))
    Table(path)
    unpacked, *added = checked
    assert unpacked > 1000 and added == [1000 * (i + 1) for i in range(256)]  # 44 repeat others


def test_an_image_without_bytes_is_refused_with_its_row(written, complaint):
    assert 'row 2: its image has 0 bytes' in complaint(Table, written(image=[b'a', b'b', b'']))
    column = pyarrow.array([b'a', None], pyarrow.binary())
    assert 'row 1: its image has 0 bytes' in complaint(Table, written(image=column))
