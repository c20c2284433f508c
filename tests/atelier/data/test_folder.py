"""A folder of images: labels, splits, excluded files, the cache, and mistakes as one line."""

import io
import os
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from atelier.data import dataset, folder, images
from atelier.data.dataset import Spec
from configs.shared import common

pytestmark = pytest.mark.usefixtures('cache')


def picture(*colour, size=(5, 4)):
    return Image.new('RGB', size, colour)


def numbered(count, first=0):
    """Returns `count` images whose red channel is their index."""
    return {f'{index:03}.png': picture(index, 9, 9) for index in range(first, first + count)}


def below(name, pictures):
    return {f'{name}/{path}': image for path, image in pictures.items()}


@pytest.fixture
def pictures(tmp_path):
    """Returns a function that writes images, bytes or text by path and returns the folder."""

    def write(files):
        root = tmp_path / 'pictures'
        root.mkdir(exist_ok=True)
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Image.Image):
                content.save(path)
            else:
                path.write_bytes(content)
        return str(root)

    return write


def reds(split):
    return split['x'][:, 0, 0, 0].tolist()


# Files that are read


def test_pictures_without_sub_folders_have_no_labels(pictures):
    data = folder.load(pictures(numbered(30)))
    assert data.spec == Spec((4, 5, 3), 256, None)
    assert list(data.splits) == ['train']
    assert sorted(data.splits['train']) == ['row', 'x']
    assert data.splits['train']['x'].dtype == np.uint8
    assert sorted(reds(data.splits['train'])) == list(range(30))
    assert reds(data.splits['train']) != list(range(30))  # shuffled


