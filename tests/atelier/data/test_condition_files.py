"""The condition of pictures in a folder: that of the right picture, and mistakes as one line."""

import json
import unicodedata

import numpy as np
import pytest
from PIL import Image

from atelier.data import condition_files, dataset, folder
from atelier.data.conditions.labels import Labels
from atelier.data.conditions.numbers import Numbers
from configs.shared import common

pytestmark = pytest.mark.usefixtures('cache')
COUNT = 40
HAIR = ('black', 'brown')


def picture(value):
    return Image.new('RGB', (2, 2), (value, 9, 9))


@pytest.fixture
def pictures(tmp_path):
    """A folder of pictures whose red channel is their number, in two sub-folders."""
    for i in range(COUNT):
        path = tmp_path / 'pictures' / 'ab'[i % 2] / f'{i}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(i).save(path)
    return tmp_path / 'pictures'


def name(i):
    return f'{"ab"[i % 2]}/{i}.png'


def caption(i):
    return f'number {" ".join(str(i))}'


def as_object(i):
    values = {'text': caption(i), 'age': i / 2, 'size': -i, 'hair': HAIR[i % 3 == 0]}
    return json.dumps({'file_name': name(i), **values})


LINES = {  # of each file: the header, and the line of a picture
    'captions.txt': ([], lambda i: f'{name(i)}\t{caption(i)}'),
    'metadata.jsonl': ([], as_object),
    'metadata.csv': (
        ['hair,text,file_name,age,size'],
        lambda i: f'{HAIR[i % 3 == 0]},{caption(i)},{name(i)},{i / 2},{-i}',
    ),
}


def write(root, file, *more, numbers=range(COUNT)):
    """Writes the lines of pictures in reverse order, and more lines."""
    header, line = LINES[file]
    lines = [*header, *[line(i) for i in reversed(numbers)], *more]
    (root / file).write_text('\n'.join(lines) + '\n')


def config_of(root, *condition, **changes):
    config = common.common_config()
    config.data.update(name='folder', path=str(root), condition=condition, **changes)
    return config


def load(root, *condition, **changes):
    changes = {'held_out_share': 0.2, **changes}
    return dataset.load(config_of(root, *condition, **changes))


def reds(split):
    return split['x'][:, 0, 0, 0].astype(int)


RULES = [dict(split_by='content'), dict(split_by='order', held_out_share=0.1)]
RULES += [{**rule, 'train_on_valid': True} for rule in RULES]


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize('file', ['metadata.jsonl', 'metadata.csv'])
def test_numbers_and_labels_are_those_of_their_pictures(pictures, file, rule):
    write(pictures, file)
    data = load(pictures, 'size', 'age', **rule)
    assert isinstance(data.spec.condition, Numbers) and data.spec.condition.names == ('size', 'age')
    for split in data.splits.values():
        assert len(split['condition']) == len(split['x']) > 0
        red = reds(split)
        np.testing.assert_array_equal(split['condition'], np.stack([-red, red / 2], 1))
    labelled = load(pictures, 'hair', **rule)
    assert labelled.spec.condition._replace(examples=()) == Labels(('hair',), (HAIR,))
    for split in labelled.splits.values():
        np.testing.assert_array_equal(split['condition'][:, 0], reds(split) % 3 == 0)
        np.testing.assert_array_equal(split['label'], reds(split) % 2)  # the sub-folders


@pytest.mark.parametrize('rule', RULES[:2])
@pytest.mark.parametrize('file', LINES)
def test_captions_are_used_unless_they_are_switched_off(pictures, file, rule):
    write(pictures, file)
    data = load(pictures, **rule)
    known = {}
    for split in data.splits.values():
        texts = [data.spec.condition.described(row) for row in split['condition'].tolist()]
        known.update(zip(reds(split).tolist(), texts, strict=True))
    assert known and all(text == caption(red) for red, text in known.items())
    (note,) = [note for note in data.notes if note.startswith('condition')]
    key = 'caption' if file == 'captions.txt' else 'text'
    assert note == f'condition: {key} of {file}; --config.data.condition=none leaves captions out'
    assert load(pictures, 'none', **rule).spec.condition is None
    chosen = load(pictures, key, **rule)
    assert chosen.spec == data.spec and 'leaves' not in ' '.join(chosen.notes)


def test_each_split_may_have_its_own_file(tmp_path):
    for split, numbers in (('train', range(8)), ('test', range(8, 12))):
        (tmp_path / split).mkdir()
        for i in numbers:
            picture(i).save(tmp_path / split / f'{i}.png')
        lines = [json.dumps({'file_name': f'./{i}.png', 'age': i}) for i in numbers]
        (tmp_path / split / 'metadata.jsonl').write_text('\n'.join(lines))
    for split in load(tmp_path, 'age', split_by='order', num_valid=2).splits.values():
        np.testing.assert_array_equal(split['condition'][:, 0], reds(split))


def test_a_changed_condition_is_read_anew_although_pictures_are_cached(pictures):
    write(pictures, 'metadata.csv')
    before = load(pictures, 'age')
    text = (pictures / 'metadata.csv').read_text()
    (pictures / 'metadata.csv').write_text(text.replace(',19.5,', ',100,'))
    after = load(pictures, 'age')
    where = {name: reds(split) == 39 for name, split in after.splits.items()}
    found = [after.splits[name]['condition'][is_it, 0] for name, is_it in where.items()]
    assert np.concatenate(found).tolist() == [100]
    assert before.fingerprint() != after.fingerprint()


def test_classes_can_be_left_out_of_captioned_pictures(pictures):
    write(pictures, 'captions.txt')
    data = load(pictures, without_classes=('a',), split_by='order')
    for split in (data.splits['train'], data.splits['valid']):
        rows = split['condition'].tolist()
        texts = [data.spec.condition.described(row) for row in rows]
        assert texts == [*map(caption, reds(split).tolist())]


