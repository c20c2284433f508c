"""What is said of stored images: every one that cannot be used, every conversion, odd sizes."""

import collections

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.data import inspection
from atelier.data.inspection import (
    MAX_NAMED,
    Changes,
    ImageSplit,
    Inspected,
    Problems,
    StoredImage,
    common_shape,
    in_chunks,
    inspect,
    say_changes,
)
from atelier.data.splits import file_digest
from atelier.errors import UserError
from benchmarks.tfds_files import png

SHAPES = st.sampled_from([(4, 5, 1), (4, 5, 3), (6, 5, 3), (5, 4, 1)])


def split_of(images: list[bytes]) -> ImageSplit:
    read = lambda indices: [StoredImage(f'image {i}', images[i], None) for i in indices]
    return ImageSplit(len(images), read)


def shaped(*shapes: tuple[int, int, int]) -> Inspected:
    return Inspected(np.array(shapes, np.int32).reshape(-1, 3), np.zeros(len(shapes), np.uint64))


def note(problems: Problems, split: str, index: int, message: str) -> None:
    with problems.noted(split, index):
        raise UserError(message)


@pytest.mark.parametrize('n', [1, 2, MAX_NAMED, MAX_NAMED + 1, 1200])
def test_one_message_names_the_images_that_cannot_be_used(complaint, n):
    """In the order of splits and rows, whatever the order in which threads find them."""
    problems = Problems()
    for index in np.random.default_rng(0).permutation(n).tolist():
        note(problems, 'train', index, f'{index}.png is broken')
    line = complaint(problems.refuse)
    named = [f'{index}.png is broken' for index in range(min(n, MAX_NAMED))]
    assert '; '.join(named) in line
    assert line.startswith('0.png' if n == 1 else f'{n:,} pictures cannot be used: 0.png')
    assert line.endswith(f'; and {n - MAX_NAMED:,} more' if n > MAX_NAMED else named[-1])


def test_other_errors_are_no_problem_of_an_image():
    """A bug is not taken for a mistake of the user's; without problems nothing is refused."""
    problems = Problems()
    with pytest.raises(ZeroDivisionError), problems.noted('train', 0):
        1 / 0  # noqa: B018
    problems.refuse()


@settings(max_examples=50)
@given(
    found=st.lists(
        st.tuples(
            st.lists(st.sampled_from(['grey', 'of 16 bits', 'transparent']), unique=True),
            st.sampled_from(['test', 'train']),
            st.integers(0, 99),
        ),
        unique_by=lambda each: each[1:],
    )
)
def test_conversions_are_counted_by_kind(found):
    """With the first image of each kind, in whatever order they are added."""
    changes = Changes()
    for each in found:
        changes.add(*each)
    expected = collections.defaultdict(list)
    for kinds, split, index in found:
        for kind in kinds:
            expected[kind].append((split, index))
    assert changes.metadata() == {
        kind: [len(where), *min(where)] for kind, where in expected.items()
    }


def test_conversions_are_logged_in_one_line(caplog):
    caplog.set_level('INFO', 'atelier')
    assert say_changes('pets', {}) == ()
    changes = {'grey to colour': [1200, 'train', 3], 'transparent (over white)': [1, 'test', 0]}
    (note,) = say_changes('pets', changes)
    assert note == ('pictures were converted: 1,200 grey to colour, 1 transparent (over white)')
    assert caplog.messages == [f'pets: {note}']


def test_conversions_that_are_refused_name_an_image(complaint):
    open_splits = lambda: ({'train': split_of([b'', b''])}, None)
    changes = {'grey (to colour)': [2, 'train', 1]}
    line = complaint(say_changes, 'pets', changes, open_splits)
    assert line.startswith('image 1 is grey, as 2 pictures of pets, and config.data.strict=True')
    assert say_changes('pets', {}, open_splits) == ()