def test_sub_folders_are_labels(pictures):
    """Also for images in deeper folders, in any order of writing the files."""
    path = pictures(
        below('mouse', numbered(3, 20))
        | below('cat', numbered(5, 0))
        | below('dog/old', numbered(4, 10))
    )
    data = folder.load(path)
    assert data.spec.num_classes == 3
    split = data.splits['train']
    assert split['label'].dtype == np.int32
    assert len(split['label']) == 12
    assert split['label'].tolist() == [red // 10 for red in reds(split)]


def test_split_folders_give_the_splits(pictures):
    path = pictures(
        below('train', numbered(6))
        | below('valid', numbered(3, 50))
        | below('test', numbered(2, 99))
    )
    data = folder.load(path)
    assert {name: sorted(reds(split)) for name, split in data.splits.items()} == {
        'train': [0, 1, 2, 3, 4, 5],
        'valid': [50, 51, 52],
        'test': [99, 100],
    }
    assert data.spec.num_classes is None


def test_labels_are_numbered_over_all_split_folders(pictures):
    path = pictures(
        below('train/a', numbered(2, 0))
        | below('train/c', numbered(2, 20))
        | below('test/b', numbered(1, 10))
        | below('test/c', numbered(1, 20))
    )
    data = folder.load(path)
    assert data.spec.num_classes == 3
    for split in data.splits.values():
        assert split['label'].tolist() == [red // 10 for red in reds(split)]


def test_a_setting_says_that_sub_folders_are_labels(pictures):
    path = pictures(below('train', numbered(2, 10)) | below('plane', numbered(2, 0)))
    data = folder.load(path, splits='none')
    assert list(data.splits) == ['train']
    split = data.splits['train']
    assert split['label'].tolist() == [red // 10 for red in reds(split)]


def test_hidden_and_other_files_are_left_out(pictures):
    path = pictures(
        below('cat', numbered(2))
        | below('cat/.trash', numbered(1, 50))
        | below('.hidden', numbered(1, 60))
        | {
            'readme.txt': b'no picture',
            'cat/.DS_Store': b'',
            'cat/._000.png': b'rubbish',
            'Thumbs.db': b'',
            'cat/000.png.part': b'',
        }
    )
    os.mkdir(os.path.join(path, 'cat', 'folder.png'))
    data = folder.load(path)
    assert sorted(reds(data.splits['train'])) == [0, 1]
    assert data.spec.num_classes == 1


def test_several_formats_and_suffixes_in_capitals_are_read(pictures):
    data = folder.load(pictures({'a.PNG': picture(1), 'b.Bmp': picture(2), 'c.PPM': picture(3)}))
    assert sorted(reds(data.splits['train'])) == [1, 2, 3]


def test_image_shape_gives_all_pictures_one_shape(pictures):
    path = pictures(
        {
            'a.png': picture(7, 7, 7, size=(50, 40)),
            'b.png': picture(7, 7, 7, size=(3, 9)),
            'c.png': Image.new('L', (8, 8), 7),
        }
    )
    data = folder.load(path, (8, 6, 1))
    assert data.spec == Spec((8, 6, 1), 256, None)
    assert '8x6x1' in data.description
    np.testing.assert_array_equal(data.splits['train']['x'], np.full((3, 8, 6, 1), 7))


def test_a_run_gets_its_three_splits(pictures):
    config = common.common_config()
    config.data.update(name='folder', path=pictures(numbered(40)), image_shape=(2, 2, 3))
    config.data.split_by = 'order'
    data = dataset.load(config)
    assert [data.size(name) for name in ('train', 'valid', 'test')] == [32, 4, 4]
    everything = sum((reds(split) for split in data.splits.values()), [])
    assert sorted(everything) == list(range(40))


def split_by_content(path, image_shape=()):
    """{red channel: name of its split}, and the data; the name of a .bmp is not in its bytes."""
    config = common.common_config()
    config.data.update(name='folder', path=path, image_shape=image_shape)
    data = dataset.load(config)
    return {red: name for name, split in data.splits.items() for red in reds(split)}, data


def as_bmp(pictures, prefix=''):
    return {prefix + name.replace('.png', '.bmp'): image for name, image in pictures.items()}


def test_by_content_a_picture_keeps_its_split(pictures, tmp_path, capfd):
    """Whatever is added, renamed or scaled; also in the cache, where it is memory-mapped."""
    path = pictures(below('cat', as_bmp(numbered(60))) | below('dog', as_bmp(numbered(60, 60))))
    before, data = split_by_content(path)
    assert len(before) == 120
    assert min(map(data.size, data.splits)) > 0
    assert data.splits['train']['label'].tolist() == [
        red // 60 for red in reds(data.splits['train'])
    ]
    assert set(data.splits['test']) == {'x', 'label'}
    assert data.description.endswith('split by content')
    assert all(isinstance(split['x'], np.memmap) for split in data.splits.values())
    capfd.readouterr()
    assert split_by_content(path)[0] == before
    assert capfd.readouterr() == ('', '')
    pictures(below('dog', as_bmp(numbered(40, 120), 'a')))
    (tmp_path / 'pictures' / 'cat' / '007.bmp').rename(tmp_path / 'pictures' / 'cat' / 'z.bmp')
    (tmp_path / 'pictures' / 'cat' / '008.bmp').unlink()
    after = split_by_content(path)[0]
    assert len(after) == 159
    assert {red: after[red] for red in before if red != 8} == {
        red: name for red, name in before.items() if red != 8
    }
    assert split_by_content(path, (2, 2, 3))[0] == after


def test_by_content_own_splits_of_folders_stay(pictures):
    path = pictures(below('train', as_bmp(numbered(90))) | below('test', as_bmp(numbered(5, 100))))
    found, data = split_by_content(path)
    assert sorted(reds(data.splits['test'])) == list(range(100, 105))
    assert sorted(found) == [*range(90), *range(100, 105)]
    assert 0 < data.size('valid') < 25


def test_a_path_may_be_relative_or_start_with_a_tilde(pictures, monkeypatch, tmp_path):
    pictures(numbered(2))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', str(tmp_path))
    for path in ('pictures', './pictures/', '~/pictures'):
        assert folder.load(path).name == 'pictures'


# The cache and the progress bar


def test_the_second_start_decodes_nothing_and_shows_no_progress(pictures, monkeypatch, capfd):
    path = pictures(below('a', numbered(2)) | below('b', numbered(70, 2)))
    first = folder.load(path)
    out, err = capfd.readouterr()
    assert out == ''
    assert 'decoding pictures train' in err
    assert '72/72' in err
    monkeypatch.setattr(images, 'decode', None)
    second = folder.load(path)
    assert capfd.readouterr() == ('', '')
    assert second.spec == first.spec
    assert list(second.splits) == list(first.splits)
    for name in ('x', 'label'):
        np.testing.assert_array_equal(second.splits['train'][name], first.splits['train'][name])


def changed(root):
    before = (root / '001.png').stat().st_size
    picture(99, 9, 9).save(root / '001.png')
    os.utime(root / '001.png', ns=(0, 0))  # both may be written in one clock tick
    assert (root / '001.png').stat().st_size == before  # only the time differs


def added(root):
    picture(99).save(root / '002.png')


def renamed(root):
    (root / '001.png').rename(root / '099.png')


def removed(root):
    (root / '001.png').unlink()


@pytest.mark.parametrize(
    ('change', 'expected'),
    [(changed, [0, 99]), (added, [0, 1, 99]), (renamed, [0, 1]), (removed, [0])],
)
def test_a_change_of_the_folder_renews_the_cache(pictures, tmp_path, capfd, change, expected):
    path = pictures(numbered(2))
    folder.load(path)
    capfd.readouterr()
    change(tmp_path / 'pictures')
    assert sorted(reds(folder.load(path).splits['train'])) == expected
    assert 'decoding' in capfd.readouterr().err


def test_a_moved_folder_keeps_its_cache_entry(pictures, tmp_path, capfd):
    first = folder.load(pictures(numbered(3)))
    capfd.readouterr()
    (tmp_path / 'pictures').rename(tmp_path / 'moved')
    second = folder.load(str(tmp_path / 'moved'))
    assert reds(second.splits['train']) == reds(first.splits['train'])
    assert capfd.readouterr() == ('', '')


def test_another_image_shape_is_decoded_anew(pictures):
    path = pictures(numbered(2))
    shapes = [folder.load(path, shape).spec.event_shape for shape in ((), (2, 2, 1), (2, 2, 3))]
    assert shapes == [(4, 5, 3), (2, 2, 1), (2, 2, 3)]


def test_the_order_does_not_depend_on_the_location_of_the_folder(pictures, tmp_path):
    path = pictures(below('a', numbered(20)) | below('b', numbered(20, 20)))
    shutil.copytree(path, tmp_path / 'copy')
    first, second = (folder.load(str(tmp_path / name)) for name in ('pictures', 'copy'))
    assert reds(first.splits['train']) == reds(second.splits['train'])


def test_equal_names_sizes_and_times_are_other_pictures(pictures, tmp_path):
    """The key has the content; two folders of one name are not one."""
    for shade in (0, 200):
        for index in range(3):
            path = tmp_path / str(shade) / 'set' / f'{index}.bmp'
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(shade, shade, shade).save(path)
            os.utime(path, (1.6e9, 1.6e9))
    for shade in (0, 200):
        data = folder.load(str(tmp_path / str(shade) / 'set'))
        assert reds(data.splits['train']) == [shade] * 3


def test_a_touched_file_keeps_its_cache_entry(pictures, tmp_path, capfd):
    path = pictures(numbered(3))
    folder.load(path)
    capfd.readouterr()
    os.utime(tmp_path / 'pictures' / '001.png', (1.0, 1.0))
    folder.load(path)
    assert 'decoding' not in capfd.readouterr().err


def test_by_times_the_content_is_not_read_and_the_log_says_so(pictures, tmp_path, caplog):
    """The place is part of the key, so folders with equal names, sizes and times differ."""
    caplog.set_level('INFO', 'atelier')
    path = pictures(as_bmp(numbered(2)))
    load = lambda path: sorted(reds(folder.load(path, verify='times').splits['train']))
    file = tmp_path / 'pictures' / '001.bmp'
    assert load(path) == [0, 1]
    assert 'data.verify=times' in caplog.text
    stat = file.stat()
    picture(99, 9, 9).save(file)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert load(path) == [0, 1]
    assert sorted(reds(folder.load(path).splits['train'])) == [0, 99]
    shutil.copytree(path, tmp_path / 'copy' / 'pictures')
    assert load(str(tmp_path / 'copy' / 'pictures')) == [0, 99]
    os.utime(file, (1.0, 1.0))
    assert load(path) == [0, 99]


# Files that are no pictures, and pictures that are converted


def bytes_of(image, kind):
    raw = io.BytesIO()
    image.save(raw, kind)
    return raw.getvalue()


def test_pictures_are_told_by_their_content(pictures):
    kinds = ('png', 'jpeg', 'bmp', 'gif', 'webp', 'tiff', 'ppm')
    names = ('a', 'b.jfif', 'c.dat', 'd.jpe', 'e.bin', 'f.png.part', 'g.txt')
    files = {
        name: bytes_of(picture(n, n, n), kind)
        for n, (name, kind) in enumerate(zip(names, kinds, strict=True))
    }
    assert len(folder.load(pictures(files)).splits['train']['x']) == 7


def test_what_is_passed_over_is_counted_in_one_line(pictures, caplog, complaint):
    caplog.set_level('INFO', 'atelier')
    files = {'notes.txt': b'P1 was the plan', 'more.TXT': b'BM', 'b': b'MM', '.DS_Store': b''}
    path = pictures(numbered(3) | files)
    for _ in range(2):  # also when the pictures come from the cache
        caplog.clear()
        folder.load(path)
        line = f'{path}: passed over 4 files that are no pictures: 2 .txt, 1 hidden, '
        assert caplog.messages == [f'{line}1 without suffix']
    line = complaint(folder.load, path, strict=True)
    assert line.startswith(f'{path}/b is not a picture (1 such file), and ')
    assert 'config.data.strict' in line


def of_all_kinds():
    deep = np.full((4, 5), 40_000, np.uint16)
    return {
        'grey.png': Image.new('L', (5, 4), 7),
        'clear.png': Image.new('RGBA', (5, 4), (9, 9, 9, 0)),
        'palette.png': picture(1).convert('P'),
        'deep.png': Image.fromarray(deep),
        'bits.png': Image.new('1', (5, 4), 1),
    }


@pytest.mark.parametrize('prefix', ['0', 'z'])
def test_a_folder_of_many_kinds_has_the_channels_of_most(pictures, caplog, prefix):
    """Whatever sorts first."""
    caplog.set_level('INFO', 'atelier')
    others = {prefix + name: image for name, image in of_all_kinds().items()}
    path = pictures(numbered(20) | others)
    for _ in range(2):
        caplog.clear()
        data = folder.load(path)
        assert data.spec.event_shape == (4, 5, 3)
        assert caplog.messages == [
            'pictures: pictures were converted: 1 16-bit (cut to their high byte), 3 grey (made '
            'colour), 1 transparent (put on white)'
        ]
    assert {7, 255, 40_000 >> 8} <= set(reds(data.splits['train']))


def test_most_pictures_grey_make_the_folder_grey_and_a_tie_colour(pictures, caplog):
    caplog.set_level('INFO', 'atelier')
    grey = {f'g{n}.png': Image.new('L', (5, 4), n) for n in range(3)}
    assert folder.load(pictures(numbered(2) | grey)).spec.event_shape == (4, 5, 1)
    assert 'converted: 2 colour (made grey)' in caplog.text
    assert folder.load(pictures(numbered(3))).spec.event_shape == (4, 5, 3)


def test_the_asked_channels_decide(pictures, caplog):
    caplog.set_level('INFO', 'atelier')
    grey = {f'g{n}.png': Image.new('L', (5, 4), n) for n in range(9)}
    assert folder.load(pictures(numbered(2) | grey), (4, 5, 3)).spec.event_shape == (4, 5, 3)
    assert 'converted: 9 grey (made colour)' in caplog.text


@pytest.mark.parametrize('name', ['grey.png', 'clear.png', 'deep.png'])
@pytest.mark.parametrize('is_cached', [False, True])
def test_strict_refuses_a_conversion_and_names_the_file(pictures, complaint, name, is_cached):
    path = pictures(numbered(20) | {name: of_all_kinds()[name]})
    if is_cached:
        folder.load(path)
    line = complaint(folder.load, path, strict=True)
    assert f'{path}/{name} is ' in line
    assert 'config.data.strict=False' in line


def test_strict_takes_pictures_as_they_are(pictures):
    path = pictures(numbered(3) | {'palette.png': picture(9).convert('P')})
    assert len(folder.load(path, strict=True).splits['train']['x']) == 4


def test_pages_are_said(pictures, caplog, complaint):
    caplog.set_level('INFO', 'atelier')
    raw, pages = io.BytesIO(), [picture(n) for n in range(6)]
    pages[0].save(raw, 'tiff', save_all=True, append_images=pages[1:])
    path = pictures({f'{n}.tif': raw.getvalue() for n in range(4)})
    assert reds(folder.load(path).splits['train']) == [0] * 4
    assert '4 of several pages or frames (only the first is used)' in caplog.text
    assert '/0.tif is of several pages' in complaint(folder.load, path, strict=True)


@pytest.mark.parametrize('settings', [{}, {'image_shape': (2, 2, 3)}, {'split_by': 'content'}])
def test_all_unreadable_pictures_are_named(pictures, complaint, settings):
    whole = bytes_of(Image.effect_noise((20, 20), 99).convert('RGB'), 'png')
    bad = {f'{n:03}.png': whole[: len(whole) // 2] for n in range(0, 60, 5)}
    bad |= {'007.png': b'rubbish', '008.png': b''}
    path = pictures({f'{n:03}.png': whole for n in range(60)} | bad)
    line = complaint(folder.load, path, **settings)
    assert line.startswith('14 pictures cannot be used: ')
    named = re.findall(r'/(\d{3})\.png', line)
    assert named == [f'{n:03}' for n in (0, 5, 7, 8, 10, 15, 20, 25, 30, 35)]
    assert line.endswith('; and 4 more')


def test_another_size_is_refused_whatever_sorts_first(pictures, complaint):
    odd = picture(1, size=(9, 9))
    for name in ('a.png', '000.png', 'z.png'):
        path = pictures(numbered(5, 1) | {name: odd})
        line = complaint(folder.load, path)
        assert f'/{name} is 9x9 and others are 4x5 (1 of 6 pictures have another size)' in line
        assert 'config.data.image_shape=4,5,3' in line
        os.remove(f'{path}/{name}')


# Folders that hold no images


@pytest.mark.parametrize('path', ['', 'missing', 'file.png', 'file.png/below'])
def test_a_path_that_is_not_a_folder_is_refused(tmp_path, monkeypatch, complaint, path):
    picture(1).save(tmp_path / 'file.png')
    monkeypatch.chdir(tmp_path)
    message = complaint(folder.load, path)
    assert 'config.data.path' in message
    assert path in message


@pytest.mark.parametrize(
    ('files', 'message'),
    [
        ({}, r'/pictures has no images \(.bmp, .*\)'),
        (
            {'a.tga': b'', 'b.tga': b'', 'a.heic': b'', '.b.png': b''},
            r'/pictures has no images \(.*\): it has 1 .heic, 2 .tga, 1 hidden$',
        ),
        (below('train', numbered(1)) | {'test/a.txt': b''}, '/pictures/test has no images'),
        (numbered(1) | {'x/a.png': picture(1)}, '/000.png lies beside sub-folders'),
        (
            below('train', numbered(1)) | below('train/x', numbered(1)),
            'train/000.png lies beside sub-folders',
        ),
        ({'a.png': picture(1), 'b.png': picture(1, size=(4, 5))}, 'is 5x4 and others are 4x5'),
        (numbered(3) | {'001.png': b'rubbish'}, '/001.png is not an image in a known'),
        (numbered(3) | {'001.png': b''}, '/001.png is not an image in a known'),
    ],
)
def test_unusable_folders_are_refused(pictures, cache, complaint, files, message):
    path = pictures(files)
    line = complaint(folder.load, path)
    assert re.search(message, line), line
    assert path in line
    assert not cache.exists() or list(cache.iterdir()) == []  # nothing unfinished stays


@pytest.mark.parametrize('kind', ['png', 'jpeg'])
def test_a_truncated_picture_among_whole_ones_is_refused(pictures, complaint, kind):
    raw = io.BytesIO()
    noise = np.random.RandomState(0).randint(0, 256, (20, 20, 3)).astype(np.uint8)
    Image.fromarray(noise).save(raw, kind)
    files = {f'{index}.{kind}': raw.getvalue() for index in range(100)}
    files[f'77.{kind}'] = raw.getvalue()[: len(raw.getvalue()) // 2]
    line = complaint(folder.load, pictures(files))
    assert re.search(rf'(?i)cannot read the image .*/77\.{kind}: .*truncated', line), line


@pytest.mark.parametrize(
    'shape', [(8,), (8, 8), (8, 8, 2), (8, 8, 4), (8, 8, 1, 1), (0, 8, 1), (8, -1, 3)]
)
def test_an_invalid_image_shape_is_refused(pictures, complaint, shape):
    line = complaint(folder.load, pictures(numbered(1)), shape)
    assert f'config.data.image_shape={shape}' in line
    assert 'height,width,1 or height,width,3' in line


@pytest.mark.parametrize(
    'files',
    [
        pytest.param(
            below('train/a', numbered(2)) | below('test', numbered(2)),
            id='one split without labels',
        ),
        pytest.param(
            below('train', numbered(2)) | numbered(2),
            id='beside the splits',
        ),
    ],
)
def test_pictures_misplaced_among_splits_are_refused(pictures, complaint, files):
    assert '.png' in complaint(folder.load, pictures(files))


def test_a_linked_sub_folder_is_a_label(pictures, tmp_path):
    path = pictures(below('cat', numbered(2)))
    (tmp_path / 'dog').mkdir()
    picture(10).save(tmp_path / 'dog' / 'a.png')
    (tmp_path / 'pictures' / 'dog').symlink_to(tmp_path / 'dog')
    assert folder.load(path).spec.num_classes == 2


def test_a_link_to_the_folder_itself_is_followed_once(pictures, tmp_path):
    path = pictures(below('cat', numbered(2)))
    (tmp_path / 'pictures' / 'again').symlink_to(tmp_path / 'pictures')
    assert len(folder.load(path).splits['train']['x']) == 2


def test_a_folder_keeps_its_name_beside_a_link_to_it(pictures, tmp_path):
    """Links are followed last, and what is passed over is said; so is a class without pictures."""
    path = pictures(below('real', numbered(2)) | below('z/deep', numbered(2, 5)))
    root = tmp_path / 'pictures'
    (root / 'again').symlink_to(root / 'real')
    (root / 'deep').symlink_to(root / 'z' / 'deep')
    (root / 'nothing').mkdir()
    data = folder.load(path)
    assert data.spec.class_names == ('real', 'z')
    assert data.notes == (
        '1 folder inside classes, read as theirs: z/deep',
        f'passed over 2 links to folders read already: {root}/again, {root}/deep',
        f'1 folder without pictures: {root}/nothing',
    )


def test_a_picture_without_ending_beside_splits_is_refused(pictures, tmp_path, complaint):
    path = pictures(below('train', numbered(3)) | below('test', numbered(2, 5)))
    picture(1).save(tmp_path / 'pictures' / 'stray', format='PNG')
    assert f'{path}/stray lies beside the folder' in complaint(folder.load, path)


@pytest.mark.parametrize('name', ['val', 'validation', 'valid'])
def test_the_validation_split_has_several_names(pictures, name):
    data = folder.load(pictures(below('train/a', numbered(3)) | below(f'{name}/a', numbered(2))))
    assert {split: len(part['x']) for split, part in data.splits.items()} == {
        'train': 3,
        'valid': 2,
    }


@pytest.mark.parametrize(
    'names',
    [
        ('train', 'test', 'extra'),
        ('test', 'valid'),
        ('train', 'val', 'validation'),
        ('Test', 'val'),
    ],
)
def test_folders_that_resemble_splits_are_refused(pictures, complaint, names):
    """Otherwise test images would be in the training split."""
    files = {f'{name}/a/{n}.png': picture(n) for name in names for n in range(3)}
    path = pictures(files)
    assert 'config.data.splits=none' in complaint(folder.load, path)
    line = complaint(folder.load, path, splits='exact')
    assert 'splits are train, valid and test, each once' in line


def test_splits_may_be_in_capitals(pictures):
    data = folder.load(pictures(below('Train/a', numbered(3)) | below('Test/a', numbered(2))))
    assert sorted(data.splits) == ['test', 'train']


def test_broken_links_and_pipes_are_reported_and_left_out(pictures, tmp_path, caplog):
    path = pictures(numbered(2))
    (tmp_path / 'pictures' / 'nowhere.png').symlink_to(tmp_path / 'nothing')
    os.mkfifo(tmp_path / 'pictures' / 'pipe.png')
    (tmp_path / 'pictures' / 'folder.png').mkdir()
    with caplog.at_level('INFO', logger='atelier'):
        assert len(folder.load(path).splits['train']['x']) == 2
    (line,) = (message for message in caplog.messages if 'passed over' in message)
    assert line.endswith('passed over 2 files that are no pictures: 2 broken link or special')