def test_the_file_is_not_passed_over_and_lines_of_no_picture_are(pictures, complaint):
    write(pictures, 'captions.txt', 'a/gone.png\ta cat', 'a/gone too.png\ta cat')
    data = load(pictures)
    passed_over = 'captions.txt: passed over 2 lines of pictures that are not there: line 41, '
    assert any(note.startswith(passed_over) for note in data.notes)
    assert not any('no picture' in note for note in data.notes)
    assert "line 41, 'a/gone.png'), and config.data.strict=True" in complaint(
        load, pictures, strict=True
    )
    write(pictures, 'captions.txt')
    assert load(pictures, strict=True).spec == load(pictures).spec


def test_metadata_without_words_changes_nothing(pictures):
    (pictures / 'metadata.jsonl').write_text(json.dumps({'file_name': 'a/0.png', 'age': 1}))
    (pictures / 'metadata.csv').write_text('something else\n3\n')
    assert load(pictures).spec.condition is None


@pytest.mark.parametrize(
    ('file', 'more', 'setting', 'fault'),
    [
        ('captions.txt', 'a/0.png\tagain', (), "line 41: 'a/0.png' has a line already, 40"),
        ('captions.txt', '../0.png\tout', (), "line 41: '../0.png' is outside the folder"),
        ('captions.txt', '/0.png\tout', (), "line 41: '/0.png' is outside the folder"),
        ('captions.txt', '', ('age',), 'condition=age: pictures has no metadata.jsonl and no meta'),
        ('captions.txt', '', ('text',), 'no metadata.csv: give caption to read its captions.txt'),
        ('metadata.jsonl', '', ('ages',), "metadata.jsonl, line 1 has no column 'ages' (did you"),
        ('metadata.jsonl', '{', (), 'line 41: invalid JSON'),
        ('metadata.csv', '', ('age', 'hair'), 'age has numbers and hair labels'),
    ],
)
def test_a_mistake_is_one_line(pictures, file, more, setting, fault, complaint):
    write(pictures, file, more)
    assert fault in complaint(load, pictures, *setting).replace(f'{pictures.parent}/', '')


def test_a_picture_without_its_condition_is_refused(pictures, complaint):
    write(pictures, 'captions.txt', numbers=range(2, COUNT))
    line = complaint(load, pictures)
    assert 'captions.txt has no line of a/0.png (2 such pictures): add it' in line
    write(pictures, 'captions.txt', 'a/0.png\t ', numbers=range(1, COUNT))
    assert 'line 40: caption is missing or empty' in complaint(load, pictures)
    write(pictures, 'metadata.csv', 'black,a word,a/0.png,nan,3', numbers=range(1, COUNT))
    assert 'line 41: age is nan: give a finite number' in complaint(load, pictures, 'age')
    write(pictures, 'metadata.csv', 'black,a word,a/0.png,,3', numbers=range(1, COUNT))
    assert 'line 41: age is missing' in complaint(load, pictures, 'age')


@pytest.mark.parametrize('forms', [('NFC', 'NFD'), ('NFD', 'NFC'), ('NFD', 'NFD')])
def test_a_picture_is_found_however_its_accents_are_written(pictures, forms, complaint):
    in_folder, in_line = (unicodedata.normalize(form, 'a/é.png') for form in forms)
    picture(99).save(pictures / in_folder)
    write(pictures, 'captions.txt', f'{in_line}\tan accent')
    data = load(pictures)
    (text,) = [
        data.spec.condition.described(row)
        for split in data.splits.values()
        for row in split['condition'][reds(split) == 99].tolist()
    ]
    assert text == 'an accent'
    write(pictures, 'captions.txt', f'{in_line}\tan accent', f'{in_folder}\tan accent')
    assert 'line 42: ' in complaint(load, pictures)


def test_two_pictures_whose_names_differ_in_their_accents_alone_have_their_own_lines(tmp_path):
    names = [unicodedata.normalize(form, 'é.png') for form in ('NFC', 'NFD')]
    (tmp_path / 'captions.txt').write_text(f'{names[1]}\tred\n{names[0]}\tblue\n')
    source = condition_files.Source(tmp_path / 'captions.txt', ('caption',), False)
    for order in (names, names[::-1]):
        columns = condition_files.read([source], [order])
        colours = {names[0]: 'blue', names[1]: 'red'}
        assert columns.values['caption'] == [colours[name] for name in order]


def test_two_files_are_refused(pictures, complaint):
    write(pictures, 'metadata.csv')
    write(pictures, 'metadata.jsonl')
    assert 'has metadata.jsonl and metadata.csv: keep one' in complaint(load, pictures, 'age')
    (pictures / 'a').rename(pictures / 'train')
    (pictures / 'b').rename(pictures / 'test')
    (pictures / 'metadata.csv').rename(pictures / 'train' / 'metadata.csv')
    assert 'both have the condition: keep one' in complaint(load, pictures, 'age')
    (pictures / 'metadata.jsonl').unlink()
    assert 'test has no condition of its pictures, unlike' in complaint(load, pictures, 'age')


def test_sources_that_read_no_condition_refuse_the_field(complaint):
    config = common.common_config()
    config.data.condition = ('none',)
    assert dataset.load(config).spec.condition is None
    config.data.condition = ('age',)
    line = complaint(dataset.load, config)
    assert line == "config.data.condition=('age',): digits does not read it: omit it"


def test_the_source_alone_reads_no_condition(pictures):
    write(pictures, 'captions.txt')
    assert folder.load(str(pictures)).spec.condition is None