@settings(max_examples=50, deadline=None)
@given(train=st.lists(SHAPES, min_size=1, max_size=8), test=st.lists(SHAPES, max_size=8))
def test_the_common_shape_has_the_channels_of_most_images(train, test):
    """Colour if equally many; images of several sizes are refused, and a rare one is named."""
    splits = {'train': split_of([b''] * len(train)), 'test': split_of([b''] * len(test))}
    inspected = {'train': shaped(*train), 'test': shaped(*test)}
    shapes = train + test
    sizes = collections.Counter(shape[:2] for shape in shapes)
    colours = sum(shape[2] == 3 for shape in shapes)
    channels = 3 if 2 * colours >= len(shapes) else 1
    if len(sizes) == 1:
        assert common_shape(splits, inspected) == (*shapes[0][:2], channels)
        return
    with pytest.raises(UserError) as error:
        common_shape(splits, inspected)
    (height, width), usual = sizes.most_common(1)[0]
    index = next(i for i, shape in enumerate(shapes) if shape[:2] != (height, width))
    odd = shapes[index]
    line = str(error.value)
    row = index if index < len(train) else index - len(train)
    assert line.startswith(f'image {row} is {odd[0]}x{odd[1]} and others are {height}x{width} ')
    assert f'({len(shapes) - usual} of {len(shapes)} pictures have another size)' in line
    assert f'config.data.image_shape={height},{width},{channels} ' in line


@pytest.mark.parametrize('needs_shapes', [True, False])
@pytest.mark.parametrize('needs_digests', [True, False])
def test_only_what_is_needed_is_read(tmp_path, needs_shapes, needs_digests):
    """Of bytes in memory and of files alike: shapes, and digests of the stored bytes."""
    raws = [png(np.zeros((2 + i % 3, 4, 3), np.uint8)) for i in range(inspection.CHUNK + 5)]
    paths = []
    for i, raw in enumerate(raws):
        paths.append(tmp_path / f'{i}.png')
        paths[-1].write_bytes(raw)
    reads = []

    def read(images):
        def of(indices):
            reads.extend(indices)
            return [StoredImage(f'image {i}', images[i], None) for i in indices]

        return of

    splits = {
        'train': ImageSplit(len(raws), read(raws)),
        'test': ImageSplit(len(paths), read(paths)),
    }
    inspected = inspect(splits, 'mine', needs_shapes, needs_digests)
    needed = needs_shapes or needs_digests
    assert sorted(reads) == sorted([*range(len(raws))] * 2 * needed)
    shapes = [[2 + i % 3, 4, 3] if needs_shapes else [0, 0, 0] for i in range(len(raws))]
    digests = [file_digest(raw) if needs_digests else 0 for raw in raws]
    for each in inspected.values():
        np.testing.assert_array_equal(each.shapes, shapes)
        assert each.digests.tolist() == digests


def test_all_images_that_cannot_be_read_are_named(tmp_path, complaint):
    good = png(np.zeros((2, 2, 3), np.uint8))
    splits = {'train': split_of([good, b'rubbish', good]), 'test': split_of([b'', good])}
    line = complaint(inspect, splits, 'mine', True, False)
    assert line.startswith('2 pictures cannot be used: ')
    assert 'image 1' in line and 'image 0' in line and 'image 2' not in line


@settings(max_examples=20, deadline=None)
@given(n=st.integers(0, 3 * inspection.CHUNK))
def test_each_image_is_in_one_chunk(n):
    done = []

    def process(start: int) -> int:
        rows = range(start, min(start + inspection.CHUNK, n))
        done.extend(rows)
        return len(rows)

    in_chunks(process, n, 'reading')
    assert sorted(done) == list(range(n))


def test_an_error_in_a_chunk_reaches_the_caller():
    def process(start: int) -> int:
        raise UserError(f'chunk {start}')

    with pytest.raises(UserError, match='chunk 0'):
        in_chunks(process, 3 * inspection.CHUNK, 'reading')
